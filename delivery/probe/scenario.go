package probe

import (
	"context"
	"slices"

	"github.com/hookql/hookql/internal/webhook"
)

// Scenario is one thing that a receiver is put through.
type Scenario struct {
	// Name is stable, such as "signature.tampered-body".
	Name  string
	Suite webhook.TestSuite
	// Description says what is sent, Expectation what a good receiver answers,
	// and why it matters.
	Description string
	Expectation string
	// Fault says what is wrong with a receiver that answers something else, as
	// a clause, and Mend how to mend it, as a sentence.
	Fault string
	Mend  string
	// PerEvent says that the answer may differ from event type to event type, so
	// that each is tried. The others are tried with the first.
	PerEvent bool
	// Alone says that nothing else may be sent to the receiver meanwhile.
	Alone bool
	// Unanswered says that it is run even where the receiver gives no answer to a
	// correct event.
	Unanswered bool

	// forges says that nothing which it sends under the trial's id may take effect.
	forges bool
	needs  []need
	run    func(context.Context, *Trial)
}

// need says why a scenario does not apply to a webhook; "" where it does.
type need func(*Trial) string

func signed(t *Trial) string {
	if t.Webhook.Signing == webhook.SigningNone {
		return "Requests to this endpoint are not signed, so there is no signature to verify. Give it a secret."
	}
	return ""
}

func hasBody(t *Trial) string {
	if t.Webhook.Method != webhook.MethodPost {
		return "A GET request has no body."
	}
	return ""
}

func namesEvent(t *Trial) string {
	if t.Webhook.PayloadFormat == webhook.FormatData {
		return "This endpoint's payload format sends the data alone, without the event type."
	}
	return ""
}

func overTLS(t *Trial) string {
	if t.https() {
		return ""
	}
	return "The URL begins with `http://`, so there is no TLS. Outside of development use `https://`."
}

// all are the scenarios in the order in which they are listed and reported.
var all = slices.Concat(valid, signatures, timestamps, idempotency, robustness, transport, connection)

// All lists every scenario, `valid` first.
func All() []*Scenario { return slices.Clone(all) }

// Suite lists the scenarios of a suite. Each begins with `valid`, against which
// the others are judged.
func Suite(suite webhook.TestSuite) (list []*Scenario) {
	for _, s := range all {
		if suite == webhook.SuiteConformance || s.Suite == suite || s.Name == webhook.ScenarioValid {
			list = append(list, s)
		}
	}
	return list
}

// Find finds a scenario by its name; nil where there is none.
func Find(name string) *Scenario {
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return nil
}
