package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Limits of one exchange, besides the deadline that the caller sets;
// docs/security.md tells them to operators.
const (
	maxConnect  = 5 * time.Second        // to one address
	headStart   = 250 * time.Millisecond // of an address before the next one (RFC 8305 §5)
	maxDials    = 8                      // addresses of a name that are tried
	maxTLS      = 5 * time.Second        // for the handshake
	maxHello    = 64 << 10               // bytes of the receiver's part in it; crypto/tls would keep 256 KiB
	maxHead     = 32 << 10               // bytes of status line and headers, interim answers included
	maxLines    = 128                    // lines of the same: many short ones cost far more to keep than their bytes
	maxInterim  = 5                      // answers 1xx before the real one
	maxBody     = 64 << 10               // bytes of the body that are read
	maxKeptBody = 16 << 10               // bytes of the body that are recorded
)

// Client is the one way out: all that HookQL sends to receivers goes through
// it. It speaks HTTP/1.1, over a connection of its own for each test and over
// kept ones for deliveries (keep.go), writes each request once and never again,
// follows no redirect, uses no proxy and undoes no content encoding. net/http's
// Transport is not used, because it sends a request again by itself when a
// connection dies, and does not tell what it wrote.
//
// The zero Client is usable and safe. It is safe for concurrent use as long as
// nobody changes its fields.
type Client struct {
	// Policy says where may be sent to; zero: only to public addresses over https.
	Policy Policy
	// RootCAs are the authorities whose certificates are trusted; nil: the system's.
	RootCAs *x509.CertPool
	// Lookup finds the addresses of a host; nil: Go's own resolver, which
	// reads no odd spellings of addresses.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial opens a connection to an address that the policy permitted; nil:
	// over TCP. Tests lead the public addresses of their name server to
	// loopback with it.
	Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
}

// send writes r to its URL's server and reads the answer, until ctx is done. It
// uses a connection of kept where there is one, and leaves its own there; nil:
// its connection is fresh, and closed. The error is a *failure; where the
// answer's head was read it comes besides the answer and is about the body.
func (c *Client) send(ctx context.Context, r *request, kept *kept) (*webhook.Response, webhook.Timing, error) {
	var timing webhook.Timing
	if err := checkHeaders(r); err != nil {
		return nil, timing, err
	}
	begin := time.Now()
	answer, err := c.exchange(ctx, r, kept, &timing)
	timing.Total = time.Since(begin)
	return answer, timing, err
}

func (c *Client) exchange(ctx context.Context, r *request, kept *kept, timing *webhook.Timing) (*webhook.Response, error) {
	l := kept.take(r.url)
	timing.ConnectionReused = l != nil
	if l == nil {
		var err error
		if l, err = c.open(ctx, r.url, timing); err != nil {
			return nil, err
		}
	}
	stop := interrupt(ctx, l.conn) // not before: crypto/tls interrupts the handshake itself
	answer, complete, err := roundTrip(ctx, l, r, timing)
	stop()
	if kept == nil || !complete || ctx.Err() != nil {
		// A TLS connection is closed below its closing alert, which a receiver
		// that reads nothing could hold up; HTTP's own framing ends the answer.
		l.conn.Close()
	} else {
		kept.put(r.url, l)
	}
	return answer, err
}

// link is a connection to a receiver.
type link struct {
	conn   net.Conn
	stream net.Conn // conn itself, or TLS on it
	in     *bufio.Reader
}

// open connects to the server of a URL.
func (c *Client) open(ctx context.Context, u *url.URL, timing *webhook.Timing) (*link, error) {
	addrs, err := c.resolve(ctx, u, timing)
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, addrs, timing)
	if err != nil {
		return nil, err
	}
	stream := conn
	if u.Scheme == "https" {
		if stream, err = c.handshake(ctx, conn, u, timing); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return &link{conn, stream, bufio.NewReader(stream)}, nil
}

// handshake speaks TLS on conn.
func (c *Client) handshake(ctx context.Context, conn net.Conn, u *url.URL, timing *webhook.Timing) (net.Conn, error) {
	begin := time.Now()
	secure, err := greet(ctx, conn, &tls.Config{
		ServerName: u.Hostname(),
		RootCAs:    c.RootCAs,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		return nil, err
	}
	timing.TLS = time.Since(begin)
	return secure, nil
}

// greet makes a TLS handshake.
func greet(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTLS, overdue(maxTLS))
	defer cancel()
	short := &limited{conn, maxHello}
	secure := tls.Client(short, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fail(ctx, phaseTLS, err)
	}
	short.left = math.MaxInt
	return secure, nil
}

// limited is a connection from which only so many bytes can be read.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, fmt.Errorf("the receiver's part in the handshake is larger than %d KiB", maxHello>>10)
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// interrupt makes what is read from and written to conn fail once ctx is done.
// The caller calls the function it returns when it is through with conn.
func interrupt(ctx context.Context, conn net.Conn) (stop func()) {
	interrupted := make(chan struct{}) // closed by the function below, once it ran
	cancel := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = conn.SetDeadline(time.Unix(1, 0)) // a connection that cannot be told is closed already
	})
	return func() {
		if !cancel() {
			<-interrupted
		}
	}
}
