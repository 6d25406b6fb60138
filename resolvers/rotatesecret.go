package resolvers

import (
	"context"
	"time"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// How long an old secret signs besides the new one, in seconds.
const (
	defaultOverlap = 86_400
	maxOverlap     = 604_800
)

// RotateWebhookSecret gives a webhook a new secret.
func (r mutationResolver) RotateWebhookSecret(ctx context.Context, input graph.RotateWebhookSecretInput) (*graph.RotateWebhookSecretPayload, error) {
	w, err := r.rotateWebhookSecret(ctx, input)
	payload := &graph.RotateWebhookSecretPayload{Webhook: w}
	if err == nil {
		payload.Secret = new(string(w.Secret))
	}
	payload.UserErrors, err = userErrors(err, "input")
	return payload, err
}

func (r mutationResolver) rotateWebhookSecret(ctx context.Context, input graph.RotateWebhookSecretInput) (*webhook.Webhook, error) {
	seconds := or(input.OverlapSeconds, defaultOverlap)
	if seconds < 0 || seconds > maxOverlap {
		return nil, webhook.NewError(webhook.Invalid, "The old secret signs for 0 to 604,800 seconds more, which is a week.", "overlapSeconds")
	}
	return r.changeWebhook(ctx, input.ID, input.ExpectedVersion.Value(), func(w *webhook.Webhook) error {
		if w.Signing == webhook.SigningNone {
			return webhook.NewError(webhook.WrongState,
				"This webhook is not signed, so it has no secret. `updateWebhook` with another `signing` gives it one.", "id")
		}
		secret := webhook.Secret(or(input.Secret, ""))
		if input.Secret.Value() == nil {
			secret = w.Signing.NewSecret()
		}
		if mistake := w.Signing.CheckSecret(secret); mistake != nil {
			return webhook.Errors{mistake}.Under("secret")
		}
		if secret == w.Secret {
			return webhook.NewError(webhook.Invalid, "The webhook has this secret already. Give another, or leave it out to have one generated.", "secret")
		}
		w.RotateSecret(secret, time.Duration(seconds)*time.Second, webhook.Now())
		return nil
	})
}
