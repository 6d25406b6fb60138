package querylimit

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

func load(t testing.TB) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
}

func excess(t testing.TB, document string, variables map[string]any) string {
	t.Helper()
	doc, errs := gqlparser.LoadQueryWithRules(load(t), document, nil)
	if errs != nil {
		t.Fatalf("%v: %.200s", errs, document)
	}
	return Default().excess(doc, doc.Operations[0], variables)
}

func TestExcess(t *testing.T) {
	t.Parallel()
	aliases := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a%d: name ", i)
		}
		return b.String()
	}
	roots := func(n int) string { return "{" + strings.Repeat("eventTypes { name } ", n) + "}" }
	// Each fragment spreads the next twice: 2 to the power of levels fields.
	doubled := func(levels int) string {
		var b strings.Builder
		b.WriteString("{ eventTypes { ...f0 } }\n")
		for i := range levels {
			fmt.Fprintf(&b, "fragment f%d on EventType { ...f%d ...f%d }\n", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "fragment f%d on EventType { name }", levels)
		return b.String()
	}
	for _, test := range []struct {
		name, document string
		variables      map[string]any
		want           string // part of the refusal; "" for none
	}{
		{"a dashboard", `{ webhooks(first: 25) { nodes { id name status testRuns(first: 1) { nodes { success } } } } }`, nil, ""},
		{"one run whole", `{ testRun(id: "run_1") { tests { nodes { message request { curl } response { body } } } } }`, nil, ""},
		{"every body of every page", `{ webhooks(first: 100) { nodes { testRuns(first: 25) { nodes { tests { nodes { request { body } } } } } } } }`, nil, "costs"},
		{"size by variable", `query($n: Int) { webhooks(first: $n) { nodes { testRuns { nodes { id url status } } } } }`, map[string]any{"n": int64(50)}, ""},
		{"size beyond all", `query($n: Int) { webhooks(first: $n) { nodes { testRuns { nodes { id url status } } } } }`, map[string]any{"n": int64(1) << 60}, "costs"},
		{"size by a text", `query($n: Int) { webhooks(first: $n) { nodes { testRuns(first: $n) { nodes { tests(first: 1) { totalCount } } } } } }`, map[string]any{"n": "100"}, "costs"},
		{"size by a fraction", `query($n: Int) { webhooks(first: $n) { totalCount } }`, map[string]any{"n": json.Number("1e9")}, "costs"},
		{"size by default", `{ webhooks(first: 100) { nodes { testRuns(first: 1) { nodes { tests { totalCount } } } } } }`, nil, ""},
		{"size by default of what is costly", `{ webhooks(first: 100) { nodes { testRuns(first: 1) { nodes { tests { nodes { id message } } } } } } }`, nil, "costs"},
		{"30 aliases", "{ eventTypes {" + aliases(30) + "} }", nil, ""},
		{"31 aliases", "{ eventTypes {" + aliases(31) + "} }", nil, "aliases"},
		{"20 roots", roots(20), nil, ""},
		{"21 roots", roots(21), nil, "root"},
		{"too deep", `{ webhook(id: "a") { testRuns { nodes { webhook { testRuns { nodes { webhook { testRuns { nodes { webhook { testRuns { nodes { id } } } } } } } } } } } } }`, nil, "deep"},
		{"doubled spreads", doubled(59), nil, "costs"},
		{"61 fragments", doubled(60), nil, "fragments"},
	} {
		got := excess(t, test.document, test.variables)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// inlined is a selection set with the fragments in the place of their spreads,
// as one who keeps no memory of fragments would count it; left is how many
// selections it may still grow by.
func inlined(set ast.SelectionSet, left *int) (out ast.SelectionSet) {
	for _, selection := range set {
		if *left--; *left < 0 {
			return nil
		}
		switch selection := selection.(type) {
		case *ast.Field:
			field := *selection
			field.SelectionSet = inlined(selection.SelectionSet, left)
			out = append(out, &field)
		case *ast.InlineFragment:
			out = append(out, inlined(selection.SelectionSet, left)...)
		case *ast.FragmentSpread:
			out = append(out, inlined(selection.Definition.SelectionSet, left)...)
		}
	}
	return out
}

// FuzzSelections counts what passes validation: a fragment that is counted once
// and remembered costs what it costs where it is written out.
func FuzzSelections(f *testing.F) {
	schema := load(f)
	f.Add("{ webhooks(first: 5) { ...a ...a } } fragment a on WebhookConnection { ...b ...b } fragment b on WebhookConnection { totalCount }", `{}`)
	f.Add("query($n: Int) { webhooks(last: $n) { nodes { eventTypes { name } } } __type(name: \"Webhook\") { fields { name } } }", `{"n": "7"}`)
	f.Add("mutation { testWebhook(input: {target: {webhookId: \"a\"}}) { testRun { tests { edges { node { request { body } } } } } } }", `{"n": null}`)
	f.Fuzz(func(t *testing.T, document, variables string) {
		doc, err := gqlparser.LoadQueryWithRules(schema, document, nil)
		var values map[string]any
		if err != nil || len(doc.Operations) == 0 || len(document) > 4096 || json.Unmarshal([]byte(variables), &values) != nil {
			return
		}
		w := walk{variables: values, known: make(map[string]size)}
		set := doc.Operations[0].SelectionSet
		got := w.selections(set)
		if got.cost < 1 || got.cost > most || got.introspectionCost < 0 || got.depth < 1 || got.fields < 1 {
			t.Errorf("%q counts %+v", document, got)
		}
		left := 10_000
		if plain := inlined(set, &left); left >= 0 && w.selections(plain) != got {
			t.Errorf("%q counts %+v, written out %+v", document, got, w.selections(plain))
		}
	})
}
