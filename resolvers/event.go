package resolvers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// Event finds an event by its id or uid.
func (r queryResolver) Event(ctx context.Context, id string) (*webhook.Event, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.Event(ctx, workspaceID, id))
}

// Events lists the workspace's events.
func (r queryResolver) Events(ctx context.Context, first *int, after *string, last *int, before *string, filter *graph.EventFilter) (*graph.EventConnection, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	f, err := eventFilter(filter)
	if err != nil {
		return nil, err
	}
	p, err := page(webhook.EventPrefix, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := r.DB.Events(ctx, workspaceID, f, p)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(slice.Items))
	for i, e := range slice.Items {
		ids[i] = e.ID
	}
	loadersOf(ctx).together(ids)
	cursor := func(e *webhook.Event) string { return encodeCursor(e.ID) }
	connection := &graph.EventConnection{
		Edges: edges(slice, cursor, func(at string, e *webhook.Event) *graph.EventEdge {
			return &graph.EventEdge{Cursor: at, Node: e}
		}),
		Nodes:    slice.Items,
		PageInfo: pageInfo(slice, cursor),
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = r.DB.CountEvents(ctx, workspaceID, f)
	}
	return connection, err
}

func eventFilter(input *graph.EventFilter) (f webhook.EventFilter, err error) {
	if input == nil {
		return f, nil
	}
	f = webhook.EventFilter{
		Names:           input.EventNames.Value(),
		ResourceID:      input.ResourceID.Value(),
		PublishedAfter:  input.PublishedAfter.Value(),
		PublishedBefore: input.PublishedBefore.Value(),
	}
	return f, checkFilterNames(f.Names)
}

// maxFilterNames is how many event types a filter names.
const maxFilterNames = 100

func checkFilterNames(names []string) error {
	if len(names) > maxFilterNames {
		return webhook.NewError(webhook.TooLong, fmt.Sprintf("`filter.eventNames` takes at most %d names.", maxFilterNames))
	}
	for _, name := range names {
		if mistake := webhook.ValidateEventName(name); mistake != nil {
			return webhook.NewError(mistake.Code, "`filter.eventNames`: "+mistake.Message)
		}
	}
	return nil
}

// Type is the catalogue's entry of an event.
func (r eventResolver) Type(ctx context.Context, e *webhook.Event) (*webhook.EventType, error) {
	return findEventType(ctx, func(t *webhook.EventType) bool { return t.Name == e.Name })
}

// Data is what was published.
func (r eventResolver) Data(ctx context.Context, e *webhook.Event) (json.RawMessage, error) {
	if e.Data == nil { // it was read without
		whole, err := loadersOf(ctx).eventWithData(ctx, e.ID)
		if err != nil || whole == nil {
			return nil, err
		}
		e = whole
	}
	return e.Data, requestOf(ctx).spend(len(e.Data))
}

// DeliveryCounts says how the deliveries of an event stand.
func (r eventResolver) DeliveryCounts(ctx context.Context, e *webhook.Event) (*webhook.DeliveryCounts, error) {
	counts, err := loadersOf(ctx).deliveryCounts(ctx, e.ID)
	if counts == nil {
		counts = &webhook.DeliveryCounts{}
	}
	return counts, err
}

// Deliveries lists an event's deliveries.
func (r eventResolver) Deliveries(ctx context.Context, e *webhook.Event, first *int, after *string, last *int, before *string, filter *graph.DeliveryFilter) (*graph.DeliveryConnection, error) {
	f, p, err := deliveryPlaces(first, after, last, before, filter)
	if err != nil {
		return nil, err
	}
	slice, err := loadersOf(ctx).deliveries(ctx, e.ID, f, p, r.DB.EventDeliveries)
	if err != nil {
		return nil, err
	}
	connection := deliveryConnection(slice)
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = loadersOf(ctx).deliveryCount(ctx, e.ID, f, r.DB.CountEventDeliveries)
	}
	return connection, err
}
