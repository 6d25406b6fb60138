package resolvers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

const compare = `query($base: ID!, $head: ID!, $changes: [TestChange!]) {
	compareTestRuns(base: $base, head: $head) {
		base { id } head { id } success message broke mended changed unchanged added removed flaky
		tests(changes: $changes) {
			eventName scenario { name } occurrence change flaky
			base { id verdict response { statusCode } } head { id verdict message response { statusCode } }
		}
	}
}`

type aComparison struct {
	Base, Head                                               struct{ ID string }
	Success                                                  bool
	Message                                                  string
	Broke, Mended, Changed, Unchanged, Added, Removed, Flaky int
	Tests                                                    []struct {
		EventName, Change string
		Scenario          struct{ Name string }
		Occurrence        int
		Flaky             bool
		Base, Head        *struct {
			ID, Verdict string
			Response    struct{ StatusCode int }
		}
	}
}

func (b *bundle) compare(t *testing.T, base, head string, changes ...string) (aComparison, []string) {
	t.Helper()
	variables := map[string]any{"base": base, "head": head}
	if changes != nil {
		variables["changes"] = changes
	}
	var got struct{ CompareTestRuns aComparison }
	statements := b.must(t, compare, variables, &got)
	return got.CompareTestRuns, statements
}

// testedAs is the id of a run of the webhook "w" in which the receiver fails
// some event types.
func (b *bundle) testedAs(t *testing.T, fails string, names ...string) string {
	t.Helper()
	b.receiver.Answer = func(r webhooktest.Request) webhooktest.Answer {
		if fails != "" && strings.Contains(string(r.Body), fails) {
			return webhooktest.Answer{Status: 500}
		}
		return webhooktest.Answer{}
	}
	var got started
	b.must(t, runFields+`mutation($names: [String!]) { testWebhook(input: {target: {webhookId: "w"}, eventNames: $names}) { testRun { ...Run } } }`, map[string]any{"names": names}, &got)
	return got.TestWebhook.TestRun.ID
}

// TestCompareTestRuns says what changed, with both results, and which tests are
// flaky, with as many statements however many tests there are.
func TestCompareTestRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, create, map[string]any{"input": object{"uid": "w", "url": b.url, "events": []string{"*"}}}, nil)
	first := b.testedAs(t, "order.status", "job.status", "order.status")
	second := b.testedAs(t, "job.status", "job.status", "order.status", "Payout.created")

	got, statements := b.compare(t, first, second)
	if got.Base.ID != first || got.Head.ID != second || got.Success || got.Broke != 1 || got.Mended != 1 || got.Added != 1 || got.Removed+got.Changed+got.Unchanged+got.Flaky != 0 ||
		got.Message != "Of the tests: 1 broke, 1 mended, 1 new." {
		t.Errorf("%+v", got)
	}
	var lines []string
	for _, test := range got.Tests {
		line := fmt.Sprint(test.EventName, " ", test.Scenario.Name, " ", test.Occurrence, " ", test.Change)
		for _, result := range []*struct {
			ID, Verdict string
			Response    struct{ StatusCode int }
		}{test.Base, test.Head} {
			if result != nil {
				line += fmt.Sprint(" ", result.Verdict, " ", result.Response.StatusCode)
			}
		}
		lines = append(lines, line)
	}
	want := []string{"Payout.created valid 1 ADDED PASS 200", "job.status valid 1 BROKE PASS 200 FAIL 500", "order.status valid 1 MENDED FAIL 500 PASS 200"}
	slices.Sort(lines)
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(statements) != 5 {
		t.Errorf("%v", statements)
	}
	if got, _ := b.compare(t, second, first, "BROKE", "REMOVED"); len(got.Tests) != 2 || got.Removed != 1 {
		t.Errorf("%+v", got)
	}
	if got, _ := b.compare(t, first, first); !got.Success || got.Unchanged != 2 || len(got.Tests) != 0 {
		t.Errorf("%+v", got)
	}

	third := b.testedAs(t, "", "job.status", "order.status")
	got, _ = b.compare(t, first, third)
	if got.Flaky != 1 || got.Unchanged != 1 || got.Mended != 1 || len(got.Tests) != 2 || !got.Success {
		t.Errorf("%+v", got)
	}
	for _, test := range got.Tests {
		if test.Flaky != (test.EventName == "job.status") {
			t.Errorf("%+v", test)
		}
	}
	if got, _ := b.compare(t, first, second); got.Flaky != 0 {
		t.Errorf("a later run counts: %+v", got)
	}
	for range historyLength {
		b.testedAs(t, "", "job.status", "order.status")
	}
	last := b.testedAs(t, "", "job.status")
	if got, _ := b.compare(t, third, last); got.Flaky != 0 {
		t.Errorf("runs of long ago count: %+v", got)
	}
	b.sql(t, `UPDATE test_runs SET url = 'https://example.com/other' WHERE id = $1`, second)
	if got, _ := b.compare(t, first, third); got.Flaky != 0 {
		t.Errorf("a run of another URL counts: %+v", got)
	}
}

// TestCompareTestRunsOfEndpoints needs no webhook.
func TestCompareTestRunsOfEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for range 2 {
		id := b.start(t, "job.status").TestWebhook.TestRun.ID
		b.until(t, id, (*aTestRun).ended)
		ids = append(ids, id)
	}
	if got, _ := b.compare(t, ids[0], ids[1]); got.Unchanged != 1 || !got.Success {
		t.Errorf("%+v", got)
	}
}

// TestCompareTestRunsRefused compares only runs that have come to their end, of
// the caller's own.
func TestCompareTestRunsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := b.start(t, "job.status").TestWebhook.TestRun.ID
	b.until(t, done, (*aTestRun).ended)
	b.hold(t)
	canceled, running := b.start(t, "job.status").TestWebhook.TestRun.ID, b.start(t, "job.status").TestWebhook.TestRun.ID
	b.must(t, cancelRun, map[string]any{"id": canceled}, nil)
	refused := func(base, head, code, want string) {
		t.Helper()
		a, _ := b.ask(t, compare, map[string]any{"base": base, "head": head})
		if len(a.Errors) != 1 || string(a.Errors[0].Extensions.Code) != code || !strings.Contains(a.Errors[0].Message, want) {
			t.Errorf("%+v, want %s", a, want)
		}
	}
	refused(done, running, "BAD_USER_INPUT", "still under way")
	refused(canceled, done, "BAD_USER_INPUT", "was cut off")
	refused(done, "run_absent", "BAD_USER_INPUT", `There is no test run "run_absent" in your workspace.`)
	refused("\x00", done, "BAD_USER_INPUT", "There is no test run")
	own := b.caller
	b.caller.WorkspaceID = "ws_other"
	refused(done, done, "BAD_USER_INPUT", "There is no test run")
	b.caller = auth.Caller{Key: &webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeEventsRead}}, WorkspaceID: b.workspace}
	refused(done, done, "FORBIDDEN", "WEBHOOKS_READ")
	b.caller = own
	b.must(t, cancelRun, map[string]any{"id": running}, nil)
}
