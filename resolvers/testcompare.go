package resolvers

import (
	"context"
	"fmt"
	"slices"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// historyLength is in how many runs flaky tests are looked for.
const historyLength = 10

// CompareTestRuns says what changed between two test runs.
func (r queryResolver) CompareTestRuns(ctx context.Context, base, head string) (*webhook.TestRunComparison, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	c := &webhook.TestRunComparison{}
	if c.Base, err = r.finishedRun(ctx, workspaceID, base, "base"); err != nil {
		return nil, err
	}
	if c.Head, err = r.finishedRun(ctx, workspaceID, head, "head"); err != nil {
		return nil, err
	}
	history, err := r.testHistory(ctx, workspaceID, c)
	if err != nil {
		return nil, err
	}
	byRun, err := r.DB.TestResults(ctx, workspaceID, history)
	if err != nil {
		return nil, err
	}
	past := make([][]*webhook.TestResult, len(history))
	for i, id := range history {
		past[i] = byRun[id]
	}
	c.Tests = webhook.CompareTests(byRun[base], byRun[head], past)
	loadersOf(ctx).together([]string{base, head})
	return c, nil
}

// finishedRun finds a run that can be compared.
func (r *Resolver) finishedRun(ctx context.Context, workspaceID, id, argument string) (*webhook.TestRun, error) {
	run, err := r.DB.TestRun(ctx, workspaceID, id)
	if err != nil {
		return nil, orNoTestRun(err, id)
	}
	switch run.Status {
	case webhook.TestRunRunning:
		return nil, webhook.NewError(webhook.WrongState, fmt.Sprintf("The test run %q is still under way. Wait for its end: `testRunProgress` tells it.", id), argument)
	case webhook.TestRunAborted:
		return nil, webhook.NewError(webhook.WrongState, fmt.Sprintf("The test run %q was cut off, so what failed in it says nothing. Compare with one that is FINISHED.", id), argument)
	}
	return run, nil
}

// testHistory are the ids of the runs in which to look for flaky tests, oldest
// first: the last of head's webhook and URL, and the two themselves.
func (r *Resolver) testHistory(ctx context.Context, workspaceID string, c *webhook.TestRunComparison) ([]string, error) {
	ids := []string{c.Base.ID, c.Head.ID}
	if c.Head.WebhookID != nil {
		runs, err := r.DB.TestHistory(ctx, workspaceID, *c.Head.WebhookID, c.Head.URL, max(c.Base.ID, c.Head.ID), historyLength)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			ids = append(ids, run.ID)
		}
	}
	slices.Sort(ids) // by the time they were made
	return slices.Compact(ids), nil
}

// Tests are the tests that changed as wanted.
func (r testRunComparisonResolver) Tests(ctx context.Context, c *webhook.TestRunComparison, changes []webhook.TestChange) ([]*webhook.TestComparison, error) {
	tests := keep(c.Tests, func(t *webhook.TestComparison) bool {
		if changes == nil {
			return t.Change != webhook.TestUnchanged || t.Flaky
		}
		return slices.Contains(changes, t.Change)
	})
	var results []*webhook.TestResult
	for _, t := range tests {
		for _, result := range []*webhook.TestResult{t.Base, t.Head} {
			if result != nil {
				results = append(results, result)
			}
		}
	}
	loadersOf(ctx).leadOnTests(results)
	return append([]*webhook.TestComparison{}, tests...), nil
}

// Scenario is what the endpoint was put through.
func (r testComparisonResolver) Scenario(ctx context.Context, t *webhook.TestComparison) (*graph.TestScenario, error) {
	result := t.Head
	if result == nil {
		result = t.Base
	}
	return testResultResolver(r).Scenario(ctx, result)
}
