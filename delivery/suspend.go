package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// defaultSuspendAfter is for how long a webhook may fail where nothing else is
// set.
const defaultSuspendAfter = 5 * 24 * time.Hour

// maxSuspensions is how many webhooks wait to be suspended at most.
const maxSuspensions = 1000

// suspension is a webhook that an attempt has shown to be gone, or to have failed
// for too long, when it began.
type suspension struct {
	workspaceID, webhookID string
	reason                 webhook.StatusReason
	since                  time.Time
}

// suspendAll suspends webhooks until suspensions is closed. What fails is tried
// again at the webhook's next failure.
func (e *Engine) suspendAll(ctx context.Context) {
	for s := range e.suspensions {
		if err := e.suspend(ctx, s); err != nil {
			e.log().WarnContext(ctx, "a webhook was not suspended; its next failure suspends it", "webhook_id", s.webhookID, "error", err)
		}
	}
}

// suspend suspends a webhook, unless it was changed since, and tells its
// workspace so by an event, which goes to the webhooks that name its type.
func (e *Engine) suspend(ctx context.Context, s suspension) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for range 10 {
		ros, err := e.directory.roster(ctx, s.workspaceID)
		if err != nil {
			return err
		}
		w := ros.byID[s.webhookID]
		if w == nil || w.Status() != webhook.StatusActive {
			return nil
		}
		told, err := e.suspended(ros, w, s.reason)
		if err != nil {
			return err
		}
		done, stale, err := e.Webhooks.Suspend(ctx, s.workspaceID, webhook.Suspension{
			WebhookID: w.ID, Reason: s.reason, Since: s.since, Told: told, Version: ros.version,
		})
		if err != nil {
			return err
		}
		if done {
			e.log().InfoContext(ctx, "suspended a webhook", "webhook_id", w.ID, "workspace_id", s.workspaceID, "reason", string(s.reason))
			kept := []webhook.Publication{{told}}
			e.handOver(kept, time.Now())
			e.Hub.published(kept)
			e.Wake()
		}
		if done || stale {
			if _, err := e.directory.load(ctx, s.workspaceID); err != nil {
				return err
			}
		}
		if !stale {
			return nil
		}
	}
	return errors.New("the webhooks change faster than the event can be matched with them")
}

// suspended is the event that tells of a webhook's suspension, with what is owed
// of it: to the others, all of it parked.
func (e *Engine) suspended(ros *roster, w *webhook.Webhook, reason webhook.StatusReason) (*webhook.Publishing, error) {
	now := webhook.Now()
	data, err := webhook.EncodeJSON(map[string]any{
		"webhookId":   w.ID,
		"webhookUid":  w.UID,
		"url":         w.URL,
		"reason":      string(reason),
		"message":     e.why(reason),
		"suspendedAt": now.Format(time.RFC3339Nano),
	})
	if err != nil {
		return nil, err
	}
	told := &webhook.Publishing{Event: &webhook.Event{
		ID: webhook.NewID(webhook.EventPrefix), WorkspaceID: w.WorkspaceID, Name: webhook.EventSuspended,
		Data: data, OccurredAt: now, PublishedAt: now,
	}}
	e.owe(ros, told, 0)
	told.Owed = slices.DeleteFunc(told.Owed, func(o webhook.Owed) bool { return o.WebhookID == w.ID })
	return told, nil
}

// why tells the rule by which a webhook was suspended.
func (e *Engine) why(reason webhook.StatusReason) string {
	if reason == webhook.ReasonGone {
		return "The receiver answered 410 Gone. Give the webhook another URL, or let the receiver take events again, and activate it."
	}
	return fmt.Sprintf("Every attempt has failed for %s. Mend the receiver, test the webhook, and activate it.", e.suspendAfter())
}

func (e *Engine) suspendAfter() time.Duration {
	if e.SuspendAfter <= 0 {
		return defaultSuspendAfter
	}
	return e.SuspendAfter
}
