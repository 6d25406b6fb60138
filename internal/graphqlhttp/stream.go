package graphqlhttp

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const (
	// maxStreams is how many subscriptions of one key are answered by events
	// at a time: as many as its sockets hold.
	maxStreams = 100
	// keepAlive is after how long without an event a comment is sent, so that
	// nothing on the way takes the connection for dead.
	keepAlive = 12 * time.Second
	// maxWrite is how long a client may take to read an event.
	maxWrite = 10 * time.Second
)

// stream answers an operation by events: each result, then that it is complete.
// A stream that ends without the latter may be asked for again.
func (t Transport) stream(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, operation *graphql.OperationContext) {
	session, stopping := t.session(r.Context())
	if session.End != nil {
		defer session.End()
	}
	if t.Connections != nil && operation.Operation.Operation == ast.Subscription {
		leave, ok := t.Connections.Enter("stream", session.Key, maxStreams)
		if !ok {
			Refuse(w, http.StatusTooManyRequests, RateLimited, fmt.Sprintf("This key has %d subscriptions open. End some of them first.", maxStreams))
			return
		}
		defer leave()
	}
	ctx, cancel := context.WithCancel(r.Context())
	results := make(chan []byte) // run sends and closes
	go run(ctx, exec, operation, results)
	defer func() { // run has ended when stream returns
		cancel()
		for range results {
		}
	}()
	events := newEvents(w)
	silence := time.NewTicker(keepAlive)
	defer silence.Stop()
	for sent := true; sent; {
		select {
		case result, more := <-results:
			if !more {
				if ctx.Err() == nil {
					events.complete()
				}
				return
			}
			sent = events.next(result)
			silence.Reset(keepAlive)
		case <-silence.C:
			sent = events.comment()
		case <-session.Over:
			events.sendAll(AppendResult(nil, Coded(Unauthenticated, "The key of this subscription opens no more."), nil))
			return
		case <-stopping:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (t Transport) session(ctx context.Context) (s Session, stopping <-chan struct{}) {
	if t.Session != nil {
		s = t.Session(ctx)
	}
	if t.Connections != nil {
		stopping = t.Connections.Stopping()
	}
	return s, stopping
}

// run sends the results of an operation, ready to be written.
func run(ctx context.Context, exec graphql.GraphExecutor, operation *graphql.OperationContext, results chan<- []byte) {
	defer close(results)
	send := func(mistakes gqlerror.List, answer *graphql.Response) bool {
		var result []byte // gqlgen writes the next result over this one
		if answer == nil {
			result = AppendResult(nil, mistakes, nil)
		} else {
			result = AppendResult(nil, answer.Errors, answer.Data)
		}
		select {
		case results <- result:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if cause := recover(); cause != nil {
			send(Fault(ctx, exec, operation, cause), nil)
		}
	}()
	respond, ctx := exec.DispatchOperation(ctx, operation)
	for n := 0; ; n++ {
		answer := respond(ctx)
		if answer == nil && n == 0 && operation.Operation.Operation != ast.Subscription {
			send(Late(), nil)
		}
		if answer == nil || !send(nil, answer) || operation.Operation.Operation != ast.Subscription {
			return
		}
	}
}

// Fault is what the client is told of a panic; the presenter logs it.
func Fault(ctx context.Context, exec graphql.GraphExecutor, operation *graphql.OperationContext, cause any) gqlerror.List {
	err := gqlerror.Wrap(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
	return exec.DispatchError(graphql.WithOperationContext(ctx, operation), gqlerror.List{err}).Errors
}

// events writes a stream of events. Its methods are false once the client is
// gone, or does not read.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newEvents(w http.ResponseWriter) events {
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events back
	writeHeader(w, mediaEvents, http.StatusOK)
	e := events{w, http.NewResponseController(w)}
	e.comment() // lets the client know that it is connected
	return e
}

// next has its data in one line: what breaks lines in JSON is a space as well.
func (e events) next(result []byte) bool {
	for i, c := range result {
		if c == '\n' || c == '\r' {
			result[i] = ' '
		}
	}
	return e.write("event: next\ndata: %s\n\n", result)
}

// complete has data, though empty: without, browsers would not show it.
func (e events) complete() bool { return e.write("event: complete\ndata:\n\n") }

func (e events) comment() bool { return e.write(":\n\n") }

// sendAll is a whole stream of one result.
func (e events) sendAll(result []byte) {
	if e.next(result) {
		e.complete()
	}
}

func (e events) write(format string, args ...any) bool {
	_ = e.control.SetWriteDeadline(time.Now().Add(maxWrite)) // where none can be set, the server's own stays
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return false
	}
	return e.control.Flush() == nil
}
