package graphqlws

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// socket is one WebSocket. Its goroutines are the reader, which is the
// request's own, a writer, one that pings, one that ends it, and one for each
// operation; serve returns when all have ended.
type socket struct {
	Transport
	exec graphql.GraphExecutor
	conn *websocket.Conn
	line net.Conn // beneath conn

	// end ends the socket, with what the other side is told; the first counts.
	end context.CancelCauseFunc
	// admitted gets the session, by the reader, once. It holds one.
	admitted chan graphqlhttp.Session
	// out is what is written: the reader and the operations send and wait
	// until the writer takes it, so that each holds one message at most.
	// Nobody closes it.
	out chan []byte
	// known is called when the client has said who it is.
	known func()

	running sync.WaitGroup

	mu         sync.Mutex
	operations map[string]*operation // those of the client's ids; guarded by mu
	executing  int                   // these, and those that are ending; guarded by mu
}

// serve answers the other side until the socket has ended.
func (s *socket) serve(r *http.Request) {
	var ctx context.Context
	ctx, s.end = context.WithCancelCause(r.Context())
	late := time.AfterFunc(s.Times.Init, func() { s.end(closeWith(initTimedOut, "Connection initialisation timeout")) })
	s.running.Go(func() { s.write(ctx) })
	s.running.Go(func() { s.ping(ctx) })
	s.running.Go(func() { s.finish(ctx) })
	session, err := s.read(ctx, r, late)
	s.end(err)
	late.Stop()
	s.running.Wait()
	if session.End != nil {
		session.End()
	}
}

// finish waits for a reason to end the socket, and ends it. What the writer
// has begun, and the other side's answer, are waited for no longer than Close.
func (s *socket) finish(ctx context.Context) {
	var over <-chan struct{} // never, until the key is known
	stopping := s.Connections.Stopping()
	for ctx.Err() == nil {
		select {
		case session := <-s.admitted:
			over = session.Over
		case <-over:
			s.end(closeWith(forbidden, "The key opens no more."))
		case <-stopping:
			s.end(closeWith(websocket.StatusGoingAway, "The service stops, or starts anew."))
		case <-ctx.Done():
		}
	}
	defer time.AfterFunc(s.Times.Close, func() { _ = s.line.Close() }).Stop()
	c := closingOf(context.Cause(ctx))
	_ = s.conn.Close(c.code, c.reason) // fails where nobody is there
}

// ping sees that the other side is there.
func (s *socket) ping(ctx context.Context) {
	tick := time.NewTicker(s.Times.Ping)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		// The library cuts the connection when the context of a write ends, so
		// it is not the socket's, which would leave no time for a farewell.
		answer, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Times.Ping)
		err := s.conn.Ping(answer)
		cancel()
		if err != nil {
			s.end(closeWith(websocket.StatusGoingAway, "No answer to a ping came."))
			return
		}
	}
}

// write writes what is sent.
func (s *socket) write(ctx context.Context) {
	for {
		select {
		case message := <-s.out:
			if err := s.conn.Write(context.WithoutCancel(ctx), websocket.MessageText, message); err != nil {
				s.end(err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// send has a message written. It is false where ctx ended before, or the other
// side reads too slowly.
func (s *socket) send(ctx context.Context, message []byte) bool {
	if ctx.Err() != nil {
		return false // the select might still send
	}
	slow := time.NewTimer(s.Times.Slow)
	defer slow.Stop()
	select {
	case s.out <- message:
		return true
	case <-ctx.Done():
		return false
	case <-slow.C:
		s.end(closeWith(websocket.StatusTryAgainLater, "The client reads too slowly."))
		return false
	}
}

// message is what either side says.
type message struct {
	kind    string
	id      string
	payload any
}

// read does what the other side says, until it errs or the socket ends.
func (s *socket) read(ctx context.Context, r *http.Request, late *time.Timer) (session graphqlhttp.Session, err error) {
	known := false
	admitted := ctx
	for {
		m, err := s.next(ctx)
		if err == nil {
			err = ctx.Err() // the rest is not listened to
		}
		if err != nil {
			return session, err
		}
		switch {
		case m.kind == "connection_init" && known:
			return session, closeWith(secondInit, "Too many initialisation requests")
		case m.kind == "connection_init":
			if admitted, session, err = s.admit(r.WithContext(ctx), m.payload); err != nil {
				return session, err
			}
			known = true
			late.Stop()
			s.conn.SetReadLimit(maxMessage)
			s.admitted <- session
			s.send(ctx, []byte(`{"type":"connection_ack"}`))
		case m.kind == "ping":
			s.send(ctx, pong(m.payload))
		case m.kind == "pong":
		case !known:
			return session, closeWith(unauthorized, "Unauthorized")
		case m.kind == "subscribe":
			if err := s.subscribe(admitted, m); err != nil {
				return session, err
			}
		case m.kind == "complete":
			s.complete(m.id)
		}
	}
}

// next is what the other side says next.
func (s *socket) next(ctx context.Context) (m message, err error) {
	kind, text, err := s.conn.Read(context.WithoutCancel(ctx)) // see ping
	if err != nil {
		return m, err
	}
	if kind != websocket.MessageText {
		return m, closeWith(badMessage, "Messages are texts, not binary.")
	}
	value, err := graphqlhttp.DecodeJSON(text)
	if err != nil {
		return m, closeWith(badMessage, "The message is no JSON as it is taken here: %s.", err)
	}
	members, ok := value.(map[string]any)
	if !ok {
		return m, closeWith(badMessage, "A message is a JSON object.")
	}
	return messageOf(members)
}

func messageOf(members map[string]any) (m message, err error) {
	m.kind, _ = members["type"].(string)
	m.payload = members["payload"]
	switch m.kind {
	case "connection_init", "ping", "pong":
		if _, ok := m.payload.(map[string]any); !ok && m.payload != nil {
			return m, closeWith(badMessage, "The payload of a %s is a JSON object.", m.kind)
		}
	case "subscribe", "complete":
		if m.id, _ = members["id"].(string); m.id == "" || len(m.id) > maxID {
			return m, closeWith(badMessage, "The id of a %s is a text of 1 to %d bytes.", m.kind, maxID)
		}
	default:
		return m, closeWith(badMessage, "There is no message of this type.")
	}
	return m, nil
}

// The headers that a client may send later, with connection_init: browsers let
// a page set none.
var late = []string{"Authorization", "HookQL-Workspace"}

// admit lets the client in, if its key opens.
func (s *socket) admit(r *http.Request, payload any) (ctx context.Context, session graphqlhttp.Session, err error) {
	r.Header = r.Header.Clone()
	members, _ := payload.(map[string]any)
	for name, value := range members {
		for _, header := range late {
			if !strings.EqualFold(name, header) {
				continue
			}
			text, ok := value.(string)
			if _, twice := r.Header[http.CanonicalHeaderKey(header)]; twice || !ok {
				return nil, session, closeWith(badMessage, "%s is a text, and stands in one place.", header)
			}
			r.Header.Set(header, text)
		}
	}
	ctx = r.Context()
	if s.Admit != nil {
		if ctx, session, err = s.Admit(r); err != nil {
			return nil, session, refused(err)
		}
	}
	leave, ok := s.Connections.Enter("socket", session.Key, maxSockets)
	if !ok {
		return nil, session, closeWith(websocket.StatusTryAgainLater, "The key has %d sockets open. Use one for all that a page asks.", maxSockets)
	}
	s.known()
	end := session.End
	session.End = func() {
		leave()
		if end != nil {
			end()
		}
	}
	return ctx, session, nil
}

func refused(err error) error {
	var r *Refusal
	switch {
	case errors.As(err, &r) && !r.Later:
		return closeWith(forbidden, "%s", r.Reason)
	case errors.As(err, &r):
		return closeWith(websocket.StatusTryAgainLater, "%s", r.Reason)
	}
	return closeWith(websocket.StatusTryAgainLater, "The key could not be looked up just now.")
}

// pong answers a ping with what came along.
func pong(payload any) []byte {
	text, err := json.Marshal(payload)
	if err != nil || payload == nil {
		return []byte(`{"type":"pong"}`)
	}
	return append(append([]byte(`{"type":"pong","payload":`), text...), '}')
}
