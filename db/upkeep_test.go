package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

const day = 24 * time.Hour

// attic is a database with things of days that are long over.
type attic struct {
	*db.DB
	t           *testing.T
	url         string
	sql         *sqlx.DB
	workspaceID string
}

func newAttic(t *testing.T) *attic {
	t.Helper()
	a := &attic{t: t, url: pgtest.URL(t)}
	var err error
	if a.DB, err = db.Open(t.Context(), a.url, pgtest.MasterKey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.DB.Close() })
	if a.sql, err = sqlx.Connect("postgres", a.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.sql.Close() })
	if a.workspaceID, err = a.EnsureWorkspace(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	return a
}

// partitions makes those of the day of a time.
func (a *attic) partitions(at time.Time) {
	a.t.Helper()
	at = at.UTC().Truncate(day)
	for table, prefix := range map[string]string{"events": webhook.EventPrefix, "deliveries": webhook.DeliveryPrefix, "attempts": webhook.AttemptPrefix} {
		a.sql.MustExec(fmt.Sprintf("CREATE TABLE %s_%s PARTITION OF %s FOR VALUES FROM ('%s') TO ('%s')",
			table, at.Format("20060102"), table, webhook.FirstID(prefix, at), webhook.FirstID(prefix, at.Add(day))))
	}
}

// idAt is an id of a time, another one for each n below 10.
func idAt(prefix string, at time.Time, n int) string {
	id := webhook.FirstID(prefix, at)
	return id[:len(id)-1] + fmt.Sprint(n)
}

// delivered keeps an event of a time with a delivery and an attempt, the n-th
// of that time, and returns the event's id.
func (a *attic) delivered(workspaceID string, at time.Time, n int) string {
	a.t.Helper()
	event, delivery := idAt(webhook.EventPrefix, at, n), idAt(webhook.DeliveryPrefix, at, n)
	a.sql.MustExec(`INSERT INTO events (id, workspace_id, uid, name, data, occurred_at, published_at) VALUES ($1, $2, $1, 'job.status', '{}', $3, $3)`,
		event, workspaceID, at)
	a.sql.MustExec(`INSERT INTO event_uids (workspace_id, uid, event_id, content_hash) VALUES ($2, $1, $1, sha256('a'))`, event, workspaceID)
	a.sql.MustExec(`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, attempts, trigger, created_at, finished_at)
		VALUES ($1, $2, $3, 'wh_a', 'SUCCEEDED', $4, 1, 'RETRY', $4, $4)`, delivery, workspaceID, event, at)
	a.sql.MustExec(`INSERT INTO attempts (id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format, response_body)
		VALUES ($1, $2, $3, 1, 'PUBLISH', 'DELIVERED', '', false, $4, 1, '{}', 'ENVELOPE', 'ok')`, idAt(webhook.AttemptPrefix, at, n), workspaceID, delivery, at)
	return event
}

func (a *attic) count(query string, args ...any) (n int) {
	a.t.Helper()
	if err := a.sql.Get(&n, query, args...); err != nil {
		a.t.Fatal(err)
	}
	return n
}

// tables compares how many rows some tables have.
func (a *attic) tables(want map[string]int) {
	a.t.Helper()
	for table, n := range want {
		if got := a.count(`SELECT count(*) FROM ` + table); got != n {
			a.t.Errorf("%s has %d rows, want %d", table, got, n)
		}
	}
}

func (a *attic) tidy(u *db.Upkeep) db.Removed {
	a.t.Helper()
	u.DB = a.DB
	r, err := u.Tidy(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

// TestRetention keeps what is young enough and removes the rest, by the day
// where there is a partition, and row by row where not.
func TestRetention(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	now := time.Now()
	old, young := now.Add(-12*day), now.Add(-9*day)
	a.partitions(old)
	a.partitions(young)
	a.delivered(a.workspaceID, old, 1)
	a.delivered(a.workspaceID, young, 1)
	a.delivered(a.workspaceID, now.Add(-20*day), 1) // in no partition of a day
	kept := a.delivered(a.workspaceID, now, 1)
	for _, at := range []time.Time{old, young} {
		a.sql.MustExec(`INSERT INTO delivery_stats VALUES ('wh_a', $1, 'SUCCEEDED', $2, 1)`, at.Truncate(time.Hour), a.workspaceID)
		a.sql.MustExec(`INSERT INTO test_runs (id, workspace_id, url, status, started_at, finished_at, tests_total, tests_succeeded, tests_failed)
			VALUES ($1, $2, 'https://example.com', 'FINISHED', $3, $3, 1, 1, 0)`, idAt(webhook.TestRunPrefix, at, 1), a.workspaceID, at)
		a.sql.MustExec(`INSERT INTO test_results (id, workspace_id, run_id, position, event_name, scenario, message, verdict)
			VALUES ($1, $2, $3, 1, 'job.status', '', '', 'PASS')`, idAt(webhook.TestPrefix, at, 1), a.workspaceID, idAt(webhook.TestRunPrefix, at, 1))
	}
	w := insert(t, a.DB, a.workspaceID, newWebhook("a"))
	a.sql.MustExec(`INSERT INTO webhook_failures VALUES ('wh_gone', now()), ($1, now())`, w.ID)

	r := a.tidy(&db.Upkeep{Retention: 10 * day})
	if r.Partitions != 3 || r.InUse || r.Rows != 8 {
		t.Errorf("removed %+v, want 3 partitions and 8 rows", r)
	}
	a.tables(map[string]int{
		"events": 2, "deliveries": 2, "attempts": 2, "event_uids": 2, "delivery_stats": 1, "test_runs": 1, "test_results": 1, "webhook_failures": 1,
	})
	if n := a.count(`SELECT count(*) FROM events WHERE id = $1 AND data IS NOT NULL`, kept); n != 1 {
		t.Error("the data of an event were removed although nothing says so")
	}
	if r := a.tidy(&db.Upkeep{Retention: 10 * day}); r != (db.Removed{}) {
		t.Errorf("then removed %+v", r)
	}
	if r := a.tidy(&db.Upkeep{}); r != (db.Removed{}) {
		t.Errorf("without a retention removed %+v", r)
	}
}

// TestRetentionTakesMoreThanOneBatch deletes more rows than one statement may.
func TestRetentionTakesMoreThanOneBatch(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.sql.MustExec(`INSERT INTO event_uids SELECT 'ws_a', n::text, 'evt_00' || n, sha256('a') FROM generate_series(1, 2500) AS n`)
	if r := a.tidy(&db.Upkeep{Retention: day}); r.Rows != 2500 {
		t.Errorf("removed %+v, want 2500 rows", r)
	}
}

// TestPartitionsAreMadeAhead makes them again where they are missing.
func TestPartitionsAreMadeAhead(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	tomorrow := time.Now().UTC().Add(day).Format("20060102")
	a.sql.MustExec(`DROP TABLE events_` + tomorrow)
	a.tidy(&db.Upkeep{})
	if n := a.count(`SELECT count(*) FROM pg_class WHERE relname = 'events_' || $1`, tomorrow); n != 1 {
		t.Error("tomorrow has no partition")
	}
}

// TestAPartitionInUseIsLeft drops it the next time: who uses the table is not
// kept waiting for long.
func TestAPartitionInUseIsLeft(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	old := time.Now().Add(-12 * day)
	a.partitions(old)
	event := a.delivered(a.workspaceID, old, 1)
	reader, err := a.sql.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback() //nolint:errcheck // it only reads
	if _, err := reader.Exec(`SELECT count(*) FROM events`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	u := &db.Upkeep{Retention: 10 * day}
	if r := a.tidy(u); r.Partitions != 2 || !r.InUse {
		t.Errorf("removed %+v while the events are read", r)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("others waited for %s", took)
	}
	if n := a.count(`SELECT count(*) FROM event_uids WHERE event_id = $1`, event); n != 1 {
		t.Error("a uid is gone before its event")
	}
	_ = reader.Rollback()
	if r := a.tidy(u); r.Partitions != 1 || r.InUse || r.Rows != 1 {
		t.Errorf("removed %+v afterwards", r)
	}
	a.tables(map[string]int{"events": 0, "deliveries": 0, "attempts": 0, "event_uids": 0})
}

// TestUpkeepTakesTurns lets one process at a time tidy up.
func TestUpkeepTakesTurns(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.delivered(a.workspaceID, time.Now().Add(-12*day), 1)
	other, err := a.sql.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), `SELECT pg_advisory_lock($1, 0)`, 0x686c); err != nil {
		t.Fatal(err)
	}
	u := &db.Upkeep{Retention: 10 * day}
	if r := a.tidy(u); r.Rows != 0 {
		t.Errorf("two processes tidied up at once: %+v", r)
	}
	if _, err := other.ExecContext(t.Context(), `SELECT pg_advisory_unlock_all()`); err != nil {
		t.Fatal(err)
	}
	if r := a.tidy(u); r.Rows != 4 {
		t.Errorf("removed %+v when it was its turn", r)
	}
}

// TestBodyRetention removes bodies and keeps the rest; data that are owed still
// stay until they are not.
func TestBodyRetention(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	now := time.Now()
	done, owed, young := a.delivered(a.workspaceID, now.Add(-3*day), 1), a.delivered(a.workspaceID, now.Add(-3*day), 2), a.delivered(a.workspaceID, now, 1)
	a.sql.MustExec(`UPDATE deliveries SET state = 'PARKED', finished_at = NULL WHERE event_id = $1`, owed)
	has := func(event string) bool {
		return a.count(`SELECT count(*) FROM events WHERE id = $1 AND data IS NOT NULL`, event) == 1
	}
	u := &db.Upkeep{Retention: 10 * day, BodyRetention: 2 * day}
	if r := a.tidy(u); r.Bodies != 3 || r.Rows != 0 {
		t.Errorf("removed %+v, want the bodies of an event and two attempts", r)
	}
	if has(done) || !has(owed) || !has(young) {
		t.Errorf("data are there: of what is done %t, of what is owed %t, of what is young %t", has(done), has(owed), has(young))
	}
	if n := a.count(`SELECT count(*) FROM attempts WHERE response_body IS NOT NULL`); n != 1 {
		t.Errorf("%d attempts have a body", n)
	}
	a.tables(map[string]int{"events": 3, "deliveries": 3, "attempts": 3})
	a.sql.MustExec(`UPDATE deliveries SET state = 'FAILED', finished_at = now() WHERE event_id = $1`, owed)
	if r := a.tidy(u); r.Bodies != 0 {
		t.Errorf("all bodies were looked at again within the hour: %+v", r)
	}
	if r := a.tidy(&db.Upkeep{BodyRetention: 2 * day}); r.Bodies != 1 || has(owed) {
		t.Errorf("removed %+v when nothing was owed any more", r)
	}
}

// TestClosedWorkspacesLeaveNothing removes what was theirs once nothing of them
// can be under way.
func TestClosedWorkspacesLeaveNothing(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	closed, err := a.EnsureWorkspace(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.delivered(a.workspaceID, now, 1)
	a.delivered(closed, now, 2)
	a.delivered(closed, now.Add(-3*day), 3)
	for _, id := range []string{closed, a.workspaceID} {
		a.sql.MustExec(`INSERT INTO delivery_stats VALUES ('wh_' || $1, now(), 'SUCCEEDED', $1, 1)`, id)
	}
	if err := a.DeleteWorkspace(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	u := &db.Upkeep{Retention: 10 * day}
	if r := a.tidy(u); r.Rows != 0 {
		t.Errorf("removed %+v while something may be under way", r)
	}
	a.sql.MustExec(`UPDATE closed_workspaces SET closed_at = now() - interval '6 minutes'`)
	a.tidy(u)
	a.tables(map[string]int{"events": 1, "deliveries": 1, "attempts": 1, "event_uids": 1, "delivery_stats": 1, "closed_workspaces": 0})
}

// TestWhatIsOwedGoesWithItsDay counts what was not finished of what it removes, in
// the partition of a day or in none, and nothing of what it keeps.
func TestWhatIsOwedGoesWithItsDay(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	now := time.Now()
	for n, at := range []time.Time{now.Add(-12 * day), now.Add(-9 * day)} {
		a.partitions(at)
		a.delivered(a.workspaceID, at, n)
		a.delivered(a.workspaceID, at.Add(time.Second), n)
	}
	a.delivered(a.workspaceID, now.Add(-20*day), 3) // in no partition of a day
	a.sql.MustExec(`UPDATE deliveries SET state = CASE WHEN right(id, 1) = '3' THEN 'PARKED' ELSE 'READY' END, finished_at = NULL
		WHERE id IN (SELECT min(id) FROM deliveries GROUP BY right(id, 1))`)
	u := &db.Upkeep{Retention: 10 * day}
	if r := a.tidy(u); r.Owed != 2 || r.Partitions != 3 {
		t.Errorf("removed %+v, want two that were owed, one of them in a day", r)
	}
	if r := a.tidy(u); r.Owed != 0 {
		t.Errorf("removed again %+v", r)
	}
	if n := a.count(`SELECT count(*) FROM deliveries WHERE finished_at IS NULL`); n != 1 {
		t.Errorf("%d are owed still, want the young one", n)
	}
}

// aLease is one of the first process.
const aLease = 1<<32 + 7

// crowd publishes n events, each owed to a webhook that is yet to take it, and
// returns the ids of those deliveries that are leased, some of them all over.
func (a *attic) crowd(webhookID string, n int) (leased []string) {
	a.t.Helper()
	a.sql.MustExec(`INSERT INTO events (id, workspace_id, name, data, occurred_at, published_at)
		SELECT $1 || lpad(n::text, 8, '0'), $2, 'job.status', '{}', now(), now() FROM generate_series(1, $3) AS n`,
		webhook.NewID(webhook.EventPrefix)[:22], a.workspaceID, n)
	a.sql.MustExec(`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, lease, trigger, created_at)
		SELECT $1 || right(id, 8), workspace_id, id, $2, CASE WHEN right(id, 1) = '1' THEN 'READY' ELSE 'PARKED' END, now() + interval '1 minute',
			CASE WHEN right(id, 3) = '111' THEN $3::bigint ELSE 0 END, 'PUBLISH', now()
		FROM events`, webhook.NewID(webhook.DeliveryPrefix)[:22], webhookID, aLease)
	a.sql.MustExec(`ANALYZE`)
	if err := a.sql.Select(&leased, `SELECT id FROM deliveries WHERE lease <> 0 ORDER BY id`); err != nil {
		a.t.Fatal(err)
	}
	return leased
}

// TestDeletingMuch deletes a webhook, and then its workspace, with 50,000
// deliveries: neither waits for them, and ending them holds nobody up and goes on
// where it was cut off.
func TestDeletingMuch(t *testing.T) {
	t.Parallel()
	const n = 50_000
	a := newAttic(t)
	if err := a.MakePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := insert(t, a.DB, a.workspaceID, newWebhook("a"))
	a.delivering()
	leased := a.crowd(w.ID, n)
	if _, err := a.DeleteWebhook(t.Context(), a.workspaceID, w.ID, nothingAgainst); err != nil {
		t.Fatal(err)
	}
	if left := a.count(`SELECT count(*) FROM deliveries WHERE state <> 'CANCELED'`); left != n {
		t.Errorf("%d are left for later", left)
	}
	if found := a.amiss(); len(found) > 0 {
		t.Errorf("half way it finds %v", found)
	}

	var canceled int64
	finish := func(ctx context.Context) error {
		began := time.Now()
		r, err := (&db.Upkeep{DB: a.DB}).FinishDeletions(ctx)
		t.Logf("%+v in %s, %v", r, time.Since(began), err)
		canceled += r.Canceled
		return err
	}
	ctx, cut := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- finish(ctx) }()
	for a.count(`SELECT count(*) FROM delivery_stats`) == 0 { // until some are canceled
		select {
		case err := <-ended:
			t.Fatalf("it canceled none: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cut()
	if err := <-ended; err == nil {
		t.Error("it was done before it was cut off")
	}
	a.free()
	go func() { ended <- finish(t.Context()) }()
	settled, going := 0, true
	for ; going && settled < len(leased); settled++ { // meanwhile what is under way comes to its end
		if _, err := a.Settle(t.Context(), []webhook.Settled{{
			Due:   &webhook.Due{DeliveryID: leased[settled], WebhookID: w.ID, Event: &webhook.Event{WorkspaceID: a.workspaceID}, Lease: aLease},
			State: webhook.QueueCanceled,
		}}, time.Hour); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if going = false; err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	if settled < 3 { // who waits for all of it is done once
		t.Errorf("only %d were recorded meanwhile", settled)
	}
	if going {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if err := finish(t.Context()); err != nil { // what was just being recorded
		t.Fatal(err)
	}
	if left := a.count(`SELECT count(*) FROM deliveries WHERE state <> 'CANCELED' OR lease <> 0`); left > 0 {
		t.Errorf("%d are left", left)
	}
	if counted := a.count(`SELECT sum(count) FROM delivery_stats WHERE kind = 'CANCELED'`); counted != n {
		t.Errorf("%d are counted", counted)
	}
	if found := a.amiss(); len(found) > 0 {
		t.Errorf("at the end it finds %v", found)
	}

	if err := a.DeleteWorkspace(t.Context(), a.workspaceID); err != nil {
		t.Fatal(err)
	}
	if left := a.count(`SELECT count(*) FROM deliveries`); left != n {
		t.Errorf("%d are left for later", left)
	}
	if found := a.amiss(); len(found) > 0 {
		t.Errorf("of the closed workspace it finds %v", found)
	}
	a.sql.MustExec(`UPDATE closed_workspaces SET closed_at = now() - interval '6 minutes'`)
	if err := finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.tables(map[string]int{"events": 0, "deliveries": 0, "delivery_stats": 0, "closed_workspaces": 0})
}

// TestManyDeletions: webhooks that were deleted a while ago, of which nothing is
// open, do not keep it from the one that was deleted after them.
func TestManyDeletions(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	w := insert(t, a.DB, a.workspaceID, newWebhook("a"))
	a.crowd(w.ID, 10)
	a.sql.MustExec(`INSERT INTO deleted_webhooks SELECT 'wh_' || n, now() - interval '1 minute' FROM generate_series(1, 1000) AS n`)
	if _, err := a.DeleteWebhook(t.Context(), a.workspaceID, w.ID, nothingAgainst); err != nil {
		t.Fatal(err)
	}
	statements := 0
	a.OnStatement = func(context.Context, string) { statements++ }
	if r, err := (&db.Upkeep{DB: a.DB}).FinishDeletions(t.Context()); err != nil || r.Canceled != 10 || statements > 10 {
		t.Errorf("%+v in %d statements, %v, want 10 canceled", r, statements, err)
	}
}
