package probe

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/hookql/hookql/internal/webhook"
)

// Result is what came of a scenario.
type Result struct {
	Verdict webhook.Verdict
	// Message is one sentence that names what was seen and, where it is wrong,
	// one that says how to mend it.
	Message   string
	Checks    []webhook.TestCheck
	Exchanges []webhook.Exchange
	// Deciding is the number of the exchange that decided; 0 where none did.
	Deciding int
}

// check is a check with what its failure means.
type check struct {
	webhook.TestCheck
	message  string
	exchange int // its number
}

// result sums up the checks: one that is required and does not hold is a FAIL,
// advice a WARN. A scenario that could not be judged is skipped, unless some
// check failed all the same.
func (t *Trial) result() Result {
	r := Result{Verdict: webhook.VerdictPass, Message: t.praise, Exchanges: t.exchanges, Deciding: len(t.exchanges)}
	if t.skipped != "" {
		r.Verdict, r.Message = webhook.VerdictSkip, t.skipped
	}
	for _, c := range t.checks {
		r.Checks = append(r.Checks, c.TestCheck)
		worse := c.Required && r.Verdict != webhook.VerdictFail || r.Verdict == webhook.VerdictPass
		if c.Success || !worse {
			continue
		}
		r.Verdict, r.Message = webhook.VerdictWarn, c.message
		if c.Required {
			r.Verdict = webhook.VerdictFail
		}
		if c.exchange > 0 {
			r.Deciding = c.exchange
		}
	}
	return r
}

// holds says whether everything was as it must be so far.
func (t *Trial) holds() bool {
	return t.skipped == "" && !slices.ContainsFunc(t.checks, func(c check) bool { return !c.Success })
}

// skip notes why nothing can be said.
func (t *Trial) skip(why string) {
	if t.skipped == "" {
		t.skipped = why
	}
}

// label puts what is special about one of several shots before a check's name.
func label(what, name string) string {
	if what == "" {
		return name
	}
	return what + ": " + name
}

// blame is the message about an answer that shows the scenario's fault.
func (t *Trial) blame(a *Answer, what string) string {
	return explain(a, what, t.scenario.Fault, t.scenario.Mend)
}

// explain tells what was answered, what it shows, as a clause, and what to do.
func explain(a *Answer, what, fault, mend string) string {
	if what != "" {
		what = " (" + what + ")"
	}
	if a.Response == nil {
		return fmt.Sprintf("No answer%s, since: %s. So %s. %s", what, a.Detail, fault, mend)
	}
	return fmt.Sprintf("Answered %s%s: %s. %s", statusOf(a), what, fault, mend)
}

// received demands that the receiver took the event, which is what the scenario
// is about.
func (t *Trial) received(a *Answer, what string) bool {
	return t.take(a, what, t.scenario.Fault, t.scenario.Mend)
}

// took demands that the receiver took an event that is correct in every way,
// which is not what the scenario is about.
func (t *Trial) took(a *Answer, what string) bool {
	return t.take(a, what, "the receiver took a correct event before, but not this one", "Look into its log for what was different.")
}

func (t *Trial) take(a *Answer, what, fault, mend string) bool {
	ok := a.Outcome == webhook.OutcomeDelivered
	if !ok && t.unjudged(a) {
		return false
	}
	message := a.Sentence
	switch {
	case ok:
		t.praise = a.Sentence
	case a.Response != nil:
		message = explain(a, what, fault, mend)
	}
	t.demand(webhook.TestCheck{Name: label(what, "status is 2xx"), Success: ok, Expected: "2xx", Actual: statusOf(a)}, a, message)
	return ok
}

// Texts that any scenario may need.
const (
	notTaken      = "The receiver does not take a correct event either, so nothing can be said. Mend what `valid` says, then run this again."
	failsOnForged = "the receiver fails on a request that it must refuse, as if it had a fault of its own"
	refuseForged  = "Answer 400 or 401 to whatever does not verify, and to every error of the library that verifies."
)

// refused demands that the receiver took nothing: a client error, or to be sent
// elsewhere, but neither success nor a failure of its own.
func (t *Trial) refused(a *Answer, what string) bool {
	status := a.status()
	ok := status >= 300 && status < 500 && status != http.StatusTooManyRequests
	if status/100 != 2 && t.Control != Took {
		t.skip(notTaken)
		return false
	}
	if !ok && t.unjudged(a) {
		return false
	}
	message := explain(a, what, failsOnForged, refuseForged)
	switch {
	case ok:
		t.praise = "Answered " + statusOf(a) + ", as it must."
	case status/100 == 2:
		message = t.blame(a, what)
	}
	t.demand(webhook.TestCheck{Name: label(what, "refused"), Success: ok, Expected: "4xx", Actual: statusOf(a)}, a, message)
	return ok
}

// handled demands that the receiver took the event or refused it, but did not
// fail.
func (t *Trial) handled(a *Answer, what string) bool {
	return t.handles(a, what, t.scenario.Fault)
}

// handles is handled, where a failure shows another fault than the scenario's.
func (t *Trial) handles(a *Answer, what, fault string) bool {
	status := a.status()
	ok := status >= 200 && status < 500 && status != http.StatusTooManyRequests
	if !ok && t.unjudged(a) {
		return false
	}
	if ok {
		t.praise = "Answered " + statusOf(a) + "."
	}
	t.demand(webhook.TestCheck{Name: label(what, "no failure"), Success: ok, Expected: "2xx or 4xx", Actual: statusOf(a)}, a,
		explain(a, what, fault, t.scenario.Mend))
	return ok
}

// unjudged says whether an answer that is not as it should be says nothing about
// the scenario, because the receiver answers like that to anything.
func (t *Trial) unjudged(a *Answer) bool {
	switch {
	case a.Outcome == webhook.OutcomeCanceled:
		t.demand(webhook.TestCheck{Name: "answered", Expected: "an answer", Actual: "stopped before"}, a, a.Sentence)
	case t.limited(a):
	case t.Control != Took:
		t.skip(notTaken)
	default:
		return false
	}
	return true
}

// limited says whether an answer says nothing because the receiver looked at the
// rate of the requests and not at this one.
func (t *Trial) limited(a *Answer) bool {
	if a.status() != http.StatusTooManyRequests {
		return false
	}
	t.skip("The receiver limits the rate and answered 429 each time, so nothing can be said. Let it take more requests from here, or run this scenario alone.")
	return true
}

// mute says whether nothing came that could be looked at.
func (t *Trial) mute(a *Answer) bool {
	switch {
	case a.Outcome == webhook.OutcomeCanceled:
		return t.unjudged(a)
	case t.limited(a):
	case a.Response == nil:
		t.skip("The receiver gave no answer, so there is nothing to look at. " + a.Sentence)
	default:
		return false
	}
	return true
}

// advise notes something that is not wrong, but could be better.
func (t *Trial) advise(c webhook.TestCheck, a *Answer, message string) {
	c.Required = false
	t.add(c, a, message)
}

// demand notes something that must be so.
func (t *Trial) demand(c webhook.TestCheck, a *Answer, message string) {
	c.Required = true
	t.add(c, a, message)
}

func (t *Trial) add(c webhook.TestCheck, a *Answer, message string) {
	added := check{TestCheck: c, message: message}
	if a != nil {
		added.exchange = a.number
	}
	t.checks = append(t.checks, added)
}

// fault tells what was seen, what it shows and how to mend it.
func (t *Trial) fault(seen string) string {
	return seen + ": " + t.scenario.Fault + ". " + t.scenario.Mend
}
