package delivery

import (
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// hide takes a webhook's secrets, and the values of its own headers, out of all
// that its answer shows, and notes whether there was a secret.
func hide(w *webhook.Webhook, a *probe.Answer) {
	for _, secret := range []webhook.Secret{w.Secret, w.PreviousSecret} {
		if secret != "" {
			a.Secret = hidden(a, spellings(secret)) || a.Secret
		}
	}
	for _, h := range w.Headers {
		if len(h.Value) >= leastValue {
			hidden(a, regexp.MustCompile(escaped(h.Value)))
		}
	}
}

// leastValue is how long a header's value is at least that is looked for: what is
// shorter stands in answers by chance.
const leastValue = 8

// spellings finds a secret as an answer may show it.
func spellings(secret webhook.Secret) *regexp.Regexp {
	bare := strings.TrimPrefix(strings.TrimPrefix(string(secret), webhook.SecretPrefix), "whsk_")
	pattern := escaped(bare)
	if key, err := secret.Key(); err == nil {
		pattern += "|(?i:" + hex.EncodeToString(key) + ")"
	}
	return regexp.MustCompile(pattern)
}

// escapes are the characters of secrets that are written in other ways in JSON,
// HTML and URLs.
var escapes = map[rune]string{
	' ': `(?: |\+|%20)`,
	'+': `(?:\+|-|%2[bB]|\\u002[bB]|&#43;|&#[xX]2[bB];)`,
	'/': `(?:/|_|\\/|%2[fF]|\\u002[fF]|&#47;|&#[xX]2[fF];)`,
	'=': `(?:=|%3[dD]|\\u003[dD]|&#61;|&#[xX]3[dD];)`,
}

// escaped is the pattern of a text, as it is or escaped. The end of base64 may be
// missing.
func escaped(text string) string {
	var pattern strings.Builder
	bare := strings.TrimRight(text, "=")
	for _, r := range bare {
		if p, ok := escapes[r]; ok {
			pattern.WriteString(p)
		} else {
			pattern.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	pattern.WriteString(strings.Repeat(escapes['=']+"?", len(text)-len(bare)))
	return pattern.String()
}

// hidden masks what fits a pattern in all texts of an answer, and says whether
// there was any.
func hidden(a *probe.Answer, pattern *regexp.Regexp) (found bool) {
	mask := func(text *string) {
		if pattern.MatchString(*text) {
			*text, found = pattern.ReplaceAllString(*text, webhook.Mask), true
		}
	}
	mask(&a.Sentence)
	mask(&a.Detail)
	if a.Response == nil {
		return found
	}
	mask(&a.Response.StatusText)
	for i := range a.Response.Headers {
		mask(&a.Response.Headers[i].Name)
		mask(&a.Response.Headers[i].Value)
	}
	if pattern.Match(a.Response.Body) {
		a.Response.Body, found = pattern.ReplaceAll(a.Response.Body, []byte(webhook.Mask)), true
	}
	return found
}
