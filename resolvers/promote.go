package resolvers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// ownPayload is a payload of which the caller gave the data.
type ownPayload struct {
	at         string // its place in the input
	eventName  string
	data       []byte
	resourceID *string
}

// recordedPayload is what a recorded delivery delivered.
type recordedPayload struct {
	delivery.Payload
	path []string // of the input that named it
}

// namedDelivery is a delivery that an input names.
type namedDelivery struct {
	id   string
	path []string
}

// givenPayloads are the caller's own payloads and those of recorded deliveries:
// first the ones that are named, then those of the filter, newest first.
func (r *Resolver) givenPayloads(ctx context.Context, w *webhook.Webhook, input graph.TestWebhookInput) ([]ownPayload, []recordedPayload, error) {
	own, named, errs := splitPayloads(input.Payloads.Value())
	if len(errs) > 0 {
		return nil, nil, errs
	}
	filter := input.Deliveries.Value()
	if len(named) == 0 && filter == nil {
		return own, nil, nil
	}
	if err := need(ctx, webhook.ScopeEventsRead); err != nil {
		return nil, nil, err
	}
	deliveries, err := r.namedDeliveries(ctx, w.WorkspaceID, named)
	if err != nil {
		return nil, nil, err
	}
	if filter != nil {
		found, err := r.filteredDeliveries(ctx, w.WorkspaceID, filter)
		if err != nil {
			return nil, nil, below(err, "deliveries")
		}
		for _, d := range found {
			if !slices.ContainsFunc(named, func(n namedDelivery) bool { return n.id == d.ID }) {
				named, deliveries = append(named, namedDelivery{d.ID, []string{"deliveries"}}), append(deliveries, d)
			}
		}
	}
	recorded, err := r.recordedPayloads(ctx, w, named, deliveries)
	return own, recorded, err
}

// splitPayloads tells payloads with data from those that name a delivery, each
// of which is left once.
func splitPayloads(inputs []*graph.TestPayloadInput) (own []ownPayload, named []namedDelivery, errs webhook.Errors) {
	mistake := func(i int, code webhook.Code, message string, field ...string) {
		errs = append(errs, webhook.NewError(code, message, append([]string{"payloads", strconv.Itoa(i)}, field...)...))
	}
	for i, input := range inputs {
		name, data, resource := input.EventName.Value(), input.Data.Value(), input.ResourceID.Value()
		switch id := input.DeliveryID.Value(); {
		case id != nil && (name != nil || data != nil || resource != nil):
			mistake(i, webhook.Invalid, "A recorded delivery has its event type and data. Give either `deliveryId` alone, or `eventName` and `data`.")
		case id != nil:
			if !slices.ContainsFunc(named, func(n namedDelivery) bool { return n.id == *id }) {
				named = append(named, namedDelivery{*id, []string{"payloads", strconv.Itoa(i), "deliveryId"}})
			}
		case name == nil:
			mistake(i, webhook.Required, "Give the event type and `data`, or `deliveryId` alone.", "eventName")
		case data == nil:
			mistake(i, webhook.Required, "Give the data to send instead of the event type's example.", "data")
		default:
			own = append(own, ownPayload{strconv.Itoa(i), *name, data, resource})
		}
	}
	return own, named, errs
}

// namedDeliveries finds the named deliveries, in the order named.
func (r *Resolver) namedDeliveries(ctx context.Context, workspaceID string, named []namedDelivery) ([]*webhook.Delivery, error) {
	if len(named) > maxTypes {
		return nil, tooManyEvents(len(named), "payloads")
	}
	var ids []string
	for _, n := range named {
		if webhook.IsID(webhook.DeliveryPrefix, n.id) { // others cannot be asked for
			ids = append(ids, n.id)
		}
	}
	found, err := r.DB.DeliveriesAmong(ctx, workspaceID, ids, webhook.DeliveryFilter{})
	if err != nil {
		return nil, err
	}
	var errs webhook.Errors
	deliveries := make([]*webhook.Delivery, len(named))
	for i, n := range named {
		at := slices.IndexFunc(found, func(d *webhook.Delivery) bool { return d.ID == n.id })
		if at < 0 {
			errs = append(errs, webhook.NewError(webhook.NotFound, "There is no delivery with this id in your workspace.", n.path...))
			continue
		}
		deliveries[i] = found[at]
	}
	return deliveries, errs.OrNil()
}

// filteredDeliveries finds the newest deliveries that a filter keeps. Paths of
// errors begin below the input.
func (r *Resolver) filteredDeliveries(ctx context.Context, workspaceID string, input *graph.TestDeliveriesInput) ([]*webhook.Delivery, error) {
	f, _, err := deliveryPlaces(nil, nil, nil, nil, input.Filter)
	var mistake *webhook.Error
	if errors.As(err, &mistake) {
		return nil, webhook.Errors{webhook.NewError(mistake.Code, mistake.Message, "filter", "eventNames")}
	}
	if err != nil {
		return nil, err
	}
	first := input.First.Value()
	if first != nil && (*first < 1 || *first > maxTypes) {
		return nil, webhook.Errors{webhook.NewError(webhook.Invalid, fmt.Sprintf("`first` must be 1 to %d, as many as one run takes.", maxTypes), "first")}
	}
	limit := maxTypes
	if first != nil {
		limit = *first
	}
	slice, err := r.DB.Deliveries(ctx, workspaceID, f, webhook.Page{Limit: limit})
	switch {
	case err != nil:
		return nil, err
	case len(slice.Items) == 0:
		return nil, webhook.Errors{webhook.NewError(webhook.NotFound, "No delivery matches, so there is nothing to test.", "filter")}
	case slice.HasNext && first == nil:
		return nil, webhook.Errors{webhook.NewError(webhook.TooLong, fmt.Sprintf(
			"More than %d deliveries match, and one run takes no more. Keep fewer, or add `first: %d` for the newest.", maxTypes, maxTypes), "filter")}
	}
	return slice.Items, nil
}

// recordedPayloads are what deliveries delivered.
func (r *Resolver) recordedPayloads(ctx context.Context, w *webhook.Webhook, named []namedDelivery, deliveries []*webhook.Delivery) ([]recordedPayload, error) {
	if len(deliveries) > maxTypes {
		return nil, tooManyEvents(len(deliveries), "deliveries")
	}
	ids := make([]string, len(deliveries))
	for i, d := range deliveries {
		ids[i] = d.EventID
	}
	events, err := r.DB.EventsWithData(ctx, w.WorkspaceID, ids, maxBodies)
	if err != nil {
		return nil, err
	}
	var errs webhook.Errors
	recorded := make([]recordedPayload, len(deliveries))
	for i, d := range deliveries {
		p, mistake := recordedPayloadOf(w, d.ID, events[d.EventID])
		if mistake != nil {
			errs = append(errs, webhook.Errors{mistake}.Under(named[i].path...)...)
		}
		recorded[i] = recordedPayload{p, named[i].path}
	}
	return recorded, errs.OrNil()
}

// recordedPayloadOf is what a delivery of an event delivered, if that can be sent to
// the webhook. The event is nil where it is gone.
func recordedPayloadOf(w *webhook.Webhook, deliveryID string, e *webhook.Event) (p delivery.Payload, mistake *webhook.Error) {
	if e == nil || e.Data == nil {
		return p, webhook.NewError(webhook.WrongState, fmt.Sprintf(
			"The data of the event of %q were removed when their retention was over, so there is nothing to send. Leave the delivery out.", deliveryID))
	}
	if !w.Subscribes(e.Name) {
		return p, webhook.NewError(webhook.NotSubscribed, fmt.Sprintf(
			"%q delivered %q, to which the webhook does not subscribe. Add that to the webhook's `events`, or leave the delivery out.", deliveryID, e.Name))
	}
	p = delivery.Payload{EventName: e.Name, DeliveryID: &deliveryID, Data: e.Data}
	if err := delivery.CheckData(w, e.Data); err != nil {
		return p, webhook.NewError(webhook.Invalid, fmt.Sprintf("What %q delivered cannot be sent to this webhook: %s", deliveryID, err))
	}
	return p, nil
}

func tooManyEvents(n int, path ...string) *webhook.Error {
	return webhook.NewError(webhook.TooLong, fmt.Sprintf("One run tests at most %d event types and deliveries together, this would be %d. Name fewer.", maxTypes, n), path...)
}

// typesBeside are the event types to test beside recorded deliveries: those that
// are named, by eventNames or else by payloads.
func typesBeside(ctx context.Context, w *webhook.Webhook, names []string, own []ownPayload, recorded []recordedPayload) ([]*webhook.EventType, error) {
	if len(recorded) == 0 || len(names) > 0 {
		types, err := testedTypes(ctx, w, names)
		if err == nil && len(types)+len(recorded) > maxTypes {
			err = tooManyEvents(len(types)+len(recorded), "deliveries")
		}
		return types, err
	}
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	types := keep(all, func(t *webhook.EventType) bool {
		return w.Subscribes(t.Name) && slices.ContainsFunc(own, func(p ownPayload) bool { return p.eventName == t.Name })
	})
	if len(types)+len(recorded) > maxTypes {
		return nil, tooManyEvents(len(types)+len(recorded), "payloads")
	}
	return types, nil
}
