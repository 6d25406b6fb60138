package resolvers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// maxDown is for how many seconds a simulated receiver is down at most.
const maxDown = 365 * 24 * 60 * 60

// SimulateRetries works out what would become of an event whose receiver is
// down for a while.
func (r queryResolver) SimulateRetries(ctx context.Context, downForSeconds int, input *graph.RetryPolicyInput, webhookID *string) (*webhook.RetrySimulation, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	if downForSeconds < 0 || downForSeconds > maxDown {
		return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("`downForSeconds` must be 0 to %d, which is a year.", maxDown), "downForSeconds")
	}
	policy := webhook.DefaultRetryPolicy()
	if webhookID != nil {
		w, err := r.DB.Webhook(ctx, workspaceID, *webhookID)
		if errors.Is(err, webhook.NotFound) {
			return nil, noWebhook(*webhookID, "webhookId")
		}
		if err != nil {
			return nil, err
		}
		policy = w.RetryPolicy
	}
	fillRetryPolicy(&policy, input)
	if err := policy.Validate().Under("policy").OrNil(); err != nil {
		return nil, err
	}
	return r.Engine.SimulateRetries(policy, time.Duration(downForSeconds)*time.Second), nil
}
