package db

import (
	"context"
	"strconv"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// statsRow is a number of what was counted: deliveries by status, or attempts
// by the bucket of their duration.
type statsRow struct {
	ID    string
	Kind  string
	Count int
}

var listStatsOfWebhooks = newStatement("delivery_stats.list_of_webhooks", `
SELECT
	webhook_id AS id,
	kind,
	sum(count) AS count
FROM delivery_stats
WHERE workspace_id = $1
	AND webhook_id = ANY($2)
	AND hour >= $3
GROUP BY webhook_id, kind`)

var countOpenOfWebhooks = newStatement("deliveries.count_open_of_webhooks", `
SELECT
	one.id,
	kind,
	count(*) AS count
FROM unnest($2::text[]) AS one (id)
CROSS JOIN LATERAL (
	SELECT `+deliveryStatus+` AS kind
	FROM deliveries
	WHERE workspace_id = $1
		AND webhook_id = one.id
		AND state IN ('READY', 'PARKED')
	LIMIT 10000
) AS open
GROUP BY one.id, kind`)

// WebhookStats says how the deliveries to each webhook went since an hour, and
// how many are open, up to MaxCount, by the webhook's id.
func (d *DB) WebhookStats(ctx context.Context, workspaceID string, webhookIDs []string, since time.Time) (map[string]*webhook.DeliveryStats, error) {
	var counted, open []statsRow
	if err := d.list(ctx, d.pool, listStatsOfWebhooks, &counted, workspaceID, pq.Array(webhookIDs), since); err != nil {
		return nil, err
	}
	if err := d.list(ctx, d.pool, countOpenOfWebhooks, &open, workspaceID, pq.Array(webhookIDs)); err != nil {
		return nil, err
	}
	byID := make(map[string]*webhook.DeliveryStats, len(webhookIDs))
	for _, id := range webhookIDs {
		byID[id] = &webhook.DeliveryStats{}
	}
	for _, r := range append(counted, open...) {
		r.addTo(byID[r.ID])
	}
	return byID, nil
}

var listStatsOfWorkspace = newStatement("delivery_stats.list_of_workspace", `
SELECT
	workspace_id AS id,
	kind,
	sum(count) AS count
FROM delivery_stats
WHERE workspace_id = $1
	AND hour >= $2
GROUP BY workspace_id, kind`)

// Deliveries to a webhook that was deleted are not open.
var countOpenOfWorkspace = newStatement("deliveries.count_open_of_workspace", `
SELECT
	$1::text AS id,
	kind,
	count(*) AS count
FROM (
	SELECT kind
	FROM webhooks
	CROSS JOIN LATERAL (
		SELECT `+deliveryStatus+` AS kind
		FROM deliveries
		WHERE webhook_id = webhooks.id
			AND state IN ('READY', 'PARKED')
		LIMIT 10000
	) AS open
	WHERE webhooks.workspace_id = $1
	LIMIT 10000
) AS open
GROUP BY kind`)

// WorkspaceStats says how the deliveries of a workspace went since an hour, and
// how many are open, up to MaxCount.
func (d *DB) WorkspaceStats(ctx context.Context, workspaceID string, since time.Time) (*webhook.DeliveryStats, error) {
	var counted, open []statsRow
	if err := d.list(ctx, d.pool, listStatsOfWorkspace, &counted, workspaceID, since); err != nil {
		return nil, err
	}
	if err := d.list(ctx, d.pool, countOpenOfWorkspace, &open, workspaceID); err != nil {
		return nil, err
	}
	stats := &webhook.DeliveryStats{}
	for _, r := range append(counted, open...) {
		r.addTo(stats)
	}
	return stats, nil
}

// addTo adds what was counted. A kind that is not known is one of a later
// version, and is left out.
func (r statsRow) addTo(stats *webhook.DeliveryStats) {
	if of := stats.Counts.Of(webhook.DeliveryStatus(r.Kind)); of != nil {
		*of += r.Count
		return
	}
	if bucket, err := strconv.Atoi(r.Kind); err == nil && bucket >= 0 && bucket < webhook.Buckets {
		stats.Durations[bucket] += r.Count
	}
}
