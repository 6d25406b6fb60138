package resolvers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/pgtest"
)

// TestHideSchema asks for the schema in every way: by introspection, and by
// mistakes whose errors would name what was meant.
func TestHideSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	open, hidden := setupWith(t, url, Options{}), setupWith(t, url, Options{HideSchema: true})
	for _, test := range []struct{ document, reveals string }{
		{`{ __schema { types { name } } }`, `"EventType"`},
		{`{ __type(name: "Webhook") { name } }`, `"Webhook"`},
		{`{ webhookz { nodes { id } } }`, `"webhooks"`},
		{`{ webhooks }`, `{ ... }`},
		{`{ webhooks(frist: 1) { nodes { id } } }`, `"first"`},
		{`{ node(id: "wh_1") { ...f } } fragment f on Webhok { id }`, `"Webhook"`},
		{`mutation { createWebhook(input: {ulr: "x", url: "https://example.com", events: []}) { userErrors { code } } }`, `"url"`},
		{`mutation { createWebhook(input: {url: "https://example.com", events: [], method: PSOT}) { userErrors { code } } }`, `"POST"`},
	} {
		for name, b := range map[string]*bundle{"open": open, "hidden": hidden} {
			a, _ := b.ask(t, test.document, nil)
			said := string(a.Data)
			for _, e := range a.Errors {
				said += e.Message
			}
			if strings.Contains(said, test.reveals) != (b == open) {
				t.Errorf("%s: %s: %s", name, test.document, said)
			}
		}
	}
	for _, document := range []string{`{ __schema { types { name } } }`, `{ ...f } fragment f on Query { __type(name: "Webhook") { name } }`} {
		a, statements := hidden.ask(t, document, nil)
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.ValidationFailed || len(statements) > 0 {
			t.Errorf("%s: %+v", document, a.Errors)
		}
	}
	if strings.Contains(hidden.log.String(), "request failed") {
		t.Errorf("it is logged as a fault: %s", hidden.log)
	}
	if a, _ := hidden.ask(t, `{ __typename eventTypes { name } }`, nil); len(a.Errors) > 0 {
		t.Errorf("a document that fits the schema: %+v", a.Errors)
	}
}

// TestIntrospection reads the schema with the queries of those that need it:
// GraphiQL's, graphql-js's own, which most tools send, and the older one that
// Relay's tools and others still do.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	files, err := filepath.Glob("testdata/introspection/*.graphql")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Schema struct{ Types []struct{ Name string } } `json:"__schema"`
		}
		b.must(t, string(document), nil, &got)
		if len(got.Schema.Types) < 40 {
			t.Errorf("%s: %d types", file, len(got.Schema.Types))
		}
	}
}
