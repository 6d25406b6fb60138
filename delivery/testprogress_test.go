package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

// keptRun is a run of two tests as a store keeps it.
type keptRun struct {
	mu      sync.Mutex
	run     webhook.TestRun      // guarded by mu
	results []webhook.TestResult // guarded by mu
	reads   int                  // guarded by mu
	err     error                // guarded by mu
}

func newKeptRun() *keptRun {
	return &keptRun{run: webhook.TestRun{ID: "run_1", Status: webhook.TestRunRunning}, results: []webhook.TestResult{{ID: "test_a"}, {ID: "test_b"}}}
}

func (k *keptRun) read(context.Context) (*webhook.TestRun, []*webhook.TestResult, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	run, results := k.run, make([]*webhook.TestResult, len(k.results))
	for i, r := range k.results {
		results[i] = &r
	}
	return &run, results, k.err
}

func (k *keptRun) change(change func(*keptRun)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k)
}

func (k *keptRun) looked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}

// nextStep shows a step as text; "" where there is no more.
func nextStep(t *testing.T, steps <-chan *webhook.TestRunProgress) string {
	t.Helper()
	select {
	case s, more := <-steps:
		switch {
		case !more:
			return ""
		case s.Result == nil:
			return string(s.TestRun.Status)
		default:
			return s.Result.ID + " " + string(s.Result.Status())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no step comes")
		return ""
	}
}

func checkSteps(t *testing.T, steps <-chan *webhook.TestRunProgress, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if got := nextStep(t, steps); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// TestFollowTestRun sends what is there, then what changes, told by another
// process, and at last the end.
func TestFollowTestRun(t *testing.T) {
	t.Parallel()
	var wire air
	here, there := &Hub{Wire: &wire}, &Hub{Wire: &wire}
	run(t, here)
	run(t, there)
	k := newKeptRun()
	now := webhook.Now()
	k.results[0].StartedAt = &now
	steps, ended := FollowTestRun(t.Context(), there, "ws_1", "run_1", k.read)
	checkSteps(t, steps, "RUNNING", "test_a RUNNING")
	wants(t, here, "ws_1", true)

	k.change(func(k *keptRun) { k.results[0].Verdict, k.results[1].StartedAt = webhook.VerdictPass, &now })
	here.Publish("ws_1", TestRunChanged, "run_other", "run_1")
	checkSteps(t, steps, "test_a SUCCEEDED", "test_b RUNNING")
	k.change(func(k *keptRun) { k.results[1].Verdict, k.run.Status = webhook.VerdictFail, webhook.TestRunFinished })
	here.Publish("ws_1", TestRunChanged, "run_1")
	checkSteps(t, steps, "test_b FAILED", "FINISHED", "")
	if err := ended(); err != nil {
		t.Error(err)
	}
	if said := strings.Join(wire.said, "\n"); !strings.Contains(said, " testrun ws_1 run_1") {
		t.Errorf("the other process was not told: %s", said)
	}
	there.readers.Wait()
	if len(there.feeds) > 0 {
		t.Error("the feed is kept after the end")
	}
}

// TestFollowTestRunOfNobody notices by itself that a run has ended of which
// nobody tells.
func TestFollowTestRunOfNobody(t *testing.T) {
	t.Parallel()
	var h Hub
	k := newKeptRun()
	steps, _ := FollowTestRun(t.Context(), &h, "ws_1", "run_1", k.read)
	checkSteps(t, steps, "RUNNING")
	h.Publish("ws_1", TestRunChanged, "run_other")
	k.change(func(k *keptRun) {
		k.run.Status = webhook.TestRunAborted
		k.results[0].Verdict, k.results[1].Verdict = webhook.VerdictPass, webhook.VerdictFail
	})
	began := time.Now()
	checkSteps(t, steps, "test_a SUCCEEDED", "test_b FAILED", "ABORTED", "")
	if took := time.Since(began); took > 4*lookPeriod {
		t.Errorf("the end was noticed after %s", took)
	}
	if h.Interest() != 0 {
		t.Error("the feed is kept after the end")
	}
}

// TestFollowTestRunSlowly gives who is slow the newest state, and misses
// nothing where the hub does.
func TestFollowTestRunSlowly(t *testing.T) {
	t.Parallel()
	var h Hub
	k := newKeptRun()
	now := webhook.Now()
	steps, ended := FollowTestRun(t.Context(), &h, "ws_1", "run_1", k.read)
	checkSteps(t, steps, "RUNNING")
	k.change(func(k *keptRun) { k.results[0].StartedAt = &now })
	h.Publish("ws_1", TestRunChanged, "run_1")
	for k.looked() < 2 {
		time.Sleep(time.Millisecond)
	}
	// It stands at its first result now, and many more changes than a hub keeps
	// are told.
	for n := range 2 * maxPending {
		h.Publish("ws_1", TestRunChanged, fmt.Sprint("run_other", n))
	}
	k.change(func(k *keptRun) {
		k.results[0].Verdict, k.results[1].StartedAt, k.results[1].Verdict = webhook.VerdictPass, &now, webhook.VerdictPass
	})
	checkSteps(t, steps, "test_a RUNNING", "test_a SUCCEEDED", "test_b SUCCEEDED")
	for healthy := false; !healthy; time.Sleep(time.Millisecond) { // it listens again
		h.mu.Lock()
		for f := range h.feeds[topic{"ws_1", TestRunChanged}] {
			healthy = f.err == nil
		}
		h.mu.Unlock()
	}
	k.change(func(k *keptRun) { k.run.Status = webhook.TestRunFinished })
	h.mu.Lock()
	h.fail(func(topic) bool { return true })
	h.mu.Unlock()
	checkSteps(t, steps, "FINISHED", "")
	if err := ended(); err != nil {
		t.Error(err)
	}
}

// TestFollowTestRunEnds where it cannot be read, and with its context, which is
// no error.
func TestFollowTestRunEnds(t *testing.T) {
	t.Parallel()
	var h Hub
	k := newKeptRun()
	steps, ended := FollowTestRun(t.Context(), &h, "ws_1", "run_1", k.read)
	checkSteps(t, steps, "RUNNING")
	broken := errors.New("broken")
	k.change(func(k *keptRun) { k.err = broken })
	h.Publish("ws_1", TestRunChanged, "run_1")
	checkSteps(t, steps, "")
	if err := ended(); !errors.Is(err, broken) {
		t.Error(err)
	}

	k.change(func(k *keptRun) { k.err = nil })
	ctx, cancel := context.WithCancel(t.Context())
	var stopped []func() error
	for range 3 { // at the first step, between two looks, and asleep
		steps, ended := FollowTestRun(ctx, &h, "ws_1", "run_1", k.read)
		stopped = append(stopped, ended)
		if len(stopped) > 1 {
			checkSteps(t, steps, "RUNNING")
		}
		t.Cleanup(func() { checkSteps(t, steps, "") })
	}
	cancel()
	h.readers.Wait()
	if h.Interest() != 0 || slices.ContainsFunc(stopped, func(ended func() error) bool { return ended() != nil }) {
		t.Errorf("%d feeds are kept, or an error is told", h.Interest())
	}
}

// TestRunsAreTold tells of a run when something of it is kept, and not when it
// only lives.
func TestRunsAreTold(t *testing.T) {
	t.Parallel()
	e := devEngine()
	feed := e.Hub.Subscribe("ws_1", TestRunChanged)
	defer feed.End()
	got, _ := test(t, e, postWebhook(receive(t, &webhooktest.Receiver{})), payloads("a"))
	check(t, feed, got.ID)

	r := newTestRun(Plan{Webhook: postWebhook("http://127.0.0.1/"), Payloads: payloads("a")})
	e.tellRun(r)
	e.Hub.Publish("ws_1", TestRunChanged, "run_after")
	check(t, feed, "run_after")
}
