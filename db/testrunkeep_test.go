package db_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// A run can be read from its beginning on, with all its tests, and what is kept
// twice stands there once.
func TestRunIsKeptAsItGoes(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	done, tests := newRun(insert(t, d, workspaceID, newWebhook("mine")))
	run := *done
	run.Status, run.FinishedAt, run.TestsSucceeded, run.TestsFailed = webhook.TestRunRunning, nil, 0, 0
	is := func(when string, want webhook.TestRun, statuses ...webhook.TestStatus) {
		t.Helper()
		got, err := d.TestRun(t.Context(), workspaceID, run.ID)
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%s (-want +got): %v\n%s", when, err, diff)
		}
		results, err := d.TestResults(t.Context(), workspaceID, []string{run.ID})
		if err != nil || len(results[run.ID]) != len(tests) {
			t.Fatalf("%s: %d results, %v", when, len(results[run.ID]), err)
		}
		for i, r := range results[run.ID] {
			if r.ID != tests[i].ID || r.Status() != statuses[i] {
				t.Errorf("%s: test %d is %s, want %s: %+v", when, i, r.Status(), statuses[i], r)
			}
		}
	}
	keep := func(changed ...webhook.Test) {
		t.Helper()
		if canceled, err := d.KeepTestRun(t.Context(), workspaceID, &run, changed); err != nil || canceled {
			t.Fatalf("KeepTestRun = %t, %v", canceled, err)
		}
	}

	if _, err := d.BeginTestRun(t.Context(), workspaceID, &run, tests, webhook.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	is("begun", run, webhook.TestWaiting, webhook.TestWaiting)
	keep(webhook.Test{TestResult: webhook.TestResult{ID: tests[0].ID, StartedAt: &run.StartedAt}})
	is("sent", run, webhook.TestRunning, webhook.TestWaiting)
	run.TestsSucceeded = 1
	keep(tests[0])
	keep(tests[0]) // as where the first answer of the database was lost
	is("answered", run, webhook.TestSucceeded, webhook.TestWaiting)
	if exchanges, err := d.TestExchanges(t.Context(), workspaceID, []string{tests[0].ID}); err != nil || len(exchanges[tests[0].ID]) != 1 {
		t.Errorf("exchanges = %v, %v, want one", exchanges, err)
	}
	run = *done
	keep(tests[1])
	is("done", run, webhook.TestSucceeded, webhook.TestFailed)

	// What has ended is not changed any more.
	late := run
	late.TestsFailed = 0
	if _, err := d.KeepTestRun(t.Context(), workspaceID, &late, nil); !errors.Is(err, webhook.NotFound) {
		t.Errorf("KeepTestRun after the end: %v, want NOT_FOUND", err)
	}
	is("late", run, webhook.TestSucceeded, webhook.TestFailed)
}

// begun is a run of two tests that has begun; the first was sent.
func begun(t *testing.T, d *db.DB, workspaceID, uid string) (*webhook.TestRun, []webhook.Test) {
	t.Helper()
	run, tests := newRun(insert(t, d, workspaceID, newWebhook(uid)))
	run.Status, run.FinishedAt, run.TestsSucceeded, run.TestsFailed = webhook.TestRunRunning, nil, 0, 0
	for i := range tests {
		tests[i].StartedAt, tests[i].Verdict, tests[i].Message, tests[i].Exchanges = nil, "", "", nil
	}
	tests[0].StartedAt = &run.StartedAt
	if _, err := d.BeginTestRun(t.Context(), workspaceID, run, tests, webhook.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.KeepTestRun(t.Context(), workspaceID, run, tests[:1]); err != nil {
		t.Fatal(err)
	}
	return run, tests
}

func TestCancelTestRun(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	run, _ := begun(t, d, workspaceID, "mine")
	theirs, err := d.EnsureWorkspace(t.Context(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CancelTestRun(t.Context(), theirs, run.ID); !errors.Is(err, webhook.NotFound) {
		t.Errorf("from another workspace: %v, want NOT_FOUND", err)
	}
	if canceled, err := d.KeepTestRun(t.Context(), workspaceID, run, nil); err != nil || canceled {
		t.Errorf("KeepTestRun = %t, %v, want no cancellation from another workspace", canceled, err)
	}
	for range 2 { // the second time changes nothing
		got, err := d.CancelTestRun(t.Context(), workspaceID, run.ID)
		if diff := cmp.Diff(run, got); err != nil || diff != "" {
			t.Errorf("canceled: %v\n%s", err, diff)
		}
	}
	if canceled, err := d.KeepTestRun(t.Context(), workspaceID, run, nil); err != nil || !canceled {
		t.Errorf("KeepTestRun = %t, %v, want it canceled", canceled, err)
	}
	ended := insertRun(t, d, insert(t, d, workspaceID, newWebhook("other")))
	if _, err := d.CancelTestRun(t.Context(), workspaceID, ended.ID); !errors.Is(err, webhook.WrongState) {
		t.Errorf("of a run that has ended: %v, want WRONG_STATE", err)
	}
}

// A workspace begins only so many runs within a minute, those of the same moment
// counted; what ran before under its idempotency key is told all the same, and
// another workspace begins its own.
func TestRunsAreLimited(t *testing.T) {
	t.Parallel()
	d, workspaceID := open(t)
	d.LimitTestRuns = true
	other, err := d.EnsureWorkspace(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	begin := func(workspaceID, key string) (earlier string, err error) {
		run, tests := newRun(&webhook.Webhook{WorkspaceID: workspaceID, URL: "https://example.com"})
		run.WebhookID, run.Status, run.FinishedAt = nil, webhook.TestRunRunning, nil
		return d.BeginTestRun(context.Background(), workspaceID, run, tests, webhook.Idempotency{Key: key})
	}
	if _, err := begin(workspaceID, "once"); err != nil {
		t.Fatal(err)
	}
	began := make(chan error) // from each of those below
	for range 2 * db.MaxTestRuns {
		go func() {
			_, err := begin(workspaceID, "")
			began <- err
		}()
	}
	refused := 0
	for range 2 * db.MaxTestRuns {
		var mistake *webhook.Error
		switch err := <-began; {
		case err == nil:
		case errors.As(err, &mistake) && mistake.Code == webhook.RateLimited && mistake.RetryAfter > 50*time.Second && mistake.RetryAfter <= time.Minute:
			refused++
		default:
			t.Errorf("got %v", err)
		}
	}
	if refused != db.MaxTestRuns+1 {
		t.Errorf("%d of %d runs were refused, want %d", refused, 2*db.MaxTestRuns, db.MaxTestRuns+1)
	}
	if earlier, err := begin(workspaceID, "once"); err != nil || earlier == "" {
		t.Errorf("again under its key: %q, %v, want the first run", earlier, err)
	}
	if _, err := begin(other, ""); err != nil {
		t.Errorf("in another workspace: %v", err)
	}
}

// expire lets the lease of every run of a database end. Nothing in the program
// sets the database's clock, so a test moves the lease instead.
func expire(t *testing.T, url string) {
	t.Helper()
	own, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close() //nolint:errcheck // the test's own
	if _, err := own.ExecContext(context.Background(), "UPDATE test_runs SET leased_until = now() WHERE status = 'RUNNING'"); err != nil {
		t.Fatal(err)
	}
}

// Runs that their process left are aborted, once, however many look, and their
// numbers add up; a run that is alive is let be.
func TestEndLeftTestRuns(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	d, err := db.Open(t.Context(), url, pgtest.MasterKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	workspaceID, err := d.EnsureWorkspace(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	left, tests := begun(t, d, workspaceID, "left")
	expire(t, url)
	alive, _ := begun(t, d, workspaceID, "alive")

	ended := make(chan int) // from each of those who look
	const lookers = 4
	for range lookers {
		go func() {
			n, err := d.EndLeftTestRuns(context.Background(), "not sent", "no answer")
			if err != nil {
				t.Error(err)
			}
			ended <- n
		}()
	}
	n := 0
	for range lookers {
		n += <-ended
	}
	if n != 1 {
		t.Errorf("%d runs were ended, want 1", n)
	}
	got, err := d.TestRun(t.Context(), workspaceID, left.ID)
	if err != nil || got.Status != webhook.TestRunAborted || got.FinishedAt == nil || got.TestsRun() != 2 || got.TestsFailed != 2 {
		t.Errorf("got %+v, %v, want it ABORTED with 2 failed", got, err)
	}
	for i, want := range []string{"no answer", "not sent"} {
		r, err := d.TestResult(t.Context(), workspaceID, tests[i].ID)
		if err != nil || r.Status() != webhook.TestFailed || r.Message != want {
			t.Errorf("test %d: %+v, %v, want it failed: %s", i, r, err, want)
		}
	}
	if _, err := d.KeepTestRun(t.Context(), workspaceID, left, nil); !errors.Is(err, webhook.NotFound) {
		t.Errorf("KeepTestRun of a run that was left: %v, want NOT_FOUND", err)
	}
	if got, err := d.TestRun(t.Context(), workspaceID, alive.ID); err != nil || got.Status != webhook.TestRunRunning {
		t.Errorf("a run that is alive is %+v, %v", got, err)
	}
}
