package rig

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Record puts a verdict's row into the last table of a Markdown file, in the
// place of the scenario's row there.
func Record(path string, v Verdict) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	end := len(lines) // of the last table
	for end > 0 && !strings.HasPrefix(lines[end-1], "|") {
		end--
	}
	begin := end
	for begin > 0 && strings.HasPrefix(lines[begin-1], "|") {
		begin--
	}
	if end-begin < 2 {
		return fmt.Errorf("%s has no table of results", path)
	}
	first := fmt.Sprintf("| %s |", v.Scenario)
	old := slices.IndexFunc(lines[begin:end], func(line string) bool { return strings.HasPrefix(line, first) })
	if old < 0 {
		lines = slices.Insert(lines, end, v.row())
	} else {
		lines[begin+old] = v.row()
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}

// row is a verdict as a row of the table in docs/reliability.md.
func (v Verdict) row() string {
	kept := "yes"
	if len(v.Broken) > 0 {
		kept = "**no**: " + strings.Join(v.Broken, "; ")
	}
	takeover := "-"
	if v.Takeovers > 0 {
		takeover = fmt.Sprintf("%.0f / %.0f", v.TakeoverP50, v.TakeoverP99)
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %.0f | %d | %d | %d | %d (%d) | %d | %d | %s | %.0f / %.0f | %s |",
		v.Scenario, time.Now().UTC().Format(time.DateOnly), v.Faults, v.Acknowledged, v.Arrived, v.PerSecond,
		v.Lost, v.Invented, v.Mismatches, v.Duplicates, v.InFlightMax, v.Late, v.Stale, takeover, v.ArrivalP50, v.ArrivalP99, kept)
}
