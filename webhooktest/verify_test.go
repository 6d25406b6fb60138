package webhooktest

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// signed is the header of the specification's own example, and what it signs.
func signed() (http.Header, []byte, time.Time) {
	header := http.Header{}
	header.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	header.Set("webhook-timestamp", "1614265330")
	header.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	return header, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(header http.Header)
		secret string
		at     time.Duration // how much later it is checked
		want   string        // in the error; "": valid
	}{
		{name: "valid"},
		{name: "at the end of the tolerance", at: Tolerance},
		{name: "at its beginning", at: -Tolerance},
		{name: "too old", at: Tolerance + time.Second, want: "more than 5m0s old"},
		{name: "too new", at: -Tolerance - time.Second, want: "more than 5m0s ahead"},
		{name: "one of several", change: set("webhook-signature", "v1,AAAA v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2")},
		{name: "none of several", change: set("webhook-signature", "v1,AAAA v1,BBBB"), want: "no signature matches"},
		{name: "another version", change: set("webhook-signature", "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), want: "version v1"},
		{name: "no base64", change: set("webhook-signature", "v1,!"), want: "no signature matches"},
		{name: "empty", change: set("webhook-signature", "v1,"), want: "no signature matches"},
		{name: "unsigned", change: func(h http.Header) { h.Del("webhook-signature") }, want: ErrUnsigned.Error()},
		{name: "no id", change: func(h http.Header) { h.Del("webhook-id") }, want: "webhook-id"},
		{name: "no timestamp", change: func(h http.Header) { h.Del("webhook-timestamp") }, want: "webhook-timestamp"},
		{name: "another id", change: set("webhook-id", "msg_2"), want: "no signature matches"},
		{name: "another timestamp", change: set("webhook-timestamp", "1614265331"), want: "no signature matches"},
		{name: "timestamp in another spelling", change: set("webhook-timestamp", "+1614265330"), want: "no signature matches"},
		{name: "no number", change: set("webhook-timestamp", "now"), want: "no number"},
		{name: "another secret", secret: "whsec_AAAA", want: "no signature matches"},
		{name: "the secret as raw key", secret: strings.TrimPrefix(secret, "whsec_"), want: "no signature matches"},
		{name: "a public key", secret: "whpk_" + strings.Repeat("A", 43) + "=", want: "version v1a"},
		{name: "a broken public key", secret: "whpk_AAAA", want: "not the base64 of 32 bytes"},
		{name: "a broken private key", secret: "whsk_!", want: "not the base64 of 32 bytes"},
		{name: "broken secret", secret: "whsec_!", want: "not base64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			header, content, now := signed()
			if test.change != nil {
				test.change(header)
			}
			if test.secret == "" {
				test.secret = secret
			}
			err := Verify(test.secret, header, content, now.Add(test.at))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func set(name, value string) func(http.Header) {
	return func(h http.Header) { h.Set(name, value) }
}

func TestVerifyWantsTheSameContent(t *testing.T) {
	t.Parallel()
	header, content, now := signed()
	for i := range content {
		changed := append([]byte(nil), content...)
		changed[i] ^= 1
		if Verify(secret, header, changed, now) == nil {
			t.Fatalf("with byte %d changed: got nil, want an error", i)
		}
	}
}

func TestVerifyUnsignedIsToldApart(t *testing.T) {
	t.Parallel()
	if err := Verify(secret, http.Header{}, nil, time.Now()); !errors.Is(err, ErrUnsigned) {
		t.Errorf("got %v, want ErrUnsigned", err)
	}
}

// What the official library signs we accept, with both kinds of secret; and
// what we accept of anything, it accepts.
func FuzzVerify(f *testing.F) {
	f.Add("a text of my own", "evt_1", []byte(`{}`), "v1,AAAA")
	f.Add(secret, "", []byte("a=b"), "v1, v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= ,")
	f.Add("", "a.b", []byte(nil), "v1a")
	f.Fuzz(func(t *testing.T, secret, id string, content []byte, other string) {
		lib, err := standardwebhooks.NewWebhookRaw([]byte(secret))
		if strings.HasPrefix(secret, "whsec_") {
			lib, err = standardwebhooks.NewWebhook(secret)
		}
		if err != nil || id == "" {
			return
		}
		now := time.Now()
		signature, err := lib.Sign(id, now, content)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {unix(now)}, "Webhook-Signature": {other + " " + signature}}
		if err := Verify(secret, header, content, now); err != nil {
			t.Errorf("of the official library's signature: %v", err)
		}
		header.Set("webhook-signature", other)
		if Verify(secret, header, content, now) == nil && lib.Verify(content, header) != nil {
			t.Errorf("%q passed, want it refused as the official library does", other)
		}
	})
}
