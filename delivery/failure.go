package delivery

import (
	"context"
	"errors"
	"net"
	"time"
)

// A phase is what an exchange was at when it failed.
type phase int

const (
	phaseLookup phase = iota
	phaseConnect
	phaseTLS
	phaseSend // the receiver has not read the whole request
	phaseWait // for the first byte of the answer
	phaseHead
	phaseBody
)

// failure is why an exchange has no complete answer.
type failure struct {
	phase phase
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail makes a failure of err, or, once ctx is done, of what ended it.
func fail(ctx context.Context, at phase, err error) *failure {
	var late net.Error
	if end, ok := ctx.Deadline(); ok && errors.As(err, &late) && late.Timeout() && !time.Now().Before(end) {
		<-ctx.Done() // the dialer keeps the same deadline by a timer of its own, which can be a hair earlier
	}
	if ctx.Err() == nil {
		return &failure{at, err}
	}
	cause := context.Cause(ctx)
	if _, ok := cause.(overdue); ok {
		return &failure{at, cause}
	}
	return &failure{at, canceled{cause}}
}

// overdue is the cause of a context that ended because the time allowed for an
// exchange, or for one phase of it, was over.
type overdue time.Duration

func (d overdue) Error() string { return "not done within " + time.Duration(d).String() }

// canceled is the error of an exchange that its caller stopped.
type canceled struct{ cause error }

func (c canceled) Error() string { return c.cause.Error() }
