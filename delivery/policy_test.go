package delivery

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	var (
		safe  = Policy{}
		plain = Policy{AllowHTTP: true}
		dev   = Policy{Loopback: true, Own: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080")}}
		lan   = Policy{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/0")}}
		ports = Policy{Ports: []uint16{25, 6666}}
		own   = Policy{Own: []netip.AddrPort{netip.MustParseAddrPort("93.184.216.34:443")}}
	)
	const ok = webhook.Code("")
	for _, test := range []struct {
		name   string
		policy *Policy
		url    string
		want   webhook.Code
	}{
		{"a plain one", &safe, "https://example.com/hooks?a=1&b=%20", ok},
		{"no path", &safe, "https://example.com", ok},
		{"a port", &safe, "https://example.com:8443/", ok},
		{"upper case", &safe, "HTTPS://Example.COM/", ok},
		{"an underscore", &safe, "https://my_app.example.com/", ok},
		{"public IPv6", &safe, "https://[2606:4700:4700::1111]:8443/", ok},
		{"braces in the query", &safe, "https://example.com/?q={a}[1]", ok},
		{"longest", &safe, "https://example.com/" + strings.Repeat("a", maxURL-20), ok},

		{"a refused port that is permitted", &ports, "https://example.com:6666/", ok},
		{"another refused port", &ports, "https://example.com:6667/", webhook.BlockedAddress},
		{"a permitted port of a refused address", &ports, "https://10.0.0.1:25/", webhook.BlockedAddress},

		{"empty", &safe, "", webhook.InvalidURL},
		{"too long", &safe, "https://example.com/" + strings.Repeat("a", maxURL-19), webhook.InvalidURL},
		{"no scheme", &safe, "example.com/hooks", webhook.InvalidURL},
		{"no host", &safe, "https:///hooks", webhook.InvalidURL},
		{"host only a port", &safe, "https://:443/", webhook.InvalidURL},
		{"opaque", &safe, "https:example.com", webhook.InvalidURL},
		{"relative", &safe, "//example.com/", webhook.InvalidURL},
		{"other scheme", &safe, "ftp://example.com/", webhook.InvalidURL},
		{"file", &safe, "file:///etc/passwd", webhook.InvalidURL},
		{"empty user", &safe, "https://@example.com/", webhook.InvalidURL},
		{"empty fragment", &safe, "https://example.com/#", webhook.InvalidURL},
		{"space", &safe, "https://example.com/a b", webhook.InvalidURL},
		{"line break", &safe, "https://example.com/a\r\nX: y", webhook.InvalidURL},
		{"percent in host, not ASCII", &safe, "https://b%C3%BCcher.example/", webhook.InvalidURL},
		{"port 0", &safe, "https://example.com:0/", webhook.InvalidURL},
		{"port 65536", &safe, "https://example.com:65536/", webhook.InvalidURL},
		{"port with zeros", &safe, "https://example.com:0443/", webhook.InvalidURL},
		{"port with a sign", &safe, "https://example.com:+443/", webhook.InvalidURL},
		{"empty port", &safe, "https://example.com:/", webhook.InvalidURL},
		{"port by name", &safe, "https://example.com:https/", webhook.InvalidURL},
		{"hyphen first", &safe, "https://-example.com/", webhook.InvalidURL},
		{"quote in host", &safe, "https://exa'mple.com/", webhook.InvalidURL},

		{"http", &safe, "http://example.com/", webhook.HTTPSRequired},
		{"http allowed", &plain, "http://example.com/", ok},
		{"http in development", &dev, "http://example.com/", ok},

		{"private", &safe, "https://10.0.0.1/", webhook.BlockedAddress},
		{"metadata", &safe, "https://169.254.169.254/latest/", webhook.BlockedAddress},
		{"Gigapay's example", &dev, "http://0.0.0.0:8000/webhook/", webhook.BlockedAddress},
		{"IPv6 unspecified", &dev, "http://[::]:8000/", webhook.BlockedAddress},
		{"unspecified in a permitted network", &lan, "https://0.0.0.0/", webhook.BlockedAddress},
		{"permitted network", &lan, "https://10.0.0.1/", ok},
		{"multicast in a permitted network", &lan, "https://224.0.0.1/", webhook.BlockedAddress},
		{"permitted network over http", &lan, "http://10.0.0.1/", webhook.HTTPSRequired},
		{"a name of private networks", &safe, "https://vault.corp/", webhook.BlockedAddress},
		{"a name without a dot", &safe, "https://vault/", webhook.BlockedAddress},
		{"a name of private networks where one is permitted", &lan, "https://vault.corp/", ok},
		{"a name of private networks in development", &dev, "http://shop.test/", ok},
		{"a name that only looks like one", &safe, "https://corp.example.com/", ok},
		{"PostgreSQL's port", &safe, "https://example.com:5432/", webhook.BlockedAddress},
		{"PostgreSQL's port in a permitted network", &lan, "https://10.0.0.1:5432/", webhook.BlockedAddress},
		{"mail", &safe, "https://example.com:25/", webhook.BlockedAddress},
		{"our own public address", &own, "https://93.184.216.34/", webhook.BlockedAddress},

		{"loopback in development", &dev, "http://127.0.0.1:9/", ok},
		{"any port of loopback in development", &dev, "http://127.0.0.1:5432/", ok},
		{"localhost in development", &dev, "http://localhost:3000/hooks", ok},
		{"another loopback address", &dev, "http://127.9.9.9:8080/", ok},
		{"private in development", &dev, "http://10.0.0.1/", webhook.BlockedAddress},
		{"a name's bad port in development", &dev, "http://example.com:6379/", webhook.BlockedAddress},
		{"our receiver", &dev, "http://127.0.0.1:8080/receiver/acme?a=b", ok},
		{"our receiver by name", &dev, "http://localhost:8080/receiver/acme", ok},
		{"our API", &dev, "http://127.0.0.1:8080/graphql", webhook.BlockedAddress},
		{"our API, mapped", &dev, "http://[::ffff:127.0.0.1]:8080/graphql", webhook.BlockedAddress},
		{"our API by name", &dev, "http://localhost:8080/graphql", webhook.BlockedAddress},
		{"our API by dots", &dev, "http://127.0.0.1:8080/receiver/../graphql", webhook.BlockedAddress},
		{"our API by escaped dots", &dev, "http://127.0.0.1:8080/receiver/%2e%2e/graphql", webhook.BlockedAddress},
		{"our root", &dev, "http://127.0.0.1:8080", webhook.BlockedAddress},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, err := test.policy.CheckURL(test.url)
			if got := codeOf(t, err); got != test.want {
				t.Fatalf("CheckURL(%q) = %q (%v), want %q", test.url, got, err, test.want)
			}
			if err == nil && u.Host == "" {
				t.Errorf("CheckURL(%q) has no host", test.url)
			}
		})
	}
}

// codeOf returns the code of a *webhook.Error, and "" of nil.
func codeOf(t *testing.T, err error) webhook.Code {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *webhook.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v of type %T, want a *webhook.Error", err, err)
	}
	if len(e.Field) != 0 || !strings.HasSuffix(e.Message, ".") {
		t.Errorf("got field %v and message %q, want no field and a sentence", e.Field, e.Message)
	}
	return e.Code
}

func TestRefusalsTellNothingAboutTheNetwork(t *testing.T) {
	t.Parallel()
	var p Policy
	_, first := p.CheckURL("https://127.0.0.1/")
	for _, url := range []string{"https://10.0.0.1/", "https://[fd00::1]/", "https://169.254.169.254/", "https://localhost/", "https://224.0.0.1/", "https://vault.corp/"} {
		if _, err := p.CheckURL(url); err == nil || err.Error() != first.Error() {
			t.Errorf("CheckURL(%q) says %v, want the same as for loopback: %v", url, err, first)
		}
	}
}

func TestUnspecifiedNamesLoopback(t *testing.T) {
	t.Parallel()
	_, err := (&Policy{}).CheckURL("https://0.0.0.0:8000/webhook/")
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("got %v, want a message that names 127.0.0.1", err)
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/hooks?a=b", "http://[::ffff:10.0.0.1]:80/", "https://0x7f.1/", "https://a.localhost:1/",
		"https://example.com:443\\@127.0.0.1/", "https://[fe80::1%25lo]/", "http://127.0.0.1:8080/receiver/%2e%2e/graphql",
		"https://1.1.1.1:65535?x", "HTTP://ex_ample.com//a/../b;c=d", "https://example.com/%zz", "https://[2606::]:1/?",
	} {
		f.Add(seed)
	}
	for _, line := range corpus(f, "hosts.csv", 4) {
		f.Add(hostURL(f, line))
	}
	policies := []Policy{{}, {AllowHTTP: true}, {Loopback: true, Own: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080")}}}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, p := range policies {
			u, err := p.CheckURL(raw)
			if err != nil {
				continue
			}
			again, err := p.CheckURL(u.String())
			if err != nil || again.String() != u.String() || again.Hostname() != u.Hostname() || portOf(again) != portOf(u) {
				t.Errorf("CheckURL(%q) gave %q, which reads as %v, %v", raw, u, again, err)
			}
			for _, addr := range fixedAddrs(u.Hostname()) {
				if !public(addr) && !(p.Loopback && addr.Unmap().IsLoopback()) {
					t.Errorf("CheckURL(%q) passed, want %s refused", raw, addr)
				}
			}
			if strings.ContainsAny(u.RequestURI()+u.Host, "\r\n \x00") {
				t.Errorf("CheckURL(%q) would break the request line", raw)
			}
		}
	})
}
