package delivery

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

// answers is a name server that gives the next of sets to each question, and
// the last one from then on.
func answers(sets ...string) func(context.Context, string) ([]netip.Addr, error) {
	return script(func(question int) string { return sets[min(question, len(sets)-1)] })
}

// script is a name server that answers question n with the addresses of set(n).
// It can be asked by many at once.
func script(set func(question int) string) func(context.Context, string) ([]netip.Addr, error) {
	var (
		mu    sync.Mutex
		asked int // guarded by mu
	)
	return func(context.Context, string) ([]netip.Addr, error) {
		mu.Lock()
		defer mu.Unlock()
		var addrs []netip.Addr
		for addr := range strings.FieldsSeq(set(asked)) {
			addrs = append(addrs, netip.MustParseAddr(addr))
		}
		asked++
		return addrs, nil
	}
}

// A name server that changes its mind between the check and the connection, or
// between two attempts, leads nobody inside: there is one lookup per attempt,
// all of its answer is checked, and what was checked is what is dialled. A
// connection that is not made to a public address is made for real, and would
// reach the sentinels.
func TestRebinding(t *testing.T) {
	t.Parallel()
	const (
		attempts = 1000 // by each script
		atOnce   = 4
		outside  = "93.184.216.34"
		outside6 = "2606:4700:4700::1111"
	)
	alternate := func(sets ...string) func(int) string {
		return func(question int) string { return sets[question%len(sets)] }
	}
	random := rand.New(rand.NewPCG(1, 2))
	scripts := []struct {
		name string
		set  func(question int) string
	}{
		{"public first, then loopback", func(question int) string { return []string{outside, "127.0.0.1"}[min(question, 1)] }},
		{"public and loopback in turn, as with a time to live of 0", alternate(outside, "127.0.0.1")},
		{"loopback among five", alternate("1.1.1.1 8.8.8.8 127.0.0.1 9.9.9.9 8.8.4.4")},
		{"loopback last of five, every third time", alternate(outside, outside, "1.1.1.1 8.8.8.8 9.9.9.9 8.8.4.4 127.0.0.1")},
		{"A public, AAAA loopback", alternate(outside + " ::1")},
		{"AAAA public, A loopback", alternate(outside6 + " 127.0.0.1")},
		{"an alias of localhost", alternate(outside, "127.0.0.1 ::1")},
		{"mapped loopback", alternate(outside, "::ffff:127.0.0.1")},
		{"another inside address each time", alternate(outside, "127.0.0.2", outside6, "0.0.0.0", outside, "127.255.255.254", outside, "::")},
		{"at random", func(int) string { return []string{outside, outside6, "127.0.0.1", outside + " ::1"}[random.IntN(4)] }},
	}
	trap := sentinel(t)
	_, port, _ := net.SplitHostPort(trap.Addr().String())
	receiver := listenHTTP(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	var lookups, delivered, blocked int
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) {
			e := &Engine{Client: Client{Policy: Policy{AllowHTTP: true}}}
			e.Client.Lookup = script(func(question int) string {
				lookups++
				return s.set(question)
			})
			e.Client.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
				if public(addr.Addr()) {
					return leadTo(receiver)(ctx, addr)
				}
				var d net.Dialer
				return d.DialContext(ctx, "tcp", addr.String())
			}
			for outcome, n := range attemptMany(e, "http://rebound.example:"+port+"/", attempts, atOnce) {
				switch outcome {
				case webhook.OutcomeDelivered:
					delivered += n
				case webhook.OutcomeBlocked:
					blocked += n
				default:
					t.Errorf("%d attempts ended %s, want DELIVERED or BLOCKED", n, outcome)
				}
			}
		})
	}
	all := attempts * len(scripts)
	if lookups != all || delivered+blocked != all || int(receiver.arrivals.Load()) != delivered {
		t.Errorf("%d attempts: %d lookups, %d delivered, %d blocked, %d arrived; want one lookup and one end of each", all, lookups, delivered, blocked, receiver.arrivals.Load())
	}
	if n := trap.connections.Load(); n != 0 {
		t.Errorf("%d connections to the sentinel", n)
	}
	t.Logf("rebinding: %d attempts, %d delivered outside, %d blocked, %d connections to the sentinel", all, delivered, blocked, trap.connections.Load())
}

// attemptMany makes n attempts at a URL and counts their outcomes.
func attemptMany(e *Engine, url string, n, atOnce int) map[webhook.Outcome]int {
	var (
		mu       sync.Mutex
		outcomes = make(map[webhook.Outcome]int) // guarded by mu
		workers  sync.WaitGroup
	)
	for range atOnce {
		workers.Go(func() {
			for range n / atOnce {
				x, _ := e.attempt(context.Background(), postWebhook(url), testMessage())
				mu.Lock()
				outcomes[x.Outcome]++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return outcomes
}
