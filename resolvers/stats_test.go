package resolvers

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

// TestStats counts in three hours and with open deliveries of two webhooks.
func TestStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 2 {
		b.must(t, `mutation($uid: String) { createWebhook(input: {uid: $uid, url: "https://example.com", events: ["*"]}) { userErrors { message } } }`,
			map[string]any{"uid": fmt.Sprint("w", i)}, nil)
	}
	one, other := b.webhookID(t, "w0"), b.webhookID(t, "w1")
	now := time.Now().UTC().Truncate(time.Hour)
	count := func(id string, hours int, kind string, n int) {
		b.sql(t, `INSERT INTO delivery_stats (webhook_id, hour, kind, workspace_id, count) VALUES ($1, $2, $3, $4, $5)`,
			id, now.Add(-time.Duration(hours)*time.Hour), kind, b.workspace, n)
	}
	count(one, 0, "SUCCEEDED", 3)
	count(one, 1, "FAILED", 1)
	count(one, 1, "CANCELED", 2)
	count(one, 2, "SUCCEEDED", 96)
	count(one, 0, fmt.Sprint(webhook.Bucket(100*time.Millisecond)), 95)
	count(one, 1, fmt.Sprint(webhook.Bucket(time.Second)), 5)
	count(one, 25, "FAILED", 1000)
	count(one, 0, "SOMETHING_NEW", 1000)
	count(other, 0, "SUCCEEDED", 1)
	event := b.publish(t, "job.status", `{}`)
	b.owe(t, event, one, "READY", 0)
	b.owe(t, event, one, "PARKED", 0)
	b.owe(t, event, one, "PARKED", 2)
	b.owe(t, event, one, "FAILED", 2)
	b.owe(t, event, other, "READY", 1)

	const document = `fragment S on DeliveryStats { since counts { total pending retrying succeeded failed canceled } successRate p50Ms p95Ms p99Ms }
		{ workspace { stats { ...S } } webhooks { nodes { uid day: stats { ...S } hour: stats(window: LAST_HOUR) { ...S } week: stats(window: LAST_7_DAYS) { ...S } } } }`
	var got any
	statements := b.must(t, document, nil, &got)
	if len(statements) != 2+1+1+3*2 {
		t.Errorf("statements: %v", statements)
	}
	since := func(reach time.Duration) string { return now.Add(-reach).Format(time.RFC3339) }
	stats := func(reach time.Duration, pending, retrying, succeeded, failed, canceled int, rest ...any) object {
		total := pending + retrying + succeeded + failed + canceled
		return object{"since": since(reach), "counts": object{"total": total, "pending": pending, "retrying": retrying, "succeeded": succeeded, "failed": failed, "canceled": canceled},
			"successRate": rest[0], "p50Ms": rest[1], "p95Ms": rest[2], "p99Ms": rest[3]}
	}
	upper := func(d time.Duration) any { return milliseconds(webhook.BucketUpper(webhook.Bucket(d))) }
	fast, slow := upper(100*time.Millisecond), upper(time.Second)
	want := normal(t, object{
		"workspace": object{"stats": stats(24*time.Hour, 2, 2, 100, 1, 2, 100.0/101, fast, fast, slow)},
		"webhooks": object{"nodes": []object{
			{"uid": "w1", "day": stats(24*time.Hour, 0, 1, 1, 0, 0, 1, nil, nil, nil), "hour": stats(time.Hour, 0, 1, 1, 0, 0, 1, nil, nil, nil),
				"week": stats(7*24*time.Hour, 0, 1, 1, 0, 0, 1, nil, nil, nil)},
			{"uid": "w0", "day": stats(24*time.Hour, 2, 1, 99, 1, 2, 0.99, fast, fast, slow), "hour": stats(time.Hour, 2, 1, 3, 1, 2, 0.75, fast, fast, slow),
				"week": stats(7*24*time.Hour, 2, 1, 99, 1001, 2, 0.09, fast, fast, slow)},
		}},
	})
	if time.Now().UTC().Truncate(time.Hour) != now {
		t.Skip("an hour began meanwhile")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	another, err := b.db.EnsureWorkspace(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	b.caller = auth.Caller{Operator: true, WorkspaceID: another}
	a, _ := b.ask(t, `query($id: ID) { workspace(id: $id) { stats { since } } }`, map[string]any{"id": b.workspace})
	if len(a.Errors) != 1 {
		t.Errorf("the stats of another workspace: %s", a.Data)
	}
}
