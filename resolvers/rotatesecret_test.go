package resolvers

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

const rotate = `mutation($input: RotateWebhookSecretInput!) {
	rotateWebhookSecret(input: $input) { secret webhook { secret publicKey previousSecretExpiresAt version } userErrors { code field } }
}`

// rotated is what rotate answers.
type rotated struct {
	RotateWebhookSecret struct {
		Secret  *string
		Webhook *struct {
			Secret                  string
			PublicKey               *string
			PreviousSecretExpiresAt *time.Time
			Version                 int
		}
	}
}

// received tests a webhook and returns the headers and the body that came.
func (b *bundle) received(t *testing.T, id string) (http.Header, []byte) {
	t.Helper()
	b.must(t, `mutation($id: ID!) { testWebhook(input: {target: {webhookId: $id}}) { testRun { success } } }`, object{"id": id}, nil)
	request := b.receiver.Requests()[0]
	header := http.Header{}
	for _, h := range request.Header {
		header.Add(h.Name, h.Value)
	}
	return header, request.Body
}

// TestRotation rotates a secret with an overlap, during which receivers with
// either secret verify, and then again without one.
func TestRotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	first := string(b.find(t, "w").Secret)
	verifies := func(secret string) bool {
		t.Helper()
		lib, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		header, body := b.received(t, "w")
		return lib.Verify(body, header) == nil
	}
	var got rotated
	began := time.Now()
	b.must(t, rotate, object{"input": object{"id": "w"}}, &got)
	second, expires := got.RotateWebhookSecret.Secret, got.RotateWebhookSecret.Webhook.PreviousSecretExpiresAt
	if second == nil || *second != got.RotateWebhookSecret.Webhook.Secret || *second == first {
		t.Fatal("the new secret is not shown")
	}
	if expires == nil || expires.Before(began.Add(24*time.Hour-time.Second)) || expires.After(time.Now().Add(24*time.Hour)) {
		t.Errorf("the old secret expires at %v, want in a day", expires)
	}
	if !verifies(first) || !verifies(*second) {
		t.Error("not both secrets verify during the overlap")
	}

	var again rotated
	b.must(t, rotate, object{"input": object{"id": "w", "secret": "whsec_" + strings.Repeat("A", 32), "overlapSeconds": 0, "expectedVersion": 2}}, &again)
	if w := again.RotateWebhookSecret.Webhook; w == nil || w.PreviousSecretExpiresAt != nil || w.Version != 3 {
		t.Errorf("without overlap: %+v", w)
	}
	if verifies(first) || verifies(*second) || !verifies("whsec_"+strings.Repeat("A", 32)) {
		t.Error("another secret than the new one verifies without an overlap")
	}
}

// TestExpiredSecretNeverSigns keeps a webhook whose overlap is over.
func TestExpiredSecretNeverSigns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	_, err := b.db.ChangeWebhook(t.Context(), b.workspace, "w", func(w *webhook.Webhook) error {
		w.RotateSecret(webhook.NewSecret(), time.Hour, webhook.Now().Add(-time.Hour))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	header, _ := b.received(t, "w")
	if given := header.Get("webhook-signature"); given == "" || strings.Contains(given, " ") {
		t.Errorf("signatures after the overlap: %q, want one", given)
	}
}

// TestAsymmetricWebhook goes through all that a secret can go through, with
// receivers that hold only the public key.
func TestAsymmetricWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made struct {
		CreateWebhook struct {
			Secret  *string
			Webhook struct{ Secret, PublicKey *string }
		}
	}
	b.must(t, `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { secret webhook { secret publicKey } } }`,
		object{"input": object{"uid": "a", "url": b.url, "events": []string{"job.status"}, "signing": "STANDARD_WEBHOOKS_ED25519"}}, &made)
	w := made.CreateWebhook
	if w.Secret == nil || *w.Secret != *w.Webhook.Secret || w.Webhook.PublicKey == nil {
		t.Fatalf("created without its keys: %+v", w)
	}
	verifies := func(key string) bool {
		t.Helper()
		header, body := b.received(t, "a")
		return webhooktest.Verify(key, header, body, time.Now()) == nil
	}
	first := *w.Webhook.PublicKey
	var got rotated
	b.must(t, rotate, object{"input": object{"id": "a"}}, &got)
	second := *got.RotateWebhookSecret.Webhook.PublicKey
	if first == second || !verifies(first) || !verifies(second) {
		t.Error("not both public keys verify during the overlap")
	}
	b.must(t, update, object{"input": object{"id": "a", "signing": "STANDARD_WEBHOOKS"}}, nil)
	now := b.find(t, "a")
	if now.PublicKey() != nil || now.PreviousSecret != "" || verifies(first) || verifies(second) || !verifies(string(now.Secret)) {
		t.Error("after another scheme was chosen, the old keys are not gone")
	}
}

func TestRotationMistakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	b.must(t, create, object{"input": object{"uid": "unsigned", "url": b.url, "events": []string{"*"}, "signing": "NONE"}}, nil)
	b.must(t, create, object{"input": object{"uid": "own", "url": b.url, "events": []string{"*"}, "secret": "a secret of my own"}}, nil)
	for _, c := range []struct {
		name  string
		input object
		want  string
	}{
		{"nobody", object{"id": "x"}, "NOT_FOUND input.id"},
		{"unsigned", object{"id": "unsigned"}, "WRONG_STATE input.id"},
		{"another version", object{"id": "w", "expectedVersion": 2}, "CONFLICT input.expectedVersion"},
		{"a negative overlap", object{"id": "w", "overlapSeconds": -1}, "INVALID input.overlapSeconds"},
		{"a long overlap", object{"id": "w", "overlapSeconds": 604_801}, "INVALID input.overlapSeconds"},
		{"a short secret", object{"id": "w", "secret": "short"}, "INVALID input.secret"},
		{"an empty secret", object{"id": "w", "secret": ""}, "INVALID input.secret"},
		{"a key of the other scheme", object{"id": "w", "secret": string(webhook.SigningEd25519.NewSecret())}, "INVALID input.secret"},
		{"the same secret", object{"id": "own", "secret": "a secret of my own"}, "INVALID input.secret"},
	} {
		if got := b.mistakes(t, rotate, c.input); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
	if w := b.find(t, "w"); w.Version != 1 {
		t.Errorf("mistakes made version %d", w.Version)
	}
}
