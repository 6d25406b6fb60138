package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// defaultSuspendAfter is for how long a webhook may fail where nothing else is
// set.
const defaultSuspendAfter = 5 * 24 * time.Hour

// suspend suspends a webhook, unless it was changed since an attempt began, and
// tells its workspace so by an event, which goes to the webhooks that name its
// type.
func (e *Engine) suspend(workspaceID, id string, reason webhook.StatusReason, since time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	w, err := e.directory.webhook(ctx, workspaceID, id)
	if err != nil || w == nil {
		return err
	}
	done, err := e.Webhooks.Suspend(ctx, workspaceID, id, reason, since)
	if err != nil || !done {
		return err
	}
	e.log().Info("suspended a webhook", "webhook_id", id, "workspace_id", workspaceID, "reason", string(reason))
	if _, err := e.directory.load(ctx, workspaceID); err != nil {
		return err
	}
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
		return err
	}
	// Not from here: the settler must not wait for the publisher.
	event := &webhook.Event{
		ID: webhook.NewID(webhook.EventPrefix), WorkspaceID: workspaceID, Name: webhook.EventSuspended,
		Data: data, OccurredAt: now, PublishedAt: now,
	}
	_, err = e.enqueue(webhook.Publication{{Event: event}})
	return err
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
