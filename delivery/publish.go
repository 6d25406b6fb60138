package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	// maxQueued is how many events wait to be written at most.
	maxQueued = 4096
	// maxFlush is how many events one write holds, but for the rest of a
	// request that began below.
	maxFlush = 500
	// maxFlushBytes is how large their data are together, with the same
	// exception, and maxQueuedBytes those of all that wait.
	maxFlushBytes  = 8 << 20
	maxQueuedBytes = 64 << 20
	// flushTime is how long one write may take.
	flushTime = 10 * time.Second
	// overloadedFor is after how long it is worth to try again.
	overloadedFor = 500 * time.Millisecond
)

// ErrNotKept is the error of Publish where it is known that nothing was kept,
// though it is nothing that the caller can mend.
var ErrNotKept = errors.New("nothing was published")

// publisher writes what requests publish, many requests at a time: while one
// write is under way the next gathers, so a lone request waits for nothing.
type publisher struct {
	requests chan *publishRequest // Publish sends, nobody closes, maxQueued bounds
	queued   atomic.Int64         // events in requests
	bytes    atomic.Int64         // of their data
	closed   atomic.Bool
}

// publishRequest is what one request publishes, at least one event, all in one
// workspace.
type publishRequest struct {
	webhook.Publication
	err  error
	done chan error // has room for the one answer
}

// Publish keeps events and hands them on to be delivered: once it returns
// without an error they are durable and can be read, all of them. Those that
// were published before under their uid are not again, and say so. The events are at
// least one, of one workspace, have passed their checks, and their uids differ.
// The error is a *webhook.Error
// where nothing was kept because there is too much to do, and ErrNotKept where
// the webhooks cannot be read. Any other error leaves it open: whoever publishes
// again under the same uid is safe.
func (e *Engine) Publish(ctx context.Context, p webhook.Publication) error {
	r, err := e.enqueue(p)
	if err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enqueue lets a publication be written, and does not wait for it.
func (e *Engine) enqueue(p webhook.Publication) (*publishRequest, error) {
	if e.Queue == nil {
		return nil, errors.New("this engine keeps no events")
	}
	e.setUp()
	n := int64(len(p))
	if e.publisher.closed.Load() {
		return nil, overloaded("HookQL is stopping, so nothing was published.")
	}
	size := int64(p.Size())
	events, bytes := e.publisher.queued.Add(n), e.publisher.bytes.Add(size)
	if events > maxQueued || bytes > maxQueuedBytes {
		e.publisher.queued.Add(-n)
		e.publisher.bytes.Add(-size)
		return nil, overloaded("More is being published than can be kept just now, so nothing of this was.")
	}
	r := &publishRequest{Publication: p, done: make(chan error, 1)}
	e.publisher.requests <- r // has room for all that may be queued
	return r, nil
}

func overloaded(why string) *webhook.Error {
	err := webhook.NewError(webhook.Overloaded, why+" Try again soon.")
	err.RetryAfter = overloadedFor
	return err
}

// publish writes what is published until stop is closed and all that was
// queued by then is written.
func (e *Engine) publish(stop <-chan struct{}) {
	var next *publishRequest
	for {
		if next == nil {
			select {
			case next = <-e.publisher.requests:
			case <-stop:
				select {
				case next = <-e.publisher.requests:
				default:
					return
				}
			}
		}
		var batch []*publishRequest
		batch, next = e.publisher.gather(next)
		e.flush(batch)
	}
}

// gather returns first and what waits behind it, as much as one write holds.
// What has a uid that another of them has comes in the next write, and is
// returned: only then is it known whether the first was kept.
func (p *publisher) gather(first *publishRequest) (batch []*publishRequest, next *publishRequest) {
	uids := make(map[[2]string]bool)
	events, size := 0, 0
	for r := first; ; {
		if r.repeats(uids) {
			return batch, r
		}
		batch = append(batch, r)
		events, size = events+len(r.Publication), size+r.Publication.Size()
		if events >= maxFlush || size >= maxFlushBytes {
			return batch, nil
		}
		select {
		case r = <-p.requests:
		default:
			return batch, nil
		}
	}
}

// repeats says whether a request has one of the uids, and else adds its own.
func (r *publishRequest) repeats(uids map[[2]string]bool) bool {
	for _, p := range r.Publication {
		if p.Event.UID != nil && uids[[2]string{p.Event.WorkspaceID, *p.Event.UID}] {
			return true
		}
	}
	for _, p := range r.Publication {
		if p.Event.UID != nil {
			uids[[2]string{p.Event.WorkspaceID, *p.Event.UID}] = true
		}
	}
	return false
}

// flush writes a batch, answers its requests, and takes in hand what was leased
// to this process.
func (e *Engine) flush(batch []*publishRequest) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	faults.At("publish.before")
	items, err := e.ingest(ctx, batch)
	faults.At("publish.committed")
	for _, r := range batch {
		e.publisher.queued.Add(-int64(len(r.Publication)))
		e.publisher.bytes.Add(-int64(r.Publication.Size()))
		if r.err == nil {
			r.err = err
		}
		r.done <- r.err
	}
	if err != nil {
		e.log().Error("events were not published", "requests", len(batch), "error", err)
	}
	faults.At("publish.answered")
	e.push(items, true)
}

// ingest matches what is published with webhooks and writes it, until the
// webhooks it was matched with are those that there are. It returns what was
// leased.
func (e *Engine) ingest(ctx context.Context, batch []*publishRequest) ([]*item, error) {
	for range 10 {
		began := time.Now()
		versions, all := e.match(ctx, batch)
		if len(all) == 0 {
			return nil, nil
		}
		writing := time.Now()
		stale, err := e.Queue.Ingest(ctx, versions, all)
		e.Metrics.wrote(StepIngest, written(all, stale), writing, err)
		if err == nil && len(stale) == 0 {
			e.Hub.published(all)
			return e.handOver(all, began), nil
		}
		e.giveBack(all)
		if err != nil {
			return nil, err
		}
		for _, id := range stale {
			if _, err := e.directory.load(ctx, id); err != nil {
				return nil, e.notKept(err)
			}
		}
	}
	return nil, e.notKept(errors.New("the webhooks change faster than events can be matched with them"))
}

// notKept counts a failure before anything was written.
func (e *Engine) notKept(err error) error {
	e.Metrics.wrote(StepIngest, 0, time.Time{}, err)
	return fmt.Errorf("%w: match events with webhooks: %w", ErrNotKept, err)
}

// written counts the events that a write has kept.
func written(all []webhook.Publication, stale []string) (n int) {
	if len(stale) > 0 {
		return 0
	}
	for _, publication := range all {
		n += len(publication.Kept())
	}
	return n
}

// match fills in what is owed of each event, and returns what is to be written
// with the versions of the webhooks that it was matched with. What is published
// in a workspace that was closed, or whose webhooks cannot be read, is refused.
func (e *Engine) match(ctx context.Context, batch []*publishRequest) (versions map[string]int64, all []webhook.Publication) {
	versions = make(map[string]int64)
	lease := e.leases.next()
	for _, r := range batch {
		workspaceID := r.Publication[0].Event.WorkspaceID
		if r.err != nil {
			continue
		}
		ros, err := e.directory.roster(ctx, workspaceID)
		if err != nil {
			r.err = e.notKept(err)
			continue
		}
		if ros.closed {
			r.err = webhook.NewError(webhook.WrongState, "The workspace of this request was closed. Name another.")
			continue
		}
		versions[workspaceID] = ros.version
		all = append(all, r.Publication)
		for _, p := range r.Publication {
			e.owe(ros, p, lease)
		}
	}
	return versions, all
}

// owe fills in what is owed of an event, leased as far as there is room.
func (e *Engine) owe(ros *roster, p *webhook.Publishing, lease int64) {
	p.Owed = nil
	for _, w := range e.directory.wants(ros, p.Event) {
		owed := webhook.Owed{DeliveryID: webhook.NewID(webhook.DeliveryPrefix), WebhookID: w.ID}
		if lease != 0 && e.window.reserve(w.WorkspaceID, w.ID, len(p.Event.Data)) {
			owed.Lease, owed.LeasedFor = lease, timeLimit(w)+e.margin()
		}
		p.Owed = append(p.Owed, owed)
	}
}

// giveBack gives back the places that were reserved for what was not kept.
func (e *Engine) giveBack(all []webhook.Publication) {
	for _, publication := range all {
		for _, p := range publication {
			e.giveBackOf(p)
		}
	}
}

func (e *Engine) giveBackOf(p *webhook.Publishing) {
	for _, o := range p.Owed {
		if o.Lease != 0 {
			e.window.release(p.Event.WorkspaceID, o.WebhookID, len(p.Event.Data))
		}
	}
	p.Owed = nil
}

// handOver makes items of what was kept and leased, and notes what was parked.
func (e *Engine) handOver(all []webhook.Publication, began time.Time) (items []*item) {
	for _, publication := range all {
		conflict := publication.Conflicts()
		for _, p := range publication {
			if conflict || p.Earlier != "" {
				e.giveBackOf(p)
				continue
			}
			for _, o := range p.Owed {
				if o.Lease == 0 {
					e.window.parked(p.Event.WorkspaceID, o.WebhookID)
					continue
				}
				items = append(items, e.item(&webhook.Due{
					DeliveryID: o.DeliveryID,
					WebhookID:  o.WebhookID,
					Event:      p.Event,
					Lease:      o.Lease,
					LeasedFor:  o.LeasedFor,
					Trigger:    webhook.TriggerPublish,
				}, began))
			}
		}
	}
	return items
}
