package delivery

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

// A receiver that has sent as much as is taken, and now says nothing, holds a
// bounded part of our memory for the rest of the time limit. What is measured
// is alive after a collection, so that it is the same in each run; the
// receivers' own part is in it.
func TestHeldMemory(t *testing.T) {
	const (
		atOnce = 100
		most   = 256 << 10 // per connection
		ok     = "HTTP/1.1 200 OK\r\n"
	)
	var (
		line = "x: " + strings.Repeat("y", maxHead/maxLines-6) + "\r\n"
		head = ok + strings.Repeat(line, maxLines-2) + "\r\n"
		body = strings.Repeat("b", maxBody-1)
	)
	for _, test := range []struct {
		name     string
		receiver func(answer func(net.Conn)) func(testing.TB) *peer
		sent     string
	}{
		{"nothing", after, ""},
		{"half a header line", after, ok + "x: " + strings.Repeat("y", maxHead-100)},
		{"all but the end of a header", after, ok + strings.Repeat(line, maxLines-2)},
		{"interim answers", after, strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+strings.Repeat(line, maxLines/maxInterim-3)+"\r\n", maxInterim)},
		{"header and body", after, head + body},
		{"a gzip bomb", after, ok + "Content-Encoding: gzip\r\n\r\n" + gzipped(bomb)},
		{"a chunk extension", after, ok + "Transfer-Encoding: chunked\r\n\r\n1;" + body[:4000]},
		{"nothing of a handshake", afterHello, ""},
		{"a certificate", afterHello, withCertificate(255 << 10)[:maxHello-1]},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.receiver(holds(test.sent))(t)
			before := alive()
			ctx, cancel := context.WithCancel(t.Context())
			var held, attempts sync.WaitGroup
			held.Add(atOnce)
			for range atOnce {
				attempts.Go(func() {
					x := attemptHeld(ctx, p, len(test.sent), held.Done)
					if x.Outcome != webhook.OutcomeCanceled && x.Outcome != webhook.OutcomeDelivered {
						t.Errorf("got %s (%s), want it held until the end", x.Outcome, x.Detail)
					}
				})
			}
			held.Wait()
			each := (alive() - before) / atOnce
			cancel()
			attempts.Wait()
			if each > most {
				t.Errorf("each of %d connections holds %d KiB, want at most %d", atOnce, each>>10, most>>10)
			}
			t.Logf("%d KiB", each>>10)
		})
	}
}

// alive is how much memory is in use.
func alive() int64 {
	runtime.GC()
	runtime.GC() // pools outlive the first
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// attemptHeld makes an attempt that waits for more than the size that p sends,
// and calls held then, until ctx is done.
func attemptHeld(ctx context.Context, p *peer, size int, held func()) webhook.Exchange {
	e := devEngine()
	e.Client.RootCAs, e.Client.Lookup = p.roots, answers("127.0.0.1")
	e.Client.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
		conn, err := dialNarrow(ctx, addr)
		return &awaited{conn, size, sync.OnceFunc(held)}, err
	}
	w := postWebhook(p.url())
	w.TimeoutMs = 60_000
	x, _ := e.attempt(ctx, w, testMessage())
	return x
}

// awaited tells when all that is sent to a connection was read, and more is waited for.
type awaited struct {
	net.Conn
	left int
	done func()
}

func (a *awaited) Read(p []byte) (int, error) {
	if a.left == 0 {
		a.done()
	}
	n, err := a.Conn.Read(p)
	a.left -= n
	return n, err
}
