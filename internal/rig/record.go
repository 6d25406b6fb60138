package rig

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Record puts a verdict's row into the table of results of a Markdown file, in
// the place of the scenario's last.
func Record(path string, v Verdict) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin := fmt.Sprintf("| %s |", v.Scenario)
	row := v.row()
	lines, done := strings.Split(string(text), "\n"), false
	last := -1 // of the table
	for n, line := range lines {
		if strings.HasPrefix(line, begin) {
			lines[n], done = row, true
		}
		if strings.HasPrefix(line, "|---") && last < 0 || n == last+1 && last >= 0 && strings.HasPrefix(line, "|") {
			last = n
		}
	}
	if last < 0 {
		return fmt.Errorf("%s has no table of results", path)
	}
	if !done {
		lines = append(lines[:last+1], append([]string{row}, lines[last+1:]...)...)
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}

// row is a verdict as a row of the table in docs/reliability.md.
func (v Verdict) row() string {
	kept := "yes"
	if len(v.Broken) > 0 {
		kept = "**no**: " + strings.Join(v.Broken, "; ")
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %.0f | %d | %d | %d | %d (%d) | %d | %d | %.0f / %.0f | %s |",
		v.Scenario, time.Now().UTC().Format(time.DateOnly), v.Faults, v.Acknowledged, v.Arrived, v.PerSecond,
		v.Lost, v.Invented, v.Mismatches, v.Duplicates, v.InFlightMax, v.Late, v.Stale, v.TakeoverP50, v.TakeoverP99, kept)
}
