package delivery

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

const (
	// maxInHand and maxBytes are how many deliveries a process has in hand,
	// waiting and under way, and how large their data are together. Webhooks
	// that have few in hand may take up to as many again.
	maxInHand = 10_000
	maxBytes  = 64 << 20
	// maxSending is how many requests are under way at a time.
	maxSending = 512
	// mostAtOnce is how many of them go to one webhook.
	mostAtOnce = 16
	// ahead is how long what a webhook has in hand may take to be sent, at the
	// speed of its last attempts: far less than a lease, so that what waits in
	// memory is still ours when its turn comes.
	ahead = 2 * time.Second
	// usual is how long attempts are taken to last before one was made.
	usual = 50 * time.Millisecond
)

// item is a delivery in hand.
type item struct {
	*webhook.Due
	// until is when its lease ends, by this process's clock and never too late.
	until time.Time
	// pause is how long its webhook wants between two requests of this process.
	pause time.Duration
	lane  *lane
	// next is from when on it let the next one follow; zero before its turn, and
	// without a pause.
	next time.Time
}

// window holds the deliveries that this process has in hand, a lane for each
// webhook, and says whose turn it is: workspaces in turn, of each its webhooks
// in turn. It starts nothing and knows no database.
type window struct {
	clock   func() time.Time // nil: time.Now
	mu      sync.Mutex
	lanes   map[string]*lane // by the webhook's id; one without anything in hand may be missing
	tenants map[string]*tenant
	turns   []*tenant // those with a lane whose turn can come, in their order
	inHand  int
	bytes   int
	senders int
	sending int // of the senders, those with a request under way
	closed  bool
}

// tenant is a workspace with lanes. It has no more of anything than is left for
// all others: with one that takes what it gets half is left, with two a third.
type tenant struct {
	lanes   int
	turns   []*lane // those whose turn can come, in their order
	inHand  int     // as the lanes', all together
	bytes   int
	sending int
}

// lane is what is in hand for one webhook.
type lane struct {
	webhookID, workspaceID string
	tenant                 *tenant
	waiting                []*item
	inTurns                bool // it is in its tenant's turns, or pauses
	pauses                 bool
	inHand                 int // waiting, sending, to be settled, and reserved
	sending                int
	most                   int // how many may be sent at once just now
	// pause is how long after one request the next may follow; next is when.
	pause time.Duration
	next  time.Time
	// parks counts what let deliveries be parked, and cleared is how far none
	// is left parked.
	parks, cleared uint64
	// took is about how long an attempt takes.
	took time.Duration
}

func (w *window) now() time.Time {
	if w.clock != nil {
		return w.clock()
	}
	return time.Now()
}

// lane returns a webhook's lane.
func (w *window) lane(workspaceID, webhookID string) *lane {
	l := w.lanes[webhookID]
	if l != nil {
		return l
	}
	if w.lanes == nil {
		w.lanes, w.tenants = make(map[string]*lane), make(map[string]*tenant)
	}
	t := w.tenants[workspaceID]
	if t == nil {
		t = &tenant{}
		w.tenants[workspaceID] = t
	}
	t.lanes++
	l = &lane{webhookID: webhookID, workspaceID: workspaceID, tenant: t, most: mostAtOnce, took: usual}
	w.lanes[webhookID] = l
	return l
}

// room is how many more a lane may have in hand. No lane gets more than what is
// left for the others of its workspace, and each gets a few, so that the last one
// finds some, too, until its workspace has as many as are left for all others.
func (w *window) room(l *lane) int {
	if w.closed || w.isFull(l.tenant) {
		return 0
	}
	most := max(2*l.most, int(time.Duration(l.most)*ahead/l.took))
	if l.pause > 0 {
		if l.next.Sub(w.now()) > ahead { // another process may be quicker, and a lease would end
			return 0
		}
		most = min(most, max(1, int(ahead/l.pause)))
	}
	return min(most, max(maxInHand-w.inHand-l.tenant.inHand, 2*l.most)) - l.inHand
}

// isFull says whether a workspace has in hand what it may.
func (w *window) isFull(t *tenant) bool {
	return t.inHand >= 2*maxInHand-w.inHand || t.bytes >= maxBytes-w.bytes
}

// hold counts deliveries with some bytes of data as in hand; fewer than none as
// out of it.
func (w *window) hold(l *lane, n, bytes int) {
	l.inHand += n
	l.tenant.inHand += n
	l.tenant.bytes += bytes
	w.inHand += n
	w.bytes += bytes
}

// reserve takes a place for a delivery of an event that is being published. It
// says no where the lane is full, and where others are parked already, which
// come first.
func (w *window) reserve(workspaceID, webhookID string, size int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lane(workspaceID, webhookID)
	if l.parks != l.cleared || w.room(l) <= 0 {
		return false
	}
	w.hold(l, 1, size)
	return true
}

// release gives a reserved place back.
func (w *window) release(workspaceID, webhookID string, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lane(workspaceID, webhookID)
	w.hold(l, -1, -size)
	w.forget(l)
}

// parked notes that deliveries were parked for a webhook.
func (w *window) parked(workspaceID, webhookID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane(workspaceID, webhookID).parks++
}

// push puts leased deliveries in their lanes. Those that were reserved have
// their places already.
func (w *window) push(items []*item, reserved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range items {
		l := w.lane(i.Event.WorkspaceID, i.WebhookID)
		i.lane, l.pause = l, i.pause
		l.waiting = append(l.waiting, i)
		if !reserved {
			w.hold(l, 1, len(i.Event.Data))
		}
		w.queue(l)
	}
}

// queue lets a lane have its turn if it has anything to send and may.
func (w *window) queue(l *lane) {
	if l.inTurns || len(l.waiting) == 0 || l.sending >= l.most {
		return
	}
	l.inTurns = true
	l.tenant.turns = append(l.tenant.turns, l)
	if len(l.tenant.turns) == 1 {
		w.turns = append(w.turns, l.tenant)
	}
}

// hire starts one more sender if it is anybody's turn, and says whether it did.
// None starts once the window is closed.
func (w *window) hire(start func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.senders >= maxSending || w.closed || !slices.ContainsFunc(w.turns, w.may) {
		return false
	}
	w.senders++
	start()
	return true
}

// may says whether one more of a workspace's deliveries may be sent now.
func (w *window) may(t *tenant) bool { return t.sending < max(maxSending-w.sending, 1) }

// turn is the workspace whose turn it is; nil when it is nobody's. Those that
// must wait for others keep their places among themselves.
func (w *window) turn() *tenant {
	for range w.turns {
		t := w.turns[0]
		w.turns = w.turns[1:]
		if w.may(t) {
			return t
		}
		w.turns = append(w.turns, t)
	}
	return nil
}

// take gives a sender the delivery whose turn it is; nil when there is none, and
// the sender is not counted any more. Of lanes that must pause, later calls
// again once they may go on.
func (w *window) take(later func(*lane, time.Duration)) *item {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	for !w.closed {
		t := w.turn()
		if t == nil {
			break
		}
		l := t.turns[0]
		t.turns = t.turns[1:]
		if len(t.turns) > 0 {
			w.turns = append(w.turns, t)
		}
		if wait := l.next.Sub(now); wait > 0 {
			l.pauses = true
			later(l, wait)
			continue
		}
		l.inTurns = false
		if len(l.waiting) == 0 || l.sending >= l.most {
			continue
		}
		i := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.sending++
		t.sending++
		w.sending++
		if l.pause > 0 {
			l.next = now.Add(l.pause)
			i.next = l.next
		}
		w.queue(l)
		return i
	}
	w.senders--
	return nil
}

// resume lets a lane have its turn that had to pause.
func (w *window) resume(l *lane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.goOn(l)
}

// goOn ends a lane's pause, if it has one.
func (w *window) goOn(l *lane) {
	if l.pauses {
		l.pauses, l.inTurns = false, false
		w.queue(l)
	}
}

// sent notes that a delivery was sent, or was not to be, and how its receiver
// took it: one that is overwhelmed gets half as many at once, and one more for
// each that it takes.
func (w *window) sent(i *item, a *webhook.Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := i.lane
	l.sending--
	l.tenant.sending--
	w.sending--
	if a == nil && !i.next.IsZero() && i.next.Equal(l.next) { // the next need not wait for it, unless another came between
		l.next = w.now()
		w.goOn(l)
	}
	if a != nil {
		l.took = max(l.took+(a.Exchange.Timing.Total-l.took)/8, time.Microsecond)
		switch {
		case a.Success():
			l.most = min(l.most+1, mostAtOnce)
		case overwhelmed(&a.Exchange):
			l.most = max(l.most/2, 1)
		}
	}
	w.queue(l)
}

// settled gives up the places of deliveries whose end is recorded, and says
// whether some lane of them has others parked and room for them.
func (w *window) settled(items []*item) (wanting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range items {
		l := i.lane
		if l == nil { // it found no room
			continue
		}
		w.hold(l, -1, -len(i.Event.Data))
		if l.parks != l.cleared && 2*l.inHand <= l.inHand+w.room(l) {
			wanting = true
		}
		w.forget(l)
	}
	return wanting
}

// forget drops a lane of which nothing is worth to be remembered.
func (w *window) forget(l *lane) {
	if l.inHand > 0 || l.inTurns || l.parks != l.cleared || l.most < mostAtOnce || w.now().Before(l.next) {
		return
	}
	delete(w.lanes, l.webhookID)
	if l.tenant.lanes--; l.tenant.lanes == 0 {
		delete(w.tenants, l.workspaceID)
	}
}

// wanted says for which webhooks parked deliveries can be taken in hand, and how
// many, most together and each a fair share. Once they are, cleared tells of
// which none is left.
func (w *window) wanted(most int) (list []wanted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, l := range w.lanes {
		if l.parks != l.cleared && w.room(l) > 0 {
			list = append(list, wanted{id, l.workspaceID, w.room(l), l.parks})
		}
	}
	// Those with little room leave what they cannot take to the others.
	slices.SortFunc(list, func(a, b wanted) int { return cmp.Compare(a.room, b.room) })
	for n := range list {
		list[n].room = min(list[n].room, (most+len(list)-n-1)/(len(list)-n))
		most -= list[n].room
	}
	return slices.DeleteFunc(list, func(w wanted) bool { return w.room <= 0 })
}

// wanted is how many parked deliveries there is room for.
type wanted struct {
	webhookID, workspaceID string
	room                   int
	seen                   uint64
}

// cleared notes that nothing is left parked for a webhook of what seen counted.
func (w *window) cleared(webhookID string, seen uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lanes[webhookID]; l != nil {
		l.cleared = seen
		w.forget(l)
	}
}

// free is how many more deliveries can be taken in hand at all.
func (w *window) free() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.bytes >= maxBytes {
		return 0
	}
	return max(0, 2*maxInHand-w.inHand)
}

// overflow are those of some deliveries that find no room in their lanes.
func (w *window) overflow(items []*item) (fit, rest []*item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := make(map[*lane]int)
	for _, i := range items {
		l := w.lane(i.Event.WorkspaceID, i.WebhookID)
		if taken[l] >= w.room(l) {
			rest = append(rest, i)
			continue
		}
		taken[l]++
		fit = append(fit, i)
	}
	return fit, rest
}

// drain takes all that waits out of hand; with it, nothing more comes in when
// the window is closed.
func (w *window) drain(closed bool) (all []*item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = w.closed || closed
	for _, l := range w.lanes {
		all = append(all, l.waiting...)
		l.waiting = nil
	}
	return all
}

// remove takes a delivery out of hand that waits for its turn; nil where none of
// this id does.
func (w *window) remove(webhookID, deliveryID string) *item {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lanes[webhookID]
	if l == nil {
		return nil
	}
	at := slices.IndexFunc(l.waiting, func(i *item) bool { return i.DeliveryID == deliveryID })
	if at < 0 {
		return nil
	}
	i := l.waiting[at]
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return i
}
