package probe

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/hookql/hookql/internal/webhook"
)

// largeData is the most that an event's data may have.
const largeData = 256 << 10

// robustness is about events that are not as the receiver knows them. It may
// take or refuse them, but must not fail: a failure is answered by a retry.
var robustness = slices.Concat(
	[]*Scenario{
		{
			Name:        "event.unknown-type",
			Suite:       webhook.SuiteRobustness,
			Description: "A correct event of a type that does not exist.",
			Expectation: "A 2xx status, or 4xx, and no failure. The sender adds types; a receiver that fails on one gets it again and again, and is suspended in the end.",
			Fault:       "the receiver fails on an event type that it does not know",
			Mend:        "Answer 2xx to types that you do not use and leave them alone.",
			needs:       []need{namesEvent},
			run: func(ctx context.Context, t *Trial) {
				a := t.send(ctx, Shot{EventName: "hookql.never_heard_of"})
				t.handled(&a, "")
			},
		},
		{
			Name:        webhook.ScenarioExtraField,
			Suite:       webhook.SuiteRobustness,
			Description: "A correct event whose data have a member more than usual.",
			Expectation: "A 2xx status. The sender adds members without notice, unless the event type's schema rules them out.",
			Fault:       "the receiver does not take data with a member that it does not know",
			Mend:        "Read the members that you use and ignore the rest.",
			needs:       []need{objectData, openSchema},
			run: func(ctx context.Context, t *Trial) {
				a := t.send(ctx, Shot{Data: Extended(t.Data)})
				t.received(&a, "")
			},
		},
		{
			Name:        "body.large",
			Suite:       webhook.SuiteRobustness,
			Description: "A correct event with data of 256 KiB, the most that is ever sent.",
			Expectation: "A 2xx status, or 4xx such as 413, and no failure; the connection stays in order.",
			Fault:       "the receiver fails on data of 256 KiB",
			Mend:        "Let your server, and the proxies before it, take bodies of 512 KiB, and refuse larger ones with 413.",
			needs:       []need{hasBody, objectData},
			run: func(ctx context.Context, t *Trial) {
				room := max(0, largeData-len(withMember(t.Data, "hookql_padding", "")))
				a := t.send(ctx, Shot{Data: withMember(t.Data, "hookql_padding", strings.Repeat("x", room))})
				t.handled(&a, "")
			},
		},
		odd("body.empty-object", "A signed request whose whole body is `{}`.", "an empty object", oddBody{"", "{}"}),
		odd("body.not-json", "Signed requests whose body is text that is no JSON, or JSON that is cut off, or no UTF-8.", "a body that is no JSON",
			oddBody{"text", "this is no JSON"}, oddBody{"cut off", `{"event":"job.sta`}, oddBody{"no UTF-8", "{\"event\":\"\xff\xfe\"}"}),
	},
	schemaCases(),
	[]*Scenario{{
		Name:        "error.leak",
		Suite:       webhook.SuiteRobustness,
		Description: "Requests that the receiver has to refuse: one that is not signed and one that is no JSON. What counts is what the answers say.",
		Expectation: "An answer without a stack trace and, above all, without the secret.",
		Fault:       "the answer shows a stack trace",
		Mend:        "Write the details to your log and answer strangers one plain sentence.",
		run: func(ctx context.Context, t *Trial) {
			shots := []Shot{{Bend: dropHeader(signatureHeader)}, {Stamp: new(string)}}
			if t.Webhook.Method == webhook.MethodPost {
				shots = append(shots, Shot{Body: []byte("this is no JSON")})
			}
			for _, shot := range shots {
				a := t.send(ctx, shot)
				t.praise = "The answers show nothing of the receiver's inside."
				t.mute(&a)
				t.discreet(&a)
			}
		},
	}},
)

// Extended are the data of an event with a member that nobody knows; other data
// than an object stay as they are.
func Extended(data json.RawMessage) json.RawMessage {
	return withMember(data, "hookql_extra", map[string]any{"added": "later"})
}

func objectData(t *Trial) string {
	if isObject(t.Data) {
		return ""
	}
	return "The event's data are no object, so no member can be added."
}

func openSchema(t *Trial) string {
	if t.Closed {
		return "The event type's JSON Schema allows no other members, so none will come."
	}
	return ""
}

// oddBody is a body that is no event, with what it is.
type oddBody struct{ what, body string }

// odd is a scenario of signed bodies that are no event.
func odd(name, description, what string, bodies ...oddBody) *Scenario {
	return &Scenario{
		Name:        name,
		Suite:       webhook.SuiteRobustness,
		Description: description,
		Expectation: "A 4xx status such as 400, or 2xx, and no failure.",
		Fault:       "the receiver fails on " + what,
		Mend:        "Check what you parse, and answer 400 where it is no event that you can use.",
		needs:       []need{hasBody},
		run: func(ctx context.Context, t *Trial) {
			for _, b := range bodies {
				a := t.send(ctx, Shot{ID: t.another(), Body: []byte(b.body)})
				t.handled(&a, b.what)
			}
		},
	}
}

// schemaCases are events that fit their type's schema in unusual ways.
func schemaCases() (list []*Scenario) {
	for _, c := range []struct{ name, sent, fault, mend string }{
		{"minimal", "with the required members alone", "the receiver needs members that the event type's schema does not promise", "Treat each member that the schema does not require as one that may be missing."},
		{"maximal", "with every member that it names", "the receiver fails on members that the event type's schema allows", "Read the members that you use and ignore the rest."},
		{"optional-missing", "each without one of the members that are optional", "the receiver needs a member that the event type's schema does not promise", "Treat each member that the schema does not require as one that may be missing."},
		{"nulls", "with null wherever it allows it", "the receiver fails on null where the event type's schema allows it", "Treat null like a member that is missing."},
		{"long-strings", "with strings as long as it allows", "the receiver fails on long strings that the event type's schema allows", "Do not cut columns shorter than the schema, or cut the text before you store it."},
		{"unicode", "with unusual characters in its strings", "the receiver fails on characters outside of ASCII", "Use UTF-8 throughout, in your database too (`utf8mb4` in MySQL)."},
		{"large-numbers", "with the largest and smallest numbers it allows", "the receiver fails on numbers that the event type's schema allows", "Read integers as 64 bits or more, and numbers that you do not compute with as text."},
	} {
		list = append(list, &Scenario{
			Name:        webhook.SchemaScenario + c.name,
			Suite:       webhook.SuiteRobustness,
			Description: "Correct events whose data fit the event type's JSON Schema " + c.sent + ".",
			Expectation: "A 2xx status each: the schema is the sender's promise, and such events will come.",
			Fault:       c.fault,
			Mend:        c.mend,
			PerEvent:    true,
			needs:       []need{hasSchema},
			run: func(ctx context.Context, t *Trial) {
				for i, v := range t.Variants {
					shot := Shot{Data: v.Data}
					if i > 0 {
						shot.ID = t.another()
					}
					a := t.send(ctx, shot)
					t.received(&a, v.Label)
				}
			},
		})
	}
	return list
}

func hasSchema(t *Trial) string {
	if len(t.Variants) == 0 {
		return "The event type has no JSON Schema, or one that leaves no room for this."
	}
	return ""
}

// trace finds stack traces of common languages.
var trace = regexp.MustCompile(`(?m)Traceback \(most recent call last\)|^\s*at \S.*\(.*:\d+(:\d+)?\)|^goroutine \d+ \[|panic: |\.go:\d+ \+0x|^#\d+ .*\.php\(\d+\)|[\w/]+\.rb:\d+:in |^\s*File ".*", line \d+|Exception in thread|\.cs:line \d+|\.java:\d+\)`)

// discreet demands that an answer shows neither the secret nor the receiver's
// inside.
func (t *Trial) discreet(a *Answer) {
	if a.Response == nil {
		return
	}
	t.demand(webhook.TestCheck{Name: "answer without the secret", Success: !a.Secret}, a,
		"Answered "+statusOf(a)+" and shows the webhook's secret: whoever calls the URL can sign events now. Rotate the secret, and never write it into answers.")
	t.advise(webhook.TestCheck{Name: "answer without a stack trace", Success: !trace.Match(a.Response.Body)}, a, t.blame(a, ""))
}
