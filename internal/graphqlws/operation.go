package graphqlws

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// operation is one that the client asked for under an id.
type operation struct {
	id     string
	cancel context.CancelFunc
}

// subscribe begins an operation. The error ends the socket.
func (s *socket) subscribe(ctx context.Context, m message) error {
	members, ok := m.payload.(map[string]any)
	if !ok {
		return closeWith(badMessage, "The payload of a subscribe is a JSON object.")
	}
	params, err := graphqlhttp.Parameters(members)
	if err != nil {
		return closeWith(badMessage, "%s", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &operation{m.id, cancel}
	switch taken, full := s.take(o); {
	case taken:
		cancel()
		return closeWith(duplicate, "Subscriber for %s already exists", m.id)
	case full:
		defer cancel()
		s.send(ctx, failure(m.id, graphqlhttp.Coded(graphqlhttp.RateLimited,
			fmt.Sprintf("This socket has %d operations already. End some of them first.", maxOperations))))
		return nil
	}
	s.running.Go(func() {
		defer s.done(o)
		s.execute(ctx, o, params)
	})
	return nil
}

// take keeps an operation under its id, unless that is taken or there are too
// many.
func (s *socket) take(o *operation) (taken, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[o.id] != nil {
		return true, false
	}
	if len(s.operations) >= maxOperations || s.executing >= maxOperations+maxEnding {
		return false, true
	}
	s.operations[o.id] = o
	s.executing++
	return false, false
}

// complete ends an operation that the client no longer wants; it may be over
// already.
func (s *socket) complete(id string) {
	s.mu.Lock()
	o := s.operations[id]
	delete(s.operations, id)
	s.mu.Unlock()
	if o != nil {
		o.cancel()
	}
}

// free lets the id be used anew.
func (s *socket) free(o *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[o.id] == o {
		delete(s.operations, o.id)
	}
}

func (s *socket) done(o *operation) {
	o.cancel()
	s.free(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executing--
}

// execute runs an operation and sends what comes of it.
func (s *socket) execute(ctx context.Context, o *operation, params *graphql.RawParams) {
	// The client can end the operation by ctx; its own context may end sooner.
	own := graphql.StartOperationTrace(ctx)
	if s.Begin != nil {
		var end func()
		own, end = s.Begin(own)
		defer end()
	}
	// The id is free before the client hears of the end, which may use it at once.
	fail := func(mistakes gqlerror.List) {
		s.free(o)
		s.send(ctx, failure(o.id, mistakes))
	}
	operation, mistakes := s.exec.CreateOperationContext(own, params)
	if mistakes != nil {
		fail(s.exec.DispatchError(graphql.WithOperationContext(own, operation), graphqlhttp.Shorten(mistakes)).Errors)
		return
	}
	defer func() {
		if cause := recover(); cause != nil {
			fail(graphqlhttp.Fault(own, s.exec, operation, cause))
		}
	}()
	respond, own := s.exec.DispatchOperation(own, operation)
	streams := operation.Operation.Operation == ast.Subscription
	for {
		answer := respond(own)
		switch {
		case answer == nil && !streams:
			fail(graphqlhttp.Late())
			return
		case answer != nil && answer.Data == nil:
			fail(answer.Errors)
			return
		case answer != nil && !s.send(ctx, result(o.id, answer)):
			return
		}
		if answer == nil || !streams {
			s.free(o)
			s.send(ctx, about(o.id, "complete"))
			return
		}
	}
}

// about writes a message with an id.
func about(id, kind string) []byte {
	return append(begin(id, kind), '}')
}

func result(id string, answer *graphql.Response) []byte {
	b := append(begin(id, "next"), `,"payload":`...)
	return append(graphqlhttp.AppendResult(b, answer.Errors, answer.Data), '}')
}

func failure(id string, mistakes gqlerror.List) []byte {
	b := append(begin(id, "error"), `,"payload":`...)
	return append(graphqlhttp.AppendErrors(b, mistakes), '}')
}

func begin(id, kind string) []byte {
	text, err := json.Marshal(id)
	if err != nil {
		text = []byte(`""`) // a text is always written
	}
	b := append([]byte(`{"id":`), text...)
	return append(append(append(b, `,"type":"`...), kind...), '"')
}
