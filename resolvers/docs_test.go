package resolvers

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

// documents finds GraphQL in Markdown: fenced blocks, and template literals
// that are marked as such.
var documents = regexp.MustCompile("(?s)```graphql\n(.*?)```|(?:\\bgql|/\\* GraphQL \\*/ )`(.*?)`")

// TestDocumentsOfDocs holds every GraphQL document of the docs against the
// schema.
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
			if _, err := gqlparser.LoadQueryWithRules(s, match[1]+match[2], rules.NewDefaultRules()); err != nil {
				t.Errorf("%s: %v in\n%s%s", file, err, match[1], match[2])
			}
		}
	}
	if found["frontends.md"] != 6 || found["README.md"] == 0 || found["receiving.md"] == 0 {
		t.Errorf("documents are overlooked: %v", found)
	}
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
