package resolvers

import (
	"context"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// Delivery finds a delivery by its id.
func (r queryResolver) Delivery(ctx context.Context, id string) (*webhook.Delivery, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.Delivery(ctx, workspaceID, id))
}

// Deliveries lists the workspace's deliveries.
func (r queryResolver) Deliveries(ctx context.Context, first *int, after *string, last *int, before *string, filter *graph.DeliveryFilter) (*graph.DeliveryConnection, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	f, p, err := deliveryPlaces(first, after, last, before, filter)
	if err != nil {
		return nil, err
	}
	slice, err := r.DB.Deliveries(ctx, workspaceID, f, p)
	if err != nil {
		return nil, err
	}
	loadersOf(ctx).leadOn(slice)
	connection := deliveryConnection(slice)
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = r.DB.CountDeliveries(ctx, workspaceID, f)
	}
	return connection, err
}

// deliveryPlaces turns the arguments of a list of deliveries into its filter
// and page.
func deliveryPlaces(first *int, after *string, last *int, before *string, input *graph.DeliveryFilter) (f webhook.DeliveryFilter, p webhook.Page, err error) {
	if input != nil {
		f = webhook.DeliveryFilter{
			WebhookID:     input.WebhookID.Value(),
			EventID:       input.EventID.Value(),
			EventNames:    input.EventNames.Value(),
			Statuses:      input.Status.Value(),
			CreatedAfter:  input.CreatedAfter.Value(),
			CreatedBefore: input.CreatedBefore.Value(),
		}
	}
	if err := checkFilterNames(f.EventNames); err != nil {
		return f, p, err
	}
	p, err = page(webhook.DeliveryPrefix, first, after, last, before)
	return f, p, err
}

func deliveryConnection(slice webhook.Slice[*webhook.Delivery]) *graph.DeliveryConnection {
	cursor := func(d *webhook.Delivery) string { return encodeCursor(d.ID) }
	return &graph.DeliveryConnection{
		Edges: edges(slice, cursor, func(at string, d *webhook.Delivery) *graph.DeliveryEdge {
			return &graph.DeliveryEdge{Cursor: at, Node: d}
		}),
		Nodes:    append([]*webhook.Delivery{}, slice.Items...),
		PageInfo: pageInfo(slice, cursor),
	}
}

// Deliveries lists the deliveries to a webhook.
func (r webhookResolver) Deliveries(ctx context.Context, w *webhook.Webhook, first *int, after *string, last *int, before *string, filter *graph.DeliveryFilter) (*graph.DeliveryConnection, error) {
	f, p, err := deliveryPlaces(first, after, last, before, filter)
	if err != nil {
		return nil, err
	}
	slice, err := loadersOf(ctx).deliveries(ctx, w.ID, f, p, r.DB.WebhookDeliveries)
	if err != nil {
		return nil, err
	}
	connection := deliveryConnection(slice)
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = loadersOf(ctx).deliveryCount(ctx, w.ID, f, r.DB.CountWebhookDeliveries)
	}
	return connection, err
}

// LastDelivery is the newest delivery to a webhook.
func (r webhookResolver) LastDelivery(ctx context.Context, w *webhook.Webhook) (*webhook.Delivery, error) {
	slice, err := loadersOf(ctx).deliveries(ctx, w.ID, webhook.DeliveryFilter{}, webhook.Page{Limit: 1}, r.DB.WebhookDeliveries)
	if err != nil || len(slice.Items) == 0 {
		return nil, err
	}
	return slice.Items[0], nil
}

// Event is what is delivered.
func (r deliveryResolver) Event(ctx context.Context, d *webhook.Delivery) (*webhook.Event, error) {
	return loadersOf(ctx).event(ctx, d.EventID)
}

// Webhook is where to.
func (r deliveryResolver) Webhook(ctx context.Context, d *webhook.Delivery) (*webhook.Webhook, error) {
	return loadersOf(ctx).webhook(ctx, d.WebhookID)
}
