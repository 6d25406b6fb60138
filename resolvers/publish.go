package resolvers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	// maxPublished is how many events one request publishes, and
	// maxPublishedBytes how large their data are together.
	maxPublished      = 100
	maxPublishedBytes = 1 << 20
)

// PublishEvent publishes one event.
func (r mutationResolver) PublishEvent(ctx context.Context, input graph.PublishEventInput) (*graph.PublishEventPayload, error) {
	published, err := r.publish(ctx, []*graph.PublishEventInput{&input}, func(int) []string { return nil })
	payload := &graph.PublishEventPayload{}
	if published != nil {
		payload.Event, payload.Duplicate = published[0].event, &published[0].duplicate
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// PublishEvents publishes events, all or none.
func (r mutationResolver) PublishEvents(ctx context.Context, input graph.PublishEventsInput) (*graph.PublishEventsPayload, error) {
	published, err := r.publish(ctx, input.Events, func(n int) []string { return []string{"events", strconv.Itoa(n)} })
	payload := &graph.PublishEventsPayload{}
	for _, p := range published {
		payload.Events = append(payload.Events, p.event)
		payload.Duplicates = append(payload.Duplicates, p.duplicate)
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// published is an event with whether it was published earlier.
type published struct {
	event     *webhook.Event
	duplicate bool
}

// publish publishes events; at is the path of each in the input.
func (r *Resolver) publish(ctx context.Context, inputs []*graph.PublishEventInput, at func(n int) []string) ([]published, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	publication, err := r.publication(ctx, workspaceID, inputs, at)
	if err != nil {
		return nil, err
	}
	if err := r.Engine.Publish(ctx, publication); err != nil {
		return nil, orUnknown(ctx, err)
	}
	var errs webhook.Errors
	for n, p := range publication {
		if p.Conflict {
			errs = append(errs, webhook.NewError(webhook.IdempotencyConflict,
				fmt.Sprintf("An event with other content was published under the uid %q: %s. Give this one another uid, or the same content.", *p.Event.UID, p.Earlier),
				append(at(n), "uid")...))
		}
	}
	if errs != nil {
		return nil, errs
	}
	return r.asPublished(ctx, workspaceID, publication)
}

// asPublished are the events as they can be read now: those that were published
// earlier as they were then.
func (r *Resolver) asPublished(ctx context.Context, workspaceID string, publication webhook.Publication) ([]published, error) {
	list := make([]published, len(publication))
	for n, p := range publication {
		list[n] = published{event: p.Event}
		if p.Earlier == "" {
			continue
		}
		earlier, err := r.DB.Event(ctx, workspaceID, p.Earlier)
		if err != nil && !errors.Is(err, webhook.NotFound) { // its retention is over, its uid goes next
			return nil, err
		}
		if err == nil {
			list[n].event = earlier
		}
		list[n].duplicate = true
	}
	return list, nil
}

// orUnknown says that nobody knows whether something was published, unless it
// is known that it was not, or who asked is gone. Without the master key it is
// no use to try again: that is a fault.
func orUnknown(ctx context.Context, err error) error {
	var mistake *webhook.Error
	if errors.As(err, &mistake) || ctx.Err() != nil || errors.Is(err, db.ErrMasterKey) {
		return err
	}
	if errors.Is(err, delivery.ErrNotKept) {
		mistake = webhook.NewError(webhook.Overloaded, "The webhooks could not be read just now, so nothing was published. Try again soon.")
		mistake.RetryAfter = time.Second
		return mistake
	}
	unknown := webhook.NewError(webhook.Overloaded,
		"The database did not say whether this was kept. Publish it again under the same `uid`: then it is published once, whatever became of it now.")
	unknown.RetryAfter = time.Second
	return unknown
}

// publication makes events of the inputs, and finds all their mistakes.
func (r *Resolver) publication(ctx context.Context, workspaceID string, inputs []*graph.PublishEventInput, at func(n int) []string) (webhook.Publication, error) {
	switch {
	case len(inputs) == 0:
		return nil, webhook.NewError(webhook.Required, "Give at least one event.", "events")
	case len(inputs) > maxPublished:
		return nil, webhook.NewError(webhook.TooLong, fmt.Sprintf("One request publishes at most %d events, this would be %d. Send several requests.", maxPublished, len(inputs)), "events")
	}
	now := webhook.Now()
	publication := make(webhook.Publication, len(inputs))
	uids := make(map[string]int)
	size := 0
	var all webhook.Errors
	for n, input := range inputs {
		p, errs := newPublishing(workspaceID, input, now)
		publication[n] = p
		size += len(input.Data)
		mistakes, err := r.checkType(ctx, p.Event)
		if err != nil {
			return nil, err
		}
		errs = append(errs, mistakes...)
		if uid := p.Event.UID; uid != nil {
			if first, twice := uids[*uid]; twice {
				errs = append(errs, webhook.NewError(webhook.Invalid, fmt.Sprintf("The event %d of this request has this uid, too. Give each event its own.", first), "uid"))
			} else {
				uids[*uid] = n
			}
		}
		all = append(all, errs.Under(at(n)...)...)
	}
	if size > maxPublishedBytes {
		all = append(all, webhook.NewError(webhook.TooLong, fmt.Sprintf("The data of these events have %d bytes of JSON together, at most 1 MiB is taken. Send several requests.", size), "events"))
	}
	return publication, all.OrNil()
}

// newPublishing makes an event of an input.
func newPublishing(workspaceID string, input *graph.PublishEventInput, now time.Time) (*webhook.Publishing, webhook.Errors) {
	e := &webhook.Event{
		ID:          webhook.NewID(webhook.EventPrefix),
		WorkspaceID: workspaceID,
		UID:         input.UID.Value(),
		Name:        input.EventName,
		ResourceID:  input.ResourceID.Value(),
		Data:        input.Data,
		OccurredAt:  now,
		PublishedAt: now,
	}
	given := input.OccurredAt.Value()
	if given != nil {
		e.OccurredAt = *given
	}
	p := &webhook.Publishing{Event: e}
	if e.UID != nil {
		content, _ := json.Marshal([]any{e.Name, e.Data, e.ResourceID, given}) // all can be written as JSON
		p.ContentHash = sha256.Sum256(content)
	}
	errs := e.Validate()
	if mistake := delivery.CheckEventData(e.Data); mistake != nil {
		errs = append(errs, webhook.NewError(mistake.Code, mistake.Message, "data"))
	}
	return p, errs
}

// checkType says what is wrong with an event's type, and with its data where
// the type wants them checked.
func (r *Resolver) checkType(ctx context.Context, e *webhook.Event) (errs webhook.Errors, err error) {
	if webhook.Reserved(e.Name) {
		return webhook.Errors{webhook.NewError(webhook.Invalid, "Event types whose names begin with `webhook.` are published by HookQL alone. Choose another name.", "eventName")}, nil
	}
	known, err := r.types.find(ctx, r.DB, e.Name)
	switch {
	case err != nil:
		return nil, err
	case known != nil && known.EnforceSchema:
		return r.misfit(ctx, known, e.Data)
	case known != nil:
		return nil, nil
	}
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	return webhook.Errors{webhook.NewError(webhook.UnknownEventType, unknownEventType(e.Name, all), "eventName")}, nil
}

// typesFor is how long the catalogue is remembered.
const typesFor = time.Second

// types remember the catalogue for those who publish, so that not every event
// reads it. A type that is not among them is looked for at once.
type types struct {
	mu     sync.Mutex
	byName map[string]*webhook.EventType
	read   time.Time
}

// find finds an event type by its name; nil where there is none.
func (t *types) find(ctx context.Context, store *db.DB, name string) (*webhook.EventType, error) {
	t.mu.Lock()
	known, fresh := t.byName[name], time.Since(t.read) < typesFor
	t.mu.Unlock()
	if known != nil && fresh {
		return known, nil
	}
	began := time.Now()
	all, err := store.EventTypes(ctx)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*webhook.EventType, len(all))
	for _, t := range all {
		byName[t.Name] = t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byName, t.read = byName, began
	return byName[name], nil
}
