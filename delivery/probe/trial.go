package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Shot is one request of a scenario: a correct one but for what is said here.
// The zero Shot is a correct one. It is signed as it is said, and bent after.
type Shot struct {
	// ID is the message id; "" the trial's.
	ID string
	// EventName and Data are in the place of the trial's.
	EventName string
	Data      json.RawMessage
	// Body is in the place of the one that would carry the data.
	Body []byte
	// Happened is how long ago the event happened.
	Happened time.Duration
	// Age is how old the request claims to be; below zero it is of the future.
	Age time.Duration
	// Stamp is in the place of the timestamp, whatever it is.
	Stamp *string
	// Key is what it is signed with.
	Key Key
	// Bend changes the request after it was signed.
	Bend func(*webhook.Request)
	// Reuse sends it over the connection of the shot before, where that is open.
	Reuse bool
}

// Key is what a shot is signed with.
type Key int

// The keys.
const (
	OwnKey   Key = iota
	OtherKey     // one that the receiver cannot know
	BothKeys     // as after a rotation that the receiver has not heard of: another, then its own
)

// Answer is what became of a shot.
type Answer struct {
	webhook.Exchange
	// StatusLine is that of the response as people read it, such as "404 Not
	// Found"; "" where none came.
	StatusLine string
	// Sentence says so, with what to mend where the shot was correct.
	Sentence string
	// Secret says that the answer holds the webhook's secret, which is masked
	// here.
	Secret bool
	// RetryAfter is how long the receiver wants to be left alone; 0 where it does
	// not say.
	RetryAfter time.Duration

	number int // of the exchange in its trial, from 1
}

// status is the status line's, 0 where none came.
func (a *Answer) status() int {
	if a.Response == nil {
		return 0
	}
	return a.Response.StatusCode
}

// Line leads to the receiver.
type Line interface {
	// Send sends shots, all at the same time where there are several, and
	// returns their answers in the same order.
	Send(ctx context.Context, id string, shots ...Shot) []Answer
	// Inspect looks at the receiver's addresses and, over https, at its TLS. No
	// request is sent.
	Inspect(ctx context.Context) Facts
	// Count asks the witness how often a message took effect.
	Count(ctx context.Context, messageID string) (int, error)
}

// Control is how the receiver answered a correct event at the run's beginning.
type Control int

// The answers.
const (
	Took    Control = iota // 2xx
	Refused                // another status
	Silent                 // none
)

// Variant is other data for the event, with what is unusual about them.
type Variant struct {
	Label string
	Data  json.RawMessage
}

// Trial is one scenario under way: what it is tried with, and what came of it.
type Trial struct {
	Webhook *webhook.Webhook
	// ID is the message id of the first shot.
	ID string
	// Data are those of the event.
	Data json.RawMessage
	// Variants are data for the scenarios that are about their event type's
	// schema; nil: it has none.
	Variants []Variant
	// Closed says that the event type's schema allows no member besides its own.
	Closed  bool
	Control Control
	// Witnessed says that Line.Count can be asked.
	Witnessed bool
	Line      Line

	scenario  *Scenario
	exchanges []webhook.Exchange
	checks    []check
	skipped   string
	praise    string
}

// Run puts the receiver through the scenario.
func (s *Scenario) Run(ctx context.Context, t *Trial) Result {
	t.scenario = s
	for _, why := range s.needs {
		if reason := why(t); reason != "" {
			return Result{Verdict: webhook.VerdictSkip, Message: reason}
		}
	}
	if t.Control == Silent && !s.Unanswered {
		return Result{Verdict: webhook.VerdictSkip, Message: "Not sent: the receiver gives no answer to a correct event. Mend what `valid` says, then run this again."}
	}
	s.run(ctx, t)
	if s.forges && t.Witnessed && t.holds() {
		t.never(ctx)
	}
	r := t.result()
	if r.Verdict == webhook.VerdictPass && t.Control != Took && !s.Unanswered {
		r.Verdict, r.Message = webhook.VerdictSkip, notTaken // what takes nothing refuses forgeries, too
	}
	return r
}

const (
	// maxWaits is how often a shot is sent again that was answered 429.
	maxWaits = 6
	// shortWait is the pause where the receiver does not say which it wants, or a
	// shorter one, maxWait the longest that it may ask for.
	shortWait = time.Second
	maxWait   = 10 * time.Second
)

// send sends a shot; where the receiver answers that it is asked too often, again
// after a pause.
func (t *Trial) send(ctx context.Context, s Shot) Answer {
	for waited := 0; ; waited++ {
		a := t.shoot(ctx, s)[0]
		pause, limited := pauseAfter(&a)
		if !limited || waited == maxWaits || !sleep(ctx, pause) {
			return a
		}
	}
}

// shoot sends shots at the same time, each once.
func (t *Trial) shoot(ctx context.Context, shots ...Shot) []Answer {
	answers := t.Line.Send(ctx, t.ID, shots...)
	for i := range answers {
		t.exchanges = append(t.exchanges, answers[i].Exchange)
		answers[i].number = len(t.exchanges)
	}
	return answers
}

// pauseAfter is how long to leave a receiver alone that limits the rate; false
// where it does not, or for too long.
func pauseAfter(a *Answer) (time.Duration, bool) {
	pause := max(a.RetryAfter, shortWait)
	return pause, a.status() == http.StatusTooManyRequests && pause <= maxWait
}

// headerOf is a header of an answer; "" where there is none.
func headerOf(a *Answer, name string) string {
	if a.Response == nil {
		return ""
	}
	return a.Response.Header(name)
}

// sleep waits; false where ctx was done before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// another is a message id besides the trial's own.
func (t *Trial) another() string { return webhook.NewID(webhook.TestPrefix) }

func (t *Trial) https() bool { return strings.HasPrefix(t.Webhook.URL, "https:") }

// stampNow is the timestamp of requests that are to be the same byte for byte.
func stampNow() *string {
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	return &stamp
}

// statusOf is what a receiver answered, or that it did not.
func statusOf(a *Answer) string {
	if a.Response == nil {
		return "no answer"
	}
	return a.StatusLine
}
