package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// DeliveryUpdated tells of the workspace's deliveries as they change.
func (r subscriptionResolver) DeliveryUpdated(ctx context.Context, filter *graph.DeliveryFilter) (<-chan *webhook.Delivery, error) {
	f, _, err := deliveryPlaces(nil, nil, nil, nil, filter)
	if err != nil {
		return nil, err
	}
	return follow(ctx, r.Resolver, delivery.DeliveryChanged, func(ctx context.Context, l *loaders, ids []string) ([]*webhook.Delivery, error) {
		changed, err := r.DB.DeliveriesAmong(ctx, l.workspaceID, ids, f)
		l.leadOn(webhook.Slice[*webhook.Delivery]{Items: changed})
		return changed, err
	})
}

// EventPublished tells of the workspace's events as they are published.
func (r subscriptionResolver) EventPublished(ctx context.Context, filter *graph.EventFilter) (<-chan *webhook.Event, error) {
	f, err := eventFilter(filter)
	if err != nil {
		return nil, err
	}
	return follow(ctx, r.Resolver, delivery.EventPublished, func(ctx context.Context, l *loaders, ids []string) ([]*webhook.Event, error) {
		published, err := r.DB.EventsAmong(ctx, l.workspaceID, ids, f)
		found := make([]string, len(published))
		for i, e := range published {
			found[i] = e.ID
		}
		l.together(found)
		return published, err
	})
}

// follow sends what changes in the workspace, as read finds it a group at a
// time. What leads on from a group is read for the whole group, as for a list.
func follow[T any](ctx context.Context, r *Resolver, kind delivery.ChangeKind, read func(context.Context, *loaders, []string) ([]T, error)) (<-chan T, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	state := requestOf(ctx)
	found, ended := delivery.Follow(ctx, &r.Engine.Hub, workspaceID, kind, func(ctx context.Context, ids []string) ([]T, error) {
		l := r.newLoaders(ctx, workspaceID)
		group, err := read(ctx, l, ids)
		// Who still reads of the group before finds its last item by itself.
		state.loaders.Store(l)
		return group, err
	})
	state.ended = ended
	return found, nil
}

// resultOf is around each result of a subscription: each has a limit of bodies
// of its own, and the last says why there are no more, if there should be.
func resultOf(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	operation := graphql.GetOperationContext(ctx).Operation
	if operation == nil || operation.Operation != ast.Subscription {
		return next(ctx)
	}
	state := requestOf(ctx)
	state.bodies.Store(0)
	result := next(ctx)
	if result != nil || state.ended == nil || ctx.Err() != nil {
		return result
	}
	err := state.ended()
	state.ended = nil // it is said once
	if err == nil {
		return nil
	}
	graphql.AddError(ctx, err)
	return &graphql.Response{Errors: graphql.GetErrors(ctx)}
}
