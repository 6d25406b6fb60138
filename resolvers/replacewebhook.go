package resolvers

import (
	"context"
	"errors"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// ReplaceWebhook puts a webhook in the place of another.
func (r mutationResolver) ReplaceWebhook(ctx context.Context, input graph.ReplaceWebhookInput) (*graph.ReplaceWebhookPayload, error) {
	payload, err := r.replaceWebhook(ctx, input)
	if err != nil {
		payload = &graph.ReplaceWebhookPayload{}
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) replaceWebhook(ctx context.Context, input graph.ReplaceWebhookInput) (*graph.ReplaceWebhookPayload, error) {
	payload, err := r.putWebhook(ctx, input)
	// An id of ours cannot be chosen, and who expects a version expects the
	// webhook to be there.
	mayCreate := or(input.CreateIfMissing, false) && input.ExpectedVersion.Value() == nil && webhook.PrefixOf(input.ID) != webhook.WebhookPrefix
	if !mayCreate || !errors.Is(err, webhook.NotFound) {
		return payload, err
	}
	payload, err = r.createAt(ctx, input)
	if isTakenUID(err) {
		return r.replaceWebhook(ctx, input) // somebody else has just created it
	}
	return payload, err
}

// putWebhook replaces a webhook that is there.
func (r mutationResolver) putWebhook(ctx context.Context, input graph.ReplaceWebhookInput) (*graph.ReplaceWebhookPayload, error) {
	catalogue, err := loadersOf(ctx).catalogue()
	if err != nil {
		return nil, err
	}
	payload := &graph.ReplaceWebhookPayload{}
	payload.Webhook, err = r.changeWebhook(ctx, input.ID, input.ExpectedVersion.Value(), func(w *webhook.Webhook) error {
		before := *w
		errs := replace(w, input)
		payload.Secret = generateSecret(w, input.Secret)
		return r.check(catalogue, w, &before, errs)
	})
	return payload, err
}

// replace makes a webhook anew of an input and leaves it only its identity and
// its history.
func replace(w *webhook.Webhook, input graph.ReplaceWebhookInput) webhook.Errors {
	fresh, errs := newWebhook(w.WorkspaceID, asCreateInput(input), w.Headers)
	fresh.ID, fresh.UID = w.ID, or(input.UID, w.UID)
	fresh.Version, fresh.CreatedAt, fresh.UpdatedAt = w.Version, w.CreatedAt, w.UpdatedAt
	active := fresh.Active
	fresh.Active, fresh.StatusReason, fresh.StatusChangedAt = w.Active, w.StatusReason, w.StatusChangedAt
	fresh.SetActive(active, webhook.ReasonOwner, webhook.Now())
	*w = *fresh
	return errs
}

// createAt registers the webhook that there was none to replace of, under the
// id that it was asked for by.
func (r mutationResolver) createAt(ctx context.Context, input graph.ReplaceWebhookInput) (*graph.ReplaceWebhookPayload, error) {
	if uid := input.UID.Value(); uid != nil && *uid != input.ID {
		return nil, webhook.NewError(webhook.Invalid,
			"There is no webhook yet, and it is registered under `id` as its uid. Leave `uid` out, or give the same for both.", "uid")
	}
	create := asCreateInput(input)
	create.UID = graphql.OmittableOf(&input.ID)
	w, secret, err := r.createWebhook(ctx, create)
	return &graph.ReplaceWebhookPayload{Webhook: w, Created: true, Secret: secret}, uidIsID(err)
}

// isTakenUID says whether another webhook has the uid.
func isTakenUID(err error) bool {
	var mistake *webhook.Error
	return errors.As(err, &mistake) && mistake.Code == webhook.Taken && slices.Equal(mistake.Field, []string{"id"})
}

// uidIsID blames the id for the mistakes of a uid that was made of it.
func uidIsID(err error) error {
	var one *webhook.Error
	var many webhook.Errors
	if !errors.As(err, &many) && errors.As(err, &one) {
		many = webhook.Errors{one}
	}
	for _, e := range many {
		if slices.Equal(e.Field, []string{"uid"}) {
			e.Field = []string{"id"}
		}
	}
	return err
}

// asCreateInput is what a replacement has in common with a new webhook.
func asCreateInput(input graph.ReplaceWebhookInput) graph.CreateWebhookInput {
	return graph.CreateWebhookInput{
		URL:                input.URL,
		Events:             input.Events,
		UID:                input.UID,
		Name:               input.Name,
		Description:        input.Description,
		Secret:             input.Secret,
		Signing:            input.Signing,
		Active:             input.Active,
		ResourceIds:        input.ResourceIds,
		Method:             input.Method,
		PayloadFormat:      input.PayloadFormat,
		Headers:            input.Headers,
		TimeoutMs:          input.TimeoutMs,
		RateLimitPerSecond: input.RateLimitPerSecond,
		RetryPolicy:        input.RetryPolicy,
		Metadata:           input.Metadata,
	}
}
