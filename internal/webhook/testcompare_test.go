package webhook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ran are the results of a run: "a=PASS" is one of the event type a.
func ran(texts ...string) (results []*TestResult) {
	for _, text := range texts {
		name, verdict, _ := strings.Cut(text, "=")
		results = append(results, &TestResult{EventName: name, Scenario: ScenarioValid, Verdict: Verdict(verdict)})
	}
	return results
}

// TestCompareTests says of each pair of verdicts what it means.
func TestCompareTests(t *testing.T) {
	t.Parallel()
	for pair, want := range map[string]TestChange{
		"PASS PASS": TestUnchanged, "PASS WARN": TestChanged, "PASS FAIL": TestBroke, "PASS SKIP": TestChanged,
		"WARN PASS": TestChanged, "WARN WARN": TestUnchanged, "WARN FAIL": TestBroke, "WARN SKIP": TestChanged,
		"FAIL PASS": TestMended, "FAIL WARN": TestMended, "FAIL FAIL": TestUnchanged, "FAIL SKIP": TestChanged,
		"SKIP PASS": TestChanged, "SKIP WARN": TestChanged, "SKIP FAIL": TestChanged, "SKIP SKIP": TestUnchanged,
	} {
		before, now, _ := strings.Cut(pair, " ")
		got := CompareTests(ran("a="+before), ran("a="+now), nil)
		if len(got) != 1 || got[0].Change != want || got[0].Flaky {
			t.Errorf("%s: %+v, want %s", pair, got[0], want)
		}
	}
}

// TestCompareTestsOfRuns compares the first of a kind with the first, and lists
// what only one of the runs has.
func TestCompareTestsOfRuns(t *testing.T) {
	t.Parallel()
	base, head := ran("gone=FAIL", "a=PASS", "b=PASS", "a=FAIL", "a=PASS"), ran("a=FAIL", "new=FAIL", "a=PASS", "b=PASS")
	head[3].Scenario = "another"
	c := TestRunComparison{Tests: CompareTests(base, head, nil)}
	var got []string
	for _, test := range c.Tests {
		got = append(got, fmt.Sprintf("%s %s %d %s", test.EventName, test.Scenario, test.Occurrence, test.Change))
		if (test.Base == nil) != (test.Change == TestAdded) || (test.Head == nil) != (test.Change == TestRemoved) {
			t.Errorf("%+v", test)
		}
	}
	want := []string{"a valid 1 BROKE", "new valid 1 ADDED", "a valid 2 MENDED", "b another 1 ADDED", "gone valid 1 REMOVED", "b valid 1 REMOVED", "a valid 3 REMOVED"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Broke() != 1 || c.Mended() != 1 || c.Changed() != 0 || c.Unchanged() != 0 || c.Added() != 2 || c.Removed() != 3 || c.Flaky() != 0 || c.Success() {
		t.Errorf("%+v", c)
	}
	if want := "Of the tests: 1 broke, 1 mended, 2 new, 3 gone."; c.Message() != want {
		t.Errorf("%s, want %s", c.Message(), want)
	}
	if c.Tests = CompareTests(base, base, nil); !c.Success() || c.Message() != "Of the tests: 5 as before." {
		t.Errorf("%+v, %s", c, c.Message())
	}
}

// TestCompareTestsOfDeliveries compares tests of the same recorded delivery,
// whatever others of its event type were there.
func TestCompareTestsOfDeliveries(t *testing.T) {
	t.Parallel()
	base, head := ran("a=FAIL", "a=FAIL", "a=PASS"), ran("a=PASS", "a=FAIL", "a=PASS")
	for i, id := range []string{"dlv_1", "dlv_2"} {
		base[i].DeliveryID, head[1-i].DeliveryID = &id, &id
	}
	var got []string
	for _, test := range CompareTests(base, head, nil) {
		id := "none"
		if test.Head.DeliveryID != nil {
			id = *test.Head.DeliveryID
		}
		got = append(got, fmt.Sprint(id, " ", test.Occurrence, " ", test.Change))
	}
	if diff := cmp.Diff([]string{"dlv_2 1 MENDED", "dlv_1 1 UNCHANGED", "none 1 UNCHANGED"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFlaky is a test whose success went to and fro; a test that broke, or was
// mended, once is none.
func TestFlaky(t *testing.T) {
	t.Parallel()
	for verdicts, want := range map[string]bool{
		"PASS FAIL":                     false,
		"PASS PASS FAIL FAIL":           false,
		"PASS FAIL PASS":                true,
		"FAIL SKIP WARN SKIP FAIL":      true,
		"PASS WARN PASS WARN":           false,
		"PASS SKIP PASS":                false,
		"PASS FAIL FAIL FAIL FAIL PASS": true,
		"FAIL - - PASS - FAIL":          true, // a run without it
	} {
		var history [][]*TestResult
		for verdict := range strings.SplitSeq(verdicts, " ") {
			results := ran("other=PASS")
			if verdict != "-" {
				results = ran("other=PASS", "a="+verdict)
			}
			history = append(history, results)
		}
		got := CompareTests(history[0], history[len(history)-1], history)
		if got[0].Flaky || got[1].Flaky != want {
			t.Errorf("%s: %t, want %t", verdicts, got[1].Flaky, want)
		}
	}
}
