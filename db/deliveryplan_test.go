package db

import (
	"database/sql/driver"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/seal"
	"github.com/hookql/hookql/internal/webhook"
)

// crowd is a database with many events of some days: each with three
// deliveries, and each of these with two attempts.
type crowd struct {
	db         *DB
	workspaces []string
	webhooks   []string // in turn of the workspaces
	events     []string // newest last
	deliveries []string
	attempts   []string
}

const (
	crowdDays   = 6
	crowdEvents = 10_000
)

// crowdBegan is the first day of the crowd. Each day but the last, which is
// today, is full at whatever hour the test runs: of a partition with a few
// hundred rows PostgreSQL rightly reads all.
func crowdBegan() time.Time {
	return time.Now().UTC().Truncate(day).Add(-(crowdDays - 1) * day)
}

func newCrowd(t *testing.T, url string) *crowd {
	d, err := Open(t.Context(), url, seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	c := &crowd{db: d}
	for i := range 4 {
		id, err := d.EnsureWorkspace(t.Context(), fmt.Sprint("w", i))
		if err != nil {
			t.Fatal(err)
		}
		c.workspaces = append(c.workspaces, id)
	}
	for range 40 {
		c.webhooks = append(c.webhooks, webhook.NewID(webhook.WebhookPrefix))
	}
	first := crowdBegan()
	for n := range crowdDays {
		for _, p := range partitioned {
			if err := makePartition(t.Context(), d.pool, p.table, p.prefix, first.Add(time.Duration(n)*day)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.fill(t, first)
	return c
}

// idAt is an id of a time.
func idAt(prefix string, at time.Time, i int) string {
	return webhook.FirstID(prefix, at)[:len(prefix)+1+10] + fmt.Sprintf("%016d", i)
}

// fill gives the events to the workspaces in turn, and of each the deliveries
// to three of the workspace's webhooks.
func (c *crowd) fill(t *testing.T, first time.Time) {
	var workspaces, ofEvent, webhooks []string
	step := (crowdDays - 1) * day / crowdEvents
	for i := range crowdEvents {
		at := first.Add(time.Duration(i) * step)
		c.events = append(c.events, idAt(webhook.EventPrefix, at, i))
		for n := range 3 {
			c.deliveries = append(c.deliveries, idAt(webhook.DeliveryPrefix, at, 3*i+n))
			workspaces = append(workspaces, c.workspaces[i%4])
			ofEvent = append(ofEvent, c.events[i])
			webhooks = append(webhooks, c.webhooks[(i+4*n+4*(i/4%10))%40])
			for a := range 2 {
				c.attempts = append(c.attempts, idAt(webhook.AttemptPrefix, at, 2*(3*i+n)+a))
			}
		}
	}
	for _, fill := range []struct {
		statement string
		args      []any
	}{
		{`INSERT INTO events (id, workspace_id, name, data, occurred_at, published_at)
			SELECT id, ($2::text[])[1 + (n - 1) % 4], 'job.status', '{}', now(), now()
			FROM unnest($1::text[]) WITH ORDINALITY AS one (id, n)`, []any{pq.Array(c.events), pq.Array(c.workspaces)}},
		{`INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, attempts, trigger, created_at, finished_at)
			SELECT id, workspace_id, event_id, webhook_id, CASE WHEN n % 50 = 0 THEN 'READY' ELSE 'SUCCEEDED' END, now(), 2, 'PUBLISH', now(),
				CASE WHEN n % 50 > 0 THEN now() END
			FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS one (id, workspace_id, event_id, webhook_id, n)`,
			[]any{pq.Array(c.deliveries), pq.Array(workspaces), pq.Array(ofEvent), pq.Array(webhooks)}},
		{`INSERT INTO attempts (id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format)
			SELECT id, workspace_id, delivery_id, 2 - n % 2, 'RETRY', 'DELIVERED', '', false, now(), 1, '{}', 'DATA'
			FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS one (id, workspace_id, delivery_id, n)`,
			[]any{pq.Array(c.attempts), pq.Array(twice(workspaces)), pq.Array(twice(c.deliveries))}},
	} {
		if _, err := c.db.pool.ExecContext(t.Context(), fill.statement, fill.args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range partitioned {
		if _, err := c.db.pool.ExecContext(t.Context(), "ANALYZE "+p.table); err != nil {
			t.Fatal(err)
		}
	}
}

// twice is each item two times.
func twice(list []string) (all []string) {
	for _, s := range list {
		all = append(all, s, s)
	}
	return all
}

// plans are how PostgreSQL runs a statement: with a plan for these arguments,
// and with the one for all that it may take after some executions.
func plans(t *testing.T, pool *sqlx.DB, s statement, args []any) map[string]string {
	t.Helper()
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = literal(t, arg)
	}
	found := make(map[string]string)
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		tx, err := pool.BeginTxx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, step := range []string{
			"SET LOCAL plan_cache_mode = " + mode,
			"PREPARE explained AS " + s.text,
		} {
			if _, err := tx.ExecContext(t.Context(), step); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
		}
		if err := tx.SelectContext(t.Context(), &lines, "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE explained("+strings.Join(literals, ", ")+")"); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if _, err := tx.ExecContext(t.Context(), "DEALLOCATE explained"); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		found[mode] = strings.Join(lines, "\n")
	}
	return found
}

// literal writes an argument into a statement.
func literal(t *testing.T, arg any) string {
	t.Helper()
	value, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if err != nil {
		t.Fatal(err)
	}
	switch value := value.(type) {
	case nil:
		return "NULL"
	case time.Time:
		return pq.QuoteLiteral(value.Format(time.RFC3339Nano))
	default:
		return pq.QuoteLiteral(fmt.Sprint(value))
	}
}

var (
	// seqScan finds tables that are read whole and are not empty.
	seqScan = regexp.MustCompile(`Seq Scan on [a-z_0-9]+ .*\(actual rows=[1-9]|Seq Scan on [a-z_0-9]+ .*\n.*\n *Rows Removed`)
	// rowsOf are the rows that each step of a plan gave, or left out.
	rowsOf = regexp.MustCompile(`\(actual rows=(\d+) loops=(\d+)\)|Rows Removed by Filter: (\d+)`)
)

// ExplainDeliveries reads how PostgreSQL would read pages of events, deliveries
// and attempts among tens of thousands, in the partitions of some days: it must
// find the place by an index and never read much more than the page.
func ExplainDeliveries(t *testing.T, url string) {
	c := newCrowd(t, url)
	some := func(ids []string, n int) []string { return ids[len(ids)/2 : len(ids)/2+n] }
	ws, middle := c.workspaces[crowdEvents/2%4], len(c.deliveries)/2
	hook := c.webhooks[crowdEvents/2%4]
	type reading struct {
		s     statement
		args  []any
		index string
		most  int // rows that any step may give
	}
	cases := make(map[string]reading)
	add := func(name, index string, most int) func(statement, []any) {
		return func(s statement, args []any) { cases[name] = reading{s, args, index, most} }
	}
	since := crowdBegan().Add(3 * day)
	for name, p := range map[string]webhook.Page{
		"newest":      {Limit: 25},
		"after":       {Limit: 25, After: "?"},
		"last before": {Limit: 25, Before: "?", FromEnd: true},
		"last":        {Limit: 25, FromEnd: true},
	} {
		at := func(id string) webhook.Page {
			p := p
			p.After, p.Before = strings.Replace(p.After, "?", id, 1), strings.Replace(p.Before, "?", id, 1)
			return p
		}
		const most = 250 // a partition may be looked into for its first row
		add("events "+name, "_workspace_id_id_idx", most)(selectEvents(ws, webhook.EventFilter{}, at(c.events[crowdEvents/2])))
		add("events of a time "+name, "_workspace_id_id_idx", most)(selectEvents(ws, webhook.EventFilter{PublishedAfter: &since}, at(c.events[crowdEvents*4/5])))
		add("deliveries "+name, "_workspace_id_id_idx", most)(selectDeliveries(ws, webhook.DeliveryFilter{}, at(c.deliveries[middle])))
		add("deliveries of names "+name, "_workspace_id_id_idx", most)(
			selectDeliveries(ws, webhook.DeliveryFilter{EventNames: []string{"job.status"}}, at(c.deliveries[middle])))
		add("deliveries of one webhook "+name, "_webhook_id_id_idx", most)(deliveriesByWebhook(webhook.DeliveryFilter{}, hook).page(ws, webhook.DeliveryFilter{}, at(c.deliveries[middle])))
		add("deliveries of webhooks "+name, "_webhook_id_id_idx", 2000)(deliveriesByWebhook(webhook.DeliveryFilter{}, c.webhooks...).page(ws, webhook.DeliveryFilter{}, at(c.deliveries[middle])))
		add("deliveries of events "+name, "_event_id_idx", 2000)(deliveriesByEvent(webhook.DeliveryFilter{}, some(c.events, 25)...).page(ws, webhook.DeliveryFilter{}, at(c.deliveries[middle+30])))
		add("attempts "+name, "_delivery_id_id_idx", 2000)(selectAttempts(ws, some(c.deliveries, 25), at(c.attempts[2*middle+10])))
	}
	ids := some(c.events, 25)
	cases["events by id"] = reading{listEventsByID, []any{ws, pq.Array(ids), ids[0], ids[24]}, "(_workspace_id_id_idx|_pkey)", 100}
	cases["event"] = reading{findEvent, []any{ws, ids[0]}, "(_workspace_id_id_idx|_pkey)", 10}
	cases["delivery"] = reading{findDelivery, []any{ws, c.deliveries[middle]}, "(_workspace_id_id_idx|_pkey)", 10}
	cases["attempt"] = reading{findAttempt, []any{ws, c.attempts[middle]}, "_pkey", 10}
	last := c.deliveries[len(c.deliveries)*9/10]
	cases["deliveries counted"] = reading{deliveryLists.count, append(deliveryFilterArgs(ws, webhook.DeliveryFilter{}, webhook.Page{Before: last}), MaxCount), "_workspace_id_id_idx", 3001}
	counted := deliveriesByWebhook(webhook.DeliveryFilter{}, c.webhooks...)
	cases["deliveries of webhooks counted"] = reading{counted.count, counted.countArgs(ws, webhook.DeliveryFilter{}), "_webhook_id_id_idx", 30001}
	counted = deliveriesByEvent(webhook.DeliveryFilter{}, ids...)
	cases["deliveries of events counted"] = reading{counted.count, counted.countArgs(ws, webhook.DeliveryFilter{}), "_event_id_idx", 200}
	cases["counts of events"] = reading{countDeliveriesOfEvents, []any{ws, pq.Array(ids), firstAfter(webhook.DeliveryPrefix, ids)}, "_event_id_idx", 200}
	cases["attempts counted"] = reading{countAttempts, []any{ws, pq.Array(some(c.deliveries, 25)), firstAfter(webhook.AttemptPrefix, some(c.deliveries, 25))}, "_delivery_id_id_idx", 200}
	cases["open of webhooks"] = reading{countOpenOfWebhooks, []any{ws, pq.Array(c.webhooks)}, "_webhook_id_state_idx", 1000}
	cases["bodies"] = reading{listAttemptBodies, []any{ws, pq.Array(some(c.attempts, 25)), some(c.attempts, 1)[0], some(c.attempts, 25)[24], 1 << 20}, "_pkey", 100}

	week := time.Now().Add(-7 * day)
	cases["to retry"] = reading{listDeliveriesToRetry, []any{ws, hook, beyond, "", "{SUCCEEDED}", week, nil, 26}, "_webhook_id_id_idx", 100}
	cases["canceled with a webhook"] = reading{cancelDeleted, []any{hook, upkeepRows}, "_webhook_id_state_idx", 100}
	for name, r := range cases {
		for mode, plan := range plans(t, c.db.pool, r.s, r.args) {
			index := regexp.MustCompile(`(?:using|on) (?:events|deliveries|attempts)_\d+` + r.index + `\b`)
			if !index.MatchString(plan) || seqScan.MatchString(plan) || mostRows(plan) > r.most {
				t.Errorf("%s, %s: reads up to %d rows in a step, want at most %d by %s:\n%s", name, mode, mostRows(plan), r.most, r.index, plan)
			}
		}
	}
}

// mostRows is the largest number of rows that a step of a plan gave or left
// out, over all its loops.
func mostRows(plan string) (most int) {
	for _, m := range rowsOf.FindAllStringSubmatch(plan, -1) {
		var rows, loops, removed int
		fmt.Sscan(m[1], &rows)    //nolint:errcheck // digits, or empty
		fmt.Sscan(m[2], &loops)   //nolint:errcheck // likewise
		fmt.Sscan(m[3], &removed) //nolint:errcheck // likewise
		most = max(most, rows*loops, removed)
	}
	return most
}
