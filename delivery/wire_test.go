package delivery

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

// Each is refused when it is saved. Were it stored all the same, no connection
// is opened for it.
func TestHeadersThatSmuggle(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ what, name, value string }{
		{"a line", "X-A", "a\r\nX-B: b"},
		{"a line by a line feed", "X-A", "a\nX-B: b"},
		{"a line by a carriage return", "X-A", "a\rX-B: b"},
		{"a folded line", "X-A", "a\r\n b"},
		{"a request", "X-A", "a\r\n\r\nGET /admin HTTP/1.1\r\nHost: inside\r\n\r\n"},
		{"NUL", "X-A", "a\x00b"},
		{"DEL", "X-A", "a\x7f"},
		{"a letter that is not ASCII", "X-A", "é"},
		{"letters that some cut to a line break", "X-A", "\u560d\u560aX-B: b"},
		{"no UTF-8", "X-A", "\xff"},
		{"a line in the name", "X-A: a\r\nX-B", "b"},
		{"a colon in the name", "X-A: a", "b"},
		{"a space in the name", "X-A ", "a"},
		{"a name that is not ASCII", "X-Ａ", "a"},
		{"no name", "", "a"},
		{"another host", "Host", "inside"},
		{"another length", "Content-Length", "5"},
		{"a length of nothing", "content-length", ""},
		{"chunks", "Transfer-Encoding", "chunked"},
		{"another connection", "Connection", "close, webhook-signature"},
		{"keeping alive", "Keep-Alive", "timeout=5"},
		{"an upgrade", "Upgrade", "h2c"},
		{"waiting for leave", "Expect", "100-continue"},
		{"trailers", "Trailer", "webhook-signature"},
		{"transfer codings", "TE", "trailers"},
		{"another id", "webhook-id", "evt_1"},
		{"another time", "Webhook-Timestamp", "0"},
		{"another signature", "WEBHOOK-SIGNATURE", "v1,AAAA"},
		{"a test that is none", "HookQL-Test", "false"},
		{"another sender", "user-agent", "curl"},
		{"a name twice", "x-tenant", "b"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			p := listenHTTP(t, says("HTTP/1.1 200 OK\r\n\r\n"))
			for _, w := range []*webhook.Webhook{postWebhook(p.url()), getWebhook(p.url())} {
				w.Headers = []webhook.Header{{Name: "X-Tenant", Value: "a"}, {Name: test.name, Value: test.value}}
				if !slices.ContainsFunc(w.Validate(), aboutHeaders) {
					t.Errorf("%s: Validate passed %q: %q", w.Method, test.name, test.value)
				}
				x, message := devEngine().attempt(t.Context(), w, testMessage())
				if x.Outcome != webhook.OutcomeCanceled || !strings.Contains(x.Detail, "cannot be sent") {
					t.Errorf("%s: got %s (%s), want CANCELED (… cannot be sent …)", w.Method, x.Outcome, x.Detail)
				}
				checkPlain(t, message)
			}
			if n := p.connections.Load(); n != 0 {
				t.Errorf("%d connections, want none", n)
			}
		})
	}
}

func aboutHeaders(e *webhook.Error) bool { return len(e.Field) > 0 && e.Field[0] == "headers" }

// What may be saved goes over the wire as it is recorded, byte by byte, but for
// the owner's values, which the record hides.
func TestHeadersOnTheWire(t *testing.T) {
	t.Parallel()
	arrived := make(chan []byte, 1) // one request as it came
	p := listen(t, func(conn net.Conn) {
		var raw bytes.Buffer
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &raw)))
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err != nil {
			t.Error(err)
		}
		says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(conn)
		io.Copy(&raw, conn)
		arrived <- raw.Bytes()
	})
	w := postWebhook(p.url())
	w.Headers = []webhook.Header{{Name: "authorization", Value: "Bearer a"}, {Name: "X_a.b-1", Value: "a\tb: ~\"c\""}, {Name: "X-Empty", Value: ""}}
	if errs := w.Validate(); slices.ContainsFunc(errs, aboutHeaders) {
		t.Fatal(errs)
	}
	x := try(t, w)
	recorded := string(encode(x.Request, "/hooks"))
	want := strings.Replace(recorded, "authorization: ****\r\nX_a.b-1: ****\r\nX-Empty: ****\r\n", "authorization: Bearer a\r\nX_a.b-1: a\tb: ~\"c\"\r\nX-Empty: \r\n", 1)
	if got := string(<-arrived); x.Outcome != webhook.OutcomeDelivered || got != want || want == recorded {
		t.Errorf("%s, arrived:\n%q\nrecorded:\n%q", x.Outcome, got, recorded)
	}
}
