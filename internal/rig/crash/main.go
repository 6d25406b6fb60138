// Command crash kills HookQL and tells whether it kept its word: one line of
// JSON for each scenario, and exit code 1 where a bound is broken.
//
//	go run ./internal/rig/crash -scenario crash -n 1000
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hookql/hookql/internal/rig"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == rig.Receivers {
		if err := rig.ServeReceivers(os.Stdin, os.Stdout, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "receivers:", err)
			os.Exit(1)
		}
		return
	}
	scenario := flag.String("scenario", "crash", "what is done: crash, or all")
	n := flag.Int("n", 1000, "how many kills, for crash")
	perSecond := flag.Int("rate", 400, "events published in a second")
	record := flag.String("record", "", "Markdown file whose table of results gets the rows")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	kept, err := run(ctx, *scenario, *n, *perSecond, *record)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
	}
	if err != nil || !kept {
		os.Exit(1)
	}
}

// run runs scenarios one after the other, and says whether all kept their bounds.
func run(ctx context.Context, name string, n, perSecond int, record string) (kept bool, err error) {
	list := chosen(name, n)
	if len(list) == 0 {
		return false, fmt.Errorf("there is no scenario %q", name)
	}
	top, err := os.MkdirTemp("", "hookql-rig-")
	if err != nil {
		return false, err
	}
	if err := os.Chmod(top, 0o755); err != nil { // as root, PostgreSQL runs as another user
		return false, err
	}
	programs := make(map[string]string) // by the tags that they are built with
	kept = true
	for _, s := range list {
		dir := filepath.Join(top, s.Name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return false, err
		}
		began := time.Now()
		if programs[s.Tags] == "" {
			if programs[s.Tags], err = rig.Build(ctx, top, s.Tags); err != nil {
				return false, err
			}
		}
		o := rig.Options{Program: programs[s.Tags], Dir: dir, PerSecond: perSecond, Log: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "%s: %5.0f s: %s\n", s.Name, time.Since(began).Seconds(), fmt.Sprintf(format, args...))
		}}
		v, err := rig.Run(ctx, o, s)
		if errors.Is(err, rig.ErrSkipped) {
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.Name, err)
			continue
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w; see %s", s.Name, err, dir)
		}
		line, err := json.Marshal(v)
		if err != nil {
			return false, err
		}
		fmt.Println(string(line))
		if record != "" {
			if err := rig.Record(record, v); err != nil {
				return false, err
			}
		}
		if len(v.Broken) > 0 {
			kept = false
			fmt.Fprintf(os.Stderr, "%s: the journals are in %s\n", s.Name, dir)
			continue
		}
		_ = os.RemoveAll(dir) // it is in the way of nobody
	}
	if kept {
		return true, os.RemoveAll(top)
	}
	return false, nil
}

// chosen are the scenarios of a name, in a size that fits.
func chosen(name string, n int) (list []rig.Scenario) {
	if name == "crash" {
		return []rig.Scenario{rig.Crash(n)}
	}
	for _, s := range []rig.Scenario{
		rig.Quiet(10 * time.Second),
		rig.Crash(150),
		rig.Takeover(12),
		rig.Freeze(4),
		rig.Rolling(20),
		rig.Postmaster(15),
		rig.Backends(30),
		rig.Cut(20),
		rig.Hole(3, 8*time.Second),
		rig.Hole(1, 60*time.Second),
		rig.KillPoints(5, 1),
		rig.KillPoints(5, 2),
		rig.DiskFull(2),
	} {
		if name == "all" || name == s.Name {
			list = append(list, s)
		}
	}
	return list
}
