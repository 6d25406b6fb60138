package delivery

import (
	"context"
	"encoding/csv"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

// corpus reads a file of testdata: lines of fields, and comments behind #.
func corpus(t testing.TB, name string, fields int) [][]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.FieldsPerRecord = '#', fields
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// sentinel listens where nobody may connect to.
func sentinel(t *testing.T) *peer {
	t.Helper()
	return listen(t, func(net.Conn) {})
}

// host writes an address as the host of a URL.
func host(addr netip.Addr) string {
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// Each address is judged three times: when its URL is saved, when it is sent
// to, and when a name leads to it. A dial of any address reaches the sentinel.
func TestAddressCorpus(t *testing.T) {
	t.Parallel()
	var forbidden, allowed []netip.Addr
	for _, line := range corpus(t, "addresses.csv", 3) {
		addr := netip.MustParseAddr(line[0])
		switch line[1] {
		case "forbidden":
			forbidden = append(forbidden, addr)
		case "public":
			allowed = append(allowed, addr)
		default:
			t.Fatalf("%s is neither forbidden nor public", addr)
		}
	}
	listed := len(forbidden)
	for _, block := range special() {
		forbidden = append(forbidden, block.Addr(), last(block))
	}
	trap := sentinel(t)
	leaks, blocks := 0, 0
	for _, addr := range forbidden {
		if passed := passes(t, addr, trap); len(passed) > 0 {
			leaks++
			t.Errorf("%s passed %v, want it refused", addr, passed)
		}
	}
	if n := trap.connections.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
	for _, addr := range allowed {
		if passed := passes(t, addr, trap); len(passed) != 3 {
			blocks++
			t.Errorf("%s passed %v only, want it to pass", addr, passed)
		}
	}
	t.Logf("addresses: %d forbidden and %d ends of special blocks, %d leaks; %d public, %d wrong blocks",
		listed, len(forbidden)-listed, leaks, len(allowed), blocks)
}

// passes says where addr is let through: to be saved, to be sent to, and to be
// sent to by a name. What is sent leads to p.
func passes(t *testing.T, addr netip.Addr, p *peer) (passed []string) {
	var e Engine
	e.Client.Dial = leadTo(p)
	e.Client.Lookup = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{addr}, nil }
	literal := "https://" + host(addr) + "/"
	if _, err := e.Client.Policy.CheckURL(literal); err == nil {
		passed = append(passed, "when saved")
	}
	if x, _ := e.attempt(t.Context(), postWebhook(literal), testMessage()); x.Outcome != webhook.OutcomeBlocked {
		passed = append(passed, "when sent")
	}
	if x, _ := e.attempt(t.Context(), postWebhook("https://receiver.example/"), testMessage()); x.Outcome != webhook.OutcomeBlocked {
		passed = append(passed, "by a name")
	}
	return passed
}

// Each spelling is refused with its code when it is saved and again when it is
// sent to, or accepted with the meaning that the file gives it. What is refused
// would reach nothing even so: given to the client unchecked, with a name
// server that reads every spelling as loopback, no connection is opened.
func TestHostCorpus(t *testing.T) {
	t.Parallel()
	lines := corpus(t, "hosts.csv", 4)
	trap := sentinel(t)
	wrong := 0
	for _, line := range lines {
		raw := hostURL(t, line)
		got, means := readHost(t, raw, trap)
		if got != line[1] || got == "ok" && means != line[2] {
			wrong++
			t.Errorf("%q (%s): got %s, meaning %q; want %s, meaning %q", raw, line[3], got, means, line[1], line[2])
		}
		if got == "ok" {
			continue
		}
		if x, _ := lenient(trap).attempt(t.Context(), postWebhook(raw), testMessage()); x.Outcome != webhook.OutcomeBlocked {
			wrong++
			t.Errorf("%q: sent to: got %s, want BLOCKED", raw, x.Outcome)
		}
		if u, err := url.Parse(raw); err == nil {
			_, _, err := lenient(trap).Client.send(t.Context(), &request{url: u}, nil)
			if j := judge(nil, err); j.outcome != webhook.OutcomeBlocked {
				wrong++
				t.Errorf("%q: sent to unchecked: got %+v, want BLOCKED", raw, j)
			}
		}
	}
	if n := trap.connections.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
	t.Logf("host spellings: %d, %d read wrongly, %d connections, 0 panics", len(lines), wrong, trap.connections.Load())
}

// hostURL is the URL of a line of hosts.csv.
func hostURL(t testing.TB, line []string) string {
	t.Helper()
	spelling, err := strconv.Unquote(`"` + line[0] + `"`)
	if err != nil {
		t.Fatalf("%s: %v", line[0], err)
	}
	return "https://" + spelling + "/"
}

// lenient is a safe engine whose name server reads every spelling as loopback,
// and whose dials all lead to p.
func lenient(p *peer) *Engine {
	return &Engine{Client: Client{Lookup: answers("127.0.0.1"), Dial: leadTo(p)}}
}

// readHost returns "ok" or the code of a URL's refusal, and, of an accepted
// one, the name that is looked up or the address that is dialled for it.
func readHost(t *testing.T, raw string, p *peer) (verdict, means string) {
	var e Engine
	if _, err := e.Client.Policy.CheckURL(raw); err != nil {
		return string(codeOf(t, err)), ""
	}
	e.Client.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		means = strings.ToLower(host)
		return nil, nil
	}
	e.Client.Dial = func(_ context.Context, addr netip.AddrPort) (net.Conn, error) {
		means = addr.Addr().String()
		return nil, net.ErrClosed
	}
	e.attempt(t.Context(), postWebhook(raw), testMessage())
	return "ok", means
}

// What may be saved may be sent to, and nothing else: whatever networks the
// operator permits, the check of a URL and the guard of its connection agree.
func TestPermittedNetworks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		networks string
		pass     string
		blocked  string
	}{
		{"", "93.184.216.34", "10.0.0.1 127.0.0.1 ::1 fd00::1 169.254.169.254"},
		{"10.0.0.0/8", "93.184.216.34 10.0.0.0 10.255.255.255 ::ffff:10.1.2.3", "172.16.0.1 127.0.0.1 ::10.0.0.1 64:ff9b::10.0.0.1"},
		{"10.1.2.0/24 192.168.7.9/32", "10.1.2.255 192.168.7.9", "10.1.3.0 192.168.7.8 192.168.7.10"},
		{"fd00:1::/32", "fd00:1::1 fd00:1:ffff::", "fd00:2::1 fc00::1 ::1"},
		{"127.0.0.0/8", "127.0.0.1 127.9.9.9", "0.0.0.0 ::1 ::127.0.0.1"},
		{"169.254.169.254/32", "169.254.169.254", "169.254.169.253"},
		{"0.0.0.0/0", "10.0.0.1 127.0.0.1 240.0.0.1", "0.0.0.0 224.0.0.1 ::1 fd00::1"},
		{"::/0", "::1 fd00::1 4000::1", ":: ff02::1 10.0.0.1 ::ffff:127.0.0.1"},
	} {
		t.Run(test.networks, func(t *testing.T) {
			t.Parallel()
			var policy Policy
			for network := range strings.FieldsSeq(test.networks) {
				policy.Networks = append(policy.Networks, netip.MustParsePrefix(network))
			}
			for addr := range strings.FieldsSeq(test.pass) {
				checkBoth(t, policy, netip.MustParseAddr(addr), true)
			}
			for addr := range strings.FieldsSeq(test.blocked) {
				checkBoth(t, policy, netip.MustParseAddr(addr), false)
			}
		})
	}
}

func checkBoth(t *testing.T, policy Policy, addr netip.Addr, want bool) {
	t.Helper()
	var dials atomic.Int64
	e := &Engine{Client: Client{Policy: policy, Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
		dials.Add(1)
		return nil, net.ErrClosed
	}}}
	_, err := policy.CheckURL("https://" + host(addr) + "/")
	e.attempt(t.Context(), postWebhook("https://"+host(addr)+"/"), testMessage())
	e.Client.Lookup = answers(addr.String())
	e.attempt(t.Context(), postWebhook("https://receiver.example/"), testMessage())
	sent := int64(0)
	if want {
		sent = 2
	}
	if (err == nil) != want || dials.Load() != sent {
		t.Errorf("%s: saved %t, sent to %d of 2 times; want %t", addr, err == nil, dials.Load(), want)
	}
}
