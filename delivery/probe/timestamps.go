package probe

import (
	"context"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// timestamps are about when an event may be sent: a signature alone would be
// good forever.
var timestamps = []*Scenario{
	forged(Scenario{
		Name:        "timestamp.stale",
		Description: "An event signed correctly ten minutes ago.",
		Expectation: "A 4xx status. Else whoever got hold of one request can send it again for ever.",
		Fault:       "the receiver takes a request that is ten minutes old",
		Mend:        "Refuse requests whose `webhook-timestamp` is more than five minutes away from your clock.",
	}, Shot{Age: 10 * time.Minute}),
	forged(Scenario{
		Name:        "timestamp.future",
		Description: "An event signed correctly, with a timestamp ten minutes ahead.",
		Expectation: "A 4xx status. Else a request could be made now that stays valid for as long as its sender likes.",
		Fault:       "the receiver takes a request that is ten minutes ahead of its time",
		Mend:        "Refuse requests whose `webhook-timestamp` is more than five minutes away from your clock, either way.",
	}, Shot{Age: -10 * time.Minute}),
	{
		Name:        "timestamp.tolerance",
		Suite:       webhook.SuiteSignatures,
		Description: "Events signed correctly four minutes ago and four minutes ahead.",
		Expectation: "A 2xx status each. Clocks differ and networks are slow; Standard Webhooks allows five minutes.",
		Fault:       "the receiver allows less than four minutes between the sender's clock and its own",
		Mend:        "Allow five minutes either way, and let the receiver's clock be set by NTP.",
		needs:       []need{signed},
		run: func(ctx context.Context, t *Trial) {
			for _, m := range []struct {
				what string
				age  time.Duration
			}{{"4 minutes ago", 4 * time.Minute}, {"4 minutes ahead", -4 * time.Minute}} {
				a := t.send(ctx, Shot{ID: t.another(), Age: m.age})
				t.received(&a, m.what)
			}
		},
	},
	{
		Name:        "timestamp.malformed",
		Suite:       webhook.SuiteSignatures,
		Description: "Events whose `webhook-timestamp` is no number, empty, too large for one, or below zero, each signed as it is.",
		Expectation: "A 4xx status each, and no failure. What cannot be read says nothing about when it was sent.",
		Fault:       "the receiver takes a request whose timestamp is no time",
		Mend:        "Read `webhook-timestamp` as a whole number of seconds and refuse what is none with 400 or 401.",
		forges:      true,
		needs:       []need{signed},
		run: func(ctx context.Context, t *Trial) {
			for _, m := range []struct {
				what, stamp, id string
			}{
				{"a word", "yesterday", t.ID}, {"empty", "", t.ID},
				// The past and the future, of which there are other scenarios.
				{"too large", "99999999999999999999999999", t.another()}, {"below zero", "-1", t.another()},
			} {
				a := t.send(ctx, Shot{ID: m.id, Stamp: &m.stamp})
				if m.id != t.ID && a.status()/100 == 2 {
					continue
				}
				t.refused(&a, m.what)
			}
		},
	},
}
