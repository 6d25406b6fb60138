package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Engine sends events to webhooks. Today it sends tests; the delivery of
// published events comes to stand on the same attempt. The zero Engine is
// usable and safe. It is safe for concurrent use.
type Engine struct {
	// Client does the sending, by its policy.
	Client Client
	// Log gets each test run at debug level; nil: nothing is logged.
	Log *slog.Logger
	// Version follows HookQL/ in User-Agent; empty: HookQL alone.
	Version string
	// TestTimeout is how long a whole test run may take; zero: 60 seconds.
	TestTimeout time.Duration
}

// Payload is what to test a webhook with.
type Payload struct {
	EventName string
	// Data are sent as they are: the bytes of webhook.EncodeJSON.
	Data json.RawMessage
}

const (
	defaultTestTimeout = 60 * time.Second
	testsAtOnce        = 8
)

// errTestTimeout is why a test run's context ended.
var errTestTimeout = errors.New("the time for the whole test run was over")

// Test sends each payload to w once, as a test, some at the same time, and
// returns when all are answered or the time is over. A receiver that fails is
// a result, so there is no error. The results are in the order of the payloads.
//
// A run that ctx or the time cut off is ABORTED. Its tests that had no answer
// by then failed; those that had not begun have no exchange.
func (e *Engine) Test(ctx context.Context, w *webhook.Webhook, payloads []Payload) (webhook.TestRun, []webhook.Test) {
	run := newTestRun(w, len(payloads))
	results := make([]webhook.Test, len(payloads))
	ctx, cancel := context.WithTimeoutCause(ctx, e.testTimeout(), errTestTimeout)
	defer cancel()

	var tests sync.WaitGroup
	slots := make(chan struct{}, testsAtOnce) // a test holds one while it runs
	for i, p := range payloads {
		results[i].TestResult = webhook.TestResult{
			ID:        webhook.NewID(webhook.TestPrefix),
			RunID:     run.ID,
			EventName: p.EventName,
			Scenario:  webhook.ScenarioValid,
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			leaveOut(&results[i], context.Cause(ctx))
			continue
		}
		tests.Go(func() {
			defer func() { <-slots }()
			e.test(ctx, w, p.Data, &results[i])
		})
	}
	tests.Wait()
	finish(&run, results, ctx.Err() != nil)
	e.logRun(ctx, &run)
	return run, results
}

// test runs one test and fills in its result.
func (e *Engine) test(ctx context.Context, w *webhook.Webhook, data json.RawMessage, result *webhook.Test) {
	x, message := e.attempt(ctx, w, &Message{
		ID:        result.ID,
		EventName: result.EventName,
		Timestamp: webhook.Now(),
		Data:      data,
	})
	result.Exchanges = []webhook.Exchange{x}
	result.Message = message
	result.Verdict = verdict(&x)
}

// verdict judges an exchange with a receiver that must answer 2xx.
func verdict(x *webhook.Exchange) webhook.Verdict {
	switch {
	case x.Outcome != webhook.OutcomeDelivered:
		return webhook.VerdictFail
	case x.Detail != "":
		return webhook.VerdictWarn // it broke off the answer's body
	default:
		return webhook.VerdictPass
	}
}

// leaveOut fills in the result of a test that did not begin.
func leaveOut(result *webhook.Test, cause error) {
	result.Verdict = webhook.VerdictFail
	result.Message = "Not sent: " + cause.Error() + " before its turn came."
	if errors.Is(cause, errTestTimeout) {
		result.Message += " Let the receiver answer faster, or test fewer event types at once."
	}
}

func newTestRun(w *webhook.Webhook, tests int) webhook.TestRun {
	run := webhook.TestRun{
		ID:          webhook.NewID(webhook.TestRunPrefix),
		WorkspaceID: w.WorkspaceID,
		URL:         w.URL,
		Status:      webhook.TestRunRunning,
		StartedAt:   webhook.Now(),
		TestsTotal:  tests,
	}
	if w.ID != "" {
		run.WebhookID = &w.ID
	}
	return run
}

// finish counts the results. A run was cut off when its context ended before
// every test had its answer.
func finish(run *webhook.TestRun, results []webhook.Test, ended bool) {
	now := webhook.Now()
	run.FinishedAt = &now
	run.Status = webhook.TestRunFinished
	for i := range results {
		if *results[i].Verdict.Success() {
			run.TestsSucceeded++
		} else {
			run.TestsFailed++
		}
		if ended && results[i].Outcome() == webhook.OutcomeCanceled {
			run.Status = webhook.TestRunAborted
		}
	}
}

func (e *Engine) testTimeout() time.Duration {
	if e.TestTimeout <= 0 {
		return defaultTestTimeout
	}
	return e.TestTimeout
}

func (e *Engine) logRun(ctx context.Context, run *webhook.TestRun) {
	if e.Log == nil {
		return
	}
	e.Log.DebugContext(ctx, "tested", "run_id", run.ID, "status", string(run.Status),
		"tests_succeeded", run.TestsSucceeded, "tests_failed", run.TestsFailed,
		"duration", run.FinishedAt.Sub(run.StartedAt))
}
