package db_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
)

// TestPreparedStatementsOutliveMigrations changes a table under a connection
// that has a statement on it prepared, as another process does that is updated
// first.
func TestPreparedStatementsOutliveMigrations(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	d, err := db.Open(t.Context(), url, pgtest.MasterKey)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // the test's own
	for range 2 {   // it is prepared, and used again
		if _, err := d.EnsureWorkspace(t.Context(), "default"); err != nil {
			t.Fatal(err)
		}
	}
	other, err := sqlx.Connect("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // the test's own
	other.MustExec(`ALTER TABLE workspaces ALTER COLUMN name TYPE varchar(300)`)
	if w, err := d.Workspace(t.Context(), "default"); err != nil || w.Name != "default" {
		t.Errorf("%v, %v", w, err)
	}
}
