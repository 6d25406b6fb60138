package db

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

// Nothing is written unless every workspace's webhooks are those that the
// events were matched with: whoever sees a webhook registered and then
// publishes gets it there. What is parked is due at once.
var ingest = newStatement("events.ingest", `
WITH stale AS (
	SELECT known.id
	FROM unnest($1::text[], $2::bigint[]) AS known (id, version)
	LEFT JOIN workspaces AS w ON w.id = known.id
	WHERE w.webhooks_version IS DISTINCT FROM known.version
), published AS (
	INSERT INTO events (id, workspace_id, uid, name, resource_id, data, occurred_at, published_at)
	SELECT *
	FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[])
	WHERE NOT EXISTS (SELECT FROM stale)
), owed AS (
	INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, lease, trigger, created_at)
	SELECT
		id,
		workspace_id,
		event_id,
		webhook_id,
		CASE WHEN lease = 0 THEN 'PARKED' ELSE 'READY' END,
		now() + leased_ms * interval '1 millisecond',
		lease,
		'PUBLISH',
		created_at
	FROM unnest($11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::timestamptz[])
		AS owed (id, workspace_id, event_id, webhook_id, lease, leased_ms, created_at)
	WHERE NOT EXISTS (SELECT FROM stale)
)
SELECT id FROM stale`)

// Ingest keeps publications with what is owed of them; once it returns they are
// durable. Versions are those of the webhooks, by workspace, that the events
// were matched with. Where some workspace's webhooks have changed since, it is
// returned and nothing was kept. The uids of all publications must differ.
func (d *DB) Ingest(ctx context.Context, versions map[string]int64, all []webhook.Publication) (stale []string, err error) {
	if !hasUID(all) {
		return d.ingest(ctx, d.queue, versions, all)
	}
	err = inTxOf(ctx, d.queue, func(tx *sqlx.Tx) error {
		fresh, err := d.claimUIDs(ctx, tx, all)
		if err != nil {
			return err
		}
		faults.At("ingest.claimed")
		stale, err = d.ingest(ctx, tx, versions, fresh)
		faults.At("ingest.written")
		if err == nil && len(stale) > 0 {
			err = errStale
		}
		return err
	})
	if errors.Is(err, errStale) {
		err = nil
	}
	return stale, err
}

// errStale undoes what a transaction has claimed.
var errStale = errors.New("webhooks have changed")

func (d *DB) ingest(ctx context.Context, q sqlx.QueryerContext, versions map[string]int64, all []webhook.Publication) (stale []string, err error) {
	var (
		e     eventRows
		owed  owedRows
		known []string
		at    []int64
	)
	for id, version := range versions {
		known, at = append(known, id), append(at, version)
	}
	for _, publication := range all {
		for _, p := range publication.Kept() {
			e.add(p.Event)
			owed.add(p)
		}
	}
	err = d.list(ctx, q, ingest, &stale, append(append([]any{textArray(known), bigintArray(at)}, e.args()...), owed.args()...)...)
	return stale, err
}

// eventRows are the columns of events.
type eventRows struct {
	ids, workspaces, names, data []string
	uids, resources              []*string
	occurred, published          []time.Time
}

func (r *eventRows) add(e *webhook.Event) {
	r.ids, r.workspaces, r.names = append(r.ids, e.ID), append(r.workspaces, e.WorkspaceID), append(r.names, e.Name)
	r.uids, r.resources = append(r.uids, e.UID), append(r.resources, e.ResourceID)
	r.data = append(r.data, string(e.Data))
	r.occurred, r.published = append(r.occurred, e.OccurredAt), append(r.published, e.PublishedAt)
}

func (r *eventRows) args() []any {
	return []any{
		textArray(r.ids), textArray(r.workspaces), nullableTextArray(r.uids), textArray(r.names), nullableTextArray(r.resources), textArray(r.data),
		timeArray(r.occurred), timeArray(r.published),
	}
}

// owedRows are the columns of deliveries.
type owedRows struct {
	ids, workspaces, events, webhooks []string
	leases, leasedMs                  []int64
	created                           []time.Time
}

func (r *owedRows) add(p *webhook.Publishing) {
	for _, o := range p.Owed {
		r.ids, r.workspaces = append(r.ids, o.DeliveryID), append(r.workspaces, p.Event.WorkspaceID)
		r.events, r.webhooks = append(r.events, p.Event.ID), append(r.webhooks, o.WebhookID)
		r.leases, r.leasedMs = append(r.leases, o.Lease), append(r.leasedMs, o.LeasedFor.Milliseconds())
		r.created = append(r.created, p.Event.PublishedAt)
	}
}

func (r *owedRows) args() []any {
	return []any{
		textArray(r.ids), textArray(r.workspaces), textArray(r.events), textArray(r.webhooks), bigintArray(r.leases), bigintArray(r.leasedMs), timeArray(r.created),
	}
}

// Who comes second waits here until the first has committed. The order keeps
// two that claim the same uids from waiting for each other.
var claimUIDs = newStatement("event_uids.claim", `
INSERT INTO event_uids (workspace_id, uid, event_id, content_hash)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) AS claimed (workspace_id, uid, event_id, content_hash)
ORDER BY workspace_id, uid
ON CONFLICT DO NOTHING`)

var findClaimedUIDs = newStatement("event_uids.find_claimed", `
SELECT workspace_id, uid, event_id, content_hash
FROM event_uids
WHERE (workspace_id, uid) IN (SELECT * FROM unnest($1::text[], $2::text[]))`)

var releaseUIDs = newStatement("event_uids.release", `
DELETE FROM event_uids
WHERE event_id = ANY($1)`)

type uidRow struct {
	WorkspaceID string `db:"workspace_id"`
	UID         string
	EventID     string `db:"event_id"`
	ContentHash []byte `db:"content_hash"`
}

// claimUIDs takes the uids for the publications' events, fills in which were
// published earlier, and returns the publications that can be kept.
func (d *DB) claimUIDs(ctx context.Context, tx *sqlx.Tx, all []webhook.Publication) (kept []webhook.Publication, err error) {
	var workspaces, uids, ids []string
	var hashes pq.ByteaArray
	for _, p := range withUID(all) {
		workspaces, uids = append(workspaces, p.Event.WorkspaceID), append(uids, *p.Event.UID)
		ids, hashes = append(ids, p.Event.ID), append(hashes, p.ContentHash[:])
	}
	if _, err := d.exec(ctx, tx, claimUIDs, pq.Array(workspaces), pq.Array(uids), pq.Array(ids), hashes); err != nil {
		return nil, err
	}
	var rows []uidRow
	if err := d.list(ctx, tx, findClaimedUIDs, &rows, pq.Array(workspaces), pq.Array(uids)); err != nil {
		return nil, err
	}
	first := make(map[[2]string]uidRow, len(rows))
	for _, r := range rows {
		first[[2]string{r.WorkspaceID, r.UID}] = r
	}
	for _, p := range withUID(all) {
		r := first[[2]string{p.Event.WorkspaceID, *p.Event.UID}]
		p.Earlier, p.Conflict = "", false
		if r.EventID != p.Event.ID {
			p.Earlier, p.Conflict = r.EventID, !bytes.Equal(r.ContentHash, p.ContentHash[:])
		}
	}
	kept, dropped := withoutConflicts(all)
	if len(dropped) == 0 {
		return kept, nil
	}
	_, err = d.exec(ctx, tx, releaseUIDs, pq.Array(dropped))
	return kept, err
}

// withoutConflicts are the publications that can be kept, and the ids of the
// events of the others.
func withoutConflicts(all []webhook.Publication) (kept []webhook.Publication, dropped []string) {
	for _, publication := range all {
		if !publication.Conflicts() {
			kept = append(kept, publication)
			continue
		}
		for _, p := range publication {
			dropped = append(dropped, p.Event.ID)
		}
	}
	return kept, dropped
}

func withUID(all []webhook.Publication) (list []*webhook.Publishing) {
	for _, publication := range all {
		for _, p := range publication {
			if p.Event.UID != nil {
				list = append(list, p)
			}
		}
	}
	return list
}

func hasUID(all []webhook.Publication) bool { return len(withUID(all)) > 0 }
