package webhook

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Exchange is one HTTP request and what became of it. A receiver that fails is
// an exchange with another outcome, never an error.
type Exchange struct {
	Outcome Outcome
	// Detail is the cause in the words of the network, such as
	// "connection refused"; empty where the outcome says it all. Besides a
	// status it says how the answer's body broke off. What HookQL itself
	// refused (BLOCKED, and CANCELED for data that cannot be sent) is told in
	// a sentence.
	Detail    string
	StartedAt time.Time
	Timing    Timing
	Request   Request
	// Response is nil where nothing came back.
	Response *Response
}

// Outcome is how one request ended on the wire.
type Outcome string

// The outcomes.
const (
	// OutcomeDelivered: answered 2xx within the time allowed. Status line and
	// headers count; a body that breaks off changes nothing.
	OutcomeDelivered Outcome = "DELIVERED"
	// OutcomeRejected: answered with another status than 2xx or 3xx.
	OutcomeRejected Outcome = "REJECTED"
	// OutcomeRedirected: answered with a redirect, which is never followed.
	OutcomeRedirected Outcome = "REDIRECTED"
	// OutcomeTimedOut: no status line and headers within the time allowed.
	OutcomeTimedOut Outcome = "TIMED_OUT"
	// OutcomeUnresolved: the host name did not resolve.
	OutcomeUnresolved Outcome = "UNRESOLVED"
	// OutcomeRefused: no connection could be made.
	OutcomeRefused Outcome = "REFUSED"
	// OutcomeTLSFailed: certificate, name or protocol did not do.
	OutcomeTLSFailed Outcome = "TLS_FAILED"
	// OutcomeReset: the connection broke before status line and headers were in.
	OutcomeReset Outcome = "RESET"
	// OutcomeMalformed: the answer was not valid HTTP, or its head too large.
	OutcomeMalformed Outcome = "MALFORMED"
	// OutcomeBlocked: the address is one that is not sent to; nothing was sent.
	OutcomeBlocked Outcome = "BLOCKED"
	// OutcomeCanceled: stopped before an answer came, or before anything was
	// sent, by its caller or because the data cannot be sent this way.
	OutcomeCanceled Outcome = "CANCELED"
)

// Outcomes are all there are.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeDelivered, OutcomeRejected, OutcomeRedirected, OutcomeTimedOut, OutcomeUnresolved, OutcomeRefused,
		OutcomeTLSFailed, OutcomeReset, OutcomeMalformed, OutcomeBlocked, OutcomeCanceled,
	}
}

// Request is a request exactly as it was written to the wire, or would have
// been where no connection was made, but for the values of the owner's headers,
// which are masked. It holds only method and URL where
// nothing could be made ready to be sent.
type Request struct {
	Method string
	URL    string
	// Headers are in the order sent.
	Headers []Header
	Body    []byte
	// BodySize is the length of Body, also where Body is left out (see Bodies).
	BodySize int
}

// Bodies are those of an exchange. They can be large, so exchanges are listed
// without them.
type Bodies struct{ Request, Response []byte }

// LoadBodies reads the bodies of an exchange that was listed without them.
type LoadBodies func(context.Context) (Bodies, error)

// Response is an answer as far as it was read.
type Response struct {
	StatusCode int
	StatusText string
	// Headers are sorted by name.
	Headers []Header
	// Body is the start of the body, as it came: content encodings are not undone.
	Body          []byte
	BodyTruncated bool
}

// Header returns the first value of a header, "" where there is none.
func (r *Response) Header(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Millis writes how long an answer took.
func Millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// Timing is where the time of an exchange went. A phase that did not happen,
// or did not end, is zero.
type Timing struct {
	DNS     time.Duration
	Connect time.Duration
	TLS     time.Duration
	// FirstByte runs from the request's last byte to the answer's first.
	FirstByte time.Duration
	Total     time.Duration
	// ConnectionReused says whether an open connection was used again.
	ConnectionReused bool
}
