package db

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// channel is where processes tell each other what may be worth a look.
const channel = "hookql"

// How soon a connection that was lost is made again, at first and at last, and
// how often one that is silent is tried.
const (
	minReconnect = 100 * time.Millisecond
	maxReconnect = 5 * time.Second
	pingListener = 30 * time.Second
)

var notify = newStatement("notify", `
SELECT pg_notify('`+channel+`', text)
FROM unnest($1::text[]) AS text`)

// Notify sends texts, of less than 8,000 bytes each, to all who Listen.
func (d *DB) Notify(ctx context.Context, texts []string) error {
	_, err := d.exec(ctx, d.pool, notify, pq.Array(texts))
	return err
}

// Listen calls heard with each text that is sent, those of this process too,
// until ctx is done. It has a connection of its own, which it makes again when
// it is lost; lost is called when it is there, and each time that texts may have
// been missed before.
func (d *DB) Listen(ctx context.Context, heard func(text string), lost func()) error {
	l := pq.NewListener(d.url, minReconnect, maxReconnect, nil)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })() // which ends Listen as well
	defer l.Close()                                          //nolint:errcheck // it may be closed already
	if err := l.Listen(channel); err != nil {
		return fmt.Errorf("listen to other processes: %w", err)
	}
	lost()
	silence := time.NewTicker(pingListener)
	defer silence.Stop()
	for {
		select {
		case n, open := <-l.Notify:
			switch {
			case !open:
				return ctx.Err()
			case n == nil:
				lost()
			default:
				heard(n.Extra)
			}
		case <-silence.C:
			_ = l.Ping() // where it fails, the connection is made again
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
