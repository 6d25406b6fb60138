package delivery

import (
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	refused := []string{
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.0.1", "198.18.0.1", "198.19.255.255", "240.0.0.1",
		"255.255.255.255", "224.0.0.1", "239.255.255.255", "168.63.129.16", "100.100.100.200",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:7f00:1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::7f00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
		"fc00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "5f00::1",
		"100::1", "4000::1", "1fff::1", "fe80::1%eth0", "2606:4700:4700::1111%eth0",
	}
	for _, addr := range refused {
		if public(netip.MustParseAddr(addr)) {
			t.Errorf("public(%s) = true, want false", addr)
		}
	}
	allowed := []string{
		"1.1.1.1", "8.8.8.8", "93.184.216.34", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15", "::ffff:8.8.8.8",
		"2606:4700:4700::1111", "2a00:1450:4001:82a::200e", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2600::", "3ffe::1",
	}
	for _, addr := range allowed {
		if !public(netip.MustParseAddr(addr)) {
			t.Errorf("public(%s) = false, want true", addr)
		}
	}
	if public(netip.Addr{}) {
		t.Error("public of no address = true, want false")
	}
}

func TestSpecialBlocksAreRefusedWhole(t *testing.T) {
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
		if block.Addr().Is4In6() { // judged as IPv4; contains nothing once unmapped
			continue
		}
		for _, addr := range []netip.Addr{block.Addr(), last(block)} {
			if public(addr) {
				t.Errorf("public(%s) of block %s = true, want false", addr, block)
			}
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
