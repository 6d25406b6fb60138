package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// rig is an engine that delivers on a database of its own, with a receiver.
type rig struct {
	*Engine
	t           testing.TB
	url         string
	db          *db.DB
	sql         *sqlx.DB
	workspaceID string
	receiver    *counting
	stop        func() // ends the engine, and waits for it
}

// rigNodes is the database as the engine's Nodes.
type rigNodes struct{ *db.DB }

func (n rigNodes) Join(ctx context.Context) (Node, error) {
	node, err := n.JoinNodes(ctx)
	if err != nil {
		return nil, err
	}
	return node, nil
}

// newRig starts an engine. Change may set it up before it starts.
func newRig(t testing.TB, change func(*Engine)) *rig {
	t.Helper()
	r := &rig{t: t, url: pgtest.URL(t), receiver: newCounting(t)}
	var err error
	if r.db, err = db.Open(context.Background(), r.url, pgtest.MasterKey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	if r.sql, err = sqlx.Connect("postgres", r.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.sql.Close() })
	if r.workspaceID, err = r.db.EnsureWorkspace(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	r.Engine, r.stop = r.start(change)
	return r
}

// start starts another engine on the same database, as another process would.
func (r *rig) start(change func(*Engine)) (e *Engine, stop func()) {
	r.t.Helper()
	e = devEngine()
	e.Store, e.Queue, e.Webhooks, e.Nodes = r.db, r.db, r.db, rigNodes{r.db}
	e.Patience = 5 * time.Second
	if change != nil {
		change(e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := e.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	r.t.Cleanup(stop)
	return e, stop
}

// webhook registers an active webhook at the receiver.
func (r *rig) webhook(change func(*webhook.Webhook)) *webhook.Webhook {
	r.t.Helper()
	id, now := webhook.NewID(webhook.WebhookPrefix), webhook.Now()
	w := &webhook.Webhook{
		ID: id, UID: "uid-" + id[3:], Name: "a webhook", URL: r.receiver.URL + "/" + id, Events: []string{"job.status"}, Active: true,
		StatusReason: webhook.ReasonOwner, StatusChangedAt: now, Method: webhook.MethodPost, PayloadFormat: webhook.FormatEnvelope,
		Signing: webhook.SigningStandard, Secret: testSecret, TimeoutMs: 5000,
		RetryPolicy: webhook.RetryPolicy{MaxAttempts: 11, InitialDelaySeconds: 1, BackoffFactor: 1, MaxDelaySeconds: 1},
		Metadata:    json.RawMessage("{}"), Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if change != nil {
		change(w)
	}
	if _, err := r.db.InsertWebhook(context.Background(), r.workspaceID, w, webhook.Idempotency{}); err != nil {
		r.t.Fatal(err)
	}
	return w
}

// event makes an event that is not published yet.
func (r *rig) event(n int) *webhook.Publishing {
	now := webhook.Now()
	data := json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))
	return &webhook.Publishing{
		Event: &webhook.Event{
			ID: webhook.NewID(webhook.EventPrefix), WorkspaceID: r.workspaceID, Name: "job.status", Data: data, OccurredAt: now, PublishedAt: now,
		},
		ContentHash: sha256.Sum256(data),
	}
}

// publish publishes n events, each by itself, and returns their ids.
func (r *rig) publish(n int) (ids []string) {
	r.t.Helper()
	for i := range n {
		p := r.event(i)
		if err := r.Publish(context.Background(), webhook.Publication{p}); err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, p.Event.ID)
	}
	return ids
}

// count is the number that a query finds.
func (r *rig) count(query string, args ...any) (n int) {
	r.t.Helper()
	if err := r.sql.Get(&n, query, args...); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// eventually waits until a query finds a number.
func (r *rig) eventually(want int, query string, args ...any) {
	r.t.Helper()
	deadline := time.Now().Add(waitTime)
	for got := r.count(query, args...); got != want; got = r.count(query, args...) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: %d, want %d", query, got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// waitTime is how long a test waits for what must come.
const waitTime = 30 * time.Second

// counting is a receiver that counts what arrives, by message id, and answers
// by a function.
type counting struct {
	*httptest.Server
	mu      sync.Mutex
	arrived map[string]int
	answer  func(w http.ResponseWriter, r *http.Request)
}

func newCounting(t testing.TB) *counting {
	c := &counting{arrived: make(map[string]int)}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.arrived[r.URL.Path[1:]+" "+r.Header.Get("webhook-id")]++
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

// answers sets how it answers from now on.
func (c *counting) answers(answer func(w http.ResponseWriter, r *http.Request)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

func (c *counting) arrivals(webhookID, eventID string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrived[webhookID+" "+eventID]
}

const open = `SELECT count(*) FROM deliveries WHERE finished_at IS NULL`

func TestDeliversWhatIsPublished(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.webhook(nil)
	other := r.webhook(func(w *webhook.Webhook) { w.Events = []string{"order.*"} })
	off := r.webhook(func(w *webhook.Webhook) { w.Active = false })
	ids := r.publish(50)
	r.eventually(50, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED' AND lease = 0 AND attempts = 1`)
	for _, id := range ids {
		if r.receiver.arrivals(w.ID, id) != 1 || r.receiver.arrivals(other.ID, id) != 0 || r.receiver.arrivals(off.ID, id) != 0 {
			t.Errorf("%s arrived %d times at the one that wants it", id, r.receiver.arrivals(w.ID, id))
		}
	}
	if n := r.count(`SELECT count(*) FROM attempts WHERE outcome = 'DELIVERED' AND NOT late AND number = 1 AND trigger = 'PUBLISH'`); n != 50 {
		t.Errorf("%d attempts are recorded", n)
	}
	if n := r.count(`SELECT count FROM delivery_stats WHERE kind = 'SUCCEEDED'`); n != 50 {
		t.Errorf("%d successes are counted", n)
	}
}

func TestRetriesUntilItSucceeds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.webhook(nil)
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	id := r.publish(1)[0]
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE state = 'READY' AND lease = 0 AND attempts = 1 AND trigger = 'RETRY'
		AND next_at > now() AND next_at < now() + interval '1.2 seconds'`)
	r.receiver.answers(nil)
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED' AND attempts = 2`)
	if n := r.receiver.arrivals(w.ID, id); n != 2 {
		t.Errorf("it arrived %d times", n)
	}
	if n := r.count(`SELECT count(*) FROM webhook_failures`); n != 0 {
		t.Errorf("the webhook still counts as failing")
	}
}

func TestGivesUpAfterTheLastAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(func(w *webhook.Webhook) { w.RetryPolicy.MaxAttempts = 2 })
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.publish(1)
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE state = 'FAILED' AND attempts = 2 AND finished_at IS NOT NULL`)
}

// Whoever registers a webhook and then publishes gets it there, whatever a
// process remembers.
func TestANewWebhookGetsTheNextEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for range 20 {
		w := r.webhook(nil)
		id := r.publish(1)[0]
		r.eventually(1, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND event_id = $2`, w.ID, id)
		if _, err := r.db.ChangeWebhook(t.Context(), r.workspaceID, w.ID, func(w *webhook.Webhook) error { w.Active = false; return nil }); err != nil {
			t.Fatal(err)
		}
		id = r.publish(1)[0]
		if n := r.count(`SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND event_id = $2`, w.ID, id); n != 0 {
			t.Error("a webhook that was switched off got the next event")
		}
	}
}

func TestResourcesLimitWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	limited := r.webhook(func(w *webhook.Webhook) { w.ResourceIDs = []string{"dc-1", "dc-2"} })
	all := r.webhook(func(w *webhook.Webhook) { w.Events = []string{"*"} })
	for resource, want := range map[string]int{"dc-1": 2, "dc-3": 1, "": 1} {
		p := r.event(1)
		if resource != "" {
			p.Event.ResourceID = &resource
		}
		if err := r.Publish(t.Context(), webhook.Publication{p}); err != nil {
			t.Fatal(err)
		}
		if n := r.count(`SELECT count(*) FROM deliveries WHERE event_id = $1 AND webhook_id IN ($2, $3)`, p.Event.ID, limited.ID, all.ID); n != want {
			t.Errorf("%q: %d deliveries, want %d", resource, n, want)
		}
	}
}

// A uid makes one event, however often and wherever it is published.
func TestAUIDMakesOneEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(nil)
	second, _ := r.start(nil)
	engines := []*Engine{r.Engine, second}
	var calls sync.WaitGroup
	var mu sync.Mutex
	ids := make(map[string]int)
	for n := range 200 {
		calls.Go(func() {
			p := r.event(1)
			uid := "order-1"
			p.Event.UID = &uid
			if err := engines[n%2].Publish(context.Background(), webhook.Publication{p}); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if p.Earlier == "" {
				p.Earlier = p.Event.ID
			}
			ids[p.Earlier]++
		})
	}
	calls.Wait()
	if len(ids) != 1 || r.count(`SELECT count(*) FROM events`) != 1 || r.count(`SELECT count(*) FROM deliveries`) != 1 {
		t.Errorf("200 calls made %d events: %v", r.count(`SELECT count(*) FROM events`), ids)
	}
	uid := "order-1"
	other, fresh := r.event(2), r.event(3)
	other.Event.UID = &uid
	if err := r.Publish(t.Context(), webhook.Publication{fresh, other}); err != nil || !other.Conflict || ids[other.Earlier] == 0 {
		t.Errorf("other content under the same uid: %+v, %v", other, err)
	}
	if n := r.count(`SELECT count(*) FROM events WHERE id = $1`, fresh.Event.ID); n != 0 {
		t.Error("half of a publication was kept")
	}
	if n := r.count(`SELECT count(*) FROM event_uids`); n != 1 {
		t.Errorf("%d uids are kept", n)
	}
}

// While a webhook is not active what is owed to it waits, and goes on when it is.
func TestInactiveWebhooksWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.webhook(nil)
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.publish(3)
	r.eventually(3, `SELECT count(*) FROM deliveries WHERE attempts >= 1`)
	activate := func(active bool) {
		if _, err := r.db.ChangeWebhook(t.Context(), r.workspaceID, w.ID, func(w *webhook.Webhook) error { w.Active = active; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	activate(false)
	r.eventually(3, `SELECT count(*) FROM deliveries WHERE state = 'PARKED'`)
	attempts := r.count(`SELECT count(*) FROM attempts`)
	r.receiver.answers(nil)
	time.Sleep(2 * time.Second) // longer than it takes to look for what is parked
	if n := r.count(`SELECT count(*) FROM attempts`); n != attempts {
		t.Errorf("%d attempts at a webhook that is not active", n-attempts)
	}
	activate(true)
	r.eventually(3, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
}

// What retention removed is not owed any more, the whole event or its data.
func TestWithoutItsEventADeliveryIsCanceled(t *testing.T) {
	t.Parallel()
	for what, remove := range map[string]string{"the event": `DELETE FROM events`, "its data": `UPDATE events SET data = NULL`} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			w := r.webhook(func(w *webhook.Webhook) {
				w.RetryPolicy.InitialDelaySeconds, w.RetryPolicy.MaxDelaySeconds = 3600, 3600
			})
			r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
			id := r.publish(1)[0]
			r.eventually(1, `SELECT count(*) FROM deliveries WHERE attempts = 1 AND lease = 0`)
			r.sql.MustExec(remove)
			r.sql.MustExec(`UPDATE deliveries SET next_at = now()`)
			r.eventually(1, `SELECT count(*) FROM deliveries WHERE state = 'CANCELED' AND attempts = 1 AND finished_at IS NOT NULL`)
			if n := r.receiver.arrivals(w.ID, id); n != 1 {
				t.Errorf("it arrived %d times", n)
			}
		})
	}
}

// A webhook that is gone, or fails for too long, is suspended, and those who
// want to know are told.
func TestSuspends(t *testing.T) {
	t.Parallel()
	for reason, status := range map[webhook.StatusReason]int{webhook.ReasonGone: 410, webhook.ReasonFailing: 500} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(e *Engine) { e.SuspendAfter = 1500 * time.Millisecond })
			w := r.webhook(nil)
			watcher := r.webhook(func(w *webhook.Webhook) { w.Events = []string{webhook.EventSuspended} })
			nosy := r.webhook(func(w *webhook.Webhook) { w.Events = []string{"*", "webhook.*"} })
			r.receiver.answers(func(rw http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/"+w.ID {
					rw.WriteHeader(status)
				}
			})
			r.publish(1)
			r.eventually(1, `SELECT count(*) FROM webhooks WHERE status_reason = $1`, string(reason))
			r.eventually(1, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, watcher.ID)
			if n := r.count(`SELECT count(*) FROM deliveries JOIN events ON events.id = event_id WHERE webhook_id = $1 AND name = 'webhook.suspended'`, nosy.ID); n != 0 {
				t.Error("a pattern caught an operational event")
			}
			if got, err := r.db.Webhook(t.Context(), r.workspaceID, w.ID); err != nil || got.Status() != webhook.StatusSuspended || got.Version != 2 {
				t.Errorf("%+v, %v", got, err)
			}
			r.eventually(1, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'PARKED'`, w.ID) // it waits, nothing is lost
		})
	}
}

// A suspension that takes long, here because somebody changes the webhook, holds
// nothing else up.
func TestASlowSuspensionHoldsNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	gone, good := r.webhook(nil), r.webhook(nil)
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/"+gone.ID {
			w.WriteHeader(http.StatusGone)
		}
	})
	tx := r.sql.MustBegin()
	tx.MustExec(`SELECT FROM webhooks WHERE id = $1 FOR UPDATE`, gone.ID)
	r.publish(1)
	r.eventually(1, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%webhooks.suspend%' AND datname = current_database()`)
	began := time.Now()
	r.publish(20)
	r.eventually(21, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, good.ID)
	if took := time.Since(began); took > settleTime/2 {
		t.Errorf("outcomes waited for %s", took)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	r.eventually(1, `SELECT count(*) FROM webhooks WHERE status_reason = 'GONE'`)
	r.eventually(1, `SELECT count(*) FROM events WHERE name = 'webhook.suspended'`)
}

// What suspends a webhook may die at any moment: then it is neither suspended nor
// told of, and its next failure does both, once.
func TestASuspensionIsToldOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	gone := r.webhook(nil)
	watcher := r.webhook(func(w *webhook.Webhook) { w.Events = []string{webhook.EventSuspended} })
	sending, answer := make(chan struct{}), make(chan struct{})
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/"+gone.ID {
			sending <- struct{}{}
			<-answer
			w.WriteHeader(http.StatusGone)
		}
	})
	r.publish(1)
	<-sending
	tx := r.sql.MustBegin()
	tx.MustExec(`LOCK TABLE events IN SHARE MODE`) // so that it is suspended, and the event waits
	answer <- struct{}{}
	const waits = ` FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%events.ingest%' AND datname = current_database()`
	r.eventually(1, `SELECT count(*)`+waits)
	r.eventually(1, `SELECT count(pg_terminate_backend(pid))`+waits)
	r.eventually(0, `SELECT count(*)`+waits)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := r.count(`SELECT count(*) FROM webhooks WHERE id = $1 AND status_reason = 'OWNER'`, gone.ID); n != 1 {
		t.Error("it was suspended, and nobody told")
	}
	<-sending
	answer <- struct{}{}
	r.eventually(1, `SELECT count(*) FROM webhooks WHERE id = $1 AND status_reason = 'GONE'`, gone.ID)
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, watcher.ID)
	if n := r.count(`SELECT count(*) FROM events WHERE name = 'webhook.suspended'`); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

// The event is matched with the webhooks that there are, whatever a process
// remembers, and never with the one that it tells of.
func TestANewWebhookIsToldOfSuspensions(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.webhook(func(w *webhook.Webhook) { w.Events = []string{"job.status", webhook.EventSuspended} })
	sending, answer := make(chan struct{}), make(chan struct{})
	r.receiver.answers(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/"+w.ID {
			sending <- struct{}{}
			<-answer
			rw.WriteHeader(http.StatusGone)
		}
	})
	r.publish(1)
	<-sending
	watcher := r.webhook(func(w *webhook.Webhook) { w.Events = []string{webhook.EventSuspended} })
	answer <- struct{}{}
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, watcher.ID)
	if n := r.count(`SELECT count(*) FROM deliveries WHERE webhook_id = $1`, w.ID); n != 1 {
		t.Errorf("the suspended webhook has %d deliveries", n)
	}
}

// Once a webhook is deleted, or its workspace, nothing more is sent to it, of
// whatever is in hand, but what is under way.
func TestNothingIsSentAfterADeletion(t *testing.T) {
	t.Parallel()
	for what, remove := range map[string]func(*rig, *webhook.Webhook) error{
		"webhook": func(r *rig, w *webhook.Webhook) error {
			_, err := r.db.DeleteWebhook(context.Background(), r.workspaceID, w.ID, func(*webhook.Webhook) error { return nil })
			return err
		},
		"workspace": func(r *rig, _ *webhook.Webhook) error {
			return r.db.DeleteWorkspace(context.Background(), r.workspaceID)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			w := r.webhook(nil)
			sending, answer := make(chan struct{}, 500), make(chan struct{})
			r.receiver.answers(func(http.ResponseWriter, *http.Request) { sending <- struct{}{}; <-answer })
			r.publish(300)
			for range mostAtOnce {
				<-sending
			}
			if err := remove(r, w); err != nil {
				t.Fatal(err)
			}
			r.Deleted(t.Context(), r.workspaceID)
			close(answer)
			r.eventually(300-mostAtOnce, `SELECT count(*) FROM deliveries WHERE state = 'CANCELED' AND attempts = 0`)
			if n := len(sending); n > 0 {
				t.Errorf("%d were sent after it", n)
			}
		})
	}
}

// Whoever was overtaken records that it sent, and changes nothing.
func TestALateResultChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(nil)
	sending, answer := make(chan struct{}), make(chan struct{})
	r.receiver.answers(func(http.ResponseWriter, *http.Request) { sending <- struct{}{}; <-answer })
	r.publish(1)
	<-sending
	r.sql.MustExec(`UPDATE deliveries SET lease = 1, next_at = now() + interval '1 hour'`) // somebody else's
	answer <- struct{}{}
	r.eventually(1, `SELECT count(*) FROM attempts WHERE late AND outcome = 'DELIVERED'`)
	if n := r.count(`SELECT count(*) FROM deliveries WHERE state = 'READY' AND lease = 1 AND attempts = 0`); n != 1 {
		t.Error("a late result changed the delivery")
	}
}

// A late result is late, too, where it is recorded together with the one of
// whoever took over.
func TestALateResultBesideTheRightOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(nil)
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.publish(1)
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE attempts = 1 AND lease = 0`)
	r.stop()
	r.sql.MustExec(`UPDATE deliveries SET next_at = now() - interval '1 second'`)
	claim := func(lease int64) webhook.Settled {
		due, err := r.db.ClaimDue(t.Context(), lease, -6*time.Second, 1) // a lease that has ended already
		if err != nil || len(due) != 1 {
			t.Fatalf("claimed %d, %v", len(due), err)
		}
		a := &webhook.Attempt{ID: webhook.NewID(webhook.AttemptPrefix), WorkspaceID: r.workspaceID, DeliveryID: due[0].DeliveryID, Number: 2,
			Trigger: webhook.TriggerRetry, Message: "It came.", PayloadFormat: webhook.FormatStandard,
			Exchange: webhook.Exchange{Outcome: webhook.OutcomeDelivered, StartedAt: webhook.Now()}}
		return webhook.Settled{Due: due[0], Attempt: a, State: webhook.QueueSucceeded, Counts: true}
	}
	all := []webhook.Settled{claim(1), claim(2)}
	if _, err := r.db.Settle(t.Context(), all, time.Hour); err != nil {
		t.Fatal(err)
	}
	for n, late := range []bool{true, false} {
		if r.count(`SELECT count(*) FROM attempts WHERE id = $1 AND late = $2`, all[n].Attempt.ID, late) != 1 {
			t.Errorf("the result of lease %d: want late %t", n+1, late)
		}
	}
}

// What a process that was killed has had committed after its end is freed, too.
func TestAllThatAProcessLeftIsFreed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(nil)
	r.stop()
	node, err := r.db.JoinNodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Leave(); err != nil {
		t.Fatal(err)
	}
	for n, want := range []int64{1, 1, 0} {
		if want > 0 {
			r.sql.MustExec(`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, lease, trigger, created_at)
				VALUES ($1, $2, $3, 'wh_1', 'READY', now() + interval '10 seconds', $4, 'PUBLISH', now())`,
				webhook.NewID(webhook.DeliveryPrefix), r.workspaceID, webhook.NewID(webhook.EventPrefix), webhook.Lease(node.Number(), int64(n+1)))
		}
		if _, freed, err := r.db.FreeLeft(t.Context(), 0, time.Minute); err != nil || freed != want {
			t.Errorf("look %d freed %d, %v; want %d", n, freed, err, want)
		}
	}
	if n := r.count(`SELECT count(*) FROM nodes WHERE id = $1`, node.Number()); n != 0 {
		t.Error("the process is still listed")
	}
}

// stuck is a queue that records nothing for a time.
type stuck struct {
	Queue
	open atomic.Bool
}

func (q *stuck) Settle(ctx context.Context, all []webhook.Settled, suspendAfter time.Duration) ([]string, error) {
	if !q.open.Load() {
		return nil, errors.New("the database does not answer")
	}
	return q.Queue.Settle(ctx, all, suspendAfter)
}

// What was sent while the database was gone is recorded when it is back, not
// sent again.
func TestAnOutageSendsNothingTwice(t *testing.T) {
	t.Parallel()
	queue := &stuck{}
	r := newRig(t, func(e *Engine) { queue.Queue, e.Queue = e.Queue, queue })
	w := r.webhook(nil)
	arrived := make(chan struct{}, 100)
	r.receiver.answers(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} })
	ids := r.publish(20)
	for range ids {
		<-arrived
	}
	if _, err := r.sql.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	r.eventually(2, `SELECT count(*) FROM nodes`) // the one that was lost, and the next
	queue.open.Store(true)
	r.eventually(20, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
	for _, id := range ids {
		if n := r.receiver.arrivals(w.ID, id); n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

// A process that stops waits for what is under way, and gives back the rest.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.webhook(func(w *webhook.Webhook) { w.TimeoutMs = 30_000 })
	begun := make(chan struct{}, 1000)
	answer := make(chan struct{})
	r.receiver.answers(func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-answer })
	ids := r.publish(40)
	for range mostAtOnce {
		<-begun
	}
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	r.eventually(40-mostAtOnce, `SELECT count(*) FROM deliveries WHERE state IN ('READY', 'PARKED') AND lease = 0 AND attempts = 0`)
	close(answer)
	<-stopped
	if n := r.count(`SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`); n != mostAtOnce {
		t.Errorf("%d of what was under way are recorded", n)
	}
	if err := r.Publish(t.Context(), webhook.Publication{r.event(1)}); err == nil {
		t.Error("a stopped engine publishes")
	}
	r.receiver.answers(nil)
	_, _ = r.start(nil)
	r.eventually(40, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
	for _, id := range ids {
		if n := r.receiver.arrivals(w.ID, id); n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

// One that hangs takes nothing from its neighbours.
func TestAHangingWebhookStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	hanging := r.webhook(nil)
	good := r.webhook(nil)
	quit := make(chan struct{})
	t.Cleanup(func() { close(quit) })
	r.receiver.answers(func(_ http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/"+hanging.ID {
			<-quit
		}
	})
	r.publish(500)
	r.eventually(500, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, good.ID)
	if n := r.count(`SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, hanging.ID); n != 0 {
		t.Errorf("%d were answered", n)
	}
}

// A workspace whose webhooks all hang, more than there are senders, leaves some
// to others. (How fast those are beside it, BenchmarkArrival measures.)
func TestAHangingWorkspaceStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	hanging := make(map[string]bool)
	for range 200 {
		hanging["/"+r.webhook(func(w *webhook.Webhook) { w.TimeoutMs = 30_000 }).ID] = true
	}
	theirs := r.workspaceID
	ours, err := r.db.EnsureWorkspace(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	r.workspaceID = ours
	arrived, quit := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(quit) })
	r.receiver.answers(func(_ http.ResponseWriter, req *http.Request) {
		if hanging[req.URL.Path] {
			<-quit
			return
		}
		arrived <- struct{}{}
	})
	r.webhook(nil)
	r.workspaceID = theirs
	r.publish(2 * mostAtOnce)
	for deadline := time.Now().Add(waitTime); r.Load().Sending < maxSending/2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("they hang, but %+v", r.Load())
		}
	}
	r.workspaceID = ours
	for range 50 {
		r.publish(1)
		select {
		case <-arrived:
		case <-time.After(waitTime / 3):
			t.Fatalf("nothing arrived; %+v", r.Load())
		}
	}
	r.eventually(50, `SELECT count(*) FROM deliveries WHERE workspace_id = $1 AND state = 'SUCCEEDED'`, ours)
	for deadline := time.Now().Add(waitTime); ; time.Sleep(time.Millisecond) {
		l := r.Load()
		if l.Sending <= maxSending/2 && l.InHand <= maxInHand {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("they have %+v", l)
		}
	}
}

// Two engines share the work, and send nothing twice.
func TestTwoProcessesShareTheWork(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.webhook(nil)
	second, _ := r.start(nil)
	var ids []string
	for n := range 400 {
		p := r.event(n)
		e := r.Engine
		if n%2 == 1 {
			e = second
		}
		if err := e.Publish(t.Context(), webhook.Publication{p}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.Event.ID)
	}
	r.eventually(400, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
	for _, id := range ids {
		if n := r.receiver.arrivals(w.ID, id); n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

// A process that lost its place among the others takes another, and nothing is
// lost.
func TestTheDatabaseGoesAndComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(nil)
	published := 0
	for round := range 5 {
		for n := range 20 {
			p := r.event(n)
			uid := fmt.Sprint(round, "-", n)
			p.Event.UID = &uid
			for err := r.Publish(t.Context(), webhook.Publication{p}); err != nil; err = r.Publish(t.Context(), webhook.Publication{p}) {
				time.Sleep(10 * time.Millisecond)
			}
			published++
		}
		if _, err := r.sql.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually(published, `SELECT count(*) FROM events`)
	r.eventually(published, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
}

// Whatever is going on, what is kept is as it must be at every moment.
func TestTheDatabaseIsAlwaysRight(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	second, stopSecond := r.start(nil)
	for range 3 {
		r.webhook(func(w *webhook.Webhook) { w.RetryPolicy.MaxAttempts = 3 })
	}
	var calls atomic.Int64
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1)%3 == 0 {
			w.WriteHeader(500)
		}
	})
	r.eventually(2, `SELECT count(*) FROM nodes`)
	r.sql.MustExec(`UPDATE nodes SET started_at = now() - interval '1 hour'`) // so that nothing is excused
	check := func() {
		all, err := r.db.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.Count != 0 {
				t.Errorf("%s: %d", f.What, f.Count)
			}
		}
	}
	var publishing sync.WaitGroup
	published := make(chan struct{}) // closed when nothing more is published
	for n, e := range []*Engine{r.Engine, second} {
		publishing.Go(func() {
			for i := range 200 {
				p, uid := r.event(i), fmt.Sprint(n, "-", i/2)
				p.Event.UID = &uid
				if err := e.Publish(context.Background(), webhook.Publication{p}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { publishing.Wait(); close(published) }()
	for going := true; going; {
		select {
		case <-published:
			going = false
		default:
			check()
		}
	}
	stopSecond()
	check()
	r.eventually(0, open)
	check()
}

// lossy is a database whose answer to the first settling is lost.
type lossy struct {
	Queue
	lost sync.Once
}

func (q *lossy) Settle(ctx context.Context, all []webhook.Settled, suspendAfter time.Duration) (failing []string, err error) {
	failing, err = q.Queue.Settle(ctx, all, suspendAfter)
	q.lost.Do(func() { err = errors.New("the connection was cut") })
	return failing, err
}

// What was recorded, and is recorded again because nobody knows, stands there
// once.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *Engine) { e.Queue = &lossy{Queue: e.Queue} })
	r.webhook(nil)
	r.publish(1)
	r.eventually(0, open)
	r.publish(1) // is settled only after the first was again
	r.eventually(2, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
	if n := r.count(`SELECT count(*) FROM attempts WHERE NOT late`); n != 2 {
		t.Errorf("%d attempts", n)
	}
	if n := r.count(`SELECT sum(count) FROM delivery_stats WHERE kind <> 'SUCCEEDED'`); n != 2 {
		t.Errorf("%d attempts are counted", n)
	}
	if n := r.count(`SELECT count FROM delivery_stats WHERE kind = 'SUCCEEDED'`); n != 2 {
		t.Errorf("%d successes are counted", n)
	}
}

// A webhook that was made just now, and that a process does not know yet, is not
// taken for a deleted one.
func TestAWebhookThatIsNotKnownYetIsNotGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.webhook(nil)
	id := r.publish(1)[0] // from here on the process knows the workspace's webhooks
	w := r.webhook(nil)
	r.sql.MustExec(`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, trigger, created_at)
		VALUES ($1, $2, $3, $4, 'READY', now(), 'REPLAY', now())`, webhook.NewID(webhook.DeliveryPrefix), r.workspaceID, id, w.ID)
	r.Wake()
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, w.ID)
}

// A webhook that is switched on again begins anew.
func TestASuspensionThatWasLiftedDoesNotComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(e *Engine) { e.SuspendAfter = time.Hour })
	w := r.webhook(nil)
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.publish(1)
	r.eventually(1, `SELECT count(*) FROM webhook_failures WHERE webhook_id = $1`, w.ID)
	r.sql.MustExec(`UPDATE webhook_failures SET failing_since = now() - interval '1 day'`)
	r.eventually(1, `SELECT count(*) FROM webhooks WHERE id = $1 AND status_reason = 'FAILING'`, w.ID)
	if _, err := r.db.ChangeWebhook(t.Context(), r.workspaceID, w.ID, func(w *webhook.Webhook) error {
		w.SetActive(true, webhook.ReasonOwner, webhook.Now())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := r.count(`SELECT count(*) FROM attempts`)
	r.eventually(1, `SELECT (count(*) > $1)::integer FROM attempts`, before+1)
	if n := r.count(`SELECT count(*) FROM webhooks WHERE id = $1 AND status_reason = 'OWNER'`, w.ID); n != 1 {
		t.Error("it was suspended again at once")
	}
}

// A limit holds for events that come one at a time, too.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	limit := 2
	w := r.webhook(func(w *webhook.Webhook) { w.RateLimitPerSecond = &limit })
	began := time.Now()
	for range 5 {
		r.publish(1)
		time.Sleep(100 * time.Millisecond)
	}
	r.eventually(5, `SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'SUCCEEDED'`, w.ID)
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("5 requests at 2 a second took %s", took)
	}
}

// What is canceled while it waits in memory is not sent.
func TestDrop(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	limit := 1
	w := r.webhook(func(w *webhook.Webhook) { w.RateLimitPerSecond = &limit })
	ids := r.publish(2)
	var second string
	if err := r.sql.Get(&second, `SELECT id FROM deliveries WHERE event_id = $1`, ids[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := r.db.CancelDelivery(t.Context(), r.workspaceID, second); err != nil {
		t.Fatal(err)
	}
	r.Drop(w.ID, second)
	r.eventually(1, `SELECT count(*) FROM deliveries WHERE state = 'SUCCEEDED'`)
	time.Sleep(1500 * time.Millisecond) // its turn would have come
	if n := r.receiver.arrivals(w.ID, ids[1]); n != 0 {
		t.Errorf("it arrived %d times", n)
	}
}
