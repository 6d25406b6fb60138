package resolvers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

// listening is a subscription that is answered by events.
type listening struct {
	*testing.T
	lines *bufio.Reader
}

// listen subscribes, and returns once the subscription is there.
func (b *bundle) listen(t *testing.T, document string, variables map[string]any) *listening {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.api.ServeHTTP(w, r.WithContext(auth.WithCaller(r.Context(), b.caller)))
	}))
	t.Cleanup(server.Close)
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return &listening{t, bufio.NewReader(response.Body)}
}

// next is the next result, or "" where it is complete.
func (l *listening) next() string {
	l.Helper()
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			l.Fatal(err)
		}
		if data, is := strings.CutPrefix(line, "data: "); is {
			return strings.TrimSpace(data)
		}
		if line == "event: complete\n" {
			return ""
		}
	}
}

func (l *listening) hears(wants ...string) {
	l.Helper()
	for _, want := range wants {
		if got := l.next(); got != want {
			l.Fatalf("%s, want %s", got, want)
		}
	}
}

// subscribed waits until so many want to know what changes.
func (b *bundle) subscribed(t *testing.T, n int) {
	t.Helper()
	for patience := time.Now().Add(20 * time.Second); b.engine.Hub.Interest() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("%d subscriptions, want %d", b.engine.Hub.Interest(), n)
		}
	}
}

// TestSubscriptions tells what changes, as it stands by then, to those who may
// know it and whose filters it passes.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	w := b.webhookID(t, "w")
	all := b.listen(t, `subscription { eventPublished { name data } }`, nil)
	named := b.listen(t, `subscription($f: EventFilter) { e: eventPublished(filter: $f) { id } }`, map[string]any{"f": map[string]any{"eventNames": []string{"order.status"}}})
	failed := b.listen(t, `subscription { deliveryUpdated(filter: {webhookId: "w", status: [FAILED]}) { id status event { name } webhook { id } } }`, nil)
	b.caller.WorkspaceID = "ws_other"
	foreign := b.listen(t, `subscription { eventPublished { id } }`, nil)
	b.subscribed(t, 4)

	first, second := b.publish(t, "job.status", `{"n":1}`), b.publish(t, "order.status", `{"n":2}`)
	b.engine.Hub.Publish(b.workspace, delivery.EventPublished, first, second, first)
	all.hears(`{"data":{"eventPublished":{"name":"job.status","data":{"n":1}}}}`, `{"data":{"eventPublished":{"name":"order.status","data":{"n":2}}}}`)
	named.hears(`{"data":{"e":{"id":"` + second + `"}}}`)
	b.engine.Hub.Publish("ws_other", delivery.EventPublished, first) // another's, which nothing ever does

	waiting, done := b.owe(t, first, w, "READY", 0), b.owe(t, first, w, "FAILED", 1)
	b.engine.Hub.Publish(b.workspace, delivery.DeliveryChanged, waiting, done)
	failed.hears(`{"data":{"deliveryUpdated":{"id":"` + done + `","status":"FAILED","event":{"name":"job.status"},"webhook":{"id":"` + w + `"}}}}`)
	b.sql(t, `UPDATE deliveries SET state = 'FAILED', finished_at = now() WHERE id = $1`, waiting)
	b.engine.Hub.Publish(b.workspace, delivery.DeliveryChanged, waiting)
	failed.hears(`{"data":{"deliveryUpdated":{"id":"` + waiting + `","status":"FAILED","event":{"name":"job.status"},"webhook":{"id":"` + w + `"}}}}`)

	var many []string
	for n := range 22_000 {
		many = append(many, fmt.Sprintf("evt_%d", n))
	}
	b.engine.Hub.Publish("ws_other", delivery.EventPublished, many...)
	foreign.hears(`{"errors":[{"message":"Some changes were missed. Subscribe again, and read what there is anew.","extensions":{"code":"CHANGES_MISSED"}}]}`, "")
	b.subscribed(t, 3)
}

// TestSteeringIsTold tells at once what was queued by hand, and nothing of what
// would be.
func TestSteeringIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	missed := b.publish(t, "job.status", `{}`)
	b.must(t, `mutation { updateWebhook(input: {id: "w", active: true}) { userErrors { message } } }`, nil, nil)
	all := b.listen(t, `subscription { deliveryUpdated { status event { id } } }`, nil)
	b.subscribed(t, 1)
	for _, c := range []struct{ document, id, event, status string }{
		{retryMany(""), "w", h.event, "PENDING"},
		{replay(""), "w", missed, "PENDING"},
		{cancelOne, h.delivery, h.event, "CANCELED"},
		{retryOne, h.delivery, h.event, "PENDING"},
	} {
		if c.id == "w" {
			b.steer(t, strings.Replace(c.document, "Z\"})", "Z\", dryRun: true})", 1), c.id)
		}
		if _, mistakes := b.steer(t, c.document, c.id); len(mistakes) > 0 {
			t.Fatalf("%s: %q", c.document, mistakes)
		}
		all.hears(`{"data":{"deliveryUpdated":{"status":"` + c.status + `","event":{"id":"` + c.event + `"}}}}`)
	}
}

// TestRefusedSubscriptions are told why, and leave nothing behind.
func TestRefusedSubscriptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for document, want := range map[string]string{
		`subscription { eventPublished(filter: {eventNames: ["A B"]}) { id } }`:                                          `"BAD_USER_INPUT"`,
		`subscription { deliveryUpdated(filter: {eventNames: ["A B"]}) { id } }`:                                         `"BAD_USER_INPUT"`,
		`subscription { eventPublished { id } deliveryUpdated { id } }`:                                                  `"GRAPHQL_VALIDATION_FAILED"`,
		`subscription { __typename }`:                                                                                    `"GRAPHQL_VALIDATION_FAILED"`,
		`subscription { a: eventPublished { id } b: eventPublished { id } }`:                                             `"GRAPHQL_VALIDATION_FAILED"`,
		`subscription { eventPublished { deliveries(first: 100) { nodes { attempts(first: 100) { nodes { id } } } } } }`: `"COMPLEXITY_LIMIT_EXCEEDED"`,
	} {
		l := b.listen(t, document, nil)
		if got := l.next(); !strings.Contains(got, want) || strings.Contains(got, `"data"`) {
			t.Errorf("%s: %s", document, got)
		}
		l.hears("")
	}
	b.caller = auth.Caller{Key: &webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeWebhooksRead}}, WorkspaceID: b.workspace}
	l := b.listen(t, `subscription { eventPublished { id } }`, nil)
	if got := l.next(); !strings.Contains(got, `"FORBIDDEN"`) || !strings.Contains(got, "EVENTS_READ") {
		t.Error(got)
	}
	l.hears("")
	b.subscribed(t, 0)
}

// TestSubscriptionStatements reads what changes, and what it leads to, by
// groups.
func TestSubscriptionStatements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	l := b.listen(t, `subscription { deliveryUpdated { id event { name type { title } } webhook { url } lastAttempt { outcome } } }`, nil)
	b.subscribed(t, 1)
	var ids []string
	for range 50 {
		ids = append(ids, b.owe(t, h.event, h.webhook, "FAILED", 1))
	}
	b.mu.Lock()
	b.statements = nil
	b.mu.Unlock()
	b.engine.Hub.Publish(b.workspace, delivery.DeliveryChanged, ids...)
	for range ids {
		if got := l.next(); !strings.Contains(got, `"outcome":"REJECTED"`) {
			t.Fatal(got)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.statements) > 6 {
		t.Errorf("%d statements for 50 changes: %v", len(b.statements), b.statements)
	}
}
