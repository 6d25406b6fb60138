package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/webhook"
)

// Upkeep makes room for what is to come and removes what is older than it is to
// be kept. The processes of one database may each have one: they take turns. It
// is not safe for concurrent use.
type Upkeep struct {
	DB *DB
	// Retention is how long events, deliveries, attempts, test runs and what was
	// counted are kept; zero: for ever.
	Retention time.Duration
	// BodyRetention is how long the data of events and the bodies of answers are
	// kept where that is shorter; zero: as long as the rest.
	BodyRetention time.Duration

	// The bodies of events and attempts up to these ids were removed already,
	// but for those of events that were owed still. For them, all are looked at
	// again once a day.
	events, attempts string
	walked           time.Time
}

// Removed is what one Tidy removed.
type Removed struct {
	// Partitions are days of one table.
	Partitions int
	// Rows were removed one by one.
	Rows int64
	// Bodies are those of which the row is kept.
	Bodies int64
	// Canceled are deliveries to webhooks that were deleted.
	Canceled int64
	// Owed are the deliveries that went with their day, or as rows, and were not
	// finished.
	Owed int64
	// InUse says that a partition could not be dropped; the next Tidy tries
	// again.
	InUse bool
}

const (
	// lockTimeout is how long upkeep waits for a table, since all others that
	// want it wait behind.
	lockTimeout = 2 * time.Second
	// upkeepTimeout is how long one statement of upkeep may take, all of which
	// change a bounded number of rows.
	upkeepTimeout = time.Minute
	// upkeepRows is how many rows one statement removes or changes, but for those
	// that go with them.
	upkeepRows = 1000
	// walkPeriod is how often all bodies are looked at.
	walkPeriod = day
	// upkeepLock is the first number of the lock under which one process at a
	// time tidies up.
	upkeepLock = nodeLock + 1
)

// upkeepSettings let its statements go along the indexes, whatever the planner
// has learned of the tables by then.
var upkeepSettings = map[string]string{
	"lock_timeout":     fmt.Sprint(lockTimeout.Milliseconds()),
	"plan_cache_mode":  "force_custom_plan",
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	"jit":              "off",
}

var lockUpkeep = newStatement("upkeep.lock", `
SELECT pg_try_advisory_lock($1::integer, 0)`)

// The session's end would do it, but a moment later.
var unlockUpkeep = newStatement("upkeep.unlock", `
SELECT pg_advisory_unlock($1::integer, 0)`)

// Tidy makes the partitions of the days to come, and removes what is old and
// what deleted webhooks and closed workspaces have left. It does nothing while
// another process does so, or while Check runs. What fails does not keep the rest
// from being done.
func (u *Upkeep) Tidy(ctx context.Context) (Removed, error) {
	return u.alone(ctx, func(q session, r *Removed) error {
		now := time.Now()
		return errors.Join(
			makePartitions(ctx, q),
			u.finishDeletions(ctx, q, r),
			u.removeOld(ctx, q, now, r),
			u.removeBodies(ctx, q, now, r),
		)
	})
}

var findDeletions = newStatement("upkeep.find_deletions", `
SELECT EXISTS (SELECT FROM deleted_webhooks)
	OR EXISTS (SELECT FROM closed_workspaces WHERE closed_at < now() - interval '5 minutes')`)

// FinishDeletions is the part of Tidy for deleted webhooks and closed workspaces,
// and costs next to nothing where there is none.
func (u *Upkeep) FinishDeletions(ctx context.Context) (r Removed, err error) {
	var some bool
	if err := u.DB.get(ctx, u.DB.pool, findDeletions, &some); err != nil || !some {
		return r, err
	}
	return u.alone(ctx, func(q session, r *Removed) error { return u.finishDeletions(ctx, q, r) })
}

func (u *Upkeep) finishDeletions(ctx context.Context, q session, r *Removed) error {
	return errors.Join(u.cancelDeleted(ctx, q, r), u.removeClosed(ctx, q, r))
}

// alone does work unless another process does some of it.
func (u *Upkeep) alone(ctx context.Context, work func(session, *Removed) error) (r Removed, err error) {
	pool, err := newPool(u.DB.url, upkeepTimeout, upkeepSettings)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Connx(ctx) // the lock is its session's
	if err != nil {
		return r, err
	}
	defer conn.Close() //nolint:errcheck // closing the pool closes it, too
	var locked bool
	if err := u.DB.get(ctx, conn, lockUpkeep, &locked, upkeepLock); err != nil || !locked {
		return r, err
	}
	defer func() {
		_ = u.DB.get(context.WithoutCancel(ctx), conn, unlockUpkeep, &locked, upkeepLock) // where it fails the session is gone, too
	}()
	err = work(conn, &r)
	return r, err
}

// oldRows deletes what of a partitioned table lies in no day's partition.
var oldRows = map[string]statement{"deliveries": deleteOldOf("deliveries"), "attempts": deleteOldOf("attempts"), "events": deleteOldOf("events")}

// deleteOldOf names the statement that deletes old rows of a table's default
// partition; for package variables only.
func deleteOldOf(table string) statement {
	return newStatement(table+".delete_old", `
WITH gone AS (
	DELETE FROM `+table+`_default
	WHERE id = ANY(ARRAY(
		SELECT id
		FROM `+table+`_default
		WHERE id < $1
		ORDER BY id
		LIMIT $2
	))
	RETURNING id
)
SELECT count(*) FROM gone`)
}

var deleteOldUIDs = newStatement("event_uids.delete_old", `
WITH gone AS (
	DELETE FROM event_uids
	WHERE ctid = ANY(ARRAY(
		SELECT ctid
		FROM event_uids
		WHERE event_id < $1
		ORDER BY event_id
		LIMIT $2
		FOR UPDATE SKIP LOCKED
	))
	RETURNING event_id
)
SELECT count(*) FROM gone`)

// One look at the index for each workspace that has any.
var deleteOldStats = newStatement("delivery_stats.delete_old", `
WITH RECURSIVE counted AS (
	SELECT min(workspace_id) AS workspace_id
	FROM delivery_stats
	UNION ALL
	SELECT (SELECT min(s.workspace_id) FROM delivery_stats AS s WHERE s.workspace_id > counted.workspace_id)
	FROM counted
	WHERE counted.workspace_id IS NOT NULL
), gone AS (
	DELETE FROM delivery_stats
	WHERE ctid = ANY(ARRAY(
		SELECT old.ctid
		FROM counted
		CROSS JOIN LATERAL (
			SELECT ctid
			FROM delivery_stats
			WHERE workspace_id = counted.workspace_id
				AND hour < $1
			LIMIT $2
		) AS old
		LIMIT $2
	))
	RETURNING hour
)
SELECT count(*) FROM gone`)

// What belongs to the runs goes with them.
var deleteOldTestRuns = newStatement("test_runs.delete_old", `
WITH gone AS (
	DELETE FROM test_runs
	WHERE id = ANY(ARRAY(
		SELECT id
		FROM test_runs
		WHERE id < $1
			AND status <> 'RUNNING'
		ORDER BY id
		LIMIT $2
	))
	RETURNING id
)
SELECT count(*) FROM gone`)

var deleteLeftFailures = newStatement("webhook_failures.delete_left", `
WITH gone AS (
	DELETE FROM webhook_failures
	WHERE webhook_id = ANY(ARRAY(
		SELECT webhook_id
		FROM webhook_failures
		WHERE NOT EXISTS (SELECT FROM webhooks WHERE webhooks.id = webhook_failures.webhook_id)
		LIMIT $1
	))
	RETURNING webhook_id
)
SELECT count(*) FROM gone`)

// removeOld removes what is older than the retention.
func (u *Upkeep) removeOld(ctx context.Context, q session, now time.Time, r *Removed) error {
	failures := u.remove(ctx, q, &r.Rows, deleteLeftFailures)
	if u.Retention <= 0 {
		return failures
	}
	since := now.Add(-u.Retention)
	return errors.Join(
		failures,
		u.removeDays(ctx, q, since, r),
		u.remove(ctx, q, &r.Rows, deleteOldStats, since.Truncate(time.Hour)),
		u.remove(ctx, q, &r.Rows, deleteOldTestRuns, webhook.FirstID(webhook.TestRunPrefix, since)),
	)
}

var countOwed = newStatement("deliveries.count_owed", `
SELECT count(*)
FROM deliveries
WHERE id >= $1
	AND id < $2
	AND state IN ('READY', 'PARKED')`)

// removeDays removes the days that are over, and uids when their events, which
// come last, are gone.
func (u *Upkeep) removeDays(ctx context.Context, q session, since time.Time, r *Removed) error {
	var first string
	for _, p := range partitioned {
		below := webhook.FirstID(p.prefix, since)
		if !r.InUse { // else the others would have to wait as well
			if err := u.DB.dropPartitions(ctx, q, p.table, below, r); err != nil {
				return err
			}
		}
		var err error
		if first, err = u.DB.firstKept(ctx, q, p.table, below); err != nil {
			return err
		}
		if p.table == "deliveries" {
			var owed int64
			if err := u.DB.get(ctx, q, countOwed, &owed, "", first); err != nil {
				return err
			}
			r.Owed += owed
		}
		if err := u.remove(ctx, q, &r.Rows, oldRows[p.table], first); err != nil {
			return err
		}
		faults.At("upkeep.removed")
	}
	return u.remove(ctx, q, &r.Rows, deleteOldUIDs, first)
}

// remove runs a statement, whose last parameter is how many rows it may delete or
// change, until there are no more, and adds them to done.
func (u *Upkeep) remove(ctx context.Context, q session, done *int64, s statement, args ...any) error {
	args = append(args, upkeepRows)
	for {
		var n int64
		if err := u.DB.get(ctx, q, s, &n, args...); err != nil {
			return err
		}
		*done += n
		if n < upkeepRows {
			return nil
		}
	}
}

// Those that wait only to be forgotten must not keep it from the others.
var listDeletedWebhooks = newStatement("deleted_webhooks.list", `
SELECT id
FROM deleted_webhooks
WHERE deleted_at < now() - interval '5 minutes'
	OR EXISTS (SELECT FROM deliveries WHERE webhook_id = deleted_webhooks.id AND state IN ('READY', 'PARKED'))
ORDER BY deleted_at
LIMIT $1`)

// Who settles waits for some rows at most, and nobody waits for who settles.
var cancelDeleted = newStatement("deliveries.cancel_deleted", `
WITH canceled AS (
	UPDATE deliveries
	SET
		state = 'CANCELED',
		lease = 0,
		finished_at = (SELECT deleted_at FROM deleted_webhooks WHERE id = $1)
	WHERE id = ANY(ARRAY(
		SELECT id
		FROM deliveries
		WHERE webhook_id = $1
			AND state IN ('READY', 'PARKED')
		LIMIT $2
		FOR UPDATE SKIP LOCKED
	))
	RETURNING
		webhook_id,
		workspace_id
)`+countCanceled+`
SELECT count(*) FROM canceled`)

// By then nothing is published any more that was matched with it.
var forgetDeletedWebhook = newStatement("deleted_webhooks.delete", `
DELETE FROM deleted_webhooks
WHERE id = $1
	AND deleted_at < now() - interval '5 minutes'
	AND NOT EXISTS (SELECT FROM deliveries WHERE webhook_id = $1 AND state IN ('READY', 'PARKED'))`)

// cancelDeleted cancels what was open of the deliveries to deleted webhooks.
func (u *Upkeep) cancelDeleted(ctx context.Context, q session, r *Removed) error {
	var ids []string
	if err := u.DB.list(ctx, q, listDeletedWebhooks, &ids, upkeepRows); err != nil {
		return err
	}
	for _, id := range ids {
		if err := u.remove(ctx, q, &r.Canceled, cancelDeleted, id); err != nil {
			return err
		}
		if _, err := u.DB.exec(ctx, q, forgetDeletedWebhook, id); err != nil {
			return err
		}
	}
	return nil
}

// By then nothing is recorded any more that was under way when it was closed.
var listClosedWorkspaces = newStatement("closed_workspaces.list", `
SELECT id
FROM closed_workspaces
WHERE closed_at < now() - interval '5 minutes'
ORDER BY closed_at
LIMIT $1`)

var deleteClosedDeliveries = newStatement("deliveries.delete_closed", `
WITH gone AS (
	DELETE FROM deliveries
	WHERE id = ANY(ARRAY(
		SELECT id
		FROM deliveries
		WHERE workspace_id = $1
		ORDER BY id
		LIMIT $2
	))
	RETURNING id
), attempted AS (
	DELETE FROM attempts
	WHERE delivery_id = ANY(ARRAY(SELECT id FROM gone))
)
SELECT count(*) FROM gone`)

var deleteClosedEvents = newStatement("events.delete_closed", `
WITH gone AS (
	DELETE FROM events
	WHERE id = ANY(ARRAY(
		SELECT id
		FROM events
		WHERE workspace_id = $1
		ORDER BY id
		LIMIT $2
	))
	RETURNING id
), named AS (
	DELETE FROM event_uids
	WHERE event_id = ANY(ARRAY(SELECT id FROM gone))
)
SELECT count(*) FROM gone`)

var deleteClosedStats = newStatement("delivery_stats.delete_closed", `
WITH gone AS (
	DELETE FROM delivery_stats
	WHERE ctid = ANY(ARRAY(
		SELECT ctid
		FROM delivery_stats
		WHERE workspace_id = $1
		LIMIT $2
	))
	RETURNING hour
)
SELECT count(*) FROM gone`)

var forgetClosedWorkspace = newStatement("closed_workspaces.delete", `
DELETE FROM closed_workspaces
WHERE id = $1`)

// removeClosed removes what closed workspaces have left.
func (u *Upkeep) removeClosed(ctx context.Context, q session, r *Removed) error {
	for {
		var ids []string
		if err := u.DB.list(ctx, q, listClosedWorkspaces, &ids, upkeepRows); err != nil {
			return err
		}
		for _, id := range ids {
			for _, s := range []statement{deleteClosedDeliveries, deleteClosedEvents, deleteClosedStats} {
				if err := u.remove(ctx, q, &r.Rows, s, id); err != nil {
					return err
				}
			}
			if _, err := u.DB.exec(ctx, q, forgetClosedWorkspace, id); err != nil {
				return err
			}
		}
		if len(ids) < upkeepRows {
			return nil
		}
	}
}

// A piece at a time, so that no statement looks at many.
var findLastEvent = newStatement("events.last_of", `
SELECT coalesce(max(id), '')
FROM (
	SELECT id
	FROM events
	WHERE id > $1
		AND id < $2
	ORDER BY id
	LIMIT $3
) AS piece`)

var listOwedEvents = newStatement("deliveries.list_owed_events", `
SELECT DISTINCT event_id
FROM deliveries
WHERE event_id > $1
	AND event_id <= $2
	AND state IN ('READY', 'PARKED')`)

var removeEventData = newStatement("events.remove_data", `
UPDATE events
SET data = NULL
WHERE id > $1
	AND id <= $2
	AND data IS NOT NULL
	AND id <> ALL($3)`)

var findLastAttempt = newStatement("attempts.last_of", `
SELECT coalesce(max(id), '')
FROM (
	SELECT id
	FROM attempts
	WHERE id > $1
		AND id < $2
	ORDER BY id
	LIMIT $3
) AS piece`)

var removeResponseBodies = newStatement("attempts.remove_bodies", `
UPDATE attempts
SET response_body = NULL
WHERE id > $1
	AND id <= $2
	AND response_body IS NOT NULL`)

// removeBodies removes the bodies that are older than their retention, but not
// the data of events that are owed to somebody still.
func (u *Upkeep) removeBodies(ctx context.Context, q session, now time.Time, r *Removed) error {
	if u.BodyRetention <= 0 {
		return nil
	}
	since := now.Add(-u.BodyRetention)
	if now.Sub(u.walked) >= walkPeriod {
		u.events, u.walked = "", now
	}
	return errors.Join(
		u.walk(ctx, q, findLastEvent, &u.events, webhook.FirstID(webhook.EventPrefix, since), func(after, last string) error {
			owed := []string{} // nil would be NULL, which no id differs from
			if err := u.DB.list(ctx, q, listOwedEvents, &owed, after, last); err != nil {
				return err
			}
			n, err := u.DB.exec(ctx, q, removeEventData, after, last, pq.Array(owed))
			r.Bodies += n
			return err
		}),
		u.walk(ctx, q, findLastAttempt, &u.attempts, webhook.FirstID(webhook.AttemptPrefix, since), func(after, last string) error {
			n, err := u.DB.exec(ctx, q, removeResponseBodies, after, last)
			r.Bodies += n
			return err
		}),
	)
}

// walk calls do for one piece of a table after the other, from behind *at, which
// it moves along, up to an id.
func (u *Upkeep) walk(ctx context.Context, q session, find statement, at *string, below string, do func(after, last string) error) error {
	for {
		var last string
		if err := u.DB.get(ctx, q, find, &last, *at, below, upkeepRows); err != nil || last == "" {
			return err
		}
		if err := do(*at, last); err != nil {
			return err
		}
		*at = last
	}
}
