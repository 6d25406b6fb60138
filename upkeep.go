package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/config"
)

const (
	// upkeepPeriod is how often the database is tidied up.
	upkeepPeriod = time.Hour
	// deletionsPeriod is how often what was deleted is looked for, to bring it to
	// its end.
	deletionsPeriod = 5 * time.Second
)

// upkeep tidies up the database, as a service.
type upkeep struct {
	db.Upkeep
	period time.Duration
	log    *slog.Logger
	// owed is told of deliveries that went before they were finished; nil: nobody
	// is.
	owed func(n int64)
}

func newUpkeep(c config.Config, store *db.DB, log *slog.Logger) *upkeep {
	return &upkeep{
		Upkeep: db.Upkeep{DB: store, Retention: c.Retention, BodyRetention: c.BodyRetention},
		period: upkeepPeriod,
		log:    log,
	}
}

// Run tidies up at once and then again and again, until ctx is done. What fails
// is tried again the next time.
func (u *upkeep) Run(ctx context.Context) error {
	tick, deletions := time.NewTicker(u.period), time.NewTicker(deletionsPeriod)
	defer tick.Stop()
	defer deletions.Stop()
	u.once(ctx, u.Tidy)
	for {
		select {
		case <-tick.C:
			u.once(ctx, u.Tidy)
		case <-deletions.C:
			u.once(ctx, u.FinishDeletions)
		case <-ctx.Done():
			return nil
		}
	}
}

func (u *upkeep) once(ctx context.Context, do func(context.Context) (db.Removed, error)) {
	began := time.Now()
	r, err := do(ctx)
	switch {
	case ctx.Err() != nil: // told to stop meanwhile
	case err != nil:
		u.log.WarnContext(ctx, "what is old or deleted was not all removed; it is tried again", "error", err)
	case r.InUse:
		u.log.InfoContext(ctx, "a day that is over is being read, so it was not removed; it is tried again within the hour")
	}
	if r.Owed > 0 {
		u.log.WarnContext(ctx, "deliveries went that were not finished, because their retention was over", "deliveries", r.Owed)
		if u.owed != nil {
			u.owed(r.Owed)
		}
	}
	if r.Partitions > 0 || r.Rows > 0 || r.Bodies > 0 || r.Canceled > 0 {
		u.log.InfoContext(ctx, "removed what is old or deleted", "partitions", r.Partitions, "rows", r.Rows, "bodies", r.Bodies, "canceled", r.Canceled, "duration", time.Since(began))
	}
}
