// Package webhook is what HookQL is about: webhooks, event types, test runs
// and what happened on the wire, with the rules that make each of them valid.
// It knows neither GraphQL nor SQL nor HTTP clients; everything else imports
// it.
package webhook

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Webhook is a URL that is called when events of certain types happen. It
// belongs to one workspace and never sees another's events.
type Webhook struct {
	ID          string
	WorkspaceID string
	// UID is the owner's own id, unique in the workspace and accepted wherever
	// ID is. It never begins as an ID does, so the two cannot be confused.
	UID         string  `validate:"uid"`
	Name        string  `validate:"required,max=256,text"`
	Description *string `validate:"omitempty,max=2048,text"`
	// URL is checked by delivery.Policy, which knows where may be sent to.
	URL string
	// Events are names of event types, or patterns that Match understands.
	Events []string `validate:"min=1,max=100,dive,event"`
	// ResourceIDs are the platform's resources that it is limited to; none: it
	// gets events about any.
	ResourceIDs []string `validate:"max=100,dive,resource"`
	// Active is the owner's switch.
	Active          bool
	StatusReason    StatusReason
	StatusChangedAt time.Time
	Method          Method
	PayloadFormat   PayloadFormat
	Signing         Signing
	// Secret signs requests; empty where they are not signed.
	Secret Secret
	// PreviousSecret signs besides until PreviousSecretExpiresAt; empty and nil
	// where there is none.
	PreviousSecret          Secret
	PreviousSecretExpiresAt *time.Time
	// Headers are sent with every request, in this order.
	Headers []Header `validate:"max=20,dive"`
	// TimeoutMs is how long one request may take, from name lookup to the end
	// of the answer.
	TimeoutMs int `validate:"min=1000,max=30000"`
	// RateLimitPerSecond is the most requests per second; nil: no limit.
	RateLimitPerSecond *int `validate:"omitempty,min=1,max=10000"`
	RetryPolicy        RetryPolicy
	Metadata           json.RawMessage `validate:"metadata"`
	// Version grows by one with every change.
	Version   int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Status says whether events flow to the webhook.
func (w *Webhook) Status() Status {
	switch {
	case !w.Active:
		return StatusInactive
	case w.StatusReason == ReasonGone || w.StatusReason == ReasonFailing:
		return StatusSuspended
	default:
		return StatusActive
	}
}

// SetActive turns the owner's switch and says why; turning it on also lifts a
// suspension. Where nothing changes, the old reason and time stay.
func (w *Webhook) SetActive(active bool, reason StatusReason, now time.Time) {
	before := w.Status()
	w.Active = active
	if active == (before == StatusActive) && before != StatusSuspended {
		return
	}
	w.StatusReason = reason
	w.StatusChangedAt = now
}

// SetSecret changes the secret at once. Where it is another, nothing older
// signs any more.
func (w *Webhook) SetSecret(secret Secret) {
	if secret == w.Secret {
		return
	}
	w.Secret = secret
	w.PreviousSecret, w.PreviousSecretExpiresAt = "", nil
}

// RotateSecret changes the secret and lets the old one sign besides until the
// overlap is over.
func (w *Webhook) RotateSecret(secret Secret, overlap time.Duration, now time.Time) {
	old := w.Secret
	w.SetSecret(secret)
	if overlap > 0 {
		expires := now.Add(overlap)
		w.PreviousSecret, w.PreviousSecretExpiresAt = old, &expires
	}
}

// SecretsAt are the secrets that sign at a time, the newest first.
func (w *Webhook) SecretsAt(now time.Time) []Secret {
	switch expires := w.PreviousSecretExpiresAt; {
	case w.Signing == SigningNone:
		return nil
	case expires != nil && now.Before(*expires):
		return []Secret{w.Secret, w.PreviousSecret}
	default:
		return []Secret{w.Secret}
	}
}

// PublicKey is what receivers verify SigningEd25519 with; nil for other schemes.
func (w *Webhook) PublicKey() *string {
	if w.Signing != SigningEd25519 {
		return nil
	}
	key, err := w.Secret.PrivateKey()
	if err != nil {
		return nil // Validate lets no such secret in
	}
	public := encodePublicKey(key)
	return &public
}

// Subscribes says whether the webhook wants events of the given type.
func (w *Webhook) Subscribes(eventName string) bool {
	for _, pattern := range w.Events {
		if Match(pattern, eventName) {
			return true
		}
	}
	return false
}

// Match says whether an event type's name fits a subscription: the name
// itself, "*" for all, or "job.*" for all that begin with "job.". Operational
// event types fit no pattern.
func Match(pattern, eventName string) bool {
	prefix, isPrefix := strings.CutSuffix(pattern, "*")
	if !isPrefix {
		return pattern == eventName
	}
	return strings.HasPrefix(eventName, prefix) && !Reserved(eventName)
}

// IsPattern says whether a subscription is a pattern rather than a name.
func IsPattern(subscription string) bool { return strings.HasSuffix(subscription, "*") }

// Status says whether events flow to a webhook.
type Status string

// The statuses of a webhook.
const (
	StatusActive    Status = "ACTIVE"
	StatusInactive  Status = "INACTIVE"
	StatusSuspended Status = "SUSPENDED"
)

// StatusReason says why a webhook has its status.
type StatusReason string

// The reasons for a status.
const (
	ReasonOwner      StatusReason = "OWNER"
	ReasonTestPassed StatusReason = "TEST_PASSED"
	ReasonGone       StatusReason = "GONE"
	ReasonFailing    StatusReason = "FAILING"
)

// Method is how an event is sent.
type Method string

// The methods.
const (
	// MethodPost sends the payload as a JSON body.
	MethodPost Method = "POST"
	// MethodGet sends the data's top-level members as query parameters.
	MethodGet Method = "GET"
)

// PayloadFormat is what a request carries.
type PayloadFormat string

// The payload formats.
const (
	// FormatStandard is type, timestamp and data, as Standard Webhooks names them.
	FormatStandard PayloadFormat = "STANDARD"
	// FormatEnvelope is event, liveMode, messageId, timestamp and body.
	FormatEnvelope PayloadFormat = "ENVELOPE"
	// FormatData is the event's data alone, the only format for GET.
	FormatData PayloadFormat = "DATA"
)

// DefaultFormat is the payload format where none was chosen.
func DefaultFormat(m Method) PayloadFormat {
	if m == MethodGet {
		return FormatData
	}
	return FormatEnvelope
}

// Signing is how requests are signed.
type Signing string

// The signing schemes.
const (
	// SigningStandard is the symmetric scheme of Standard Webhooks (v1).
	SigningStandard Signing = "STANDARD_WEBHOOKS"
	// SigningEd25519 is the asymmetric scheme of Standard Webhooks (v1a).
	SigningEd25519 Signing = "STANDARD_WEBHOOKS_ED25519"
	// SigningNone sends no signature headers.
	SigningNone Signing = "NONE"
)

// RetryPolicy says when and how often a failed delivery is tried again.
type RetryPolicy struct {
	// MaxAttempts counts the first attempt, too.
	MaxAttempts int `validate:"min=1,max=20"`
	// InitialDelaySeconds pass before the second attempt; each further wait is
	// the one before times BackoffFactor, up to MaxDelaySeconds.
	InitialDelaySeconds int     `validate:"min=1,max=3600"`
	BackoffFactor       float64 `validate:"min=1,max=10"`
	MaxDelaySeconds     int     `validate:"min=1,max=86400"`
}

// DefaultRetryPolicy tries for three days: ten retries, 5 s after the first
// failure, then 20 s, 80 s and so on up to a day apart.
func DefaultRetryPolicy() RetryPolicy {
	return RetryPolicy{MaxAttempts: 11, InitialDelaySeconds: 5, BackoffFactor: 4, MaxDelaySeconds: 86_400}
}

// Header is one HTTP header.
type Header struct {
	Name  string `json:"name"  validate:"headername"`
	Value string `json:"value" validate:"max=4096,headervalue"`
}

// Mask stands in the place of a value that only its owner and the receiver may
// read.
const Mask = "****"

// Masked are headers without their values, which often are credentials.
func Masked(headers []Header) []Header {
	list := make([]Header, len(headers))
	for i, h := range headers {
		list[i] = Header{Name: h.Name, Value: Mask}
	}
	return list
}

// Secret signs requests. It prints as "[secret]" wherever it is logged,
// formatted or encoded; string(s) is the only way to its text.
type Secret string

const redacted = "[secret]"

// Format implements fmt.Formatter.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the secret out of JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Now is the current time as the database keeps it: in UTC, to the microsecond.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// DefaultName is the name of a webhook that was given none: its URL's host.
func DefaultName(rawURL string) string {
	if u, err := url.Parse(rawURL); err == nil && u.Host != "" && len(u.Host) <= 256 {
		return u.Host
	}
	return "webhook"
}
