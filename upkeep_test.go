package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// TestUpkeepGoesOn tidies up at the start and again, by what is configured, and
// ends when it is told to.
func TestUpkeepGoesOn(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	store, err := db.Open(t.Context(), url, pgtest.MasterKey)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pool, err := sqlx.Connect("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	c, err := config.Parse(nil, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	u := newUpkeep(c, store, slog.New(slog.DiscardHandler))
	if u.Retention != 30*24*time.Hour || u.BodyRetention != 0 || u.period != time.Hour {
		t.Fatalf("got %s, %s, every %s", u.Retention, u.BodyRetention, u.period)
	}
	u.period = 10 * time.Millisecond
	owed := make(chan int64, 1)
	u.owed = func(n int64) { owed <- n }
	pool.MustExec(`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, trigger, created_at)
		VALUES ($1, 'ws_a', 'evt_a', 'wh_a', 'PARKED', now(), 'PUBLISH', now())`, webhook.FirstID(webhook.DeliveryPrefix, time.Now().Add(-40*24*time.Hour)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- u.Run(ctx) }()
	for range 2 {
		pool.MustExec(`INSERT INTO webhook_failures VALUES ('wh_gone', now())`)
		for left, deadline := 1, time.Now().Add(patienceOfTests); left > 0; {
			if err := errors.Join(pool.Get(&left, `SELECT count(*) FROM webhook_failures`), ctx.Err()); err != nil || time.Now().After(deadline) {
				t.Fatalf("%d are left: %v", left, err)
			}
		}
	}
	if n := <-owed; n != 1 {
		t.Errorf("%d deliveries went that were owed", n)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
