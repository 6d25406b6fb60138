package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// At most so many deliveries are queued, and so many events looked at, at once.
const (
	MaxSteered = 10_000
	maxLooked  = 50_000
)

// Deletion and every change of a webhook wait for this lock, and one that
// steers its deliveries for another; what only refers to the webhook does not.
var lockWebhookToSteer = newStatement("webhooks.lock_to_steer", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND (id = $2 OR uid = $2)
FOR NO KEY UPDATE`)

// lockToSteer finds a webhook to which deliveries are to be queued, and keeps it
// as it is until the transaction ends. Who locks deliveries has locked their
// webhook before, so that nobody waits for each other. One that is not there is
// webhook.NotFound, one that is not active a *webhook.Error about the field.
func (d *DB) lockToSteer(ctx context.Context, tx *sqlx.Tx, workspaceID, idOrUID, field string) (*webhook.Webhook, error) {
	var row webhookRow
	if err := d.get(ctx, tx, lockWebhookToSteer, &row, workspaceID, text(idOrUID)); err != nil {
		return nil, err
	}
	w, err := d.webhookOf(ctx, row)
	if err != nil {
		return nil, err
	}
	if status := w.Status(); status != webhook.StatusActive {
		return nil, webhook.NewError(webhook.WrongState,
			fmt.Sprintf("The webhook is %s, so nothing is sent to it. Activate it first: `updateWebhook(input: {id: %q, active: true})`.", status, w.ID), field)
	}
	return w, nil
}

// A delivery that is leased is under way, and one that was canceled while it was
// may still be sent until the lease would have ended; one whose event's data
// retention removed cannot be sent.
var retryDelivery = newStatement("deliveries.retry", `
UPDATE deliveries
SET
	state = 'READY',
	next_at = now(),
	ladder = CASE WHEN finished_at IS NULL THEN ladder ELSE attempts END,
	trigger = 'MANUAL',
	finished_at = NULL
WHERE workspace_id = $1
	AND id = $2
	AND lease = 0
	AND (state <> 'CANCELED' OR next_at <= now())
	AND (SELECT data IS NOT NULL FROM events WHERE events.id = event_id)
RETURNING`+deliveryColumns)

// RetryDelivery makes a delivery due now, and lets the retry policy of a
// finished one begin anew. It is webhook.NotFound where there is none, and a
// webhook.WrongState error where it cannot be sent, or is just being sent.
func (d *DB) RetryDelivery(ctx context.Context, workspaceID, id string) (*webhook.Delivery, error) {
	var row deliveryRow
	err := d.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := d.get(ctx, tx, findDelivery, &row, workspaceID, text(id)); err != nil {
			return err
		}
		_, err := d.lockToSteer(ctx, tx, workspaceID, row.WebhookID, "id")
		if errors.Is(err, webhook.NotFound) {
			return webhook.NewError(webhook.WrongState, "The webhook of this delivery was deleted, so there is nowhere to send it.", "id")
		}
		if err != nil {
			return err
		}
		err = d.get(ctx, tx, retryDelivery, &row, workspaceID, text(id))
		if errors.Is(err, webhook.NotFound) {
			return d.whyNotRetried(ctx, tx, workspaceID, id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return row.delivery(), nil
}

// whyNotRetried says why a delivery that is there was not made due.
func (d *DB) whyNotRetried(ctx context.Context, tx *sqlx.Tx, workspaceID, id string) error {
	var row deliveryRow
	if err := d.get(ctx, tx, findDelivery, &row, workspaceID, text(id)); err != nil {
		return err
	}
	if row.FinishedAt == nil && row.NextAt == nil {
		return webhook.NewError(webhook.WrongState,
			"An attempt of this delivery is under way just now. Wait for its end; where it fails, the next one is due at `nextAttemptAt`.", "id")
	}
	if row.Status == webhook.DeliveryCanceled {
		return webhook.NewError(webhook.WrongState,
			"This delivery was canceled while a process had it in hand, or the data of its event was removed. Where it is the first, it can be sent again in a minute.", "id")
	}
	return webhook.NewError(webhook.WrongState, "The data of this delivery's event was removed when its retention was over, so there is nothing to send.", "id")
}

// What is canceled counts in the hour in which it is.
const countCanceled = `, counted AS (
	INSERT INTO delivery_stats (
		webhook_id,
		hour,
		kind,
		workspace_id,
		count
	)
	SELECT
		webhook_id,
		date_trunc('hour', now(), 'UTC'),
		'CANCELED',
		workspace_id,
		count(*)
	FROM canceled
	GROUP BY webhook_id, workspace_id
	ON CONFLICT (webhook_id, hour, kind) DO UPDATE SET count = delivery_stats.count + excluded.count
)`

var cancelDelivery = newStatement("deliveries.cancel", `
WITH canceled AS (
	UPDATE deliveries
	SET
		state = 'CANCELED',
		next_at = CASE WHEN lease = 0 THEN now() ELSE next_at END,
		lease = 0,
		finished_at = now()
	WHERE workspace_id = $1
		AND id = $2
		AND state IN ('READY', 'PARKED')
		AND NOT `+webhookDeleted+`
	RETURNING`+deliveryColumns+`
)`+countCanceled+`
SELECT *
FROM canceled`)

// CancelDelivery stops a delivery, also one that is under way: its outcome will
// find no lease. It is webhook.NotFound where there is none, webhook.WrongState
// where it is finished.
func (d *DB) CancelDelivery(ctx context.Context, workspaceID, id string) (*webhook.Delivery, error) {
	var row deliveryRow
	err := d.get(ctx, d.pool, cancelDelivery, &row, workspaceID, text(id))
	if errors.Is(err, webhook.NotFound) {
		if _, err := d.Delivery(ctx, workspaceID, id); err != nil {
			return nil, err
		}
		return nil, webhook.WrongState
	}
	if err != nil {
		return nil, err
	}
	return row.delivery(), nil
}

// Steered says what came of steering many deliveries.
type Steered struct {
	// Count is how many were queued, or would be.
	Count int
	// IDs are of those that were queued, besides a few that others were quicker to
	// queue.
	IDs []string
	// ContinueAfter is the time to go on from where there may be more; nil where
	// there are none.
	ContinueAfter *time.Time
}

// Retry says which deliveries to a webhook to send again.
type Retry struct {
	WebhookID string // its id or uid
	// Statuses are some in which a delivery is finished.
	Statuses      []webhook.DeliveryStatus
	CreatedAfter  time.Time // or at
	CreatedBefore *time.Time
	// DryRun only counts.
	DryRun bool
}

// Bounds and order are those of the index by webhook (see newDeliveryStatements).
var listDeliveriesToRetry = newStatement("deliveries.list_to_retry", `
SELECT
	id,
	created_at AS at
FROM deliveries
WHERE workspace_id = $1
	AND (webhook_id, id) < ((SELECT $2::text), $3)
	AND (webhook_id, id) > ((SELECT $2::text), $4)
	AND state = ANY($5)
	AND (state <> 'CANCELED' OR next_at <= now())
	AND created_at >= $6
	AND ($7::timestamptz IS NULL OR created_at < $7)
	AND (SELECT data IS NOT NULL FROM events WHERE events.id = event_id)
ORDER BY webhook_id, id
LIMIT $8`)

var retryDeliveries = newStatement("deliveries.retry_many", `
UPDATE deliveries
SET
	state = 'READY',
	next_at = now(),
	ladder = attempts,
	trigger = 'MANUAL',
	finished_at = NULL
WHERE workspace_id = $1
	AND id = ANY($2)
	AND id BETWEEN $3 AND $4
	AND state = ANY($5)`)

// steerable is a row that is to be steered, and its time.
type steerable struct {
	ID string
	At time.Time
}

// from is the time to go on from with a row. Rows come in the order of their
// ids, whose times may be a little off the rows' own.
func (s steerable) from() *time.Time {
	at := s.At.UTC()
	if made := webhook.TimeOf(s.ID).UTC(); made.Before(at) {
		at = made
	}
	return &at
}

// RetryDeliveries makes finished deliveries due now, MaxSteered at most, the
// oldest first, and lets their retry policies begin anew. The webhook is found,
// else webhook.NotFound; one that is not active is a webhook.WrongState error.
func (d *DB) RetryDeliveries(ctx context.Context, workspaceID string, r Retry) (done Steered, err error) {
	err = d.inTx(ctx, func(tx *sqlx.Tx) error {
		w, err := d.lockToSteer(ctx, tx, workspaceID, r.WebhookID, "webhookId")
		if err != nil {
			return err
		}
		below, above := between(webhook.DeliveryPrefix, webhook.Page{}, &r.CreatedAfter, r.CreatedBefore)
		var rows []steerable
		if err := d.list(ctx, tx, listDeliveriesToRetry, &rows, workspaceID, w.ID, below, above,
			texts(r.Statuses), r.CreatedAfter, r.CreatedBefore, MaxSteered+1); err != nil {
			return err
		}
		if len(rows) > MaxSteered {
			done.ContinueAfter = rows[MaxSteered].from()
			rows = rows[:MaxSteered]
		}
		done.Count = len(rows)
		if r.DryRun || len(rows) == 0 {
			return nil
		}
		ids := make([]string, len(rows))
		for i, row := range rows {
			ids[i] = row.ID
		}
		n, err := d.exec(ctx, tx, retryDeliveries, workspaceID, pq.Array(ids), ids[0], ids[len(ids)-1], texts(r.Statuses))
		done.Count, done.IDs = int(n), ids
		return err
	})
	return done, err
}

// Replay says which events to deliver to a webhook that missed them.
type Replay struct {
	WebhookID       string    // its id or uid
	PublishedAfter  time.Time // or at
	PublishedBefore *time.Time
	// DryRun only counts.
	DryRun bool
}

// Of the events that are looked at, the ones that the webhook wants, as
// Webhook.Subscribes and Concerns say, and was never to get; and the first that
// is not looked at. For OFFSET 0 see newDeliveryStatements.
var listMissedEvents = newStatement("events.list_missed", `
SELECT
	id,
	published_at AS at,
	place
FROM (
	SELECT
		*,
		row_number() OVER (ORDER BY id) AS place
	FROM (
		SELECT
			id,
			name,
			resource_id,
			published_at,
			data IS NOT NULL AS sendable
		FROM events
		WHERE (workspace_id, id) < ((SELECT $1::text), $3)
			AND (workspace_id, id) > ((SELECT $1::text), $4)
			AND published_at >= $5
			AND ($6::timestamptz IS NULL OR published_at < $6)
		ORDER BY workspace_id, id
		LIMIT $7 + 1
	) AS listed
) AS looked
WHERE place > $7
	OR sendable
		AND (name = ANY($8) OR NOT starts_with(name, $9) AND EXISTS (SELECT FROM unnest($10::text[]) AS prefix WHERE starts_with(name, prefix)))
		AND (cardinality($11::text[]) = 0 OR coalesce(resource_id = ANY($11), false))
		AND NOT EXISTS (
			SELECT
			FROM (
				SELECT webhook_id
				FROM deliveries
				WHERE event_id = looked.id
					AND deliveries.id > $12
				OFFSET 0
			) AS of_event
			WHERE webhook_id = $2
		)
ORDER BY id
LIMIT $13 + 1`)

var replayDeliveries = newStatement("deliveries.replay", `
INSERT INTO deliveries (
	id,
	workspace_id,
	event_id,
	webhook_id,
	state,
	next_at,
	trigger,
	created_at
)
SELECT
	missed.id,
	$1,
	missed.event_id,
	$2,
	'READY',
	now(),
	'REPLAY',
	now()
FROM unnest($3::text[], $4::text[]) AS missed (id, event_id)`)

// ReplayEvents queues deliveries to a webhook of the events that it missed,
// MaxSteered at most, the oldest first. The webhook is found, else
// webhook.NotFound; one that is not active is a webhook.WrongState error.
func (d *DB) ReplayEvents(ctx context.Context, workspaceID string, r Replay) (done Steered, err error) {
	err = d.inTx(ctx, func(tx *sqlx.Tx) error {
		w, err := d.lockToSteer(ctx, tx, workspaceID, r.WebhookID, "webhookId")
		if err != nil {
			return err
		}
		var events []string
		if events, done.ContinueAfter, err = d.missed(ctx, tx, w, r); err != nil {
			return err
		}
		done.Count = len(events)
		if r.DryRun || len(events) == 0 {
			return nil
		}
		ids := make([]string, len(events))
		for i := range ids {
			ids[i] = webhook.NewID(webhook.DeliveryPrefix)
		}
		_, err = d.exec(ctx, tx, replayDeliveries, workspaceID, w.ID, pq.Array(ids), pq.Array(events))
		done.IDs = ids
		return err
	})
	return done, err
}

// missed are the ids of the events that a webhook missed, and the time to go on
// from where not all were looked at.
func (d *DB) missed(ctx context.Context, tx *sqlx.Tx, w *webhook.Webhook, r Replay) (ids []string, continueAfter *time.Time, err error) {
	names, prefixes := []string{}, []string{}
	for _, subscription := range w.Events {
		if prefix, isPattern := strings.CutSuffix(subscription, "*"); isPattern {
			prefixes = append(prefixes, prefix)
		} else {
			names = append(names, subscription)
		}
	}
	below, above := between(webhook.EventPrefix, webhook.Page{}, &r.PublishedAfter, r.PublishedBefore)
	var rows []struct {
		steerable
		Place int
	}
	err = d.list(ctx, tx, listMissedEvents, &rows, w.WorkspaceID, w.ID, below, above, r.PublishedAfter, r.PublishedBefore, maxLooked,
		pq.Array(names), webhook.ReservedPrefix, pq.Array(prefixes), pq.Array(append([]string{}, w.ResourceIDs...)),
		webhook.FirstID(webhook.DeliveryPrefix, r.PublishedAfter.Add(-2*slack)), MaxSteered)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		if len(ids) == MaxSteered || row.Place > maxLooked {
			return ids, row.from(), nil
		}
		ids = append(ids, row.ID)
	}
	return ids, nil, nil
}
