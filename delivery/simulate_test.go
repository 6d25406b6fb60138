package delivery

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

const day = 24 * time.Hour

// lived is what became of one event for which chance was drawn.
type lived struct {
	attempts    []time.Duration
	delivered   bool
	exhausted   bool
	suspendedAt time.Duration // -1: never
}

// liveThrough takes an event through its attempts in a time of their own, one decision
// after the other, and suspends its webhook by the rule of Settle: failing since
// the first attempt in vain.
func liveThrough(p webhook.RetryPolicy, down, suspendAfter time.Duration, chance func() float64) lived {
	l := lived{suspendedAt: -1}
	failingSince := time.Duration(-1)
	for now := time.Duration(0); ; {
		l.attempts = append(l.attempts, now)
		x := failed(503, "")
		if now >= down {
			x = &webhook.Exchange{Outcome: webhook.OutcomeDelivered}
		}
		d := decide(p, len(l.attempts), x, chance(), time.Time{})
		l.delivered, l.exhausted = d.state == webhook.QueueSucceeded, d.state == webhook.QueueFailed
		if l.delivered {
			return l
		}
		if failingSince < 0 {
			failingSince = now
		}
		if failingSince <= now-suspendAfter {
			l.suspendedAt = now
		}
		if l.exhausted || l.suspendedAt >= 0 {
			return l
		}
		now += d.delay
	}
}

func (l lived) inVain() int {
	if l.delivered {
		return len(l.attempts) - 1
	}
	return len(l.attempts)
}

func within(d time.Duration, r *webhook.SecondsRange) bool {
	return r != nil && d.Seconds() >= r.Earliest-0.001 && d.Seconds() <= r.Latest+0.001
}

// TestSimulationsHoldWhateverChance compares simulations of many policies and
// outages with the lives of events for which chance was drawn: all of them lie
// within it, and what is said to depend on chance does.
func TestSimulationsHoldWhateverChance(t *testing.T) {
	t.Parallel()
	policies := []webhook.RetryPolicy{
		webhook.DefaultRetryPolicy(),
		{MaxAttempts: 1, InitialDelaySeconds: 5, BackoffFactor: 4, MaxDelaySeconds: 86_400},
		{MaxAttempts: 2, InitialDelaySeconds: 7, BackoffFactor: 1.5, MaxDelaySeconds: 10},
		{MaxAttempts: 20, InitialDelaySeconds: 1, BackoffFactor: 1, MaxDelaySeconds: 1},
		{MaxAttempts: 20, InitialDelaySeconds: 3600, BackoffFactor: 10, MaxDelaySeconds: 86_400},
		{MaxAttempts: 20, InitialDelaySeconds: 3600, BackoffFactor: 10, MaxDelaySeconds: 1},
		{MaxAttempts: 7, InitialDelaySeconds: 60, BackoffFactor: 2.5, MaxDelaySeconds: 7200},
	}
	downs := []time.Duration{0, time.Second, 5 * time.Second, 6 * time.Second, time.Minute, 6 * time.Hour, day, 3 * day, 4 * day, 5 * day, 6 * day, 30 * day, 365 * day}
	for _, p := range policies {
		for _, down := range downs {
			for _, suspendAfter := range []time.Duration{0, time.Second, 90 * time.Second, 4 * day} { // 0 is the default
				e := Engine{SuspendAfter: suspendAfter}
				checkSimulation(t, e.SimulateRetries(p, down), fmt.Sprintf("%+v, down for %s, suspended after %s", p, down, e.suspendAfter()), func(chance func() float64) lived {
					return liveThrough(p, down, e.suspendAfter(), chance)
				})
			}
		}
	}
}

// checkSimulation compares a simulation with many lives.
func checkSimulation(t *testing.T, s *webhook.RetrySimulation, name string, live func(func() float64) lived) {
	t.Helper()
	const lives = 400
	delivered, suspended, least, most, made := 0, 0, 99, 0, 0
	chances := []func() float64{func() float64 { return 0 }, func() float64 { return 1 }}
	for n := range lives {
		edge := []float64{0, 0.5, 1}[n%3] // many lie near one end, so that the ends of the ranges are come near to
		chances = append(chances, func() float64 { return edge + (rand.Float64()-edge)*rand.Float64() })
	}
	for _, chance := range chances {
		l := live(chance)
		least, most, made = min(least, l.inVain()), max(most, l.inVain()), max(made, len(l.attempts))
		for n, at := range l.attempts {
			if n >= len(s.Attempts) || !within(at, &s.Attempts[n].At) {
				t.Fatalf("%s: attempt %d at %s\n%+v", name, n+1, at, s)
			}
			a := s.Attempts[n]
			success := l.delivered && n == len(l.attempts)-1
			if success && a.Outcome == webhook.SimulatedFails || !success && a.Outcome == webhook.SimulatedSucceeds {
				t.Fatalf("%s: attempt %d is said to be %s", name, n+1, a.Outcome)
			}
			if n > 0 && !within(at-l.attempts[n-1], s.Attempts[n-1].WaitBeforeNext) {
				t.Fatalf("%s: attempt %d waits %s", name, n+1, at-l.attempts[n-1])
			}
		}
		if l.delivered {
			delivered++
			if !within(l.attempts[len(l.attempts)-1], s.DeliveredAfter) {
				t.Fatalf("%s: delivered after %s\n%+v", name, l.attempts[len(l.attempts)-1], s.DeliveredAfter)
			}
		}
		if l.suspendedAt >= 0 {
			suspended++
			if !within(l.suspendedAt, s.SuspendedAfter) {
				t.Fatalf("%s: suspended after %s\n%+v", name, l.suspendedAt, s.SuspendedAfter)
			}
		}
	}
	said := func(what string, says *bool, n int) {
		if says != nil && *says != (n > 0) || says != nil && n > 0 && n < len(chances) || says == nil && (n == 0 || n == len(chances)) {
			t.Errorf("%s: %d of %d are %s: %s", name, n, len(chances), what, s.Message)
		}
	}
	said("delivered", s.Delivered, delivered)
	said("suspended", s.Suspended, suspended)
	if least != s.FailuresAtLeast || most != s.FailuresAtMost || made != len(s.Attempts) {
		t.Errorf("%s: %d to %d in vain, %d attempts; simulated are %d to %d, %d", name, least, most, made, s.FailuresAtLeast, s.FailuresAtMost, len(s.Attempts))
	}
	if (s.DeliveredAfter == nil) != (delivered == 0) || (s.SuspendedAfter == nil) != (suspended == 0) {
		t.Errorf("%s: %d delivered, %d suspended: %+v", name, delivered, suspended, s)
	}
	if last := s.Attempts[len(s.Attempts)-1]; last.WaitBeforeNext != nil || strings.Contains(s.Message, "%!") {
		t.Errorf("%s: %+v, %s", name, last, s.Message)
	}
}

// TestSimulatedTable is what a developer reads.
func TestSimulatedTable(t *testing.T) {
	t.Parallel()
	s := (&Engine{}).SimulateRetries(webhook.DefaultRetryPolicy(), 110*time.Second)
	yes, no := true, false
	want := &webhook.RetrySimulation{
		Policy: webhook.DefaultRetryPolicy(), DownForSeconds: 110, SuspendAfterSeconds: 432_000,
		Message: "The event is delivered after 1 min 50 s to 8 min 14 s, with 3 to 4 attempts in vain.",
		Attempts: []*webhook.SimulatedAttempt{
			{Number: 1, Outcome: webhook.SimulatedFails, WaitBeforeNext: &webhook.SecondsRange{Earliest: 5, Latest: 6}},
			{Number: 2, At: webhook.SecondsRange{Earliest: 5, Latest: 6}, Outcome: webhook.SimulatedFails, WaitBeforeNext: &webhook.SecondsRange{Earliest: 20, Latest: 24}},
			{Number: 3, At: webhook.SecondsRange{Earliest: 25, Latest: 30}, Outcome: webhook.SimulatedFails, WaitBeforeNext: &webhook.SecondsRange{Earliest: 80, Latest: 96}},
			{Number: 4, At: webhook.SecondsRange{Earliest: 105, Latest: 126}, Outcome: webhook.SimulatedDepends, WaitBeforeNext: &webhook.SecondsRange{Earliest: 320, Latest: 384}},
			{Number: 5, At: webhook.SecondsRange{Earliest: 425, Latest: 494}, Outcome: webhook.SimulatedSucceeds},
		},
		Delivered: &yes, DeliveredAfter: &webhook.SecondsRange{Earliest: 110, Latest: 494}, Suspended: &no,
		FailuresAtLeast: 3, FailuresAtMost: 4,
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSimulationsInWords(t *testing.T) {
	t.Parallel()
	daily := webhook.RetryPolicy{MaxAttempts: 20, InitialDelaySeconds: 3600, BackoffFactor: 10, MaxDelaySeconds: 86_400}
	hourly := webhook.RetryPolicy{MaxAttempts: 3, InitialDelaySeconds: 3600, BackoffFactor: 1, MaxDelaySeconds: 3600}
	for _, c := range []struct {
		policy webhook.RetryPolicy
		down   time.Duration
		want   string
	}{
		{webhook.DefaultRetryPolicy(), 0, "The event is delivered at once, with 0 attempts in vain."},
		{webhook.DefaultRetryPolicy(), time.Second, "The event is delivered after 5 s to 6 s, with 1 attempt in vain."},
		{webhook.DefaultRetryPolicy(), 6 * time.Hour, "The event is delivered after 7 h 35 min to 9 h 6 min, with 7 attempts in vain."},
		{webhook.DefaultRetryPolicy(), 4 * day, "The event is not delivered, for all 11 attempts are in vain: `retryDeliveries` sends it again."},
		{webhook.DefaultRetryPolicy(), 6 * day, "The event is not delivered, for all 11 attempts are in vain: `retryDeliveries` sends it again. " +
			"Where other events are sent to the webhook, too, it is suspended after 5 d."},
		{daily, 30 * day, "The event is kept until the suspended webhook is activated. The webhook is suspended after 5 d to 6 d 5 h."},
		{hourly, 130 * time.Minute, "It depends on the random part of the waits: the event is delivered after 2 h 10 min to 2 h 24 min, " +
			"or not delivered, for all 3 attempts are in vain: `retryDeliveries` sends it again."},
	} {
		if got := (&Engine{}).SimulateRetries(c.policy, c.down).Message; got != c.want {
			t.Errorf("%+v, %s:\n%s\n%s", c.policy, c.down, got, c.want)
		}
	}
}
