package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hookql/hookql/internal/webhook"
)

// ChangeKind says what the ids of a change are of.
type ChangeKind string

// The kinds of changes.
const (
	// EventPublished has the ids of events.
	EventPublished ChangeKind = "event"
	// DeliveryChanged has the ids of deliveries that were queued, attempted or
	// have ended.
	DeliveryChanged ChangeKind = "delivery"
	// TestRunChanged has the ids of test runs of which tests began or are done,
	// or that have ended.
	TestRunChanged ChangeKind = "testrun"
)

// Why a Feed ends before who reads it does. Nothing of what follows is known.
var (
	ErrTooSlow = errors.New("more changed than was read")
	ErrMissed  = errors.New("changes of another process may have been missed")
)

// maxPending is how many changes wait for one reader: twice as many as one
// request steers.
const maxPending = 20_000

// Hub tells those who want to know what changes, in this process and, through
// Wire, in others. It tells ids: readers look themselves what became of them.
// The zero Hub is usable; it is safe for concurrent use. Nothing depends on it:
// what nobody reads in time is gone.
type Hub struct {
	// Wire leads to the other processes; nil: there are none.
	Wire Wire
	// Log gets what goes wrong; nil: nothing is logged.
	Log *slog.Logger

	// interest is how many feeds and other processes there are, so that Publish
	// costs nothing where there are none.
	interest atomic.Int64
	readers  sync.WaitGroup

	mu    sync.Mutex
	feeds map[topic]map[*Feed]struct{} // guarded by mu
	relay relay                        // guarded by mu
}

// Interest is how many readers there are, and other processes.
func (h *Hub) Interest() int { return int(h.interest.Load()) }

// topic is what one can want to know.
type topic struct {
	workspaceID string
	kind        ChangeKind
}

// Feed is what changes, for one reader.
type Feed struct {
	hub   *Hub
	topic topic
	ready chan struct{} // add and fail send, nobody closes, one place

	pending []string        // guarded by hub.mu
	known   map[string]bool // those of pending; guarded by hub.mu
	err     error           // guarded by hub.mu
}

// Subscribe begins to gather what changes in a workspace. The caller ends it.
func (h *Hub) Subscribe(workspaceID string, kind ChangeKind) *Feed {
	f := &Feed{hub: h, topic: topic{workspaceID, kind}, ready: make(chan struct{}, 1), known: make(map[string]bool)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feeds == nil {
		h.feeds = make(map[topic]map[*Feed]struct{})
	}
	if h.feeds[f.topic] == nil {
		h.feeds[f.topic] = make(map[*Feed]struct{})
	}
	h.feeds[f.topic][f] = struct{}{}
	h.interest.Add(1)
	h.relay.say()
	return f
}

// End gathers no more. It may be called again.
func (f *Feed) End() {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.feeds[f.topic][f]; !open {
		return
	}
	delete(h.feeds[f.topic], f)
	if len(h.feeds[f.topic]) == 0 {
		delete(h.feeds, f.topic)
	}
	h.interest.Add(-1)
}

// Next returns what has changed since it was called last, at most limit ids,
// each once, and waits until there is one. The error is ErrTooSlow, ErrMissed
// or the context's.
func (f *Feed) Next(ctx context.Context, limit int) ([]string, error) {
	for {
		if ids, err := f.take(limit); err != nil || len(ids) > 0 {
			return ids, err
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (f *Feed) take(limit int) ([]string, error) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	n := min(limit, len(f.pending))
	ids := f.pending[:n:n]
	f.pending = f.pending[n:]
	for _, id := range ids {
		delete(f.known, id)
	}
	return ids, nil
}

// add is for those who hold hub.mu.
func (f *Feed) add(ids []string) {
	if f.err != nil {
		return
	}
	for _, id := range ids {
		if !f.known[id] {
			f.known[id] = true
			f.pending = append(f.pending, id)
		}
	}
	if len(f.pending) > maxPending {
		f.fail(ErrTooSlow)
		return
	}
	f.wake()
}

// fail is for those who hold hub.mu.
func (f *Feed) fail(err error) {
	f.err, f.pending, f.known = err, nil, nil
	f.wake()
}

func (f *Feed) wake() {
	select {
	case f.ready <- struct{}{}:
	default: // it is awake
	}
}

// Publish tells what has changed in a workspace, once that can be read. It
// never waits.
func (h *Hub) Publish(workspaceID string, kind ChangeKind, ids ...string) {
	if len(ids) == 0 || h.interest.Load() == 0 {
		return
	}
	t := topic{workspaceID, kind}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(t, ids)
	h.relay.add(t, ids)
}

// tell is for those who hold mu.
func (h *Hub) tell(t topic, ids []string) {
	for f := range h.feeds[t] {
		f.add(ids)
	}
}

// changes gathers ids by topic, to tell each topic once.
type changes map[topic][]string

func (c changes) add(workspaceID string, kind ChangeKind, id string) {
	t := topic{workspaceID, kind}
	c[t] = append(c[t], id)
}

func (h *Hub) publish(c changes) {
	for t, ids := range c {
		h.Publish(t.workspaceID, t.kind, ids...)
	}
}

// published tells what was kept of publications: events, and what is owed.
func (h *Hub) published(all []webhook.Publication) {
	if h.interest.Load() == 0 {
		return
	}
	c := make(changes)
	for _, publication := range all {
		for _, p := range publication.Kept() {
			c.add(p.Event.WorkspaceID, EventPublished, p.Event.ID)
			for _, o := range p.Owed {
				c.add(p.Event.WorkspaceID, DeliveryChanged, o.DeliveryID)
			}
		}
	}
	h.publish(c)
}

// settled tells which deliveries were attempted or have ended.
func (h *Hub) settled(all []webhook.Settled) {
	if h.interest.Load() == 0 {
		return
	}
	c := make(changes)
	for _, s := range all {
		if s.Attempt != nil || s.State != webhook.QueueReady && s.State != webhook.QueueParked {
			c.add(s.Event.WorkspaceID, DeliveryChanged, s.DeliveryID)
		}
	}
	h.publish(c)
}
