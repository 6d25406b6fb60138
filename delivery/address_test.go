package delivery

import (
	"net/netip"
	"net/url"
	"testing"
)

// The corpus (corpus_test.go) has what is forbidden; these lie right beside it,
// or are no address to send to by their form.
func TestPublic(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15", "168.63.129.17",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2003::1", "2600::", "3ffe::1",
	} {
		if !public(netip.MustParseAddr(addr)) {
			t.Errorf("public(%s) = false, want true", addr)
		}
	}
	for _, addr := range []string{"1fff::1", "4000::1", "2606:4700:4700::1111%eth0"} {
		if public(netip.MustParseAddr(addr)) {
			t.Errorf("public(%s) = true, want false", addr)
		}
	}
	if public(netip.Addr{}) {
		t.Error("public of no address = true, want false")
	}
}

func TestSpecialBlocksAreWellFormed(t *testing.T) {
	t.Parallel()
	blocks, err := readSpecial()
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) < 50 {
		t.Errorf("special.csv has %d blocks, want both registries", len(blocks))
	}
	for _, block := range blocks {
		if block != block.Masked() {
			t.Errorf("%s has bits behind its prefix", block)
		}
	}
}

// last returns the last address of a block.
func last(block netip.Prefix) netip.Addr {
	bytes := block.Addr().AsSlice()
	for bit := block.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// ipv4Inside are the ways to write an IPv4 address in an IPv6 one, but for the
// mapped form, which is the IPv4 address itself.
var ipv4Inside = []netip.Prefix{
	netip.MustParsePrefix("::/96"),           // compatible
	netip.MustParsePrefix("::ffff:0:0:0/96"), // SIIT
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
	netip.MustParsePrefix("2001::/32"),       // Teredo
	netip.MustParsePrefix("2002::/16"),       // 6to4
}

// Whatever the address, the safe policy permits none that Go knows for
// something else than an ordinary host, and judges its spellings alike.
func FuzzCheckAddr(f *testing.F) {
	for _, line := range corpus(f, "addresses.csv", 3) {
		f.Add(netip.MustParseAddr(line[0]).AsSlice())
	}
	for _, block := range special() {
		f.Add(block.Addr().AsSlice())
		f.Add(last(block).AsSlice())
	}
	u := &url.URL{Scheme: "https", Host: "receiver.example"}
	permits := func(addr netip.Addr) bool { return (&Policy{}).checkAddr(addr, u) == nil }
	f.Fuzz(func(t *testing.T, bytes []byte) {
		addr, ok := netip.AddrFromSlice(bytes)
		if !ok {
			return
		}
		plain := addr.Unmap()
		if mapped := netip.AddrFrom16(plain.As16()); permits(addr) != permits(plain) || permits(mapped) != permits(plain) {
			t.Errorf("%s, %s and %s are not judged alike", addr, plain, mapped)
		}
		if permits(plain.WithZone("1")) && plain.Is6() {
			t.Errorf("%s is permitted with a zone", plain)
		}
		if permits(plain) && (!plain.IsGlobalUnicast() || plain.IsPrivate() || contains(special(), plain) || contains(ipv4Inside, plain) || plain.Is6() && plain.As16()[0]>>5 != 1) {
			t.Errorf("%s is permitted", plain)
		}
	})
}
