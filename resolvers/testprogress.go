package resolvers

import (
	"context"
	"errors"
	"fmt"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/webhook"
)

// TestRunProgress tells of a test run from its beginning to its end.
func (r subscriptionResolver) TestRunProgress(ctx context.Context, testRunID string) (<-chan *webhook.TestRunProgress, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := r.DB.TestRun(ctx, workspaceID, testRunID); err != nil {
		return nil, orNoTestRun(err, testRunID)
	}
	state := requestOf(ctx)
	led := make(map[string]bool) // the results that were done before
	steps, ended := delivery.FollowTestRun(ctx, &r.Engine.Hub, workspaceID, testRunID, func(ctx context.Context) (*webhook.TestRun, []*webhook.TestResult, error) {
		run, err := r.DB.TestRun(ctx, workspaceID, testRunID)
		if err != nil {
			return nil, nil, orNoTestRun(err, testRunID)
		}
		byRun, err := r.DB.TestResults(ctx, workspaceID, []string{run.ID})
		if err != nil {
			return nil, nil, err
		}
		l := r.newLoaders(ctx, workspaceID)
		know(l, []string{run.ID}, testResults{}, byRun)
		l.together(newlyDone(byRun[run.ID], led))
		state.loaders.Store(l)
		return run, byRun[run.ID], nil
	})
	state.ended = ended
	return steps, nil
}

// newlyDone are the ids of the results that are done and were not before.
func newlyDone(results []*webhook.TestResult, before map[string]bool) (ids []string) {
	for _, r := range results {
		if r.Done() && !before[r.ID] {
			before[r.ID] = true
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// orNoTestRun puts "not found" into words.
func orNoTestRun(err error, id string) error {
	if errors.Is(err, webhook.NotFound) {
		return webhook.NewError(webhook.NotFound, fmt.Sprintf("There is no test run %q in your workspace.", id))
	}
	return err
}
