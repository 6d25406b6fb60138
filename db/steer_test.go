package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/webhook"
)

// row is a delivery as it stands in the table.
type row struct {
	State, Trigger          string
	Lease, Attempts, Ladder int
	Due, Finished           bool
}

func (h *history) row(t *testing.T, id string) (r row) {
	t.Helper()
	if err := h.own.QueryRowContext(t.Context(), `SELECT state, trigger, lease, attempts, ladder, next_at <= now(), finished_at IS NOT NULL FROM deliveries WHERE id = $1`, id).
		Scan(&r.State, &r.Trigger, &r.Lease, &r.Attempts, &r.Ladder, &r.Due, &r.Finished); err != nil {
		t.Fatal(err)
	}
	return r
}

// setWebhook changes the webhook at a place.
func (h *history) setWebhook(t *testing.T, n int, set func(*webhook.Webhook)) {
	t.Helper()
	if _, err := h.ChangeWebhook(t.Context(), h.workspace, h.webhooks[n], func(w *webhook.Webhook) error { set(w); return nil }); err != nil {
		t.Fatal(err)
	}
}

const later = `next_at = now() + interval '1 hour'`

func TestRetryDelivery(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	event := h.event(t, "job.status", webhook.Now())
	retried := row{State: "READY", Trigger: "MANUAL", Due: true}
	begun := row{State: "READY", Trigger: "MANUAL", Due: true, Attempts: 3, Ladder: 3}
	for _, test := range []struct {
		change string
		want   row
		status webhook.DeliveryStatus
		refuse string // part of the message
	}{
		{change: `state = 'FAILED', finished_at = now(), attempts = 3, ladder = 1, ` + later, want: begun, status: webhook.DeliveryPending},
		{change: `state = 'SUCCEEDED', finished_at = now(), attempts = 3`, want: begun, status: webhook.DeliveryPending},
		{change: `state = 'CANCELED', finished_at = now()`, want: retried, status: webhook.DeliveryPending},
		{change: later, want: retried, status: webhook.DeliveryPending},
		{change: `state = 'PARKED', ` + later, want: retried, status: webhook.DeliveryPending},
		{change: `attempts = 3, ladder = 1, trigger = 'RETRY', ` + later, want: row{State: "READY", Trigger: "MANUAL", Due: true, Attempts: 3, Ladder: 1}, status: webhook.DeliveryRetrying},
		{change: `lease = 7, ` + later, want: row{State: "READY", Trigger: "PUBLISH", Lease: 7}, refuse: "under way"},
	} {
		id := h.delivery(t, event, h.webhooks[0], "READY", webhook.Now())
		h.exec(t, `UPDATE deliveries SET `+test.change+` WHERE id = $1`, id)
		got, err := h.RetryDelivery(t.Context(), h.workspace, id)
		if test.refuse != "" {
			if !errors.Is(err, webhook.WrongState) || !strings.Contains(err.Error(), test.refuse) {
				t.Errorf("%s: %v, want WRONG_STATE that says %q", test.change, err, test.refuse)
			}
		} else if err != nil || got.Status != test.status || got.NextAttemptAt == nil || got.FinishedAt != nil {
			t.Errorf("%s: %+v, %v", test.change, got, err)
		}
		if diff := cmp.Diff(test.want, h.row(t, id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.change, diff)
		}
	}

	id := h.delivery(t, event, h.webhooks[0], "FAILED", webhook.Now())
	before := h.row(t, id)
	for _, refused := range []struct {
		change func()
		says   string
	}{
		{func() { h.setWebhook(t, 0, func(w *webhook.Webhook) { w.StatusReason = webhook.ReasonFailing }) }, "SUSPENDED"},
		{func() { h.setWebhook(t, 0, func(w *webhook.Webhook) { w.Active = false }) }, "Activate it first"},
		{func() {
			h.setWebhook(t, 0, func(w *webhook.Webhook) { w.Active, w.StatusReason = true, webhook.ReasonOwner })
			h.exec(t, `UPDATE events SET data = NULL`)
		}, "retention"},
		{func() { h.exec(t, `DELETE FROM events`) }, "retention"},
		{func() { h.exec(t, `DELETE FROM webhooks`) }, "deleted"},
	} {
		refused.change()
		if _, err := h.RetryDelivery(t.Context(), h.workspace, id); !errors.Is(err, webhook.WrongState) || !strings.Contains(err.Error(), refused.says) {
			t.Errorf("RetryDelivery = %v, want WRONG_STATE that says %q", err, refused.says)
		}
		if diff := cmp.Diff(before, h.row(t, id)); diff != "" {
			t.Errorf("refused, but changed:\n%s", diff)
		}
	}
}

func TestCancelDelivery(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	event := h.event(t, "job.status", webhook.Now())
	for _, change := range []string{`state = 'READY'`, `state = 'PARKED'`, `lease = 7, attempts = 2`} {
		id := h.delivery(t, event, h.webhooks[0], "READY", webhook.Now())
		h.exec(t, `UPDATE deliveries SET `+change+` WHERE id = $1`, id)
		got, err := h.CancelDelivery(t.Context(), h.workspace, id)
		if r := h.row(t, id); err != nil || got.Status != webhook.DeliveryCanceled || got.FinishedAt == nil || r.State != "CANCELED" || r.Lease != 0 || !r.Finished {
			t.Errorf("%s: %+v, %v, %+v", change, got, err, r)
		}
		if _, err := h.CancelDelivery(t.Context(), h.workspace, id); !errors.Is(err, webhook.WrongState) {
			t.Errorf("again: %v, want WRONG_STATE", err)
		}
	}
	stats, err := h.WebhookStats(t.Context(), h.workspace, h.webhooks, time.Now().Add(-time.Hour))
	if err != nil || stats[h.webhooks[0]].Counts != (webhook.DeliveryCounts{Canceled: 3}) {
		t.Errorf("counted %+v, %v, want 3 canceled", stats[h.webhooks[0]].Counts, err)
	}
}

// Deleting a webhook cancels what is open of its deliveries, and no others: at
// once for who reads them, and what is under way comes too late.
func TestDeleteWebhookCancels(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.fill(t)
	leased := h.deliveries[3]
	h.exec(t, `UPDATE deliveries SET lease = 7 WHERE state = 'READY' AND id = $1`, leased)
	open := h.delivery(t, h.events[0], h.webhooks[0], "PARKED", webhook.Now())
	if _, err := h.DeleteWebhook(t.Context(), h.workspace, "w1", nothingAgainst); err != nil {
		t.Fatal(err)
	}
	read := func() (list []*webhook.Delivery) {
		t.Helper()
		canceled := webhook.DeliveryFilter{WebhookID: &h.webhooks[1], Statuses: []webhook.DeliveryStatus{webhook.DeliveryCanceled}}
		slice, err := h.Deliveries(t.Context(), h.workspace, canceled, webhook.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := h.CountDeliveries(t.Context(), h.workspace, canceled); n != 3 || err != nil {
			t.Errorf("%d are counted, %v", n, err)
		}
		return slice.Items
	}
	before := read()
	for _, d := range before {
		if d.Status != webhook.DeliveryCanceled || d.FinishedAt == nil || d.NextAttemptAt != nil {
			t.Errorf("it reads as %+v", d)
		}
	}
	counts, err := h.DeliveryCounts(t.Context(), h.workspace, h.events[1:2])
	if err != nil || *counts[h.events[1]] != (webhook.DeliveryCounts{Succeeded: 1, Canceled: 1}) {
		t.Errorf("an event's deliveries count as %+v, %v", counts[h.events[1]], err)
	}
	if _, err := h.CancelDelivery(t.Context(), h.workspace, leased); !errors.Is(err, webhook.WrongState) {
		t.Errorf("canceled again: %v, want WRONG_STATE", err)
	}
	if _, err := h.RetryDelivery(t.Context(), h.workspace, leased); !errors.Is(err, webhook.WrongState) {
		t.Errorf("retried: %v, want WRONG_STATE", err)
	}
	now := webhook.Now()
	if _, err := h.Settle(t.Context(), []webhook.Settled{{
		Due:   &webhook.Due{DeliveryID: leased, WebhookID: h.webhooks[1], Event: &webhook.Event{ID: h.events[1], WorkspaceID: h.workspace}, Lease: 7},
		State: webhook.QueueSucceeded,
		Attempt: &webhook.Attempt{ID: webhook.NewID(webhook.AttemptPrefix), WorkspaceID: h.workspace, DeliveryID: leased, Number: 1, Trigger: webhook.TriggerPublish,
			PayloadFormat: webhook.FormatEnvelope, Exchange: webhook.Exchange{Outcome: webhook.OutcomeDelivered, StartedAt: now}},
	}}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := h.number(t, `SELECT count(*) FROM attempts WHERE delivery_id = $1 AND late`, leased); n != 1 {
		t.Errorf("%d attempts came too late, want 1", n)
	}
	u := &db.Upkeep{DB: h.DB}
	if r, err := u.FinishDeletions(t.Context()); err != nil || r.Canceled != 3 {
		t.Errorf("%+v, %v, want 3 canceled", r, err)
	}
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Errorf("they read otherwise once they are canceled (-before +after):\n%s", diff)
	}
	if n := h.number(t, `SELECT count(*) FROM deleted_webhooks`); n != 1 {
		t.Error("the deletion was forgotten while events may be on their way that were matched with it")
	}
	h.exec(t, `UPDATE deleted_webhooks SET deleted_at = now() - interval '6 minutes'`)
	if _, err := u.FinishDeletions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := h.number(t, `SELECT count(*) FROM deleted_webhooks`); n != 0 {
		t.Error("the deletion is not forgotten")
	}
	for state, want := range map[string]int{"CANCELED": 3, "FAILED": 4, "READY": 0} {
		if n := h.number(t, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = $2 AND lease = 0`, h.webhooks[1], state); n != want {
			t.Errorf("%d deliveries are %s, want %d", n, state, want)
		}
	}
	if r := h.row(t, open); r.State != "PARKED" {
		t.Errorf("the delivery to another webhook is %+v", r)
	}
	if n := h.number(t, `SELECT sum(count) FROM delivery_stats WHERE webhook_id = $1 AND kind = 'CANCELED'`, h.webhooks[1]); n != 3 {
		t.Errorf("%d counted as canceled, want 3", n)
	}
}

func TestRetryDeliveries(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	first := h.fill(t)
	h.delivery(t, h.events[0], h.webhooks[1], "CANCELED", webhook.Now())
	failed := []webhook.DeliveryStatus{webhook.DeliveryFailed}
	third := first.Add(2 * 24 * time.Hour)
	steps := []struct {
		name  string
		retry db.Retry
		want  int
	}{
		{"dry", db.Retry{WebhookID: "w1", Statuses: failed, CreatedAfter: first, DryRun: true}, 4},
		{"of another webhook", db.Retry{WebhookID: h.webhooks[0], Statuses: failed, CreatedAfter: first}, 0},
		{"in a time", db.Retry{WebhookID: h.webhooks[1], Statuses: failed, CreatedAfter: third, CreatedBefore: new(third.Add(time.Second))}, 1},
		{"the rest", db.Retry{WebhookID: "w1", Statuses: failed, CreatedAfter: time.Time{}}, 3},
		{"again", db.Retry{WebhookID: "w1", Statuses: failed, CreatedAfter: first}, 0},
		{"canceled", db.Retry{WebhookID: "w1", Statuses: []webhook.DeliveryStatus{webhook.DeliveryCanceled, webhook.DeliveryFailed}, CreatedAfter: first}, 1},
	}
	for _, step := range steps {
		done, err := h.DB.RetryDeliveries(t.Context(), h.workspace, step.retry)
		if err != nil || done.Count != step.want || done.ContinueAfter != nil {
			t.Errorf("%s: %+v, %v, want %d", step.name, done, err, step.want)
		}
	}
	if n := h.number(t, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'READY' AND trigger = 'MANUAL' AND next_at <= now()`, h.webhooks[1]); n != 5 {
		t.Errorf("%d deliveries are due, want 5", n)
	}
	if n := h.number(t, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state <> 'SUCCEEDED'`, h.webhooks[0]); n != 0 {
		t.Errorf("%d deliveries to the other webhook were changed", n)
	}

	h.setWebhook(t, 1, func(w *webhook.Webhook) { w.Active = false })
	if _, err := h.DB.RetryDeliveries(t.Context(), h.workspace, steps[0].retry); !errors.Is(err, webhook.WrongState) {
		t.Errorf("to a webhook that is off: %v, want WRONG_STATE", err)
	}
}

// What does not fit one call is done by the next, which begins where the first
// ended.
func TestSteeringContinues(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	const all = 2*db.MaxSteered + 100
	first := webhook.Now().Add(-time.Hour)
	var events, deliveries []string
	for i := range all {
		at := first.Add(time.Duration(i) * 10 * time.Millisecond)
		events, deliveries = append(events, idOf(webhook.EventPrefix, at)), append(deliveries, idOf(webhook.DeliveryPrefix, at))
	}
	h.exec(t, `INSERT INTO events (id, workspace_id, name, data, occurred_at, published_at)
		SELECT id, $2, 'job.status', '{}', now(), $3::timestamptz + (n - 1) * interval '10 milliseconds' FROM unnest($1::text[]) WITH ORDINALITY AS one (id, n)`,
		array(events), h.workspace, first)
	h.exec(t, `INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, trigger, created_at, finished_at)
		SELECT id, $3, event_id, $4, 'SUCCEEDED', now(), 'PUBLISH', $5::timestamptz + (n - 1) * interval '10 milliseconds', now()
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS one (id, event_id, n)`,
		array(deliveries), array(events), h.workspace, h.webhooks[0], first)
	h.setWebhook(t, 1, func(w *webhook.Webhook) { w.ResourceIDs = nil })

	for name, steer := range map[string]func(from time.Time, dry bool) (db.Steered, error){
		"retry": func(from time.Time, dry bool) (db.Steered, error) {
			return h.DB.RetryDeliveries(t.Context(), h.workspace, db.Retry{WebhookID: "w0", Statuses: []webhook.DeliveryStatus{webhook.DeliverySucceeded}, CreatedAfter: from, DryRun: dry})
		},
		"replay": func(from time.Time, dry bool) (db.Steered, error) {
			return h.DB.ReplayEvents(t.Context(), h.workspace, db.Replay{WebhookID: "w1", PublishedAfter: from, DryRun: dry})
		},
	} {
		from, counts := &first, []int{}
		for from != nil {
			dry, err := steer(*from, true)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			done, err := steer(*from, false)
			if len(dry.IDs) != 0 || len(done.IDs) != done.Count {
				t.Errorf("%s: queued %d, tells of %d, the dry run of %d", name, done.Count, len(done.IDs), len(dry.IDs))
			}
			if diff := cmp.Diff(dry, done, cmpopts.IgnoreFields(db.Steered{}, "IDs")); err != nil || diff != "" {
				t.Fatalf("%s: %v (-dry run +done):\n%s", name, err, diff)
			}
			t.Logf("%s: %d in %s", name, done.Count, time.Since(began))
			counts, from = append(counts, done.Count), done.ContinueAfter
		}
		if diff := cmp.Diff([]int{db.MaxSteered, db.MaxSteered, 100}, counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := h.number(t, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND trigger = 'REPLAY'`, h.webhooks[1]); n != all {
		t.Errorf("%d events were replayed, want %d", n, all)
	}
}

// array writes a list for a statement of the test's own.
func array(list []string) string { return "{" + strings.Join(list, ",") + "}" }

// TestReplayEvents replays what the webhook wants, as its Wants says, and what
// was never to be delivered to it.
func TestReplayEvents(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	now := webhook.Now()
	names := []string{"job.status", "job.done", "job", "jobs.x", "Payout.sent", "payout.sent", "webhook.suspended", "webhook.other", "a_b.c", "aXb.c", "100%.x", "100.x"}
	for subscription, resources := range map[string][]string{
		"*": nil, "job.*": nil, "job.status": nil, "webhook.*": nil, "webhook.suspended": nil, "a_b.*": nil, "100.*": nil,
		"job.done": {"dc-1", "dc-2"}, "Payout.*": {"dc-2"},
	} {
		h.exec(t, `DELETE FROM deliveries`)
		h.exec(t, `DELETE FROM events`)
		var w webhook.Webhook
		h.setWebhook(t, 0, func(changed *webhook.Webhook) {
			changed.Events, changed.ResourceIDs = []string{subscription, "nothing"}, resources
			w = *changed
		})
		var want []string
		for i, name := range names {
			for _, resource := range []*string{nil, new("dc-1"), new("dc-3")} {
				at := now.Add(time.Duration(i-len(names)) * time.Hour)
				id := h.event(t, name, at)
				h.exec(t, `UPDATE events SET resource_id = $2 WHERE id = $1`, id, resource)
				if w.Subscribes(name) && w.Concerns(resource) {
					want = append(want, id)
				}
				// Gone, delivered, or from before: these are not replayed.
				h.exec(t, `UPDATE events SET data = NULL, resource_id = $2 WHERE id = $1`, h.event(t, name, at), resource)
				h.delivery(t, h.event(t, name, at), h.webhooks[0], "CANCELED", at)
				h.event(t, name, now.Add(-100*time.Hour))
			}
		}
		done, err := h.DB.ReplayEvents(t.Context(), h.workspace, db.Replay{WebhookID: "w0", PublishedAfter: now.Add(-99 * time.Hour), PublishedBefore: &now})
		if err != nil || done.Count != len(want) || done.ContinueAfter != nil {
			t.Errorf("%s of %v: %+v, %v, want %d", subscription, resources, done, err, len(want))
		}
		var got []string
		deliveries, err := h.Deliveries(t.Context(), h.workspace, webhook.DeliveryFilter{WebhookID: new("w0"), Statuses: []webhook.DeliveryStatus{webhook.DeliveryPending}}, webhook.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range deliveries.Items {
			got = append(got, d.EventID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s of %v (-want +got):\n%s", subscription, resources, diff)
		}
		if again, err := h.DB.ReplayEvents(t.Context(), h.workspace, db.Replay{WebhookID: "w0", PublishedAfter: now.Add(-99 * time.Hour)}); err != nil || again.Count != 0 {
			t.Errorf("%s of %v again: %+v, %v", subscription, resources, again, err)
		}
	}
}

// Many replay and retry the same at once: each event is delivered once.
func TestSteeringAtOnce(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	first := webhook.Now().Add(-time.Hour)
	for i := range 20 {
		h.event(t, "job.status", first.Add(time.Duration(i)*time.Second))
	}
	h.setWebhook(t, 0, func(w *webhook.Webhook) { w.ResourceIDs = nil })
	const callers = 30 // more than there are connections
	counts := make(chan int)
	for range callers {
		go func() {
			done, err := h.DB.ReplayEvents(context.Background(), h.workspace, db.Replay{WebhookID: "w0", PublishedAfter: first})
			if err != nil {
				t.Error(err)
			}
			counts <- done.Count
		}()
	}
	sum := 0
	for range callers {
		sum += <-counts
	}
	if n := h.number(t, `SELECT count(*) FROM deliveries`); sum != 20 || n != 20 {
		t.Errorf("%d are said to be queued, %d are, want 20", sum, n)
	}
}

// Nothing of a workspace can be steered from another.
func TestSteeringOfAnotherWorkspace(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	first := h.fill(t)
	theirs, err := h.EnsureWorkspace(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	const all = `SELECT md5(string_agg(d::text, ' ' ORDER BY id)) FROM deliveries AS d`
	var before, after string
	if err := h.own.QueryRow(all).Scan(&before); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{h.deliveries[0], h.deliveries[3]} {
		if _, err := h.RetryDelivery(t.Context(), theirs, id); !errors.Is(err, webhook.NotFound) {
			t.Errorf("RetryDelivery = %v", err)
		}
		if _, err := h.CancelDelivery(t.Context(), theirs, id); !errors.Is(err, webhook.NotFound) {
			t.Errorf("CancelDelivery = %v", err)
		}
	}
	for _, id := range []string{h.webhooks[0], "w0"} {
		if _, err := h.DB.RetryDeliveries(t.Context(), theirs, db.Retry{WebhookID: id, Statuses: []webhook.DeliveryStatus{webhook.DeliverySucceeded}, CreatedAfter: first}); !errors.Is(err, webhook.NotFound) {
			t.Errorf("RetryDeliveries = %v", err)
		}
		if _, err := h.DB.ReplayEvents(t.Context(), theirs, db.Replay{WebhookID: id, PublishedAfter: first}); !errors.Is(err, webhook.NotFound) {
			t.Errorf("ReplayEvents = %v", err)
		}
	}
	if err := h.own.QueryRow(all).Scan(&after); err != nil || before != after {
		t.Errorf("deliveries were changed: %v", err)
	}
}

// Who closes a workspace, or begins a test run in it, waits for who has its
// webhooks or runs in hand, and does not have them wait for it.
func TestNobodyWaitsForEachOther(t *testing.T) {
	t.Parallel()
	const (
		changing = `UPDATE webhooks SET name = 'changed' WHERE id = $1`
		keeping  = `SELECT FROM workspaces WHERE id = (SELECT workspace_id FROM test_runs WHERE id = $1) FOR KEY SHARE` // as who inserts exchanges
	)
	closing := func(h *history, _ *webhook.TestRun) error { return h.DeleteWorkspace(t.Context(), h.workspace) }
	for name, c := range map[string]struct {
		lock, change string
		ofRun        bool
		meanwhile    func(*history, *webhook.TestRun) error
	}{
		"a webhook is changed, and the workspace closed": {`SELECT FROM webhooks WHERE id = $1 FOR UPDATE`, changing, false, closing},
		"a run is kept, and the workspace closed":        {`UPDATE test_runs SET tests_succeeded = 1 WHERE id = $1`, keeping, true, closing},
		"a webhook is changed, and a run begins": {`SELECT FROM webhooks WHERE id = $1 FOR UPDATE`, changing, false, func(h *history, run *webhook.TestRun) error {
			next, tests := newRun(&webhook.Webhook{ID: *run.WebhookID, WorkspaceID: h.workspace})
			_, err := h.BeginTestRun(t.Context(), h.workspace, next, tests, webhook.Idempotency{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			h.LimitTestRuns = true
			run, _ := begun(t, h.DB, h.workspace, "tested")
			id := *run.WebhookID
			if c.ofRun {
				id = run.ID
			}
			tx, err := h.own.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
			if _, err := tx.ExecContext(t.Context(), c.lock, id); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.meanwhile(h, run) }()
			for h.number(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
				select {
				case err := <-ended:
					t.Fatalf("it did not wait: %v", err)
				case <-time.After(time.Millisecond):
				}
			}
			if _, err := tx.ExecContext(t.Context(), c.change, id); err != nil {
				t.Errorf("what was in hand is not changed: %v", err)
			}
			if err := tx.Commit(); err != nil {
				t.Errorf("what was in hand is not changed: %v", err)
			}
			if err := <-ended; err != nil {
				t.Errorf("who waited fails: %v", err)
			}
		})
	}
}

// A workspace leaves no row behind in any table that names one, and takes none
// of another along.
func TestDeleteWorkspaceLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.fill(t)
	ours := h.workspace
	var err error
	if h.workspace, err = h.EnsureWorkspace(t.Context(), "another"); err != nil {
		t.Fatal(err)
	}
	other := h.workspace
	h.fill(t)
	for _, id := range []string{h.deliveries[0], h.deliveries[len(h.deliveries)-1]} {
		h.exec(t, `INSERT INTO attempts (id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format)
			SELECT $1, workspace_id, id, 1, 'PUBLISH', 'RESET', '', false, now(), 1, '{}', 'DATA' FROM deliveries WHERE id = $2`, webhook.NewID(webhook.AttemptPrefix), id)
	}
	h.exec(t, `INSERT INTO delivery_stats VALUES ('a', now(), 'FAILED', $1, 1), ('b', now(), 'FAILED', $2, 1)`, ours, other)
	insertRun(t, h.DB, insert(t, h.DB, ours, newWebhook("tested")))

	rows, err := h.own.QueryContext(t.Context(), `SELECT table_name FROM information_schema.columns JOIN pg_class ON relname = table_name
		WHERE column_name = 'workspace_id' AND table_schema = 'public' AND NOT relispartition`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to the end
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	kept := make(map[string]int)
	for _, table := range tables {
		kept[table] = h.number(t, fmt.Sprintf(`SELECT count(*) FROM %s WHERE workspace_id = $1`, table), other)
	}
	if err := h.DeleteWorkspace(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	h.exec(t, `UPDATE closed_workspaces SET closed_at = now() - interval '6 minutes'`)
	if _, err := (&db.Upkeep{DB: h.DB}).FinishDeletions(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if n := h.number(t, fmt.Sprintf(`SELECT count(*) FROM %s WHERE workspace_id = $1`, table), ours); n > 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
		if n := h.number(t, fmt.Sprintf(`SELECT count(*) FROM %s WHERE workspace_id = $1`, table), other); n != kept[table] {
			t.Errorf("another workspace has %d rows of %s, had %d", n, table, kept[table])
		}
	}
	if len(tables) < 8 || kept["attempts"] != 1 || kept["events"] != 7 {
		t.Errorf("looked at %v, which hold %v", tables, kept)
	}
	if err := h.DeleteWorkspace(t.Context(), ours); !errors.Is(err, webhook.NotFound) {
		t.Errorf("again: %v, want NOT_FOUND", err)
	}
}
