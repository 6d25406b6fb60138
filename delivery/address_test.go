package delivery

import (
	"net/netip"
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

// Whatever the address, the guard refuses what it must, in each of its spellings.
func FuzzPublic(f *testing.F) {
	for _, line := range corpus(f, "addresses.csv", 3) {
		bytes := netip.MustParseAddr(line[0]).As16()
		f.Add(bytes[:])
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) < 16 {
			return
		}
		addr := netip.AddrFrom16([16]byte(bytes))
		plain := addr.Unmap()
		if public(addr) != public(plain) {
			t.Errorf("%s and %s are not judged alike", addr, plain)
		}
		v4 := netip.AddrFrom4([4]byte(bytes[12:]))
		if mapped := netip.AddrFrom16(v4.As16()); public(mapped) != public(v4) {
			t.Errorf("%s and %s are not judged alike", mapped, v4)
		}
		for _, addr := range []netip.Addr{plain, v4} {
			if public(addr) && (!addr.IsGlobalUnicast() || addr.IsPrivate() || contains(special(), addr) || addr.Is6() && addr.As16()[0]>>5 != 1) {
				t.Errorf("public(%s) = true, want false", addr)
			}
		}
	})
}
