package db

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// A delivery in hand is leased: its row has the number of the lease, and the
// time when it ends. Only who has the lease changes the row. Leases are numbers
// that no two processes give (delivery.Engine makes them of the node's number),
// so who was overtaken while it stood still changes nothing any more.

// dueRow is a delivery that was claimed, with its event.
type dueRow struct {
	ID          string
	WorkspaceID string `db:"workspace_id"`
	WebhookID   string `db:"webhook_id"`
	Attempts    int
	Ladder      int
	Trigger     webhook.Trigger
	LeasedMs    int64  `db:"leased_ms"`
	EventID     string `db:"event_id"`
	// The rest is null where retention removed the event.
	Name       *string
	ResourceID *string `db:"resource_id"`
	Data       []byte
	OccurredAt *time.Time `db:"occurred_at"`
}

func (r dueRow) due(lease int64) *webhook.Due {
	e := &webhook.Event{ID: r.EventID, WorkspaceID: r.WorkspaceID, ResourceID: r.ResourceID, Data: json.RawMessage(r.Data)}
	if r.Name != nil {
		e.Name, e.OccurredAt = *r.Name, r.OccurredAt.UTC()
	}
	return &webhook.Due{
		DeliveryID: r.ID,
		WebhookID:  r.WebhookID,
		Event:      e,
		Lease:      lease,
		LeasedFor:  time.Duration(r.LeasedMs) * time.Millisecond,
		Attempts:   r.Attempts,
		Ladder:     r.Ladder,
		Trigger:    r.Trigger,
	}
}

// lease follows a query `picked` of deliveries and leases them: for the time
// that an attempt may take, and $2 milliseconds more.
const leasePicked = `
UPDATE deliveries AS d
SET
	state = 'READY',
	lease = $1,
	next_at = now() + (coalesce(w.timeout_ms, 0) + $2::bigint) * interval '1 millisecond'
FROM picked
LEFT JOIN webhooks AS w ON w.id = picked.webhook_id
LEFT JOIN events AS e ON e.id = picked.event_id
WHERE d.id = picked.id
RETURNING
	d.id,
	d.workspace_id,
	d.webhook_id,
	d.attempts,
	d.ladder,
	d.trigger,
	coalesce(w.timeout_ms, 0) + $2::bigint AS leased_ms,
	d.event_id,
	e.name,
	e.resource_id,
	e.data,
	e.occurred_at`

var claimDue = newStatement("deliveries.claim_due", `
WITH picked AS (
	SELECT id, webhook_id, event_id
	FROM deliveries
	WHERE state = 'READY'
		AND next_at <= now()
	ORDER BY next_at
	LIMIT $3
	FOR UPDATE SKIP LOCKED
)`+leasePicked)

// ClaimDue leases at most limit deliveries that are due, of all workspaces, the
// longest due first. A lease that has ended is no hindrance.
func (d *DB) ClaimDue(ctx context.Context, lease int64, margin time.Duration, limit int) ([]*webhook.Due, error) {
	return d.claimed(ctx, claimDue, lease, margin, limit)
}

var claimParked = newStatement("deliveries.claim_parked", `
WITH picked AS (
	SELECT parked.*
	FROM unnest($3::text[], $4::bigint[]) AS wanted (webhook_id, n)
	CROSS JOIN LATERAL (
		SELECT id, webhook_id, event_id
		FROM deliveries
		WHERE webhook_id = wanted.webhook_id
			AND state = 'PARKED'
		ORDER BY next_at
		LIMIT wanted.n
		FOR UPDATE SKIP LOCKED
	) AS parked
)`+leasePicked)

// ClaimParked leases parked deliveries: of each webhook at most as many as
// wanted says, the longest due first.
func (d *DB) ClaimParked(ctx context.Context, lease int64, margin time.Duration, wanted map[string]int) ([]*webhook.Due, error) {
	var ids []string
	var counts []int64
	for id, n := range wanted {
		ids, counts = append(ids, id), append(counts, int64(n))
	}
	return d.claimed(ctx, claimParked, lease, margin, pq.Array(ids), pq.Array(counts))
}

// claimed reads a claim to its end, when it is committed, before anything is
// done with it: a row is no lease yet.
func (d *DB) claimed(ctx context.Context, s statement, lease int64, margin time.Duration, args ...any) ([]*webhook.Due, error) {
	var rows []dueRow
	if err := d.list(ctx, d.queue, s, &rows, append([]any{lease, margin.Milliseconds()}, args...)...); err != nil {
		return nil, err
	}
	list := make([]*webhook.Due, len(rows))
	for i, r := range rows {
		list[i] = r.due(lease)
	}
	return list, nil
}

// One look at the index for each webhook, however many are parked for it.
var listParked = newStatement("deliveries.list_parked", `
WITH RECURSIVE parked AS (
	(
		SELECT webhook_id, workspace_id
		FROM deliveries
		WHERE state = 'PARKED'
			AND webhook_id > $1
		ORDER BY webhook_id
		LIMIT 1
	)
	UNION ALL
	SELECT following.webhook_id, following.workspace_id
	FROM parked
	CROSS JOIN LATERAL (
		SELECT webhook_id, workspace_id
		FROM deliveries
		WHERE state = 'PARKED'
			AND webhook_id > parked.webhook_id
		ORDER BY webhook_id
		LIMIT 1
	) AS following
)
SELECT webhook_id, workspace_id
FROM parked
LIMIT $2`)

// Parked lists webhooks for which deliveries are parked, in the order of their
// ids, each with its workspace's; at most limit of those behind after.
func (d *DB) Parked(ctx context.Context, after string, limit int) ([][2]string, error) {
	var rows []struct {
		WebhookID   string `db:"webhook_id"`
		WorkspaceID string `db:"workspace_id"`
	}
	if err := d.list(ctx, d.queue, listParked, &rows, after, limit); err != nil {
		return nil, err
	}
	list := make([][2]string, len(rows))
	for i, r := range rows {
		list[i] = [2]string{r.WebhookID, r.WorkspaceID}
	}
	return list, nil
}

// A row whose lease is another by now stays as it is; its attempt is kept, and
// marked as late. What is settled again, because nobody knew that it was
// committed, changes nothing. Nor does anything but its end change a delivery
// whose webhook was deleted. The order of what is counted keeps two processes from
// waiting for each other.
var settle = newStatement("deliveries.settle", `
WITH settled AS (
	SELECT *
	FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::boolean[])
		AS settled (id, lease, state, delay_ms, attempted)
), changed AS (
	UPDATE deliveries AS d
	SET
		state = settled.state,
		next_at = now() + settled.delay_ms * interval '1 millisecond',
		lease = 0,
		attempts = d.attempts + settled.attempted::integer,
		trigger = CASE WHEN settled.attempted THEN 'RETRY' ELSE d.trigger END,
		finished_at = CASE
			WHEN settled.state = 'CANCELED' THEN coalesce((SELECT deleted_at FROM deleted_webhooks WHERE deleted_webhooks.id = d.webhook_id), now())
			WHEN settled.state NOT IN ('READY', 'PARKED') THEN now()
		END
	FROM settled
	WHERE d.id = settled.id
		AND d.lease = settled.lease
		AND (settled.state = 'CANCELED' OR NOT EXISTS (SELECT FROM deleted_webhooks WHERE deleted_webhooks.id = d.webhook_id))
	RETURNING d.id, settled.lease, d.webhook_id, d.workspace_id, d.state
), recorded AS (
	INSERT INTO attempts (
		id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format, response_body)
	SELECT
		a.id, a.workspace_id, a.delivery_id, a.number, a.trigger, a.outcome, a.message,
		NOT EXISTS (SELECT FROM changed WHERE changed.id = a.delivery_id AND changed.lease = a.lease),
		a.started_at, a.total_us, a.exchange, a.payload_format, a.response_body
	FROM unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[],
			$13::timestamptz[], $14::bigint[], $15::json[], $16::text[], $17::bytea[], $18::bigint[])
		AS a (id, workspace_id, delivery_id, number, trigger, outcome, message, started_at, total_us, exchange, payload_format, response_body, lease)
	ON CONFLICT DO NOTHING
	RETURNING id
), counted AS (
	INSERT INTO delivery_stats AS s (webhook_id, hour, kind, workspace_id, count)
	SELECT webhook_id, date_trunc('hour', now(), 'UTC'), kind, workspace_id, sum(count)
	FROM (
		SELECT webhook_id, state AS kind, workspace_id, count(*) AS count
		FROM changed
		WHERE state NOT IN ('READY', 'PARKED')
		GROUP BY webhook_id, state, workspace_id
		UNION ALL
		SELECT *
		FROM unnest($19::text[], $20::text[], $21::text[], $22::bigint[])
		WHERE EXISTS (SELECT FROM recorded)
	) AS c (webhook_id, kind, workspace_id, count)
	GROUP BY webhook_id, kind, workspace_id
	ORDER BY webhook_id, kind
	ON CONFLICT (webhook_id, hour, kind) DO UPDATE
	SET count = s.count + excluded.count
), healed AS (
	DELETE FROM webhook_failures
	WHERE webhook_id = ANY($23)
), failing AS (
	INSERT INTO webhook_failures (webhook_id, failing_since)
	SELECT webhook_id, now()
	FROM unnest($24::text[]) AS failing (webhook_id)
	ORDER BY webhook_id
	ON CONFLICT DO NOTHING
)
SELECT webhook_id
FROM webhook_failures
WHERE webhook_id = ANY($24)
	AND failing_since <= now() - $25 * interval '1 millisecond'`)

// Settle records what became of deliveries that were in hand: all attempts, and
// the new state of those whose lease still holds. It returns the webhooks whose
// attempts have failed, without one success, for as long as suspendAfter.
func (d *DB) Settle(ctx context.Context, all []webhook.Settled, suspendAfter time.Duration) (failing []string, err error) {
	r, err := settledRowsOf(all)
	if err != nil {
		return nil, err
	}
	err = d.list(ctx, d.queue, settle, &failing, append(r.args(), suspendAfter.Milliseconds())...)
	return failing, err
}

// settledRows are the columns of what is settled.
type settledRows struct {
	ids, states      []string
	leases, delaysMs []int64
	attempted        []bool
	attempts         attemptRows
	stats            map[statKey]int64
	health           map[string]bool // by webhook: whether its last attempt succeeded
}

type statKey struct{ webhookID, kind, workspaceID string }

func settledRowsOf(all []webhook.Settled) (*settledRows, error) {
	r := &settledRows{stats: make(map[statKey]int64), health: make(map[string]bool)}
	for _, s := range all {
		r.ids, r.states = append(r.ids, s.DeliveryID), append(r.states, string(s.State))
		r.leases, r.delaysMs = append(r.leases, s.Lease), append(r.delaysMs, s.Delay.Milliseconds())
		r.attempted = append(r.attempted, s.Attempt != nil)
		if s.Attempt == nil {
			continue
		}
		if err := r.attempts.add(s.Attempt, s.Lease); err != nil {
			return nil, err
		}
		r.stats[statKey{s.WebhookID, strconv.Itoa(webhook.Bucket(s.Attempt.Exchange.Timing.Total)), s.Event.WorkspaceID}]++
		if s.Counts {
			r.health[s.WebhookID] = s.Attempt.Success()
		}
	}
	return r, nil
}

func (r *settledRows) args() []any {
	var webhooks, kinds, workspaces, healed, failing []string
	var counts []int64
	for key, n := range r.stats {
		webhooks, kinds, workspaces, counts = append(webhooks, key.webhookID), append(kinds, key.kind), append(workspaces, key.workspaceID), append(counts, n)
	}
	for id, success := range r.health {
		if success {
			healed = append(healed, id)
		} else {
			failing = append(failing, id)
		}
	}
	args := []any{textArray(r.ids), bigintArray(r.leases), textArray(r.states), bigintArray(r.delaysMs), booleanArray(r.attempted)}
	args = append(args, r.attempts.args()...)
	return append(args, textArray(webhooks), textArray(kinds), textArray(workspaces), bigintArray(counts), textArray(healed), textArray(failing))
}

// attemptRows are the columns of attempts.
type attemptRows struct {
	ids, workspaces, deliveries, triggers, outcomes, messages, exchanges, formats []string
	numbers, totals, leases                                                       []int64
	started                                                                       []time.Time
	bodies                                                                        [][]byte
}

func (r *attemptRows) add(a *webhook.Attempt, lease int64) error {
	record, err := attemptRecord(&a.Exchange)
	if err != nil {
		return err
	}
	r.ids, r.workspaces, r.deliveries = append(r.ids, a.ID), append(r.workspaces, a.WorkspaceID), append(r.deliveries, a.DeliveryID)
	r.numbers, r.triggers = append(r.numbers, int64(a.Number)), append(r.triggers, string(a.Trigger))
	r.outcomes, r.messages = append(r.outcomes, string(a.Exchange.Outcome)), append(r.messages, text(a.Message))
	r.started, r.totals = append(r.started, a.Exchange.StartedAt), append(r.totals, a.Exchange.Timing.Total.Microseconds())
	r.exchanges, r.formats = append(r.exchanges, string(record)), append(r.formats, string(a.PayloadFormat))
	var body []byte
	if a.Exchange.Response != nil {
		body = notNil(a.Exchange.Response.Body)
	}
	r.bodies, r.leases = append(r.bodies, body), append(r.leases, lease)
	return nil
}

func (r *attemptRows) args() []any {
	return []any{
		textArray(r.ids), textArray(r.workspaces), textArray(r.deliveries), bigintArray(r.numbers), textArray(r.triggers), textArray(r.outcomes),
		textArray(r.messages), timeArray(r.started), bigintArray(r.totals), jsonArray(r.exchanges), textArray(r.formats), byteaArray(r.bodies), bigintArray(r.leases),
	}
}
