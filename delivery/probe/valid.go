package probe

import (
	"context"

	"github.com/hookql/hookql/internal/webhook"
)

var valid = []*Scenario{{
	Name:        webhook.ScenarioValid,
	Suite:       webhook.SuiteDelivery,
	Description: "One correct event, built and signed just as a real delivery to this endpoint would be.",
	Expectation: "An answer with a 2xx status within the time allowed. Any other counts as not received, and a real event would be sent again.",
	Fault:       "the receiver does not take a correct event",
	Mend:        "Let it answer 2xx once it has the event.",
	PerEvent:    true,
	Unanswered:  true,
	run: func(ctx context.Context, t *Trial) {
		a := t.send(ctx, Shot{})
		t.praise = a.Sentence
		t.demand(webhook.TestCheck{
			Name: "status is 2xx", Success: a.Outcome == webhook.OutcomeDelivered, Expected: "2xx", Actual: statusOf(&a),
		}, &a, a.Sentence)
		if a.Outcome == webhook.OutcomeDelivered {
			t.advise(webhook.TestCheck{Name: "answer is complete", Success: a.Detail == "", Actual: a.Detail}, &a, a.Sentence)
		}
	},
}}
