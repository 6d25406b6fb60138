package delivery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	most := strings.Repeat("b", maxKeptBody)
	for _, test := range []struct {
		name, answer string
		outcome      webhook.Outcome
		response     *webhook.Response
	}{
		{"200", "HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a: 2\r\nX-B: 0\r\nContent-Length: 2\r\n\r\nok", webhook.OutcomeDelivered,
			answered("200 OK", "ok", "Content-Length: 2", "X-A: 2", "X-B: 1", "X-B: 0")},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nPragma: no-cache\r\n\r\n2\r\nok\r\n0\r\n\r\n", webhook.OutcomeDelivered,
			answered("200 OK", "ok", "Pragma: no-cache", "Transfer-Encoding: chunked")},
		{"no length, ended by closing", "HTTP/1.0 200\r\n\r\nok", webhook.OutcomeDelivered, answered("200", "ok")},
		{"line feeds alone", "HTTP/1.1 201 Made\nX: y\n\nok", webhook.OutcomeDelivered, answered("201 Made", "ok", "X: y")},
		{"as much body as is kept", "HTTP/1.1 200 OK\r\n\r\n" + most, webhook.OutcomeDelivered, answered("200 OK", most)},
		{"more body than is kept", "HTTP/1.1 200 OK\r\n\r\n" + most + "b", webhook.OutcomeDelivered, cut(answered("200 OK", most))},
		{"as many headers as are taken", "HTTP/1.1 200 OK\r\n" + strings.Repeat("a:\r\n", maxLines-2) + "\r\n", webhook.OutcomeDelivered, answered("200 OK", "", slices.Repeat([]string{"A: "}, maxLines-2)...)},
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", webhook.OutcomeRejected, answered("404 Not Found", "", "Content-Length: 0")},
		{"interim answers", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", maxInterim) + "HTTP/1.1 200 OK\r\n\r\n", webhook.OutcomeDelivered, answered("200 OK", "")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := listenHTTP(t, says(test.answer))
			x := try(t, postWebhook(p.url()))
			if x.Outcome != test.outcome || x.Detail != "" {
				t.Errorf("got %s (%s), want %s", x.Outcome, x.Detail, test.outcome)
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

// What hangs off a canceled context is canceled in no order.
func TestCancelInTheHandshake(t *testing.T) {
	t.Parallel()
	const atOnce = 100
	p := afterHello(holds(""))(t)
	var held, attempts sync.WaitGroup
	held.Add(atOnce)
	ctx, cancel := context.WithCancelCause(t.Context())
	for range atOnce {
		attempts.Go(func() {
			x := attemptHeld(ctx, p, 0, held.Done)
			if x.Outcome != webhook.OutcomeCanceled || x.Detail != "the caller had enough" {
				t.Errorf("got %s (%s), want CANCELED (the caller had enough)", x.Outcome, x.Detail)
			}
		})
	}
	held.Wait()
	cancel(errors.New("the caller had enough"))
	attempts.Wait()
}

func TestRefused(t *testing.T) {
	t.Parallel()
	x := try(t, postWebhook("http://"+closedPort(t).String()))
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
			answer, _, at, err := readAnswer(bufio.NewReader(bytes.NewReader(sent)), method)
			if answer == nil && err == nil {
				t.Fatal("neither an answer nor an error")
			}
			if answer != nil && len(answer.Body) > maxKeptBody {
				t.Errorf("%d bytes of body are kept", len(answer.Body))
			}
			if err != nil {
				err = &failure{at, err}
			}
			j := judge(answer, err)
			x := &webhook.Exchange{Outcome: j.outcome, Detail: j.detail, Response: answer}
			checkText(t, x, sentence(x, j.advice))
		}
	})
}
