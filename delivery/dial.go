package delivery

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// resolve returns the addresses to connect to for u. Each has passed the
// policy: if one of a name's addresses may not be sent to, the name may not, so
// that no order of answers and no second lookup leads inside.
func (c *Client) resolve(ctx context.Context, u *url.URL, timing *webhook.Timing) ([]netip.AddrPort, error) {
	addrs := fixedAddrs(u.Hostname())
	if addrs == nil {
		begin := time.Now()
		var err error
		if addrs, err = c.lookup(ctx, u.Hostname()); err != nil {
			return nil, fail(ctx, phaseLookup, err)
		}
		timing.DNS = time.Since(begin)
	}
	targets := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		if err := c.Policy.checkAddr(addr, u); err != nil {
			return nil, &failure{phaseLookup, err}
		}
		targets[i] = netip.AddrPortFrom(addr.Unmap(), portOf(u))
	}
	return targets, nil
}

func (c *Client) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	find := c.Lookup
	if find == nil {
		resolver := net.Resolver{PreferGo: true}
		find = func(ctx context.Context, host string) ([]netip.Addr, error) {
			// The dot ends the name: no search domain of this machine is put behind it.
			return resolver.LookupNetIP(ctx, "ip", host+".")
		}
	}
	addrs, err := find(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs, err
}

// dial connects to the first of addrs that answers. Each has a head start
// before the next is tried beside it, so that a dead address costs that and not
// the whole deadline. What went wrong with the first is the error, as it is the
// one that resolvers prefer. All dials have ended on return.
func (c *Client) dial(ctx context.Context, addrs []netip.AddrPort, timing *webhook.Timing) (net.Conn, error) {
	begin := time.Now()
	race, stop := context.WithCancel(ctx)
	results := make(chan dialResult, maxDials) // one from each dial that runs
	running := 0
	defer func() {
		stop()
		for ; running > 0; running-- {
			if late := <-results; late.err == nil {
				late.conn.Close()
			}
		}
	}()
	var first error
	left := addrs[:min(len(addrs), maxDials)]
	for ctx.Err() == nil && (len(left) > 0 || running > 0) {
		var turn <-chan time.Time // of the next address; nil: there is none
		if len(left) > 0 {
			addr := left[0]
			left = left[1:]
			running++
			go func() {
				conn, err := c.dialOne(race, addr)
				results <- dialResult{addr, conn, err}
			}()
			turn = time.After(headStart)
		}
		select {
		case <-turn:
		case r := <-results:
			running--
			if r.err == nil {
				timing.Connect = time.Since(begin)
				return r.conn, nil
			}
			if r.addr == addrs[0] {
				first = r.err
			}
		}
	}
	if ctx.Err() != nil {
		return nil, fail(ctx, phaseConnect, ctx.Err())
	}
	return nil, first
}

// dialResult is how the dial of one address ended.
type dialResult struct {
	addr netip.AddrPort
	conn net.Conn
	err  error
}

func (c *Client) dialOne(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxConnect, overdue(maxConnect))
	defer cancel()
	open := c.Dial
	if open == nil {
		open = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.String())
		}
	}
	conn, err := open(ctx, addr)
	if err != nil {
		return nil, fail(ctx, phaseConnect, err)
	}
	return conn, nil
}
