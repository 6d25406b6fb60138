package delivery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// inHand makes a delivery in hand.
func inHand(workspaceID, webhookID string, n int) *item {
	return &item{Due: &webhook.Due{DeliveryID: fmt.Sprint(webhookID, " ", n), WebhookID: webhookID, Event: &webhook.Event{WorkspaceID: workspaceID}}}
}

func never(*lane, time.Duration) {}

// takeAll takes what can be taken at once, with more senders than are needed.
func takeAll(t *testing.T, w *window, later func(*lane, time.Duration)) (list []*item) {
	t.Helper()
	for w.hire(func() {}) {
		i := w.take(later)
		if i == nil {
			break
		}
		list = append(list, i)
	}
	return list
}

// Workspaces have turns, and of each its webhooks, whoever has how many.
func TestTurns(t *testing.T) {
	t.Parallel()
	var w window
	for n := range 3 {
		for _, id := range []string{"a1", "a2", "a3"} {
			w.push([]*item{inHand("a", id, n)}, false)
		}
	}
	w.push([]*item{inHand("b", "b1", 0), inHand("b", "b1", 1)}, false)
	got := ""
	for _, i := range takeAll(t, &w, never) {
		got += i.DeliveryID + ", "
	}
	if want := "a1 0, b1 0, a2 0, b1 1, a3 0, a1 1, a2 1, a3 1, a1 2, a2 2, a3 2, "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A webhook gets so many at once as it can take, and learns to take fewer.
func TestMostAtOnce(t *testing.T) {
	t.Parallel()
	var w window
	for n := range 200 {
		w.push([]*item{inHand("a", "a1", n)}, false)
	}
	first := takeAll(t, &w, never)
	if len(first) != mostAtOnce {
		t.Fatalf("%d at once", len(first))
	}
	for _, status := range []int{429, 502, 504} {
		w.sent(first[0], &webhook.Attempt{Exchange: *failed(status, "")})
		first = first[1:]
	}
	l := w.lanes["a1"]
	if l.most != 2 {
		t.Errorf("%d at once after three refusals", l.most)
	}
	for range 10 {
		w.sent(first[0], &webhook.Attempt{Exchange: *failed(500, "")})
		first = first[1:]
	}
	if l.most != 2 {
		t.Errorf("%d at once after a fault of its own", l.most)
	}
	w.sent(first[0], &webhook.Attempt{Exchange: webhook.Exchange{Outcome: webhook.OutcomeTimedOut}})
	w.sent(first[1], &webhook.Attempt{Exchange: webhook.Exchange{Outcome: webhook.OutcomeTimedOut}})
	if l.most != 1 {
		t.Errorf("%d at once after it did not get round to it", l.most)
	}
	for range 100 {
		for _, i := range append(takeAll(t, &w, never), first[2:]...) {
			w.sent(i, &webhook.Attempt{Exchange: webhook.Exchange{Outcome: webhook.OutcomeDelivered}})
			w.settled([]*item{i})
		}
		first = first[:2]
	}
	if n := len(w.lanes["a1"].waiting); n != 0 || l.most != mostAtOnce {
		t.Errorf("%d wait, %d at once", n, l.most)
	}
}

// No workspace has more senders than it leaves to the others, who find one
// whatever it does.
func TestWorkspacesLeaveSenders(t *testing.T) {
	t.Parallel()
	var w window
	hang := func(workspaceID string) (all []*item) {
		for n := range 200 {
			for m := range mostAtOnce {
				w.push([]*item{inHand(workspaceID, fmt.Sprint(workspaceID, n), m)}, false)
			}
		}
		return takeAll(t, &w, never)
	}
	first := hang("a")
	if len(first) != maxSending/2 {
		t.Fatalf("one workspace has %d senders", len(first))
	}
	if n := len(hang("b")); n != maxSending/4 {
		t.Errorf("another one beside it has %d", n)
	}
	w.push([]*item{inHand("c", "c1", 0)}, false)
	if !w.hire(func() {}) || w.take(never).WebhookID != "c1" {
		t.Fatal("a third workspace finds no sender")
	}
	// As those of the first end, the second gets some of them.
	taken := map[string]int{}
	for _, i := range first {
		w.sent(i, &webhook.Attempt{Exchange: webhook.Exchange{Outcome: webhook.OutcomeDelivered}})
		if i := w.take(never); i != nil { // by the same sender
			taken[i.Event.WorkspaceID]++
		}
	}
	if taken["a"] != 170 || taken["b"] != 43 {
		t.Errorf("of %d that ended, taken %v", len(first), taken)
	}
}

// A lane that has to pause gives its turn to others and comes again.
func TestPause(t *testing.T) {
	t.Parallel()
	var w window
	now := time.Unix(1000, 0)
	w.clock = func() time.Time { return now }
	for n := range 3 {
		i := inHand("a", "slow", n)
		i.pause = time.Second
		w.push([]*item{i}, false)
	}
	w.push([]*item{inHand("a", "quick", 0), inHand("a", "quick", 1)}, false)
	var paused *lane
	var wait time.Duration
	list := takeAll(t, &w, func(l *lane, d time.Duration) { paused, wait = l, d })
	if len(list) != 3 || paused == nil || wait != time.Second {
		t.Fatalf("%d were taken, paused for %s", len(list), wait)
	}
	now = now.Add(time.Second)
	if more := takeAll(t, &w, never); len(more) != 0 {
		t.Errorf("%d before its pause was over", len(more))
	}
	w.resume(paused)
	if more := takeAll(t, &w, never); len(more) != 1 {
		t.Errorf("%d after its pause", len(more))
	}
}

// However many processes share a limit, so that each pauses for longer than a
// lease, each sends its share.
func TestPauseLongerThanALease(t *testing.T) {
	t.Parallel()
	const (
		lease = 20 * time.Second
		takes = 6 * time.Second // with the margin
	)
	for _, pause := range []time.Duration{time.Second, 15 * time.Second, 25 * time.Second, time.Minute} {
		var w window
		begin := time.Unix(1000, 0)
		now := begin
		w.clock = func() time.Time { return now }
		w.parked("a", "a1")
		resume := make(map[*lane]time.Time)
		pausing := func(l *lane, wait time.Duration) { resume[l] = now.Add(wait) }
		sent, claimed := 0, 0
		for ; now.Sub(begin) < 10*time.Minute; now = now.Add(claimPeriod) {
			for _, one := range w.wanted(maxClaim) {
				for range one.room {
					i := inHand(one.workspaceID, one.webhookID, claimed)
					i.until, i.pause = now.Add(lease), pause
					w.push([]*item{i}, false)
					claimed++
				}
			}
			for l, at := range resume {
				if !now.Before(at) {
					delete(resume, l)
					w.resume(l)
				}
			}
			if !w.hire(func() {}) {
				continue
			}
			for i := w.take(pausing); i != nil; i = w.take(pausing) {
				var a *webhook.Attempt
				if i.until.Sub(now) >= takes {
					a = &webhook.Attempt{Exchange: webhook.Exchange{Outcome: webhook.OutcomeDelivered}}
					sent++
				}
				w.sent(i, a)
				w.settled([]*item{i})
			}
			w.parked("a", "a1")
		}
		if want := int(10 * time.Minute / pause); sent < want-1 || sent > want+1 || claimed > sent+maxClaim+2 {
			t.Errorf("with a pause of %s: %d were sent of %d that were claimed, want %d", pause, sent, claimed, want)
		}
	}
}

// A turn that is not used, because the webhook is not active or the lease too
// short, leaves the next one free.
func TestAnUnusedTurnIsGivenBack(t *testing.T) {
	t.Parallel()
	var w window
	now := time.Unix(1000, 0)
	w.clock = func() time.Time { return now }
	for n, used := range []bool{false, true, false} {
		i := inHand("a", "a1", n)
		i.pause = time.Minute
		w.push([]*item{i}, false)
		got := takeAll(t, &w, never)
		if mayGo := n < 2; mayGo != (len(got) == 1) {
			t.Fatalf("the %d. was taken: %t", n, !mayGo)
		}
		for _, i := range got {
			var a *webhook.Attempt
			if used {
				a = &webhook.Attempt{}
			}
			w.sent(i, a)
		}
	}
}

// No webhook gets so much of the window that others find none.
func TestRoom(t *testing.T) {
	t.Parallel()
	var w window
	hog := func(workspaceID, id string, size int) (got int) {
		w.mu.Lock()
		w.lane(workspaceID, id).took = time.Microsecond // so fast that it may have as many as there are
		w.mu.Unlock()
		for w.reserve(workspaceID, id, size) {
			got++
		}
		return got
	}
	for n := range 100 {
		if got := hog("a", fmt.Sprint("hog", n), 0); got < 2*mostAtOnce || got > maxInHand/3+1 {
			t.Errorf("the %d. gets %d", n+1, got)
		}
	}
	w = window{}
	all := 0
	for n := range 1000 {
		all += hog("a", fmt.Sprint("hog", n), 0)
	}
	if all != maxInHand {
		t.Errorf("a workspace gets %d for all its webhooks", all)
	}
	for n := range 100 {
		if got := hog(fmt.Sprint("workspace", n), fmt.Sprint("other", n), 0); got < 2*mostAtOnce || got > 2*mostAtOnce {
			t.Errorf("the %d. workspace beside it gets %d", n+1, got)
		}
	}
	w = window{}
	if n := hog("a", "a1", 1<<20) + hog("a", "a2", 1<<20); n != maxBytes>>20/2 {
		t.Errorf("a workspace has %d MiB in hand", n)
	}
	if hog("b", "b1", 1<<20) == 0 {
		t.Error("another workspace finds no room for its data")
	}
	slow := 0
	w = window{}
	w.mu.Lock()
	w.lane("a", "slow").took = 10 * time.Second
	w.mu.Unlock()
	for w.reserve("a", "slow", 0) {
		slow++
	}
	if slow != 2*mostAtOnce {
		t.Errorf("a slow webhook has %d in hand", slow)
	}
}

// Once deliveries are parked, later ones are too, until none is left.
func TestParkedComeFirst(t *testing.T) {
	t.Parallel()
	var w window
	w.parked("a", "a1")
	if w.reserve("a", "a1", 0) {
		t.Error("a later one overtook those that are parked")
	}
	list := w.wanted(10)
	if len(list) != 1 || list[0].room != 10 {
		t.Fatalf("wanted: %+v", list)
	}
	w.parked("a", "a1") // another, while the first are fetched
	w.cleared("a1", list[0].seen)
	if w.reserve("a", "a1", 0) {
		t.Error("what was parked meanwhile was forgotten")
	}
	list = w.wanted(10)
	w.cleared("a1", list[0].seen)
	if !w.reserve("a", "a1", 0) {
		t.Error("none is parked any more")
	}
}

func TestNothingIsRememberedOfIdleWebhooks(t *testing.T) {
	t.Parallel()
	var w window
	for n := range 1000 {
		i := inHand(fmt.Sprint("w", n%10), fmt.Sprint(n), n)
		w.push([]*item{i}, false)
		if got := w.take(never); got != i {
			t.Fatal("it was not its turn")
		}
		w.sent(i, nil)
		w.settled([]*item{i})
	}
	if len(w.lanes) != 0 || len(w.tenants) != 0 || w.inHand != 0 || w.bytes != 0 {
		t.Errorf("%d lanes, %d tenants, %d in hand, %d bytes", len(w.lanes), len(w.tenants), w.inHand, w.bytes)
	}
}

// What can be claimed at once is shared among those who have something parked.
func TestWantedIsShared(t *testing.T) {
	t.Parallel()
	var w window
	for n := range 4 {
		w.parked("a", fmt.Sprint("a", n))
	}
	w.mu.Lock()
	w.lanes["a0"].took = 10 * time.Second // it can take but few
	w.mu.Unlock()
	for most, want := range map[int][]int{500: {32, 156, 156, 156}, 4: {1, 1, 1, 1}, 2: {1, 1}} {
		var got []int
		for _, one := range w.wanted(most) {
			got = append(got, one.room)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("of %d: %v, want %v", most, got, want)
		}
	}
}

// What was not sent gives its turn to the next, unless that has had its own
// meanwhile: then one more would be sent at the same moment.
func TestUnsentGivesItsTurn(t *testing.T) {
	t.Parallel()
	var w window
	now := time.Unix(1000, 0)
	w.clock = func() time.Time { return now }
	for n := range 4 {
		i := inHand("a", "slow", n)
		i.pause = time.Second
		w.push([]*item{i}, false)
	}
	var paused *lane
	take := func() *item {
		t.Helper()
		list := takeAll(t, &w, func(l *lane, _ time.Duration) { paused = l })
		if len(list) == 0 {
			return nil
		}
		return list[0]
	}
	unsent := take()
	w.sent(unsent, nil)
	unsent = take()
	if unsent == nil {
		t.Fatal("the next waits for what was not sent")
	}
	now = now.Add(time.Second)
	w.resume(paused)
	if take() == nil {
		t.Fatal("none is taken after the pause")
	}
	w.sent(unsent, nil) // its webhook was looked for all the while
	if take() != nil {
		t.Error("two are sent at once, of which one may be in a second")
	}
}
