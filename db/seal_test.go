package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/seal"
	"github.com/hookql/hookql/internal/webhook"
)

// canaries are secrets of every kind that can be told apart in a dump.
func canaries(n int, w *webhook.Webhook) {
	expires := webhook.Now()
	w.Secret = webhook.Secret(fmt.Sprintf("canary-secret-%03d", n))
	w.PreviousSecret, w.PreviousSecretExpiresAt = webhook.Secret(fmt.Sprintf("canary-previous-%03d", n)), &expires
	w.Headers = []webhook.Header{{Name: "Authorization", Value: fmt.Sprintf("canary-header-%03d", n)}}
}

// dump is every value of every table as text.
func dump(t *testing.T, url string) []byte {
	t.Helper()
	own, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	rows, err := own.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all bytes.Buffer
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		var text sql.NullString
		if err := own.QueryRow("SELECT string_agg(t::text, ' ') FROM " + table + " AS t").Scan(&text); err != nil {
			t.Fatal(err)
		}
		all.WriteString(text.String)
	}
	return all.Bytes()
}

func openWith(t *testing.T, url string, masters ...seal.Key) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), url, masters...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestADumpHoldsNoSecret(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	d := openWith(t, url, pgtest.MasterKey)
	workspaceID, err := d.EnsureWorkspace(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	w := newWebhook("mine")
	canaries(1, w)
	insert(t, d, workspaceID, w)
	got, err := d.Webhook(t.Context(), workspaceID, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, got, cmp.Transformer("text", func(s webhook.Secret) string { return string(s) })); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if _, err := d.ChangeWebhook(t.Context(), workspaceID, "mine", func(w *webhook.Webhook) error { canaries(2, w); return nil }); err != nil {
		t.Fatal(err)
	}
	if all := dump(t, url); !bytes.Contains(all, []byte("mine")) || bytes.Contains(all, []byte("canary")) {
		t.Error("the dump holds a secret, or nothing at all")
	}
	stranger := openWith(t, url, seal.NewKey())
	if err := stranger.CheckSealing(t.Context()); !errors.Is(err, db.ErrMasterKey) {
		t.Errorf("CheckSealing with another master key = %v, want ErrMasterKey", err)
	}
	if _, err := stranger.Webhook(t.Context(), workspaceID, "mine"); !errors.Is(err, db.ErrMasterKey) {
		t.Errorf("another master key reads: %v", err)
	}
}

// TestRotation replaces data keys and the master key under readers and writers
// in another process, none of which notices.
func TestRotation(t *testing.T) {
	t.Parallel()
	const webhooks = 250 // more than are read at once
	url := pgtest.URL(t)
	old := openWith(t, url, pgtest.MasterKey)
	workspaceID, err := old.EnsureWorkspace(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	for n := range webhooks {
		w := newWebhook(fmt.Sprint("w", n))
		canaries(n, w)
		insert(t, old, workspaceID, w)
	}
	newMaster := seal.NewKey()
	other := openWith(t, url, newMaster, pgtest.MasterKey) // every process gets both before
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			for n := 0; ctx.Err() == nil; n = (n + 1) % webhooks {
				_, err := other.ChangeWebhook(t.Context(), workspaceID, fmt.Sprint("w", n), func(w *webhook.Webhook) error {
					if want := fmt.Sprintf("canary-secret-%03d", n); string(w.Secret) != want {
						t.Errorf("read %s, want %s", string(w.Secret), want)
					}
					w.Name += "."
					if len(w.Name) > 200 {
						w.Name = "n"
					}
					return nil
				})
				if err != nil {
					t.Errorf("while keys are replaced: %v", err)
					return
				}
			}
		})
	}
	rotating := openWith(t, url, newMaster, pgtest.MasterKey)
	n, err := rotating.RotateSealing(t.Context())
	if err != nil || n == 0 || n > webhooks { // others seal some themselves
		t.Errorf("RotateSealing = %d, %v, want about %d", n, err, webhooks)
	}
	stop()
	others.Wait()
	if _, err := rotating.RotateSealing(t.Context()); err != nil { // for those that were written with the old key meanwhile
		t.Fatal(err)
	}
	alone := openWith(t, url, newMaster)
	for n := range webhooks {
		w, err := alone.Webhook(t.Context(), workspaceID, fmt.Sprint("w", n))
		if err != nil {
			t.Fatalf("with the new master key alone: %v", err)
		}
		if string(w.Secret) != fmt.Sprintf("canary-secret-%03d", n) || !strings.HasPrefix(w.Headers[0].Value, "canary-header") {
			t.Errorf("webhook %d has the secret %s", n, string(w.Secret))
		}
	}
	if bytes.Contains(dump(t, url), []byte("canary")) {
		t.Error("the dump holds a secret")
	}
	if err := openWith(t, url, pgtest.MasterKey).CheckSealing(t.Context()); !errors.Is(err, db.ErrMasterKey) {
		t.Errorf("the old master key still opens: %v", err)
	}
}
