package faults

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestPoints keeps the list in step with the code.
func TestPoints(t *testing.T) {
	t.Parallel()
	var found []string
	at := regexp.MustCompile(`faults\.At\("([^"]*)"\)`)
	for _, dir := range []string{"db", "delivery"} {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range at.FindAllSubmatch(text, -1) {
				found = append(found, string(match[1]))
			}
		}
	}
	points := Points()
	slices.Sort(points)
	slices.Sort(found)
	if !slices.Equal(points, found) {
		t.Errorf("the list has %q, the code %q", points, found)
	}
}
