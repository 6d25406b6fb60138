package graphqlws_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/graphqltest"
	"github.com/hookql/hookql/internal/graphqlws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are times for tests of what ends by itself; all others have the
// defaults, which no test waits for.
var quick = graphqlws.Times{Init: 200 * time.Millisecond, Ping: 200 * time.Millisecond, Slow: 500 * time.Millisecond, Close: 200 * time.Millisecond}

type api struct {
	url         string
	schema      *graphqltest.Schema
	connections *graphqlhttp.Connections
}

// serve serves the test's schema over a transport.
func serve(t *testing.T, transport graphqlws.Transport) *api {
	t.Helper()
	a := &api{schema: &graphqltest.Schema{}, connections: &graphqlhttp.Connections{}}
	transport.Connections = a.connections
	server := handler.New(a.schema)
	server.AddTransport(transport)
	server.AddTransport(graphqlhttp.Transport{})
	s := httptest.NewServer(server)
	t.Cleanup(func() {
		a.connections.Stop()
		if err := a.connections.Wait(context.Background()); err != nil {
			t.Error(err)
		}
		for patience := time.Now().Add(20 * time.Second); a.schema.Open.Load() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(patience) {
				t.Errorf("%d operations go on after the last socket ended", a.schema.Open.Load())
				break
			}
		}
		s.Close()
	})
	a.url = s.URL
	return a
}

// client is the other side of a socket.
type client struct {
	*testing.T
	conn *websocket.Conn
}

// dial opens a socket with some headers.
func (a *api) dial(t *testing.T, header http.Header) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), a.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t, conn}
}

// open opens a socket and says who it is.
func (a *api) open(t *testing.T, payload string) *client {
	t.Helper()
	c := a.dial(t, nil)
	c.say(`{"type":"connection_init","payload":` + payload + `}`)
	c.hear(`{"type":"connection_ack"}`)
	return c
}

func (c *client) say(messages ...string) {
	c.Helper()
	for _, m := range messages {
		if err := c.conn.Write(c.Context(), websocket.MessageText, []byte(m)); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *client) next() (string, error) {
	ctx, cancel := context.WithTimeout(c.Context(), 20*time.Second)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	return string(text), err
}

func (c *client) hear(messages ...string) {
	c.Helper()
	for _, want := range messages {
		if got, err := c.next(); err != nil || got != want {
			c.Fatalf("%s, %v, want %s", got, err, want)
		}
	}
}

// ends reads what there is until the socket is closed, with a code and a reason.
func (c *client) ends(code websocket.StatusCode, reason string) {
	c.Helper()
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		var end websocket.CloseError
		if !errors.As(err, &end) || end.Code != code || !strings.Contains(end.Reason, reason) {
			c.Errorf("closed with %v, want %d %s", err, code, reason)
		}
		return
	}
}

func subscribe(id, document string) string {
	payload, err := json.Marshal(map[string]any{"query": document})
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, payload)
}

// TestOperations runs one of each kind.
func TestOperations(t *testing.T) {
	t.Parallel()
	c := serve(t, graphqlws.Transport{}).open(t, "null")
	c.say(subscribe("1", `subscription { count(to: 2) }`))
	c.hear(`{"id":"1","type":"next","payload":{"data":{"count":1}
}}`, `{"id":"1","type":"next","payload":{"data":{"count":2}
}}`, `{"id":"1","type":"complete"}`)
	c.say(subscribe("1", `query { hello(name: "you") }`)) // the id is free again
	c.hear(`{"id":"1","type":"next","payload":{"data":{"hello":"hello you"}
}}`, `{"id":"1","type":"complete"}`)
	c.say(`{"id":"ü\"","type":"subscribe","payload":{"query":"mutation M { touch } query Q { hello }","operationName":"M","variables":null,"extensions":{}}}`)
	c.hear(`{"id":"ü\"","type":"next","payload":{"data":{"touch":1}
}}`, `{"id":"ü\"","type":"complete"}`)
	for document, want := range map[string]string{
		`subscription { refused }`:                    `[{"message":"this is refused"}]`,
		`subscription { nothing }`:                    `[{"message":"Cannot query field \"nothing\" on type \"Subscription\".","locations":[{"line":1,"column":16}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]`,
		`subscription { count(to: 1)`:                 `[{"message":"Expected Name, found \u003cEOF\u003e","locations":[{"line":1,"column":28}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]`,
		`subscription { a: count(to: 1) __typename }`: `[{"message":"Anonymous Subscription must select only one top level field.","locations":[{"line":1,"column":32}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}},{"message":"Anonymous Subscription must not select an introspection top level field.","locations":[{"line":1,"column":32}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]`,
	} {
		c.say(subscribe("e", document))
		c.hear(`{"id":"e","type":"error","payload":` + want + `}`)
	}
	c.say(subscribe("b", `subscription { breaks }`))
	c.hear(`{"id":"b","type":"next","payload":{"data":{"breaks":1}
}}`, `{"id":"b","type":"error","payload":[{"message":"it broke"}]}`)
	for _, document := range []string{`subscription { fault }`, `{ fault }`} {
		c.say(subscribe("p", document))
		got, err := c.next()
		if strings.HasPrefix(got, `{"id":"p","type":"next"`) {
			got, err = c.next()
		}
		if err != nil || !strings.HasPrefix(got, `{"id":"p","type":"error","payload":[{"message":"panic`) {
			t.Errorf("%s: %s, %v", document, got, err) // a presenter hides what it says
		}
	}
}

// TestComplete ends one operation and leaves the others.
func TestComplete(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{})
	c := a.open(t, "{}")
	for range 50 {
		c.say(subscribe("1", `subscription { once }`))
		c.hear(`{"id":"1","type":"next","payload":{"data":{"once":1}
}}`)
		c.say(`{"id":"1","type":"complete"}`, `{"id":"1","type":"complete"}`, `{"id":"unknown","type":"complete"}`)
	}
	c.say(subscribe("2", `{ wait }`), `{"id":"2","type":"complete"}`, `{"type":"ping","payload":{"a":[1.50]}}`)
	c.hear(`{"type":"pong","payload":{"a":[1.50]}}`)
	c.say(`{"type":"pong"}`, `{"type":"ping"}`)
	c.hear(`{"type":"pong"}`)
	for patience := time.Now().Add(20 * time.Second); a.schema.Open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("%d operations go on", a.schema.Open.Load())
		}
	}
}

// TestCloseCodes is every fault that ends a socket.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{})
	const start = `{"type":"connection_init"}`
	once := subscribe("1", `subscription { once }`)
	for _, test := range []struct {
		say    []string
		code   websocket.StatusCode
		reason string
	}{
		{[]string{once}, 4401, "Unauthorized"},
		{[]string{`{"id":"1","type":"complete"}`}, 4401, "Unauthorized"},
		{[]string{start, start}, 4429, "Too many initialisation requests"},
		{[]string{start, once, once}, 4409, "Subscriber for 1 already exists"},
		{[]string{start, `x`}, 4400, "no JSON"},
		{[]string{start, "\"\xff\""}, 4400, "UTF-8"},
		{[]string{start, `[]`}, 4400, "object"},
		{[]string{start, `{}`}, 4400, "type"},
		{[]string{start, `{"type":"start","id":"1"}`}, 4400, "type"},
		{[]string{start, `{"type":"ping","type":"ping"}`}, 4400, "twice"},
		{[]string{start, `{"type":"ping","payload":1}`}, 4400, "payload"},
		{[]string{`{"type":"connection_init","payload":[]}`}, 4400, "payload"},
		{[]string{`{"type":"connection_init","payload":{"authorization":1}}`}, 4400, "Authorization is a text"},
		{[]string{start, `{"type":"complete"}`}, 4400, "id"},
		{[]string{start, `{"type":"subscribe","id":1,"payload":{"query":"{ hello }"}}`}, 4400, "id"},
		{[]string{start, subscribe(strings.Repeat("i", 257), `{ hello }`)}, 4400, "id"},
		{[]string{start, `{"type":"subscribe","id":"1"}`}, 4400, "payload"},
		{[]string{start, `{"type":"subscribe","id":"1","payload":{"query":""}}`}, 4400, "query"},
		{[]string{start, `{"type":"subscribe","id":"1","payload":{"query":"{ hello }","variables":[]}}`}, 4400, "variables"},
		{[]string{`{"type":"connection_init","payload":{"a":"` + strings.Repeat("x", 16<<10) + `"}}`}, websocket.StatusMessageTooBig, ""},
		{[]string{start, `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 64<<10) + `"}}`}, websocket.StatusMessageTooBig, ""},
		{[]string{start, subscribe("1", strings.Repeat("x", 2000)+"ü")}, websocket.StatusNormalClosure, ""},
	} {
		c := a.dial(t, nil)
		c.say(test.say...)
		if test.code == websocket.StatusNormalClosure {
			c.hear(`{"type":"connection_ack"}`)
			if got, err := c.next(); err != nil || len(got) > 1000 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if err := c.conn.Close(test.code, ""); err != nil {
				t.Error(err)
			}
			continue
		}
		c.ends(test.code, test.reason)
	}
	c := a.open(t, "null")
	if err := c.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.ends(4400, "binary")
}

// TestMessageLength takes messages of 64 KiB, in one frame or in many.
func TestMessageLength(t *testing.T) {
	t.Parallel()
	c := serve(t, graphqlws.Transport{}).open(t, "null")
	const head, tail = `{"type":"ping","payload":{"a":"`, `"}}`
	text := strings.Repeat("x", 64<<10-len(head)-len(tail))
	c.say(head + text + tail)
	c.hear(`{"type":"pong","payload":{"a":"` + text + `"}}`)
}

// TestNoSubprotocol refuses clients of other subprotocols before there is a socket.
func TestNoSubprotocol(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{})
	for _, offered := range [][]string{nil, {"graphql-ws"}} {
		_, response, err := websocket.Dial(t.Context(), a.url, &websocket.DialOptions{Subprotocols: offered})
		if err == nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %v", offered, err)
		}
	}
}

// TestInitTime ends a socket whose client does not say who it is.
func TestInitTime(t *testing.T) {
	t.Parallel()
	c := serve(t, graphqlws.Transport{Times: quick}).dial(t, nil)
	c.say(`{"type":"ping"}`)
	c.hear(`{"type":"pong"}`)
	c.ends(4408, "Connection initialisation timeout")
}

// TestAdmit looks at the key wherever it comes from.
func TestAdmit(t *testing.T) {
	t.Parallel()
	type key struct{}
	a := serve(t, graphqlws.Transport{Admit: func(r *http.Request) (context.Context, graphqlhttp.Session, error) {
		switch name := r.Header.Get("Authorization"); name {
		case "":
			return nil, graphqlhttp.Session{}, &graphqlws.Refusal{Reason: "This request has no key."}
		case "wait":
			return nil, graphqlhttp.Session{}, &graphqlws.Refusal{Later: true, Reason: "Too many wrong keys " + strings.Repeat("ü", 100)}
		case "broken":
			return nil, graphqlhttp.Session{}, errors.New("the secret cause")
		default:
			return context.WithValue(r.Context(), key{}, name), graphqlhttp.Session{Key: name}, nil
		}
	}})
	const header = "Authorization"
	for _, test := range []struct {
		header  http.Header
		payload string
		code    websocket.StatusCode // 0: let in
		reason  string
	}{
		{nil, `{"Authorization":"a","other":{}}`, 0, ""},
		{nil, `{"authorization":"a"}`, 0, ""},
		{http.Header{header: {"a"}}, `null`, 0, ""},
		{http.Header{header: {"a"}}, `{"HookQL-Workspace":"w"}`, 0, ""},
		{http.Header{header: {"a"}}, `{"Authorization":"a"}`, 4400, "one place"},
		{nil, `{"Authorization":"a","authorization":"b"}`, 4400, "one place"},
		{nil, `null`, 4403, "This request has no key."},
		{nil, `{"Authorization":"wait"}`, websocket.StatusTryAgainLater, "Too many wrong keys"},
		{nil, `{"Authorization":"broken"}`, websocket.StatusTryAgainLater, "The key could not be looked up just now."},
	} {
		c := a.dial(t, test.header)
		c.say(`{"type":"connection_init","payload":` + test.payload + `}`)
		if test.code == 0 {
			c.hear(`{"type":"connection_ack"}`)
			if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		} else {
			c.ends(test.code, test.reason)
		}
	}
}

// TestSocketsOfAKey are five at a time.
func TestSocketsOfAKey(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Admit: func(r *http.Request) (context.Context, graphqlhttp.Session, error) {
		return r.Context(), graphqlhttp.Session{Key: r.Header.Get("Authorization")}, nil
	}})
	var first *client
	for range 5 {
		first = a.open(t, `{"Authorization":"a"}`)
	}
	a.open(t, `{"Authorization":"b"}`)
	c := a.dial(t, nil)
	c.say(`{"type":"connection_init","payload":{"Authorization":"a"}}`)
	c.ends(websocket.StatusTryAgainLater, "5 sockets")
	if err := first.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	for patience := time.Now().Add(20 * time.Second); ; {
		c := a.dial(t, nil)
		c.say(`{"type":"connection_init","payload":{"Authorization":"a"}}`)
		if got, _ := c.next(); got == `{"type":"connection_ack"}` {
			break
		}
		if time.Now().After(patience) {
			t.Fatal("the place of a socket that ended is not given to another")
		}
	}
}

// TestWaitingSocketsOfAnAddress are a hundred at a time, and take no place of
// another's.
func TestWaitingSocketsOfAnAddress(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{
		Times:   graphqlws.Times{Init: time.Minute},
		Address: func(r *http.Request) string { return r.Header.Get("X-Forwarded-For") },
	})
	dial := func(address string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), a.url, &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"X-Forwarded-For": {address}}})
	}
	var first *websocket.Conn
	for range 100 {
		conn, _, err := dial("a")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		first = cmp.Or(first, conn)
	}
	if _, response, err := dial("a"); err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Error(err)
	}
	if conn, _, err := dial("b"); err != nil {
		t.Error(err)
	} else {
		defer conn.CloseNow()
	}
	// Who says who he is makes room.
	if err := first.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init"}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, _, err := dial("a")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
}

// TestWaitingSockets are a thousand at a time, whoever has them.
func TestWaitingSockets(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Times: graphqlws.Times{Init: time.Minute}})
	for range 999 {
		leave, ok := a.connections.Enter("waiting socket", "", 1000)
		if !ok {
			t.Fatal("there is no place")
		}
		defer leave()
	}
	a.open(t, "null") // is not waiting any more
	a.dial(t, nil)
	_, response, err := websocket.Dial(t.Context(), a.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Error(err)
	}
}

// TestTooManyOperations refuses the twenty-first, and takes it once another
// has ended. A thousand at once do no harm.
func TestTooManyOperations(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{})
	c := a.open(t, "null")
	go func() {
		for n := range 1000 {
			if err := c.conn.Write(t.Context(), websocket.MessageText, []byte(subscribe(fmt.Sprint(n), `subscription { once }`))); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	begun, refused := 0, 0
	for range 1000 {
		got, err := c.next()
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.Contains(got, `"type":"next"`):
			begun++
		case strings.Contains(got, `"type":"error"`) && strings.Contains(got, `"RATE_LIMITED"`) && strings.Contains(got, "20 operations"):
			refused++
		}
	}
	if begun != 20 || refused != 980 {
		t.Errorf("%d began and %d were refused", begun, refused)
	}
	c.say(`{"id":"3","type":"complete"}`, subscribe("x", `subscription { once }`))
	c.hear(`{"id":"x","type":"next","payload":{"data":{"once":1}
}}`)
}

// TestOver ends the sockets of a key that opens no more.
func TestOver(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	ended := make(chan struct{}, 1)
	a := serve(t, graphqlws.Transport{Admit: func(r *http.Request) (context.Context, graphqlhttp.Session, error) {
		return r.Context(), graphqlhttp.Session{Over: over, End: func() { ended <- struct{}{} }}, nil
	}})
	c := a.open(t, "null")
	c.say(subscribe("1", `subscription { once }`))
	c.hear(`{"id":"1","type":"next","payload":{"data":{"once":1}
}}`)
	close(over)
	c.ends(4403, "The key opens no more.")
	<-ended
}

// TestStop tells every socket that the service stops, those that wait for
// their clients too, and waits no longer for one that does not answer.
func TestStop(t *testing.T) {
	t.Parallel()
	a := serve(t, graphqlws.Transport{Times: graphqlws.Times{Close: 200 * time.Millisecond}})
	c, waiting, dead := a.open(t, "null"), a.dial(t, nil), a.open(t, "null")
	c.say(subscribe("1", `subscription { once }`), subscribe("2", `{ wait }`))
	dead.say(subscribe("1", `subscription { once }`))
	a.connections.Stop()
	c.ends(websocket.StatusGoingAway, "The service stops")
	waiting.ends(websocket.StatusGoingAway, "The service stops")
	began := time.Now()
	if err := a.connections.Wait(t.Context()); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v, %s", err, time.Since(began))
	}
}
