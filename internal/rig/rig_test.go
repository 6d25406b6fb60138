package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/pgtest"
)

// TestMain lets the test binary act as the receivers.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == Receivers {
		if err := ServeReceivers(os.Stdin, os.Stdout, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := pgtest.Run(m)
	if dir, err := builtIn(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// builtIn is the directory of the program that all tests run.
var builtIn = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "hookql-rig-") })

var built = sync.OnceValues(func() (string, error) {
	dir, err := builtIn()
	if err != nil {
		return "", err
	}
	return Build(context.Background(), dir, "")
})

// try runs a scenario on a database of the tests, which kill -9 of processes
// does not harm.
func try(t *testing.T, s Scenario) Verdict {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes a PostgreSQL and some seconds")
	}
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	o := Options{Program: path, Dir: t.TempDir(), Database: pgtest.URL(t), PerSecond: 100, Relaxed: true, Log: t.Logf}
	v, err := Run(ctx, o, s)
	if err != nil {
		logs, _ := filepath.Glob(filepath.Join(o.Dir, "*.log"))
		for _, log := range logs {
			t.Logf("%s: %s", filepath.Base(log), lastLines(log))
		}
		t.Fatal(err)
	}
	t.Logf("%+v", v)
	if len(v.Broken) > 0 {
		t.Errorf("broken: %q; %q", v.Broken, v.Examples)
	}
	return v
}

// Whenever a process is killed, nothing that was acknowledged is lost.
func TestCrash(t *testing.T) {
	t.Parallel()
	if v := try(t, Crash(20)); v.Kills != 20 {
		t.Errorf("%d kills", v.Kills)
	}
}

// A process that stood still is overtaken, and changes nothing when it wakes.
func TestFreeze(t *testing.T) {
	t.Parallel()
	try(t, Freeze(1))
}

// Processes are replaced one after the other, and nobody notices.
func TestRolling(t *testing.T) {
	t.Parallel()
	try(t, Rolling(2))
}

// A row of the table of results takes the place of the scenario's last.
func TestRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.md")
	const before = "# Results\n\n| a | b |\n|---|---|\n| crash | old |\n| quiet | kept |\n\nThe end.\n"
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	crash, rolling := Verdict{Scenario: "crash", Lost: 3, Broken: []string{"3 lost"}}, Verdict{Scenario: "rolling"}
	for _, v := range []Verdict{crash, rolling} {
		if err := Record(path, v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "# Results\n\n| a | b |\n|---|---|\n" + crash.row() + "\n| quiet | kept |\n" + rolling.row() + "\n\nThe end.\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
