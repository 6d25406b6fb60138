package graphiql_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
)

// The operations that a newcomer finds in the tabs must fit the schema, and
// their variables the operations.
func TestTabs(t *testing.T) {
	t.Parallel()
	sdl, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(sdl)})
	if err != nil {
		t.Fatal(err)
	}
	tabs, err := filepath.Glob("ui/tabs/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	if len(tabs) != 9 {
		t.Errorf("%d tabs, want 9", len(tabs))
	}
	for _, tab := range tabs {
		t.Run(filepath.Base(tab), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(tab)
			if err != nil {
				t.Fatal(err)
			}
			document, mistakes := gqlparser.LoadQuery(schema, string(text))
			if len(mistakes) > 0 {
				t.Fatal(mistakes)
			}
			if len(document.Operations) != 1 {
				t.Fatalf("%d operations, want 1", len(document.Operations))
			}
			operation := document.Operations[0]
			if operation.Name == "" {
				t.Error("no name: GraphiQL titles the tab by it")
			}
			if _, err := validator.VariableValues(schema, operation, variables(t, tab)); err != nil {
				t.Error(err)
			}
		})
	}
}

// variables reads the JSON file beside a tab; a tab without one has none.
func variables(t *testing.T, tab string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(strings.TrimSuffix(tab, ".graphql") + ".json")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}
