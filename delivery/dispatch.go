package delivery

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	// claimPeriod is how often a process looks for what is due, besides when it
	// is told: what one process has put off, another may send.
	claimPeriod = 500 * time.Millisecond
	// maxClaim is how many deliveries one claim takes, and maxClaimBytes how
	// large their data may be together, guessed from those before.
	maxClaim      = 500
	maxClaimBytes = 16 << 20
	// parkedAtOnce is how many webhooks with parked deliveries are looked at in
	// one round.
	parkedAtOnce = 1000
	// claimTime is how long a claim may take.
	claimTime = 5 * time.Second
	// startMargin is how much of a lease must be left for an attempt to begin,
	// besides the time that it may take: enough to record it.
	startMargin = time.Second
)

// push takes deliveries in hand and sees to it that they are sent.
func (e *Engine) push(items []*item, reserved bool) {
	e.window.push(items, reserved)
	for range items {
		if !e.hire() {
			return
		}
	}
}

// hire starts a sender if it is anybody's turn and there are not too many, and
// says whether it did.
func (e *Engine) hire() bool { return e.window.hire(e.startSender) }

// sendTurns sends one delivery after the other until none is left whose turn it is.
func (e *Engine) sendTurns(ctx context.Context) {
	for i := e.window.take(e.resumeLater); i != nil; i = e.window.take(e.resumeLater) {
		s := e.deliver(ctx, i)
		e.window.sent(i, s.Attempt)
		e.settlements <- settlement{i, s}
	}
}

// resumeLater lets a lane go on that has to pause.
func (e *Engine) resumeLater(l *lane, wait time.Duration) {
	time.AfterFunc(wait, func() {
		e.window.resume(l)
		e.hire()
	})
}

// deliver makes an attempt at a delivery, and says what becomes of it.
func (e *Engine) deliver(ctx context.Context, i *item) webhook.Settled {
	s := webhook.Settled{Due: i.Due, State: webhook.QueueParked}
	w, err := e.directory.webhook(ctx, i.Event.WorkspaceID, i.WebhookID)
	switch {
	case err != nil:
		s.State, s.Delay = webhook.QueueReady, claimPeriod // the database does not answer
		return s
	case w == nil, i.Event.Name == "", i.Event.Data == nil: // the webhook was deleted, or retention removed the event or its data
		s.State = webhook.QueueCanceled
		return s
	case w.Status() != webhook.StatusActive, time.Until(i.until) < timeLimit(w)+startMargin:
		return s
	case ctx.Err() != nil:
		s.State = webhook.QueueReady
		return s
	}
	x, message := e.attempt(ctx, w, &Message{ID: i.Event.ID, EventName: i.Event.Name, Timestamp: i.Event.OccurredAt, Data: i.Event.Data, Live: true})
	e.Metrics.attempted(&x)
	s.Attempt = &webhook.Attempt{
		ID:            webhook.NewID(webhook.AttemptPrefix),
		WorkspaceID:   i.Event.WorkspaceID,
		DeliveryID:    i.DeliveryID,
		Number:        i.Attempts + 1,
		Trigger:       i.Trigger,
		Message:       message,
		Exchange:      x,
		PayloadFormat: w.PayloadFormat,
	}
	if x.Outcome == webhook.OutcomeCanceled && ctx.Err() != nil { // HookQL stops; the next process tries at once
		s.State = webhook.QueueReady
		return s
	}
	d := decide(w.RetryPolicy, i.Attempts+1-i.Ladder, &x, rand.Float64(), time.Now()) //nolint:gosec // no secret
	s.State, s.Delay, s.Counts = d.state, d.delay, true
	return s
}

// claim takes deliveries in hand that are due, and parked ones for which there
// is room, until stop is closed.
func (e *Engine) claim(stop <-chan struct{}) {
	tick := time.NewTicker(claimPeriod)
	defer tick.Stop()
	round := 0
	for {
		more, err := e.claimOnce(round%2 == 0)
		if err != nil {
			e.log().Warn("deliveries were not claimed", "error", err)
		}
		if more && err == nil {
			select {
			case <-stop:
				return
			default:
				continue
			}
		}
		select {
		case <-e.wake:
		case <-tick.C:
			round++
		case <-stop:
			return
		}
	}
}

// Wake makes the engine look at once for what is due, because something else
// than it has made something so. It never blocks.
func (e *Engine) Wake() {
	e.setUp()
	select {
	case e.wake <- struct{}{}:
	default: // it is about to look
	}
}

// Deleted makes what this process has in hand go by the webhooks that a workspace
// has now, because one was deleted, or the workspace closed: nothing of that is
// sent from here on but what is under way. Other processes notice by themselves,
// within refreshPeriod.
func (e *Engine) Deleted(ctx context.Context, workspaceID string) {
	if e.Webhooks == nil {
		return
	}
	e.setUp()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), nodeTime)
	defer cancel()
	if _, err := e.directory.load(ctx, workspaceID); err != nil {
		e.log().WarnContext(ctx, "a deletion was not read; it is tried again", "workspace_id", workspaceID, "error", err)
	}
}

// Drop keeps a delivery from being sent that was canceled and that this process
// has in hand. One that is under way is not called back.
func (e *Engine) Drop(webhookID, deliveryID string) {
	if i := e.window.remove(webhookID, deliveryID); i != nil {
		e.window.settled([]*item{i})
	}
}

// claimOnce takes in hand what there is room for, and says whether there is
// likely to be more. With look it also finds out for which webhooks others have
// parked deliveries.
func (e *Engine) claimOnce(look bool) (more bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), claimTime)
	defer cancel()
	if look {
		if err := e.lookForParked(ctx); err != nil {
			return false, err
		}
	}
	due, err := e.claimDue(ctx)
	if err != nil {
		return false, err
	}
	parked, err := e.claimParked(ctx)
	return due || parked, err
}

// claimDue takes in hand what is due, and parks what its webhook cannot take
// now: it must not stand in the way of others.
func (e *Engine) claimDue(ctx context.Context) (more bool, err error) {
	limit := e.claimLimit()
	if limit == 0 {
		return false, nil
	}
	items, err := e.claimed(ctx, func(lease int64) ([]*webhook.Due, error) {
		return e.Queue.ClaimDue(ctx, lease, e.margin(), limit)
	})
	if err != nil {
		return false, err
	}
	fit, rest := e.window.overflow(items)
	e.push(fit, false)
	for _, i := range rest {
		e.settlements <- settlement{i, webhook.Settled{Due: i.Due, State: webhook.QueueParked}}
	}
	return len(items) == limit, nil
}

// claimParked takes in hand what is parked, of webhooks that have room.
func (e *Engine) claimParked(ctx context.Context) (more bool, err error) {
	list := slices.DeleteFunc(e.window.wanted(e.claimLimit()), func(w wanted) bool {
		hook := e.directory.cached(w.workspaceID, w.webhookID)
		waits := hook != nil && hook.Status() != webhook.StatusActive
		if waits {
			e.window.cleared(w.webhookID, w.seen) // lookForParked finds them when it is active again
		}
		return waits
	})
	if len(list) == 0 || !e.leases.can() {
		return false, nil
	}
	rooms := make(map[string]int, len(list))
	for _, w := range list {
		rooms[w.webhookID] = w.room
	}
	items, err := e.claimed(ctx, func(lease int64) ([]*webhook.Due, error) {
		return e.Queue.ClaimParked(ctx, lease, e.margin(), rooms)
	})
	if err != nil {
		return false, err
	}
	for _, i := range items {
		rooms[i.WebhookID]--
	}
	for _, w := range list {
		if rooms[w.webhookID] > 0 {
			e.window.cleared(w.webhookID, w.seen)
		}
	}
	e.push(items, false)
	return len(items) > 0, nil
}

// claimed makes items of what a claim leases, under a lease of its own.
func (e *Engine) claimed(ctx context.Context, claim func(lease int64) ([]*webhook.Due, error)) ([]*item, error) {
	lease := e.leases.next()
	if lease == 0 {
		return nil, nil // this process is not one of those that deliver just now
	}
	began := time.Now()
	list, err := claim(lease)
	e.Metrics.wrote(StepClaim, len(list), began, err)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		faults.At("claim.claimed")
	}
	items := make([]*item, len(list))
	for n, due := range list {
		e.size.add(len(due.Event.Data))
		if _, err := e.directory.roster(ctx, due.Event.WorkspaceID); err != nil {
			e.log().Warn("the webhooks of a workspace cannot be read; its deliveries wait", "workspace_id", due.Event.WorkspaceID, "error", err)
		}
		items[n] = e.item(due, began) // not before: it asks for the webhook's limit
	}
	return items, nil
}

// item makes an item of a delivery whose lease began at a time, or later.
func (e *Engine) item(due *webhook.Due, began time.Time) *item {
	i := &item{Due: due, until: began.Add(due.LeasedFor)}
	if w := e.directory.cached(due.Event.WorkspaceID, due.WebhookID); w != nil && w.RateLimitPerSecond != nil {
		// All processes together keep the limit, each its share.
		i.pause = time.Second * time.Duration(e.alive()) / time.Duration(*w.RateLimitPerSecond)
	}
	return i
}

// claimLimit is how many deliveries the next claim may take.
func (e *Engine) claimLimit() int {
	return min(e.window.free(), maxClaim, max(1, maxClaimBytes/max(1, e.size.average())))
}

// lookForParked finds webhooks for which deliveries are parked, and which can
// take them.
func (e *Engine) lookForParked(ctx context.Context) error {
	list, err := e.Queue.Parked(ctx, e.parkedAfter, parkedAtOnce)
	if err != nil {
		return err
	}
	e.parkedAfter = ""
	for n, ids := range list {
		if n == parkedAtOnce-1 {
			e.parkedAfter = ids[0]
		}
		w, err := e.directory.webhook(ctx, ids[1], ids[0])
		if err != nil {
			e.log().Warn("the webhooks of a workspace cannot be read; its deliveries wait", "workspace_id", ids[1], "error", err)
			continue
		}
		if w == nil || w.Status() == webhook.StatusActive { // those of deleted ones are canceled when their turn comes
			e.window.parked(ids[1], ids[0])
		}
	}
	return nil
}
