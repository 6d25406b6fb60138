package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/seal"
	"github.com/hookql/hookql/internal/webhook"
)

// TestLookAtSealing replaces the master key under a process that lacks the new
// one, and gives the old one back: each is logged once.
func TestLookAtSealing(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	openWith := func(masters ...seal.Key) *db.DB {
		d, err := db.Open(t.Context(), url, masters...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	newKey := seal.NewKey()
	process := &store{DB: openWith(pgtest.MasterKey)}
	other := openWith(newKey, pgtest.MasterKey)
	workspaceID, err := process.EnsureWorkspace(t.Context(), webhook.DefaultWorkspace)
	if err != nil {
		t.Fatal(err)
	}
	register(t, process.InsertWebhook, workspaceID, "https://example.com/", true)
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	lacking := false
	look := func(lacks bool, says string) {
		t.Helper()
		said.Reset()
		lacking = process.lookAtSealing(t.Context(), lacking, log)
		if lacking != lacks || !strings.Contains(said.String(), says) || says == "" && said.Len() > 0 {
			t.Errorf("lacking %t, and said %q, want %t and %q", lacking, said.String(), lacks, says)
		}
		if err := process.CheckSealing(t.Context()); errors.Is(err, db.ErrMasterKey) != lacks {
			t.Errorf("CheckSealing = %v, lacking %t", err, lacks)
		}
	}
	look(false, "")
	if _, err := other.RotateSealing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := process.AllWebhooks(t.Context(), workspaceID); !errors.Is(err, db.ErrMasterKey) {
		t.Errorf("AllWebhooks without the master key = %v", err)
	}
	look(true, "this process lacks the master key")
	look(true, "")
	if _, err := openWith(pgtest.MasterKey, newKey).RotateSealing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := process.RotateSealing(t.Context()); err != nil { // reads the keys, which else is done within the minute
		t.Fatal(err)
	}
	look(false, "this process has the master key again")
	look(false, "")
}
