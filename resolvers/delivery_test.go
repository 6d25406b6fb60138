package resolvers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

// sql runs a statement on the bundle's database.
func (b *bundle) sql(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := b.own.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// publish puts an event into the database as if it had been published.
func (b *bundle) publish(t *testing.T, name string, data any) string {
	t.Helper()
	id := webhook.NewID(webhook.EventPrefix)
	b.sql(t, `INSERT INTO events (id, workspace_id, uid, name, resource_id, data, occurred_at, published_at) VALUES ($1, $2, $3, $4, 'dc-1', $5, $6, $6)`,
		id, b.workspace, "uid-"+id, name, data, webhook.Now())
	b.sql(t, `INSERT INTO event_uids (workspace_id, uid, event_id, content_hash) VALUES ($1, $2, $3, sha256(''))`, b.workspace, "uid-"+id, id)
	return id
}

// owe puts a delivery in a state into the database, with its attempts.
func (b *bundle) owe(t *testing.T, eventID, webhookID, state string, attempts int) string {
	t.Helper()
	id := webhook.NewID(webhook.DeliveryPrefix)
	b.sql(t, `INSERT INTO deliveries (id, workspace_id, event_id, webhook_id, state, next_at, attempts, trigger, created_at, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'PUBLISH', $6, CASE WHEN $5 NOT IN ('READY', 'PARKED') THEN $6::timestamptz END)`,
		id, b.workspace, eventID, webhookID, state, webhook.Now(), attempts)
	for n := range attempts {
		b.attempt(t, id, n+1)
	}
	return id
}

// attempt puts an attempt that was answered with 500 into the database.
func (b *bundle) attempt(t *testing.T, deliveryID string, number int) string {
	t.Helper()
	id := webhook.NewID(webhook.AttemptPrefix)
	trigger := webhook.TriggerRetry
	if number == 1 {
		trigger = webhook.TriggerPublish
	}
	b.sql(t, `INSERT INTO attempts (id, workspace_id, delivery_id, number, trigger, outcome, message, late, started_at, total_us, exchange, payload_format, response_body)
		VALUES ($1, $2, $3, $4, $5, 'REJECTED', 'Answered 500.', false, $6, 1500, $7, 'STANDARD', 'sorry')`,
		id, b.workspace, deliveryID, number, trigger, webhook.Now(), `{"detail": "", "request": {"method": "POST", "url": "https://example.com/hook",
			"headers": [{"name": "webhook-id", "value": "x"}], "bodySize": 7}, "timing": {"dnsUs": 100, "connectUs": 0, "tlsUs": 0, "firstByteUs": 900, "connectionReused": true},
			"response": {"status": 500, "text": "Oh", "headers": [{"name": "A", "value": "b"}], "truncated": false}}`)
	return id
}

// webhookID is the id of the webhook with a uid.
func (b *bundle) webhookID(t *testing.T, uid string) string {
	t.Helper()
	w, err := b.db.Webhook(t.Context(), b.workspace, uid)
	if err != nil {
		t.Fatal(err)
	}
	return w.ID
}

// happened is a webhook w, an event that was owed to it, and its attempts.
type happened struct {
	webhook, event, delivery string
	attempts                 []string
}

func (b *bundle) happened(t *testing.T) (h happened) {
	t.Helper()
	b.register(t)
	h.webhook = b.webhookID(t, "w")
	h.event = b.publish(t, "job.status", `{"a":1.50}`)
	h.delivery = b.owe(t, h.event, h.webhook, "FAILED", 0)
	for n := range 2 {
		h.attempts = append(h.attempts, b.attempt(t, h.delivery, n+1))
	}
	b.sql(t, `UPDATE deliveries SET attempts = 2`)
	return h
}

// TestLastAttempt is one that the delivery counts, as the delivery was read first.
func TestLastAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	last := func() (id string) {
		var got struct {
			Delivery struct{ LastAttempt *struct{ ID string } }
		}
		b.must(t, `query($d: ID!) { delivery(id: $d) { lastAttempt { id } } }`, map[string]any{"d": h.delivery}, &got)
		if got.Delivery.LastAttempt != nil {
			id = got.Delivery.LastAttempt.ID
		}
		return id
	}
	for counted, want := range []string{"", h.attempts[0], h.attempts[1]} {
		b.sql(t, `UPDATE deliveries SET attempts = $1`, counted)
		if got := last(); got != want {
			t.Errorf("with %d counted it is %q, want %q", counted, got, want)
		}
	}
	b.sql(t, `UPDATE deliveries SET attempts = 0`)
	b.sql(t, `UPDATE attempts SET late = true`) // which are never counted
	if got := last(); got != h.attempts[1] {
		t.Errorf("of late ones it is %q", got)
	}
}

const wholeDelivery = `fragment Whole on Delivery {
	id status attemptCount nextAttemptAt webhookId
	webhook { id }
	event { id uid name resourceId data type { title } deliveryCounts { total pending retrying succeeded failed canceled } deliveries(first: 1) { totalCount nodes { id } } }
	lastAttempt { id }
	attempts(first: 2) { totalCount nodes {
		id number trigger success outcome message late durationMs
		request { method url headers { name value } body bodySize }
		response { statusCode statusText headers { name value } body bodyTruncated }
		timing { dnsMs connectMs firstByteMs totalMs connectionReused }
	} }
}`

// TestDeliveriesAreRead reads one delivery by every way there is to it, and
// finds the same.
func TestDeliveriesAreRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	e, err := b.db.Event(t.Context(), b.workspace, h.event)
	if err != nil {
		t.Fatal(err)
	}
	e.Data = json.RawMessage(`{"a":1.50}`)
	attempt := func(n int, trigger string) object {
		return object{
			"id": h.attempts[n-1], "number": n, "trigger": trigger, "success": false, "outcome": "REJECTED", "message": "Answered 500.", "late": false, "durationMs": 1.5,
			"request": object{"method": "POST", "url": "https://example.com/hook", "headers": []object{{"name": "webhook-id", "value": "x"}},
				"body": string(delivery.Body(webhook.FormatStandard, e)), "bodySize": 7},
			"response": object{"statusCode": 500, "statusText": "Oh", "headers": []object{{"name": "A", "value": "b"}}, "body": "sorry", "bodyTruncated": false},
			"timing":   object{"dnsMs": 0.1, "connectMs": nil, "firstByteMs": 0.9, "totalMs": 1.5, "connectionReused": true},
		}
	}
	want := normal(t, object{
		"id": h.delivery, "status": "FAILED", "attemptCount": 2, "nextAttemptAt": nil, "webhookId": h.webhook, "webhook": object{"id": h.webhook},
		"event": object{"id": h.event, "uid": "uid-" + h.event, "name": "job.status", "resourceId": "dc-1", "data": json.RawMessage(`{"a":1.50}`),
			"type":           object{"title": "Job Status Updates"},
			"deliveryCounts": object{"total": 1, "pending": 0, "retrying": 0, "succeeded": 0, "failed": 1, "canceled": 0},
			"deliveries":     object{"totalCount": 1, "nodes": []object{{"id": h.delivery}}}},
		"lastAttempt": object{"id": h.attempts[1]},
		"attempts":    object{"totalCount": 2, "nodes": []object{attempt(1, "PUBLISH"), attempt(2, "RETRY")}},
	})
	ids := map[string]any{"d": h.delivery, "e": h.event, "u": "uid-" + h.event}
	for path, document := range map[string]string{
		"delivery":                         `query($d: ID!) { delivery(id: $d) { ...Whole } }`,
		"node":                             `query($d: ID!) { node(id: $d) { ...Whole } }`,
		"deliveries.nodes":                 `{ deliveries(first: 5) { nodes { ...Whole } } }`,
		"deliveries.edges.node":            `query($e: ID!) { deliveries(first: 5, filter: {webhookId: "w", eventId: $e, eventNames: ["job.status"], status: [FAILED]}) { edges { node { ...Whole } } } }`,
		"event.deliveries.nodes":           `query($u: ID!) { event(id: $u) { deliveries(first: 5) { nodes { ...Whole } } } }`,
		"events.nodes.deliveries.nodes":    `{ events(first: 2, filter: {eventNames: ["job.status"], resourceId: "dc-1"}) { nodes { deliveries(first: 2) { nodes { ...Whole } } } } }`,
		"webhook.lastDelivery":             `{ webhook(id: "w") { lastDelivery { ...Whole } } }`,
		"webhooks.nodes.deliveries.nodes":  `query($u: ID!) { webhooks(first: 2) { nodes { deliveries(first: 2, filter: {eventId: $u}) { nodes { ...Whole } } } } }`,
		"webhooks.edges.node.lastDelivery": `{ webhooks(first: 2) { edges { node { lastDelivery { ...Whole } } } } }`,
	} {
		var got any
		b.must(t, wholeDelivery+document, ids, &got)
		for name := range strings.SplitSeq(path, ".") {
			if list, ok := got.(map[string]any)[name].([]any); ok {
				got = list[0]
			} else {
				got = got.(map[string]any)[name]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	var attempts struct{ Nodes []struct{ Number int } }
	b.must(t, `query($ids: [ID!]!) { nodes(ids: $ids) { ... on DeliveryAttempt { number } } }`, map[string]any{"ids": h.attempts}, &attempts)
	if len(attempts.Nodes) != 2 || attempts.Nodes[1].Number != 2 {
		t.Errorf("the attempts as nodes: %+v", attempts)
	}
}

// normal is a value as JSON has it.
func normal(t *testing.T, value any) (plain any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestDeliveryStatuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	event, hook := b.publish(t, "job.status", `{}`), b.webhookID(t, "w")
	const list = `query($status: [DeliveryStatus!]) { deliveries(filter: {status: $status}) { totalCount nodes { id status nextAttemptAt } } }`
	for _, c := range []struct {
		change, status string
		due            bool
	}{
		{`state = 'READY'`, "PENDING", true},
		{`state = 'READY', lease = 7`, "PENDING", false},
		{`state = 'PARKED'`, "PENDING", true},
		{`state = 'READY', attempts = 3`, "RETRYING", true},
		{`state = 'PARKED', attempts = 3, ladder = 2`, "RETRYING", true},
		{`state = 'READY', attempts = 3, ladder = 3`, "PENDING", true},
		{`state = 'SUCCEEDED', attempts = 3, finished_at = now()`, "SUCCEEDED", false},
		{`state = 'FAILED', attempts = 3, finished_at = now()`, "FAILED", false},
		{`state = 'CANCELED', finished_at = now()`, "CANCELED", false},
	} {
		id := b.owe(t, event, hook, "READY", 0)
		b.sql(t, `UPDATE deliveries SET `+c.change+` WHERE id = $1`, id)
		type page struct {
			Deliveries struct {
				TotalCount int
				Nodes      []struct {
					ID, Status    string
					NextAttemptAt *time.Time
				}
			}
		}
		var only, others page
		b.must(t, list, map[string]any{"status": []string{c.status}}, &only)
		b.must(t, list, map[string]any{"status": []string{}}, &others)
		if d := only.Deliveries; d.Nodes[0].ID != id || d.Nodes[0].Status != c.status || (d.Nodes[0].NextAttemptAt != nil) != c.due || d.TotalCount != len(d.Nodes) {
			t.Errorf("%s is read as %+v, want %s, due: %t", c.change, d, c.status, c.due)
		}
		if len(others.Deliveries.Nodes) > 0 {
			t.Errorf("no status keeps %+v", others)
		}
	}
}

// What retention or a deletion removed is null, and the rest stays.
func TestDeliveriesOutliveWhatTheyLeadTo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	const document = `query($d: ID!) { delivery(id: $d) {
		webhookId webhook { id } event { id name data } lastAttempt { request { body bodySize curl } response { body } } } }`
	for _, c := range []struct{ change, webhook, event, body string }{
		{`SELECT 1`, `{"id":"` + h.webhook + `"}`, `{"id":"` + h.event + `","name":"job.status","data":{"a":1.50}}`, `"{\"type`},
		{`UPDATE events SET data = NULL`, `{"id":"` + h.webhook + `"}`, `{"id":"` + h.event + `","name":"job.status","data":null}`, `null,"bodySize":7`},
		{`DELETE FROM events`, `{"id":"` + h.webhook + `"}`, `null`, `null,"bodySize":7`},
		{`DELETE FROM webhooks`, `null`, `null`, `null,"bodySize":7`},
	} {
		b.sql(t, c.change)
		a, _ := b.ask(t, document, map[string]any{"d": h.delivery})
		want := fmt.Sprintf(`{"delivery":{"webhookId":%q,"webhook":%s,"event":%s,"lastAttempt":{"request":{"body":%s`, h.webhook, c.webhook, c.event, c.body)
		if !strings.HasPrefix(string(a.Data), want) || !strings.Contains(string(a.Data), `"response":{"body":"sorry"}`) || len(a.Errors) > 0 {
			t.Errorf("after %s: %s, %+v, want it to begin with %s", c.change, a.Data, a.Errors, want)
		}
	}
	var found struct {
		Deliveries struct{ Nodes []struct{ ID string } }
	}
	b.must(t, `query($w: ID!) { deliveries(filter: {webhookId: $w}) { nodes { id } } }`, map[string]any{"w": h.webhook}, &found)
	if len(found.Deliveries.Nodes) != 1 {
		t.Error("the deliveries to a deleted webhook are not found by its id")
	}
}

// An answer holds a bounded number of bytes of bodies, however many attempts
// show the same event.
func TestBodiesOfAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	large, hook := `{"a":"`+strings.Repeat("x", 240<<10)+`"}`, b.webhookID(t, "w")
	for range 80 {
		b.owe(t, b.publish(t, "job.status", large), hook, "FAILED", 1)
	}
	for selection, tooMany := range map[string]bool{
		`events(first: 60) { nodes { id data } }`:                                                      false,
		`events(first: 80) { nodes { id data } }`:                                                      true,
		`deliveries(first: 60) { nodes { lastAttempt { request { body } } } }`:                         false,
		`deliveries(first: 80) { nodes { lastAttempt { request { body } } } }`:                         true,
		`deliveries(first: 40) { nodes { event { data } lastAttempt { request { body bodySize } } } }`: true,
	} {
		a, _ := b.ask(t, "{ "+selection+" }", nil)
		if tooMany != (len(a.Errors) > 0) || len(a.Data) > maxBodies+1<<20 {
			t.Errorf("%s: %d bytes, %d errors, want some: %t", selection, len(a.Data), len(a.Errors), tooMany)
		}
		for _, e := range a.Errors {
			if e.Extensions.Code != graphqlhttp.BadUserInput {
				t.Errorf("%s: %+v", selection, e)
			}
		}
	}
}

func TestDeliveryFilterMistakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, document := range []string{
		`{ events(filter: {eventNames: ["a b"]}) { totalCount } }`,
		`{ deliveries(filter: {eventNames: ["*"]}) { totalCount } }`,
		`{ deliveries(after: "eA") { totalCount } }`,
		`{ events(first: 101) { totalCount } }`,
		`{ deliveries(filter: {eventNames: [` + strings.Repeat(`"a" `, 101) + `]}) { totalCount } }`,
	} {
		a, statements := b.ask(t, document, nil)
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.BadUserInput || len(statements) > 0 {
			t.Errorf("%s: %+v, %v", document, a.Errors, statements)
		}
	}
}
