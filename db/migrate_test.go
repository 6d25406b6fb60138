package db

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/hookql/hookql/internal/seal"
)

// MigrateSideBySide brings a database up to date that has a later migration
// already than one that comes to it now.
func MigrateSideBySide(t *testing.T, url string) {
	d, err := Open(t.Context(), url, seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // the test's own
	files := fstest.MapFS{
		"0001_first.sql": {Data: []byte("-- +goose Up\nCREATE TABLE first (id text);\n")},
		"0003_third.sql": {Data: []byte("-- +goose Up\nCREATE TABLE third (id text);\n")},
	}
	if applied, err := d.migrate(t.Context(), files); err != nil || !slices.Equal(applied, []int64{1, 3}) {
		t.Fatalf("applied %v, %v, want 1 and 3", applied, err)
	}
	files["0002_second.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE second (id text);\n")}
	if applied, err := d.migrate(t.Context(), files); err != nil || !slices.Equal(applied, []int64{2}) {
		t.Errorf("applied %v, %v, want 2", applied, err)
	}
}
