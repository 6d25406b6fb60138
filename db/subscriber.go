package db

import (
	"context"
	"errors"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

var findWebhooksVersion = newStatement("workspaces.webhooks_version", `
SELECT webhooks_version
FROM workspaces
WHERE id = $1`)

var listAllWebhooks = newStatement("webhooks.list_all", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1`)

// AllWebhooks returns all webhooks of a workspace with a version that is not
// newer than they are; webhook.NotFound where there is no such workspace.
func (d *DB) AllWebhooks(ctx context.Context, workspaceID string) (version int64, all []*webhook.Webhook, err error) {
	if err := d.get(ctx, d.queue, findWebhooksVersion, &version, workspaceID); err != nil {
		return 0, nil, err
	}
	var rows []webhookRow
	if err := d.list(ctx, d.queue, listAllWebhooks, &rows, workspaceID); err != nil {
		return 0, nil, err
	}
	all, err = d.webhooksOf(ctx, rows)
	return version, all, err
}

var listWebhooksVersions = newStatement("workspaces.webhooks_versions", `
SELECT id, webhooks_version
FROM workspaces
WHERE id = ANY($1)`)

// WebhooksVersions returns the versions of the webhooks of those of the
// workspaces that exist, by the workspace's id.
func (d *DB) WebhooksVersions(ctx context.Context, workspaceIDs []string) (map[string]int64, error) {
	var rows []struct {
		ID      string
		Version int64 `db:"webhooks_version"`
	}
	if err := d.list(ctx, d.queue, listWebhooksVersions, &rows, pq.Array(workspaceIDs)); err != nil {
		return nil, err
	}
	versions := make(map[string]int64, len(rows))
	for _, r := range rows {
		versions[r.ID] = r.Version
	}
	return versions, nil
}

var suspendWebhook = newStatement("webhooks.suspend", `
UPDATE webhooks
SET
	status_reason = $3,
	status_changed_at = now(),
	updated_at = now(),
	version = version + 1
WHERE workspace_id = $1
	AND id = $2
	AND active
	AND status_reason NOT IN ('GONE', 'FAILING')
	AND updated_at <= $4`)

// Suspend suspends a webhook that is active, unless it was changed since, and
// publishes the event that tells of it: both, or none of them. It says whether it
// did. Where the workspace's webhooks are others than the event was matched with,
// it did not, and they are stale.
func (d *DB) Suspend(ctx context.Context, workspaceID string, s webhook.Suspension) (done, stale bool, err error) {
	err = inTxOf(ctx, d.queue, func(tx *sqlx.Tx) error {
		n, err := d.exec(ctx, tx, suspendWebhook, workspaceID, s.WebhookID, s.Reason, s.Since)
		if err != nil || n == 0 {
			return err
		}
		// This is one change of the workspace's webhooks, and must be the only one.
		others, err := d.ingest(ctx, tx, map[string]int64{workspaceID: s.Version + 1}, []webhook.Publication{{s.Told}})
		if err == nil && len(others) > 0 {
			err = errStale
		}
		done = err == nil
		return err
	})
	if errors.Is(err, errStale) {
		return false, true, nil
	}
	return done && err == nil, false, err
}
