package delivery

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// tests run with a PostgreSQL for those that keep what they do.
type tests struct{ *testing.M }

func (t tests) Run() int { return pgtest.Run(t.M) }

const testSecret = webhook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")

// devEngine may send to this machine.
func devEngine() *Engine {
	return &Engine{Client: Client{Policy: Policy{Loopback: true}}, Version: "1.2.3"}
}

// postWebhook is a signed POST webhook with the default format.
func postWebhook(url string) *webhook.Webhook {
	return &webhook.Webhook{
		ID:            "wh_1",
		WorkspaceID:   "ws_1",
		URL:           url,
		Method:        webhook.MethodPost,
		PayloadFormat: webhook.FormatEnvelope,
		Signing:       webhook.SigningStandard,
		Secret:        testSecret,
		TimeoutMs:     5000,
	}
}

func getWebhook(url string) *webhook.Webhook {
	w := postWebhook(url)
	w.Method, w.PayloadFormat = webhook.MethodGet, webhook.FormatData
	return w
}

func testMessage() *Message {
	return &Message{
		ID:        "test_1",
		EventName: "job.status",
		Timestamp: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Data:      json.RawMessage(`{"jobId":"7"}`),
	}
}

// peer is a receiver that speaks whatever it is told to.
type peer struct {
	net.Listener
	connections atomic.Int64 // that were taken
	arrivals    atomic.Int64 // requests that were read whole
	// roots are the authorities by which its certificate is good; nil: it
	// speaks no TLS.
	roots *x509.CertPool
	// large: what is sent to it is more than the kernel holds.
	large bool
}

// listen starts a peer on loopback that hands each connection to serve, and
// closes it after that. The test waits for all of them at its end.
func listen(t testing.TB, serve func(net.Conn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Listener: l}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.connections.Add(1)
			served.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	return p
}

// listenHTTP starts a peer that reads each request whole, counts it, and then
// answers by answer.
func listenHTTP(t testing.TB, answer func(net.Conn)) *peer {
	t.Helper()
	return listenOver(t, func(conn net.Conn) net.Conn { return conn }, answer)
}

// listenOver is listenHTTP for requests that come over another protocol.
func listenOver(t testing.TB, over func(net.Conn) net.Conn, answer func(net.Conn)) *peer {
	t.Helper()
	var p *peer
	ready := make(chan struct{}) // closed once p is set
	p = listen(t, func(conn net.Conn) {
		<-ready
		conn = over(conn)
		defer conn.Close()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		p.arrivals.Add(1)
		answer(conn)
	})
	close(ready)
	return p
}

// closedPort is where nobody listens: a client's end of a connection, so that
// no other test gets it.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.Dial("tcp", listen(t, holds("")).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().(*net.TCPAddr).AddrPort()
}

// says is an answer that writes text and closes.
func says(text string) func(net.Conn) {
	answer := []byte(text)
	return func(conn net.Conn) { conn.Write(answer) }
}

// holds is an answer that writes text and then waits for the other side to go.
func holds(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		io.Copy(io.Discard, conn)
	}
}

// url is where p takes webhooks. A certificate is for receiver.example.
func (p *peer) url() string {
	if p.roots == nil {
		return "http://" + p.Addr().String() + "/hooks"
	}
	_, port, _ := net.SplitHostPort(p.Addr().String())
	return "https://receiver.example:" + port + "/hooks"
}

// try makes one attempt at w.
func try(t *testing.T, w *webhook.Webhook) webhook.Exchange {
	t.Helper()
	x, _ := devEngine().attempt(context.Background(), w, testMessage())
	return x
}

// leadTo dials p, whichever address was asked for.
func leadTo(p *peer) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", p.Addr().String())
	}
}
