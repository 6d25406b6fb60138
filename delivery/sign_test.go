package delivery

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

// The specification's own example.
func TestSign(t *testing.T) {
	t.Parallel()
	w := &webhook.Webhook{Signing: webhook.SigningStandard, Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	got, err := signatures(w, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want || err != nil {
		t.Errorf("signatures = %q, %v, want %q", got, err, want)
	}
}

// official is the official library with a secret, by the constructor that the
// docs name for it.
func official(t *testing.T, secret webhook.Secret) *standardwebhooks.Webhook {
	t.Helper()
	open := func() (*standardwebhooks.Webhook, error) { return standardwebhooks.NewWebhookRaw([]byte(secret)) }
	if strings.HasPrefix(string(secret), webhook.SecretPrefix) {
		open = func() (*standardwebhooks.Webhook, error) { return standardwebhooks.NewWebhook(string(secret)) }
	}
	lib, err := open()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// signed is the header of a message from w.
func signed(t *testing.T, w *webhook.Webhook, at time.Time, content string) http.Header {
	t.Helper()
	signature, err := signatures(w, "evt_1", at, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set("webhook-id", "evt_1")
	header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	header.Set("webhook-signature", signature)
	return header
}

func TestSignPassesTheOfficialLibrary(t *testing.T) {
	t.Parallel()
	for _, secret := range []webhook.Secret{testSecret, "a text of my own, with spaces"} {
		w := &webhook.Webhook{Signing: webhook.SigningStandard, Secret: secret}
		if err := official(t, secret).Verify([]byte("content"), signed(t, w, time.Now(), "content")); err != nil {
			t.Errorf("with secret %q: %v", string(secret), err)
		}
	}
}

// TestBothSecretsSignUntilTheOldOneExpires lets a receiver that knows either
// secret verify up to the last moment of the overlap, and not a moment longer.
func TestBothSecretsSignUntilTheOldOneExpires(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const overlap = time.Minute
	for _, secrets := range [][2]webhook.Secret{
		{webhook.NewSecret(), webhook.NewSecret()},
		{"the old one, of my own", webhook.NewSecret()},
	} {
		w := &webhook.Webhook{Signing: webhook.SigningStandard, Secret: secrets[0]}
		w.RotateSecret(secrets[1], overlap, now)
		for _, test := range []struct {
			after    time.Duration
			old, new bool
		}{
			{0, true, true},
			{overlap - 1, true, true},
			{overlap, false, true},
			{240 * time.Second, false, true},
		} {
			header := signed(t, w, now.Add(test.after), "content")
			for i, want := range []bool{test.old, test.new} {
				if err := official(t, secrets[i]).Verify([]byte("content"), header); (err == nil) != want {
					t.Errorf("%s after the rotation, secret %d: %v", test.after, i, err)
				}
			}
			if !strings.HasPrefix(header.Get("webhook-signature"), sign(w.Signing, secrets[1], fmt.Appendf(nil, "evt_1.%d.content", now.Add(test.after).Unix()))) {
				t.Errorf("%s after the rotation the new secret's signature does not come first", test.after)
			}
		}
	}
}

// TestEd25519 verifies with the standard library, from what receivers have: the
// public key as the API shows it, and the headers.
func TestEd25519(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := &webhook.Webhook{Signing: webhook.SigningEd25519, Secret: webhook.SigningEd25519.NewSecret()}
	keys := []string{*w.PublicKey()}
	w.RotateSecret(w.Signing.NewSecret(), time.Minute, now)
	keys = append([]string{*w.PublicKey()}, keys...)

	header := signed(t, w, now, "content")
	given := strings.Split(header.Get("webhook-signature"), " ")
	if len(given) != 2 {
		t.Fatalf("%d signatures, want one by each key", len(given))
	}
	message := fmt.Appendf(nil, "%s.%s.content", header.Get("webhook-id"), header.Get("webhook-timestamp"))
	for i, text := range keys {
		public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whpk_"))
		if err != nil {
			t.Fatal(err)
		}
		signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(given[i], "v1a,"))
		if err != nil || !ed25519.Verify(public, message, signature) {
			t.Errorf("signature %d, %q: %v", i, given[i], err)
		}
		if ed25519.Verify(public, append(message, '!'), signature) {
			t.Error("a signature fits another message")
		}
		if err := webhooktest.Verify(text, header, []byte("content"), now); err != nil {
			t.Errorf("webhooktest: %v", err)
		}
	}
	if after := signed(t, w, now.Add(time.Minute), "content").Get("webhook-signature"); strings.Contains(after, " ") {
		t.Error("the old key signs after it expired")
	}
}
