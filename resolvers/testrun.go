package resolvers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// TestRun finds a test run by its id.
func (r queryResolver) TestRun(ctx context.Context, id string) (*webhook.TestRun, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.TestRun(ctx, workspaceID, id))
}

// CancelTestRun ends a test run before its end.
func (r mutationResolver) CancelTestRun(ctx context.Context, input graph.CancelTestRunInput) (*graph.CancelTestRunPayload, error) {
	run, err := r.cancelTestRun(ctx, input.ID)
	payload := &graph.CancelTestRunPayload{TestRun: run}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) cancelTestRun(ctx context.Context, id string) (*webhook.TestRun, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	run, err := r.DB.CancelTestRun(ctx, workspaceID, id)
	switch {
	case errors.Is(err, webhook.NotFound):
		return nil, webhook.NewError(webhook.NotFound, "There is no test run with this id in your workspace.", "id")
	case errors.Is(err, webhook.WrongState):
		return nil, webhook.NewError(webhook.WrongState, "This test run has ended, so there is nothing to cancel.", "id")
	case err != nil:
		return nil, err
	}
	if r.Engine.Cancel(ctx, id) {
		return r.DB.TestRun(ctx, workspaceID, id)
	}
	return run, nil // another process runs it, and will look
}

func (r queryResolver) testResult(ctx context.Context, id string) (*webhook.TestResult, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.TestResult(ctx, workspaceID, id))
}

// TestRuns lists the test runs of a webhook.
func (r webhookResolver) TestRuns(ctx context.Context, w *webhook.Webhook, first *int, after *string, last *int, before *string) (*graph.TestRunConnection, error) {
	p, err := page(webhook.TestRunPrefix, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := loadersOf(ctx).testRuns(ctx, w.ID, p)
	if err != nil {
		return nil, err
	}
	cursor := func(run *webhook.TestRun) string { return encodeCursor(run.ID) }
	connection := &graph.TestRunConnection{
		Edges: edges(slice, cursor, func(at string, run *webhook.TestRun) *graph.TestRunEdge {
			return &graph.TestRunEdge{Cursor: at, Node: run}
		}),
		Nodes:    append([]*webhook.TestRun{}, slice.Items...),
		PageInfo: pageInfo(slice, cursor),
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = loadersOf(ctx).testRunCount(ctx, w.ID)
	}
	return connection, err
}

// LastTestRun is the newest test run of a webhook.
func (r webhookResolver) LastTestRun(ctx context.Context, w *webhook.Webhook) (*webhook.TestRun, error) {
	slice, err := loadersOf(ctx).testRuns(ctx, w.ID, webhook.Page{Limit: 1})
	if err != nil || len(slice.Items) == 0 {
		return nil, err
	}
	return slice.Items[0], nil
}

// Webhook is the webhook that was tested.
func (r testRunResolver) Webhook(ctx context.Context, run *webhook.TestRun) (*webhook.Webhook, error) {
	if run.WebhookID == nil {
		return nil, nil
	}
	return loadersOf(ctx).webhook(ctx, *run.WebhookID)
}

// Tests lists the results of a run. A run holds at most maxTests of them, so
// they are read whole and paged here.
func (r testRunResolver) Tests(ctx context.Context, run *webhook.TestRun, first *int, after *string, verdicts []webhook.Verdict) (*graph.TestResultConnection, error) {
	p, err := page(webhook.TestPrefix, first, after, nil, nil)
	if err != nil {
		return nil, err
	}
	slice, err := loadersOf(ctx).testPage(ctx, run.ID, testPage{p, fmt.Sprint(verdicts)}, verdicts)
	if err != nil {
		return nil, err
	}
	cursor := func(result *webhook.TestResult) string { return encodeCursor(result.ID) }
	return &graph.TestResultConnection{
		Edges: edges(slice.Slice, cursor, func(at string, result *webhook.TestResult) *graph.TestResultEdge {
			return &graph.TestResultEdge{Cursor: at, Node: result}
		}),
		Nodes:      append([]*webhook.TestResult{}, slice.Items...),
		PageInfo:   pageInfo(slice.Slice, cursor),
		TotalCount: slice.total,
	}, nil
}

// testSlice is a page of a run's results.
type testSlice struct {
	webhook.Slice[*webhook.TestResult]
	total int
}

// cutTests picks a page of those of a run's results that have one of the
// verdicts, where any is named. Their ids are in their order.
func cutTests(all []*webhook.TestResult, p webhook.Page, verdicts []webhook.Verdict) testSlice {
	kept := keep(all, func(r *webhook.TestResult) bool { return verdicts == nil || slices.Contains(verdicts, r.Verdict) })
	rest := keep(kept, func(r *webhook.TestResult) bool { return r.ID > p.After })
	return testSlice{
		Slice: webhook.Slice[*webhook.TestResult]{
			Items:       rest[:min(p.Limit, len(rest))],
			HasNext:     len(rest) > p.Limit,
			HasPrevious: len(rest) < len(kept),
		},
		total: len(kept),
	}
}

// EventType is the catalogue's entry of a result.
func (r testResultResolver) EventType(ctx context.Context, result *webhook.TestResult) (*webhook.EventType, error) {
	return findEventType(ctx, func(t *webhook.EventType) bool { return t.Name == result.EventName })
}

// Delivery is the recorded delivery whose data was sent.
func (r testResultResolver) Delivery(ctx context.Context, result *webhook.TestResult) (*webhook.Delivery, error) {
	if result.DeliveryID == nil {
		return nil, nil
	}
	return loadersOf(ctx).delivery(ctx, *result.DeliveryID)
}

// Scenario is what the endpoint was put through.
func (r testResultResolver) Scenario(_ context.Context, result *webhook.TestResult) (*graph.TestScenario, error) {
	s := probe.Find(result.Scenario)
	if s == nil { // of a version that has others
		s = &probe.Scenario{Name: result.Scenario, Suite: webhook.SuiteConformance}
	}
	return testScenario(s), nil
}

// Verdict is the judgement of a test.
func (r testResultResolver) Verdict(_ context.Context, result *webhook.TestResult) (*webhook.Verdict, error) {
	if !result.Done() {
		return nil, nil
	}
	return &result.Verdict, nil
}

// Exchanges are the requests of a test and their answers.
func (r testResultResolver) Exchanges(ctx context.Context, result *webhook.TestResult) ([]*graph.TestExchange, error) {
	if !result.Done() {
		return []*graph.TestExchange{}, nil // those that are kept by now are of a later state
	}
	exchanges, err := loadersOf(ctx).exchanges(ctx, result.ID)
	shown := make([]*graph.TestExchange, len(exchanges))
	for i := range exchanges {
		shown[i] = testExchange(i+1, &exchanges[i], func(ctx context.Context) (webhook.Bodies, error) {
			return loadersOf(ctx).bodies(ctx, result.ID, i)
		})
	}
	return shown, err
}

// Checks are what was checked.
func (r testResultResolver) Checks(_ context.Context, result *webhook.TestResult) ([]*graph.TestCheck, error) {
	shown := make([]*graph.TestCheck, len(result.Checks))
	for i, c := range result.Checks {
		shown[i] = &graph.TestCheck{Name: c.Name, Success: c.Success, Required: c.Required, Expected: orNull(c.Expected), Actual: orNull(c.Actual)}
	}
	return shown, nil
}

// deciding is the exchange that decided a test; nil until it is done, and where
// none did.
func (r testResultResolver) deciding(ctx context.Context, result *webhook.TestResult) (*graph.TestExchange, error) {
	exchanges, err := r.Exchanges(ctx, result)
	if err != nil || result.Deciding < 1 || result.Deciding > len(exchanges) {
		return nil, err
	}
	return exchanges[result.Deciding-1], nil
}

// Outcome is how the deciding request ended.
func (r testResultResolver) Outcome(ctx context.Context, result *webhook.TestResult) (*webhook.Outcome, error) {
	if !result.Done() {
		return nil, nil
	}
	exchanges, err := loadersOf(ctx).exchanges(ctx, result.ID)
	if err != nil {
		return nil, err
	}
	outcome := (&webhook.Test{TestResult: *result, Exchanges: exchanges}).Outcome()
	if outcome == "" {
		return nil, nil
	}
	return &outcome, nil
}

// StartedAt is when the deciding request was sent. One that has no answer yet
// is not there to be read.
func (r testResultResolver) StartedAt(ctx context.Context, result *webhook.TestResult) (*time.Time, error) {
	x, err := r.deciding(ctx, result)
	if x == nil {
		return result.StartedAt, err
	}
	return &x.StartedAt, nil
}

// DurationMs is how long the deciding answer took.
func (r testResultResolver) DurationMs(ctx context.Context, result *webhook.TestResult) (*float64, error) {
	x, err := r.deciding(ctx, result)
	if x == nil {
		return nil, err
	}
	return &x.DurationMs, nil
}

// Request is the deciding request.
func (r testResultResolver) Request(ctx context.Context, result *webhook.TestResult) (*graph.HTTPRequest, error) {
	x, err := r.deciding(ctx, result)
	if x == nil {
		return nil, err
	}
	return x.Request, nil
}

// Response is the answer to the deciding request.
func (r testResultResolver) Response(ctx context.Context, result *webhook.TestResult) (*graph.HTTPResponse, error) {
	x, err := r.deciding(ctx, result)
	if x == nil {
		return nil, err
	}
	return x.Response, nil
}

// Timing is where the time of the deciding request went.
func (r testResultResolver) Timing(ctx context.Context, result *webhook.TestResult) (*graph.HTTPTiming, error) {
	x, err := r.deciding(ctx, result)
	if x == nil {
		return nil, err
	}
	return x.Timing, nil
}
