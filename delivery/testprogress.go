package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// lookPeriod is how often a test run of which nothing is heard is looked at all
// the same: its process may have been killed, and nobody tells of its end.
const lookPeriod = 2 * time.Second

// tellRun tells that a run was kept of which something changed.
func (e *Engine) tellRun(r *testRun) {
	if len(r.changed) > 0 || r.run.Status != webhook.TestRunRunning {
		e.Hub.Publish(r.run.WorkspaceID, TestRunChanged, r.run.ID)
	}
}

// ReadTestRun reads a test run as it is kept, and then its results.
type ReadTestRun func(context.Context) (*webhook.TestRun, []*webhook.TestResult, error)

// FollowTestRun sends the steps of a test run from its beginning: the run as it
// is, each result that has begun or is done, and at last the run as it has
// ended. Then, or once ctx is done, or it cannot go on, it closes the channel;
// ended tells why, nil where the run has ended or ctx is done.
//
// What it sends is what read finds, so nothing is missed whatever the hub
// misses: that only tells when it is worth to look. Who takes the steps slowly
// gets those of the newest state.
func FollowTestRun(ctx context.Context, h *Hub, workspaceID, runID string, read ReadTestRun) (_ <-chan *webhook.TestRunProgress, ended func() error) {
	s := &runSteps{hub: h, workspaceID: workspaceID, runID: runID, read: read, sent: make(map[string]webhook.TestStatus)}
	s.steps = make(chan *webhook.TestRunProgress) // the goroutine below sends and closes
	var err error                                 // that of the goroutine, read once steps is closed
	h.readers.Go(func() {
		defer close(s.steps)
		if e := s.follow(ctx); ctx.Err() == nil {
			err = e
		}
	})
	return s.steps, func() error { return err }
}

// runSteps are the steps of a test run for one reader.
type runSteps struct {
	hub                *Hub
	workspaceID, runID string
	read               ReadTestRun
	steps              chan *webhook.TestRunProgress
	sent               map[string]webhook.TestStatus // by the result's id
}

func (s *runSteps) follow(ctx context.Context) error {
	feed := s.hub.Subscribe(s.workspaceID, TestRunChanged) // before the first look
	defer func() { feed.End() }()
	for first := true; ; first = false {
		run, results, err := s.read(ctx)
		if err != nil {
			return err
		}
		if first && !s.send(ctx, run, nil) {
			return ctx.Err()
		}
		for _, r := range results {
			if !s.sendChanged(ctx, run, r) {
				return ctx.Err()
			}
		}
		if run.Status != webhook.TestRunRunning {
			s.send(ctx, run, nil)
			return nil
		}
		pause := time.NewTimer(followPause)
		err = s.wait(ctx, feed)
		if errors.Is(err, ErrTooSlow) || errors.Is(err, ErrMissed) {
			feed.End()
			feed = s.hub.Subscribe(s.workspaceID, TestRunChanged)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendChanged sends a result that has begun or is done since it was sent last.
func (s *runSteps) sendChanged(ctx context.Context, run *webhook.TestRun, r *webhook.TestResult) bool {
	status := r.Status()
	if status == webhook.TestWaiting || s.sent[r.ID] == status {
		return true
	}
	s.sent[r.ID] = status
	return s.send(ctx, run, r)
}

// send says whether a step was taken.
func (s *runSteps) send(ctx context.Context, run *webhook.TestRun, r *webhook.TestResult) bool {
	select {
	case s.steps <- &webhook.TestRunProgress{TestRun: run, Result: r}:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait returns when it is worth to look at the run.
func (s *runSteps) wait(ctx context.Context, feed *Feed) error {
	ctx, cancel := context.WithTimeout(ctx, lookPeriod)
	defer cancel()
	for {
		ids, err := feed.Next(ctx, maxGroup)
		if err != nil || slices.Contains(ids, s.runID) {
			return err
		}
	}
}
