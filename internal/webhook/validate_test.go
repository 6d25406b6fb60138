package webhook

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// valid is a webhook without a mistake.
func valid() *Webhook {
	return &Webhook{
		UID:           "mine",
		Name:          "Mine",
		URL:           "https://example.com/",
		Events:        []string{"job.status"},
		Method:        MethodPost,
		PayloadFormat: FormatEnvelope,
		Signing:       SigningStandard,
		Secret:        NewSecret(),
		TimeoutMs:     15_000,
		RetryPolicy:   DefaultRetryPolicy(),
		Metadata:      []byte("{}"),
	}
}

func TestValidWebhook(t *testing.T) {
	t.Parallel()
	if errs := valid().Validate(); errs != nil {
		t.Errorf("Validate of a valid webhook = %v", errs)
	}
}

// TestValidate makes one mistake at a time and wants exactly that one back.
func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2049)
	for _, test := range []struct {
		mistake string
		make    func(*Webhook)
		want    string // code, path
	}{
		{"uid like an id", func(w *Webhook) { w.UID = "wh_1" }, "INVALID uid"},
		{"uid with a space", func(w *Webhook) { w.UID = "a b" }, "INVALID uid"},
		{"no uid", func(w *Webhook) { w.UID = "" }, "INVALID uid"},
		{"no name", func(w *Webhook) { w.Name = "" }, "REQUIRED name"},
		{"long name", func(w *Webhook) { w.Name = long }, "TOO_LONG name"},
		{"control character", func(w *Webhook) { w.Name = "a\x00b" }, "INVALID name"},
		{"long description", func(w *Webhook) { w.Description = &long }, "TOO_LONG description"},
		{"no events", func(w *Webhook) { w.Events = nil }, "REQUIRED events"},
		{"many events", func(w *Webhook) { w.Events = strings.Split(strings.Repeat("a,", 100)+"a", ",") }, "TOO_LONG events"},
		{"names in one text", func(w *Webhook) { w.Events = []string{"ok", "job.status, order.status"} }, "INVALID events.1"},
		{"star in the middle", func(w *Webhook) { w.Events = []string{"job*"} }, "INVALID events.0"},
		{"empty event", func(w *Webhook) { w.Events = []string{""} }, "INVALID events.0"},
		{"short time-out", func(w *Webhook) { w.TimeoutMs = 999 }, "INVALID timeoutMs"},
		{"long time-out", func(w *Webhook) { w.TimeoutMs = 30_001 }, "INVALID timeoutMs"},
		{"own header of the service", func(w *Webhook) { w.Headers = []Header{{"Webhook-Id", "1"}} }, "INVALID headers.0.name"},
		{"header of the connection", func(w *Webhook) { w.Headers = []Header{{"connection", "close"}} }, "INVALID headers.0.name"},
		{"header with a colon", func(w *Webhook) { w.Headers = []Header{{"a:b", "1"}} }, "INVALID headers.0.name"},
		{"header split", func(w *Webhook) { w.Headers = []Header{{"X-A", "1\r\nX-B: 2"}} }, "INVALID headers.0.value"},
		{"header not ASCII", func(w *Webhook) { w.Headers = []Header{{"X-A", "é"}} }, "INVALID headers.0.value"},
		{"header twice", func(w *Webhook) { w.Headers = []Header{{"X-A", "1"}, {"x-a", "2"}} }, "INVALID headers.1.name"},
		{"many events", func(w *Webhook) { w.Events = slices.Repeat([]string{"a"}, MaxEvents+1) }, "TOO_LONG events"},
		{"many headers", func(w *Webhook) {
			for i := range 21 {
				w.Headers = append(w.Headers, Header{fmt.Sprint("X-", i), "1"})
			}
		}, "TOO_LONG headers"},
		{"empty resource", func(w *Webhook) { w.ResourceIDs = []string{"dc-1", ""} }, "INVALID resourceIds.1"},
		{"long resource", func(w *Webhook) { w.ResourceIDs = []string{strings.Repeat("é", 129)} }, "INVALID resourceIds.0"},
		{"resource with a space", func(w *Webhook) { w.ResourceIDs = []string{"dc 1", " dc"} }, "INVALID resourceIds.1"},
		{"many resources", func(w *Webhook) { w.ResourceIDs = slices.Repeat([]string{"a"}, 101) }, "TOO_LONG resourceIds"},
		{"no requests per second", func(w *Webhook) { w.RateLimitPerSecond = new(int) }, "INVALID rateLimitPerSecond"},
		{"many requests per second", func(w *Webhook) { n := 10_001; w.RateLimitPerSecond = &n }, "INVALID rateLimitPerSecond"},
		{"no attempts", func(w *Webhook) { w.RetryPolicy.MaxAttempts = 0 }, "INVALID retryPolicy.maxAttempts"},
		{"many attempts", func(w *Webhook) { w.RetryPolicy.MaxAttempts = 21 }, "INVALID retryPolicy.maxAttempts"},
		{"no delay", func(w *Webhook) { w.RetryPolicy.InitialDelaySeconds = 0 }, "INVALID retryPolicy.initialDelaySeconds"},
		{"long delay", func(w *Webhook) { w.RetryPolicy.MaxDelaySeconds = 86_401 }, "INVALID retryPolicy.maxDelaySeconds"},
		{"shrinking delay", func(w *Webhook) { w.RetryPolicy.BackoffFactor = 0.5 }, "INVALID retryPolicy.backoffFactor"},
		{"delay that is no number", func(w *Webhook) { w.RetryPolicy.BackoffFactor = math.NaN() }, "INVALID retryPolicy.backoffFactor"},
		{"metadata no object", func(w *Webhook) { w.Metadata = []byte("[]") }, "INVALID metadata"},
		{"large metadata", func(w *Webhook) { w.Metadata = []byte(`{"a":"` + strings.Repeat("x", MaxMetadata) + `"}`) }, "INVALID metadata"},
		{"GET with an envelope", func(w *Webhook) { w.Method = MethodGet }, "INVALID payloadFormat"},
		{"short secret", func(w *Webhook) { w.Secret = "123456789012345" }, "INVALID secret"},
		{"secret of 23 bytes", func(w *Webhook) { w.Secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=" }, "INVALID secret"},
		{"secret no base64", func(w *Webhook) { w.Secret = "whsec_!" }, "INVALID secret"},
		{"secret of the other scheme", func(w *Webhook) { w.Secret = "whsk_" + Secret(strings.Repeat("a", 40)) }, "INVALID secret"},
		{"secret not ASCII", func(w *Webhook) { w.Secret = "ééééééééé" }, "INVALID secret"},
		{"no private key", func(w *Webhook) { w.Signing = SigningEd25519 }, "INVALID secret"},
		{"private key of 31 bytes", func(w *Webhook) { w.Signing, w.Secret = SigningEd25519, privateKey(make([]byte, 31)) }, "INVALID secret"},
		{"private key with another's public key", func(w *Webhook) { w.Signing, w.Secret = SigningEd25519, privateKey(make([]byte, 64)) }, "INVALID secret"},
		{"private key no base64", func(w *Webhook) { w.Signing, w.Secret = SigningEd25519, "whsk_!" }, "INVALID secret"},
		{"public key for a secret", func(w *Webhook) { w.Signing, w.Secret = SigningEd25519, "whpk_"+privateKey(make([]byte, 32))[5:] }, "INVALID secret"},
		{"secret without signing", func(w *Webhook) { w.Signing = SigningNone }, "INVALID secret"},
	} {
		w := valid()
		test.make(w)
		var got []string
		for _, e := range w.Validate() {
			got = append(got, string(e.Code)+" "+strings.Join(e.Field, "."))
			if e.Message == "" || !strings.HasSuffix(e.Message, ".") && !strings.HasSuffix(e.Message, "?") {
				t.Errorf("%s: message is no sentence: %q", test.mistake, e.Message)
			}
		}
		if diff := cmp.Diff([]string{test.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.mistake, diff)
		}
	}
}

func TestSecretKey(t *testing.T) {
	t.Parallel()
	for secret, want := range map[Secret]string{
		"QWZTFnMEXhqZKNmu":                       "QWZTFnMEXhqZKNmu",
		"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz": "012345678901234567890123",
	} {
		got, err := secret.Key()
		if err != nil || string(got) != want {
			t.Errorf("Key of %q = %q, %v, want %q", string(secret), got, err, want)
		}
	}
	if key, err := NewSecret().Key(); err != nil || len(key) != 32 {
		t.Errorf("Key of a new secret = %d bytes, %v, want 32", len(key), err)
	}
}

func privateKey(raw []byte) Secret {
	return Secret(privateKeyPrefix + base64.StdEncoding.EncodeToString(raw))
}

// TestPrivateKey reads the first test vector of RFC 8032 §7.1, in both lengths.
func TestPrivateKey(t *testing.T) {
	t.Parallel()
	seed, _ := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	public, _ := hex.DecodeString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	for _, raw := range [][]byte{seed, slices.Concat(seed, public)} {
		w := valid()
		w.Signing, w.Secret = SigningEd25519, privateKey(raw)
		if errs := w.Validate(); errs != nil {
			t.Errorf("a private key of %d bytes: %v", len(raw), errs)
		}
		if got, want := w.PublicKey(), publicKeyPrefix+base64.StdEncoding.EncodeToString(public); got == nil || *got != want {
			t.Errorf("public key of a private one of %d bytes: %v, want %s", len(raw), got, want)
		}
	}
	if key := valid().PublicKey(); key != nil {
		t.Errorf("a symmetric secret has the public key %s", *key)
	}
}

// TestNewSecrets makes a secret by each scheme, fit for it and for no other.
func TestNewSecrets(t *testing.T) {
	t.Parallel()
	schemes := []Signing{SigningStandard, SigningEd25519, SigningNone}
	for _, made := range schemes {
		for _, used := range schemes {
			if mistake := used.CheckSecret(made.NewSecret()); (mistake == nil) != (made == used) {
				t.Errorf("a new secret of %s for %s: %v", made, used, mistake)
			}
		}
	}
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()
	now := Now()
	w := &Webhook{Signing: SigningStandard, Secret: "first"}
	at := func(name string, later time.Duration, want ...Secret) {
		t.Helper()
		if got := w.SecretsAt(now.Add(later)); !slices.Equal(got, want) {
			t.Errorf("%s: %d secrets sign, want %d", name, len(got), len(want))
		}
	}
	at("before", 0, "first")
	w.RotateSecret("second", time.Hour, now)
	at("rotated", 0, "second", "first")
	at("expired", time.Hour, "second")
	w.RotateSecret("third", time.Hour, now)
	at("rotated again", 0, "third", "second")
	w.SetSecret("third")
	at("the same secret", 0, "third", "second")
	w.RotateSecret("fourth", 0, now)
	at("without overlap", 0, "fourth")
	if w.PreviousSecret != "" || w.PreviousSecretExpiresAt != nil {
		t.Error("without overlap the old secret is kept")
	}
	w.RotateSecret("fifth", time.Hour, now)
	w.SetSecret("sixth")
	at("changed at once", 0, "sixth")
	w.Signing = SigningNone
	at("unsigned", 0)
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x"} {
		if got := fmt.Sprintf(verb, secret); got != redacted {
			t.Errorf("Sprintf(%s) = %s", verb, got)
		}
	}
	if got := secret.LogValue().String(); got != redacted {
		t.Errorf("LogValue = %s", got)
	}
}

func TestErrorsCanBeAsked(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", Errors{NewError(Invalid, "a"), NewError(NotFound, "b", "x")})
	if !errors.Is(err, NotFound) || !errors.Is(err, Invalid) || errors.Is(err, Conflict) {
		t.Errorf("errors.Is does not find the codes in %v", err)
	}
	if Errors(nil).OrNil() != nil {
		t.Error("no errors are an error")
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"job.status", "job.status", true},
		{"job.status", "job.statu", false},
		{"job.status", "Job.status", false},
		{"*", "anything", true},
		{"Payout.*", "Payout.created", true},
		{"Payout.*", "Payout", false},
		{"Payout.*", "Payouts.created", false},
	} {
		if got := Match(test.pattern, test.name); got != test.want {
			t.Errorf("Match(%q, %q) = %t", test.pattern, test.name, got)
		}
	}
}

// TestSubscriptions compares Subscriptions with Match.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	patterns := []string{"*", "a", "a.*", "a.b", "a.b.*", "a.b.c", "a..*", ".*", "b.*", "A.*"}
	for _, name := range []string{"a", "a.b", "a.b.c", "a..b", ".b", "b", "ab.c"} {
		for _, pattern := range patterns {
			if got, want := slices.Contains(Subscriptions(name), pattern), Match(pattern, name); got != want {
				t.Errorf("Subscriptions(%q) has %q: %t, want %t", name, pattern, got, want)
			}
		}
	}
}

func TestSetActive(t *testing.T) {
	t.Parallel()
	then, now := Now().AddDate(0, 0, -1), Now()
	for _, test := range []struct {
		name   string
		before Webhook
		active bool
		want   Webhook
	}{
		{"off stays off", Webhook{StatusReason: ReasonOwner, StatusChangedAt: then}, false,
			Webhook{StatusReason: ReasonOwner, StatusChangedAt: then}},
		{"on", Webhook{StatusReason: ReasonOwner, StatusChangedAt: then}, true,
			Webhook{Active: true, StatusReason: ReasonTestPassed, StatusChangedAt: now}},
		{"on stays on", Webhook{Active: true, StatusReason: ReasonOwner, StatusChangedAt: then}, true,
			Webhook{Active: true, StatusReason: ReasonOwner, StatusChangedAt: then}},
		{"on lifts a suspension", Webhook{Active: true, StatusReason: ReasonGone, StatusChangedAt: then}, true,
			Webhook{Active: true, StatusReason: ReasonTestPassed, StatusChangedAt: now}},
		{"off ends a suspension", Webhook{Active: true, StatusReason: ReasonGone, StatusChangedAt: then}, false,
			Webhook{StatusReason: ReasonTestPassed, StatusChangedAt: now}},
	} {
		w := test.before
		w.SetActive(test.active, ReasonTestPassed, now)
		if diff := cmp.Diff(test.want, w); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestSampleCatalogueIsValid(t *testing.T) {
	t.Parallel()
	types, err := SampleEventTypes()
	if err != nil {
		t.Fatal(err)
	}
	if len(types) != 12 {
		t.Errorf("the sample catalogue has %d types, want 12", len(types))
	}
	for _, e := range types {
		if err := ValidateEventName(e.Name); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		if e.Title == "" || e.Category == "" || e.Description == "" || e.Example[0] != '{' {
			t.Errorf("%s lacks a title, category, description or an object as example", e.Name)
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{ "b": 1, "a": [ ] }`:                `{"a":[],"b":1}`,
		`{"n": 12345678901234567890.10}`:      `{"n":12345678901234567890.10}`,
		`{"n": 1e400}`:                        `{"n":1e400}`,
		`"<&>` + "\u2028" + `"`:               `"<&>\u2028"`,
		`{"a": null, "t": true, "f": false }`: `{"a":null,"f":false,"t":true}`,
	} {
		got, err := CanonicalJSON([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("CanonicalJSON(%s) = %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestValidateEventType(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, test := range []struct {
		mistake string
		make    func(*EventType)
		want    string // code, path
	}{
		{"none", func(*EventType) {}, ""},
		{"no name", func(e *EventType) { e.Name = "" }, "INVALID name"},
		{"pattern", func(e *EventType) { e.Name = "job.*" }, "INVALID name"},
		{"long name", func(e *EventType) { e.Name = long }, "INVALID name"},
		{"name of ours", func(e *EventType) { e.Name = "webhook.suspended" }, "INVALID name"},
		{"no title", func(e *EventType) { e.Title = "" }, "REQUIRED title"},
		{"long title", func(e *EventType) { e.Title = long }, "TOO_LONG title"},
		{"no category", func(e *EventType) { e.Category = "" }, "REQUIRED category"},
		{"control character", func(e *EventType) { e.Description = "\x00" }, "INVALID description"},
		{"long description", func(e *EventType) { e.Description = long }, "TOO_LONG description"},
		{"script as a link", func(e *EventType) { link := "javascript:alert(1)"; e.Documentation = &link }, "INVALID_URL documentation"},
		{"large schema", func(e *EventType) { e.Schema = make([]byte, MaxEventTypeJSON+1) }, "TOO_LONG schema"},
		{"large example", func(e *EventType) { e.Example = make([]byte, MaxEventTypeJSON+1) }, "TOO_LONG example"},
	} {
		link := "https://example.com/docs#here"
		e := &EventType{Name: "webhooks.made", Title: "A title", Category: "test", Documentation: &link, Example: []byte("{}")}
		test.make(e)
		var got []string
		for _, mistake := range e.Validate() {
			got = append(got, string(mistake.Code)+" "+strings.Join(mistake.Field, "."))
		}
		if strings.Join(got, "; ") != test.want {
			t.Errorf("%s: %v, want %s", test.mistake, got, test.want)
		}
	}
}

func TestDefaultsOfEventTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"job.status":     {"Job status", "job"},
		"ROUTE_CREATED":  {"Route created", "route"},
		"Payout.created": {"Payout created", "payout"},
		"ping":           {"Ping", "ping"},
		".hidden":        {"Hidden", ".hidden"},
		"...":            {"...", "..."},
	} {
		if got := [2]string{DefaultTitle(name), DefaultCategory(name)}; got != want {
			t.Errorf("title and category of %s: %q, want %q", name, got, want)
		}
	}
}
