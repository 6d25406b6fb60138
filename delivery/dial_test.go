package delivery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

// dialled remembers which addresses were dialled, and refuses them all.
func dialled(list *[]string) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(_ context.Context, addr netip.AddrPort) (net.Conn, error) {
		*list = append(*list, addr.String())
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
}

func TestEveryAddressOfANameIsChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, addrs string
		want        []string // dialled; none: blocked
	}{
		{"public", "93.184.216.34", []string{"93.184.216.34:443"}},
		{"all are tried in turn", "93.184.216.34 2606:4700:4700::1111 8.8.8.8", []string{"93.184.216.34:443", "[2606:4700:4700::1111]:443", "8.8.8.8:443"}},
		{"mapped public", "::ffff:93.184.216.34", []string{"93.184.216.34:443"}},
		{"private", "10.0.0.1", nil},
		{"public then private", "93.184.216.34 10.0.0.1", nil},
		{"private among five", "1.1.1.1 8.8.8.8 9.9.9.9 169.254.169.254 8.8.4.4", nil},
		{"AAAA inside", "93.184.216.34 ::1", nil},
		{"mapped loopback", "::ffff:127.0.0.1", nil},
		{"unspecified", "0.0.0.0", nil},
		{"with a zone", "fe80::1%1", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			e := &Engine{Client: Client{Lookup: answers(test.addrs), Dial: dialled(&got)}}
			x, message := e.attempt(t.Context(), postWebhook("https://receiver.example/"), testMessage())
			want := webhook.OutcomeRefused
			if test.want == nil {
				want = webhook.OutcomeBlocked
			}
			if x.Outcome != want || !slices.Equal(got, test.want) {
				t.Errorf("got %s (%s) having dialled %v, want %s and %v", x.Outcome, x.Detail, got, want, test.want)
			}
			if strings.Contains(x.Detail, "10.0.0.1") || strings.Contains(message, "169.254") {
				t.Errorf("the address is told: %q", x.Detail)
			}
		})
	}
}

func TestOurOwnAddressByName(t *testing.T) {
	t.Parallel()
	var got []string
	e := devEngine()
	e.Client.Policy.Own = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080")}
	e.Client.Lookup, e.Client.Dial = answers("127.0.0.1"), dialled(&got)
	if x, _ := e.attempt(t.Context(), postWebhook("http://rebound.example:8080/graphql"), testMessage()); x.Outcome != webhook.OutcomeBlocked {
		t.Errorf("our API by a name that resolves to it: got %s, want BLOCKED", x.Outcome)
	}
	if x, _ := e.attempt(t.Context(), postWebhook("http://rebound.example:8080/receiver/a"), testMessage()); x.Outcome != webhook.OutcomeRefused {
		t.Errorf("our receiver by a name that resolves to it: got %s, want it dialled", x.Outcome)
	}
}

func TestLookupFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		lookup func(context.Context, string) ([]netip.Addr, error)
		want   string
	}{
		{"no such host", func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "receiver.example", Server: "10.0.0.53:53", IsNotFound: true}
		}, "no such host"},
		{"server failure", func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "server misbehaving", Server: "10.0.0.53:53", IsTemporary: true}
		}, "the name servers failed"},
		{"time-out of the resolver", func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "i/o timeout", Server: "10.0.0.53:53", IsTimeout: true}
		}, "the name servers did not answer"},
		{"no addresses", func(context.Context, string) ([]netip.Addr, error) { return nil, nil }, "no such host"},
		{"anything", func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("read /etc/x") }, "the host name could not be resolved"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := &Engine{Client: Client{Lookup: test.lookup}}
			x, _ := e.attempt(t.Context(), postWebhook("https://receiver.example/"), testMessage())
			if x.Outcome != webhook.OutcomeUnresolved || x.Detail != test.want {
				t.Errorf("got %s (%s), want UNRESOLVED (%s)", x.Outcome, x.Detail, test.want)
			}
		})
	}
}

// A name server that never answers costs the time limit, and no more.
func TestLookupWithoutEnd(t *testing.T) {
	t.Parallel()
	e := &Engine{Client: Client{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
	w := postWebhook("https://receiver.example/")
	w.TimeoutMs = 100
	x, _ := e.attempt(t.Context(), w, testMessage())
	if x.Outcome != webhook.OutcomeTimedOut || x.Detail != "the host name was not resolved within 0.1 s" {
		t.Errorf("got %s (%s), want TIMED_OUT (… not resolved …)", x.Outcome, x.Detail)
	}
}

// localhost needs no name server, and reaches a receiver on either of its addresses.
func TestLocalhost(t *testing.T) {
	t.Parallel()
	p := listenHTTP(t, says("HTTP/1.1 204 No Content\r\n\r\n"))
	_, port, _ := net.SplitHostPort(p.Addr().String())
	e := devEngine()
	e.Client.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		t.Error("a name server was asked")
		return nil, errors.New("not here")
	}
	x, _ := e.attempt(t.Context(), postWebhook("http://localhost:"+port+"/"), testMessage())
	if x.Outcome != webhook.OutcomeDelivered {
		t.Errorf("got %s (%s), want DELIVERED", x.Outcome, x.Detail)
	}
}
