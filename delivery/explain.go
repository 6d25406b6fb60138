package delivery

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Tolerance is how far a request's timestamp may be from now, either way: the
// official libraries of Standard Webhooks refuse others.
const Tolerance = 5 * time.Minute

// Received is a request as a receiver got it.
type Received struct {
	Headers []webhook.Header
	// Content is what is signed: the body, and for GET the raw query.
	Content []byte
}

// MessageID is the id of the message that the request carries, "" for none.
func (r *Received) MessageID() string { return r.header("webhook-id") }

func (r *Received) header(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return strings.TrimSpace(h.Value)
		}
	}
	return ""
}

// Suspects are what else a signature that does not fit may have been made with.
type Suspects struct {
	// Others are further webhooks of the workspace.
	Others []*webhook.Webhook
	// Sent is the content that was sent under the request's message id, of an
	// event to w, of a test to anybody; nil where none is known.
	Sent []byte
}

// Explain says whether a request carries a valid signature of w at a time, and
// in one sentence why, or why not. Suspects are asked for only where the
// signature fits neither w's secrets nor the content.
func Explain(w *webhook.Webhook, r *Received, now time.Time, suspects func() (Suspects, error)) (valid bool, message string, err error) {
	if message := incomplete(w, r); message != "" {
		return false, message, nil
	}
	c := claim{id: r.MessageID(), stamp: r.header("webhook-timestamp"), signatures: r.header("webhook-signature")}
	for i, secret := range w.SecretsAt(now) {
		if c.fits(w.Signing, secret, r.Content) {
			valid, message := timely(c.stamp, now, i > 0)
			return valid, message, nil
		}
	}
	if message := otherReading(w, c, r.Content, now); message != "" {
		return false, message, nil
	}
	found, err := suspects()
	if err != nil {
		return false, "", err
	}
	return false, accuse(w, c, r.Content, found, now), nil
}

// maxSignatures is how many signatures of a request are looked at: each is tried
// with the secrets of all suspects.
const maxSignatures = 16

// incomplete says what a request lacks to be verified at all, or "".
func incomplete(w *webhook.Webhook, r *Received) string {
	if w.Signing == webhook.SigningNone {
		return "This webhook does not sign its requests. Change its `signing`, or verify nothing."
	}
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		if r.header(name) == "" {
			return fmt.Sprintf("The header %s is missing. Give all headers of the request, and check that no proxy removes it.", name)
		}
	}
	if _, err := strconv.ParseInt(r.header("webhook-timestamp"), 10, 64); err != nil {
		return "The header webhook-timestamp is no number of seconds since 1970. Give the headers as they came."
	}
	signatures := strings.Fields(r.header("webhook-signature"))
	if len(signatures) > maxSignatures {
		return fmt.Sprintf("The header webhook-signature lists %d signatures, of which at most %d are looked at. Give it as it came.", len(signatures), maxSignatures)
	}
	version := versionOf(w.Signing)
	if !slices.ContainsFunc(signatures, func(s string) bool { return strings.HasPrefix(s, version) }) {
		return fmt.Sprintf("The header webhook-signature holds no signature of the version %s that this webhook's scheme makes. Give the header whole; it is one or more of `%sBASE64`, with spaces between.", strings.TrimSuffix(version, ","), version)
	}
	return ""
}

func versionOf(scheme webhook.Signing) string {
	if scheme == webhook.SigningEd25519 {
		return "v1a,"
	}
	return "v1,"
}

// claim is what a request says of itself.
type claim struct{ id, stamp, signatures string }

// fits says whether one of the signatures is that of the content.
func (c claim) fits(scheme webhook.Signing, secret webhook.Secret, content []byte) bool {
	if scheme.CheckSecret(secret) != nil {
		return false
	}
	message := signedMessage(c.id, c.stamp, content)
	if scheme == webhook.SigningEd25519 {
		key, _ := secret.PrivateKey() // checked above
		return c.any(scheme, func(signature []byte) bool {
			return ed25519.Verify(key.Public().(ed25519.PublicKey), message, signature)
		})
	}
	key, _ := secret.Key() // checked above
	return c.fitsKey(key, message)
}

func (c claim) fitsKey(key, message []byte) bool {
	sum := hmacSHA256(key, message)
	return c.any(webhook.SigningStandard, func(signature []byte) bool { return hmac.Equal(signature, sum) })
}

func (c claim) any(scheme webhook.Signing, is func([]byte) bool) bool {
	for signature := range strings.FieldsSeq(c.signatures) {
		encoded, ok := strings.CutPrefix(signature, versionOf(scheme))
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if ok && err == nil && is(raw) {
			return true
		}
	}
	return false
}

// timely judges the time of a request whose signature fits.
func timely(stamp string, now time.Time, previous bool) (valid bool, message string) {
	seconds, _ := strconv.ParseInt(stamp, 10, 64) // incomplete has read it
	off := now.Sub(time.Unix(seconds, 0)).Round(time.Second)
	switch {
	case off > Tolerance:
		return false, fmt.Sprintf("The signature fits, but webhook-timestamp is %s old; receivers refuse what is more than %s off, so that nobody can send it again. If the request just came, correct the receiver's clock.", off, Tolerance)
	case off < -Tolerance:
		return false, fmt.Sprintf("The signature fits, but webhook-timestamp is %s ahead; receivers refuse what is more than %s off. Correct the receiver's clock.", -off, Tolerance)
	case previous:
		return true, "Valid: signed with the secret before the last rotation, which signs besides the new one until its overlap ends."
	}
	return true, "Valid: signed with this webhook's secret, and in time."
}

// otherReading looks for a secret of the webhook's own that was used wrongly,
// or a content that was changed in a way that can be undone; "" for none.
func otherReading(w *webhook.Webhook, c claim, content []byte, now time.Time) string {
	if w.PreviousSecret != "" && c.fits(w.Signing, w.PreviousSecret, content) {
		return "Signed with the secret before the last rotation, which no longer signs. Use the present one."
	}
	if w.Signing == webhook.SigningStandard {
		message := signedMessage(c.id, c.stamp, content)
		for _, key := range wrongKeys(string(w.Secret)) {
			if c.fitsKey(key, message) {
				return "Signed with another reading of this webhook's secret: what follows `whsec_` is the base64 of the key, and a secret without `whsec_` is the key itself, byte for byte. Choose your library's constructor accordingly."
			}
		}
	}
	for _, variant := range variants(content) {
		for _, secret := range w.SecretsAt(now) {
			if c.fits(w.Signing, secret, variant) {
				return "The body was changed after it was signed: read and written again as JSON, or given a line break. Verify the raw bytes of the body, before anything parses it."
			}
		}
	}
	return ""
}

// wrongKeys are the keys that a secret is taken for by mistake.
func wrongKeys(secret string) (keys [][]byte) {
	encoded, ours := strings.CutPrefix(secret, webhook.SecretPrefix)
	if ours {
		return [][]byte{[]byte(secret), []byte(encoded)}
	}
	if key, err := base64.StdEncoding.DecodeString(encoded); err == nil {
		keys = append(keys, key)
	}
	return append(keys, []byte(webhook.SecretPrefix+secret))
}

// variants are what a changed body may have been.
func variants(content []byte) (list [][]byte) {
	add := func(v []byte) {
		if !bytes.Equal(v, content) {
			list = append(list, v)
		}
	}
	add(bytes.TrimSpace(content))
	var compact bytes.Buffer
	if json.Compact(&compact, content) == nil {
		add(compact.Bytes())
	}
	var value any
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	if dec.Decode(&value) == nil {
		if sorted, err := webhook.EncodeJSON(value); err == nil {
			add(sorted)
		}
	}
	return list
}

// accuse says which suspect fits, or that none does.
func accuse(w *webhook.Webhook, c claim, content []byte, s Suspects, now time.Time) string {
	for _, other := range s.Others {
		for _, secret := range other.SecretsAt(now) {
			if other.ID != w.ID && c.fits(other.Signing, secret, content) {
				return fmt.Sprintf("Signed with the secret of another webhook of this workspace, %q (%s). Use that one's secret for its requests.", other.Name, other.ID)
			}
		}
	}
	if s.Sent == nil {
		return "No signature fits: the secret or the body is another than was signed. Give the raw body and all headers of one request, and compare the receiver's secret with this webhook's."
	}
	what, rewritten := "body", rewrittenJSON
	if w.Method == webhook.MethodGet {
		what, rewritten = "query", rewrittenQuery
	}
	if bytes.Equal(s.Sent, content) {
		return fmt.Sprintf("The %s is what was sent under this id, but no signature fits it. Give the headers of the same request, unchanged.", what)
	}
	return fmt.Sprintf("The %s is not what was sent under this id%s: %d bytes are given, %d were sent, and they differ from byte %d on. Verify the raw bytes of the %s, before anything parses it.",
		what, rewritten(content, s.Sent), len(content), len(s.Sent), common(content, s.Sent)+1, what)
}

// rewrittenJSON names how the body that was sent became another, "" where that
// cannot be told.
func rewrittenJSON(given, sent []byte) string {
	var a, b any
	switch {
	case bytes.HasPrefix(sent, given):
		return " but the beginning of it"
	case json.Unmarshal(given, &a) == nil && json.Unmarshal(sent, &b) == nil && reflect.DeepEqual(a, b):
		return " but the same JSON, parsed and written again"
	}
	return ""
}

// rewrittenQuery is rewrittenJSON for the query of a GET.
func rewrittenQuery(given, sent []byte) string {
	a, errA := url.ParseQuery(string(given))
	b, errB := url.ParseQuery(string(sent))
	decoded, err := url.QueryUnescape(string(sent))
	switch {
	case string(given) == "?"+string(sent):
		return " but has the `?` before it"
	case err == nil && string(given) == decoded:
		return " but decoded"
	case bytes.HasPrefix(sent, given):
		return " but the beginning of it"
	case errA == nil && errB == nil && reflect.DeepEqual(a, b):
		return " but the same parameters, parsed and written again"
	}
	return ""
}

// common is how many bytes two texts begin with alike.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
