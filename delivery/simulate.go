package delivery

import (
	"fmt"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// SimulateRetries works out what becomes of an event whose receiver fails every
// attempt that begins before downFor has passed since the first, and takes each
// later one. It decides as deliveries are decided; attempts take no time.
func (e *Engine) SimulateRetries(p webhook.RetryPolicy, downFor time.Duration) *webhook.RetrySimulation {
	s := simulation{down: downFor, suspend: e.suspendAfter(), least: p.MaxAttempts}
	s.RetrySimulation = &webhook.RetrySimulation{
		Policy:              p,
		DownForSeconds:      int(downFor / time.Second),
		SuspendAfterSeconds: int(e.suspendAfter() / time.Second),
	}
	at := &span{} // the first is made at once
	for number := 1; at != nil; number++ {
		at = s.attempt(number, *at)
	}
	s.conclude()
	return s.RetrySimulation
}

// simulation is one that is under way.
type simulation struct {
	*webhook.RetrySimulation
	down, suspend time.Duration

	delivered, suspended *span // when it may be
	exhausted            bool  // the attempts may be used up
	spared               bool  // and the webhook may still be active then
	waits                bool  // the webhook may be suspended before
	least                int   // attempts in vain
}

// span is a time between two, both included.
type span struct{ earliest, latest time.Duration }

// and widens a span, which may be nil, by another.
func (s *span) and(other span) *span {
	if s == nil {
		return &other
	}
	return &span{min(s.earliest, other.earliest), max(s.latest, other.latest)}
}

func (s span) seconds() *webhook.SecondsRange {
	r := webhook.RangeOf(s.earliest, s.latest)
	return &r
}

// inVain is an exchange with a receiver that is down.
var inVain = webhook.Exchange{Outcome: webhook.OutcomeRefused}

// attempt takes in an attempt that is made within a time, and returns within
// which the next one is; nil where there is none.
func (s *simulation) attempt(number int, at span) (next *span) {
	a := &webhook.SimulatedAttempt{Number: number, At: *at.seconds(), Outcome: webhook.SimulatedDepends}
	s.Attempts = append(s.Attempts, a)
	if at.latest >= s.down {
		s.delivered = s.delivered.and(span{max(at.earliest, s.down), at.latest})
		s.least = min(s.least, number-1)
	}
	switch {
	case at.latest < s.down:
		a.Outcome = webhook.SimulatedFails
	case at.earliest >= s.down:
		a.Outcome = webhook.SimulatedSucceeds
		return nil
	}
	s.FailuresAtMost = number
	shortest := decide(s.Policy, number, &inVain, 0, time.Time{})
	longest := decide(s.Policy, number, &inVain, 1, time.Time{})
	last := shortest.state != webhook.QueueReady
	if s.suspend < s.down && s.suspend <= at.latest {
		s.suspended = s.suspended.and(span{max(at.earliest, s.suspend), min(at.latest, s.down)})
		s.waits = s.waits || !last
		s.least = min(s.least, number)
	}
	// What fails before this leaves the webhook active, and is sent again.
	until := min(s.down, s.suspend)
	switch {
	case last:
		s.exhausted, s.spared = true, at.earliest < until
		return nil
	case at.earliest >= until:
		return nil
	}
	a.WaitBeforeNext = span{shortest.delay, longest.delay}.seconds()
	return &span{at.earliest + shortest.delay, min(at.latest, until) + longest.delay}
}

// conclude says what became of the event, as far as it does not depend on
// chance.
func (s *simulation) conclude() {
	s.FailuresAtLeast = s.least
	s.Delivered = always(s.delivered != nil, s.exhausted || s.waits)
	s.Suspended = always(s.suspended != nil, s.spared || s.delivered != nil)
	if s.delivered != nil {
		s.DeliveredAfter = s.delivered.seconds()
	}
	if s.suspended != nil {
		s.SuspendedAfter = s.suspended.seconds()
	}
	s.Message = s.say()
}

// always says whether something is always so, or never; nil where both may be.
func always(so, otherwise bool) *bool {
	if so && otherwise {
		return nil
	}
	return &so
}

// say puts the simulation into words.
func (s *simulation) say() string {
	var ends []string
	switch {
	case s.Delivered != nil && *s.Delivered:
		ends = append(ends, fmt.Sprintf("delivered %s, with %s in vain", s.delivered, attempts(s.FailuresAtLeast, s.FailuresAtMost)))
	case s.delivered != nil:
		ends = append(ends, fmt.Sprint("delivered ", s.delivered))
	}
	if s.exhausted {
		all := fmt.Sprintf("all %d attempts are", s.Policy.MaxAttempts)
		if s.Policy.MaxAttempts == 1 {
			all = "the only attempt is"
		}
		ends = append(ends, "not delivered, for "+all+" in vain: `retryDeliveries` sends it again")
	}
	if s.waits {
		ends = append(ends, "kept until the suspended webhook is activated")
	}
	text := "The event is " + ends[0] + "."
	if len(ends) > 1 {
		text = "It depends on the random part of the waits: the event is " + strings.Join(ends, ", or ") + "."
	}
	switch {
	case s.suspended == nil && s.suspend < s.down:
		text += " Where other events are sent to the webhook, too, it is suspended after " + plain(s.suspend) + "."
	case s.suspended == nil:
	case s.Suspended != nil:
		text += fmt.Sprintf(" The webhook is suspended %s.", s.suspended)
	default:
		text += fmt.Sprintf(" The webhook may be suspended, %s.", s.suspended)
	}
	return text
}

func (s span) String() string {
	switch earliest, latest := plain(s.earliest), plain(s.latest); {
	case s.latest == 0:
		return "at once"
	case earliest == latest:
		return "after " + earliest
	default:
		return "after " + earliest + " to " + latest
	}
}

// attempts counts attempts, of which there are at least some and at most some.
func attempts(least, most int) string {
	switch {
	case least != most:
		return fmt.Sprintf("%d to %d attempts", least, most)
	case most == 1:
		return "1 attempt"
	default:
		return fmt.Sprintf("%d attempts", most)
	}
}

// plain is a time in its two largest units, rounded.
func plain(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units[:len(units)-1] {
		smaller := units[i+1]
		d := d.Round(smaller.size)
		switch whole, rest := d/u.size, d%u.size/smaller.size; {
		case whole == 0:
		case rest == 0:
			return fmt.Sprintf("%d %s", whole, u.name)
		default:
			return fmt.Sprintf("%d %s %d %s", whole, u.name, rest, smaller.name)
		}
	}
	return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
}
