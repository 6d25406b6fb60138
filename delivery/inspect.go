package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// Inspect looks at the receiver's addresses and TLS; see probe.Line.
func (l *line) Inspect(ctx context.Context) (f probe.Facts) {
	u, err := l.engine.Client.Policy.CheckURL(l.webhook.URL)
	if err == nil {
		f, err = l.engine.Client.inspect(ctx, u)
	}
	if err != nil {
		j := judgeFailure(err)
		f.Failure = sentence(&webhook.Exchange{Outcome: j.outcome, Detail: j.detail, Request: webhook.Request{URL: l.webhook.URL}}, j.advice)
	}
	return f
}

// inspect looks at the server of a URL without a request. The error is that of
// an attempt that got no connection.
func (c *Client) inspect(ctx context.Context, u *url.URL) (f probe.Facts, err error) {
	var timing webhook.Timing
	addrs, err := c.resolve(ctx, u, &timing)
	if err != nil {
		return f, err
	}
	addrs = addrs[:min(len(addrs), maxDials)]
	f.Addresses = len(addrs)
	conns, err := c.dialEach(ctx, addrs)
	var open []net.Conn
	for i, conn := range conns {
		if addrs[i].Addr().Is4() {
			f.IPv4++
		} else {
			f.IPv6++
		}
		if conn != nil {
			defer conn.Close()
			open = append(open, conn)
		}
	}
	if f.Reachable = len(open); f.Reachable == 0 {
		return f, err
	}
	if u.Scheme == "https" {
		c.inspectTLS(ctx, u, open[0], &f)
	}
	return f, nil
}

// dialEach connects to each address; nil where it takes none, and what went
// wrong with one of those.
func (c *Client) dialEach(ctx context.Context, addrs []netip.AddrPort) ([]net.Conn, error) {
	results := make(chan dialResult, len(addrs)) // one from each dial
	for _, addr := range addrs {
		go func() {
			conn, err := c.dialOne(ctx, addr)
			results <- dialResult{addr, conn, err}
		}()
	}
	conns := make([]net.Conn, len(addrs))
	var failed error
	for range addrs {
		r := <-results
		for i, addr := range addrs {
			if addr == r.addr && r.err == nil {
				conns[i] = r.conn
			}
		}
		if r.err != nil {
			failed = r.err
		}
	}
	return conns, failed
}

// inspectTLS fills in what handshakes show: one on conn as deliveries make it,
// and one with broken versions alone. Neither refuses a certificate, which is
// judged here; nothing is sent after them.
func (c *Client) inspectTLS(ctx context.Context, u *url.URL, conn net.Conn, f *probe.Facts) {
	state, err := greet(ctx, conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err == nil {
		f.Protocol = tls.VersionName(state.Version)
		c.judgeCertificates(u.Hostname(), state.PeerCertificates, f)
	}
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return
	}
	second, err := c.dialOne(ctx, addr)
	if err != nil {
		return
	}
	defer second.Close()
	state, err = greet(ctx, second, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
	if err == nil {
		f.OldProtocol = tls.VersionName(state.Version)
	}
}

// greet makes a TLS handshake.
func greet(ctx context.Context, conn net.Conn, config *tls.Config) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTLS, overdue(maxTLS))
	defer cancel()
	secure := tls.Client(&limited{conn, maxHello}, config)
	err := secure.HandshakeContext(ctx)
	return secure.ConnectionState(), err
}

// judgeCertificates judges chain, name and expiry each by itself: a certificate
// that has expired may have a chain that is in order.
func (c *Client) judgeCertificates(host string, chain []*x509.Certificate, f *probe.Facts) {
	leaf, others := chain[0], x509.NewCertPool()
	for _, other := range chain[1:] {
		others.AddCert(other)
	}
	at := time.Now()
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	_, f.Chain = leaf.Verify(x509.VerifyOptions{Roots: c.RootCAs, Intermediates: others, CurrentTime: at})
	f.Name = leaf.VerifyHostname(host)
	f.Expires = leaf.NotAfter
}
