package resolvers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dashboard = `
fragment Card on Webhook {
	id
	name
	eventTypes { name }
	lastTestRun { id }
	testRuns(first: 1) {
		totalCount
		nodes {
			success
			webhook { id }
			tests(first: 5) { nodes { eventType { title } message exchanges { number } } }
		}
	}
}`

// TestListTakesAConstantNumberOfStatements reads the dashboard of 1 webhook
// and of 20, through nodes, through edges and by page number: the number of statements is the
// same, and so are the statements.
func TestListTakesAConstantNumberOfStatements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 20 {
		b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { message } } }`,
			map[string]any{"input": map[string]any{"uid": fmt.Sprint("w", i), "url": b.url, "events": []string{"job.status", "Payout.*"}}}, nil)
		b.must(t, `mutation($id: ID!) { testWebhook(input: {target: {webhookId: $id}}) { userErrors { message } } }`,
			map[string]any{"id": fmt.Sprint("w", i)}, nil)
	}
	want := []string{
		"event_types.list",
		"test_exchanges.list",
		"test_results.list",
		"test_runs.count",
		"test_runs.list_newest",
		"webhooks.count",
		"webhooks.list_by_id",
		"webhooks.list_newest",
	}
	for _, through := range []string{
		"webhooks(first: $first) { totalCount nodes { ...Card } }",
		"webhooks(first: $first) { totalCount edges { node { ...Card } } }",
		"webhooks: webhookPage(pageSize: $first) { totalCount: count results { ...Card } }",
	} {
		for _, first := range []int{1, 20} {
			var got struct{ Webhooks struct{ TotalCount int } }
			statements := b.must(t, dashboard+`query($first: Int) { `+through+` }`,
				map[string]any{"first": first}, &got)
			slices.Sort(statements)
			if diff := cmp.Diff(want, statements); diff != "" || got.Webhooks.TotalCount != 20 {
				t.Errorf("%d webhooks of %d through %s (-want +got statements):\n%s", first, got.Webhooks.TotalCount, through, diff)
			}
		}
	}
}

func TestCountOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, document := range []string{`{ webhooks { nodes { id } } }`, `{ webhookPage { results { id } next } }`} {
		if diff := cmp.Diff([]string{"webhooks.list_newest"}, b.must(t, document, nil, nil)); diff != "" {
			t.Errorf("%s: statements (-want +got):\n%s", document, diff)
		}
	}
}

// TestMutationsTakeFewStatements counts those of each mutation of a webhook.
func TestMutationsTakeFewStatements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	for _, c := range []struct {
		document string
		want     []string
	}{
		{`mutation { updateWebhook(input: {id: "w", name: "new"}) { webhook { name } } }`, []string{"event_types.list", "webhooks.lock", "webhooks.update"}},
		{`mutation { updateWebhook(input: {id: "w", name: "new"}) { webhook { name } } }`, []string{"event_types.list", "webhooks.lock"}},
		{`mutation { rotateWebhookSecret(input: {id: "w"}) { secret } }`, []string{"webhooks.lock", "webhooks.update"}},
		{`mutation { replaceWebhook(input: {id: "w", url: "https://example.com", events: ["*"]}) { created } }`, []string{"event_types.list", "webhooks.lock", "webhooks.update", "webhook_failures.forgive"}},
		{`mutation { replaceWebhook(input: {id: "x", url: "https://example.com", events: ["*"], createIfMissing: true}) { created } }`, []string{"event_types.list", "webhooks.lock", "webhooks.insert"}},
		{`mutation { createWebhook(input: {url: "https://example.com", events: ["*"]}) { secret } }`, []string{"event_types.list", "webhooks.insert"}},
		{`mutation { deleteWebhook(input: {id: "w"}) { deletedWebhookId } }`, []string{"webhooks.lock", "webhooks.delete", "workspaces.webhooks_version", "webhooks.list_all"}},
	} {
		if diff := cmp.Diff(c.want, b.must(t, c.document, nil, nil)); diff != "" {
			t.Errorf("%s (-want +got statements):\n%s", c.document, diff)
		}
	}
}

// TestMutationsSeeWhatEarlierOnesDid asks for the same object in each field of
// one mutation: none may remember what an earlier field read.
func TestMutationsSeeWhatEarlierOnesDid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { message } } }`,
		map[string]any{"input": map[string]any{"uid": "w", "url": b.url, "events": []string{"job.status"}}}, nil)
	type tested struct {
		TestRun struct {
			Webhook struct {
				Name     string
				TestRuns struct{ TotalCount int }
			}
		}
	}
	var got struct{ A, C tested }
	b.must(t, `mutation {
		a: testWebhook(input: {target: {webhookId: "w"}}) { testRun { webhook { name testRuns { totalCount } } } }
		b: updateWebhook(input: {id: "w", name: "new"}) { userErrors { message } }
		c: testWebhook(input: {target: {webhookId: "w"}}) { testRun { webhook { name testRuns { totalCount } } } }
	}`, nil, &got)
	if runs := got.A.TestRun.Webhook.TestRuns.TotalCount; runs != 1 {
		t.Errorf("after the first test there are %d runs, want 1", runs)
	}
	if w := got.C.TestRun.Webhook; w.Name != "new" || w.TestRuns.TotalCount != 2 {
		t.Errorf("the last field sees %+v, want the new name and 2 runs", w)
	}
}

// TestDeliveriesTakeAConstantNumberOfStatements reads what a dashboard shows of
// 1 and of 100 webhooks with their deliveries, and of as many events with
// theirs, through nodes and through edges.
func TestDeliveriesTakeAConstantNumberOfStatements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const webhooks = 100
	for i := range webhooks {
		b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { message } } }`,
			map[string]any{"input": map[string]any{"uid": fmt.Sprint("w", i), "url": b.url, "events": []string{"job.status"}}}, nil)
		hook := b.webhookID(t, fmt.Sprint("w", i))
		for range 2 {
			b.owe(t, b.publish(t, "job.status", `{}`), hook, "FAILED", 2)
		}
	}
	fragments := map[string]string{
		"Card": `fragment Card on Webhook {
			name
			lastDelivery { status lastAttempt { outcome } event { name } }
			deliveries(first: 2) { totalCount nodes { attemptCount event { name } } }
		}`,
		"Row": `fragment Row on Event {
			name
			type { title }
			deliveryCounts { total }
			deliveries(first: 2) { edges { node { status event { id } webhook { name } lastAttempt { outcome } attempts(first: 2) { totalCount nodes { number request { url } } } } } }
		}`,
	}
	for list, of := range map[string]struct {
		fragment string
		want     []string
	}{
		"webhooks": {"Card", []string{
			"attempts.list_newest",
			"deliveries.count_by_webhook",
			"deliveries.list_newest_by_webhook",
			"events.list_by_id",
			"webhooks.list_newest",
		}},
		"events": {"Row", []string{
			"attempts.count",
			"attempts.list_newest",
			"attempts.list_oldest",
			"deliveries.count_of_events",
			"deliveries.list_newest_by_event",
			"event_types.list",
			"events.list_by_id",
			"events.list_newest",
			"webhooks.list_by_id",
		}},
	} {
		for _, through := range []string{"nodes { ...%s }", "edges { node { ...%s } }"} {
			for _, first := range []int{1, webhooks} {
				document := fragments[of.fragment] + ` query($first: Int) { ` + list + `(first: $first) { ` + fmt.Sprintf(through, of.fragment) + ` } }`
				statements := b.must(t, document, map[string]any{"first": first}, nil)
				kinds := slices.Compact(slices.Sorted(slices.Values(statements)))
				// Two of a webhook's lists may lead on together or one after the other.
				if diff := cmp.Diff(of.want, kinds); diff != "" || len(statements) > 8 && list == "webhooks" || len(statements) > len(of.want) && list == "events" {
					t.Errorf("%d %s %s: %d statements %v (-want +got):\n%s", first, list, through, len(statements), statements, diff)
				}
			}
		}
	}
}
