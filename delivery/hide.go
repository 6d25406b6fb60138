package delivery

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// hidden are the texts of a webhook that no answer may show: its secrets, and the
// values of its own headers, in all their spellings.
type hidden struct{ secrets, values []string }

func hiddenOf(w *webhook.Webhook) (h hidden) {
	for _, secret := range []webhook.Secret{w.Secret, w.PreviousSecret} {
		bare := strings.TrimPrefix(strings.TrimPrefix(string(secret), webhook.SecretPrefix), "whsk_")
		if bare == "" {
			continue
		}
		h.secrets = append(h.secrets, spellings(strings.TrimRight(bare, "="))...)
		if key, err := secret.Key(); err == nil {
			h.secrets = append(h.secrets, hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)))
		}
	}
	for _, own := range w.Headers {
		if len(own.Value) >= leastValue {
			h.values = append(h.values, spellings(own.Value)...)
		}
	}
	return h
}

// hide takes them out of all that an answer shows, and notes whether there was a
// secret.
func (h hidden) hide(a *probe.Answer) {
	a.Secret = mask(a, h.secrets)
	mask(a, h.values)
}

// leastValue is how long a header's value is at least that is looked for: what is
// shorter stands in answers by chance.
const leastValue = 8

// escapes are how JSON, HTML and URLs write the characters of secrets.
var escapes = []*strings.Replacer{
	strings.NewReplacer("/", `\/`),
	strings.NewReplacer("+", `\u002B`, "/", `\/`, "=", `\u003D`),
	strings.NewReplacer("+", `\u002B`, "=", `\u003D`),
	strings.NewReplacer("+", `\u002B`),
	strings.NewReplacer("+", `\u002b`, "=", `\u003d`),
	strings.NewReplacer("+", `\u002b`),
	strings.NewReplacer("+", "&#43;"),
	strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D", " ", "+"),
	strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D", " ", "%20"),
	strings.NewReplacer("+", "%2b", "/", "%2f", "=", "%3d", " ", "+"),
	strings.NewReplacer("+", "%2b", "/", "%2f", "=", "%3d", " ", "%20"),
	strings.NewReplacer("=", "%3D", " ", "%20"),
	strings.NewReplacer("+", "-", "/", "_"),
}

// spellings are a text as answers may show it.
func spellings(text string) []string {
	list := []string{text}
	for _, escape := range escapes {
		if escaped := escape.Replace(text); !slices.Contains(list, escaped) {
			list = append(list, escaped)
		}
	}
	return list
}

// mask takes texts out of an answer, and says whether there were any.
func mask(a *probe.Answer, texts []string) (found bool) {
	places := []*string{&a.Sentence, &a.Detail}
	if a.Response != nil {
		places = append(places, &a.Response.StatusText)
		for i := range a.Response.Headers {
			places = append(places, &a.Response.Headers[i].Name, &a.Response.Headers[i].Value)
		}
	}
	for _, text := range texts {
		for _, place := range places {
			if strings.Contains(*place, text) {
				*place, found = strings.ReplaceAll(*place, text, webhook.Mask), true
			}
		}
		if a.Response != nil && bytes.Contains(a.Response.Body, []byte(text)) {
			a.Response.Body, found = bytes.ReplaceAll(a.Response.Body, []byte(text), []byte(webhook.Mask)), true
		}
	}
	return found
}
