package zoo

import (
	"slices"

	"github.com/hookql/hookql/internal/webhook"
)

// Animal is a receiver, and what the harness has to say of it.
type Animal struct {
	Name string
	// What it is, or does wrong, as a clause.
	What string
	// Scenario is the one that finds its fault, with the verdict; "" where there
	// is no fault.
	Scenario string
	Verdict  webhook.Verdict
	// Also are the verdicts of other scenarios that cannot but find the fault,
	// too.
	Also map[string]webhook.Verdict
	// Unwitnessed says that nobody tells how often an event took effect.
	Unwitnessed bool

	// receives changes the webhook that leads to it.
	receives func(*webhook.Webhook)
	// is changes the correct receiver.
	is func(*Receiver)
	// listens is how it does; nil: over plain HTTP.
	listens func(*Den)
}

// Expected is what the harness must say of the animal under a scenario where it
// is FAIL or WARN; "" for PASS and SKIP.
func (a *Animal) Expected(scenario string) webhook.Verdict {
	if scenario == a.Scenario {
		return a.Verdict
	}
	return a.Also[scenario]
}

// All are the animals with a fault in the order of the scenarios, then the
// others.
func All() []*Animal {
	return slices.Concat(signatures(), timestamps(), idempotency(), robustness(), transport(), connection(), correct(), hopeless())
}
