package resolvers

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/webhooktest"
)

const runFields = `
fragment Run on TestRun {
	id status success startedAt finishedAt testsTotal testsRun testsSucceeded testsFailed
	tests { nodes { eventName status success verdict message outcome startedAt durationMs request { method } response { statusCode } timing { totalMs } exchanges { number } } }
}`

// aTestRun is what runFields selects.
type aTestRun struct {
	ID, Status                                        string
	Success                                           *bool
	FinishedAt                                        *time.Time
	TestsTotal, TestsRun, TestsSucceeded, TestsFailed int
	Tests                                             struct{ Nodes []aTest }
}

type aTest struct {
	EventName, Status, Message string
	Success                    *bool
	Verdict, Outcome           *string
	StartedAt                  *time.Time
	DurationMs                 *float64
	Request, Response, Timing  *struct{}
	Exchanges                  []struct{}
}

const startTest = runFields + `
mutation($url: URL!, $events: [String!]!) {
	testWebhook(input: {target: {endpoint: {url: $url, events: $events}}, wait: false}) { testRun { ...Run } userErrors { code field } }
}`

type started struct {
	TestWebhook struct {
		TestRun    *aTestRun
		UserErrors []aMistake
	}
}

type aMistake struct {
	Code  string
	Field []string
}

// start starts a run of the receiver for event types.
func (b *bundle) start(t *testing.T, events ...string) (got started) {
	t.Helper()
	b.must(t, startTest, map[string]any{"url": b.url, "events": events}, &got)
	return got
}

// until asks for a run until it is as wanted.
func (b *bundle) until(t *testing.T, id string, want func(*aTestRun) bool) *aTestRun {
	t.Helper()
	for {
		var got struct{ TestRun *aTestRun }
		b.must(t, runFields+`query($id: ID!) { testRun(id: $id) { ...Run } }`, map[string]any{"id": id}, &got)
		if want(got.TestRun) {
			return got.TestRun
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *aTestRun) ended() bool { return r.Status != "RUNNING" }

// hold makes the receiver wait before each answer, until the test releases it
// or ends.
func (b *bundle) hold(t *testing.T) (release func()) {
	t.Helper()
	gate, open := context.WithCancel(t.Context())
	t.Cleanup(open)
	b.receiver.Answer = func(webhooktest.Request) webhooktest.Answer {
		<-gate.Done()
		return webhooktest.Answer{}
	}
	return open
}

// A run that is begun can be followed to its end, and says what is not known
// yet by null.
func TestWaitFalse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := b.hold(t)
	got := b.start(t, "job.*", "Payout.*")
	run := got.TestWebhook.TestRun
	if run == nil || run.Status != "RUNNING" || run.Success != nil || run.FinishedAt != nil || run.TestsRun != 0 || run.TestsTotal != len(run.Tests.Nodes) {
		t.Fatalf("begun as %+v", got)
	}
	for i, test := range run.Tests.Nodes {
		if diff := cmp.Diff(aTest{EventName: test.EventName, Status: "WAITING", Exchanges: []struct{}{}}, test); diff != "" {
			t.Errorf("test %d (-want +got):\n%s", i, diff)
		}
	}
	sent := b.until(t, run.ID, func(r *aTestRun) bool { return r.Tests.Nodes[0].Status == "RUNNING" })
	if test := sent.Tests.Nodes[0]; test.StartedAt == nil || test.Verdict != nil || test.Outcome != nil || test.Request != nil || len(test.Exchanges) != 0 {
		t.Errorf("sent: %+v", test)
	}
	release()
	done := b.until(t, run.ID, (*aTestRun).ended)
	if done.Status != "FINISHED" || !*done.Success || done.FinishedAt == nil || done.TestsRun != run.TestsTotal || done.TestsSucceeded != run.TestsTotal {
		t.Errorf("done: %+v", done)
	}
	for i, test := range done.Tests.Nodes {
		if test.EventName != run.Tests.Nodes[i].EventName || test.Status != "SUCCEEDED" || *test.Verdict != "PASS" || *test.Outcome != "DELIVERED" ||
			test.Message == "" || test.StartedAt == nil || test.DurationMs == nil || test.Response == nil || len(test.Exchanges) != 1 {
			t.Errorf("test %d: %+v", i, test)
		}
	}
}

// A webhook is on by the time that its run is seen to have succeeded.
func TestWaitFalseActivates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { message } } }`,
		map[string]any{"input": map[string]any{"uid": "w", "url": b.url, "events": []string{"job.status"}, "active": false}}, nil)
	var got started
	b.must(t, runFields+`mutation { testWebhook(input: {target: {webhookId: "w"}, activate: true, wait: false}) { testRun { ...Run } } }`, nil, &got)
	if run := b.until(t, got.TestWebhook.TestRun.ID, (*aTestRun).ended); !*run.Success {
		t.Errorf("got %+v", run)
	}
	var w struct {
		Webhook struct{ Status, StatusReason string }
	}
	b.must(t, `{ webhook(id: "w") { status statusReason } }`, nil, &w)
	if w.Webhook.Status != "ACTIVE" || w.Webhook.StatusReason != "TEST_PASSED" {
		t.Errorf("got %+v", w)
	}
}

const cancelRun = runFields + `mutation($id: ID!) { cancelTestRun(input: {id: $id}) { testRun { ...Run } userErrors { code field } } }`

type canceled struct {
	CancelTestRun struct {
		TestRun    *aTestRun
		UserErrors []aMistake
	}
}

// A run of this process has ended when its cancellation is answered; one of
// another process soon after.
func TestCancelTestRun(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	here := setupWith(t, url, Options{})
	there := setupWith(t, url, Options{})
	here.hold(t)
	cancel := func(b *bundle, id string) (got canceled) {
		t.Helper()
		b.must(t, cancelRun, map[string]any{"id": id}, &got)
		return got
	}
	for name, b := range map[string]*bundle{"here": here, "there": there} {
		id := here.start(t, "job.status").TestWebhook.TestRun.ID
		here.until(t, id, func(r *aTestRun) bool { return r.Tests.Nodes[0].Status == "RUNNING" })
		got := cancel(b, id).CancelTestRun
		if len(got.UserErrors) > 0 || b == here && !got.TestRun.ended() {
			t.Errorf("%s: %+v", name, got)
		}
		run := there.until(t, id, (*aTestRun).ended)
		if test := run.Tests.Nodes[0]; run.Status != "ABORTED" || *run.Success || run.TestsFailed != 1 || test.Status != "FAILED" || *test.Outcome != "CANCELED" {
			t.Errorf("%s: %+v", name, run)
		}
		want := []aMistake{{"WRONG_STATE", []string{"input", "id"}}}
		if diff := cmp.Diff(want, cancel(b, id).CancelTestRun.UserErrors); diff != "" {
			t.Errorf("%s, canceled again (-want +got):\n%s", name, diff)
		}
	}
	if got := cancel(here, "run_absent").CancelTestRun; got.TestRun != nil || got.UserErrors[0].Code != "NOT_FOUND" {
		t.Errorf("absent: %+v", got)
	}
}

func TestRunsWithoutWaitingAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hold(t)
	var ids []string
	for range 5 {
		ids = append(ids, b.start(t, "job.status").TestWebhook.TestRun.ID)
	}
	got := b.start(t, "job.status")
	if diff := cmp.Diff([]aMistake{{"LIMIT_REACHED", []string{"input", "wait"}}}, got.TestWebhook.UserErrors); diff != "" || got.TestWebhook.TestRun != nil {
		t.Errorf("a sixth: %+v (-want +got):\n%s", got, diff)
	}
	for _, id := range ids {
		b.must(t, cancelRun, map[string]any{"id": id}, nil)
	}
}

// A webhook leads to its newest test run.
func TestLastTestRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	var got struct {
		Webhook struct {
			LastTestRun *struct{ ID string }
			TestRuns    struct{ Nodes []struct{ ID string } }
		}
	}
	const document = `{ webhook(id: "w") { lastTestRun { id } testRuns { nodes { id } } } }`
	b.must(t, document, nil, &got)
	if got.Webhook.LastTestRun != nil {
		t.Errorf("got %+v, want no run", got)
	}
	for range 2 {
		b.must(t, `mutation { testWebhook(input: {target: {webhookId: "w"}}) { userErrors { message } } }`, nil, nil)
	}
	b.must(t, document, nil, &got)
	if len(got.Webhook.TestRuns.Nodes) != 2 || got.Webhook.LastTestRun == nil || *got.Webhook.LastTestRun != got.Webhook.TestRuns.Nodes[0] {
		t.Errorf("got %+v, want the newest of two runs", got)
	}
}

// TestOutcomeOfARunThatGoes has no outcome where a run is removed between one
// statement and the next.
func TestOutcomeOfARunThatGoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, create, map[string]any{"input": object{"uid": "w", "url": b.url, "events": []string{"*"}}}, nil)
	id := b.testedAs(t, "", "job.status")
	b.sql(t, `DELETE FROM test_exchanges`)
	var got struct {
		TestRun struct {
			Tests struct {
				Nodes []struct{ Verdict, Outcome *string }
			}
		}
	}
	b.must(t, `query($id: ID!) { testRun(id: $id) { tests { nodes { verdict outcome } } } }`, map[string]any{"id": id}, &got)
	if nodes := got.TestRun.Tests.Nodes; len(nodes) != 1 || nodes[0].Verdict == nil || nodes[0].Outcome != nil {
		t.Errorf("%+v", got)
	}
}
