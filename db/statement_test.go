package db

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
)

// The tests of this file are inside the package, which pgtest imports, so they
// are called from outside it, with a database's URL.

// PrepareStatements prepares every statement of the package, which checks each
// against the schema.
func PrepareStatements(t *testing.T, url string) {
	pool, err := sqlx.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // only prepared on
	for _, s := range statements {
		if strings.HasPrefix(strings.SplitN(s.text, "*/ ", 2)[1], "LOCK") {
			continue // a utility command, which PostgreSQL does not prepare
		}
		prepared, err := pool.PrepareContext(context.Background(), s.text)
		if err != nil {
			t.Errorf("%s: %v\n%s", s.name, err, s.text)
			continue
		}
		_ = prepared.Close()
	}
}

// TestStatementNames keeps names unique and every piece of SQL in the registry.
func TestStatementNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range statements {
		if slices.Contains(names, s.name) {
			t.Errorf("two statements are named %s", s.name)
		}
		names = append(names, s.name)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, verb := range []string{"SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "} {
				if strings.Contains(line, "\""+verb) {
					t.Errorf("%s:%d: SQL that is no named statement: %s", f.Name(), i+1, strings.TrimSpace(line))
				}
			}
		}
	}
}
