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
// prefixes of their ids, along which they are cut.
var partitioned = []struct{ table, prefix string }{
	{"events", webhook.EventPrefix},
	{"deliveries", webhook.DeliveryPrefix},
	{"attempts", webhook.AttemptPrefix},
}

// daysAhead is for how many days partitions are made beforehand, so that a
// process that cannot make them for a week does no harm. What falls in no day
// goes to the default partition.
const daysAhead = 7

const day = 24 * time.Hour

// MakePartitions makes the partitions of today, yesterday and the days to come
// that are missing. Processes may do it at the same time.
func (d *DB) MakePartitions(ctx context.Context) error { return makePartitions(ctx, d.pool) }

func makePartitions(ctx context.Context, pool *sqlx.DB) error {
	first := time.Now().UTC().Truncate(day).Add(-day)
	for n := range daysAhead + 2 {
		at := first.Add(time.Duration(n) * day)
		for _, p := range partitioned {
			if err := makePartition(ctx, pool, p.table, p.prefix, at); err != nil {
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
func makePartition(ctx context.Context, pool *sqlx.DB, table, prefix string, at time.Time) error {
	name := table + "_" + at.Format("20060102")
	var there bool
	if err := pool.GetContext(ctx, &there, `SELECT to_regclass($1) IS NOT NULL`, name); err != nil || there {
		return err
	}
	_, err := pool.ExecContext(ctx, fmt.Sprintf(
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
