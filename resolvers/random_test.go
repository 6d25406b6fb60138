package resolvers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// gambler writes documents at random that fit the schema.
type gambler struct {
	*rand.Rand
	schema *ast.Schema
	ids    []string
}

// document asks for some fields of the root, with odd values.
func (g *gambler) document() string {
	root, operation := g.schema.Query, "query"
	if g.IntN(3) == 0 {
		root, operation = g.schema.Mutation, "mutation"
	}
	return operation + " " + g.selection(root, 4)
}

// selection is some fields of a type, each under an alias of its own.
func (g *gambler) selection(t *ast.Definition, depth int) string {
	var fields []string
	for range 1 + g.IntN(4) {
		f := t.Fields[g.IntN(len(t.Fields))]
		inner := g.schema.Types[f.Type.Name()]
		if strings.HasPrefix(f.Name, "__") || inner.IsCompositeType() && depth == 0 {
			continue
		}
		text := fmt.Sprintf("%s%d: %s%s", f.Name, len(fields), f.Name, g.arguments(f))
		switch inner.Kind {
		case ast.Object:
			text += " " + g.selection(inner, depth-1)
		case ast.Interface:
			text += " { __typename id ... on Webhook " + g.selection(g.schema.Types["Webhook"], depth-1) +
				" ... on Delivery " + g.selection(g.schema.Types["Delivery"], depth-1) + " }"
		}
		fields = append(fields, text)
	}
	return "{ __typename " + strings.Join(fields, " ") + " }"
}

func (g *gambler) arguments(f *ast.FieldDefinition) string {
	var list []string
	for _, a := range f.Arguments {
		if a.Type.NonNull || g.IntN(2) == 0 {
			list = append(list, a.Name+": "+g.value(a.Type, 4))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "(" + strings.Join(list, ", ") + ")"
}

func (g *gambler) value(t *ast.Type, depth int) string {
	if !t.NonNull && g.IntN(10) == 0 {
		return "null"
	}
	if t.Elem != nil {
		items := make([]string, g.IntN(4))
		for i := range items {
			items[i] = g.value(t.Elem, depth-1)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	pick := func(values ...string) string { return values[g.IntN(len(values))] }
	switch input := g.schema.Types[t.Name()]; {
	case input.Kind == ast.InputObject:
		return g.object(input, depth)
	case input.Kind == ast.Enum:
		return input.EnumValues[g.IntN(len(input.EnumValues))].Name
	case t.Name() == "Int":
		return pick("0", "1", "25", "-1", "100", "2147483647", "-2147483648")
	case t.Name() == "Float":
		return pick("0", "1.5", "-1e300", "1e-300")
	case t.Name() == "Boolean":
		return pick("true", "false")
	case t.Name() == "JSON":
		return pick("{}", "[]", `{a: "\u0000", b: [1, 2.5, null]}`, `"text"`, "12345678901", "null", `{type: "object", properties: {a: {type: "integer"}}}`)
	case t.Name() == "DateTime":
		return pick(`"2030-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999Z"`, `"yesterday"`)
	}
	odd := []string{`""`, `"x"`, `"*"`, `"job.status"`, `"\u0000"`, `"é\u202e"`, `"' OR 1=1 --"`, `"https://example.com/"`, `"whsec_AAAA"`, fmt.Sprintf("%q", strings.Repeat("long", 200))}
	for _, id := range g.ids {
		odd = append(odd, fmt.Sprintf("%q", id))
	}
	return pick(odd...)
}

func (g *gambler) object(input *ast.Definition, depth int) string {
	members := input.Fields
	if input.Directives.ForName("oneOf") != nil {
		one := *members[g.IntN(len(members))]
		named := *one.Type
		named.NonNull = true
		one.Type, members = &named, ast.FieldList{&one}
	}
	var list []string
	for _, m := range members {
		if m.Type.NonNull || depth > 0 && g.IntN(2) == 0 {
			list = append(list, m.Name+": "+g.value(m.Type, depth-1))
		}
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// Whoever was let in just before his workspace was closed is told so.
func TestClosedWorkspace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.db.DeleteWorkspace(t.Context(), b.workspace); err != nil {
		t.Fatal(err)
	}
	for _, key := range []any{nil, "k"} {
		if got := b.mistakes(t, create, object{"url": b.url, "events": []string{"*"}, "idempotencyKey": key}); len(got) != 1 || got[0] != "WRONG_STATE input" {
			t.Errorf("with the idempotency key %v: %v", key, got)
		}
	}
}

// TestRandomDocuments asks whatever fits the schema: nothing that a client can
// write is a fault of ours.
func TestRandomDocuments(t *testing.T) {
	t.Parallel()
	const documents = 600
	b := setup(t)
	b.run(t)
	h := b.happened(t)
	var got testedRun
	b.must(t, testJobStatus, map[string]any{"id": "w", "data": map[string]any{}}, &got)
	g := &gambler{
		Rand:   rand.New(rand.NewPCG(1, 2)), //nolint:gosec // to be the same each time
		schema: loadSchema(t),
		ids: []string{"w", b.key(t).ID, got.TestWebhook.TestRun.ID, got.TestWebhook.TestRun.Tests.Nodes[0].ID,
			h.webhook, h.event, "uid-" + h.event, h.delivery, h.attempts[0]},
	}
	refused := 0
	for range documents {
		document := g.document()
		a, _ := b.ask(t, document, nil)
		for _, e := range a.Errors {
			switch e.Extensions.Code {
			case graphqlhttp.Internal:
				t.Errorf("%s\n%s: %s", document, e.Message, b.log.String()[max(0, b.log.Len()-2000):])
				return
			case "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED":
				refused++
			}
		}
	}
	if refused > documents/2 {
		t.Errorf("%d of %d documents did not fit the schema: nothing of them was tried", refused, documents)
	}
	t.Logf("%d documents, %d of them refused by the schema", documents, refused)
}
