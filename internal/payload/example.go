package payload

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookql/hookql/internal/webhook"
)

// Bounds of the search for an example.
const (
	maxSteps = 5000 // values made or tried
	maxDepth = 24
	// maxMade is the most items or members that are made up to fill a list or
	// an object.
	maxMade = 100
)

// errNoExample is why an example has to be given.
var errNoExample = errors.New("no data was found that fits the schema")

// Example makes data that fits the schema, the same each time. Not every
// schema can be satisfied, and not every one that can be is understood here:
// then it is an error.
func (s *Schema) Example() (json.RawMessage, error) {
	v, ok := s.newMaker().make([]*jsonschema.Schema{s.root}, 0)
	if !ok || s.check(v) != nil {
		return nil, errNoExample
	}
	return webhook.EncodeJSON(v)
}

// maker makes one example, or reworks one.
type maker struct {
	root    *jsonschema.Schema
	efforts efforts
	effort  int
	steps   int
	depth   int
	// onPath are the schemas whose values are being made: one of them below
	// itself is left out where it may be.
	onPath map[*jsonschema.Schema]bool
}

func (s *Schema) newMaker() *maker {
	return &maker{root: s.root, efforts: s.efforts, onPath: make(map[*jsonschema.Schema]bool)}
}

// rules are schemas that one value must fit all at once: what a schema says
// itself, what it refers to, and one alternative of each choice.
type rules []*jsonschema.Schema

// fit says whether v fits all schemas; once that took too much work, nothing
// does any more.
func (m *maker) fit(r rules, v any) bool {
	return !slices.ContainsFunc(r, func(s *jsonschema.Schema) bool {
		m.effort += m.efforts.of(s, v)
		if text, isText := v.(string); isText {
			m.effort += m.efforts.reading(s, v, len(text))
		}
		return m.effort > maxEffort || s.Validate(v) != nil
	})
}

// make makes a value that fits all schemas. Of values that must differ, nth
// says which one it is.
func (m *maker) make(schemas []*jsonschema.Schema, nth int) (v any, ok bool) {
	if m.depth >= maxDepth {
		return nil, false
	}
	defer m.enter(schemas)()
	return m.choose(nil, schemas, nth)
}

// enter notes that a value of the schemas is being made, until leave is called.
func (m *maker) enter(schemas []*jsonschema.Schema) (leave func()) {
	m.depth++
	var entered []*jsonschema.Schema
	for _, s := range schemas {
		if !m.onPath[s] {
			m.onPath[s] = true
			entered = append(entered, s)
		}
	}
	return func() {
		m.depth--
		for _, s := range entered {
			delete(m.onPath, s)
		}
	}
}

// choose takes over what a value must fit from open to settled, one schema
// after the other, and tries the alternatives of each choice in turn.
func (m *maker) choose(settled rules, open []*jsonschema.Schema, nth int) (any, bool) {
	if m.steps++; m.steps > maxSteps {
		return nil, false
	}
	if len(open) == 0 {
		return m.settle(settled, nth)
	}
	s, open := open[0], open[1:]
	if slices.Contains(settled, s) {
		return m.choose(settled, open, nth)
	}
	settled = append(settled[:len(settled):len(settled)], s)
	alternatives := [][]*jsonschema.Schema{append(inPlace(s), open...)}
	for _, choice := range choices(s) {
		var next [][]*jsonschema.Schema
		for _, a := range alternatives {
			for _, c := range choice {
				next = append(next, append(slices.Clone(c), a...))
			}
		}
		if alternatives = next; len(alternatives) > maxMade {
			alternatives = alternatives[:maxMade]
		}
	}
	for _, a := range alternatives {
		if v, ok := m.choose(settled, a, nth); ok {
			return v, true
		}
	}
	return nil, false
}

// inPlace are the schemas that a value must fit besides s.
func inPlace(s *jsonschema.Schema) (all []*jsonschema.Schema) {
	if s.Ref != nil {
		all = append(all, s.Ref)
	}
	if s.DynamicRef != nil && s.DynamicRef.Ref != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	return append(all, s.AllOf...)
}

// choices are the schemas of s of which a value must fit some: each choice is
// a list of alternatives.
func choices(s *jsonschema.Schema) (all [][][]*jsonschema.Schema) {
	for _, of := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
		if len(of) == 0 {
			continue
		}
		var choice [][]*jsonschema.Schema
		for _, alternative := range of {
			choice = append(choice, []*jsonschema.Schema{alternative})
		}
		all = append(all, choice)
	}
	if s.If != nil {
		all = append(all, [][]*jsonschema.Schema{present(s.If, s.Then), present(s.Else)})
	}
	return all
}

func present(schemas ...*jsonschema.Schema) []*jsonschema.Schema {
	return slices.DeleteFunc(schemas, func(s *jsonschema.Schema) bool { return s == nil })
}

// settle makes a value once it is settled which schemas it must fit: one that
// they name, or else one of the first type that will do.
func (m *maker) settle(r rules, nth int) (any, bool) {
	seen := 0
	for _, v := range r.named() {
		m.steps++
		if !m.fit(r, v) {
			continue
		}
		if seen == nth {
			return v, true
		}
		seen++
	}
	for _, kind := range r.types() {
		if v, ok := m.ofType(kind, r, nth); ok && m.fit(r, v) {
			return v, true
		}
	}
	return nil, false
}

// named are the values that the schemas name themselves, the best first.
func (r rules) named() (values []any) {
	for _, s := range r {
		values = append(values, s.Examples...)
	}
	for _, s := range r {
		if s.Default != nil {
			values = append(values, *s.Default)
		}
	}
	for _, s := range r {
		if s.Const != nil {
			values = append(values, *s.Const)
		}
		if s.Enum != nil {
			values = append(values, s.Enum.Values...)
		}
	}
	return values
}

func (m *maker) ofType(kind string, r rules, nth int) (any, bool) {
	switch kind {
	case "object":
		return m.object(r)
	case "array":
		return m.array(r)
	case "string":
		return m.text(r, nth)
	case "integer", "number":
		return m.number(r, nth, kind == "integer")
	case "boolean":
		return nth == 0, nth < 2
	default:
		return nil, nth == 0
	}
}

// types are the types to try: those that every schema allows, the most telling
// first; where none says a type, first the one that its other rules are about.
func (r rules) types() []string {
	all := []string{"object", "array", "string", "integer", "number", "boolean", "null"}
	typed := false
	for _, s := range r {
		if s.Types == nil {
			continue
		}
		typed = true
		allowed := s.Types.ToStrings()
		all = slices.DeleteFunc(all, func(kind string) bool {
			return !slices.Contains(allowed, kind) && (kind != "integer" || !slices.Contains(allowed, "number"))
		})
	}
	if slices.Contains(all, "number") && !r.whole() {
		all = slices.DeleteFunc(all, func(kind string) bool { return kind == "integer" })
	}
	if !typed {
		return append([]string{r.likelyType()}, all...)
	}
	return all
}

// whole says whether a number must be an integer.
func (r rules) whole() bool {
	return slices.ContainsFunc(r, func(s *jsonschema.Schema) bool {
		return s.Types != nil && slices.Contains(s.Types.ToStrings(), "integer")
	})
}

// likelyType is the type that rules are about which name none.
func (r rules) likelyType() string {
	for _, s := range r {
		switch {
		case len(s.Properties) > 0, len(s.Required) > 0, s.MinProperties != nil, s.AdditionalProperties != nil, s.PropertyNames != nil:
			return "object"
		case len(s.PrefixItems) > 0, s.Items2020 != nil, s.Contains != nil, s.MinItems != nil:
			return "array"
		case s.Minimum != nil, s.Maximum != nil, s.ExclusiveMinimum != nil, s.ExclusiveMaximum != nil, s.MultipleOf != nil:
			return "number"
		}
	}
	return "string"
}
