package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/pgtest"
)

// TestDBCheckTellsWhatIsAmiss ends with 1 where anything is.
func TestDBCheckTellsWhatIsAmiss(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	pool, err := sqlx.Connect("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	env := map[string]string{"DATABASE_URL": url, "HOOKQL_MASTER_KEY": pgtest.MasterKey.Text()}
	check := func(want int, says string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"db", "check"}, func(name string) string { return env[name] }, &stdout, &stderr)
		if code != want || !strings.Contains(stdout.String(), says) {
			t.Errorf("got %d and\n%s%s\nwant %d and %q", code, &stdout, &stderr, want, says)
		}
	}
	check(0, "uids without their event                                              0\n")
	pool.MustExec(`INSERT INTO event_uids VALUES ('ws_a', 'a', 'evt_01zzzzzzzzzzzzzzzzzzzzzzzz', sha256('a'))`)
	check(1, "uids without their event                                              1\n")
}
