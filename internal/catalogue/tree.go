package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A file is read as the tree of its YAML, of which JSON is a part, rather than
// into structs: so each mistake has its line, and numbers stay digit by digit
// what they are.

// reader collects the mistakes in a file.
type reader struct{ mistakes Mistakes }

// Mistake is something wrong in a file.
type Mistake struct {
	Line    int
	Message string
}

// Mistakes are all that is wrong in a file.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	errs := make([]error, len(m))
	for i, mistake := range m {
		errs[i] = fmt.Errorf("line %d: %s", mistake.Line, mistake.Message)
	}
	return errors.Join(errs...).Error()
}

func (r *reader) fail(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{line, fmt.Sprintf(format, args...)})
}

// parse returns the one document of a file, nil where it has none.
func (r *reader) parse(text []byte) ast.Node {
	file, err := parser.ParseBytes(text, 0)
	var told yaml.Error
	if errors.As(err, &told) {
		r.fail(told.GetToken().Position.Line, "%s", told.GetMessage())
		return nil
	}
	if err != nil {
		r.fail(1, "%v", err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			r.fail(line(doc.Body), "A second document begins here. Put all event types into one.")
		}
		body = doc.Body
	}
	return body
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// member is one of a mapping.
type member struct {
	name  string
	line  int
	value ast.Node
}

// mapping returns the members of a node, which must be a mapping.
func (r *reader) mapping(n ast.Node, what string) (members []member, ok bool) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		r.fail(line(n), "%s must be a mapping of names to values.", what)
		return nil, false
	}
	for _, pair := range pairs {
		name, ok := r.name(pair.Key)
		if ok {
			members = append(members, member{name, line(pair.Key), pair.Value})
		}
	}
	return members, true
}

// name is the name of a member: its text, also where it looks like a number.
func (r *reader) name(key ast.MapKeyNode) (string, bool) {
	switch key := key.(type) {
	case *ast.StringNode:
		return key.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return key.GetToken().Value, true
	}
	r.fail(line(key), "A name must be a plain or quoted text.")
	return "", false
}

// json turns a node into what encoding/json would have made of the same value.
func (r *reader) json(n ast.Node) any {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		object := make(map[string]any)
		members, _ := r.mapping(n, "This")
		for _, m := range members {
			object[m.name] = r.json(m.value)
		}
		return object
	case *ast.SequenceNode:
		array := make([]any, len(n.Values))
		for i, item := range n.Values {
			array[i] = r.json(item)
		}
		return array
	case *ast.StringNode:
		if n.Token.Type == token.StringType && isNumber(n.Value) { // 1E2 is none to the parser
			return json.Number(n.Value)
		}
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.NullNode:
		return nil
	case *ast.IntegerNode, *ast.FloatNode:
		if text := n.GetToken().Value; isNumber(text) {
			return json.Number(text)
		}
		r.fail(line(n), "Write this number as JSON does, or quote it where it is a text.")
		return nil
	}
	r.fail(line(n), "Anchors, aliases, tags, `.inf` and `.nan` are not understood here. Write the value out.")
	return nil
}

// isNumber says whether a text is a number as JSON writes it.
func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789+-.eE") == "" && json.Valid([]byte(text))
}
