package resolvers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/catalogue"
	"github.com/hookql/hookql/internal/webhook"
)

// EventTypes lists the catalogue.
func (r queryResolver) EventTypes(ctx context.Context, category *string, includeArchived *bool) ([]*webhook.EventType, error) {
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	archived := includeArchived != nil && *includeArchived
	return keep(all, func(t *webhook.EventType) bool {
		return (category == nil || t.Category == *category) && (archived || t.ArchivedAt == nil)
	}), nil
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

// Schema shows the JSON Schema of an event type's payload.
func (r eventTypeResolver) Schema(ctx context.Context, t *webhook.EventType) (json.RawMessage, error) {
	text, err := loadersOf(ctx).schema(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return text, requestOf(ctx).spend(len(text))
}

// Example shows the payload that tests send.
func (r eventTypeResolver) Example(ctx context.Context, t *webhook.EventType) (json.RawMessage, error) {
	return t.Example, requestOf(ctx).spend(len(t.Example))
}

// CreateEventType adds an event type.
func (r mutationResolver) CreateEventType(ctx context.Context, input graph.CreateEventTypeInput) (*graph.CreateEventTypePayload, error) {
	t, err := r.createEventType(ctx, input)
	payload := &graph.CreateEventTypePayload{EventType: t}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) createEventType(ctx context.Context, input graph.CreateEventTypeInput) (*webhook.EventType, error) {
	now := webhook.Now()
	t := &webhook.EventType{
		ID:            webhook.NewID(webhook.EventTypePrefix),
		Name:          input.Name,
		Title:         or(input.Title, webhook.DefaultTitle(input.Name)),
		Category:      or(input.Category, webhook.DefaultCategory(input.Name)),
		Description:   or(input.Description, ""),
		Documentation: input.Documentation.Value(),
		Schema:        input.Schema.Value(),
		EnforceSchema: or(input.EnforceSchema, false),
		Example:       input.Example.Value(),
		ExampleMade:   input.Example.Value() == nil,
		CreatedAt:     now,
		UpdatedAt:     now,
	}
	if err := catalogue.Complete(t, &r.Schemas); err != nil {
		return nil, err
	}
	if err := r.DB.InsertEventType(ctx, t); err != nil {
		return nil, err
	}
	knowSchema(ctx, t)
	return t, nil
}

// UpdateEventType changes the fields that are given.
func (r mutationResolver) UpdateEventType(ctx context.Context, input graph.UpdateEventTypeInput) (*graph.UpdateEventTypePayload, error) {
	t, err := r.changeEventType(ctx, input.Name, func(t *webhook.EventType) error {
		if errs := updateEventType(t, input); errs != nil {
			return errs
		}
		return catalogue.Complete(t, &r.Schemas)
	})
	payload := &graph.UpdateEventTypePayload{EventType: t}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// updateEventType writes an update over an event type and says what in it is
// null that must not be.
func updateEventType(t *webhook.EventType, input graph.UpdateEventTypeInput) (errs webhook.Errors) {
	change(&errs, "title", input.Title, &t.Title)
	change(&errs, "category", input.Category, &t.Category)
	change(&errs, "description", input.Description, &t.Description)
	change(&errs, "enforceSchema", input.EnforceSchema, &t.EnforceSchema)
	if link, given := input.Documentation.ValueOK(); given {
		t.Documentation = link
	}
	if example, given := input.Example.ValueOK(); given {
		t.ExampleMade = example == nil
		t.Example = example
	}
	if schema, given := input.Schema.ValueOK(); given && !bytes.Equal(schema, t.Schema) {
		t.Schema = schema
		if t.ExampleMade {
			t.Example = nil
		}
	}
	return errs
}

// ArchiveEventType hides an event type from new subscriptions.
func (r mutationResolver) ArchiveEventType(ctx context.Context, input graph.ArchiveEventTypeInput) (*graph.ArchiveEventTypePayload, error) {
	t, err := r.changeEventType(ctx, input.Name, func(t *webhook.EventType) error {
		t.Archive(webhook.Now())
		return nil
	})
	payload := &graph.ArchiveEventTypePayload{EventType: t}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// RestoreEventType lets new subscriptions name an event type again.
func (r mutationResolver) RestoreEventType(ctx context.Context, input graph.RestoreEventTypeInput) (*graph.RestoreEventTypePayload, error) {
	t, err := r.changeEventType(ctx, input.Name, func(t *webhook.EventType) error {
		t.ArchivedAt = nil
		return nil
	})
	payload := &graph.RestoreEventTypePayload{EventType: t}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// changeEventType applies a change to the event type of a name and keeps it.
func (r *Resolver) changeEventType(ctx context.Context, name string, apply func(*webhook.EventType) error) (*webhook.EventType, error) {
	if webhook.Reserved(name) {
		return nil, webhook.NewError(webhook.Invalid, "HookQL's own event types cannot be changed.", "name")
	}
	t, err := r.DB.ChangeEventType(ctx, name, apply)
	if errors.Is(err, webhook.NotFound) {
		all, err := loadersOf(ctx).catalogue()
		if err != nil {
			return nil, err
		}
		return nil, webhook.NewError(webhook.NotFound, unknownEventType(name, all), "name")
	}
	if err != nil {
		return nil, err
	}
	knowSchema(ctx, t)
	return t, nil
}

// knowSchema keeps the schema of an event type that was read with it.
func knowSchema(ctx context.Context, t *webhook.EventType) {
	know(loadersOf(ctx), []string{t.ID}, eventSchema{}, map[string]json.RawMessage{t.ID: t.Schema})
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
