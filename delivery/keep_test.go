package delivery

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// live sends a live message to a peer n times, one after the other.
func live(t *testing.T, e *Engine, p *peer, n int) (list []webhook.Exchange) {
	t.Helper()
	m := testMessage()
	m.Live = true
	for range n {
		x, _ := e.attempt(context.Background(), postWebhook("http://"+p.Addr().String()+"/"), m)
		list = append(list, x)
	}
	return list
}

// serves answers every request on a connection with text, at most most times.
func serves(text string, most int) func(net.Conn) {
	return func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for range most {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(conn, text)
		}
	}
}

const says204 = "HTTP/1.1 204 No Content\r\n\r\n"

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	const requests = 5
	for name, c := range map[string]struct {
		text        string
		most        int // requests that it answers on a connection
		connections int64
	}{
		"no body":         {says204, requests, 1},
		"a body":          {"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", requests, 1},
		"chunks":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", requests, 1},
		"it says it ends": {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", requests, requests},
		"HTTP/1.0":        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", requests, requests},
		"body to the end": {"HTTP/1.1 200 OK\r\n\r\nno", 1, requests},
		"two answers":     {says204 + says204, requests, requests},
		"it closes":       {says204, 1, requests},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := listen(t, serves(c.text, c.most))
			e := devEngine()
			defer e.kept.close()
			reused := int64(0)
			for range requests {
				x := live(t, e, p, 1)[0]
				if x.Response == nil {
					t.Fatalf("%s: %s", x.Outcome, x.Detail)
				}
				if x.Timing.ConnectionReused {
					reused++
				}
				if c.most == 1 {
					time.Sleep(20 * time.Millisecond) // until its end is known here
				}
			}
			if p.connections.Load() != c.connections || reused != requests-c.connections {
				t.Errorf("%d connections, %d used again; want %d connections", p.connections.Load(), reused, c.connections)
			}
		})
	}
}

// What was written is not written again: a receiver that closes without an
// answer may have taken it.
func TestAKeptConnectionThatDiesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	p := listen(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for n := range 2 {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			if n == 0 {
				_, _ = io.WriteString(conn, says204)
			}
		}
	})
	e := devEngine()
	defer e.kept.close()
	list := live(t, e, p, 2)
	if list[0].Outcome != webhook.OutcomeDelivered || list[1].Outcome != webhook.OutcomeReset || !list[1].Timing.ConnectionReused || p.connections.Load() != 1 {
		t.Errorf("%s, %s over %d connections", list[0].Outcome, list[1].Outcome, p.connections.Load())
	}
}

func TestUnusedConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}) // closed when the receiver sees the end
	p := listen(t, func(conn net.Conn) { serves(says204, 2)(conn); close(ended) })
	e := devEngine()
	live(t, e, p, 1)
	select {
	case <-ended:
	case <-time.After(waitTime):
		t.Error("the connection stays")
	}
	e.kept.mu.Lock()
	defer e.kept.mu.Unlock()
	if e.kept.count != 0 || len(e.kept.links) != 0 {
		t.Errorf("%d are still counted", e.kept.count)
	}
}

func TestTestsHaveFreshConnections(t *testing.T) {
	t.Parallel()
	p := listen(t, serves(says204, 2))
	e := devEngine()
	for range 3 {
		if x, _ := e.attempt(t.Context(), postWebhook("http://"+p.Addr().String()+"/"), testMessage()); x.Timing.ConnectionReused {
			t.Error("a test had a used connection")
		}
	}
	if p.connections.Load() != 3 {
		t.Errorf("%d connections", p.connections.Load())
	}
}
