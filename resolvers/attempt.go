package resolvers

import (
	"context"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

func (r queryResolver) attempt(ctx context.Context, id string) (*webhook.Attempt, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.Attempt(ctx, workspaceID, id))
}

// Attempts lists the attempts of a delivery.
func (r deliveryResolver) Attempts(ctx context.Context, d *webhook.Delivery, first *int, after *string, last *int, before *string) (*graph.DeliveryAttemptConnection, error) {
	p, err := page(webhook.AttemptPrefix, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := loadersOf(ctx).attempts(ctx, d.ID, p)
	if err != nil {
		return nil, err
	}
	cursor := func(a *webhook.Attempt) string { return encodeCursor(a.ID) }
	connection := &graph.DeliveryAttemptConnection{
		Edges: edges(slice, cursor, func(at string, a *webhook.Attempt) *graph.DeliveryAttemptEdge {
			return &graph.DeliveryAttemptEdge{Cursor: at, Node: a}
		}),
		Nodes:    append([]*webhook.Attempt{}, slice.Items...),
		PageInfo: pageInfo(slice, cursor),
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = loadersOf(ctx).attemptCount(ctx, d.ID)
	}
	return connection, err
}

// LastAttempt is the newest attempt of a delivery. One that ended after the
// delivery was read is not counted in it, so the one before it is meant.
func (r deliveryResolver) LastAttempt(ctx context.Context, d *webhook.Delivery) (*webhook.Attempt, error) {
	for limit := 1; limit <= 2; limit++ {
		slice, err := loadersOf(ctx).attempts(ctx, d.ID, webhook.Page{Limit: limit, FromEnd: true})
		if err != nil || len(slice.Items) == 0 {
			return nil, err
		}
		if a := slice.Items[0]; a.Number <= d.AttemptCount || a.Late {
			return a, nil
		}
	}
	return nil, nil
}

// DurationMs is how long an attempt took.
func (r attemptResolver) DurationMs(_ context.Context, a *webhook.Attempt) (float64, error) {
	return milliseconds(a.Exchange.Timing.Total), nil
}

// Request is what was sent.
func (r attemptResolver) Request(_ context.Context, a *webhook.Attempt) (*graph.HTTPRequest, error) {
	return httpRequest(a.Exchange.Request, bodiesOf(a)), nil
}

// Response is what came back.
func (r attemptResolver) Response(_ context.Context, a *webhook.Attempt) (*graph.HTTPResponse, error) {
	return httpResponse(a.Exchange.Response, bodiesOf(a)), nil
}

// Timing is where the time of an attempt went.
func (r attemptResolver) Timing(_ context.Context, a *webhook.Attempt) (*graph.HTTPTiming, error) {
	return httpTiming(a.Exchange.Timing), nil
}

func bodiesOf(a *webhook.Attempt) webhook.LoadBodies {
	return func(ctx context.Context) (webhook.Bodies, error) { return loadersOf(ctx).attemptBodies(ctx, a) }
}
