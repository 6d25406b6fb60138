package webhook

import (
	"fmt"
	"slices"
	"strings"
)

// TestRunComparison is what changed between two test runs.
type TestRunComparison struct {
	Base, Head *TestRun
	// Tests are in the order of head; those that only base has come last.
	Tests []*TestComparison
}

// TestComparison is one test in two runs.
type TestComparison struct {
	EventName string
	// Scenario is the name of what the endpoint was put through.
	Scenario string
	// Occurrence is which of several of the event type, scenario and delivery it
	// is, from 1.
	Occurrence int
	Change     TestChange
	// Flaky says that its success changed to and fro.
	Flaky bool
	// Base and Head are its results; nil where the run has none.
	Base, Head *TestResult
}

// TestChange is what became of a test from one run to another.
type TestChange string

// The changes.
const (
	TestBroke     TestChange = "BROKE"
	TestMended    TestChange = "MENDED"
	TestChanged   TestChange = "CHANGED"
	TestUnchanged TestChange = "UNCHANGED"
	TestAdded     TestChange = "ADDED"
	TestRemoved   TestChange = "REMOVED"
)

// minSwings is how often the success of a flaky test changes at least: there
// and back. One change is what a comparison is about.
const minSwings = 2

// testKey tells the tests of a run apart.
type testKey struct {
	eventName, scenario string
	delivery            string // "": none was recorded
	occurrence          int
}

// keyed are the results of a run by their keys, which come in order.
func keyed(results []*TestResult) (keys []testKey, byKey map[testKey]*TestResult) {
	seen := make(map[testKey]int)
	byKey = make(map[testKey]*TestResult, len(results))
	for _, r := range results {
		key := testKey{eventName: r.EventName, scenario: r.Scenario}
		if r.DeliveryID != nil {
			key.delivery = *r.DeliveryID
		}
		seen[key]++
		key.occurrence = seen[key]
		keys = append(keys, key)
		byKey[key] = r
	}
	return keys, byKey
}

// CompareTests compares the results of two runs that have finished. History are
// those of the runs in which to look for flaky tests, base and head among them,
// oldest first.
func CompareTests(base, head []*TestResult, history [][]*TestResult) []*TestComparison {
	baseKeys, inBase := keyed(base)
	headKeys, inHead := keyed(head)
	past := make([]map[testKey]*TestResult, len(history))
	for i, results := range history {
		_, past[i] = keyed(results)
	}
	keys := append(headKeys, slices.DeleteFunc(baseKeys, func(k testKey) bool { return inHead[k] != nil })...)
	tests := make([]*TestComparison, len(keys))
	for i, k := range keys {
		tests[i] = &TestComparison{
			EventName: k.eventName, Scenario: k.scenario, Occurrence: k.occurrence,
			Change: changeOf(inBase[k], inHead[k]), Flaky: swings(past, k) >= minSwings,
			Base: inBase[k], Head: inHead[k],
		}
	}
	return tests
}

// changeOf is what became of a test; one of the results may be nil.
func changeOf(base, head *TestResult) TestChange {
	switch {
	case base == nil:
		return TestAdded
	case head == nil:
		return TestRemoved
	case base.Verdict == head.Verdict:
		return TestUnchanged
	}
	before, now := base.Success(), head.Success()
	switch {
	case before == nil || now == nil || *before == *now:
		return TestChanged
	case *before:
		return TestBroke
	default:
		return TestMended
	}
}

// swings is how often the success of a test changed from run to run.
func swings(past []map[testKey]*TestResult, k testKey) (n int) {
	var last *bool
	for _, results := range past {
		r := results[k]
		if r == nil || r.Success() == nil {
			continue
		}
		if last != nil && *last != *r.Success() {
			n++
		}
		last = r.Success()
	}
	return n
}

func (c *TestRunComparison) count(change TestChange) (n int) {
	for _, t := range c.Tests {
		if t.Change == change {
			n++
		}
	}
	return n
}

// Broke is how many tests broke.
func (c *TestRunComparison) Broke() int { return c.count(TestBroke) }

// Mended is how many tests were mended.
func (c *TestRunComparison) Mended() int { return c.count(TestMended) }

// Changed is how many tests have another verdict that neither broke nor were
// mended.
func (c *TestRunComparison) Changed() int { return c.count(TestChanged) }

// Unchanged is how many tests have the same verdict.
func (c *TestRunComparison) Unchanged() int { return c.count(TestUnchanged) }

// Added is how many tests only head has.
func (c *TestRunComparison) Added() int { return c.count(TestAdded) }

// Removed is how many tests only base has.
func (c *TestRunComparison) Removed() int { return c.count(TestRemoved) }

// Flaky is how many tests are flaky.
func (c *TestRunComparison) Flaky() (n int) {
	for _, t := range c.Tests {
		if t.Flaky {
			n++
		}
	}
	return n
}

// Success says whether nothing broke.
func (c *TestRunComparison) Success() bool { return c.Broke() == 0 }

// Message says in words what changed.
func (c *TestRunComparison) Message() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.Broke(), "broke"}, {c.Mended(), "mended"}, {c.Changed(), "changed otherwise"}, {c.Added(), "new"},
		{c.Removed(), "gone"}, {c.Unchanged(), "as before"}, {c.Flaky(), "flaky"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return "Of the tests: " + strings.Join(parts, ", ") + "."
}
