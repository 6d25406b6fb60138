// Package graphqlhttp speaks GraphQL over HTTP as the specification of that
// name says (graphql.github.io/graphql-over-http), and answers subscriptions by
// events (the distinct connections of graphql-sse). It is stricter than it has
// to be where a lax reading would let two readers understand one request
// differently.
package graphqlhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The media types of answers. They differ in their status codes: with the
// older one the status says whether there is an answer, with the newer one
// whether the request was right.
const (
	mediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
	mediaEvents  = "text/event-stream"
)

// Limits of what one answer says about a wrong document.
const (
	maxErrors  = 10
	maxMessage = 500
)

// Transport is a gqlgen transport that takes every request, so it stands last.
// The zero Transport is usable.
type Transport struct {
	// MaxBody is the largest request body in bytes; zero: 1 MiB.
	MaxBody int64
	// Session says what a stream of events lives by, from its request's
	// context; nil: by the request alone.
	Session func(context.Context) Session
	// Connections counts and ends streams; nil: nobody does.
	Connections *Connections
}

// Supports implements graphql.Transport.
func (Transport) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (t Transport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	client := negotiate(r.Header)
	media := client.media
	if media == "" {
		media = mediaJSON // of refusals
	}
	if client.media == "" && !client.events {
		refuse(w, media, &refusal{http.StatusNotAcceptable,
			"The answer is " + mediaJSON + ", " + mediaGraphQL + " or " + mediaEvents + "; name one of them in the header Accept."})
		return
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", allowed)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	params, err := t.read(w, r)
	if err != nil {
		var wrong *refusal
		if !errors.As(err, &wrong) {
			wrong = unread(err)
		}
		refuse(w, media, wrong)
		return
	}
	operation, mistakes := exec.CreateOperationContext(r.Context(), params)
	if mistakes != nil {
		ctx := graphql.WithOperationContext(r.Context(), operation)
		said := exec.DispatchError(ctx, Shorten(mistakes)).Errors
		if client.preferEvents { // as graphql-sse asks: an EventSource shows nothing of another status
			newEvents(w).sendAll(AppendResult(nil, said, nil))
			return
		}
		write(w, media, mistaken(media), said, nil)
		return
	}
	kind := operation.Operation.Operation
	if wrong := unfit(r.Method, kind, client); wrong != nil {
		refuse(w, media, wrong)
		return
	}
	if kind == ast.Subscription || client.preferEvents {
		t.stream(w, r, exec, operation)
		return
	}
	respond, ctx := exec.DispatchOperation(r.Context(), operation)
	answer := respond(ctx)
	if answer == nil { // the context ended: nobody waits, or the time was over
		write(w, media, http.StatusServiceUnavailable, Late(), nil)
		return
	}
	write(w, media, http.StatusOK, answer.Errors, answer.Data)
}

// Late is what an operation is told that ended before any answer.
func Late() gqlerror.List {
	return Coded(Timeout, "The request took longer than is allowed and was given up.")
}

// unread says why a request's body could not be read.
func unread(err error) *refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{http.StatusRequestTimeout, "The request took too long to come. Send it faster, or in smaller parts."}
	}
	return badRequest("The request could not be read to its end.")
}

// unfit says why an operation cannot be run by a method, nil where it can.
func unfit(method string, operation ast.Operation, client welcome) *refusal {
	switch {
	case operation == ast.Subscription && !client.events:
		return &refusal{http.StatusNotAcceptable,
			"A subscription is answered by events: name " + mediaEvents + " in the header Accept, or subscribe over a WebSocket."}
	case operation == ast.Mutation && method == http.MethodGet:
		return &refusal{http.StatusMethodNotAllowed, "A mutation changes something, so it is sent by POST."}
	}
	return nil
}

// mistaken is the status of an answer to a document, or variables, that do not
// fit the schema.
func mistaken(media string) int {
	if media == mediaGraphQL {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// Shorten keeps an answer small, however many and long the mistakes, and leaves
// out what they say back.
func Shorten(mistakes gqlerror.List) gqlerror.List {
	for _, m := range mistakes {
		m.Message = withoutValue(m.Message)
		if len(m.Message) > maxMessage {
			m.Message = strings.ToValidUTF8(m.Message[:maxMessage], "") + "…"
		}
	}
	if len(mistakes) <= maxErrors {
		return mistakes
	}
	return append(mistakes[:maxErrors:maxErrors],
		gqlerror.Errorf("There are %d more mistakes.", len(mistakes)-maxErrors))
}

// refusal is an answer to a request that is no GraphQL request at all.
type refusal struct {
	status  int
	message string
}

func (e *refusal) Error() string { return e.message }

func badRequest(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func refuse(w http.ResponseWriter, media string, wrong *refusal) {
	if wrong.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allowed)
	}
	write(w, media, wrong.status, Coded(BadRequest, wrong.message), nil)
}

// Refuse answers a request that never comes to a Transport in the shape of a
// GraphQL error, which GraphQL clients show.
func Refuse(w http.ResponseWriter, status int, code Code, message string) {
	write(w, mediaJSON, status, Coded(code, message), nil)
}

// Coded is one error with a code.
func Coded(code Code, message string) gqlerror.List {
	return gqlerror.List{{Message: message, Extensions: map[string]any{"code": string(code)}}}
}

// AppendResult appends the result of an operation as JSON. Without data there
// is no member data, as nothing was executed.
func AppendResult(b []byte, mistakes gqlerror.List, data json.RawMessage) []byte {
	b = append(b, '{')
	if len(mistakes) > 0 {
		b = AppendErrors(append(b, `"errors":`...), mistakes)
	}
	if data != nil {
		if len(mistakes) > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `"data":`...), data...)
	}
	return append(b, '}')
}

// AppendErrors appends a list of errors as JSON.
func AppendErrors(b []byte, mistakes gqlerror.List) []byte {
	list, err := json.Marshal(mistakes)
	if err != nil {
		list = []byte(`[{"message":"The errors could not be written."}]`) // an extension of ours that is no JSON
	}
	return append(b, list...)
}

// write sends an answer that is one document.
func write(w http.ResponseWriter, media string, status int, mistakes gqlerror.List, data json.RawMessage) {
	body := AppendResult(nil, mistakes, data)
	h := w.Header()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	writeHeader(w, media, status)
	_, _ = w.Write(body) // a client who went away does not matter
}

func writeHeader(w http.ResponseWriter, media string, status int) {
	h := w.Header()
	h.Set("Content-Type", media+"; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
	w.WriteHeader(status)
}
