package graphqlhttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"go.uber.org/goleak"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/graphqltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api serves the test's schema over a transport.
func api(t *testing.T, transport graphqlhttp.Transport) (url string, schema *graphqltest.Schema) {
	t.Helper()
	return apiWithin(t, 0, transport)
}

// apiWithin is api with a time within which requests must come and be answered.
func apiWithin(t *testing.T, limit time.Duration, transport graphqlhttp.Transport) (url string, schema *graphqltest.Schema) {
	t.Helper()
	schema = &graphqltest.Schema{}
	server := handler.New(schema)
	server.AddTransport(transport)
	s := httptest.NewUnstartedServer(server)
	s.Config.WriteTimeout, s.Config.ReadTimeout = limit, limit
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, schema
}

// post sends a document and returns the answer; the test ends it.
func post(t *testing.T, url, accept, document string) *http.Response {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	return do(t, r)
}

func do(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func all(t *testing.T, response *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	eventStream = "text/event-stream"
	end         = "event: complete\ndata:\n\n"
)

func next(result string) string { return "event: next\ndata: " + result + "\n\n" }

// TestStream answers operations of each kind by events.
func TestStream(t *testing.T) {
	t.Parallel()
	url, _ := api(t, graphqlhttp.Transport{})
	for document, want := range map[string]string{
		`subscription { count(to: 3) }`: next(`{"data":{"count":1} }`) + next(`{"data":{"count":2} }`) + next(`{"data":{"count":3} }`) + end,
		`subscription { count(to: 0) }`: end,
		`query { hello(name: "you") }`:  next(`{"data":{"hello":"hello you"} }`) + end,
		`mutation { touch }`:            next(`{"data":{"touch":1} }`) + end,
		`subscription { refused }`:      next(`{"errors":[{"message":"this is refused"}]}`) + end,
		`subscription { breaks }`:       next(`{"data":{"breaks":1} }`) + next(`{"errors":[{"message":"it broke"}]}`) + end,
		`query { nothing }`:             next(`{"errors":[{"message":"Cannot query field \"nothing\" on type \"Query\".","locations":[{"line":1,"column":9}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`) + end,
	} {
		response := post(t, url, eventStream, document)
		got := all(t, response)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != eventStream+"; charset=utf-8" || got != ":\n\n"+want {
			t.Errorf("%s: %s %v\n%s\nwant\n%s", document, response.Status, response.Header, got, want)
		}
	}
	if got := all(t, post(t, url, eventStream, `subscription { fault }`)); !strings.Contains(got, "panic") || !strings.HasSuffix(got, end) {
		t.Errorf("a panic: %s", got) // a presenter hides what it says
	}
}

// TestStreamOrDocument answers by what the client takes and the operation needs.
func TestStreamOrDocument(t *testing.T) {
	t.Parallel()
	url, _ := api(t, graphqlhttp.Transport{})
	const json, response = "application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8"
	const urql = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
	for _, test := range []struct {
		accept, document string
		status           int
		media            string
	}{
		{"*/*", `{ hello }`, 200, json},
		{"*/*", `subscription { count(to: 1) }`, 200, eventStream + "; charset=utf-8"},
		{urql, `{ hello }`, 200, response},
		{urql, `{ nothing }`, 400, response},
		{urql, `subscription { count(to: 1) }`, 200, eventStream + "; charset=utf-8"},
		{"application/json", `subscription { count(to: 1) }`, 406, json},
		{"text/html", `{ hello }`, 406, json},
		{eventStream, ``, 400, json},
	} {
		got := post(t, url, test.accept, test.document)
		if got.StatusCode != test.status || got.Header.Get("Content-Type") != test.media {
			t.Errorf("%s for %s: %s %s, want %d %s", test.document, test.accept, got.Status, got.Header.Get("Content-Type"), test.status, test.media)
		}
	}
}

// TestStreamByGet is what an EventSource asks for; no mutation comes that way.
func TestStreamByGet(t *testing.T) {
	t.Parallel()
	address, _ := api(t, graphqlhttp.Transport{})
	for document, want := range map[string]int{`subscription { count(to: 1) }`: 200, `{ hello }`: 200, `mutation { touch }`: 405} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"?query="+url.QueryEscape(document), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", eventStream)
		if got := do(t, r); got.StatusCode != want {
			t.Errorf("%s: %s, want %d", document, got.Status, want)
		}
		r.Header.Set("Cookie", "a=b")
		if got := do(t, r); got.StatusCode != 400 {
			t.Errorf("%s with a cookie: %s, want 400", document, got.Status)
		}
	}
}

// TestStreamEnds is how a stream ends that would go on: the client goes, the
// key opens no more, the service stops. It outlived the server's time limits.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	ended := make(chan struct{}, 1)
	connections := &graphqlhttp.Connections{}
	const limit = 3 * time.Second
	url, schema := apiWithin(t, limit, graphqlhttp.Transport{
		Connections: connections,
		Session: func(context.Context) graphqlhttp.Session {
			return graphqlhttp.Session{Key: "a", Over: over, End: func() { ended <- struct{}{} }}
		},
	})
	open := func() (*http.Response, *bufio.Reader) {
		response := post(t, url, eventStream, `subscription { once }`)
		lines := bufio.NewReader(response.Body)
		for _, want := range []string{":\n", "\n", "event: next\n", `data: {"data":{"once":1} }` + "\n", "\n"} {
			if got, err := lines.ReadString('\n'); err != nil || got != want {
				t.Fatalf("%q, %v, want %q", got, err, want)
			}
		}
		return response, lines
	}
	finish := func(how string) {
		<-ended
		for patience := time.Now().Add(20 * time.Second); schema.Open.Load() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(patience) {
				t.Fatalf("%s: the subscription goes on", how)
			}
		}
	}
	response, _ := open()
	_ = response.Body.Close()
	finish("the client went")

	_, lines := open()
	<-time.After(limit + 200*time.Millisecond)
	close(over)
	rest, err := io.ReadAll(lines)
	if want := next(`{"errors":[{"message":"The key of this subscription opens no more.","extensions":{"code":"UNAUTHENTICATED"}}]}`) + end; err != nil || string(rest) != want {
		t.Errorf("%q, %v, want %q", rest, err, want)
	}
	finish("the key opens no more")

	over = nil
	_, lines = open()
	connections.Stop()
	if rest, err = io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v after the service stopped, want the end alone, so that clients ask again", rest, err)
	}
	finish("the service stopped")
	if err := connections.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if response := post(t, url, eventStream, `subscription { once }`); response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("%s after the service stopped", response.Status)
	}
	<-ended
}

// TestStreamLimit refuses a key's hundred and first stream, and no other key's.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	url, _ := api(t, graphqlhttp.Transport{
		Connections: &graphqlhttp.Connections{},
		Session:     func(context.Context) graphqlhttp.Session { return graphqlhttp.Session{Key: "a"} },
	})
	for range 100 {
		if response := post(t, url, eventStream, `subscription { once }`); response.StatusCode != 200 {
			t.Fatal(response.Status)
		}
	}
	if response := post(t, url, eventStream, `subscription { once }`); response.StatusCode != 429 || !strings.Contains(all(t, response), "RATE_LIMITED") {
		t.Error(response.Status)
	}
	if response := post(t, url, eventStream, `{ hello }`); response.StatusCode != 200 {
		t.Errorf("a query: %s", response.Status)
	}
}

// TestStreamToSlowReader gives up a client that does not read.
func TestStreamToSlowReader(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes as long as a client may")
	}
	url, schema := api(t, graphqlhttp.Transport{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = `{"query": "subscription { flood(bytes: 100000) }"}`
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if began := schema.Open.Load() > 0; began {
			break
		} else if time.Now().After(patience) {
			t.Fatal("the subscription does not begin")
		}
	}
	for patience := time.Now().Add(20 * time.Second); schema.Open.Load() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatal("the subscription goes on")
		}
	}
}
