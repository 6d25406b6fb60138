package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// air is a Wire between hubs of one test.
type air struct {
	mu     sync.Mutex
	ears   map[int]func(string) // guarded by mu
	losses map[int]func()       // guarded by mu
	next   int                  // guarded by mu
	broken error                // guarded by mu
	said   []string             // guarded by mu
}

func (a *air) Notify(_ context.Context, texts []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken != nil {
		return a.broken
	}
	a.said = append(a.said, texts...)
	for _, text := range texts {
		if len(text) >= 8000 {
			return fmt.Errorf("%d bytes", len(text))
		}
		for _, hear := range a.ears {
			hear(text)
		}
	}
	return nil
}

func (a *air) Listen(ctx context.Context, heard func(string), lost func()) error {
	a.mu.Lock()
	if a.ears == nil {
		a.ears, a.losses = make(map[int]func(string)), make(map[int]func())
	}
	n := a.next
	a.next++
	a.ears[n], a.losses[n] = heard, lost
	lost() // before anything is heard
	a.mu.Unlock()
	<-ctx.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.ears, n)
	return ctx.Err()
}

func (a *air) set(broken error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = broken
}

// run runs a hub until the test ends it.
func run(t *testing.T, h *Hub) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// wants waits until a hub knows that others want to know of a workspace, or no
// longer do.
func wants(t *testing.T, h *Hub, workspaceID string, want bool) {
	t.Helper()
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		got := false
		for _, p := range h.relay.peers {
			got = got || p.wants(workspaceID)
		}
		h.mu.Unlock()
		if got == want {
			return
		}
		if time.Now().After(patience) {
			t.Fatalf("whether others want to know of %s: %t", workspaceID, got)
		}
	}
}

// next is what a feed has next; it fails after a while.
func next(t *testing.T, f *Feed, limit int) ([]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return f.Next(ctx, limit)
}

func check(t *testing.T, f *Feed, want ...string) {
	t.Helper()
	if got, err := next(t, f, 100); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// TestHub tells a workspace's changes to those who want to know them, each once
// however often it comes before it is read.
func TestHub(t *testing.T) {
	t.Parallel()
	var h Hub
	h.Publish("a", EventPublished, "before")
	f, other, kind := h.Subscribe("a", EventPublished), h.Subscribe("b", EventPublished), h.Subscribe("a", DeliveryChanged)
	h.Publish("a", EventPublished, "1", "2", "1")
	h.Publish("a", EventPublished, "2", "3")
	if got, err := next(t, f, 2); err != nil || !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%q, %v", got, err)
	}
	h.Publish("a", EventPublished, "1")
	check(t, f, "3", "1")
	for _, f := range []*Feed{other, kind} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := f.Next(ctx, 1); err == nil {
			t.Errorf("%q", got)
		}
	}
	for range 2 {
		f.End()
		other.End()
		kind.End()
	}
	if len(h.feeds) > 0 || h.interest.Load() != 0 {
		t.Error("feeds are kept after their ends")
	}
}

// TestSlowFeed ends the feed of who does not read, alone, and keeps nothing for
// it.
func TestSlowFeed(t *testing.T) {
	t.Parallel()
	var h Hub
	slow, quick := h.Subscribe("a", EventPublished), h.Subscribe("a", EventPublished)
	for n := range 2 * maxPending {
		h.Publish("a", EventPublished, fmt.Sprint(n))
		if _, err := next(t, quick, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := next(t, slow, 1); !errors.Is(err, ErrTooSlow) || slow.pending != nil || slow.known != nil {
		t.Errorf("%v with %d changes kept", err, len(slow.pending))
	}
}

// TestPublishedAndSettled tells what was kept, and what has changed.
func TestPublishedAndSettled(t *testing.T) {
	t.Parallel()
	var h Hub
	h.published(nil)
	events, deliveries := h.Subscribe("a", EventPublished), h.Subscribe("a", DeliveryChanged)
	event := func(id string) *webhook.Event { return &webhook.Event{ID: id, WorkspaceID: "a"} }
	h.published([]webhook.Publication{
		{{Event: event("e1"), Owed: []webhook.Owed{{DeliveryID: "d1"}, {DeliveryID: "d2"}}}, {Event: event("e2"), Earlier: "e0"}},
		{{Event: event("e3"), Owed: []webhook.Owed{{DeliveryID: "d3"}}}, {Event: event("e4"), Conflict: true}},
	})
	due := func(id string) *webhook.Due { return &webhook.Due{DeliveryID: id, Event: event("e1")} }
	h.settled([]webhook.Settled{
		{Due: due("d4"), State: webhook.QueueReady, Attempt: &webhook.Attempt{}},
		{Due: due("d5"), State: webhook.QueueReady},
		{Due: due("d6"), State: webhook.QueueParked},
		{Due: due("d7"), State: webhook.QueueCanceled},
	})
	check(t, events, "e1")
	check(t, deliveries, "d1", "d2", "d4", "d7")
}

// TestRelay tells other processes what they want to know, and nothing else.
func TestRelay(t *testing.T) {
	t.Parallel()
	wire := &air{}
	here, there := &Hub{Wire: wire}, &Hub{Wire: wire}
	run(t, here)
	early := there.Subscribe("early", EventPublished) // before it runs
	stop := run(t, there)
	wants(t, here, "early", true)
	f := there.Subscribe("a", DeliveryChanged)
	wants(t, here, "a", true)
	here.Publish("early", EventPublished, "1")
	check(t, early, "1")
	var many []string
	for n := range 1000 {
		many = append(many, fmt.Sprintf("dlv_0123456789abcdefghijkl%04d", n))
	}
	here.Publish("a", DeliveryChanged, many...)
	here.Publish("unwanted", DeliveryChanged, "1")
	var got []string
	for len(got) < len(many) {
		ids, err := next(t, f, 100)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ids...)
	}
	if !slices.Equal(got, many) {
		t.Error("other ids came than were sent, or in another order")
	}
	there.Publish("a", DeliveryChanged, "own")
	check(t, f, "own") // once, though it hears itself
	f.End()
	early.End()
	there.Subscribe("b", EventPublished)
	wants(t, here, "a", false)
	stop()
	wants(t, here, "b", false)
	if n := here.interest.Load(); n != 0 {
		t.Errorf("%d others are there after they have gone", n)
	}
	wire.mu.Lock()
	defer wire.mu.Unlock()
	for _, text := range wire.said {
		if word, _, about := parse(text); word == wordChanged && about.workspaceID == "unwanted" {
			t.Error("what nobody wants to know was sent")
		}
	}
}

// TestRelayOfManyWorkspaces wants to know all where it would have to name too
// many.
func TestRelayOfManyWorkspaces(t *testing.T) {
	t.Parallel()
	wire := &air{}
	here, there := &Hub{Wire: wire}, &Hub{Wire: wire}
	run(t, here)
	run(t, there)
	var last *Feed
	for n := range maxNamed + 1 {
		last = there.Subscribe(fmt.Sprint("ws_", n), EventPublished)
	}
	wants(t, here, "another", true)
	here.Publish(fmt.Sprint("ws_", maxNamed), EventPublished, "1")
	check(t, last, "1")
}

// TestMissed ends the feeds that others' changes do not reach, and no others.
func TestMissed(t *testing.T) {
	t.Parallel()
	wire := &air{}
	here, there := &Hub{Wire: wire}, &Hub{Wire: wire}
	run(t, here)
	run(t, there)
	f, other := there.Subscribe("a", EventPublished), there.Subscribe("b", EventPublished)
	wants(t, here, "b", true)
	wire.set(errors.New("broken"))
	here.Publish("a", EventPublished, "1")
	for failed := false; !failed; time.Sleep(time.Millisecond) {
		here.mu.Lock()
		u := here.relay.unsent[topic{"a", EventPublished}]
		failed = u != nil && u.missed
		here.mu.Unlock()
	}
	wire.set(nil)
	if _, err := next(t, f, 1); !errors.Is(err, ErrMissed) {
		t.Errorf("%v after changes that could not be sent", err)
	}
	here.Publish("b", EventPublished, "1")
	check(t, other, "1")
	wants(t, there, "", false)
	wire.mu.Lock()
	lost := wire.losses[1]
	wire.mu.Unlock()
	alone := &Hub{}
	stays := alone.Subscribe("a", EventPublished)
	alone.lost() // there are no others
	alone.Publish("a", EventPublished, "1")
	check(t, stays, "1")
	lost()
	wire.mu.Lock()
	lost = wire.losses[0]
	wire.mu.Unlock()
	lost()
	if _, err := next(t, other, 1); !errors.Is(err, ErrMissed) {
		t.Errorf("%v after the connection to others was lost", err)
	}
}

// TestFollow reads a thousand changes in a few groups, and tells why it ends.
func TestFollow(t *testing.T) {
	t.Parallel()
	var h Hub
	groups := 0
	broken := errors.New("broken")
	ctx, cancel := context.WithCancel(t.Context())
	found, ended := Follow(ctx, &h, "a", EventPublished, func(_ context.Context, ids []string) ([]string, error) {
		if groups++; len(ids) > 100 {
			t.Errorf("%d ids at a time", len(ids))
		}
		if slices.Contains(ids, "break") {
			return nil, broken
		}
		return slices.DeleteFunc(ids, func(id string) bool { return id == "7" }), nil
	})
	for n := range 1000 {
		h.Publish("a", EventPublished, fmt.Sprint(n))
	}
	for n := range 1000 {
		if n != 7 {
			if got := <-found; got != fmt.Sprint(n) {
				t.Fatalf("%s, want %d", got, n)
			}
		}
	}
	if groups > 12 {
		t.Errorf("%d groups", groups)
	}
	cancel()
	if _, more := <-found; more || ended() != nil {
		t.Errorf("it goes on, or ended with %v", ended())
	}
	found, ended = Follow(t.Context(), &h, "a", EventPublished, func(context.Context, []string) ([]string, error) { return nil, broken })
	h.Publish("a", EventPublished, "1")
	if _, more := <-found; more || !errors.Is(ended(), broken) {
		t.Errorf("it goes on, or ended with %v", ended())
	}
	h.readers.Wait()
	if len(h.feeds) > 0 {
		t.Error("feeds are kept after their ends")
	}
}
