package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

const (
	// nodePeriod is how often a process looks for others that are gone, and
	// whether it counts as living itself.
	nodePeriod = time.Second
	// refreshPeriod is how often it looks for webhooks that have changed.
	refreshPeriod = 500 * time.Millisecond
	// nodeTime is how long each may take.
	nodeTime = 5 * time.Second
)

// Nodes are the processes that deliver.
type Nodes interface {
	// Join makes this process one of them.
	Join(ctx context.Context) (Node, error)
	// FreeLeft frees what processes had in hand that are gone, and says how
	// many live. No lease is longer than longest.
	FreeLeft(ctx context.Context, self int64, longest time.Duration) (alive int, freed int64, err error)
}

// Node is this process as one of those that deliver.
type Node interface {
	// Number is what webhook.Lease makes leases of.
	Number() int64
	// Check fails once the node does not count as living any more.
	Check(ctx context.Context) error
	// Leave lets others take over at once what it still has in hand.
	Leave() error
}

// leases makes the numbers of leases. No two processes make the same.
type leases struct {
	mu   sync.Mutex
	node Node // nil: this process is none of those that deliver
	last int64
}

// next is a new number; 0 where this process must not lease anything.
func (l *leases) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.node == nil {
		return 0
	}
	l.last++
	return webhook.Lease(l.node.Number(), l.last)
}

// can says whether this process may lease anything just now.
func (l *leases) can() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.node != nil
}

// use makes leases those of a node; nil: no more are made.
func (l *leases) use(n Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.node, l.last = n, 0
}

// keepNode keeps this process one of those that deliver, and frees what others
// have left, until ctx is done.
func (e *Engine) keepNode(ctx context.Context) {
	tick := time.NewTicker(nodePeriod)
	defer tick.Stop()
	for {
		if err := e.checkNode(ctx); err != nil && ctx.Err() == nil {
			e.log().WarnContext(ctx, "this process takes no deliveries in hand until the database answers", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkNode looks after this process and the others once.
func (e *Engine) checkNode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodeTime)
	defer cancel()
	if e.node != nil {
		if err := e.node.Check(ctx); err != nil && context.Cause(ctx) == nil {
			e.loseNode()
			return err
		}
	}
	if e.node == nil {
		node, err := e.Nodes.Join(ctx)
		if err != nil {
			return err
		}
		e.node = node
		e.leases.use(node)
		if e.nodeLost {
			// After an outage all processes come back at once. What each has sent by
			// then is recorded first, under leases that hold until they are freed.
			e.nodeLost = false
			return nil
		}
	}
	alive, freed, err := e.Nodes.FreeLeft(ctx, e.node.Number(), e.longestLease())
	if err != nil {
		return err
	}
	e.living.Store(int64(alive))
	if freed > 0 {
		e.log().InfoContext(ctx, "took over what another process had in hand", "deliveries", freed)
		e.Wake()
	}
	return nil
}

// loseNode lets go of what is in hand and was not sent: others may have taken it
// over.
func (e *Engine) loseNode() {
	e.leases.use(nil)
	e.window.settled(e.window.drain(false))
	_ = e.node.Leave() // its connection is gone
	e.node, e.nodeLost = nil, true
}

// alive is how many processes deliver, this one among them.
func (e *Engine) alive() int { return max(int(e.living.Load()), 1) }

// keepDirectory reads webhooks that have changed, until ctx is done.
func (e *Engine) keepDirectory(ctx context.Context) {
	tick := time.NewTicker(refreshPeriod)
	defer tick.Stop()
	for failed := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		refresh, cancel := context.WithTimeout(ctx, nodeTime)
		err := e.directory.refresh(refresh)
		if err != nil && !failed && ctx.Err() == nil {
			e.log().WarnContext(ctx, "changes of webhooks were not read; it is tried again and again", "error", err)
		}
		failed = err != nil
		cancel()
	}
}

// size is the usual size of an event's data, of which claims guess how much they
// take.
type size struct{ smoothed int64 } // the claimer alone uses it

func (s *size) add(n int) { s.smoothed += (int64(n) - s.smoothed) / 16 }

func (s *size) average() int { return int(s.smoothed) }
