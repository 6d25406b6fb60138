package resolvers

import (
	"context"

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

func (r queryResolver) testResult(ctx context.Context, id string) (*graph.TestResult, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	result, err := absentIsNull(r.DB.TestResult(ctx, workspaceID, id))
	if err != nil || result == nil {
		return nil, err
	}
	return testResult(result), nil
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
		Edges:    make([]*graph.TestRunEdge, len(slice.Items)),
		Nodes:    append([]*webhook.TestRun{}, slice.Items...),
		PageInfo: pageInfo(slice, cursor),
	}
	for i, run := range slice.Items {
		connection.Edges[i] = &graph.TestRunEdge{Cursor: cursor(run), Node: run}
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = loadersOf(ctx).testRunCount(ctx, w.ID)
	}
	return connection, err
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
	if first == nil {
		most := maxPage
		first = &most
	}
	p, err := page(webhook.TestPrefix, first, after, nil, nil)
	if err != nil {
		return nil, err
	}
	all, err := loadersOf(ctx).testResults(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	return testResultConnection(keepVerdicts(all, verdicts), p), nil
}

func keepVerdicts(all []*webhook.TestResult, verdicts []webhook.Verdict) []*webhook.TestResult {
	if verdicts == nil {
		return all
	}
	return keep(all, func(result *webhook.TestResult) bool {
		for _, v := range verdicts {
			if result.Verdict == v {
				return true
			}
		}
		return false
	})
}

func testResultConnection(all []*webhook.TestResult, p webhook.Page) *graph.TestResultConnection {
	rest := all
	if p.After != "" {
		for i, result := range all {
			if result.ID == p.After {
				rest = all[i+1:]
			}
		}
	}
	slice := webhook.Slice[*webhook.TestResult]{
		Items:       rest[:min(p.Limit, len(rest))],
		HasNext:     len(rest) > p.Limit,
		HasPrevious: len(rest) < len(all),
	}
	cursor := func(result *webhook.TestResult) string { return encodeCursor(result.ID) }
	connection := &graph.TestResultConnection{
		Edges:      make([]*graph.TestResultEdge, len(slice.Items)),
		Nodes:      make([]*graph.TestResult, len(slice.Items)),
		PageInfo:   pageInfo(slice, cursor),
		TotalCount: len(all),
	}
	for i, result := range slice.Items {
		connection.Nodes[i] = testResult(result)
		connection.Edges[i] = &graph.TestResultEdge{Cursor: cursor(result), Node: connection.Nodes[i]}
	}
	return connection
}

// testResult shows a result; its deciding exchange is the last.
func testResult(result *webhook.TestResult) *graph.TestResult {
	outcome := result.Outcome()
	shown := &graph.TestResult{
		ID:        result.ID,
		EventName: result.EventName,
		Scenario:  scenario(result.Scenario),
		Verdict:   &result.Verdict,
		Status:    graph.TestStatusFailed,
		Success:   result.Verdict.Success(),
		Message:   result.Message,
		Outcome:   &outcome,
		Exchanges: make([]*graph.TestExchange, len(result.Exchanges)),
	}
	if shown.Success == nil || *shown.Success {
		shown.Status = graph.TestStatusSucceeded
	}
	for i, e := range result.Exchanges {
		exchange := testExchange(i+1, e)
		shown.Exchanges[i] = exchange
		shown.StartedAt = &exchange.StartedAt
		shown.DurationMs = &exchange.DurationMs
		shown.Request = exchange.Request
		shown.Response = exchange.Response
		shown.Timing = exchange.Timing
	}
	return shown
}

// EventType is the catalogue's entry of a result.
func (r testResultResolver) EventType(ctx context.Context, result *graph.TestResult) (*webhook.EventType, error) {
	return findEventType(ctx, func(t *webhook.EventType) bool { return t.Name == result.EventName })
}

// scenario describes what a receiver was put through.
func scenario(name string) *graph.TestScenario {
	return &graph.TestScenario{
		Name:        name,
		Description: "One correct event, built and signed just as a real delivery to this endpoint would be.",
		Expectation: "An answer with a 2xx status within the time allowed. Any other counts as not received, and a real event would be sent again.",
	}
}
