// Package graphqlhttp speaks GraphQL over HTTP as the specification of that
// name says (graphql.github.io/graphql-over-http): the one door to the API for
// queries and mutations. It is stricter than it has to be where a lax reading
// would let two readers understand one request differently.
package graphqlhttp

import (
	"bytes"
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
}

// Supports implements graphql.Transport.
func (Transport) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (t Transport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	media, ok := negotiate(r.Header)
	if !ok {
		refuse(w, mediaJSON, &refusal{http.StatusNotAcceptable,
			"The answer is " + mediaJSON + " or " + mediaGraphQL + "; name one of them in the header Accept."})
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
		write(w, media, mistaken(media), exec.DispatchError(ctx, shorten(mistakes)).Errors, nil)
		return
	}
	if wrong := unfit(r.Method, operation.Operation.Operation); wrong != nil {
		refuse(w, media, wrong)
		return
	}
	respond, ctx := exec.DispatchOperation(r.Context(), operation)
	answer := respond(ctx)
	if answer == nil { // the context ended: nobody waits, or the time was over
		write(w, media, http.StatusServiceUnavailable, coded(Timeout, "The request took longer than is allowed and was given up."), nil)
		return
	}
	write(w, media, http.StatusOK, answer.Errors, answer.Data)
}

// unread says why a request's body could not be read.
func unread(err error) *refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{http.StatusRequestTimeout, "The request took too long to come. Send it faster, or in smaller parts."}
	}
	return badRequest("The request could not be read to its end.")
}

// unfit says why an operation cannot be run by a method, nil where it can.
func unfit(method string, operation ast.Operation) *refusal {
	switch {
	case operation == ast.Subscription:
		return badRequest("Subscriptions are not answered here.")
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

// shorten keeps an answer small, however many and long the mistakes, and leaves
// out what they say back.
func shorten(mistakes gqlerror.List) gqlerror.List {
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
	write(w, media, wrong.status, coded(BadRequest, wrong.message), nil)
}

// Refuse answers a request that never comes to a Transport in the shape of a
// GraphQL error, which GraphQL clients show.
func Refuse(w http.ResponseWriter, status int, code Code, message string) {
	write(w, mediaJSON, status, coded(code, message), nil)
}

func coded(code Code, message string) gqlerror.List {
	return gqlerror.List{{Message: message, Extensions: map[string]any{"code": string(code)}}}
}

// write sends an answer. Without data there is no member data, as nothing was
// executed.
func write(w http.ResponseWriter, media string, status int, mistakes gqlerror.List, data json.RawMessage) {
	var body bytes.Buffer
	body.WriteByte('{')
	if len(mistakes) > 0 {
		list, err := json.Marshal(mistakes)
		if err != nil {
			list = []byte(`[{"message":"The errors could not be written."}]`) // an extension of ours that is no JSON
		}
		body.WriteString(`"errors":`)
		body.Write(list)
	}
	if data != nil {
		if len(mistakes) > 0 {
			body.WriteByte(',')
		}
		body.WriteString(`"data":`)
		body.Write(data)
	}
	body.WriteByte('}')
	h := w.Header()
	h.Set("Content-Type", media+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // a client who went away does not matter
}
