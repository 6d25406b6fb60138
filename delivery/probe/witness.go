package probe

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Patience with a witness: an effect may come after the answer.
const (
	witnessPause = 100 * time.Millisecond
	witnessTries = 30 // until there is an effect
	witnessAfter = 500 * time.Millisecond
	witnessQuick = 2 * time.Second // where it is asked beside the point
)

// once demands that the trial's message took effect exactly once, as the witness
// says. Without one nobody can tell. The fault is that of a receiver in which it
// took effect more often, as a clause.
func (t *Trial) once(ctx context.Context, fault string) {
	c := webhook.TestCheck{Name: "took effect once", Expected: "1"}
	if !t.Witnessed {
		c.Actual = "unknown"
		t.advise(c, nil, "Every answer was right, but whether the event took effect once cannot be seen from outside. Give the run a `witness` that says how often a message id took effect.")
		return
	}
	count, err := t.count(ctx)
	if err != nil {
		c.Actual = "unknown"
		t.advise(c, nil, fmt.Sprintf("Every answer was right, but the witness could not be asked: %s. Mend the witness, then run this again.", err))
		return
	}
	c.Success, c.Actual = count == 1, strconv.Itoa(count)
	t.praise = "The event took effect once."
	if count == 0 {
		t.demand(c, nil, "The witness saw no effect of an event that was answered 2xx, for 3 s. Answer 2xx only once the event is safe, and let the witness count by `webhook-id` from then on, also events that wait, that are tests or whose data are known already.")
	} else {
		t.demand(c, nil, fmt.Sprintf("The event took effect %d times: %s. %s", count, fault, t.scenario.Mend))
	}
}

// never demands that the trial's message, which was refused, took no effect
// either, as the witness says. One that is slow, or knows no such message, says
// nothing: the answer alone was right.
func (t *Trial) never(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, witnessAfter+witnessQuick)
	defer cancel()
	sleep(ctx, witnessAfter)
	count, err := t.Line.Count(ctx, t.ID)
	if err != nil {
		return
	}
	c := webhook.TestCheck{Name: "took no effect", Success: count == 0, Expected: "0", Actual: strconv.Itoa(count)}
	t.demand(c, nil, "It was refused, but took effect all the same, as the witness says: to be refused harms no forger who gets what he wants. Verify before anything else is done with an event, also before it is put into a queue.")
}

// count asks the witness until there is an effect, and once more after a while,
// since a second one may come later.
func (t *Trial) count(ctx context.Context) (count int, err error) {
	for range witnessTries {
		if count, err = t.Line.Count(ctx, t.ID); err != nil || count > 0 || !sleep(ctx, witnessPause) {
			break
		}
	}
	if err != nil || count > 1 {
		return count, err
	}
	sleep(ctx, witnessAfter)
	return t.Line.Count(ctx, t.ID)
}
