package delivery

import (
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Metrics are told what the engine does, when it has done it. What is nil is
// told nothing. The functions are called from many goroutines, and must not
// make them wait.
type Metrics struct {
	// Attempted: a request to a webhook ended.
	Attempted func(outcome webhook.Outcome, took time.Duration)
	// Ingested, Claimed and Settled: one write published events, took deliveries
	// in hand, recorded what became of them.
	Ingested, Claimed, Settled func(n int, took time.Duration)
	// Failed: such a write failed.
	Failed func(Step)
}

// Step is a write of the engine to its queue.
type Step string

// The steps.
const (
	StepIngest Step = "ingest"
	StepClaim  Step = "claim"
	StepSettle Step = "settle"
)

func (m *Metrics) attempted(x *webhook.Exchange) {
	if m.Attempted != nil {
		m.Attempted(x.Outcome, x.Timing.Total)
	}
}

// wrote tells of a write to the queue that began at a time, and of how many
// rows. One of none is not told.
func (m *Metrics) wrote(s Step, n int, began time.Time, err error) {
	tell := map[Step]func(int, time.Duration){StepIngest: m.Ingested, StepClaim: m.Claimed, StepSettle: m.Settled}[s]
	switch {
	case err != nil && m.Failed != nil:
		m.Failed(s)
	case err == nil && n > 0 && tell != nil:
		tell(n, time.Since(began))
	}
}

// Load is what an engine has to do.
type Load struct {
	// InHand are the deliveries under this process's leases, or about to be.
	InHand int
	// Sending are those that are being sent.
	Sending int
	// Nodes are the processes that deliver, this one among them.
	Nodes int
}

// Load is what the engine has to do just now.
func (e *Engine) Load() Load {
	l := e.window.load()
	l.Nodes = e.alive()
	return l
}

func (w *window) load() (l Load) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.InHand, l.Sending = w.inHand, w.sending
	return l
}
