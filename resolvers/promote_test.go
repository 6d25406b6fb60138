package resolvers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

const promote = `mutation($input: TestWebhookInput!) {
	testWebhook(input: $input) { testRun { status testsTotal tests { nodes { id eventName success delivery { id } request { body } } } } userErrors { code message field } }
}`

type promoted struct {
	TestWebhook struct {
		TestRun *struct {
			Status     string
			TestsTotal int
			Tests      struct {
				Nodes []struct {
					ID, EventName string
					Success       *bool
					Delivery      *struct{ ID string }
					Request       struct{ Body string }
				}
			}
		}
		UserErrors []struct {
			Code, Message string
			Field         []string
		}
	}
}

// promote tests the webhook "w" with an input.
func (b *bundle) promote(t *testing.T, input object) (got promoted) {
	t.Helper()
	if input["target"] == nil {
		input["target"] = object{"webhookId": "w"}
	}
	b.must(t, promote, map[string]any{"input": input}, &got)
	return got
}

// sent are the event types and data of a run's tests, in order.
func (p promoted) sent(t *testing.T) (list []string) {
	t.Helper()
	if p.TestWebhook.TestRun == nil {
		t.Fatalf("%+v", p)
	}
	for _, test := range p.TestWebhook.TestRun.Tests.Nodes {
		var body struct{ Body json.RawMessage }
		if err := json.Unmarshal([]byte(test.Request.Body), &body); err != nil || test.Success == nil || !*test.Success {
			t.Errorf("%+v", test)
		}
		list = append(list, test.EventName+" "+string(body.Body))
	}
	return list
}

// refused is what is wrong with the input of a run.
func (p promoted) refused(t *testing.T) string {
	t.Helper()
	if p.TestWebhook.TestRun != nil || len(p.TestWebhook.UserErrors) == 0 {
		t.Fatalf("%+v", p)
	}
	e := p.TestWebhook.UserErrors[0]
	return e.Code + " " + strings.Join(e.Field, ".")
}

// TestPromote sends what recorded deliveries delivered, each as a test of its
// own under a new id, which is signed anew.
func TestPromote(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, create, map[string]any{"input": object{"uid": "w", "url": b.url, "events": []string{"job.*", "order.status", "gone.*"}}}, nil)
	w := b.webhookID(t, "w")
	b.receiver.Secrets = func(ctx context.Context, _ string) ([]string, error) {
		found, err := b.db.Webhook(ctx, b.workspace, w)
		if err != nil {
			return nil, err
		}
		return []string{string(found.Secret)}, nil
	}
	var deliveries []string
	for n, name := range []string{"job.status", "order.status", "job.status", "gone.type"} { // the catalogue has the last no more
		deliveries = append(deliveries, b.owe(t, b.publish(t, name, fmt.Sprintf(`{"n":%d.50}`, n)), w, "FAILED", 1))
	}
	named := func(n int) object { return object{"deliveryId": deliveries[n]} }
	own := object{"eventName": "order.status", "data": object{"own": true}}
	failed := object{"filter": object{"webhookId": "w", "status": []string{"FAILED"}}}
	for _, c := range []struct {
		name  string
		input object
		want  []string
	}{
		{"one", object{"payloads": []object{named(1)}}, []string{`order.status {"n":1.50}`}},
		{"two of a type, one twice", object{"payloads": []object{named(2), named(0), named(2)}}, []string{`job.status {"n":2.50}`, `job.status {"n":0.50}`}},
		{"beside data", object{"payloads": []object{named(0), own}}, []string{`order.status {"own":true}`, `job.status {"n":0.50}`}},
		{"beside a type", object{"eventNames": []string{"order.status"}, "payloads": []object{own, named(1)}}, []string{`order.status {"own":true}`, `order.status {"n":1.50}`}},
		{"a filter", object{"deliveries": failed}, []string{`gone.type {"n":3.50}`, `job.status {"n":2.50}`, `order.status {"n":1.50}`, `job.status {"n":0.50}`}},
		{"the newest of a filter", object{"deliveries": object{"filter": object{"eventNames": []string{"job.status"}}, "first": 1}}, []string{`job.status {"n":2.50}`}},
		{"named and of a filter", object{"payloads": []object{named(1)}, "deliveries": failed}, []string{`order.status {"n":1.50}`, `gone.type {"n":3.50}`, `job.status {"n":2.50}`, `job.status {"n":0.50}`}},
		{"nulls", object{"payloads": []object{{"deliveryId": deliveries[1], "eventName": nil, "data": nil, "resourceId": nil}}, "deliveries": nil}, []string{`order.status {"n":1.50}`}},
	} {
		got := b.promote(t, c.input)
		if diff := cmp.Diff(c.want, got.sent(t)); diff != "" || got.TestWebhook.TestRun.TestsTotal != len(c.want) {
			t.Errorf("%s: %+v (-want +got):\n%s", c.name, got, diff)
		}
		for i, test := range got.TestWebhook.TestRun.Tests.Nodes {
			var n int
			_, err := fmt.Sscanf(strings.TrimPrefix(c.want[i], test.EventName+" "), `{"n":%d`, &n)
			if promoted := err == nil; promoted != (test.Delivery != nil) || promoted && test.Delivery.ID != deliveries[n] {
				t.Errorf("%s: %s is of the delivery %+v", c.name, c.want[i], test.Delivery)
			}
		}
	}
	arrived := b.receiver.Requests()
	ids := make(map[string]bool)
	for _, r := range arrived {
		var body struct {
			MessageID string
			LiveMode  bool
			Timestamp time.Time
		}
		if err := json.Unmarshal(r.Body, &body); err != nil || body.LiveMode || webhook.PrefixOf(body.MessageID) != webhook.TestPrefix || ids[body.MessageID] ||
			r.Signature.Verdict != webhooktest.Valid {
			t.Errorf("%s, signature %+v", r.Body, r.Signature)
		}
		ids[body.MessageID] = true
	}
	var attempts int
	if err := b.own.QueryRow(`SELECT sum(attempts) FROM deliveries WHERE state = 'FAILED'`).Scan(&attempts); err != nil || attempts != 4 {
		t.Errorf("the deliveries are not as they were: %d attempts, %v", attempts, err)
	}
}

// TestPromotedDeliveries are read with their results, all with one statement,
// and are gone with their day.
func TestPromotedDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	for n := range 5 {
		b.owe(t, b.publish(t, "job.status", fmt.Sprintf(`{"n":%d}`, n)), h.webhook, "FAILED", 1)
	}
	b.promote(t, object{"deliveries": object{"filter": object{"status": []string{"FAILED"}}}})
	const document = `query($w: ID!) { webhook(id: $w) { testRuns(first: 5) { nodes { tests { nodes { delivery { status event { name } webhook { uid } } } } } } } }`
	var got struct {
		Webhook struct {
			TestRuns struct {
				Nodes []struct {
					Tests struct {
						Nodes []struct{ Delivery *struct{ Status string } }
					}
				}
			}
		}
	}
	statements := b.must(t, document, map[string]any{"w": h.webhook}, &got)
	want := []string{"deliveries.list_among", "events.list_by_id", "test_results.list", "test_runs.list_newest", "webhooks.find", "webhooks.list_by_id"}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(statements))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tests := got.Webhook.TestRuns.Nodes[0].Tests.Nodes
	if len(tests) < 5 || slices.ContainsFunc(tests, func(test struct{ Delivery *struct{ Status string } }) bool {
		return test.Delivery == nil || test.Delivery.Status != "FAILED"
	}) {
		t.Errorf("%+v", tests)
	}
	b.sql(t, `DELETE FROM deliveries`)
	b.must(t, document, map[string]any{"w": h.webhook}, &got)
	if tests := got.Webhook.TestRuns.Nodes[0].Tests.Nodes; tests[0].Delivery != nil {
		t.Errorf("%+v", tests)
	}
}

// TestPromoteToAnotherBuild sends what one webhook could not take to an endpoint
// that is not registered.
func TestPromoteToAnotherBuild(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	got := b.promote(t, object{"target": object{"endpoint": object{"url": b.url, "events": []string{"*"}}}, "deliveries": object{"filter": object{"webhookId": "w", "status": []string{"FAILED"}}}})
	if diff := cmp.Diff([]string{`job.status {"a":1.50}`}, got.sent(t)); diff != "" {
		t.Error(diff)
	}
	got = b.promote(t, object{"target": object{"endpoint": object{"url": b.url, "events": []string{"*"}, "method": "GET"}}, "payloads": []object{{"deliveryId": h.delivery}}})
	if body := b.receiver.Requests()[0]; got.TestWebhook.TestRun == nil || !strings.HasSuffix(body.URL, "?a=1.50") {
		t.Errorf("%+v, %s", got, body.URL)
	}
}

// TestPromoteRefused says what is wrong, and where; nothing is sent.
func TestPromoteRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	nested := b.owe(t, b.publish(t, "job.status", `[1]`), h.webhook, "FAILED", 0)
	other := b.owe(t, b.publish(t, "order.status", `{}`), h.webhook, "SUCCEEDED", 0)
	gone := b.owe(t, b.publish(t, "job.status", nil), h.webhook, "CANCELED", 0)
	removed := b.owe(t, webhook.NewID(webhook.EventPrefix), h.webhook, "CANCELED", 0)
	foreign := b.owe(t, h.event, h.webhook, "FAILED", 0)
	elsewhere, err := b.db.EnsureWorkspace(t.Context(), "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	b.sql(t, `UPDATE deliveries SET workspace_id = $1 WHERE id = $2`, elsewhere, foreign)
	payload := func(p object) object {
		return object{"payloads": []object{{"eventName": "job.status", "data": object{}}, p}}
	}
	get := object{"endpoint": object{"url": b.url, "events": []string{"*"}, "method": "GET"}}
	for _, c := range []struct {
		want  string
		input object
	}{
		{"INVALID input.payloads.1", payload(object{"deliveryId": h.delivery, "data": object{}})},
		{"INVALID input.payloads.1", payload(object{"deliveryId": h.delivery, "eventName": "job.status"})},
		{"INVALID input.payloads.1", payload(object{"deliveryId": h.delivery, "resourceId": "dc-1"})},
		{"REQUIRED input.payloads.1.eventName", payload(object{})},
		{"REQUIRED input.payloads.1.data", payload(object{"eventName": "job.status", "data": nil})},
		{"NOT_FOUND input.payloads.1.deliveryId", payload(object{"deliveryId": ""})},
		{"NOT_FOUND input.payloads.1.deliveryId", payload(object{"deliveryId": "dlv_\x00"})},
		{"NOT_FOUND input.payloads.1.deliveryId", payload(object{"deliveryId": h.event})},
		{"NOT_FOUND input.payloads.1.deliveryId", payload(object{"deliveryId": foreign})},
		{"NOT_SUBSCRIBED input.payloads.1.deliveryId", payload(object{"deliveryId": other})},
		{"WRONG_STATE input.payloads.1.deliveryId", payload(object{"deliveryId": gone})},
		{"WRONG_STATE input.payloads.1.deliveryId", payload(object{"deliveryId": removed})},
		{"INVALID input.payloads.0.deliveryId", object{"target": get, "payloads": []object{{"deliveryId": nested}}}},
		{"NOT_SUBSCRIBED input.payloads.1.eventName", object{"payloads": []object{{"deliveryId": h.delivery}, {"eventName": "order.status", "data": object{}}}}},
		{"NOT_SUBSCRIBED input.deliveries", object{"deliveries": object{"filter": object{"status": []string{"SUCCEEDED"}}}}},
		{"WRONG_STATE input.deliveries", object{"deliveries": object{"filter": object{"status": []string{"CANCELED"}}}}},
		{"NOT_FOUND input.deliveries.filter", object{"deliveries": object{"filter": object{"status": []string{"RETRYING"}}}}},
		{"NOT_FOUND input.deliveries.filter", object{"deliveries": object{"filter": object{"webhookId": "absent"}}}},
		{"INVALID input.deliveries.filter.eventNames", object{"deliveries": object{"filter": object{"eventNames": []string{"A B"}}}}},
		{"INVALID input.deliveries.first", object{"deliveries": object{"filter": object{}, "first": 0}}},
		{"INVALID input.deliveries.first", object{"deliveries": object{"filter": object{}, "first": 51}}},
	} {
		if got := b.promote(t, c.input).refused(t); got != c.want {
			t.Errorf("%v: %s, want %s", c.input, got, c.want)
		}
	}

	for range 50 {
		b.owe(t, h.event, h.webhook, "FAILED", 0)
	}
	many := object{"filter": object{"eventNames": []string{"job.status"}, "status": []string{"FAILED"}}}
	if got := b.promote(t, object{"deliveries": many}).refused(t); got != "TOO_LONG input.deliveries.filter" {
		t.Error(got)
	}
	many["first"] = 50
	if got := b.promote(t, object{"eventNames": []string{"job.status"}, "deliveries": many}).refused(t); got != "TOO_LONG input.deliveries" {
		t.Error(got)
	}
	if got := b.promote(t, object{"payloads": []object{{"deliveryId": h.delivery}}, "deliveries": many}).refused(t); got != "TOO_LONG input.deliveries" {
		t.Error(got)
	}
	if n := len(b.receiver.Requests()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	var got promoted
	if got = b.promote(t, object{"deliveries": many}); len(got.sent(t)) != 50 {
		t.Errorf("%+v", got)
	}

	b.caller = auth.Caller{Key: &webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeWebhooksTest, webhook.ScopeWebhooksRead}}, WorkspaceID: b.workspace}
	for _, input := range []object{{"payloads": []object{{"deliveryId": h.delivery}}}, {"deliveries": many}} {
		input["target"] = object{"webhookId": "w"}
		if a, _ := b.ask(t, promote, map[string]any{"input": input}); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "FORBIDDEN" || !strings.Contains(a.Errors[0].Message, "EVENTS_READ") {
			t.Errorf("%v: %+v", input, a)
		}
	}
}
