package resolvers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

const followRun = `subscription($id: ID!) {
	testRunProgress(testRunId: $id) { testRun { status testsRun } result { eventName status outcome request { method } } }
}`

func progress(status string, testsRun int, result string) string {
	return fmt.Sprintf(`{"data":{"testRunProgress":{"testRun":{"status":%q,"testsRun":%d},"result":%s}}}`, status, testsRun, result)
}

const (
	jobSent      = `{"eventName":"job.status","status":"RUNNING","outcome":null,"request":null}`
	jobDone      = `{"eventName":"job.status","status":"SUCCEEDED","outcome":"DELIVERED","request":{"method":"POST"}}`
	jobCanceled  = `{"eventName":"job.status","status":"FAILED","outcome":"CANCELED","request":null}`
	jobCutOff    = `{"eventName":"job.status","status":"FAILED","outcome":"CANCELED","request":{"method":"POST"}}`
	orderWaiting = `{"eventName":"order.status","status":"FAILED","outcome":"CANCELED","request":null}`
)

// together are two processes on one database that tell each other what
// changes.
func together(t *testing.T) (here, there *bundle) {
	t.Helper()
	url := pgtest.URL(t)
	here, there = setupWith(t, url, Options{}), setupWith(t, url, Options{})
	for _, b := range []*bundle{here, there} {
		b.engine.Hub.Wire = b.db
		b.run(t)
	}
	return here, there
}

// TestTestRunProgress follows a run of another process from its beginning to
// its end, which comes by itself; whoever comes later sees it all the same.
func TestTestRunProgress(t *testing.T) {
	t.Parallel()
	here, there := together(t)
	release := here.hold(t)
	id := here.start(t, "job.status").TestWebhook.TestRun.ID
	here.until(t, id, func(r *aTestRun) bool { return r.Tests.Nodes[0].Status == "RUNNING" })
	var all []*listening
	for n := range 40 {
		all = append(all, []*bundle{here, there}[n%2].listen(t, followRun, map[string]any{"id": id}))
	}
	for _, l := range all {
		l.hears(progress("RUNNING", 0, "null"), progress("RUNNING", 0, jobSent))
	}
	release()
	for _, l := range all {
		got := l.next()
		if got == progress("RUNNING", 1, jobDone) { // else it ended within the same look
			l.hears(progress("FINISHED", 1, "null"), "")
			continue
		}
		if want := progress("FINISHED", 1, jobDone); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		l.hears(progress("FINISHED", 1, "null"), "")
	}
	late := there.listen(t, followRun, map[string]any{"id": id})
	late.hears(progress("FINISHED", 1, "null"), progress("FINISHED", 1, jobDone), progress("FINISHED", 1, "null"), "")
}

// TestTestRunProgressOfCanceled ends with the run.
func TestTestRunProgressOfCanceled(t *testing.T) {
	t.Parallel()
	here, there := together(t)
	here.hold(t)
	id := here.start(t, "job.status").TestWebhook.TestRun.ID
	here.until(t, id, func(r *aTestRun) bool { return r.Tests.Nodes[0].Status == "RUNNING" })
	l := there.listen(t, followRun, map[string]any{"id": id})
	l.hears(progress("RUNNING", 0, "null"), progress("RUNNING", 0, jobSent))
	there.must(t, cancelRun, map[string]any{"id": id}, nil)
	l.hears(progress("ABORTED", 1, jobCutOff), progress("ABORTED", 1, "null"), "")
}

// TestTestRunProgressOfKilled ends within seconds after another process has
// ended the run, though that tells nobody.
func TestTestRunProgressOfKilled(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	here, there := setupWith(t, url, Options{}), setupWith(t, url, Options{})
	now := webhook.Now()
	run := webhook.TestRun{ID: webhook.NewID(webhook.TestRunPrefix), URL: here.url, Status: webhook.TestRunRunning, StartedAt: now, TestsTotal: 2}
	sent := webhook.Test{TestResult: webhook.TestResult{ID: webhook.NewID(webhook.TestPrefix), EventName: "job.status", Scenario: webhook.ScenarioValid}}
	waits := webhook.Test{TestResult: webhook.TestResult{ID: webhook.NewID(webhook.TestPrefix), EventName: "order.status", Scenario: webhook.ScenarioValid}}
	if _, err := here.db.BeginTestRun(t.Context(), here.workspace, &run, []webhook.Test{sent, waits}, webhook.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	sent.StartedAt = &now
	if _, err := here.db.KeepTestRun(t.Context(), here.workspace, &run, []webhook.Test{sent}); err != nil {
		t.Fatal(err)
	}
	l := here.listen(t, followRun, map[string]any{"id": run.ID})
	l.hears(progress("RUNNING", 0, "null"), progress("RUNNING", 0, jobSent))
	here.sql(t, `UPDATE test_runs SET leased_until = now() WHERE id = $1`, run.ID)
	there.run(t) // its upkeep ends the run
	began := time.Now()
	l.hears(progress("ABORTED", 2, jobCanceled), progress("ABORTED", 2, orderWaiting), progress("ABORTED", 2, "null"), "")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the end was noticed after %s", took)
	}
}

// TestTestRunProgressRefused says what is wrong, and shows nobody's run to
// others.
func TestTestRunProgressRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.start(t, "job.status").TestWebhook.TestRun.ID
	b.until(t, id, (*aTestRun).ended)
	refused := func(id, want string) {
		t.Helper()
		l := b.listen(t, followRun, map[string]any{"id": id})
		if got := l.next(); !strings.Contains(got, want) || strings.Contains(got, `"data"`) {
			t.Errorf("%q: %s", id, got)
		}
		l.hears("")
	}
	refused("run_absent", `"BAD_USER_INPUT"`)
	refused("\x00", `There is no test run \"\\x00\" in your workspace.`)
	own := b.caller
	b.caller.WorkspaceID = "ws_other"
	refused(id, `"BAD_USER_INPUT"`)
	b.caller = auth.Caller{Key: &webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeEventsRead}}, WorkspaceID: b.workspace}
	refused(id, `"FORBIDDEN"`)
	b.caller = own
	b.subscribed(t, 0)
}

// TestTestRunProgressStatements reads what the tests of a run lead to by
// groups.
func TestTestRunProgressStatements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.start(t, "*").TestWebhook.TestRun
	b.until(t, run.ID, (*aTestRun).ended)
	b.mu.Lock()
	b.statements = nil
	b.mu.Unlock()
	l := b.listen(t, `subscription($id: ID!) { testRunProgress(testRunId: $id) {
		testRun { tests { nodes { message } } } result { message eventType { title } outcome request { body } response { body } exchanges { number } } } }`, map[string]any{"id": run.ID})
	steps := 0
	for l.next() != "" {
		steps++
	}
	if steps != run.TestsTotal+2 || run.TestsTotal < 5 {
		t.Errorf("%d steps of %d tests", steps, run.TestsTotal)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.statements) > 6 {
		t.Errorf("%d statements for %d steps: %v", len(b.statements), steps, b.statements)
	}
}
