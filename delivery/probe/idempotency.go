package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// idempotency is about events that come more than once, or not in their order:
// both are sure to happen, because a sender that had no answer sends again.
var idempotency = []*Scenario{
	{
		Name:        "duplicate.sequential",
		Suite:       webhook.SuiteIdempotency,
		Description: "The same event two times, byte for byte, one after the other.",
		Expectation: "A 2xx status each, and one effect. An answer can get lost on its way; then the event is sent again, until there is a 2xx.",
		Fault:       "the receiver does not take an event again that it has had, so it would be sent on and on",
		Mend:        "Remember each `webhook-id` together with its effect, and answer 2xx to one that you have had.",
		run: func(ctx context.Context, t *Trial) {
			stamp := stampNow()
			for i := range 2 {
				a := t.send(ctx, Shot{Stamp: stamp})
				if !t.received(&a, ordinal(i)) {
					return
				}
			}
			t.once(ctx, "the receiver does not know an event again")
		},
	},
	{
		Name:        "duplicate.parallel",
		Suite:       webhook.SuiteIdempotency,
		Description: "The same event ten times, byte for byte, at the same time.",
		Expectation: "A 2xx status each, or 409 for those that come while the first is at work; one effect in all. Two of your processes may get the same event at once.",
		Fault:       "the receiver fails on an event that it is at work on already",
		Mend:        "Let a unique key of your database on `webhook-id` decide which request is the first, in the transaction that has the effect.",
		Alone:       true,
		run: func(ctx context.Context, t *Trial) {
			if t.parallel(ctx, slices.Repeat([]Shot{{Stamp: stampNow()}}, 10)) {
				t.once(ctx, "two requests that come close to each other are both the first to the receiver")
			}
		},
	},
	{
		Name:        "duplicate.retry",
		Suite:       webhook.SuiteIdempotency,
		Description: "An event, and the same again as a real retry: the same id, with a new timestamp and signature.",
		Expectation: "A 2xx status each, and one effect. This is how an event comes again whose answer got lost.",
		Fault:       "the receiver does not take the retry of an event that it has had, so it would be sent on and on",
		Mend:        "Know events by their `webhook-id` alone, which stays the same in every attempt, and answer 2xx to one that you have had.",
		run: func(ctx context.Context, t *Trial) {
			for i, shot := range []Shot{{Age: 5 * time.Second}, {}} {
				a := t.send(ctx, shot)
				if !t.received(&a, ordinal(i)) {
					return
				}
			}
			t.once(ctx, "the receiver takes a retry for another event")
		},
	},
	{
		Name:        "order.reversed",
		Suite:       webhook.SuiteIdempotency,
		Description: "Two events, of which the second happened a minute before the first.",
		Expectation: "A 2xx status each. Events come in no order; a late one may be ignored, but must be taken, or it is sent again and again.",
		Fault:       "the receiver does not take an event that is older than one it has had",
		Mend:        "Answer 2xx to events that come late, and decide by their own time which state is the newest.",
		run: func(ctx context.Context, t *Trial) {
			a := t.send(ctx, Shot{})
			if !t.received(&a, "newer") {
				return
			}
			a = t.send(ctx, Shot{ID: t.another(), Happened: time.Minute})
			t.received(&a, "older")
		},
	},
}

func ordinal(i int) string { return []string{"first", "second"}[i] }

// parallel sends the same shot several times at once. Each must be received, or
// told that it is at work already or comes too often; where all were told so,
// the next must be received. It says whether there is one effect to expect.
func (t *Trial) parallel(ctx context.Context, shots []Shot) (taken bool) {
	failed := false
	for i, a := range t.shoot(ctx, shots...) {
		if a.status() == http.StatusConflict || a.status() == http.StatusTooManyRequests {
			continue
		}
		ok := t.received(&a, fmt.Sprintf("request %d", i+1))
		taken, failed = taken || ok, failed || !ok
	}
	if !taken && !failed {
		a := t.send(ctx, shots[0])
		taken = t.received(&a, "once more")
	}
	return taken
}
