package delivery

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
)

// The specification's own example.
func TestSign(t *testing.T) {
	t.Parallel()
	key, err := webhook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").Key()
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("sign = %q, want %q", got, want)
	}
}

func TestSignPassesTheOfficialLibrary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		secret webhook.Secret
		open   func() (*standardwebhooks.Webhook, error)
	}{
		{testSecret, func() (*standardwebhooks.Webhook, error) {
			return standardwebhooks.NewWebhook(string(testSecret))
		}},
		{"a text of my own, with spaces", func() (*standardwebhooks.Webhook, error) {
			return standardwebhooks.NewWebhookRaw([]byte("a text of my own, with spaces"))
		}},
	} {
		lib, err := test.open()
		if err != nil {
			t.Fatal(err)
		}
		key, err := test.secret.Key()
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		header := http.Header{}
		header.Set("webhook-id", "evt_1")
		header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		header.Set("webhook-signature", sign(key, "evt_1", now, []byte("content")))
		if err := lib.Verify([]byte("content"), header); err != nil {
			t.Errorf("with secret %q: %v", string(test.secret), err)
		}
	}
}
