package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/hookql/hookql/internal/webhook"
)

// partitioned are the tables that have a partition for each day, with the
// prefixes of their ids, along which they are cut. Days are removed in this
// order, so that no delivery is without its event.
var partitioned = []struct{ table, prefix string }{
	{"deliveries", webhook.DeliveryPrefix},
	{"attempts", webhook.AttemptPrefix},
	{"events", webhook.EventPrefix},
}

// daysAhead is for how many days partitions are made beforehand, so that a
// process that cannot make them for a week does no harm. What falls in no day
// goes to the default partition.
const daysAhead = 7

const day = 24 * time.Hour

// MakePartitions makes the partitions of today, yesterday and the days to come
// that are missing. Processes may do it at the same time. What cannot be made
// within lockTimeout is left for the next time.
func (d *DB) MakePartitions(ctx context.Context) error {
	pool, err := newPool(d.url, statementTimeout, upkeepSettings)
	if err != nil {
		return err
	}
	err = makePartitions(ctx, pool)
	return errors.Join(err, pool.Close())
}

func makePartitions(ctx context.Context, q session) error {
	first := time.Now().UTC().Truncate(day).Add(-day)
	for n := range daysAhead + 2 {
		at := first.Add(time.Duration(n) * day)
		for _, p := range partitioned {
			err := makePartition(ctx, q, p.table, p.prefix, at)
			if isLocked(err) {
				return nil // the others would have to wait as well
			}
			if err != nil {
				return fmt.Errorf("make the partition of %s for %s: %w", p.table, at.Format(time.DateOnly), err)
			}
		}
	}
	return nil
}

// makePartition makes the partition of a day unless it is there. The names are
// this file's own, so the statement can be put together. A delivery changes a
// few times and then never again, so its partitions are vacuumed sooner than
// others.
func makePartition(ctx context.Context, q session, table, prefix string, at time.Time) error {
	name := table + "_" + at.Format("20060102")
	var there bool
	if err := sqlx.GetContext(ctx, q, &there, `SELECT to_regclass($1) IS NOT NULL`, name); err != nil || there {
		return err
	}
	_, err := q.ExecContext(ctx, fmt.Sprintf(
		"CREATE TABLE IF NOT EXISTS %s PARTITION OF %s FOR VALUES FROM (%s) TO (%s) WITH (autovacuum_vacuum_scale_factor = 0.02)",
		name, table, pq.QuoteLiteral(webhook.FirstID(prefix, at)), pq.QuoteLiteral(webhook.FirstID(prefix, at.Add(day)))))
	var e *pq.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case pqerror.DuplicateTable, pqerror.InvalidObjectDefinition, pqerror.UniqueViolation:
		return nil // another process was first
	case pqerror.CheckViolation:
		return nil // rows of that day are in the default partition already, and stay there
	}
	return err
}

// The bounds of a partition can be read only as PostgreSQL writes them.
const partitionBounds = `
SELECT
	child.relname AS name,
	substring(pg_get_expr(child.relpartbound, child.oid) FROM 'FROM \(''(\w+)''\)') COLLATE "C" AS first,
	substring(pg_get_expr(child.relpartbound, child.oid) FROM 'TO \(''(\w+)''\)') COLLATE "C" AS following
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = $1::regclass`

var listOldPartitions = newStatement("partitions.list_old", `
WITH bounds AS (`+partitionBounds+`)
SELECT name, first, following
FROM bounds
WHERE following <= $2
ORDER BY following`)

// dropPartitions drops the partitions of a table in which all ids are smaller
// than below, the oldest first, and counts what was still owed in those of
// deliveries. Whoever uses the table waits meanwhile, so it gives up where it does
// not get it at once, and says so.
func (d *DB) dropPartitions(ctx context.Context, q session, table, below string, r *Removed) error {
	var old []struct{ Name, First, Following string }
	if err := d.list(ctx, q, listOldPartitions, &old, table, below); err != nil {
		return err
	}
	for _, p := range old {
		var owed int64
		if table == "deliveries" {
			if err := d.get(ctx, q, countOwed, &owed, p.First, p.Following); err != nil {
				return err
			}
		}
		_, err := q.ExecContext(ctx, "DROP TABLE IF EXISTS "+pq.QuoteIdentifier(p.Name))
		if isLocked(err) {
			r.InUse = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("drop the partition %s: %w", p.Name, err)
		}
		r.Partitions++
		r.Owed += owed
	}
	return nil
}

// The default partition has no bounds.
var findFirstPartition = newStatement("partitions.first", `
WITH bounds AS (`+partitionBounds+`)
SELECT coalesce(min(first), '')
FROM bounds`)

// firstKept is the smaller of an id and the first of the oldest partition that
// a table has: what is smaller is gone, or lies in the default partition alone.
func (d *DB) firstKept(ctx context.Context, q session, table, id string) (string, error) {
	var first string
	if err := d.get(ctx, q, findFirstPartition, &first, table); err != nil {
		return "", err
	}
	if first != "" {
		id = min(id, first)
	}
	return id, nil
}
