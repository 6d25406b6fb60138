package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Engine sends events to webhooks. Today it sends tests; the delivery of
// published events comes to stand on the same attempt. The zero Engine is
// usable and safe, and keeps nothing. It is safe for concurrent use.
type Engine struct {
	// Client does the sending, by its policy.
	Client Client
	// Store keeps test runs; nil: nothing is kept.
	Store Store
	// Log gets each test run at debug level; nil: nothing is logged.
	Log *slog.Logger
	// Version follows HookQL/ in User-Agent; empty: HookQL alone.
	Version string
	// TestTimeout is how long a whole test run may take; zero: 60 seconds.
	TestTimeout time.Duration
	// Patience is how long test runs that nobody waits for may go on once the
	// engine is told to stop; zero: they are cut off at once.
	Patience time.Duration

	runs runs
}

// Store keeps test runs, so that they can be read while they run, canceled from
// another process, and be known to have ended where their process has. db.DB
// is one and says what each method does.
type Store interface {
	BeginTestRun(ctx context.Context, workspaceID string, run *webhook.TestRun, tests []webhook.Test, i webhook.Idempotency) (earlier string, err error)
	KeepTestRun(ctx context.Context, workspaceID string, run *webhook.TestRun, changed []webhook.Test) (canceled bool, err error)
	EndLeftTestRuns(ctx context.Context, notSent, sent string) (int, error)
}

// sweepPeriod is how often the engine looks for runs whose process is gone.
const sweepPeriod = 2 * time.Second

// Run keeps test runs from being stuck: it ends those that another process, or
// this one before it was killed, has left. Once ctx is done it lets no further
// run begin in the background, and returns when those that did have ended and
// are kept.
func (e *Engine) Run(ctx context.Context) error {
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
			return nil
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

// Wake tells the engine that deliveries were made due by something else than it,
// so that it looks for them at once. It never blocks.
func (e *Engine) Wake() {}

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
