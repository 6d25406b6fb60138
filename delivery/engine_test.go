package delivery

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// keeper is an engine that keeps its runs in a database of its own.
type keeper struct {
	*Engine
	db        *db.DB
	url       string // the database's
	workspace string
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL")
	}
	k := &keeper{Engine: devEngine(), url: pgtest.URL(t)}
	var err error
	if k.db, err = db.Open(t.Context(), k.url, pgtest.MasterKey); err != nil {
		t.Fatal(err)
	}
	k.Store = k.db
	t.Cleanup(func() { _ = k.db.Close() })
	k.workspace = k.open(t, "default")
	return k
}

func (k *keeper) open(t *testing.T, uid string) (workspaceID string) {
	t.Helper()
	id, err := k.db.EnsureWorkspace(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// plan tests an endpoint that is not registered.
func (k *keeper) plan(url string, tests int) Plan {
	w := postWebhook(url)
	w.ID, w.WorkspaceID = "", k.workspace
	return Plan{Webhook: w, Payloads: payloads(slices.Repeat([]string{"a"}, tests)...)}
}

// start starts a run and ends it with the test at the latest.
func (k *keeper) start(t *testing.T, p Plan) *webhook.TestRun {
	t.Helper()
	run, _, err := k.Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Cancel(context.Background(), run.ID) })
	return run
}

// until reads a run and its tests until they are as wanted.
func (k *keeper) until(t *testing.T, runID string, want func(*webhook.TestRun, []*webhook.TestResult) bool) (*webhook.TestRun, []*webhook.TestResult) {
	t.Helper()
	for {
		run, err := k.db.TestRun(t.Context(), k.workspace, runID)
		if err != nil {
			t.Fatal(err)
		}
		results, err := k.db.TestResults(t.Context(), k.workspace, []string{runID})
		if err != nil {
			t.Fatal(err)
		}
		if want(run, results[runID]) {
			return run, results[runID]
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func hasEnded(run *webhook.TestRun, _ []*webhook.TestResult) bool {
	return run.Status != webhook.TestRunRunning
}

// held is a receiver that answers nothing until it is released.
func held(t *testing.T) (url string, release func()) {
	t.Helper()
	gate := make(chan struct{}) // closed by release
	p := listenHTTP(t, func(conn net.Conn) {
		gone := make(chan struct{}) // closed when the other side has gone
		go func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, conn)
		}()
		select {
		case <-gate:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		case <-gone:
		}
		conn.Close()
		<-gone
	})
	return p.url(), func() { close(gate) }
}

func count(results []*webhook.TestResult, s webhook.TestStatus) (n int) {
	for _, r := range results {
		if r.Status() == s {
			n++
		}
	}
	return n
}

// A run that nobody waits for goes on without its request, can be read all the
// while, and does what it is to do before it is seen to have ended.
func TestStart(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	url, release := held(t)
	p := k.plan(url, testsAtOnce+2)
	p.Succeeded = func(ctx context.Context) error {
		if run, err := k.db.TestRun(ctx, k.workspace, anyRun(k)); err != nil || run.Status != webhook.TestRunRunning {
			t.Errorf("succeeded in a run that is %+v, %v", run, err)
		}
		return ctx.Err()
	}
	ctx, leave := context.WithCancel(t.Context())
	run, tests, err := k.Start(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if run.Status != webhook.TestRunRunning || len(tests) != run.TestsTotal || run.Success() != nil {
		t.Errorf("begun as %+v with %d tests", run, len(tests))
	}
	for i, test := range tests {
		if test.Status() != webhook.TestWaiting {
			t.Errorf("test %d begins %s", i, test.Status())
		}
	}
	k.until(t, run.ID, func(_ *webhook.TestRun, results []*webhook.TestResult) bool {
		return count(results, webhook.TestRunning) == testsAtOnce && count(results, webhook.TestWaiting) == 2
	})
	release()
	ended, results := k.until(t, run.ID, hasEnded)
	if ended.Status != webhook.TestRunFinished || ended.TestsSucceeded != run.TestsTotal || ended.TestsFailed != 0 || !*ended.Success() {
		t.Errorf("ended as %+v", ended)
	}
	if count(results, webhook.TestSucceeded) != run.TestsTotal {
		t.Errorf("got %+v, want all to have succeeded", results)
	}
	k.Run(stopped(t))
}

// anyRun is the id of a run that is under way, "" where there is none.
func anyRun(k *keeper) string {
	k.runs.mu.Lock()
	defer k.runs.mu.Unlock()
	for id := range k.runs.byID {
		return id
	}
	return ""
}

// stopped is a context that is done.
func stopped(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// isAborted checks a run of which no test was answered: eight were sent.
func isAborted(t *testing.T, run *webhook.TestRun, results []*webhook.TestResult, cause string) {
	t.Helper()
	if run.Status != webhook.TestRunAborted || run.TestsRun() != run.TestsTotal || run.TestsFailed != run.TestsTotal || run.FinishedAt == nil {
		t.Errorf("got %+v, want it ABORTED with all failed", run)
	}
	for i, r := range results {
		message := "Stopped before an answer came: " + cause + "."
		if i >= testsAtOnce {
			message = "Not sent: " + cause + " before its turn came."
		}
		if r.Status() != webhook.TestFailed || r.Message != message || (r.StartedAt == nil) != (i >= testsAtOnce) {
			t.Errorf("test %d: got %+v, want %q", i, r, message)
		}
	}
}

func allSent(_ *webhook.TestRun, results []*webhook.TestResult) bool {
	return count(results, webhook.TestRunning) == testsAtOnce
}

func TestCancelRun(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	url, _ := held(t)
	run := k.start(t, k.plan(url, testsAtOnce+2))
	k.until(t, run.ID, allSent)
	if !k.Cancel(t.Context(), run.ID) || k.Cancel(t.Context(), run.ID) {
		t.Error("want the run to be there until it is canceled, and then no more")
	}
	ended, results := k.until(t, run.ID, func(*webhook.TestRun, []*webhook.TestResult) bool { return true })
	isAborted(t, ended, results, "the test run was canceled")
}

// A run can be canceled by whoever reaches the database, whether somebody waits
// for it or not.
func TestCancelFromAnotherProcess(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	url, _ := held(t)
	background := k.start(t, k.plan(url, testsAtOnce+2)).ID
	k.until(t, background, allSent)
	waited := make(chan *webhook.TestRun, 1)
	go func() {
		run, _, err := k.Test(t.Context(), k.plan(url, testsAtOnce+2))
		if err != nil {
			t.Error(err)
		}
		waited <- run
	}()
	var other string
	for other == "" || other == background {
		other = anyRun(k)
	}
	for _, id := range []string{background, other} {
		k.until(t, id, allSent)
		began := time.Now()
		if _, err := k.db.CancelTestRun(t.Context(), k.workspace, id); err != nil {
			t.Fatal(err)
		}
		ended, results := k.until(t, id, hasEnded)
		if took := time.Since(began); took > 4*time.Second { // each of them would take 5 s
			t.Errorf("ended %s after it was canceled, want about half a second", took)
		}
		isAborted(t, ended, results, "the test run was canceled")
	}
	if run := <-waited; run != nil && run.Status != webhook.TestRunAborted {
		t.Errorf("who waits is told %+v, want it ABORTED", run)
	}
}

// Told to stop, the engine begins nothing more, and has kept every end when it
// returns.
func TestStop(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	url, _ := held(t)
	run := k.start(t, k.plan(url, testsAtOnce+2))
	k.until(t, run.ID, allSent)
	if err := k.Run(stopped(t)); err != nil {
		t.Error(err)
	}
	ended, results := k.until(t, run.ID, func(*webhook.TestRun, []*webhook.TestResult) bool { return true })
	isAborted(t, ended, results, "HookQL was stopped")
	if _, _, err := k.Start(t.Context(), k.plan(url, 1)); !errors.Is(err, webhook.Overloaded) {
		t.Errorf("Start after the end: %v, want OVERLOADED", err)
	}
}

// Patience lets what is nearly done be done.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	k.Patience = time.Minute
	url, release := held(t)
	run := k.start(t, k.plan(url, 1))
	k.until(t, run.ID, func(_ *webhook.TestRun, results []*webhook.TestResult) bool {
		return count(results, webhook.TestRunning) == 1
	})
	done := make(chan error, 1) // from Run
	go func() { done <- k.Run(stopped(t)) }()
	for !isClosed(&k.runs) {
		time.Sleep(time.Millisecond)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if ended, _ := k.until(t, run.ID, hasEnded); ended.Status != webhook.TestRunFinished {
		t.Errorf("ended as %+v, want it FINISHED", ended)
	}
}

func isClosed(r *runs) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func TestBackgroundIsBounded(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	url, _ := held(t)
	refused := func(want webhook.Code) {
		t.Helper()
		_, _, err := k.Start(t.Context(), k.plan(url, 1))
		var mistake *webhook.Error
		if !errors.As(err, &mistake) || mistake.Code != want || mistake.Field[0] != "wait" {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	var first *webhook.TestRun
	for i := range maxBackground / maxBackgroundOfWorkspace {
		k.workspace = k.open(t, strings.Repeat("w", i+1))
		for range maxBackgroundOfWorkspace {
			run := k.start(t, k.plan(url, 1))
			if first == nil {
				first = run
			}
		}
		refused(webhook.LimitReached)
	}
	k.workspace = k.open(t, "late")
	refused(webhook.Overloaded)
	k.Cancel(t.Context(), first.ID)
	for { // the place is given back a moment after the run is kept
		_, _, err := k.Start(t.Context(), k.plan(url, 1))
		if err == nil {
			break
		}
		if !errors.Is(err, webhook.Overloaded) {
			t.Fatal(err)
		}
	}
	k.Run(stopped(t))
}

// leave makes every run of the database look as if its process were gone.
func (k *keeper) leave(t *testing.T) {
	t.Helper()
	own, err := sql.Open("postgres", k.url)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close() //nolint:errcheck // the test's own
	if _, err := own.ExecContext(t.Context(), "UPDATE test_runs SET leased_until = now() WHERE status = 'RUNNING'"); err != nil {
		t.Fatal(err)
	}
}

// What a process left is ended by any other.
func TestRunEndsWhatWasLeft(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	r := newTestRun(k.plan("http://127.0.0.1:9", 2))
	if _, err := k.db.BeginTestRun(t.Context(), k.workspace, &r.run, r.tests, webhook.Idempotency{}); err != nil {
		t.Fatal(err)
	}
	k.leave(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1) // from Run
	go func() { done <- k.Run(ctx) }()
	ended, results := k.until(t, r.run.ID, hasEnded)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if ended.Status != webhook.TestRunAborted || ended.TestsFailed != 2 || !strings.HasPrefix(results[0].Message, "Not sent: the process that ran the test was gone") {
		t.Errorf("got %+v and %+v, want it ABORTED", ended, results[0])
	}
}

// A process that was silent for so long that its run was ended for it stops,
// and changes nothing of what others were told.
func TestRunThatWasEndedStops(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	url, _ := held(t)
	failed := make(chan error, 1) // from Test
	go func() {
		_, _, err := k.Test(t.Context(), k.plan(url, 1))
		failed <- err
	}()
	var id string
	for id == "" {
		id = anyRun(k)
	}
	for ended := 0; ended == 0; { // until no renewal comes between
		k.leave(t)
		var err error
		if ended, err = k.db.EndLeftTestRuns(t.Context(), "not sent", "no answer"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; err == nil || errors.Is(err, webhook.NotFound) {
		t.Errorf("Test: %v, want a fault of ours", err)
	}
	if run, _ := k.until(t, id, hasEnded); run.Status != webhook.TestRunAborted {
		t.Errorf("got %+v, want it ABORTED", run)
	}
}
