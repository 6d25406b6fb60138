package webhook

import (
	"slices"
	"time"
)

// Due is a delivery that a process has in hand, under a lease that nobody else
// holds.
type Due struct {
	DeliveryID string
	WebhookID  string
	Event      *Event
	// Lease is what an attempt is recorded under. Whoever takes the delivery
	// over has another.
	Lease int64
	// LeasedFor is how long the lease was when it was given.
	LeasedFor time.Duration
	// Attempts are those made before; the retry policy began anew at Ladder.
	Attempts, Ladder int
	// Trigger is what sets off the next attempt.
	Trigger Trigger
}

// Lease is the n-th lease of a node, from 1: no two are the same, and those of
// one node lie between Lease(node, 0) and Lease(node+1, 0).
func Lease(node, n int64) int64 { return node<<32 | n }

// QueueState is how the queue sees a delivery.
type QueueState string

// The states of a delivery in the queue. The last three are ends.
const (
	QueueReady     QueueState = "READY"
	QueueParked    QueueState = "PARKED"
	QueueSucceeded QueueState = "SUCCEEDED"
	QueueFailed    QueueState = "FAILED"
	QueueCanceled  QueueState = "CANCELED"
)

// Settled is what becomes of a delivery that was in hand.
type Settled struct {
	*Due
	// Attempt is the one that was made; nil where none was.
	Attempt *Attempt
	State   QueueState
	// Delay is after how long it is due again, for QueueReady.
	Delay time.Duration
	// Counts says that the attempt tells how the webhook fares: it was not cut
	// off by HookQL itself.
	Counts bool
}

// Publication is what one request publishes: all of it or nothing.
type Publication []*Publishing

// Size is how large the data of all its events are.
func (p Publication) Size() (size int) {
	for _, one := range p {
		size += len(one.Event.Data)
	}
	return size
}

// Conflicts says whether some event of it was published before with other
// content, so that nothing of it is kept.
func (p Publication) Conflicts() bool {
	return slices.ContainsFunc(p, func(one *Publishing) bool { return one.Conflict })
}

// Kept are those of its events that are published by it: all but those that were
// before, and none where there are conflicts.
func (p Publication) Kept() (kept []*Publishing) {
	if p.Conflicts() {
		return nil
	}
	for _, one := range p {
		if one.Earlier == "" {
			kept = append(kept, one)
		}
	}
	return kept
}

// Publishing is an event to publish, with what is owed of it.
type Publishing struct {
	Event *Event
	// ContentHash tells other content under the same uid; zero without one.
	ContentHash [32]byte
	Owed        []Owed
	// Earlier is the event that was published under the same uid before, with
	// the same content unless Conflict; "" where there is none. Both are filled
	// in when it is kept, and a publication with a conflict is not.
	Earlier  string
	Conflict bool
}

// Owed is a delivery to be made of an event. One with a lease is handed to the
// process that publishes it; the others wait parked.
type Owed struct {
	DeliveryID string
	WebhookID  string
	Lease      int64
	LeasedFor  time.Duration
}

// Suspension is that of a webhook which is gone, or fails for too long.
type Suspension struct {
	WebhookID string
	Reason    StatusReason
	// Since is when the attempt began that showed it. A webhook that was changed
	// later is left as it is.
	Since time.Time
	// Told is the event that tells of it. What is owed of it was matched with the
	// workspace's webhooks at Version.
	Told    *Publishing
	Version int64
}

// QueueDepth is what waits in the queue, of all processes. Counts end at
// MaxQueueDepth.
type QueueDepth struct {
	// Due are those that a process may take in hand now, Later those that are to
	// be tried again, Parked those whose webhook cannot take more or is not active.
	Due, Later, Parked int
	// OldestDue is for how long the oldest of Due has been.
	OldestDue time.Duration
}

// MaxQueueDepth is how far what waits is counted, so that it takes as long
// however much it is.
const MaxQueueDepth = 100_000
