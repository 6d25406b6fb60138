// Package graphqlws answers GraphQL over WebSockets by the subprotocol
// graphql-transport-ws (the one of the library graphql-ws): subscriptions, and
// queries and mutations too. It is as strict as graphqlhttp, whose rules for
// JSON and documents hold here.
package graphqlws

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

const subprotocol = "graphql-transport-ws"

// Limits of sockets. docs/security.md tells them.
const (
	// maxWaiting is how many sockets may be open whose clients have not said
	// who they are, maxWaitingThere of one address.
	maxWaiting      = 1000
	maxWaitingThere = 100
	// maxSockets is of one key.
	maxSockets = 5
	// maxOperations is of one socket.
	maxOperations = 20
	// maxEnding is how many operations may be ending beside them: a client
	// cannot pile them up by ending and beginning.
	maxEnding = 20
	// maxMessage is the length of a message, maxInit of one before the client
	// is known.
	maxMessage = 64 << 10
	maxInit    = 16 << 10
	// maxID is the length of an operation's id.
	maxID = 256
)

// Times are how long a socket waits. They are fields so that tests can be
// quick; zero is the default.
type Times struct {
	// Init is for the client to say who it is, by default 5 s.
	Init time.Duration
	// Ping is between two pings, and for an answer to one, by default 12 s.
	Ping time.Duration
	// Slow is for the client to take a message, by default 10 s.
	Slow time.Duration
	// Close is for the client to answer the end, by default 3 s.
	Close time.Duration
}

// Transport is a gqlgen transport for requests that ask for a WebSocket. The
// origin of the request must have been looked at already.
type Transport struct {
	// Admit lets the client of a socket in, by a request that has the headers
	// that the client sent later. Operations run in the context that it
	// returns. The error is a *Refusal, or a fault. Nil lets everybody in.
	Admit func(r *http.Request) (context.Context, graphqlhttp.Session, error)
	// Begin makes the context of an operation, which end ends; nil: it is the
	// one of Admit.
	Begin func(ctx context.Context) (operation context.Context, end func())
	// Address is where a request comes from, so that no address takes the places
	// of all that wait to say who they are; nil: it may.
	Address func(*http.Request) string
	// Connections counts and ends sockets; it must be set.
	Connections *graphqlhttp.Connections
	Times       Times
}

// Refusal says why a client is not let in.
type Refusal struct {
	// Later says that it might be, after a while, with the same key.
	Later bool
	// Reason is shown to the client; what exceeds 123 bytes is cut off.
	Reason string
}

func (r *Refusal) Error() string { return r.Reason }

// Supports implements graphql.Transport.
func (Transport) Supports(r *http.Request) bool { return graphqlhttp.IsUpgrade(r) }

// Do implements graphql.Transport.
func (t Transport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if !offers(r.Header, subprotocol) {
		graphqlhttp.Refuse(w, http.StatusBadRequest, graphqlhttp.BadRequest,
			"Sockets speak "+subprotocol+" here: name it in the header Sec-WebSocket-Protocol, or use the library graphql-ws.")
		return
	}
	leave, ok := t.wait(r)
	if !ok {
		graphqlhttp.Refuse(w, http.StatusServiceUnavailable, graphqlhttp.RateLimited, "Too many sockets are waiting for their clients' keys. Try again in a moment.")
		return
	}
	defer leave()
	line := &hijacked{ResponseWriter: w}
	conn, err := websocket.Accept(line, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // internal/origin has looked at it, which knows the allowed ones
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxInit)
	s := &socket{
		Transport:  t.withTimes(),
		exec:       exec,
		conn:       conn,
		line:       line.conn,
		admitted:   make(chan graphqlhttp.Session, 1),
		out:        make(chan []byte),
		operations: make(map[string]*operation),
		known:      leave,
	}
	s.serve(r)
}

// wait counts a socket whose client is not known yet. It is false where there are
// too many.
func (t Transport) wait(r *http.Request) (leave func(), ok bool) {
	leaveAll, ok := t.Connections.Enter("waiting socket", "", maxWaiting)
	if !ok || t.Address == nil {
		return leaveAll, ok
	}
	leaveThere, ok := t.Connections.Enter("waiting socket of", t.Address(r), maxWaitingThere)
	if !ok {
		leaveAll()
		return nil, false
	}
	return func() { leaveThere(); leaveAll() }, true
}

func (t Transport) withTimes() Transport {
	for _, d := range []struct {
		of    *time.Duration
		other time.Duration
	}{{&t.Times.Init, 5 * time.Second}, {&t.Times.Ping, 12 * time.Second}, {&t.Times.Slow, 10 * time.Second}, {&t.Times.Close, 3 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.other
		}
	}
	return t
}

// offers says whether a client offers a subprotocol.
func offers(h http.Header, protocol string) bool {
	list := strings.Split(strings.Join(h.Values("Sec-WebSocket-Protocol"), ","), ",")
	return slices.ContainsFunc(list, func(p string) bool { return strings.TrimSpace(p) == protocol })
}

// hijacked keeps the connection that a socket is made of, to end it where the
// other side does not.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack implements http.Hijacker.
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, buffered, err
}

// closing is why a socket ends, as the other side is told.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c *closing) Error() string { return fmt.Sprintf("%d %s", c.code, c.reason) }

// Codes of the subprotocol. Clients of graphql-ws try again after forbidden,
// initTimedOut and those of 1001 and 1013, and not after others.
const (
	badMessage   websocket.StatusCode = 4400
	unauthorized websocket.StatusCode = 4401
	forbidden    websocket.StatusCode = 4403
	initTimedOut websocket.StatusCode = 4408
	duplicate    websocket.StatusCode = 4409
	secondInit   websocket.StatusCode = 4429
)

func closeWith(code websocket.StatusCode, format string, args ...any) *closing {
	const most = 123 // bytes of a control frame, but for the code
	reason := fmt.Sprintf(format, args...)
	if len(reason) > most {
		reason = strings.ToValidUTF8(reason[:most-len("…")], "") + "…"
	}
	return &closing{code, reason}
}

// closingOf is what the other side is told of the error that ends a socket.
func closingOf(err error) *closing {
	var told *closing
	switch {
	case errors.As(err, &told):
		return told
	case errors.Is(err, websocket.ErrMessageTooBig):
		return closeWith(websocket.StatusMessageTooBig, "The message is too long.")
	}
	return closeWith(websocket.StatusProtocolError, "The frames cannot be read.") // or nobody is there
}
