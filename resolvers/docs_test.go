package resolvers

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/querylimit"
	"github.com/hookql/hookql/internal/webhook"
)

// documents finds GraphQL in Markdown: fenced blocks, and template literals
// that are marked as such.
var documents = regexp.MustCompile("(?s)```graphql\n(.*?)```|(?:\\bgql|/\\* GraphQL \\*/ )`(.*?)`")

// TestDocumentsOfDocs holds every GraphQL document of the docs against the
// schema and the limits, with variables as they are where none are given.
func TestDocumentsOfDocs(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range documents.FindAllStringSubmatch(string(text), -1) {
			found[filepath.Base(file)]++
			document := match[1] + match[2]
			doc, err := gqlparser.LoadQueryWithRules(s, document, rules.NewDefaultRules())
			if err != nil {
				t.Errorf("%s: %v in\n%s", file, err, document)
				continue
			}
			for _, op := range doc.Operations {
				if err := querylimit.Default().MutateOperationContext(t.Context(), &graphql.OperationContext{Doc: doc, Operation: op, Variables: defaults(t, op)}); err != nil {
					t.Errorf("%s: %v in\n%s", file, err, document)
				}
			}
		}
	}
	if found["frontends.md"] != 6 || found["README.md"] == 0 || found["receiving.md"] == 0 {
		t.Errorf("documents are overlooked: %v", found)
	}
}

// defaults are the values of an operation's variables where none are given;
// null where it has none.
func defaults(t *testing.T, op *ast.OperationDefinition) map[string]any {
	t.Helper()
	values := make(map[string]any)
	for _, v := range op.VariableDefinitions {
		value, err := v.DefaultValue.Value(nil)
		if err != nil {
			t.Fatal(err)
		}
		values[v.Variable] = value
	}
	return values
}

// The page of docs/frontends.md is filled by one request that is within the
// limits, also for a key that has no more scopes than the document gives it.
func TestPageOfDocs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	b.must(t, testJobStatus, map[string]any{"id": "w", "data": object{}}, nil)
	text, err := os.ReadFile("../docs/frontends.md")
	if err != nil {
		t.Fatal(err)
	}
	fenced := regexp.MustCompile("(?s)```graphql\n(.*?)```").FindSubmatch(text)
	key := &webhook.APIKey{ID: "key_1", WorkspaceID: &b.workspace, Scopes: []webhook.Scope{webhook.ScopeWebhooksRead, webhook.ScopeWebhooksWrite, webhook.ScopeWebhooksTest}}
	b.caller = auth.Caller{Key: key, WorkspaceID: b.workspace}
	var got struct {
		Viewer   struct{ Workspace struct{ Name string } }
		Webhooks struct {
			Nodes []struct {
				TestRuns struct{ Nodes []struct{ Success bool } }
			}
		}
	}
	b.must(t, string(fenced[1]), nil, &got)
	if w := got.Webhooks.Nodes; len(w) != 1 || len(w[0].TestRuns.Nodes) != 1 || !w[0].TestRuns.Nodes[0].Success || got.Viewer.Workspace.Name == "" {
		t.Errorf("%+v", got)
	}
}
