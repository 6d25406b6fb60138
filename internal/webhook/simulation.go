package webhook

import "time"

// RetrySimulation is what would become of one event while its receiver is down.
type RetrySimulation struct {
	Policy         RetryPolicy
	DownForSeconds int
	// Message says it in words.
	Message string
	// Attempts are those that are made, or may be.
	Attempts []*SimulatedAttempt
	// Delivered and Suspended are nil where it depends on chance.
	Delivered      *bool
	DeliveredAfter *SecondsRange // nil: never
	Suspended      *bool
	SuspendedAfter *SecondsRange // nil: never
	// FailuresAtLeast and FailuresAtMost are how many attempts are in vain.
	FailuresAtLeast, FailuresAtMost int
	SuspendAfterSeconds             int
}

// SimulatedAttempt is one attempt of a simulation.
type SimulatedAttempt struct {
	Number         int
	At             SecondsRange
	Outcome        SimulatedOutcome
	WaitBeforeNext *SecondsRange // nil: there is no next one
}

// SimulatedOutcome is how a simulated attempt ends.
type SimulatedOutcome string

// The outcomes of simulated attempts.
const (
	SimulatedFails    SimulatedOutcome = "FAILS"
	SimulatedSucceeds SimulatedOutcome = "SUCCEEDS"
	// SimulatedDepends is one that depends on chance.
	SimulatedDepends SimulatedOutcome = "DEPENDS"
)

// SecondsRange is a time that chance lengthens.
type SecondsRange struct{ Earliest, Latest float64 }

// RangeOf is a time between two durations, to the millisecond.
func RangeOf(earliest, latest time.Duration) SecondsRange {
	seconds := func(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
	return SecondsRange{seconds(earliest), seconds(latest)}
}
