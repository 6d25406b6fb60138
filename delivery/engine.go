package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Engine sends events to webhooks: tests, and what is published. The zero
// Engine is usable and safe; it sends tests and keeps nothing. It is safe for
// concurrent use.
type Engine struct {
	// Client does the sending, by its policy.
	Client Client
	// Store keeps test runs; nil: nothing is kept.
	Store Store
	// Queue, Webhooks and Nodes keep what is published, owed and delivered; nil:
	// nothing can be published. All three are needed, or none.
	Queue    Queue
	Webhooks Webhooks
	Nodes    Nodes
	// Hub is told what is published and what becomes of it.
	Hub Hub
	// Log gets each test run at debug level, and what goes wrong; nil: nothing
	// is logged.
	Log *slog.Logger
	// Metrics are told what the engine does.
	Metrics Metrics
	// Version follows HookQL/ in User-Agent; empty: HookQL alone.
	Version string
	// TestTimeout is how long a whole test run may take; zero: 60 seconds.
	TestTimeout time.Duration
	// Patience is how long requests and test runs that nobody waits for may go
	// on once the engine is told to stop; zero: they are cut off at once.
	Patience time.Duration
	// SuspendAfter is for how long every attempt at a webhook must have failed
	// before it is suspended; zero: five days.
	SuspendAfter time.Duration
	// LeaseMargin is how much longer a delivery is leased than an attempt may
	// take; zero: 15 seconds. A process that stands still for longer is
	// overtaken.
	LeaseMargin time.Duration

	runs runs

	ready       sync.Once
	publisher   publisher
	directory   directory
	window      window
	kept        kept
	leases      leases
	living      atomic.Int64    // processes that deliver
	wake        chan struct{}   // Wake sends, nobody closes, one place
	settlements chan settlement // senders and the claimer send, deliverAll closes once they have ended; record empties it
	suspensions chan suspension // record sends and never waits, deliverAll closes once it has ended; suspendAll empties it
	senders     sync.WaitGroup
	startSender func()

	// The claimer's and the keeper's own.
	parkedAfter string
	size        size
	node        Node
	nodeLost    bool
}

// Store keeps test runs, so that they can be read while they run, canceled from
// another process, and be known to have ended where their process has. db.DB
// is one and says what each method does.
type Store interface {
	BeginTestRun(ctx context.Context, workspaceID string, run *webhook.TestRun, tests []webhook.Test, i webhook.Idempotency) (earlier string, err error)
	KeepTestRun(ctx context.Context, workspaceID string, run *webhook.TestRun, changed []webhook.Test) (canceled bool, err error)
	EndLeftTestRuns(ctx context.Context, notSent, sent string) (int, error)
}

// Queue keeps what is published and what is owed of it. db.DB is one and says
// what each method does.
type Queue interface {
	Ingest(ctx context.Context, versions map[string]int64, all []webhook.Publication) (stale []string, err error)
	ClaimDue(ctx context.Context, lease int64, margin time.Duration, limit int) ([]*webhook.Due, error)
	ClaimParked(ctx context.Context, lease int64, margin time.Duration, wanted map[string]int) ([]*webhook.Due, error)
	Parked(ctx context.Context, after string, limit int) ([][2]string, error)
	Settle(ctx context.Context, all []webhook.Settled, suspendAfter time.Duration) (failing []string, err error)
}

const (
	// sweepPeriod is how often the engine looks for runs whose process is gone.
	sweepPeriod = 2 * time.Second
	// defaultMargin is how much longer than an attempt a lease is.
	defaultMargin = 15 * time.Second
	// maxTimeout is the longest that a webhook may give an attempt.
	maxTimeout = 30 * time.Second
)

// Run delivers what is published, and keeps test runs from being stuck, until
// ctx is done. Then it takes nothing more in hand, gives back what was not
// sent, and returns when what is under way has ended, or Patience is over, and
// is recorded. Until then events can be published.
func (e *Engine) Run(ctx context.Context) error {
	e.setUp()
	var services sync.WaitGroup
	services.Go(func() { e.runTests(ctx) })
	services.Go(func() { e.Hub.Run(ctx) })
	if e.Queue != nil {
		services.Go(func() { e.deliverAll(ctx) })
	}
	services.Wait()
	return nil
}

// setUp makes what the engine's parts tell each other through.
func (e *Engine) setUp() {
	e.ready.Do(func() {
		e.publisher.requests = make(chan *publishRequest, maxQueued)
		e.settlements = make(chan settlement, maxSending)
		e.suspensions = make(chan suspension, maxSuspensions)
		e.wake = make(chan struct{}, 1)
		e.size.smoothed = 16 << 10 // until it is known better
		e.directory.store = e.Webhooks
	})
}

// deliverAll delivers until ctx is done, and then brings what is under way to
// its end. Each part ends before the one that it hands on to.
func (e *Engine) deliverAll(ctx context.Context) {
	attempts, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	e.startSender = func() { e.senders.Go(func() { e.sendTurns(attempts) }) }

	var keepers, claimer, publisher, settler, suspender sync.WaitGroup
	published := make(chan struct{}) // closed below, once nothing more is to be published
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	keepers.Go(func() { e.keepNode(keeping) })
	keepers.Go(func() { e.keepDirectory(keeping) })
	settler.Go(e.settle)
	suspending, stopSuspending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSuspending()
	suspender.Go(func() { e.suspendAll(suspending) })
	publisher.Go(func() { e.publish(published) })
	claimer.Go(func() { e.claim(ctx.Done()) })

	<-ctx.Done()
	claimer.Wait()
	e.giveUp()
	late := time.AfterFunc(e.Patience, func() { cut(errStopped) })
	e.senders.Wait()
	late.Stop()
	e.kept.close()
	e.giveUp() // what was taken in hand just before
	close(e.settlements)
	settler.Wait()
	close(e.suspensions)
	late = time.AfterFunc(settleTime, stopSuspending)
	suspender.Wait()
	late.Stop()
	e.publisher.closed.Store(true)
	close(published)
	publisher.Wait()
	stopKeeping()
	keepers.Wait()
	if e.node != nil {
		if err := e.node.Leave(); err != nil {
			e.log().Warn("this process did not leave in order; others take its place all the same", "error", err)
		}
	}
}

// giveUp gives back what is in hand and was not sent, and closes the window.
func (e *Engine) giveUp() {
	for _, i := range e.window.drain(true) {
		e.settlements <- settlement{i, webhook.Settled{Due: i.Due, State: webhook.QueueReady}}
	}
}

// margin is how much longer than an attempt a lease is.
func (e *Engine) margin() time.Duration {
	if e.LeaseMargin <= 0 {
		return defaultMargin
	}
	return e.LeaseMargin
}

// longestLease is how long a lease is at most.
func (e *Engine) longestLease() time.Duration { return maxTimeout + e.margin() }

// runTests keeps test runs from being stuck: it ends those that another
// process, or this one before it was killed, has left. Once ctx is done it lets
// no further run begin in the background, and returns when those that did have
// ended and are kept.
func (e *Engine) runTests(ctx context.Context) {
	sweep := time.NewTicker(sweepPeriod)
	defer sweep.Stop()
	for {
		e.endLeft(ctx)
		select {
		case <-sweep.C:
		case <-ctx.Done():
			e.runs.close()
			defer time.AfterFunc(e.Patience, e.runs.cut).Stop()
			e.runs.background.Wait()
			return
		}
	}
}

// endLeft ends the runs whose process is gone. What fails is tried again soon.
func (e *Engine) endLeft(ctx context.Context) {
	n, err := e.store().EndLeftTestRuns(ctx, notSent(errLeft), unanswered(errLeft.Error()))
	switch {
	case ctx.Err() != nil: // told to stop meanwhile
	case err != nil:
		e.log().WarnContext(ctx, "test runs that their process left were not ended", "error", err)
	case n > 0:
		e.log().InfoContext(ctx, "ended test runs that their process left", "runs", n)
	}
}

// Cancel ends a test run of this process at once and returns when it is kept.
// It says whether there was such a run; one of another process is canceled in
// the store.
func (e *Engine) Cancel(ctx context.Context, runID string) bool {
	run, ok := e.runs.find(runID)
	if !ok {
		return false
	}
	run.cancel(errCanceled)
	select {
	case <-run.ended:
	case <-ctx.Done():
	}
	return true
}

func (e *Engine) store() Store {
	if e.Store == nil {
		return noStore{}
	}
	return e.Store
}

func (e *Engine) log() *slog.Logger {
	if e.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Log
}

// noStore keeps nothing.
type noStore struct{}

func (noStore) BeginTestRun(context.Context, string, *webhook.TestRun, []webhook.Test, webhook.Idempotency) (string, error) {
	return "", nil
}

func (noStore) KeepTestRun(context.Context, string, *webhook.TestRun, []webhook.Test) (bool, error) {
	return false, nil
}

func (noStore) EndLeftTestRuns(context.Context, string, string) (int, error) { return 0, nil }

// How many runs that nobody waits for one process has at a time. Those that
// somebody waits for are bounded by their requests.
const (
	maxBackground            = 20
	maxBackgroundOfWorkspace = 5
)

// runs are the test runs of this process that are under way.
type runs struct {
	background sync.WaitGroup

	mu          sync.Mutex
	byID        map[string]current
	total       int            // in the background
	byWorkspace map[string]int // in the background
	closed      bool           // none may begin in the background
	isCut       bool           // those that begin all the same are cut off
}

// current is a run that is under way.
type current struct {
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when the run has ended and is kept
}

// enter notes that a run is under way, until leave is called.
func (r *runs) enter(id string, cancel context.CancelCauseFunc) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[string]current)
	}
	run := current{cancel, make(chan struct{})}
	r.byID[id] = run
	if r.isCut {
		cancel(errStopped)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.byID, id)
		close(run.ended)
	}
}

func (r *runs) find(id string) (current, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, ok := r.byID[id]
	return run, ok
}

// reserve takes a place in the background, which release gives back. The error
// is a *webhook.Error.
func (r *runs) reserve(workspaceID string) (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, webhook.NewError(webhook.Overloaded, "HookQL is stopping, so it begins no run that goes on by itself. Try again in a few seconds.", "wait")
	case r.byWorkspace[workspaceID] >= maxBackgroundOfWorkspace:
		return nil, webhook.NewError(webhook.LimitReached, fmt.Sprintf(
			"%d test runs of this workspace are under way already. Wait until one has ended, cancel one, or leave `wait` out.", maxBackgroundOfWorkspace), "wait")
	case r.total >= maxBackground:
		return nil, webhook.NewError(webhook.Overloaded, "Too many test runs are under way just now. Try again in a few seconds, or leave `wait` out.", "wait")
	}
	if r.byWorkspace == nil {
		r.byWorkspace = make(map[string]int)
	}
	r.total++
	r.byWorkspace[workspaceID]++
	r.background.Add(1)
	return func() { r.release(workspaceID) }, nil
}

func (r *runs) release(workspaceID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
	if r.byWorkspace[workspaceID]--; r.byWorkspace[workspaceID] == 0 {
		delete(r.byWorkspace, workspaceID) // workspaces come and go
	}
	r.background.Done()
}

// close lets no further run begin in the background.
func (r *runs) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// cut ends every run.
func (r *runs) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = true
	for _, run := range r.byID {
		run.cancel(errStopped)
	}
}

// Why a test run was cut off; sentences are made with them.
var (
	errTestTimeout = errors.New("the time for the whole test run was over")
	errCanceled    = errors.New("the test run was canceled")
	errStopped     = errors.New("HookQL was stopped")
	errLeft        = errors.New("the process that ran the test was gone")
)
