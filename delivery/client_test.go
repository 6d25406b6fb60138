package delivery

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	var (
		long    = strings.Repeat("b", maxKeptBody+1)
		most    = strings.Repeat("b", maxKeptBody)
		interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	)
	for _, test := range []struct {
		name, answer string
		outcome      webhook.Outcome
		detail       string
		response     *webhook.Response
	}{
		{"200", "HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a: 2\r\nX-B: 0\r\nContent-Length: 2\r\n\r\nok", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, StatusText: "OK", Headers: []webhook.Header{{Name: "Content-Length", Value: "2"}, {Name: "X-A", Value: "2"}, {Name: "X-B", Value: "1"}, {Name: "X-B", Value: "0"}}, Body: []byte("ok")}},
		{"204 with a body that is none", "HTTP/1.1 204 No Content\r\n\r\nok", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 204, StatusText: "No Content", Body: []byte{}}},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nPragma: no-cache\r\n\r\n2\r\nok\r\n0\r\n\r\n", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, StatusText: "OK", Headers: []webhook.Header{{Name: "Pragma", Value: "no-cache"}, {Name: "Transfer-Encoding", Value: "chunked"}}, Body: []byte("ok")}},
		{"no length, ended by closing", "HTTP/1.0 200\r\n\r\nok", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, Body: []byte("ok")}},
		{"line feeds alone", "HTTP/1.1 201 Made\nX: y\n\nok", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 201, StatusText: "Made", Headers: []webhook.Header{{Name: "X", Value: "y"}}, Body: []byte("ok")}},
		{"as much body as is kept", "HTTP/1.1 200 OK\r\n\r\n" + most, webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, StatusText: "OK", Body: []byte(most)}},
		{"more body than is kept", "HTTP/1.1 200 OK\r\n\r\n" + long, webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, StatusText: "OK", Body: []byte(most), BodyTruncated: true}},
		{"hostile text", "HTTP/1.1 200 \xff\x1b[31m\r\nX: \xe9\r\n\r\n", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, StatusText: "\uFFFD\uFFFD[31m", Headers: []webhook.Header{{Name: "X", Value: "\uFFFD"}}, Body: []byte{}}},
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", webhook.OutcomeRejected, "",
			&webhook.Response{StatusCode: 404, StatusText: "Not Found", Headers: []webhook.Header{{Name: "Content-Length", Value: "0"}}, Body: []byte{}}},
		{"999", "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", webhook.OutcomeRejected, "",
			&webhook.Response{StatusCode: 999, StatusText: "What", Headers: []webhook.Header{{Name: "Content-Length", Value: "0"}}, Body: []byte{}}},
		{"101, which nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n", webhook.OutcomeRejected, "",
			&webhook.Response{StatusCode: 101, StatusText: "Switching Protocols", Body: []byte{}}},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", webhook.OutcomeRedirected, "",
			&webhook.Response{StatusCode: 304, StatusText: "Not Modified", Body: []byte{}}},
		{"interim answers", strings.Repeat(interim, maxInterim) + "HTTP/1.1 200 OK\r\n\r\n", webhook.OutcomeDelivered, "",
			&webhook.Response{StatusCode: 200, StatusText: "OK", Body: []byte{}}},

		{"too many interim answers", strings.Repeat(interim, maxInterim+1) + "HTTP/1.1 200 OK\r\n\r\n", webhook.OutcomeMalformed, "more than 5 interim answers (1xx)", nil},
		{"large interim answers", strings.Repeat("HTTP/1.1 100 Go on\r\nX: "+strings.Repeat("x", 9<<10)+"\r\n\r\n", 4) + "HTTP/1.1 200 OK\r\n\r\n", webhook.OutcomeMalformed, "the answer's header is larger than 32 KiB", nil},
		{"a large header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n", webhook.OutcomeMalformed, "the answer's header is larger than 32 KiB", nil},
		{"many headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("a:\r\n", 100_000) + "\r\n", webhook.OutcomeMalformed, "the answer's header is larger than 32 KiB", nil},
		{"another protocol", "220 mail.example ESMTP\r\n", webhook.OutcomeMalformed, `the answer begins with "220 mail.example ESMTP\r\n", which is not HTTP/1.1`, nil},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", webhook.OutcomeMalformed, `the answer begins with "HTTP/2.0 200 OK\r\n\r\n", which is not HTTP/1.1`, nil},
		{"a body alone", "<html>hello</html>", webhook.OutcomeMalformed, `the answer begins with "<html>hello</html>", which is not HTTP/1.1`, nil},
		{"a TLS alert", "\x15\x03\x01\x00\x02\x02\x46", webhook.OutcomeMalformed, "the receiver speaks TLS on this port", nil},
		{"no status", "HTTP/1.1 OK\r\n\r\n", webhook.OutcomeMalformed, "the answer's header is not valid HTTP", nil},
		{"a header without a colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", webhook.OutcomeMalformed, "the answer's header is not valid HTTP", nil},
		{"NUL in a header", "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", webhook.OutcomeMalformed, "the answer's header is not valid HTTP", nil},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", webhook.OutcomeMalformed, "the answer's header is not valid HTTP", nil},

		{"nothing", "", webhook.OutcomeReset, "connection closed by the receiver", nil},
		{"half a header", "HTTP/1.1 200 OK\r\nX: ", webhook.OutcomeReset, "connection closed by the receiver", nil},
		{"three bytes", "HTT", webhook.OutcomeReset, "connection closed by the receiver", nil},

		{"a body shorter than promised", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", webhook.OutcomeDelivered, "connection closed by the receiver in the middle of the answer's body",
			&webhook.Response{StatusCode: 200, StatusText: "OK", Headers: []webhook.Header{{Name: "Content-Length", Value: "9"}}, Body: []byte("ok"), BodyTruncated: true}},
		{"a broken chunk", "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz\r\n", webhook.OutcomeRejected, "the answer's body is not framed as HTTP demands",
			&webhook.Response{StatusCode: 500, StatusText: "Oh", Headers: []webhook.Header{{Name: "Transfer-Encoding", Value: "chunked"}}, Body: []byte("ok"), BodyTruncated: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := listenHTTP(t, says(test.answer))
			x := try(t, postWebhook(p.url()))
			if x.Outcome != test.outcome || x.Detail != test.detail {
				t.Errorf("got %s (%s), want %s (%s)", x.Outcome, x.Detail, test.outcome, test.detail)
			}
			if diff := cmp.Diff(test.response, x.Response); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if p.arrivals.Load() != 1 {
				t.Errorf("%d requests arrived, want 1", p.arrivals.Load())
			}
		})
	}
}

// net/http's own client sends both of these twice.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	p := listenHTTP(t, says(""))
	get := getWebhook(p.url())
	post := postWebhook(p.url())
	post.Headers = []webhook.Header{{Name: "Idempotency-Key", Value: "1"}}
	for i, w := range []*webhook.Webhook{get, post} {
		if x := try(t, w); x.Outcome != webhook.OutcomeReset {
			t.Errorf("%s: got %s, want RESET", w.Method, x.Outcome)
		}
		if got := p.arrivals.Load(); got != int64(i+1) {
			t.Errorf("%s: %d requests arrived, want %d", w.Method, got, i+1)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	trap := listen(t, func(net.Conn) { t.Error("the redirect was followed") })
	for _, status := range []string{"300 Multiple Choices", "301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"} {
		p := listenHTTP(t, says("HTTP/1.1 "+status+"\r\nLocation: "+trap.url()+"\r\nRefresh: 0; url="+trap.url()+"\r\nContent-Length: 0\r\n\r\n"))
		if x := try(t, postWebhook(p.url())); x.Outcome != webhook.OutcomeRedirected {
			t.Errorf("%s: got %s, want REDIRECTED", status, x.Outcome)
		}
	}
}

func TestGzipIsNotUndone(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, 10<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	p := listenHTTP(t, says("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"+bomb.String()))
	x := try(t, postWebhook(p.url()))
	if x.Outcome != webhook.OutcomeDelivered || !bytes.Equal(x.Response.Body, bomb.Bytes()[:min(bomb.Len(), maxKeptBody)]) {
		t.Errorf("got %s and %d bytes, want DELIVERED and the bytes as sent", x.Outcome, len(x.Response.Body))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestEndlessBodyIsCut(t *testing.T) {
	t.Parallel()
	var read int64
	done := make(chan struct{}) // closed when the receiver can send no more
	p := listenHTTP(t, func(conn net.Conn) {
		defer close(done)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		read, _ = io.Copy(conn, zeros{})
	})
	x := try(t, postWebhook(p.url()))
	<-done
	if x.Outcome != webhook.OutcomeDelivered || x.Detail != "" || len(x.Response.Body) != maxKeptBody || !x.Response.BodyTruncated {
		t.Errorf("got %s (%s), %d bytes, cut %t; want DELIVERED, %d bytes, cut", x.Outcome, x.Detail, len(x.Response.Body), x.Response.BodyTruncated, maxKeptBody)
	}
	if read > 32<<20 { // what the kernel takes in between, at most
		t.Errorf("the receiver could send %d bytes", read)
	}
}

func TestResetIsTold(t *testing.T) {
	t.Parallel()
	reset := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			io.WriteString(conn, text)
			conn.(*net.TCPConn).SetLinger(0)
		}
	}
	p := listenHTTP(t, reset(""))
	if x := try(t, postWebhook(p.url())); x.Outcome != webhook.OutcomeReset || x.Detail != "connection reset by peer" {
		t.Errorf("before the answer: got %s (%s), want RESET (connection reset by peer)", x.Outcome, x.Detail)
	}
	// In the middle of the body, once its first bytes have been read: a reset
	// throws away what the kernel still holds.
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
	}()
	answer, at, err := readAnswer(bufio.NewReader(client), "POST")
	if answer == nil || at != phaseBody || err == nil || string(answer.Body) != "ok" {
		t.Errorf("in the body: got %v at %d with %v, want an answer with an error", answer, at, err)
	}
}

// A receiver may refuse a large body unread, and close.
func TestAnswerBeforeTheRequestIsRead(t *testing.T) {
	t.Parallel()
	p := listenDeaf(t, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
	e := devEngine()
	e.Client.Dial = dialNarrow
	m := testMessage()
	m.Data = []byte(`"` + strings.Repeat("a", 1<<20) + `"`)
	x, _ := e.attempt(t.Context(), postWebhook(p.url()), m)
	if x.Outcome != webhook.OutcomeRejected || x.Response.StatusCode != 413 {
		t.Errorf("got %s (%s), want REJECTED with 413", x.Outcome, x.Detail)
	}
}

// Each of these holds an attempt up for ever; the deadline ends it.
func TestDeadlines(t *testing.T) {
	const limit = 2 * time.Second
	trickle := func(before, each string) func(net.Conn) {
		return func(conn net.Conn) {
			io.WriteString(conn, before)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(conn, each); err != nil {
					return
				}
			}
		}
	}
	large := testMessage()
	large.Data = []byte(`"` + strings.Repeat("a", 1<<20) + `"`)
	stuck := func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	// All at once, but not beside other tests, so that there is time for the clock.
	var attempts sync.WaitGroup
	defer attempts.Wait()
	for _, test := range []struct {
		name    string
		peer    func(t *testing.T) *peer
		message *Message
		engine  func(e *Engine)
		url     func(p *peer) string
		outcome webhook.Outcome
		detail  string
	}{
		{name: "never answers", peer: func(t *testing.T) *peer { return listenHTTP(t, holds("")) },
			outcome: webhook.OutcomeTimedOut, detail: "no answer came within 2 s"},
		{name: "trickles a header", peer: func(t *testing.T) *peer { return listenHTTP(t, trickle("HTTP/1.1 200 OK\r\n", "X: y\r\n")) },
			outcome: webhook.OutcomeTimedOut, detail: "the answer's header did not end within 2 s"},
		{name: "says three bytes", peer: func(t *testing.T) *peer { return listenHTTP(t, holds("HTT")) },
			outcome: webhook.OutcomeTimedOut, detail: "the answer's header did not end within 2 s"},
		{name: "trickles a body", peer: func(t *testing.T) *peer { return listenHTTP(t, trickle("HTTP/1.1 200 OK\r\n\r\n", "x")) },
			outcome: webhook.OutcomeDelivered, detail: "the answer's body did not end within 2 s"},
		{name: "never reads", peer: func(t *testing.T) *peer { return listenDeaf(t, "") }, message: large,
			engine:  func(e *Engine) { e.Client.Dial = dialNarrow },
			outcome: webhook.OutcomeTimedOut, detail: "the receiver did not read the request within 2 s"},
		{name: "never shakes hands", peer: func(t *testing.T) *peer { return listen(t, holds("")) },
			url:     func(p *peer) string { return "https://" + p.Addr().String() },
			outcome: webhook.OutcomeTimedOut, detail: "the TLS handshake did not finish within 2 s"},
		{name: "is not connected", engine: func(e *Engine) {
			e.Client.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
				return nil, stuck(ctx, addr.String())
			}
		}, outcome: webhook.OutcomeTimedOut, detail: "no connection was made within 2 s"},
		{name: "is not resolved", engine: func(e *Engine) {
			e.Client.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) { return nil, stuck(ctx, host) }
		}, url: func(*peer) string { return "http://receiver.example/" },
			outcome: webhook.OutcomeTimedOut, detail: "the host name was not resolved within 2 s"},
	} {
		e, m, url := devEngine(), testMessage(), "http://127.0.0.1:9/"
		var p *peer
		if test.peer != nil {
			p = test.peer(t)
			url = p.url()
		}
		if test.url != nil {
			url = test.url(p)
		}
		if test.message != nil {
			m = test.message
		}
		if test.engine != nil {
			test.engine(e)
		}
		w := postWebhook(url)
		w.TimeoutMs = int(limit / time.Millisecond)
		attempts.Go(func() {
			x, _ := e.attempt(t.Context(), w, m)
			if x.Outcome != test.outcome || x.Detail != test.detail {
				t.Errorf("%s: got %s (%s), want %s (%s)", test.name, x.Outcome, x.Detail, test.outcome, test.detail)
			}
			if off := (x.Timing.Total - limit).Abs(); off > limit/20 {
				t.Errorf("%s: took %s, want %s to 5 %%", test.name, x.Timing.Total, limit)
			}
		})
	}
}

// dialNarrow opens a connection that takes little ahead of its reader.
func dialNarrow(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

func TestCancel(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}) // closed by the receiver once the request is there
	p := listenHTTP(t, func(conn net.Conn) {
		close(arrived)
		io.Copy(io.Discard, conn)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(errors.New("the caller had enough"))
	}()
	x, _ := devEngine().attempt(ctx, postWebhook(p.url()), testMessage())
	if x.Outcome != webhook.OutcomeCanceled || x.Detail != "the caller had enough" {
		t.Errorf("got %s (%s), want CANCELED (the caller had enough)", x.Outcome, x.Detail)
	}
	if x, _ := devEngine().attempt(ctx, postWebhook(p.url()), testMessage()); x.Outcome != webhook.OutcomeCanceled || p.arrivals.Load() != 1 {
		t.Errorf("after the end: got %s and %d arrivals, want CANCELED and still 1", x.Outcome, p.arrivals.Load())
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	x := try(t, postWebhook("http://"+l.Addr().String()))
	if x.Outcome != webhook.OutcomeRefused || x.Detail != "connection refused" || x.Response != nil || len(x.Request.Headers) == 0 {
		t.Errorf("got %s (%s) with %+v, want REFUSED (connection refused) with the request that would have been sent", x.Outcome, x.Detail, x.Request)
	}
}

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	proxy := listen(t, func(net.Conn) { t.Error("the proxy was used") })
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.url())
	}
	p := listenHTTP(t, says("HTTP/1.1 200 OK\r\n\r\n"))
	e := devEngine()
	e.Client.Lookup = answers("127.0.0.1")
	_, port, _ := net.SplitHostPort(p.Addr().String())
	if x, _ := e.attempt(t.Context(), postWebhook("http://receiver.example:"+port), testMessage()); x.Outcome != webhook.OutcomeDelivered {
		t.Errorf("got %s (%s), want DELIVERED", x.Outcome, x.Detail)
	}
}

func TestTiming(t *testing.T) {
	t.Parallel()
	p := listenHTTP(t, says("HTTP/1.1 200 OK\r\n\r\n"))
	e := devEngine()
	e.Client.Lookup = answers("127.0.0.1")
	_, port, _ := net.SplitHostPort(p.Addr().String())
	x, _ := e.attempt(t.Context(), postWebhook("http://receiver.example:"+port), testMessage())
	if got := x.Timing; got.DNS <= 0 || got.Connect <= 0 || got.TLS != 0 || got.ConnectionReused || got.Total < got.DNS+got.Connect+got.FirstByte {
		t.Errorf("got %+v, want lookup and connection, no TLS, and a total that holds them", x.Timing)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 302\nLocation: /\n folded\n\n", "\x15\x03\x01", "HTTP/1.1 1", "HTTP/1.9 007 \xff\r\n:\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, method := range []string{"GET", "POST"} {
			answer, _, err := readAnswer(bufio.NewReader(bytes.NewReader(sent)), method)
			if answer == nil && err == nil {
				t.Fatal("neither an answer nor an error")
			}
			if answer == nil {
				continue
			}
			if len(answer.Body) > maxKeptBody {
				t.Errorf("%d bytes of body are kept", len(answer.Body))
			}
			j := judge(answer, nil)
			sentence(&webhook.Exchange{Outcome: j.outcome, Detail: j.detail, Response: answer}, j.advice)
		}
	})
}
