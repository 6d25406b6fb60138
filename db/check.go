package db

import (
	"context"
	"errors"
)

// Finding is how many rows are not as they should be.
type Finding struct {
	What  string
	Count int64
}

// checkSettings keep Check from changing anything, and from taking all
// processors, and let it read whole tables.
var checkSettings = map[string]string{
	"default_transaction_read_only":   "on",
	"max_parallel_workers_per_gather": "0",
	"work_mem":                        "64MB",
	"jit":                             "off",
}

// Upkeep lets the tables alone meanwhile: what it drops would have to wait, and
// all others behind it.
var lockCheck = newStatement("check.lock", `
SELECT pg_try_advisory_lock_shared($1::integer, 0)`)

// Check counts what the tables' constraints cannot rule out and must not be.
// Every count is of one moment, and 0 whatever the processes are doing just
// then: what may be otherwise for a while is looked at only once it lasts too
// long. It reads whole tables, which takes as long as it needs.
func (d *DB) Check(ctx context.Context) (all []Finding, err error) {
	pool, err := newPool(d.url, 0, checkSettings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	pool.SetMaxOpenConns(1) // whose session has the lock
	var locked bool         // where upkeep is under way, both go on
	if err := d.get(ctx, pool, lockCheck, &locked, upkeepLock); err != nil {
		return nil, err
	}
	for _, c := range checks {
		f := Finding{What: c.what}
		var args []any
		if c.delivering {
			args = append(args, nodeLock)
		}
		if err := d.get(ctx, pool, c.statement, &f.Count, args...); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// checks are the invariants, in the order in which they are told.
var checks = []struct {
	what      string
	statement statement
	// delivering says that it takes the number of the nodes' locks, since it asks
	// whether anybody delivers.
	delivering bool
}{
	{"deliveries without their event", checkEvents, false},
	{"deliveries in another workspace than their event", checkEventWorkspaces, false},
	{"deliveries in another workspace than their webhook", checkWebhookWorkspaces, false},
	{"deliveries of workspaces that do not exist", checkDeliveryWorkspaces, false},
	{"open deliveries to webhooks that do not exist", checkDeletedWebhooks, false},
	{"deliveries that succeeded without an attempt that did", checkSuccesses, false},
	{"deliveries with more or fewer attempts than they count", checkAttemptCounts, false},
	{"deliveries that finished more than a minute before they were created", checkFinished, false},
	{"deliveries that are due for ten minutes and in nobody's hands", checkDue, true},
	{"leases that ended more than a minute ago", checkEndedLeases, true},
	{"leases that end later than any may", checkLongLeases, false},
	{"leases of processes that never were", checkLeaseNodes, false},
	{"attempts without their delivery", checkDeliveries, false},
	{"attempts in another workspace than their delivery", checkAttemptWorkspaces, false},
	{"attempts of workspaces that do not exist", checkAttemptedWorkspaces, false},
	{"attempts that counted twice", checkNumbers, false},
	{"events of workspaces that do not exist", checkPublishedWorkspaces, false},
	{"events whose uid is not kept as theirs", checkUIDs, false},
	{"uids without their event", checkUIDEvents, false},
	{"test runs that their process left a minute ago", checkTestRuns, true},
}

// kept are the smallest ids of which everything must be there. Before them lie
// the days that retention dropped, of each table by itself. An attempt can lie
// in the day after its delivery's, and with clocks that differ in the day
// before, so of the first day that has attempts some may be gone.
const kept = `
WITH days AS (
	SELECT
		parent.relname AS parent,
		substring(pg_get_expr(child.relpartbound, child.oid) FROM 'FROM \(''(\w+)''\)') COLLATE "C" AS first,
		substring(pg_get_expr(child.relpartbound, child.oid) FROM 'TO \(''(\w+)''\)') COLLATE "C" AS following
	FROM pg_inherits
	JOIN pg_class AS child ON child.oid = inhrelid
	JOIN pg_class AS parent ON parent.oid = inhparent
	WHERE inhparent IN ('events'::regclass, 'deliveries'::regclass, 'attempts'::regclass)
), kept AS (
	SELECT
		min(first) FILTER (WHERE parent = 'events') AS event,
		min(first) FILTER (WHERE parent = 'deliveries') AS delivery,
		'dlv_' || right(min(following) FILTER (WHERE parent = 'attempts'), 26) AS attempted
	FROM days
)`

var checkEvents = newStatement("check.events", kept+`
SELECT count(*)
FROM deliveries AS d
CROSS JOIN kept
WHERE d.event_id >= kept.event
	AND NOT EXISTS (SELECT FROM events AS e WHERE e.id = d.event_id)`)

var checkEventWorkspaces = newStatement("check.event_workspaces", `
SELECT count(*)
FROM deliveries AS d
JOIN events AS e ON e.id = d.event_id
WHERE e.workspace_id <> d.workspace_id`)

var checkWebhookWorkspaces = newStatement("check.webhook_workspaces", `
SELECT count(*)
FROM deliveries AS d
JOIN webhooks AS w ON w.id = d.webhook_id
WHERE w.workspace_id <> d.workspace_id`)

// What closed workspaces have left is still to be removed.
var checkDeliveryWorkspaces = newStatement("check.delivery_workspaces", `
SELECT count(*)
FROM deliveries AS d
WHERE NOT EXISTS (SELECT FROM workspaces AS w WHERE w.id = d.workspace_id)
	AND NOT EXISTS (SELECT FROM closed_workspaces AS c WHERE c.id = d.workspace_id)`)

// What deleted webhooks and closed workspaces have left is still to be canceled
// or removed.
var checkDeletedWebhooks = newStatement("check.deleted_webhooks", `
SELECT count(*)
FROM deliveries AS d
WHERE d.state IN ('READY', 'PARKED')
	AND NOT EXISTS (SELECT FROM webhooks AS w WHERE w.id = d.webhook_id)
	AND NOT EXISTS (SELECT FROM deleted_webhooks AS g WHERE g.id = d.webhook_id)
	AND NOT EXISTS (SELECT FROM closed_workspaces AS c WHERE c.id = d.workspace_id)`)

var checkSuccesses = newStatement("check.successes", kept+`
SELECT count(*)
FROM deliveries AS d
CROSS JOIN kept
WHERE d.state = 'SUCCEEDED'
	AND d.id >= kept.attempted
	AND NOT EXISTS (
		SELECT
		FROM attempts AS a
		WHERE a.delivery_id = d.id
			AND a.outcome = 'DELIVERED'
			AND NOT a.late
	)`)

var checkAttemptCounts = newStatement("check.attempt_counts", kept+`
SELECT count(*)
FROM deliveries AS d
CROSS JOIN kept
LEFT JOIN (
	SELECT delivery_id, count(*) AS n
	FROM attempts
	WHERE NOT late
	GROUP BY delivery_id
) AS a ON a.delivery_id = d.id
WHERE d.id >= kept.attempted
	AND d.attempts <> coalesce(a.n, 0)`)

// By two clocks: that of the process that published, and PostgreSQL's.
var checkFinished = newStatement("check.finished", `
SELECT count(*)
FROM deliveries
WHERE finished_at < created_at - interval '1 minute'`)

// Where no process has delivered for ten minutes, it is no wonder that nothing
// is done: a node holds the lock on its number as long as it lives.
const delivering = `
	AND EXISTS (
		SELECT
		FROM nodes
		JOIN pg_locks AS l ON l.objid::bigint = nodes.id
		WHERE l.locktype = 'advisory'
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid::bigint = $1
			AND l.objsubid = 2
			AND l.granted
			AND nodes.started_at < now() - interval '10 minutes'
	)`

var checkDue = newStatement("check.due", `
SELECT count(*)
FROM deliveries
WHERE state = 'READY'
	AND lease = 0
	AND next_at < now() - interval '10 minutes'`+delivering)

var checkEndedLeases = newStatement("check.ended_leases", `
SELECT count(*)
FROM deliveries
WHERE state = 'READY'
	AND lease <> 0
	AND next_at < now() - interval '1 minute'`+delivering)

// A lease is the longest time of an attempt and a margin: 45 seconds.
var checkLongLeases = newStatement("check.long_leases", `
SELECT count(*)
FROM deliveries
WHERE lease <> 0
	AND next_at > now() + interval '2 minutes'`)

// A process may be gone, and its number with it, while its last leases end.
var checkLeaseNodes = newStatement("check.lease_nodes", `
SELECT count(*)
FROM deliveries
WHERE lease <> 0
	AND lease >> 32 NOT BETWEEN 1 AND (SELECT last_value FROM nodes_id_seq)`)

// One that was recorded late may have lost its delivery by then.
var checkDeliveries = newStatement("check.deliveries", kept+`
SELECT count(*)
FROM attempts AS a
CROSS JOIN kept
WHERE NOT a.late
	AND a.delivery_id >= kept.delivery
	AND NOT EXISTS (SELECT FROM deliveries AS d WHERE d.id = a.delivery_id)`)

var checkAttemptWorkspaces = newStatement("check.attempt_workspaces", `
SELECT count(*)
FROM attempts AS a
JOIN deliveries AS d ON d.id = a.delivery_id
WHERE d.workspace_id <> a.workspace_id`)

var checkAttemptedWorkspaces = newStatement("check.attempted_workspaces", `
SELECT count(*)
FROM attempts AS a
WHERE NOT late
	AND NOT EXISTS (SELECT FROM workspaces AS w WHERE w.id = a.workspace_id)
	AND NOT EXISTS (SELECT FROM closed_workspaces AS c WHERE c.id = a.workspace_id)`)

var checkNumbers = newStatement("check.numbers", `
SELECT count(*)
FROM (
	SELECT
	FROM attempts
	WHERE NOT late
	GROUP BY delivery_id, number
	HAVING count(*) > 1
) AS twice`)

var checkPublishedWorkspaces = newStatement("check.published_workspaces", `
SELECT count(*)
FROM events AS e
WHERE NOT EXISTS (SELECT FROM workspaces AS w WHERE w.id = e.workspace_id)
	AND NOT EXISTS (SELECT FROM closed_workspaces AS c WHERE c.id = e.workspace_id)`)

var checkUIDs = newStatement("check.uids", `
SELECT count(*)
FROM events AS e
WHERE uid IS NOT NULL
	AND NOT EXISTS (
		SELECT
		FROM event_uids AS u
		WHERE u.workspace_id = e.workspace_id
			AND u.uid = e.uid
			AND u.event_id = e.id
	)`)

var checkUIDEvents = newStatement("check.uid_events", kept+`
SELECT count(*)
FROM event_uids AS u
CROSS JOIN kept
WHERE u.event_id >= kept.event
	AND NOT EXISTS (SELECT FROM events AS e WHERE e.id = u.event_id)`)

var checkTestRuns = newStatement("check.test_runs", `
SELECT count(*)
FROM test_runs
WHERE status = 'RUNNING'
	AND leased_until < now() - interval '1 minute'`+delivering)
