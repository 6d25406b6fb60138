package delivery

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"testing"
)

// An address to which this machine has no way says nothing about the receiver;
// one that refuses connections does.
func TestInspectTellsNoWayFromDead(t *testing.T) {
	t.Parallel()
	here, there := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	for want, failure := range map[[2]int]error{{1, 1}: syscall.ENETUNREACH, {1, 0}: syscall.ECONNREFUSED} {
		c := Client{
			Policy: Policy{Loopback: true},
			Lookup: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{there, here}, nil },
			Dial: func(_ context.Context, addr netip.AddrPort) (net.Conn, error) {
				if addr.Addr() == there {
					return nil, &net.OpError{Op: "dial", Err: failure}
				}
				near, far := net.Pipe()
				t.Cleanup(func() { far.Close() })
				return near, nil
			},
		}
		f, err := c.inspect(t.Context(), &url.URL{Scheme: "http", Host: "receiver.example"})
		if got := [2]int{f.Reachable, f.Unrouted}; err != nil || got != want || f.Addresses != 2 {
			t.Errorf("%v: %+v, %v, want %v reachable and without a way", failure, f, err, want)
		}
	}
}
