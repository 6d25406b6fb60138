package probe

import (
	"context"
	"strconv"
	"strings"
	"unicode"

	"github.com/hookql/hookql/internal/webhook"
)

// signatures are about who may send an event: whatever does not verify must be
// refused, and whatever does must be taken.
var signatures = []*Scenario{
	forged(Scenario{
		Name:        "signature.tampered-body",
		Description: "A correct event of which one byte was changed after it was signed, in the body or, for GET, in the query.",
		Expectation: "A 4xx status, such as 401. Else anybody on the way could change what your system believes.",
		Fault:       "the receiver takes an event that was changed after it was signed",
		Mend:        "Verify `webhook-signature` over the raw body before you use anything of it.",
	}, Shot{Bend: tamper}),
	{
		Name:        "signature.tampered-id",
		Suite:       webhook.SuiteSignatures,
		Description: "A correct event whose `webhook-id` was replaced after it was signed.",
		Expectation: "A 4xx status. Else an old event could be sent again under a new id, past any check for duplicates.",
		Fault:       "the receiver takes an event whose id was changed after it was signed",
		Mend:        "Verify the signature over `webhook-id`, `webhook-timestamp` and the raw body, joined by dots.",
		forges:      true,
		needs:       []need{signed},
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{ID: t.another(), Bend: setHeader(idHeader, t.ID)})
			t.refused(&a, "")
		},
	},
	forged(Scenario{
		Name:        "signature.tampered-timestamp",
		Description: "A correct event whose `webhook-timestamp` was changed by one second after it was signed.",
		Expectation: "A 4xx status. Else an old event could be sent again with a fresh time.",
		Fault:       "the receiver takes an event whose timestamp was changed after it was signed",
		Mend:        "Verify the signature over `webhook-id`, `webhook-timestamp` and the raw body, joined by dots.",
	}, Shot{Bend: changeHeader(timestampHeader, secondLater)}),
	forged(Scenario{
		Name:        "signature.wrong-key",
		Description: "An event signed correctly, but with another key: the one of the Standard Webhooks documentation, or a new one for Ed25519.",
		Expectation: "A 4xx status. Else anybody could send you events.",
		Fault:       "the receiver takes an event that was signed with another key than this webhook's",
		Mend:        "Verify with this webhook's secret and no other, and take out that of any example.",
	}, Shot{Key: OtherKey}),
	forged(Scenario{
		Name:        "signature.missing",
		Description: "An event without the header `webhook-signature`.",
		Expectation: "A 4xx status. Else leaving the signature out is enough to get past it.",
		Fault:       "the receiver takes an event that is not signed",
		Mend:        "Refuse requests without `webhook-signature` with 400 or 401.",
	}, Shot{Bend: dropHeader(signatureHeader)}),
	forged(Scenario{
		Name:        "signature.empty",
		Description: "An event whose `webhook-signature` is empty.",
		Expectation: "A 4xx status. A list without a signature proves nothing.",
		Fault:       "the receiver takes an event whose signature is empty",
		Mend:        "Take a request only if one of the signatures that it lists fits; an empty list has none.",
	}, Shot{Bend: setHeader(signatureHeader, "")}),
	forged(Scenario{
		Name:        "signature.garbage",
		Description: "An event whose `webhook-signature` is text that is no signature at all.",
		Expectation: "A 4xx status, and no failure: strangers will send anything.",
		Fault:       "the receiver takes an event whose signature is garbage",
		Mend:        "Take a request only if one of the signatures that it lists fits, and refuse all others with 400 or 401.",
	}, Shot{Bend: setHeader(signatureHeader, "!!! not; a signature ===")}),
	{
		Name:        "signature.malformed",
		Suite:       webhook.SuiteSignatures,
		Description: "Events whose `webhook-signature` is nearly right: only the version, no version, no valid base64, cut short, in the other case, a comma alone.",
		Expectation: "A 4xx status each, and no failure: strangers will send anything.",
		Fault:       "the receiver takes an event whose signature is malformed",
		Mend:        "Compare the whole signature, of one length, byte for byte, and refuse what cannot be decoded with 400 or 401.",
		forges:      true,
		needs:       []need{signed},
		run: func(ctx context.Context, t *Trial) {
			for _, m := range []struct {
				what string
				make func(string) string
			}{
				{"version alone", func(s string) string { version, _, _ := strings.Cut(s, ","); return version }},
				{"nothing behind the version", func(s string) string { version, _, _ := strings.Cut(s, ","); return version + "," }},
				{"no version", func(s string) string { _, signature, _ := strings.Cut(s, ","); return signature }},
				{"no base64", func(string) string { return "v1,***" }},
				{"cut short", func(s string) string { return s[:12] }},
				{"in the other case", func(s string) string {
					version, signature, _ := strings.Cut(s, ",")
					return version + "," + strings.Map(otherCase, signature)
				}},
				{"a comma alone", func(string) string { return "," }},
			} {
				a := t.send(ctx, Shot{Bend: changeHeader(signatureHeader, func(s string) string { return m.make(first(s)) })})
				t.refused(&a, m.what)
			}
		},
	},
	taken(Scenario{
		Name:        "signature.unknown-version-first",
		Description: "A correct event that lists a signature of an unknown version (`v9`) before the valid one.",
		Expectation: "A 2xx status. The header is a list; new versions will be added to it.",
		Fault:       "the receiver stumbles over a signature of a version that it does not know, though a valid one follows",
		Mend:        "Split `webhook-signature` at spaces, skip versions that you do not know, and take the request if any of the others fits.",
	}, Shot{Bend: changeHeader(signatureHeader, func(s string) string { return "v9,bm90IGEgc2lnbmF0dXJl " + s })}),
	taken(Scenario{
		Name:        "signature.rotation",
		Description: "A correct event with two signatures, as while a secret is rotated: the first by a key that the receiver does not know yet, the second by its own.",
		Expectation: "A 2xx status. Else events are lost each time the secret is rotated.",
		Fault:       "the receiver checks only the first signature of the list",
		Mend:        "Split `webhook-signature` at spaces and take the request if any of the signatures fits.",
	}, Shot{Key: BothKeys}),
	{
		Name:        "signature.raw-body",
		Suite:       webhook.SuiteSignatures,
		Description: "A correct event whose JSON is written in an unusual way: members in another order, spaces, escaped letters and slashes.",
		Expectation: "A 2xx status. A receiver that refuses it verifies JSON that it wrote anew instead of the bytes that came, and will refuse real events.",
		Fault:       "the receiver verifies JSON that it wrote anew, not the bytes that came",
		Mend:        "Verify the signature over the raw body, before anything parses it.",
		needs:       []need{signed, hasBody},
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{Data: respell(t.Data)})
			t.received(&a, "")
		},
	},
	{
		Name:        "signature.header-case",
		Suite:       webhook.SuiteSignatures,
		Description: "Correct events whose header names are written `WEBHOOK-ID` and `Webhook-Id`.",
		Expectation: "A 2xx status. Names of headers have no case, and proxies change it.",
		Fault:       "the receiver finds its headers in one spelling only",
		Mend:        "Look headers up without regard to case.",
		run: func(ctx context.Context, t *Trial) {
			for _, spell := range []struct {
				what string
				name func(string) string
			}{{"UPPER-CASE", strings.ToUpper}, {"Title-Case", titleCase}} {
				a := t.send(ctx, Shot{ID: t.another(), Bend: respellHeaders(spell.name)})
				t.received(&a, spell.what)
			}
		},
	},
}

// forged is a scenario of one shot that must be refused, taken one of a shot that
// must be received.
func forged(s Scenario, shot Shot) *Scenario {
	s.forges = true
	return single(s, shot, (*Trial).refused)
}

func taken(s Scenario, shot Shot) *Scenario { return single(s, shot, (*Trial).received) }

func single(s Scenario, shot Shot, judge func(t *Trial, a *Answer, what string) bool) *Scenario {
	s.Suite = webhook.SuiteSignatures
	s.needs = []need{signed}
	s.run = func(ctx context.Context, t *Trial) {
		a := t.send(ctx, shot)
		judge(t, &a, "")
	}
	return &s
}

// first is the first signature of a list.
func first(signatures string) string {
	one, _, _ := strings.Cut(signatures, " ")
	return one
}

// otherCase makes small letters large, and large ones small.
func otherCase(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}

// secondLater is a timestamp a second later.
func secondLater(stamp string) string {
	seconds, _ := strconv.ParseInt(stamp, 10, 64) // ours, which can be
	return strconv.FormatInt(seconds+1, 10)
}

func titleCase(name string) string {
	parts := strings.Split(name, "-")
	for i, part := range parts {
		if part != "" {
			parts[i] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "-")
}
