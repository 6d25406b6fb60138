package delivery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// refusal is what whoever asked can tell a refused target by, but for the time.
type refusal struct {
	outcome         webhook.Outcome
	detail, message string
	lookups, dials  int
}

// Whether something listens at a target that is refused, or nothing, or a
// firewall drops the packets, cannot be learned: it is not tried.
func TestRefusalsTellNothingOfWhatListens(t *testing.T) {
	t.Parallel()
	const each = 125 // targets of a kind, by address and again by name
	kinds := []struct {
		name    string
		targets [each]netip.AddrPort
		times   []time.Duration
	}{{name: "open"}, {name: "closed"}, {name: "filtered"}, {name: "elsewhere"}}
	open, filtered, closed := sentinel(t), blackHole(t), closedPort(t)
	for i := range each {
		kinds[0].targets[i] = addrOf(open)
		kinds[1].targets[i] = closed
		kinds[2].targets[i] = addrOf(filtered)
		kinds[3].targets[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 1}), 8443)
	}
	byAddr := refusal{outcome: webhook.OutcomeBlocked, detail: errBlocked().Error(), message: "Nothing was sent. " + errBlocked().Error()}
	byName := byAddr
	byName.lookups = 1
	for i := range each {
		for k := range kinds {
			kind := &kinds[k]
			for want, url := range map[refusal]string{
				byAddr: fmt.Sprintf("https://%s/", kind.targets[i]),
				byName: fmt.Sprintf("https://inside.example:%d/", kind.targets[i].Port()),
			} {
				got, took := refuse(url, kind.targets[i])
				if got != want {
					t.Errorf("%s, %s: got %+v, want %+v", kind.name, url, got, want)
				}
				kind.times = append(kind.times, took)
			}
		}
	}
	if n := open.connections.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
	for _, kind := range kinds {
		slices.Sort(kind.times)
		t.Logf("%s: %d targets, median %s, 95 %% within %s", kind.name, len(kind.times), kind.times[len(kind.times)/2], kind.times[len(kind.times)*95/100])
	}
}

// refuse makes an attempt at a URL whose name leads to target.
func refuse(url string, target netip.AddrPort) (refusal, time.Duration) {
	var r refusal
	e := Engine{Client: Client{
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			r.lookups++
			return []netip.Addr{target.Addr()}, nil
		},
		Dial: func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			r.dials++
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.String())
		},
	}}
	begin := time.Now()
	x, message := e.attempt(context.Background(), postWebhook(url), testMessage())
	took := time.Since(begin)
	r.outcome, r.detail, r.message = x.Outcome, x.Detail, message
	return r, took
}

func addrOf(p *peer) netip.AddrPort { return p.Addr().(*net.TCPAddr).AddrPort() }
