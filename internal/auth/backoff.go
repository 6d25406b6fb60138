package auth

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// freeFailures is how many wrong keys in a row cost nothing: somebody who
	// deploys with an old key should notice it by the 401.
	freeFailures = 20
	maxWait      = time.Minute
)

// backoff makes addresses wait that send wrong keys: one second after
// freeFailures, then twice as long after each further one.
type backoff struct {
	mu        sync.Mutex
	addresses *simplelru.LRU[netip.Addr, failures] // guarded by mu
}

type failures struct {
	count int
	until time.Time
}

func newBackoff() *backoff {
	addresses, _ := simplelru.NewLRU[netip.Addr, failures](maxRemembered, nil) // the size is positive
	return &backoff{addresses: addresses}
}

// wait is how long an address still has to.
func (b *backoff) wait(a netip.Addr, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, _ := b.addresses.Peek(a)
	return max(f.until.Sub(now), 0)
}

func (b *backoff) failed(a netip.Addr, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, _ := b.addresses.Peek(a)
	f.count++
	if over := f.count - freeFailures; over >= 0 {
		f.until = now.Add(min(time.Second<<min(over, 6), maxWait))
	}
	b.addresses.Add(a, f)
}

func (b *backoff) succeeded(a netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addresses.Remove(a)
}

// Address is where a request comes from, for whoever counts requests.
func (a *Authenticator) Address(r *http.Request) string { return a.address(r).String() }

func (a *Authenticator) address(r *http.Request) netip.Addr {
	return clientAddress(r, a.TrustedProxies)
}

// clientAddress is the address that a request comes from: that of the
// connection or, where a trusted proxy holds it, the last one in
// X-Forwarded-For that is not a trusted proxy too. Of IPv6 it is the /64, which
// is what one customer has.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // zero: all such share one count
	addr := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(addr, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	if addr.Is6() {
		network, _ := addr.WithZone("").Prefix(64) // 64 bits are there
		addr = network.Addr()
	}
	return addr
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
