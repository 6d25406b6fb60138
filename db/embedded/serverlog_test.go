//go:build unix

package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestServerLog(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	log := slog.New(slog.NewTextHandler(&got, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.MessageKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	out := output{line: serverLog(log)}
	for _, chunk := range []string{
		"postmaster: LOG:  starting\npostmas", "ter: LOG:  server process (PID 7) was terminated by signal 9: Killed\n",
		"postmaster: DETAIL:  Failed process was running: SELECT 1\n",
		"client backend: ERROR:  duplicate key\n",
		"client backend: DETAIL:  Key (url)=(secret) exists.\n\tand more of the secret\n",
		"client backend: STATEMENT:  secret\n",
		"autovacuum worker: ERROR:  could not extend file\n",
		"autovacuum worker: HINT:  Check free disk space.\n",
		"checkpointer: PANIC:  could not write\n",
		"FATAL:  before the prefix is known\n",
		"client backend: WARNING:  odd\n",
		"sh: something else\n",
	} {
		if _, err := out.Write([]byte(chunk)); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.TrimPrefix(`
level=DEBUG process=postmaster severity=LOG text=starting
level=WARN process=postmaster severity=LOG text="server process (PID 7) was terminated by signal 9: Killed"
level=WARN process=postmaster severity=DETAIL text="Failed process was running: SELECT 1"
level=DEBUG process="client backend" severity=ERROR text="duplicate key"
level=ERROR process="autovacuum worker" severity=ERROR text="could not extend file"
level=ERROR process="autovacuum worker" severity=HINT text="Check free disk space."
level=ERROR process=checkpointer severity=PANIC text="could not write"
level=ERROR process="" severity=FATAL text="before the prefix is known"
level=WARN process="client backend" severity=WARNING text=odd
level=WARN process="" severity="" text="sh: something else"
`, "\n")
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestLastWords(t *testing.T) {
	t.Parallel()
	var out output
	for range 3 * rememberedLines {
		_, _ = out.Write([]byte("early\n"))
	}
	_, _ = out.Write([]byte("late\n\nunfin"))
	_, _ = out.Write([]byte("ished"))
	got := out.lastWords()
	if !strings.HasSuffix(got, "\n    late\n    unfinished") || strings.Count(got, "early") >= rememberedLines {
		t.Errorf("last words: got %q", got)
	}
}
