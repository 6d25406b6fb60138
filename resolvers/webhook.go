package resolvers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/similar"
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

// Secret shows a webhook's secret to whom may see it.
func (r webhookResolver) Secret(ctx context.Context, w *webhook.Webhook) (*string, error) {
	if w.Secret == "" || need(ctx, webhook.ScopeSecretsRead) != nil {
		return nil, nil
	}
	secret := string(w.Secret)
	return &secret, nil
}

// Headers shows a webhook's headers, and their values to whom may see them.
func (r webhookResolver) Headers(ctx context.Context, w *webhook.Webhook) ([]*webhook.Header, error) {
	if need(ctx, webhook.ScopeSecretsRead) != nil {
		return pointers(webhook.Masked(w.Headers)), nil
	}
	return pointers(w.Headers), nil
}

// CreateWebhook registers a webhook.
func (r mutationResolver) CreateWebhook(ctx context.Context, input graph.CreateWebhookInput) (*graph.CreateWebhookPayload, error) {
	w, generated, err := r.createWebhook(ctx, input)
	payload := &graph.CreateWebhookPayload{}
	if err == nil {
		payload.Webhook, payload.Secret = w, generated
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) createWebhook(ctx context.Context, input graph.CreateWebhookInput) (w *webhook.Webhook, generated *string, err error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, nil, err
	}
	catalogue, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, nil, err
	}
	w, errs := newWebhook(workspaceID, input, nil)
	generated = generateSecret(w, input.Secret)
	if err := r.check(catalogue, w, &webhook.Webhook{}, errs); err != nil {
		return nil, nil, err
	}
	key, err := idempotency(ctx, input.IdempotencyKey, input)
	if err != nil {
		return nil, nil, err
	}
	earlier, err := r.DB.InsertWebhook(ctx, workspaceID, w, key)
	if err != nil || earlier == "" {
		return w, generated, err
	}
	if w, err = r.DB.Webhook(ctx, workspaceID, earlier); err != nil {
		return nil, nil, orGone(err)
	}
	if generated != nil {
		secret := string(w.Secret)
		generated = &secret
	}
	return w, generated, nil
}

// generateSecret makes a secret for a webhook that signs, where the input gave
// none, and returns it to be shown.
func generateSecret(w *webhook.Webhook, given graphql.Omittable[*string]) *string {
	if w.Signing == webhook.SigningNone || given.Value() != nil {
		return nil
	}
	w.Secret = w.Signing.NewSecret()
	secret := string(w.Secret)
	return &secret
}

// newWebhook makes a webhook of an input, with the defaults of the schema. A
// header without a value keeps the one it has among the old headers.
func newWebhook(workspaceID string, input graph.CreateWebhookInput, old []webhook.Header) (*webhook.Webhook, webhook.Errors) {
	now := webhook.Now()
	method := or(input.Method, webhook.MethodPost)
	headers, errs := headersOf(input.Headers.Value(), old)
	policy := webhook.DefaultRetryPolicy()
	fillRetryPolicy(&policy, input.RetryPolicy.Value())
	w := &webhook.Webhook{
		ID:                 webhook.NewID(webhook.WebhookPrefix),
		WorkspaceID:        workspaceID,
		UID:                or(input.UID, uuid.NewString()),
		Name:               or(input.Name, webhook.DefaultName(input.URL)),
		Description:        input.Description.Value(),
		URL:                input.URL,
		Events:             input.Events,
		ResourceIDs:        append([]string{}, input.ResourceIds.Value()...),
		Active:             or(input.Active, false),
		StatusReason:       webhook.ReasonOwner,
		StatusChangedAt:    now,
		Method:             method,
		PayloadFormat:      or(input.PayloadFormat, webhook.DefaultFormat(method)),
		Signing:            or(input.Signing, webhook.SigningStandard),
		Secret:             webhook.Secret(or(input.Secret, "")),
		Headers:            headers,
		TimeoutMs:          or(input.TimeoutMs, defaultTimeoutMs),
		RateLimitPerSecond: input.RateLimitPerSecond.Value(),
		RetryPolicy:        policy,
		Metadata:           input.Metadata.Value(),
		Version:            1,
		CreatedAt:          now,
		UpdatedAt:          now,
	}
	if w.Metadata == nil {
		w.Metadata = []byte("{}")
	}
	return w, errs
}

// fillRetryPolicy writes those members of an input over a policy that are given
// and not null.
func fillRetryPolicy(p *webhook.RetryPolicy, input *graph.RetryPolicyInput) {
	if input == nil {
		return
	}
	p.MaxAttempts = or(input.MaxAttempts, p.MaxAttempts)
	p.InitialDelaySeconds = or(input.InitialDelaySeconds, p.InitialDelaySeconds)
	p.BackoffFactor = or(input.BackoffFactor, p.BackoffFactor)
	p.MaxDelaySeconds = or(input.MaxDelaySeconds, p.MaxDelaySeconds)
}

// UpdateWebhook changes the fields that are given.
func (r mutationResolver) UpdateWebhook(ctx context.Context, input graph.UpdateWebhookInput) (*graph.UpdateWebhookPayload, error) {
	w, err := r.updateWebhook(ctx, input)
	payload := &graph.UpdateWebhookPayload{Webhook: w}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) updateWebhook(ctx context.Context, input graph.UpdateWebhookInput) (*webhook.Webhook, error) {
	catalogue, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	return r.changeWebhook(ctx, input.ID, input.ExpectedVersion.Value(), func(w *webhook.Webhook) error {
		before := *w
		return r.check(catalogue, w, &before, applyUpdate(w, input))
	})
}

// applyUpdate writes an update over a webhook and says what in it is null that
// must not be.
func applyUpdate(w *webhook.Webhook, input graph.UpdateWebhookInput) (errs webhook.Errors) {
	change(&errs, "url", input.URL, &w.URL)
	changeList(&errs, "events", input.Events, &w.Events)
	changeList(&errs, "resourceIds", input.ResourceIds, &w.ResourceIDs)
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
	if limit, given := input.RateLimitPerSecond.ValueOK(); given {
		w.RateLimitPerSecond = limit
	}
	changeList(&errs, "metadata", input.Metadata, &w.Metadata)

	errs = append(errs, applyRetryPolicy(&w.RetryPolicy, input.RetryPolicy)...)
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

// applyRetryPolicy writes the members that are given over a policy.
func applyRetryPolicy(p *webhook.RetryPolicy, input graphql.Omittable[*graph.RetryPolicyInput]) (errs webhook.Errors) {
	switch members, given := input.ValueOK(); {
	case !given:
		return nil
	case members == nil:
		return webhook.Errors{nullMistake("retryPolicy")}
	default:
		change(&errs, "maxAttempts", members.MaxAttempts, &p.MaxAttempts)
		change(&errs, "initialDelaySeconds", members.InitialDelaySeconds, &p.InitialDelaySeconds)
		change(&errs, "backoffFactor", members.BackoffFactor, &p.BackoffFactor)
		change(&errs, "maxDelaySeconds", members.MaxDelaySeconds, &p.MaxDelaySeconds)
		return errs.Under("retryPolicy")
	}
}

// applySigning changes how a webhook signs. A secret belongs to one scheme, so
// another scheme drops it, and one that signs gets a new one.
func applySigning(w *webhook.Webhook, input graph.UpdateWebhookInput) (errs webhook.Errors) {
	scheme := w.Signing
	change(&errs, "signing", input.Signing, &w.Signing)
	if w.Signing != scheme {
		w.SetSecret("")
	}
	secret := string(w.Secret)
	change(&errs, "secret", input.Secret, &secret)
	w.SetSecret(webhook.Secret(secret))
	if w.Secret == "" && !input.Secret.IsSet() {
		w.SetSecret(w.Signing.NewSecret())
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

func (r mutationResolver) deleteWebhook(ctx context.Context, input graph.DeleteWebhookInput) (string, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return "", err
	}
	id, err := r.DB.DeleteWebhook(ctx, workspaceID, input.ID, func(w *webhook.Webhook) error {
		return mustBeAt(w, input.ExpectedVersion.Value())
	})
	if errors.Is(err, webhook.NotFound) {
		return "", noWebhook(input.ID, "id")
	}
	if err == nil {
		r.Engine.Deleted(ctx, workspaceID)
	}
	return id, err
}

// changeWebhook applies a change to a webhook and keeps it. While it is applied
// nobody else changes the webhook, so it fails with webhook.Conflict only where
// the caller expects another version. The change must not use the database.
func (r *Resolver) changeWebhook(ctx context.Context, idOrUID string, expectedVersion *int, apply func(*webhook.Webhook) error) (*webhook.Webhook, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	w, err := r.DB.ChangeWebhook(ctx, workspaceID, idOrUID, func(w *webhook.Webhook) error {
		if err := mustBeAt(w, expectedVersion); err != nil {
			return err
		}
		return apply(w)
	})
	if errors.Is(err, webhook.NotFound) {
		return nil, noWebhook(idOrUID, "id")
	}
	return w, err
}

// mustBeAt is a mistake where a webhook is at another version than the one
// that is expected, if any is.
func mustBeAt(w *webhook.Webhook, expected *int) error {
	if expected == nil || *expected == w.Version {
		return nil
	}
	return webhook.NewError(webhook.Conflict,
		fmt.Sprintf("The webhook is at version %d by now, not %d. Read it again, and decide whether your change still fits.", w.Version, *expected),
		"expectedVersion")
}

func noWebhook(idOrUID string, path ...string) *webhook.Error {
	return webhook.NewError(webhook.NotFound,
		fmt.Sprintf("There is no webhook with the id or uid %q in your workspace.", idOrUID), path...)
}

// check finds every mistake in a webhook, in addition to those found already,
// and then drops repeated events and resources. What the network's rules and
// the catalogue say is asked only of what was not there before: rules that
// became stricter keep nobody from changing the rest, or from switching the
// webhook off. It reads nothing from the database.
func (r *Resolver) check(catalogue []*webhook.EventType, w, before *webhook.Webhook, errs webhook.Errors) error {
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
	errs = append(errs, unknownEventTypes(catalogue, w.Events, before.Events)...)
	w.Events, w.ResourceIDs = unique(w.Events), unique(w.ResourceIDs)
	return errs.OrNil()
}

// unknownEventTypes finds the names that the catalogue does not know or has
// archived. Patterns may run ahead of the catalogue.
func unknownEventTypes(all []*webhook.EventType, events, before []string) (errs webhook.Errors) {
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
	return errs
}

// unknownEventType says that a name is not in the catalogue, or archived, and
// which one may have been meant.
func unknownEventType(name string, all []*webhook.EventType) string {
	var names []string
	for _, t := range all {
		switch {
		case t.ArchivedAt == nil:
			names = append(names, t.Name)
		case t.Name == name:
			return fmt.Sprintf("The event type %q is archived: webhooks that name it already keep it, others cannot add it. The query `eventTypes` lists those that can be added.", name)
		}
	}
	if meant := similar.Name(name, names, fold); meant != "" {
		return fmt.Sprintf("There is no event type %q. Did you mean %q?", name, meant)
	}
	return fmt.Sprintf("There is no event type %q. The query `eventTypes` lists all there are.", name)
}

var punctuation = strings.NewReplacer(".", "", "_", "", "-", "")

// fold makes names equal that differ in case or punctuation alone.
func fold(name string) string {
	return strings.ToLower(punctuation.Replace(name))
}
