package resolvers

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// RetryDelivery sends a delivery now.
func (r mutationResolver) RetryDelivery(ctx context.Context, input graph.RetryDeliveryInput) (*graph.RetryDeliveryPayload, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	payload := &graph.RetryDeliveryPayload{}
	if payload.Delivery, err = r.DB.RetryDelivery(ctx, workspaceID, input.ID); err == nil {
		r.Engine.Wake()
		r.Engine.Hub.Publish(workspaceID, delivery.DeliveryChanged, payload.Delivery.ID)
	}
	payload.UserErrors, err = userErrors(orNoDelivery(err), "input")
	return payload, err
}

// CancelDelivery stops a delivery.
func (r mutationResolver) CancelDelivery(ctx context.Context, input graph.CancelDeliveryInput) (*graph.CancelDeliveryPayload, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	payload := &graph.CancelDeliveryPayload{}
	if payload.Delivery, err = r.DB.CancelDelivery(ctx, workspaceID, input.ID); err == nil {
		r.Engine.Drop(payload.Delivery.WebhookID, payload.Delivery.ID)
		r.Engine.Hub.Publish(workspaceID, delivery.DeliveryChanged, payload.Delivery.ID)
	}
	var told *webhook.Error
	if errors.Is(err, webhook.WrongState) && !errors.As(err, &told) {
		err = webhook.NewError(webhook.WrongState, "This delivery is finished, so there is nothing to cancel.", "id")
	}
	payload.UserErrors, err = userErrors(orNoDelivery(err), "input")
	return payload, err
}

// orNoDelivery puts "not found" into words.
func orNoDelivery(err error) error {
	if errors.Is(err, webhook.NotFound) {
		return webhook.NewError(webhook.NotFound, "There is no delivery with this id in your workspace.", "id")
	}
	return err
}

// RetryDeliveries sends finished deliveries again.
func (r mutationResolver) RetryDeliveries(ctx context.Context, input graph.RetryDeliveriesInput) (*graph.RetryDeliveriesPayload, error) {
	done, err := r.retryDeliveries(ctx, input)
	payload := &graph.RetryDeliveriesPayload{}
	if err == nil {
		payload.Count, payload.ContinueAfter = &done.Count, done.ContinueAfter
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) retryDeliveries(ctx context.Context, input graph.RetryDeliveriesInput) (done db.Steered, err error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return done, err
	}
	statuses := input.Status.Value()
	if statuses == nil {
		statuses = []webhook.DeliveryStatus{webhook.DeliveryFailed}
	}
	errs := checkStatuses(statuses)
	errs = append(errs, checkTimes(input.CreatedAfter, input.CreatedBefore.Value(), "createdBefore")...)
	if err := errs.OrNil(); err != nil {
		return done, err
	}
	done, err = r.DB.RetryDeliveries(ctx, workspaceID, db.Retry{
		WebhookID:     input.WebhookID,
		Statuses:      statuses,
		CreatedAfter:  input.CreatedAfter,
		CreatedBefore: input.CreatedBefore.Value(),
		DryRun:        or(input.DryRun, false),
	})
	return done, r.steered(workspaceID, done, err, input.WebhookID)
}

// checkStatuses finds the statuses that no finished delivery has.
func checkStatuses(statuses []webhook.DeliveryStatus) (errs webhook.Errors) {
	if len(statuses) == 0 {
		return webhook.Errors{webhook.NewError(webhook.Required, "No delivery is in none of the states. Name one, or leave `status` out for `FAILED`.", "status")}
	}
	for i, s := range statuses {
		if s == webhook.DeliveryPending || s == webhook.DeliveryRetrying {
			errs = append(errs, webhook.NewError(webhook.Invalid,
				"Deliveries that are "+string(s)+" will be sent anyway. Give states in which they are finished: `FAILED`, `CANCELED` or `SUCCEEDED`.", "status", strconv.Itoa(i)))
		}
	}
	return errs
}

// checkTimes finds a time that ends before it begins.
func checkTimes(after time.Time, before *time.Time, field string) webhook.Errors {
	if before == nil || after.Before(*before) {
		return nil
	}
	return webhook.Errors{webhook.NewError(webhook.Invalid, "This time is not after the beginning, so there is nothing between. Give a later one, or leave it out for now.", field)}
}

// steered puts into words that there is no such webhook, and tells of what was
// queued.
func (r mutationResolver) steered(workspaceID string, done db.Steered, err error, webhookID string) error {
	if errors.Is(err, webhook.NotFound) {
		return noWebhook(webhookID, "webhookId")
	}
	if err == nil && len(done.IDs) > 0 {
		r.Engine.Wake()
		r.Engine.Hub.Publish(workspaceID, delivery.DeliveryChanged, done.IDs...)
	}
	return err
}

// ReplayEvents delivers to a webhook what it missed.
func (r mutationResolver) ReplayEvents(ctx context.Context, input graph.ReplayEventsInput) (*graph.ReplayEventsPayload, error) {
	done, err := r.replayEvents(ctx, input)
	payload := &graph.ReplayEventsPayload{}
	if err == nil {
		payload.Count, payload.ContinueAfter = &done.Count, done.ContinueAfter
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) replayEvents(ctx context.Context, input graph.ReplayEventsInput) (done db.Steered, err error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return done, err
	}
	if err := checkTimes(input.PublishedAfter, input.PublishedBefore.Value(), "publishedBefore").OrNil(); err != nil {
		return done, err
	}
	done, err = r.DB.ReplayEvents(ctx, workspaceID, db.Replay{
		WebhookID:       input.WebhookID,
		PublishedAfter:  input.PublishedAfter,
		PublishedBefore: input.PublishedBefore.Value(),
		DryRun:          or(input.DryRun, false),
	})
	return done, r.steered(workspaceID, done, err, input.WebhookID)
}
