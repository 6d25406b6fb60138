package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

// Payload is what to test a webhook with.
type Payload struct {
	EventName string
	// DeliveryID is the recorded delivery whose data they are; nil: none.
	DeliveryID *string
	// Data are sent as they are: the bytes of webhook.EncodeJSON.
	Data json.RawMessage
	// Variants are the data of the scenarios that are about the event type's
	// schema, by their names.
	Variants map[string][]probe.Variant
	// Closed says that the event type's schema allows no further member.
	Closed bool
}

// Plan is what a test run is to do.
type Plan struct {
	Webhook *webhook.Webhook
	// Payloads are what is sent: each under the scenarios that try every event
	// type, the first under all.
	Payloads []Payload
	// Scenarios begin with `valid`; nil: that alone.
	Scenarios []*probe.Scenario
	// Witness says how often a message took effect; nil: nobody does.
	Witness *webhook.Webhook
	// Idempotency lets the same plan run once.
	Idempotency webhook.Idempotency
	// Succeeded, where set, is called when every test has succeeded, before the
	// run is kept as finished: whoever sees its end sees what came of it, too.
	Succeeded func(context.Context) error
}

// Repeated is the error of a plan that ran before under its idempotency key: the
// id of the run that it was.
type Repeated string

func (r Repeated) Error() string { return "the test run " + string(r) + " was this one" }

const (
	defaultTestTimeout = 60 * time.Second
	testsAtOnce        = 8
	// maxRequests is how many requests a run sends to its receiver, so that none
	// can be made an attack: a run of all scenarios needs 120, and what schemas add
	// is limited as well.
	maxRequests = 1000
	// maxSent is how many bytes of bodies these have, as all are held until the
	// run's end and kept: a run of all scenarios with the largest data has 31 MiB.
	maxSent = 64 << 20
	// keepPeriod gathers what happened in a run, so that a run of fast
	// receivers is written at its beginning and its end alone, and one of slow
	// receivers ten times a second at most.
	keepPeriod = 100 * time.Millisecond
	// beatPeriod is how often a run in which nothing happens says that it lives
	// and asks whether it was canceled.
	beatPeriod = 500 * time.Millisecond
	// keepTime is how long a run may take to be kept, whatever became of the
	// request that asked for it.
	keepTime = 5 * time.Second
)

// part is one test of a plan.
type part struct {
	payload  *Payload
	scenario *probe.Scenario
}

// parts are the tests of a plan in their order: of payloads, then of scenarios.
func (p *Plan) parts() (list []part) {
	scenarios := p.Scenarios
	if scenarios == nil {
		scenarios = probe.Suite(webhook.SuiteDelivery)
	}
	for i := range p.Payloads {
		for _, s := range scenarios {
			if i == 0 || s.PerEvent && p.Payloads[i].suits(s) {
				list = append(list, part{&p.Payloads[i], s})
			}
		}
	}
	return list
}

// suits says whether a payload has what a scenario sends.
func (p *Payload) suits(s *probe.Scenario) bool {
	return !strings.HasPrefix(s.Name, webhook.SchemaScenario) || len(p.Variants[s.Name]) > 0
}

// Tests is how many tests a plan has.
func (p *Plan) Tests() int { return len(p.parts()) }

// Test runs a plan and returns when all is answered and kept, or the time is
// over. A receiver that fails is a result; the error says that the run could
// not be kept, and the run is nil then, or it is that of Plan.Succeeded. The
// results are in the order of the payloads, then of the scenarios.
//
// A run that was cut off, by ctx, by the time or by Cancel, is ABORTED. Its
// tests that had no answer by then failed; those that had not begun have no
// exchange.
func (e *Engine) Test(ctx context.Context, p Plan) (*webhook.TestRun, []webhook.Test, error) {
	ctx, r, err := e.begin(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if err := e.run(ctx, r); err != nil {
		return nil, nil, err
	}
	return &r.run, r.tests, r.succeeded
}

// Start begins to run a plan as Test does, and returns the run as it begins. It
// goes on whatever becomes of ctx; the store knows how far it is. The error is
// a *webhook.Error where too many are under way.
func (e *Engine) Start(ctx context.Context, p Plan) (*webhook.TestRun, []webhook.Test, error) {
	release, err := e.runs.reserve(p.Webhook.WorkspaceID)
	if err != nil {
		return nil, nil, err
	}
	ctx, r, err := e.begin(context.WithoutCancel(ctx), p)
	if err != nil {
		release()
		return nil, nil, err
	}
	run, tests := r.run, slices.Clone(r.tests) // as they are now
	go func() {
		defer release()
		err := e.run(ctx, r)
		if err := errors.Join(err, r.succeeded); err != nil {
			e.log().WarnContext(ctx, "a test run that nobody waits for", "run_id", run.ID, "error", err)
		}
	}()
	return &run, tests, nil
}

// testRun is a run that is under way. One goroutine has it, that of run.
type testRun struct {
	plan      Plan
	parts     []part
	run       webhook.TestRun
	tests     []webhook.Test
	succeeded error // what Plan.Succeeded said

	hidden  hidden       // in what is shown of the answers
	sent    sent         // to the receiver
	control atomic.Int64 // a probe.Control
	cancel  context.CancelCauseFunc
	leave   func()
	changed []int     // tests that were sent or done since they were kept
	kept    time.Time // when the store was last written to
}

// begin keeps a run as it begins. The context that comes back is the run's; it
// ends when the run is canceled.
func (e *Engine) begin(ctx context.Context, p Plan) (context.Context, *testRun, error) {
	r := newTestRun(p)
	keep, done := context.WithTimeout(ctx, keepTime)
	defer done()
	earlier, err := e.store().BeginTestRun(keep, r.run.WorkspaceID, &r.run, r.tests, p.Idempotency)
	if err != nil {
		// Where it is kept all the same, it is ended as one that was left.
		return nil, nil, fmt.Errorf("begin the test run: %w", err)
	}
	if earlier != "" {
		return nil, nil, Repeated(earlier)
	}
	r.kept = time.Now()
	ctx, r.cancel = context.WithCancelCause(ctx)
	r.leave = e.runs.enter(r.run.ID, r.cancel)
	return ctx, r, nil
}

func newTestRun(p Plan) *testRun {
	parts := p.parts()
	r := &testRun{
		plan:   p,
		parts:  parts,
		hidden: hiddenOf(p.Webhook),
		run: webhook.TestRun{
			ID:          webhook.NewID(webhook.TestRunPrefix),
			WorkspaceID: p.Webhook.WorkspaceID,
			URL:         p.Webhook.URL,
			Status:      webhook.TestRunRunning,
			StartedAt:   webhook.Now(),
			TestsTotal:  len(parts),
		},
		tests: make([]webhook.Test, len(parts)),
	}
	if p.Webhook.ID != "" {
		r.run.WebhookID = &p.Webhook.ID
	}
	for i, part := range parts {
		r.tests[i].TestResult = webhook.TestResult{
			ID:         webhook.NewID(webhook.TestPrefix),
			RunID:      r.run.ID,
			EventName:  part.payload.EventName,
			DeliveryID: part.payload.DeliveryID,
			Scenario:   part.scenario.Name,
		}
	}
	return r
}

// run takes a run that has begun to its end. The error says that the end could
// not be kept; the store ends it then, as one that its process left.
func (e *Engine) run(ctx context.Context, r *testRun) error {
	defer r.leave()
	defer r.cancel(nil)
	ctx, over := context.WithTimeoutCause(ctx, e.testTimeout(), errTestTimeout)
	defer over()

	// Filled and closed by send. It has room for all that send has to say, so
	// that no test waits for the store.
	changes := make(chan change, 2*len(r.tests))
	var sending sync.WaitGroup
	sending.Go(func() { e.send(ctx, r, slices.Clone(r.tests), changes) })
	e.follow(ctx, r, changes)
	sending.Wait()

	r.finish(ctx.Err() != nil)
	if success := r.run.Success(); *success && r.plan.Succeeded != nil {
		r.succeeded = e.thenSucceeded(ctx, r)
	}
	err := e.keep(ctx, r)
	e.logRun(ctx, &r.run)
	return err
}

// thenSucceeded does what the plan wants done after success.
func (e *Engine) thenSucceeded(ctx context.Context, r *testRun) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	return r.plan.Succeeded(ctx)
}

// change is a test that was sent or is done.
type change struct {
	index int
	test  webhook.Test
}

// send sends the tests, some at the same time, and tells of each when it begins
// and when it is done. Where there is more than correct events, the first of
// them goes before all: the others are judged against it. Those that must be
// alone come last. Once the receiver gives no answer any more, not even to a
// correct event, nothing more is asked of it.
func (e *Engine) send(ctx context.Context, r *testRun, tests []webhook.Test, changes chan<- change) {
	defer close(changes)
	var first, together, alone []int
	for i, part := range r.parts {
		switch {
		case i == 0 && !r.plan.correctOnly():
			first = append(first, i)
		case part.scenario.Alone:
			alone = append(alone, i)
		default:
			together = append(together, i)
		}
	}
	do := func(i int) {
		now := webhook.Now()
		tests[i].StartedAt = &now
		changes <- change{i, tests[i]}
		e.test(ctx, r, i, &tests[i])
		changes <- change{i, tests[i]}
	}
	leave := func(i int) {
		leaveOut(&tests[i].TestResult, context.Cause(ctx))
		changes <- change{i, tests[i]}
	}
	each(ctx, first, 1, do, leave)
	if len(first) > 0 {
		r.control.Store(int64(controlOf(&tests[0])))
	}
	each(ctx, together, testsAtOnce, do, leave)
	each(ctx, alone, 1, do, leave)
}

// correctOnly says whether the plan sends correct events alone, which need not
// wait for each other.
func (p *Plan) correctOnly() bool { return len(p.Scenarios) < 2 }

// each does some tests, so many at the same time, and leaves out those whose turn
// does not come before ctx is done.
func each(ctx context.Context, list []int, atOnce int, do, leave func(int)) {
	var doing sync.WaitGroup
	defer doing.Wait()
	slots := make(chan struct{}, atOnce) // a test holds one while it runs
	for _, i := range list {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			leave(i)
			continue
		}
		doing.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
}

// controlOf is how the receiver answered a correct event.
func controlOf(valid *webhook.Test) probe.Control {
	switch {
	case valid.Verdict != webhook.VerdictFail:
		return probe.Took
	case valid.Deciding > 0 && valid.Exchanges[valid.Deciding-1].Response != nil:
		return probe.Refused
	default:
		return probe.Silent
	}
}

// test runs one test and fills in its result.
func (e *Engine) test(ctx context.Context, r *testRun, i int, test *webhook.Test) {
	part, control := r.parts[i], probe.Control(r.control.Load())
	l := &line{engine: e, webhook: r.plan.Webhook, hidden: r.hidden, payload: *part.payload, happened: webhook.Now(), witness: r.plan.Witness, sent: &r.sent}
	defer l.links.close()
	result := part.scenario.Run(ctx, &probe.Trial{
		Webhook:   r.plan.Webhook,
		ID:        test.ID,
		Data:      part.payload.Data,
		Variants:  part.payload.Variants[part.scenario.Name],
		Closed:    part.payload.Closed,
		Control:   control,
		Witnessed: r.plan.Witness != nil,
		Line:      l,
	})
	test.Verdict, test.Message, test.Checks = result.Verdict, result.Message, result.Checks
	test.Exchanges, test.Deciding = result.Exchanges, result.Deciding
	if test.Verdict == webhook.VerdictSkip && len(test.Exchanges) == 0 {
		test.StartedAt = nil
	}
	if !r.plan.correctOnly() && control == probe.Took && controlOf(test) == probe.Silent && test.Deciding > 0 {
		e.askAgain(ctx, r, l, test)
	}
}

// askAgain sends a correct event after a test that had no answer. Where that has
// none either, the receiver is gone, and the tests to come are skipped.
func (e *Engine) askAgain(ctx context.Context, r *testRun, l *line, test *webhook.Test) {
	a := l.Send(ctx, webhook.NewID(webhook.TestPrefix), probe.Shot{})[0]
	test.Exchanges = append(test.Exchanges, a.Exchange)
	if a.Response == nil {
		r.control.Store(int64(probe.Silent))
	}
}

// leaveOut fills in the result of a test that did not begin.
func leaveOut(result *webhook.TestResult, cause error) {
	result.Verdict = webhook.VerdictFail
	result.Message = notSent(cause)
}

// follow notes what send tells, keeps it now and then, and returns when all are
// done. What could not be kept is kept the next time.
func (e *Engine) follow(ctx context.Context, r *testRun, changes <-chan change) {
	pulse := time.NewTicker(keepPeriod)
	defer pulse.Stop()
	for {
		select {
		case c, more := <-changes:
			if !more {
				return
			}
			r.note(c)
		case <-pulse.C:
			if len(r.changed) == 0 && time.Since(r.kept) < beatPeriod {
				continue
			}
			if err := e.keep(ctx, r); err != nil {
				e.log().WarnContext(ctx, "a test run was not kept", "run_id", r.run.ID, "error", err)
			}
		}
	}
}

// note takes in what became of a test.
func (r *testRun) note(c change) {
	r.tests[c.index] = c.test
	if !slices.Contains(r.changed, c.index) {
		r.changed = append(r.changed, c.index)
	}
	switch success := c.test.Success(); {
	case success == nil:
	case *success:
		r.run.TestsSucceeded++
	default:
		r.run.TestsFailed++
	}
}

// finish ends the run. It was cut off when its context ended before every test
// had its answer.
func (r *testRun) finish(ended bool) {
	now := webhook.Now()
	r.run.FinishedAt = &now
	r.run.Status = webhook.TestRunFinished
	if ended && slices.ContainsFunc(r.tests, func(t webhook.Test) bool { return t.Outcome() == webhook.OutcomeCanceled }) {
		r.run.Status = webhook.TestRunAborted
	}
}

// keep writes down how far the run is, whatever became of its context, and cuts
// it off where somebody canceled it or the store has ended it.
func (e *Engine) keep(ctx context.Context, r *testRun) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	changed := make([]webhook.Test, len(r.changed))
	for i, index := range r.changed {
		changed[i] = r.tests[index]
	}
	r.kept = time.Now()
	canceled, err := e.store().KeepTestRun(ctx, r.run.WorkspaceID, &r.run, changed)
	faults.At("test.kept")
	switch {
	case errors.Is(err, webhook.NotFound):
		r.cancel(errLeft)
		return errors.New("the test run was silent for too long and was ended, or deleted")
	case err != nil:
		return fmt.Errorf("keep the test run: %w", err)
	case canceled:
		r.cancel(errCanceled)
	}
	e.tellRun(r)
	r.changed = nil
	return nil
}

func (e *Engine) testTimeout() time.Duration {
	if e.TestTimeout <= 0 {
		return defaultTestTimeout
	}
	return e.TestTimeout
}

func (e *Engine) logRun(ctx context.Context, run *webhook.TestRun) {
	e.log().DebugContext(ctx, "tested", "run_id", run.ID, "status", string(run.Status),
		"tests_succeeded", run.TestsSucceeded, "tests_failed", run.TestsFailed,
		"duration", run.FinishedAt.Sub(run.StartedAt))
}
