package resolvers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// defaultTimeoutMs is how long a request may take where nothing is said.
const defaultTimeoutMs = 15_000

// Webhook finds a webhook by its id or uid.
func (r queryResolver) Webhook(ctx context.Context, id string) (*webhook.Webhook, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	return absentIsNull(r.DB.Webhook(ctx, workspaceID, id))
}

// absentIsNull makes of "not found" a null without an error.
func absentIsNull[T any](object *T, err error) (*T, error) {
	if errors.Is(err, webhook.NotFound) {
		return nil, nil
	}
	return object, err
}

// Webhooks lists the workspace's webhooks.
func (r queryResolver) Webhooks(ctx context.Context, first *int, after *string, last *int, before *string) (*graph.WebhookConnection, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	p, err := page(webhook.WebhookPrefix, first, after, last, before)
	if err != nil {
		return nil, err
	}
	slice, err := r.DB.Webhooks(ctx, workspaceID, p)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(slice.Items))
	for i, w := range slice.Items {
		ids[i] = w.ID
	}
	loadersOf(ctx).together(ids)
	cursor := func(w *webhook.Webhook) string { return encodeCursor(w.ID) }
	connection := &graph.WebhookConnection{
		Edges:    make([]*graph.WebhookEdge, len(slice.Items)),
		Nodes:    slice.Items,
		PageInfo: pageInfo(slice, cursor),
	}
	for i, w := range slice.Items {
		connection.Edges[i] = &graph.WebhookEdge{Cursor: cursor(w), Node: w}
	}
	if asked(ctx, "totalCount") {
		connection.TotalCount, err = r.DB.CountWebhooks(ctx, workspaceID)
	}
	return connection, err
}

// Secret shows a webhook's secret.
func (r webhookResolver) Secret(_ context.Context, w *webhook.Webhook) (*string, error) {
	if w.Secret == "" {
		return nil, nil
	}
	secret := string(w.Secret)
	return &secret, nil
}

// CreateWebhook registers a webhook.
func (r mutationResolver) CreateWebhook(ctx context.Context, input graph.CreateWebhookInput) (*graph.CreateWebhookPayload, error) {
	w, generated, err := r.createWebhook(ctx, input)
	payload := &graph.CreateWebhookPayload{Webhook: w, Secret: generated}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) createWebhook(ctx context.Context, input graph.CreateWebhookInput) (w *webhook.Webhook, generated *string, err error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, nil, err
	}
	w, errs := newWebhook(workspaceID, input)
	if w.Signing == webhook.SigningStandard && input.Secret.Value() == nil {
		w.Secret = webhook.NewSecret()
		secret := string(w.Secret)
		generated = &secret
	}
	if err := r.check(ctx, w, &webhook.Webhook{}, errs); err != nil {
		return nil, nil, err
	}
	if err := r.DB.InsertWebhook(ctx, workspaceID, w); err != nil {
		return nil, nil, err
	}
	return w, generated, nil
}

// newWebhook makes a webhook of an input, with the defaults of the schema.
func newWebhook(workspaceID string, input graph.CreateWebhookInput) (*webhook.Webhook, webhook.Errors) {
	now := webhook.Now()
	method := or(input.Method, webhook.MethodPost)
	headers, errs := headersOf(input.Headers.Value(), nil)
	w := &webhook.Webhook{
		ID:              webhook.NewID(webhook.WebhookPrefix),
		WorkspaceID:     workspaceID,
		UID:             or(input.UID, uuid.NewString()),
		Name:            or(input.Name, webhook.DefaultName(input.URL)),
		Description:     input.Description.Value(),
		URL:             input.URL,
		Events:          input.Events,
		Active:          or(input.Active, false),
		StatusReason:    webhook.ReasonOwner,
		StatusChangedAt: now,
		Method:          method,
		PayloadFormat:   or(input.PayloadFormat, webhook.DefaultFormat(method)),
		Signing:         or(input.Signing, webhook.SigningStandard),
		Secret:          webhook.Secret(or(input.Secret, "")),
		Headers:         headers,
		TimeoutMs:       or(input.TimeoutMs, defaultTimeoutMs),
		Metadata:        input.Metadata.Value(),
		Version:         1,
		CreatedAt:       now,
		UpdatedAt:       now,
	}
	if w.Metadata == nil {
		w.Metadata = []byte("{}")
	}
	return w, errs
}

// UpdateWebhook changes the fields that are given.
func (r mutationResolver) UpdateWebhook(ctx context.Context, input graph.UpdateWebhookInput) (*graph.UpdateWebhookPayload, error) {
	w, err := r.changeWebhook(ctx, input.ID, input.ExpectedVersion.Value(), func(w *webhook.Webhook) error {
		before := *w
		return r.check(ctx, w, &before, applyUpdate(w, input))
	})
	payload := &graph.UpdateWebhookPayload{Webhook: w}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

// applyUpdate writes an update over a webhook and says what in it is null that
// must not be.
func applyUpdate(w *webhook.Webhook, input graph.UpdateWebhookInput) (errs webhook.Errors) {
	change(&errs, "url", input.URL, &w.URL)
	changeList(&errs, "events", input.Events, &w.Events)
	change(&errs, "uid", input.UID, &w.UID)
	change(&errs, "name", input.Name, &w.Name)
	if description, given := input.Description.ValueOK(); given {
		w.Description = description
	}
	active := w.Active
	change(&errs, "active", input.Active, &active)
	if input.Active.IsSet() {
		w.SetActive(active, webhook.ReasonOwner, webhook.Now())
	}
	method := w.Method
	change(&errs, "method", input.Method, &w.Method)
	if w.Method != method {
		w.PayloadFormat = webhook.DefaultFormat(w.Method)
	}
	change(&errs, "payloadFormat", input.PayloadFormat, &w.PayloadFormat)
	change(&errs, "timeoutMs", input.TimeoutMs, &w.TimeoutMs)
	changeList(&errs, "metadata", input.Metadata, &w.Metadata)

	inputs, given := input.Headers.ValueOK()
	switch {
	case given && inputs == nil:
		errs = append(errs, nullMistake("headers"))
	case given:
		headers, mistakes := headersOf(inputs, w.Headers)
		w.Headers, errs = headers, append(errs, mistakes...)
	}
	return append(errs, applySigning(w, input)...)
}

// applySigning changes how a webhook signs. NONE drops the secret, and a
// webhook that begins to sign without a secret gets a new one.
func applySigning(w *webhook.Webhook, input graph.UpdateWebhookInput) (errs webhook.Errors) {
	change(&errs, "signing", input.Signing, &w.Signing)
	if w.Signing == webhook.SigningNone {
		w.Secret = ""
	}
	secret := string(w.Secret)
	change(&errs, "secret", input.Secret, &secret)
	w.Secret = webhook.Secret(secret)
	if w.Signing == webhook.SigningStandard && w.Secret == "" && !input.Secret.IsSet() {
		w.Secret = webhook.NewSecret()
	}
	return errs
}

// DeleteWebhook deletes a webhook.
func (r mutationResolver) DeleteWebhook(ctx context.Context, input graph.DeleteWebhookInput) (*graph.DeleteWebhookPayload, error) {
	payload := &graph.DeleteWebhookPayload{}
	id, err := r.deleteWebhook(ctx, input)
	if err == nil {
		payload.DeletedWebhookID = &id
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) deleteWebhook(ctx context.Context, input graph.DeleteWebhookInput) (id string, err error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return "", err
	}
	err = r.onCurrent(ctx, workspaceID, input.ID, input.ExpectedVersion.Value(), func(w *webhook.Webhook) error {
		id = w.ID
		return r.DB.DeleteWebhook(ctx, workspaceID, w)
	})
	return id, err
}

// changeWebhook applies a change to a webhook and keeps it. A change that
// changes nothing makes no new version.
func (r *Resolver) changeWebhook(ctx context.Context, idOrUID string, expectedVersion *int, apply func(*webhook.Webhook) error) (changed *webhook.Webhook, err error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	err = r.onCurrent(ctx, workspaceID, idOrUID, expectedVersion, func(w *webhook.Webhook) error {
		before := *w
		if err := apply(w); err != nil {
			return err
		}
		changed = w
		if reflect.DeepEqual(before, *w) {
			return nil
		}
		w.UpdatedAt = webhook.Now()
		return r.DB.UpdateWebhook(ctx, workspaceID, w)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// onCurrent reads a webhook and works on it. The work ends with a write that
// fails with webhook.Conflict where the webhook was changed meanwhile; then it
// is done anew on what is there now, unless the caller expects a version.
func (r *Resolver) onCurrent(ctx context.Context, workspaceID, idOrUID string, expectedVersion *int, work func(*webhook.Webhook) error) error {
	const tries = 10
	for try := 1; ; try++ {
		w, err := r.DB.Webhook(ctx, workspaceID, idOrUID)
		if errors.Is(err, webhook.NotFound) {
			return noWebhook(idOrUID, "id")
		}
		if err != nil {
			return err
		}
		if expectedVersion != nil && *expectedVersion != w.Version {
			return webhook.NewError(webhook.Conflict,
				fmt.Sprintf("The webhook is at version %d by now, not %d. Read it again, and decide whether your change still fits.", w.Version, *expectedVersion),
				"expectedVersion")
		}
		err = work(w)
		if !errors.Is(err, webhook.Conflict) || try == tries {
			return err
		}
	}
}

func noWebhook(idOrUID string, path ...string) *webhook.Error {
	return webhook.NewError(webhook.NotFound,
		fmt.Sprintf("There is no webhook with the id or uid %q in your workspace.", idOrUID), path...)
}

// check finds every mistake in a webhook, in addition to those found already,
// and then drops repeated events. What the network's rules and the catalogue
// say is asked only of what was not there before: rules that became stricter
// keep nobody from changing the rest, or from switching the webhook off.
func (r *Resolver) check(ctx context.Context, w, before *webhook.Webhook, errs webhook.Errors) error {
	if w.URL != before.URL || w.URL == "" {
		_, err := r.Engine.Client.Policy.CheckURL(w.URL)
		var mistake *webhook.Error
		if errors.As(err, &mistake) {
			errs = append(errs, webhook.NewError(mistake.Code, mistake.Message, "url"))
		} else if err != nil {
			return err
		}
	}
	errs = append(errs, w.Validate()...)
	unknown, err := unknownEventTypes(ctx, w.Events, before.Events)
	if err != nil {
		return err
	}
	w.Events = unique(w.Events)
	return append(errs, unknown...).OrNil()
}

// unknownEventTypes finds the names that the catalogue does not know or has
// archived. Patterns may run ahead of the catalogue.
func unknownEventTypes(ctx context.Context, events, before []string) (errs webhook.Errors, err error) {
	all, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(all))
	for _, t := range all {
		known[t.Name] = t.ArchivedAt == nil
	}
	for i, name := range events[:min(len(events), webhook.MaxEvents)] { // more are refused as too many
		if known[name] || slices.Contains(before, name) || webhook.IsPattern(name) || webhook.ValidateEventName(name) != nil {
			continue
		}
		errs = append(errs, webhook.NewError(webhook.UnknownEventType, unknownEventType(name, all), "events", strconv.Itoa(i)))
	}
	return errs, nil
}

// unknownEventType says that a name is not in the catalogue, or archived, and
// which one may have been meant.
func unknownEventType(name string, all []*webhook.EventType) string {
	folded := fold(name)
	for _, t := range all {
		switch {
		case t.ArchivedAt != nil && t.Name == name:
			return fmt.Sprintf("The event type %q is archived: webhooks that name it already keep it, others cannot add it. The query `eventTypes` lists those that can be added.", name)
		case t.ArchivedAt == nil && fold(t.Name) == folded:
			return fmt.Sprintf("There is no event type %q. Did you mean %q?", name, t.Name)
		}
	}
	return fmt.Sprintf("There is no event type %q. The query `eventTypes` lists all there are.", name)
}

var punctuation = strings.NewReplacer(".", "", "_", "", "-", "")

// fold makes names equal that differ in case or punctuation alone.
func fold(name string) string {
	return strings.ToLower(punctuation.Replace(name))
}
