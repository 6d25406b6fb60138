package delivery

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// TestExplain signs one body in every way that is seen in the field.
func TestExplain(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	const own = webhook.Secret("a text of one's own")
	const body = `{"b":1,"a":"é"}`
	base := func(change func(*webhook.Webhook)) *webhook.Webhook {
		w := postWebhook("https://example.com")
		change(w)
		return w
	}
	keep := func(*webhook.Webhook) {}
	ed := webhook.SigningEd25519.NewSecret()
	raw, _ := strings.CutPrefix(string(testSecret), webhook.SecretPrefix)
	rotated := func(expires time.Time) func(*webhook.Webhook) {
		return func(w *webhook.Webhook) { w.PreviousSecret, w.PreviousSecretExpiresAt = own, &expires }
	}
	for _, c := range []struct {
		name   string
		w      *webhook.Webhook
		scheme webhook.Signing
		key    webhook.Secret // that signs
		signed string         // what is signed
		age    time.Duration
		valid  bool
		says   string
	}{
		{"right", base(keep), webhook.SigningStandard, testSecret, body, 0, true, "in time"},
		{"right, five minutes ago", base(keep), webhook.SigningStandard, testSecret, body, 299 * time.Second, true, "in time"},
		{"stale", base(keep), webhook.SigningStandard, testSecret, body, 301 * time.Second, false, "5m1s old"},
		{"from the future", base(keep), webhook.SigningStandard, testSecret, body, -10 * time.Minute, false, "10m0s ahead"},
		{"previous secret that still signs", base(rotated(now.Add(time.Hour))), webhook.SigningStandard, own, body, 0, true, "before the last rotation, which signs besides"},
		{"previous secret that signs no more", base(rotated(now.Add(-time.Hour))), webhook.SigningStandard, own, body, 0, false, "no longer signs"},
		{"text of a base64 secret", base(keep), webhook.SigningStandard, webhook.Secret(raw), body, 0, false, "another reading"},
		{"own secret read as base64", base(func(w *webhook.Webhook) { w.Secret = webhook.Secret(raw) }), webhook.SigningStandard, testSecret, body, 0, false, "another reading"},
		{"sorted body", base(keep), webhook.SigningStandard, testSecret, `{"a":"é","b":1}`, 0, false, "read and written again"},
		{"stranger's secret", base(keep), webhook.SigningStandard, own, body, 0, false, "No signature fits"},
		{"Ed25519", base(func(w *webhook.Webhook) { w.Signing, w.Secret = webhook.SigningEd25519, ed }), webhook.SigningEd25519, ed, body, 0, true, "in time"},
		{"another Ed25519 key", base(func(w *webhook.Webhook) { w.Signing, w.Secret = webhook.SigningEd25519, ed }), webhook.SigningEd25519, webhook.SigningEd25519.NewSecret(), body, 0, false, "No signature fits"},
		{"the other scheme", base(func(w *webhook.Webhook) { w.Signing, w.Secret = webhook.SigningEd25519, ed }), webhook.SigningStandard, testSecret, body, 0, false, "of the version v1a"},
	} {
		stamp := strconv.FormatInt(now.Add(-c.age).Unix(), 10)
		r := &Received{Content: []byte(body), Headers: []webhook.Header{
			{Name: "Webhook-Id", Value: "test_1"},
			{Name: "webhook-timestamp", Value: stamp},
			{Name: "WEBHOOK-SIGNATURE", Value: "v9,AAAA " + sign(c.scheme, c.key, []byte("test_1."+stamp+"."+c.signed))},
		}}
		valid, message, err := Explain(c.w, r, now, func() (Suspects, error) { return Suspects{}, nil })
		if err != nil || valid != c.valid || !strings.Contains(message, c.says) || !strings.HasSuffix(message, ".") {
			t.Errorf("%s: %t, %s, %v; want %t, %s", c.name, valid, message, err, c.valid, c.says)
		}
	}
	fault := errors.New("disk on fire")
	r := &Received{Content: []byte(body), Headers: []webhook.Header{
		{Name: "webhook-id", Value: "test_1"}, {Name: "webhook-timestamp", Value: "1"}, {Name: "webhook-signature", Value: "v1," + base64.StdEncoding.EncodeToString([]byte("x"))},
	}}
	if _, _, err := Explain(base(keep), r, now, func() (Suspects, error) { return Suspects{}, fault }); !errors.Is(err, fault) {
		t.Errorf("a fault of ours is told as %v", err)
	}
}
