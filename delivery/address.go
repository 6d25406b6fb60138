package delivery

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"net/netip"
	"sync"
)

//go:embed special.csv
var specialCSV []byte

// globalUnicast is the part of IPv6 that IANA assigns from. What lies outside
// is refused unread, so that a block reserved tomorrow is refused today.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// public says whether addr is an ordinary host of the public internet. An
// IPv4-mapped address is judged as the IPv4 address it is; the other ways to
// write an IPv4 address inside an IPv6 one are refused whole.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return false
	}
	return !contains(special(), addr)
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// special are the blocks of special.csv.
var special = sync.OnceValue(func() []netip.Prefix {
	blocks, err := readSpecial()
	if err != nil {
		panic(err) // the file is part of the program and its test reads it
	}
	return blocks
})

func readSpecial() ([]netip.Prefix, error) {
	r := csv.NewReader(bytes.NewReader(specialCSV))
	r.Comment = '#'
	r.FieldsPerRecord = 3
	lines, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read special addresses: %w", err)
	}
	blocks := make([]netip.Prefix, len(lines))
	for i, line := range lines {
		if blocks[i], err = netip.ParsePrefix(line[0]); err != nil {
			return nil, fmt.Errorf("read special addresses: %w", err)
		}
	}
	return blocks, nil
}
