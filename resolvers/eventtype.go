package resolvers

import (
	"context"

	"github.com/hookql/hookql/internal/webhook"
)

// EventTypes lists the catalogue.
func (r queryResolver) EventTypes(ctx context.Context, category *string) ([]*webhook.EventType, error) {
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	return keep(all, func(t *webhook.EventType) bool { return category == nil || t.Category == *category }), nil
}

// EventType finds an event type by name.
func (r queryResolver) EventType(ctx context.Context, name string) (*webhook.EventType, error) {
	return findEventType(ctx, func(t *webhook.EventType) bool { return t.Name == name })
}

func (r queryResolver) eventTypeByID(ctx context.Context, id string) (*webhook.EventType, error) {
	return findEventType(ctx, func(t *webhook.EventType) bool { return t.ID == id })
}

// EventTypes lists the types that a webhook's subscriptions cover now.
func (r webhookResolver) EventTypes(ctx context.Context, w *webhook.Webhook) ([]*webhook.EventType, error) {
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	return keep(all, func(t *webhook.EventType) bool { return w.Subscribes(t.Name) }), nil
}

// findEventType returns the first event type that fits, nil where none does.
func findEventType(ctx context.Context, fits func(*webhook.EventType) bool) (*webhook.EventType, error) {
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if fits(t) {
			return t, nil
		}
	}
	return nil, nil
}

func keep[T any](all []T, fits func(T) bool) []T {
	kept := []T{}
	for _, item := range all {
		if fits(item) {
			kept = append(kept, item)
		}
	}
	return kept
}
