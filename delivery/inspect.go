package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"syscall"
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
	var open []net.Conn
	for _, r := range c.dialEach(ctx, addrs) {
		if r.addr.Addr().Is4() {
			f.IPv4++
		} else {
			f.IPv6++
		}
		switch {
		case r.err == nil:
			defer r.conn.Close()
			open = append(open, r.conn)
		case noRoute(r.err):
			f.Unrouted++
			err = r.err
		default:
			err = r.err
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

// dialEach connects to each address.
func (c *Client) dialEach(ctx context.Context, addrs []netip.AddrPort) []dialResult {
	results := make([]dialResult, len(addrs))
	var dialing sync.WaitGroup
	for i, addr := range addrs {
		dialing.Go(func() {
			conn, err := c.dialOne(ctx, addr)
			results[i] = dialResult{addr, conn, err}
		})
	}
	dialing.Wait()
	return results
}

// noRoute says whether a dial failed because this machine has no way to the
// address, such as one without IPv6.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// inspectTLS fills in what handshakes show: one on conn as deliveries make it,
// and one with broken versions alone. Neither refuses a certificate, which is
// judged here; nothing is sent after them.
func (c *Client) inspectTLS(ctx context.Context, u *url.URL, conn net.Conn, f *probe.Facts) {
	secure, err := greet(ctx, conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err == nil {
		state := secure.ConnectionState()
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
	secure, err = greet(ctx, second, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, CipherSuites: everySuite(), InsecureSkipVerify: true})
	if err == nil {
		f.OldProtocol = tls.VersionName(secure.ConnectionState().Version)
	}
}

// everySuite are the cipher suites, also those that are broken: who speaks an old
// version may have no others for it.
func everySuite() (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, suite.ID)
	}
	return ids
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
	f.Issued, f.Expires = leaf.NotBefore, leaf.NotAfter
}
