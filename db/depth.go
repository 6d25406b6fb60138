package db

import (
	"context"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// A lease that has ended is due, too. Each count goes along an index of what is
// not finished, and ends at the limit.
var findDepth = newStatement("deliveries.depth", `
SELECT
	(SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'READY' AND next_at <= now() LIMIT $1) AS d) AS due,
	(SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'READY' AND next_at > now() AND lease = 0 LIMIT $1) AS d) AS later,
	(SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'PARKED' LIMIT $1) AS d) AS parked,
	coalesce((
		SELECT extract(epoch FROM now() - next_at) * 1000
		FROM deliveries
		WHERE state = 'READY'
			AND next_at <= now()
		ORDER BY next_at
		LIMIT 1
	), 0)::bigint AS oldest_ms`)

// QueueDepth counts what waits in the queue.
func (d *DB) QueueDepth(ctx context.Context) (webhook.QueueDepth, error) {
	var row struct {
		Due, Later, Parked int
		OldestMs           int64 `db:"oldest_ms"`
	}
	if err := d.get(ctx, d.queue, findDepth, &row, webhook.MaxQueueDepth); err != nil {
		return webhook.QueueDepth{}, err
	}
	return webhook.QueueDepth{
		Due: row.Due, Later: row.Later, Parked: row.Parked, OldestDue: time.Duration(row.OldestMs) * time.Millisecond,
	}, nil
}
