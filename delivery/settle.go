package delivery

import (
	"context"
	"time"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	// settleLinger is how long the first of a batch waits for others. Small
	// batches cost twice the processor time for each delivery.
	settleLinger = 5 * time.Millisecond
	// maxSettle is how many deliveries one write settles.
	maxSettle = 500
	// settleTime is how long one write may take, and settleRetry how long to
	// wait before what failed is tried again.
	settleTime  = 10 * time.Second
	settleRetry = 250 * time.Millisecond
)

// settlement is a delivery of which it is known what becomes of it.
type settlement struct {
	item *item
	webhook.Settled
}

// settle records what becomes of deliveries until settlements is closed.
func (e *Engine) settle() {
	for first := range e.settlements {
		batch := e.gatherSettlements(first)
		e.record(batch)
	}
}

// gatherSettlements returns first and what comes within settleLinger.
func (e *Engine) gatherSettlements(first settlement) []settlement {
	batch := []settlement{first}
	linger := time.NewTimer(settleLinger)
	defer linger.Stop()
	for len(batch) < maxSettle {
		select {
		case s, more := <-e.settlements:
			if !more {
				return batch
			}
			batch = append(batch, s)
		case <-linger.C:
			return batch
		}
	}
	return batch
}

// record writes a batch, again and again while the database does not take it:
// outcomes are kept in memory meanwhile, and nothing more is sent than fits in
// the window. It gives up only once the leases have ended, when nothing of it
// counts any more.
func (e *Engine) record(batch []settlement) {
	items := make([]*item, len(batch))
	all := make([]webhook.Settled, len(batch))
	for n, s := range batch {
		items[n], all[n] = s.item, s.Settled
	}
	faults.At("settle.before")
	failing, err := e.write(all)
	for end := time.Now().Add(e.longestLease()); err != nil && time.Now().Before(end); failing, err = e.write(all) {
		e.log().Warn("outcomes of deliveries were not recorded; they are tried again", "deliveries", len(all), "error", err)
		time.Sleep(settleRetry)
	}
	if err != nil {
		e.log().Error("outcomes of deliveries are lost; they are sent again", "deliveries", len(all), "error", err)
	} else {
		e.Hub.settled(all)
	}
	faults.At("settle.committed")
	for _, s := range batch {
		e.noteParked(s)
	}
	if e.window.settled(items) {
		e.Wake()
	}
	e.noteFailing(batch, failing)
}

func (e *Engine) write(all []webhook.Settled) (failing []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	began := time.Now()
	failing, err = e.Queue.Settle(ctx, all, e.suspendAfter())
	e.Metrics.wrote(StepSettle, len(all), began, err)
	return failing, err
}

// noteParked remembers that a delivery was parked which waits for room alone.
func (e *Engine) noteParked(s settlement) {
	if s.State != webhook.QueueParked {
		return
	}
	if w := e.directory.cached(s.Event.WorkspaceID, s.WebhookID); w != nil && w.Status() == webhook.StatusActive {
		e.window.parked(s.Event.WorkspaceID, s.WebhookID)
	}
}

// noteFailing has webhooks suspended that say they are gone, and those that have
// been failing for too long. It does not wait for it.
func (e *Engine) noteFailing(batch []settlement, failing []string) {
	reasons := make(map[string]webhook.StatusReason)
	for _, id := range failing {
		reasons[id] = webhook.ReasonFailing
	}
	for _, s := range batch {
		if s.Attempt != nil && gone(&s.Attempt.Exchange) {
			reasons[s.WebhookID] = webhook.ReasonGone
		}
		reason, is := reasons[s.WebhookID]
		if !is || s.Attempt == nil {
			continue
		}
		delete(reasons, s.WebhookID)
		select {
		case e.suspensions <- suspension{s.Event.WorkspaceID, s.WebhookID, reason, s.Attempt.Exchange.StartedAt}:
		default: // too many are; its next failure suspends it
		}
	}
}
