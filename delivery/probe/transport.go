package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// What a good receiver keeps to; beyond it there is advice.
const (
	fastEnough  = time.Second // to the answer's first byte
	bodyWithin  = time.Second // from the first byte to the answer's end
	fastRequest = 5           // requests whose time is taken
	burst       = 50          // requests at the same time
)

// transport is about HTTP itself.
var transport = []*Scenario{
	{
		Name:        "http.fast",
		Suite:       webhook.SuiteTransport,
		Description: fmt.Sprintf("%d correct events, one after the other, each over a connection of its own.", fastRequest),
		Expectation: fmt.Sprintf("Each answer begins within %g s. A receiver that is slow when it is idle runs into the time limit when it is not.", fastEnough.Seconds()),
		Fault:       "the receiver is slow to answer",
		Mend:        "Store the event, answer 2xx, and do the work afterwards.",
		Alone:       true,
		run: func(ctx context.Context, t *Trial) {
			var slowest Answer
			for range fastRequest {
				a := t.send(ctx, Shot{ID: t.another()})
				if !t.took(&a, "") {
					return
				}
				if toFirstByte(&a) > toFirstByte(&slowest) {
					slowest = a
				}
			}
			took := toFirstByte(&slowest)
			t.praise = "The slowest answer began after " + webhook.Millis(took) + "."
			t.advise(webhook.TestCheck{Name: "fast enough", Success: took <= fastEnough, Expected: "at most " + webhook.Millis(fastEnough), Actual: webhook.Millis(took)},
				&slowest, t.fault("The slowest of the answers began after "+webhook.Millis(took)))
		},
	},
	{
		Name:        "http.method",
		Suite:       webhook.SuiteTransport,
		Description: "A correct event sent by `PUT`, which no sender of webhooks uses.",
		Expectation: "405, or another 4xx. What takes any method takes more than you think of.",
		Fault:       "the receiver does not look at the method",
		Mend:        "Let the route take the webhook's method alone, and answer 405 to others.",
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{Bend: func(r *webhook.Request) { r.Method = http.MethodPut }})
			if a.status() == http.StatusNotImplemented {
				t.praise = "Answered " + statusOf(&a) + "."
				return
			}
			if t.handles(&a, "", "the receiver fails on a method that it does not know") {
				t.advise(webhook.TestCheck{Name: "other methods refused", Success: a.status()/100 != 2, Expected: "405", Actual: statusOf(&a)}, &a, t.blame(&a, ""))
			}
		},
	},
	{
		Name:        "http.keep-alive",
		Suite:       webhook.SuiteTransport,
		Description: "Two correct events over the same connection.",
		Expectation: "A 2xx status each, and a connection that stays open in between. A new connection for each event, with TLS, costs both sides far more than the event.",
		Fault:       "the receiver closes the connection after each answer",
		Mend:        "Leave keep-alive on, in your server and in the proxies before it, for 5 seconds or more.",
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{Reuse: true})
			if !t.took(&a, ordinal(0)) {
				return
			}
			a = t.send(ctx, Shot{ID: t.another(), Reuse: true})
			if t.took(&a, ordinal(1)) {
				// After a pause because of a 429 it is the sender who has closed it.
				reused := slices.ContainsFunc(t.exchanges, func(x webhook.Exchange) bool { return x.Timing.ConnectionReused })
				t.advise(webhook.TestCheck{Name: "connection used again", Success: reused}, &a, t.fault("The second event needed a connection of its own"))
			}
		},
	},
	{
		Name:        "http.expect-continue",
		Suite:       webhook.SuiteTransport,
		Description: "A correct event with the header `Expect: 100-continue`.",
		Expectation: "A 2xx status, after `100 Continue` or without. Proxies add the header.",
		Fault:       "the receiver does not understand `Expect: 100-continue`",
		Mend:        "Let the server answer `100 Continue`, or ignore the header.",
		needs:       []need{hasBody},
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{Bend: func(r *webhook.Request) {
				r.Headers = append(r.Headers, webhook.Header{Name: "Expect", Value: "100-continue"})
			}})
			t.received(&a, "")
		},
	},
	{
		Name:        "http.redirect",
		Suite:       webhook.SuiteTransport,
		Description: "A correct event, and one that is not signed.",
		Expectation: "No redirect, to nobody: redirects of webhooks are not followed, and one to a login page says 'come back' where 'no' is meant.",
		Fault:       "the receiver redirects",
		Mend:        "Set the webhook's URL to the final address, and answer 401, not a redirect to a login page, to what does not verify.",
		run: func(ctx context.Context, t *Trial) {
			for _, m := range []struct {
				what string
				shot Shot
			}{{"correct", Shot{}}, {"not signed", Shot{Bend: dropHeader(signatureHeader)}}} {
				a := t.send(ctx, m.shot)
				if t.mute(&a) {
					continue
				}
				redirected := a.Outcome == webhook.OutcomeRedirected
				if !redirected {
					t.praise = "Answered " + statusOf(&a) + ", which is no redirect."
				}
				t.demand(webhook.TestCheck{Name: label(m.what, "no redirect"), Success: !redirected, Expected: "no 3xx", Actual: statusOf(&a)}, &a,
					t.fault(fmt.Sprintf("Answered %s to %.200q (%s)", statusOf(&a), headerOf(&a, "Location"), m.what)))
			}
		},
	},
	{
		Name:        "http.slow-answer",
		Suite:       webhook.SuiteTransport,
		Description: "A correct event. What counts is how long the answer's body takes after it began.",
		Expectation: fmt.Sprintf("The whole answer within %g s of its first byte. Senders wait for its end, and connections are held up.", bodyWithin.Seconds()),
		Fault:       "the receiver trickles its answer",
		Mend:        "Answer with a short body, or none, in one piece.",
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{})
			if !t.took(&a, "") {
				return
			}
			took := a.Timing.Total - toFirstByte(&a)
			t.praise = "The answer was complete " + webhook.Millis(took) + " after its first byte."
			t.advise(webhook.TestCheck{Name: "answer in one piece", Success: took <= bodyWithin, Expected: "at most " + webhook.Millis(bodyWithin), Actual: webhook.Millis(took)},
				&a, t.fault("The answer's body took "+webhook.Millis(took)))
		},
	},
	{
		Name:        "http.answer-size",
		Suite:       webhook.SuiteTransport,
		Description: "A correct event. What counts is the size of the answer.",
		Expectation: "A body of at most 16 KiB, better none. Nobody reads it, and senders cut it off.",
		Fault:       "the answer is larger than any sender reads",
		Mend:        "Answer with a short body, or none.",
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{})
			if !t.took(&a, "") {
				return
			}
			t.advise(webhook.TestCheck{Name: "answer is short", Success: !a.Response.BodyTruncated, Expected: "at most 16 KiB"}, &a, t.fault("The answer's body has more than 16 KiB"))
		},
	},
	{
		Name:        "http.burst",
		Suite:       webhook.SuiteTransport,
		Description: fmt.Sprintf("%d correct events at the same time.", burst),
		Expectation: "No failure: 2xx, or 429 with `Retry-After` for what is too much. Events come in bursts, above all after an outage.",
		Fault:       fmt.Sprintf("the receiver fails when %d events come at the same time", burst),
		Mend:        "Take what you can into a queue, and answer 429 with `Retry-After` to the rest.",
		Alone:       true,
		run:         runBurst,
	},
}

func runBurst(ctx context.Context, t *Trial) {
	shots := make([]Shot, burst)
	for i := range shots {
		shots[i].ID = t.another()
	}
	shots[0].ID = ""
	taken, limited, failed := 0, 0, 0
	answers := t.shoot(ctx, shots...)
	bad := answers[0]
	for _, a := range slices.Backward(answers) {
		switch {
		case a.Outcome == webhook.OutcomeDelivered:
			taken++
		case a.status() == http.StatusTooManyRequests:
			limited++
			t.advise(webhook.TestCheck{Name: "429 says when", Success: headerOf(&a, "Retry-After") != "", Expected: "Retry-After"}, &a,
				"Answered 429 without `Retry-After`: the sender cannot know when to come again. Add the header, with whole seconds.")
		default:
			failed, bad = failed+1, a
		}
	}
	if failed > 0 && t.unjudged(&bad) {
		return
	}
	seen := fmt.Sprintf("Of %d events at the same time %d were taken, %d put off by 429 and %d failed", burst, taken, limited, failed)
	if failed > 0 {
		seen += " (" + statusOf(&bad) + ")"
	}
	t.praise = seen + "."
	t.demand(webhook.TestCheck{Name: "no failure under a burst", Success: failed == 0, Expected: "2xx or 429", Actual: statusOf(&bad)}, &bad, t.fault(seen))
}

// toFirstByte is how long an answer took to begin.
func toFirstByte(a *Answer) time.Duration {
	return a.Timing.DNS + a.Timing.Connect + a.Timing.TLS + a.Timing.FirstByte
}
