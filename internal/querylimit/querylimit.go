// Package querylimit refuses documents that would cost too much before anything
// of them is run. Everything is counted in one walk over the document that
// visits each fragment once, whoever spreads it how often, so the check itself
// takes time in proportion to the document's size: gqlgen's own complexity
// extension doubles with every level of doubled spreads.
package querylimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// Limits are what one operation may cost. It is a gqlgen extension. Zero means
// none allowed: use Default.
type Limits struct {
	// Document is its length in bytes. The parser and the validator take
	// memory and time by it, most for a name that is looked up among others.
	Document int
	// Depth is of fields in fields; IntrospectionDepth is that below __schema
	// and __type, which GraphiQL's own query needs more of.
	Depth, IntrospectionDepth int
	// Fragments is the number of fragments in the document.
	Fragments int
	// Aliases is the number of aliased fields in one selection set, those of
	// its fragments included.
	Aliases int
	// RootFields is the number of fields of the operation itself.
	RootFields int
	// Cost is by the formula of the schema's head; IntrospectionCost is that
	// of __schema and __type.
	Cost, IntrospectionCost int
}

// Default are the limits that the schema's head promises.
func Default() Limits {
	return Limits{
		Document:           64 << 10,
		Depth:              12,
		IntrospectionDepth: 16,
		Fragments:          60,
		Aliases:            30,
		RootFields:         20,
		Cost:               10_000,
		IntrospectionCost:  60_000,
	}
}

// What a field and the size of a list count.
const (
	fieldCost = 1
	bodyCost  = 20
	pageSize  = 25 // where a connection or page names none
	listSize  = 10 // of any other list
)

// bodies are the fields that hold the body of a request or response.
var bodies = map[string]bool{
	"HttpRequest.body": true, "HttpRequest.bodyBase64": true, "HttpRequest.curl": true, "HttpResponse.body": true,
}

// ExtensionName implements graphql.HandlerExtension.
func (Limits) ExtensionName() string { return "QueryLimits" }

// Validate implements graphql.HandlerExtension.
func (l Limits) Validate(graphql.ExecutableSchema) error {
	if l.Document <= 0 || l.Depth <= 0 || l.Cost <= 0 || l.RootFields <= 0 {
		return errors.New("query limits of zero let nothing through")
	}
	return nil
}

// MutateOperationParameters implements graphql.OperationParameterMutator: it
// refuses a document that is too long to be parsed.
func (l Limits) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	if n := len(params.Query); n > l.Document {
		return refusal(fmt.Sprintf("The document has %d bytes, at most %d are taken. Send large values as variables.", n, l.Document))
	}
	return nil
}

// MutateOperationContext implements graphql.OperationContextMutator: it refuses
// an operation that is over a limit.
func (l Limits) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if excess := l.excess(op.Doc, op.Operation, op.Variables); excess != "" {
		return refusal(excess)
	}
	if op.Operation.Operation == ast.Subscription && !isOneField(op.Operation.SelectionSet) {
		err := gqlerror.Errorf("A subscription selects one field, without @skip and @include.")
		errcode.Set(err, errcode.ValidationFailed)
		return err
	}
	return nil
}

// isOneField says whether a selection is one field, whatever the variables. The
// validator counts a field that is selected twice as one.
func isOneField(set ast.SelectionSet) bool {
	if len(set) != 1 {
		return false
	}
	switch s := set[0].(type) {
	case *ast.Field:
		return len(s.Directives) == 0
	case *ast.InlineFragment:
		return len(s.Directives) == 0 && isOneField(s.SelectionSet)
	case *ast.FragmentSpread:
		return len(s.Directives) == 0 && s.Definition != nil && isOneField(s.Definition.SelectionSet)
	}
	return false
}

func refusal(message string) *gqlerror.Error {
	err := gqlerror.Errorf("%s", message)
	errcode.Set(err, string(graphqlhttp.TooComplex))
	return err
}

// excess says which limit an operation is over and how to get below it, "" for
// none.
func (l Limits) excess(doc *ast.QueryDocument, op *ast.OperationDefinition, variables map[string]any) string {
	if n := len(doc.Fragments); n > l.Fragments {
		return fmt.Sprintf("The document has %d fragments, at most %d are taken. Send fewer.", n, l.Fragments)
	}
	w := walk{variables: variables, known: make(map[string]size)}
	s := w.selections(op.SelectionSet)
	switch {
	case s.fields > l.RootFields:
		return fmt.Sprintf("The operation has %d fields at its root, at most %d are taken. Send them in several requests.", s.fields, l.RootFields)
	case max(s.aliases, s.maxAliases) > l.Aliases:
		return fmt.Sprintf("One selection has %d aliases, at most %d are taken. Send them in several requests.", max(s.aliases, s.maxAliases), l.Aliases)
	case s.depth > l.Depth:
		return fmt.Sprintf("The operation is %d fields deep, at most %d are taken. Fetch the inner ones by their ids.", s.depth, l.Depth)
	case s.introspectionDepth > l.IntrospectionDepth:
		return fmt.Sprintf("The introspection is %d fields deep, at most %d are taken.", s.introspectionDepth, l.IntrospectionDepth)
	case s.cost > l.Cost:
		return fmt.Sprintf("The operation costs %d, at most %d are taken. Ask for smaller pages with `first`, or for fewer fields of them.", s.cost, l.Cost)
	case s.introspectionCost > l.IntrospectionCost:
		return fmt.Sprintf("The introspection costs %d, at most %d are taken. Ask for fewer fields of lists.", s.introspectionCost, l.IntrospectionCost)
	}
	return ""
}

// size is what a selection set amounts to.
type size struct {
	// fields and aliases are those of this level; maxAliases is the most at
	// any level below.
	fields, aliases, maxAliases int
	depth, introspectionDepth   int
	cost, introspectionCost     int
}

// add puts the size of a neighbour of the same level to s.
func (s *size) add(o size) {
	s.fields = plus(s.fields, o.fields)
	s.aliases = plus(s.aliases, o.aliases)
	s.maxAliases = max(s.maxAliases, o.maxAliases)
	s.depth = max(s.depth, o.depth)
	s.introspectionDepth = max(s.introspectionDepth, o.introspectionDepth)
	s.cost = plus(s.cost, o.cost)
	s.introspectionCost = plus(s.introspectionCost, o.introspectionCost)
}

type walk struct {
	variables map[string]any
	known     map[string]size // by the name of the fragment
}

func (w *walk) selections(set ast.SelectionSet) (s size) {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			s.add(w.field(selection))
		case *ast.InlineFragment:
			s.add(w.selections(selection.SelectionSet))
		case *ast.FragmentSpread:
			s.add(w.fragment(selection))
		}
	}
	return s
}

// fragment is the size of a fragment. Validation has refused cycles.
func (w *walk) fragment(spread *ast.FragmentSpread) size {
	if s, ok := w.known[spread.Name]; ok || spread.Definition == nil {
		return s
	}
	s := w.selections(spread.Definition.SelectionSet)
	w.known[spread.Name] = s
	return s
}

func (w *walk) field(f *ast.Field) size {
	inner := w.selections(f.SelectionSet)
	s := size{
		fields:             1,
		maxAliases:         max(inner.aliases, inner.maxAliases),
		depth:              plus(inner.depth, 1),
		introspectionDepth: inner.introspectionDepth,
		cost:               plus(ownCost(f), times(w.length(f), inner.cost)),
		introspectionCost:  inner.introspectionCost,
	}
	if f.Alias != f.Name {
		s.aliases = 1
	}
	if f.Name == "__schema" || f.Name == "__type" {
		s.depth, s.introspectionDepth = 1, s.depth
		s.cost, s.introspectionCost = fieldCost, s.cost
	}
	return s
}

func ownCost(f *ast.Field) int {
	if f.ObjectDefinition != nil && bodies[f.ObjectDefinition.Name+"."+f.Name] {
		return bodyCost
	}
	return fieldCost
}

// length is by how much a field multiplies what is selected in it: the size of
// its page, or of a list as one may expect it.
func (w *walk) length(f *ast.Field) int {
	if f.Definition == nil {
		return 1
	}
	if isPage(f.Definition.Type.Name()) {
		return w.pageSize(f)
	}
	if f.Definition.Type.Elem == nil || f.ObjectDefinition != nil && isPage(f.ObjectDefinition.Name) {
		return 1 // no list; or the list of a page, which has been counted
	}
	return listSize
}

func isPage(typeName string) bool {
	return strings.HasSuffix(typeName, "Connection") || strings.HasSuffix(typeName, "Page")
}

// pageSize is the number of items that a connection or page was asked for.
func (w *walk) pageSize(f *ast.Field) int {
	for _, name := range []string{"first", "last", "pageSize"} {
		if value := w.argument(f, name); value != nil {
			return max(integer(value), 1)
		}
	}
	return pageSize
}

// argument is what a field is given for an argument, or else the argument's
// default; nil for none.
func (w *walk) argument(f *ast.Field, name string) any {
	var given *ast.Value
	if definition := f.Definition.Arguments.ForName(name); definition != nil {
		given = definition.DefaultValue
	}
	if argument := f.Arguments.ForName(name); argument != nil {
		given = argument.Value
	}
	if given == nil {
		return nil
	}
	value, err := given.Value(w.variables)
	if err != nil {
		return most // it is no number either
	}
	return value
}

// integer reads a number as the parser and the variables hold it; gqlgen takes
// a text for a number, too. What cannot be read counts as most.
func integer(value any) int {
	n, err := strconv.Atoi(fmt.Sprint(value))
	if err != nil {
		return most
	}
	return min(n, most)
}

// most is where counts stop, so that they never overflow.
const most = math.MaxInt32

func plus(a, b int) int { return min(a+b, most) }

func times(a, b int) int {
	if a > 0 && b > most/a {
		return most
	}
	return a * b
}
