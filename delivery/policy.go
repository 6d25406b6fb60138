package delivery

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hookql/hookql/internal/webhook"
)

// Policy says where may be sent to. The zero Policy is the safe one: https
// only, to public addresses only. It is read-only and safe for concurrent use.
//
// Its refusals are *webhook.Error without a field, in words that are the same
// for every refused address, so that they tell nothing about the network: what
// listens there is not even tried. A refused name, too, is told nothing but
// that, with one difference left on purpose: a name that does not exist is
// UNRESOLVED and a name that leads inside is BLOCKED. The first is what a typo
// looks like, and its owner needs to hear of it; and what the public DNS knows
// of a name, anybody can ask. What only a private DNS knows is not asked at all
// (isPrivateName). An installation whose name servers have inside records for a
// public domain should use others, or accept that those names can be guessed.
type Policy struct {
	// AllowHTTP permits http to whatever else is permitted.
	AllowHTTP bool
	// Loopback is development mode: http, and every port of this machine's
	// loopback addresses but our own.
	Loopback bool
	// Networks are permitted besides public addresses.
	Networks []netip.Prefix
	// Ports are permitted besides those that no other protocol is known for.
	Ports []uint16
	// Own are the addresses that this server listens on, each spelled out
	// (not 0.0.0.0). They are never sent to, but for the receivers of
	// development mode below ReceiverPath.
	Own []netip.AddrPort
}

// ReceiverPath begins the paths of development mode's own receivers.
const ReceiverPath = "/receiver/"

// CheckURL says whether requests may be sent to raw. It is asked when a URL is
// saved and again by every attempt, and gives the same answer to both. A host
// name is not looked up here: its addresses are checked by each attempt.
func (p *Policy) CheckURL(raw string) (*url.URL, error) {
	u, err := parseURL(raw)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" && !p.AllowHTTP && !p.Loopback {
		return nil, webhook.NewError(webhook.HTTPSRequired, "Events are sent over https only. Give a URL that begins with `https://`.")
	}
	addrs := fixedAddrs(u.Hostname())
	for _, addr := range addrs {
		if err := p.checkAddr(addr, u); err != nil {
			return nil, err
		}
	}
	if addrs == nil {
		if err := p.checkName(u); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// checkName says what can be said of a name without a lookup.
func (p *Policy) checkName(u *url.URL) error {
	publicOnly := !p.Loopback && len(p.Networks) == 0
	switch {
	case publicOnly && isPrivateName(u.Hostname()):
		return errBlocked()
	case p.refusesPort(portOf(u)):
		return errRefusedPort()
	}
	return nil
}

// checkAddr is the guard: whether a connection to addr may be opened for u.
// Every connection passes it with the very address that is then dialled.
func (p *Policy) checkAddr(addr netip.Addr, u *url.URL) error {
	addr = addr.Unmap()
	port := portOf(u)
	switch {
	case addr.IsUnspecified():
		return webhook.NewError(webhook.BlockedAddress, "`0.0.0.0` and `::` mean every address of a machine, so a server can listen on them but nothing can be sent to them. To reach this machine in development mode, give `127.0.0.1`.")
	case p.isOwn(addr, port):
		if p.Loopback && isReceiver(u) {
			return nil
		}
		return errBlocked()
	case p.Loopback && addr.IsLoopback():
		return nil
	case p.refusesPort(port):
		return errRefusedPort()
	case public(addr), !addr.IsMulticast() && contains(p.Networks, addr):
		return nil
	default:
		return errBlocked()
	}
}

func errBlocked() error {
	return webhook.NewError(webhook.BlockedAddress, "HookQL does not send to this address. Give one of the public internet; development mode may also send to this machine, and whoever runs HookQL can permit more networks with `HOOKQL_ALLOW_NETWORKS`.")
}

func errRefusedPort() error {
	return webhook.NewError(webhook.BlockedAddress, "HookQL does not send to this port: it belongs to another protocol than HTTP. Let your receiver listen on another, such as 443 or 8443; whoever runs HookQL can permit a port with `HOOKQL_ALLOW_PORTS`.")
}

func (p *Policy) isOwn(addr netip.Addr, port uint16) bool {
	for _, own := range p.Own {
		if own.Addr().Unmap() == addr && own.Port() == port {
			return true
		}
	}
	return false
}

// isReceiver says whether u is one of development mode's own receivers. A path
// that any reader could take for another one is not.
func isReceiver(u *url.URL) bool {
	path := u.EscapedPath()
	return strings.HasPrefix(path, ReceiverPath) && !strings.Contains(path, "..") && !strings.Contains(path, "%")
}

// fixedAddrs returns what a host stands for without a lookup: a literal
// address for itself, and localhost for the loopback addresses (RFC 6761
// §6.3). It is nil for every other name.
func fixedAddrs(host string) []netip.Addr {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}
	}
	if name := strings.ToLower(host); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return nil
}

// isPrivateName says whether a name cannot be one of the public DNS: it has no
// dot, or its last label is set aside for private use (RFC 6761, RFC 6762
// appendix G, RFC 8375; ICANN for internal, corp, home and mail).
func isPrivateName(host string) bool {
	name := strings.ToLower(host)
	switch top := name[strings.LastIndexByte(name, '.')+1:]; top {
	case name, "alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "mail", "onion", "private", "test":
		return true
	}
	return false
}

// portOf returns the port of a URL that parseURL passed.
func portOf(u *url.URL) uint16 {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

func (p *Policy) refusesPort(port uint16) bool {
	return refusedPort(port) && !slices.Contains(p.Ports, port)
}

// refusedPort says whether a port is known for a protocol whose server could
// take an HTTP request for its own, or that nobody serves HTTP on: the "bad
// ports" of browsers (WHATWG Fetch §2.9) as far as they are servers' ports, and
// the databases, caches and file services that an intruder looks for.
func refusedPort(port uint16) bool {
	switch port {
	case 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
		101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 179,
		389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587,
		601, 636, 873, 989, 990, 993, 995,
		1433, 1434, 1521, 1719, 1720, 1723, 2049, 2181, 3306, 3389, 3659, 4045, 4190,
		5060, 5061, 5432, 5433, 5672, 5900, 6000, 6379, 6380, 6432, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
		9042, 10080, 11211, 27017, 27018, 27019:
		return true
	}
	return false
}
