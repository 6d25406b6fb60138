package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
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
