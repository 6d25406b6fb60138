package resolvers

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookql/hookql/internal/webhook"
)

const put = `mutation($input: ReplaceWebhookInput!) { replaceWebhook(input: $input) { created secret webhook { id secret } userErrors { code field } } }`

// putAnswer is what put answers.
type putAnswer struct {
	ReplaceWebhook struct {
		Created bool
		Secret  *string
		Webhook *struct{ ID, Secret string }
	}
}

// find reads a webhook as it is kept.
func (b *bundle) find(t *testing.T, idOrUID string) *webhook.Webhook {
	t.Helper()
	w, err := b.db.Webhook(t.Context(), b.workspace, idOrUID)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestReplaceWebhook replaces a webhook that has nothing at its default by one
// that says nothing but what it must: only identity and history stay.
func TestReplaceWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id } } }`, object{"input": object{
		"uid": "w", "url": b.url, "events": []string{"job.status"}, "name": "named", "description": "described", "active": true,
		"secret": "a secret of my own", "resourceIds": []string{"a"}, "rateLimitPerSecond": 5, "retryPolicy": object{"maxAttempts": 2},
		"method": "GET", "headers": []object{{"name": "X-A", "value": "1"}}, "timeoutMs": 2000, "metadata": object{"a": 1},
	}}, nil)
	before := b.find(t, "w")
	var got putAnswer
	b.must(t, put, object{"input": object{"id": before.ID, "url": b.url + "/2", "events": []string{"*"}, "name": nil}}, &got)
	after := b.find(t, "w")

	want := &webhook.Webhook{
		ID: before.ID, WorkspaceID: b.workspace, UID: "w", CreatedAt: before.CreatedAt, Version: 2,
		Name: webhook.DefaultName(b.url), URL: b.url + "/2", Events: []string{"*"}, ResourceIDs: []string{},
		StatusReason: webhook.ReasonOwner, Method: webhook.MethodPost, PayloadFormat: webhook.FormatEnvelope,
		Signing: webhook.SigningStandard, Headers: []webhook.Header{}, TimeoutMs: defaultTimeoutMs,
		RetryPolicy: webhook.DefaultRetryPolicy(), Metadata: []byte("{}"),
	}
	if diff := cmp.Diff(want, after, cmpopts.IgnoreFields(webhook.Webhook{}, "Secret", "UpdatedAt", "StatusChangedAt")); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	if shown := got.ReplaceWebhook.Secret; shown == nil || *shown != string(after.Secret) || after.Secret == before.Secret || got.ReplaceWebhook.Created {
		t.Errorf("replaced: created %t, the secret shown is not the new one", got.ReplaceWebhook.Created)
	}
	if !after.StatusChangedAt.After(before.StatusChangedAt) {
		t.Error("it was switched off, and does not say when")
	}

	var own putAnswer
	b.must(t, put, object{"input": object{"id": "w", "uid": "renamed", "url": b.url, "events": []string{"*"}, "secret": "another of my own", "expectedVersion": 2}}, &own)
	if w := b.find(t, "renamed"); w.ID != before.ID || string(w.Secret) != "another of my own" || own.ReplaceWebhook.Secret != nil {
		t.Errorf("with a uid and a secret of its own: %+v", w)
	}
}

func TestReplaceMistakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	for _, c := range []struct {
		name  string
		input object
		want  []string
	}{
		{"nobody", object{"id": "x"}, []string{"NOT_FOUND input.id"}},
		{"another version", object{"id": "w", "expectedVersion": 7}, []string{"CONFLICT input.expectedVersion"}},
		{"a version of nobody", object{"id": "x", "expectedVersion": 1, "createIfMissing": true}, []string{"NOT_FOUND input.id"}},
		{"an id of ours", object{"id": "wh_01", "createIfMissing": true}, []string{"NOT_FOUND input.id"}},
		{"an id that is no uid", object{"id": "a b", "createIfMissing": true}, []string{"INVALID input.id"}},
		{"two names for a new one", object{"id": "x", "uid": "y", "createIfMissing": true}, []string{"INVALID input.uid"}},
		{"mistakes in one that is there", object{"id": "w", "timeoutMs": 1, "events": []string{"nope"}}, []string{"INVALID input.timeoutMs", "UNKNOWN_EVENT_TYPE input.events.0"}},
		{"mistakes in a new one", object{"id": "x", "createIfMissing": true, "url": "nope"}, []string{"INVALID_URL input.url"}},
	} {
		input := object{"url": b.url, "events": []string{"*"}}
		for name, value := range c.input {
			input[name] = value
		}
		got := b.mistakes(t, put, input)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if w := b.find(t, "w"); w.Version != 1 {
		t.Errorf("mistakes made version %d", w.Version)
	}
}

// TestPutAtOnce puts a webhook that is not there yet from many clients: one
// creates it, the others replace it, and nobody hears of the others.
func TestPutAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const clients = 50
	var created atomic.Int32
	atOnce(clients, func(i int) {
		var got putAnswer
		b.must(t, put, object{"input": object{"id": "job_status", "createIfMissing": true, "method": "GET", "url": fmt.Sprint(b.url, "?", i), "events": []string{"job_status"}}}, &got)
		if got.ReplaceWebhook.Webhook == nil {
			t.Errorf("client %d: %+v", i, got)
		}
		if got.ReplaceWebhook.Created {
			created.Add(1)
		}
	})
	if w := b.find(t, "job_status"); created.Load() != 1 || w.Version != clients {
		t.Errorf("%d created it, and it is at version %d, want 1 and %d", created.Load(), w.Version, clients)
	}
	if n, err := b.db.CountWebhooks(t.Context(), b.workspace, webhook.Filter{}); err != nil || n != 1 {
		t.Errorf("there are %d webhooks, %v", n, err)
	}
}
