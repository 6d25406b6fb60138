package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/config"
)

// upkeepPeriod is how often the database is tidied up.
const upkeepPeriod = time.Hour

// upkeep tidies up the database, as a service.
type upkeep struct {
	db.Upkeep
	period time.Duration
	log    *slog.Logger
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
	tick := time.NewTicker(u.period)
	defer tick.Stop()
	for {
		u.once(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (u *upkeep) once(ctx context.Context) {
	began := time.Now()
	r, err := u.Tidy(ctx)
	switch {
	case ctx.Err() != nil: // told to stop meanwhile
	case err != nil:
		u.log.WarnContext(ctx, "what is old was not all removed; it is tried again within the hour", "error", err)
	case r.InUse:
		u.log.InfoContext(ctx, "a day that is over is being read, so it was not removed; it is tried again within the hour")
	}
	if r.Partitions > 0 || r.Rows > 0 || r.Bodies > 0 {
		u.log.InfoContext(ctx, "removed what is old", "partitions", r.Partitions, "rows", r.Rows, "bodies", r.Bodies, "duration", time.Since(began))
	}
}
