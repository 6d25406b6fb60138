package resolvers

import (
	"context"
	"time"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// Stats says how the deliveries to a webhook went.
func (r webhookResolver) Stats(ctx context.Context, w *webhook.Webhook, window *graph.StatsWindow) (*graph.DeliveryStats, error) {
	since := sinceOf(ctx, window)
	stats, err := loadersOf(ctx).webhookStats(ctx, w.ID, since)
	if err != nil {
		return nil, err
	}
	return deliveryStats(stats, since), nil
}

// Stats says how the deliveries of a workspace went.
func (r workspaceResolver) Stats(ctx context.Context, w *webhook.Workspace, window *graph.StatsWindow) (*graph.DeliveryStats, error) {
	if err := isOwn(ctx, w); err != nil {
		return nil, err
	}
	since := sinceOf(ctx, window)
	stats, err := r.DB.WorkspaceStats(ctx, w.ID, since)
	if err != nil {
		return nil, err
	}
	return deliveryStats(stats, since), nil
}

// sinceOf is the beginning of the hour in which a window begins. It is the same
// in a whole request.
func sinceOf(ctx context.Context, window *graph.StatsWindow) time.Time {
	reach := 24 * time.Hour
	if window != nil {
		switch *window {
		case graph.StatsWindowLastHour:
			reach = time.Hour
		case graph.StatsWindowLast7Days:
			reach = 7 * 24 * time.Hour
		}
	}
	return requestOf(ctx).began.UTC().Add(-reach).Truncate(time.Hour)
}

func deliveryStats(s *webhook.DeliveryStats, since time.Time) *graph.DeliveryStats {
	return &graph.DeliveryStats{
		Since:       since,
		Counts:      &s.Counts,
		SuccessRate: s.SuccessRate(),
		P50Ms:       percentile(s, 50),
		P95Ms:       percentile(s, 95),
		P99Ms:       percentile(s, 99),
	}
}

func percentile(s *webhook.DeliveryStats, percent int) *float64 {
	within := s.Percentile(percent)
	if within == nil {
		return nil
	}
	ms := milliseconds(*within)
	return &ms
}
