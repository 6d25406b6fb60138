package resolvers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// steered is what the mutations of deliveries answer.
type steered struct {
	Payload struct {
		Delivery *struct {
			ID, Status    string
			NextAttemptAt *time.Time
			FinishedAt    *time.Time
		}
		Count         *int
		ContinueAfter *time.Time
		UserErrors    []struct {
			Code, Message string
			Field         []string
		}
	}
}

// steer runs a mutation and returns its mistakes as "CODE path: message".
func (b *bundle) steer(t *testing.T, document string, id string) (got steered, mistakes []string) {
	t.Helper()
	b.must(t, `mutation($id: ID!) { payload: `+document+` }`, map[string]any{"id": id}, &got)
	for _, e := range got.Payload.UserErrors {
		mistakes = append(mistakes, e.Code+" "+strings.Join(e.Field, ".")+": "+e.Message)
	}
	return got, mistakes
}

const (
	retryOne  = `retryDelivery(input: {id: $id}) { delivery { id status nextAttemptAt finishedAt } userErrors { code message field } }`
	cancelOne = `cancelDelivery(input: {id: $id}) { delivery { id status nextAttemptAt finishedAt } userErrors { code message field } }`
)

func retryMany(rest string) string {
	return `retryDeliveries(input: {webhookId: $id, createdAfter: "2020-01-01T00:00:00Z"` + rest + `}) { count continueAfter userErrors { code message field } }`
}

func replay(rest string) string {
	return `replayEvents(input: {webhookId: $id, publishedAfter: "2020-01-01T00:00:00Z"` + rest + `}) { count continueAfter userErrors { code message field } }`
}

func TestSteering(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	missed := b.publish(t, "job.status", `{}`)
	b.publish(t, "order.status", `{}`)
	leased := b.owe(t, b.publish(t, "job.status", `{}`), h.webhook, "READY", 0)
	b.sql(t, `UPDATE deliveries SET lease = 7 WHERE id = $1`, leased)

	for _, c := range []struct{ document, id, mistake string }{
		{retryOne, "dlv_x", "NOT_FOUND input.id: There is no delivery with this id"},
		{cancelOne, "dlv_x", "NOT_FOUND input.id: There is no delivery with this id"},
		{retryMany(""), "none", `NOT_FOUND input.webhookId: There is no webhook with the id or uid "none"`},
		{replay(""), "none", `NOT_FOUND input.webhookId: There is no webhook with the id or uid "none"`},
		{retryOne, h.delivery, "WRONG_STATE input.id: The webhook is INACTIVE, so nothing is sent to it. Activate it first"},
		{retryMany(""), "w", "WRONG_STATE input.webhookId: The webhook is INACTIVE"},
		{replay(", dryRun: true"), "w", "WRONG_STATE input.webhookId: The webhook is INACTIVE"},
		{cancelOne, h.delivery, "WRONG_STATE input.id: This delivery is finished"},
		{retryMany(", status: []"), "w", "REQUIRED input.status: "},
		{retryMany(", status: [FAILED, RETRYING]"), "w", "INVALID input.status.1: Deliveries that are RETRYING"},
		{retryMany(`, createdBefore: "2019-01-01T00:00:00Z"`), "w", "INVALID input.createdBefore: "},
		{replay(`, publishedBefore: "2020-01-01T00:00:00Z"`), "w", "INVALID input.publishedBefore: "},
	} {
		got, mistakes := b.steer(t, c.document, c.id)
		if len(mistakes) != 1 || !strings.HasPrefix(mistakes[0], c.mistake) || got.Payload.Delivery != nil || got.Payload.Count != nil {
			t.Errorf("%s of %s: %q, want %q", c.document, c.id, mistakes, c.mistake)
		}
	}

	b.must(t, `mutation { updateWebhook(input: {id: "w", active: true}) { userErrors { message } } }`, nil, nil)
	if _, mistakes := b.steer(t, retryOne, leased); len(mistakes) != 1 || !strings.Contains(mistakes[0], "under way") {
		t.Errorf("a delivery that is under way is retried: %q", mistakes)
	}
	counts := func(document string, want int) {
		t.Helper()
		got, mistakes := b.steer(t, document, "w")
		if len(mistakes) > 0 || got.Payload.Count == nil || *got.Payload.Count != want || got.Payload.ContinueAfter != nil {
			t.Errorf("%s: %+v, %q, want %d", document, got.Payload, mistakes, want)
		}
	}
	counts(replay(", dryRun: true"), 1)
	counts(replay(", dryRun: null, publishedBefore: null"), 1)
	counts(replay(""), 0)
	counts(retryMany(", status: null, dryRun: true"), 1)
	counts(retryMany(", status: [SUCCEEDED, CANCELED]"), 0)
	counts(retryMany(""), 1)
	counts(retryMany(""), 0)
	got, mistakes := b.steer(t, retryOne, h.delivery)
	if d := got.Payload.Delivery; len(mistakes) > 0 || d == nil || d.Status != "PENDING" || d.NextAttemptAt == nil || d.FinishedAt != nil {
		t.Errorf("retried: %+v, %q", d, mistakes)
	}
	for _, id := range []string{h.delivery, leased} {
		got, mistakes = b.steer(t, cancelOne, id)
		if d := got.Payload.Delivery; len(mistakes) > 0 || d == nil || d.Status != "CANCELED" || d.NextAttemptAt != nil || d.FinishedAt == nil {
			t.Errorf("canceled: %+v, %q", d, mistakes)
		}
	}

	var after struct {
		Event struct {
			Deliveries struct{ Nodes []struct{ Status string } }
		}
		Webhook struct {
			Stats struct {
				Counts struct{ Canceled, Pending int }
			}
		}
	}
	b.must(t, `query($id: ID!) { event(id: $id) { deliveries { nodes { status } } } webhook(id: "w") { stats { counts { canceled pending } } } }`, map[string]any{"id": missed}, &after)
	if diff := cmp.Diff(`{{{[{PENDING}]}} {{{2 1}}}}`, fmt.Sprint(after)); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
	b.must(t, `mutation { deleteWebhook(input: {id: "w"}) { userErrors { message } } }`, nil, nil)
	if _, mistakes := b.steer(t, retryOne, h.delivery); len(mistakes) != 1 || !strings.Contains(mistakes[0], "webhook of this delivery was deleted") {
		t.Errorf("to a webhook that is gone: %q", mistakes)
	}
	b.must(t, `query($id: ID!) { event(id: $id) { deliveries { nodes { status } } } }`, map[string]any{"id": missed}, &after)
	if d := after.Event.Deliveries.Nodes; len(d) != 1 || d[0].Status != "CANCELED" {
		t.Errorf("of the webhook that was deleted: %+v", d)
	}
}

// Steering takes few statements, however many deliveries it is about.
func TestSteeringTakesFewStatements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.happened(t)
	b.must(t, `mutation { updateWebhook(input: {id: "w", active: true}) { userErrors { message } } }`, nil, nil)
	for range 5 {
		b.owe(t, b.publish(t, "job.status", `{}`), h.webhook, "FAILED", 1)
		b.publish(t, "job.status", `{}`)
	}
	for _, c := range []struct {
		document, id string
		want         []string
	}{
		{retryOne, h.delivery, []string{"deliveries.find", "webhooks.lock_to_steer", "deliveries.retry"}},
		{cancelOne, h.delivery, []string{"deliveries.cancel"}},
		{retryMany(""), "w", []string{"webhooks.lock_to_steer", "deliveries.list_to_retry", "deliveries.retry_many"}},
		{replay(""), "w", []string{"webhooks.lock_to_steer", "events.list_missed", "deliveries.replay"}},
		{replay(""), "w", []string{"webhooks.lock_to_steer", "events.list_missed"}},
	} {
		statements := b.must(t, `mutation($id: ID!) { `+c.document+` }`, map[string]any{"id": c.id}, nil)
		if !slices.Equal(c.want, statements) {
			t.Errorf("%s: %v, want %v", c.document, statements, c.want)
		}
	}
}
