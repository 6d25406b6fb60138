package db

import (
	"context"
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

// manyWebhooks fills workspaces in turn.
const manyWebhooks = `
INSERT INTO webhooks (
	id, workspace_id, uid, name, url, events, active, status_reason, status_changed_at, method, payload_format,
	signing, secret, headers, timeout_ms, metadata, version, created_at, updated_at)
SELECT 'wh_' || lpad(i::text, 26, '0'), ($1::text[])[1 + i % cardinality($1)], 'uid-' || i, 'Name ' || (i::bigint * 7919 % 20000),
	'https://example.com/' || i, '{*}', i % 2 = 0, 'OWNER', now(), 'POST', 'DATA', 'NONE', '', '[]', 15000, '{}', 1,
	now(), now() - i * interval '1 second'
FROM generate_series(1, $2) AS i`

// FillWebhooks opens workspaces and registers webhooks in them, in turn.
func FillWebhooks(t testing.TB, d *DB, workspaces, webhooks int) (workspaceIDs []string) {
	t.Helper()
	for i := range workspaces {
		id, err := d.EnsureWorkspace(t.Context(), fmt.Sprint("w", i))
		if err != nil {
			t.Fatal(err)
		}
		workspaceIDs = append(workspaceIDs, id)
	}
	pool, err := newPool(d.url, 0, nil) // it takes long
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // the test's own
	if _, err := pool.ExecContext(t.Context(), manyWebhooks, pq.Array(workspaceIDs), webhooks); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), "ANALYZE webhooks"); err != nil {
		t.Fatal(err)
	}
	return workspaceIDs
}

// ExplainWebhookLists fills four workspaces with 20,000 webhooks and reads how
// PostgreSQL would read a page in the middle of one, in every order and from
// either end: it must find the place by the order's index and sort nothing.
// After some pages it may keep a plan that it makes for any, which must be as
// good.
func ExplainWebhookLists(t *testing.T, url string) {
	d, err := Open(t.Context(), url, seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // the test's own
	workspaces := FillWebhooks(t, d, 4, 20_000)
	middle := webhook.Webhook{ID: fmt.Sprintf("wh_%026d", 10_000), Name: "Name 5", UpdatedAt: time.Now().Add(-10_000 * time.Second)}
	indexes := map[webhook.OrderBy]string{
		// Of few workspaces the planner reads the primary key, too, which lies
		// in the order of the table, and passes over those of others.
		webhook.OrderByCreatedAt: "webhooks_(newest|pkey)",
		webhook.OrderByUpdatedAt: "webhooks_by_update",
		webhook.OrderByName:      "webhooks_by_name",
	}
	for by, index := range indexes {
		key := by.Key(&middle)
		for _, ascending := range []bool{false, true} {
			for _, page := range []webhook.Page{
				{Limit: 25},
				{Limit: 25, After: middle.ID, AfterKey: key},
				{Limit: 25, Before: middle.ID, BeforeKey: key, FromEnd: true},
				{Limit: 25, Skip: 100},
			} {
				order := webhook.Order{By: by, Ascending: ascending}
				s, args := selectWebhooks(workspaces[0], webhook.Filter{}, order, page)
				for _, plan := range []string{explain(t, d.pool, s, args), explainKept(t, d.pool, s, len(args))} {
					if !readsPage(plan, index) {
						t.Errorf("%+v, %+v:\n%s", order, page, plan)
					}
				}
			}
		}
	}
}

// readsPage says whether a plan reads a page along an index and nothing else.
func readsPage(plan, index string) bool {
	return regexp.MustCompile("using "+index+" ").MatchString(plan) && !strings.Contains(plan, "Sort") && !strings.Contains(plan, "Seq Scan") &&
		boundedByIndex(plan)
}

// boundedByIndex says whether the index finds both bounds of the page, so that
// nothing before it is read.
func boundedByIndex(plan string) bool {
	_, cond, _ := strings.Cut(plan, "Index Cond: ")
	cond, _, _ = strings.Cut(cond, "\n")
	return strings.Contains(cond, "<") && strings.Contains(cond, ">")
}

func explain(t *testing.T, pool *sqlx.DB, s statement, args []any) string {
	t.Helper()
	var lines []string
	if err := pool.SelectContext(context.Background(), &lines, "EXPLAIN "+s.text, args...); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// explainKept is the plan that PostgreSQL would keep for a prepared statement,
// whatever its parameters are.
func explainKept(t *testing.T, pool *sqlx.DB, s statement, parameters int) string {
	t.Helper()
	conn, err := pool.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test's own
	nulls := strings.Repeat("NULL, ", parameters-1) + "NULL"
	for _, text := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE list AS " + s.text} {
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	if err := conn.SelectContext(t.Context(), &lines, "EXPLAIN EXECUTE list("+nulls+")"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "DEALLOCATE list; RESET plan_cache_mode"); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
