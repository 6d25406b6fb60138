package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/seal"
)

// minKey is the shortest operator key, in characters: 32 of base 64 are 192
// bits, out of reach for guessing.
const minKey = 32

// text is any text.
type text string

func (t *text) Set(s string) error {
	*t = text(s)
	return nil
}

func (t *text) String() string { return string(*t) }

// toggle is on or off.
type toggle bool

func (t *toggle) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("write true or false")
	}
	*t = toggle(on)
	return nil
}

func (t *toggle) String() string { return strconv.FormatBool(bool(*t)) }

// address is a host:port to listen on.
type address string

func (a *address) Set(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("write host:port, such as 127.0.0.1:8080 or [::1]:8080")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port is a number from 0 to 65535; write host:port, such as 127.0.0.1:8080")
	}
	*a = address(s)
	return nil
}

func (a *address) String() string { return string(*a) }

// databaseURL is where a PostgreSQL is and how to log in. The form
// "host=... password=..." is refused: only in a URL is it certain which part
// is the password.
type databaseURL string

func (d *databaseURL) Set(s string) error {
	scheme, rest, _ := strings.Cut(s, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return errors.New("write postgres://user:password@host:5432/database")
	}
	_, err := url.Parse(s)
	// An @ or # behind the host is a password that was not escaped, cut in two.
	if i := strings.IndexAny(rest, "/?#"); err != nil || i >= 0 && strings.ContainsAny(rest[i:], "@#") {
		// The parser's error would show the password.
		return errors.New("not a valid URL; in the password write @ as %40, / as %2F, # as %23, ? as %3F and % as %25")
	}
	*d = databaseURL(s)
	return nil
}

// String leaves out the password and the parameters, which can hold another.
func (d *databaseURL) String() string {
	u, err := url.Parse(string(*d))
	if err != nil || *d == "" {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.User != nil {
		shown.User = url.User(u.User.Username())
	}
	return shown.String()
}

// origins are those of web pages.
type origins []string

func (o *origins) Set(s string) error {
	list, err := parseList(s, parseOrigin)
	if err != nil {
		return err
	}
	*o = list
	return nil
}

func (o *origins) String() string { return strings.Join(*o, ",") }

// parseOrigin refuses all spellings but the one that browsers send, since
// origins are compared as text.
func parseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !isHostText(u.Host) {
		return "", fmt.Errorf("%q is no origin; write each as scheme://host[:port], such as https://app.example.com, without wildcards", s)
	}
	host := strings.ToLower(strings.TrimSuffix(u.Host, ":"))
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	if exact := u.Scheme + "://" + host; s != exact {
		return "", fmt.Errorf("%q is not as browsers send it; write %s", s, exact)
	}
	return s, nil
}

// isHostText says whether a host and port hold only what browsers put there:
// no wildcard, and names of other alphabets in their xn-- form.
func isHostText(host string) bool {
	return strings.IndexFunc(host, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune("-_.:[]", r)
	}) < 0
}

// networks are ranges of addresses.
type networks []netip.Prefix

func (n *networks) Set(s string) error {
	list, err := parseList(s, parseNetwork)
	if err != nil {
		return err
	}
	*n = list
	return nil
}

func (n *networks) String() string {
	texts := make([]string, len(*n))
	for i, prefix := range *n {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

// parseNetwork reads a CIDR, or an address that stands for itself alone. It
// refuses a network that is written as an address in it, since it may be
// larger than was meant.
func parseNetwork(s string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s)
	if addr, addrErr := netip.ParseAddr(s); addrErr == nil && addr.Zone() == "" {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network; write it as 10.1.0.0/16, fd00:1::/32, or a single address", s)
	}
	if exact := unmap(prefix).Masked(); prefix != exact {
		return netip.Prefix{}, fmt.Errorf("%q can be misread; write %s for the network, or %s for the one address", s, exact, prefix.Addr().Unmap())
	}
	return prefix, nil
}

// unmap writes a network of IPv4 addresses in their IPv6 form (::ffff:0:0/96)
// as IPv4, the form in which addresses are compared.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// ports are TCP ports.
type ports []uint16

func (p *ports) Set(s string) error {
	list, err := parseList(s, parsePort)
	if err != nil {
		return err
	}
	*p = list
	return nil
}

func (p *ports) String() string {
	texts := make([]string, len(*p))
	for i, port := range *p {
		texts[i] = strconv.Itoa(int(port))
	}
	return strings.Join(texts, ",")
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port; write a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// parseList reads comma separated items and tells all mistakes in them.
func parseList[T any](s string, parse func(string) (T, error)) ([]T, error) {
	var list []T
	var mistakes []string
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue // a comma at the end
		}
		v, err := parse(item)
		if err != nil {
			mistakes = append(mistakes, err.Error())
			continue
		}
		list = append(list, v)
	}
	if len(mistakes) > 0 {
		return nil, errors.New(strings.Join(mistakes, "; "))
	}
	return list, nil
}

// margin is how much longer than an attempt a lease is.
type margin time.Duration

func (m *margin) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 2*time.Second || d > 10*time.Minute {
		return errors.New("write a time from 2s to 10m, such as 15s")
	}
	*m = margin(d)
	return nil
}

func (m *margin) String() string {
	if *m == 0 {
		return ""
	}
	return time.Duration(*m).String()
}

// maxSpan is the longest span: 10 years.
const maxSpan = 3650 * day

const day = 24 * time.Hour

// span is how long something is kept, written in days or hours.
type span struct {
	kept  *time.Duration
	least time.Duration
}

func (s span) Set(text string) error {
	unit, known := map[string]time.Duration{"d": day, "h": time.Hour}[text[len(text)-1:]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !known || err != nil {
		return errors.New("write a number of days or hours, such as 30d or 36h")
	}
	if n <= uint64(maxSpan/unit) && time.Duration(n)*unit >= s.least {
		*s.kept = time.Duration(n) * unit
		return nil
	}
	return fmt.Errorf("write at least %s and at most %s", spanText(s.least), spanText(maxSpan))
}

func (s span) String() string { return spanText(*s.kept) }

// spanText writes a span as Set reads it.
func spanText(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	default:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
}

// masterKeys seal secrets.
type masterKeys []seal.Key

func (m *masterKeys) Set(s string) error {
	*m = nil
	for text := range strings.SplitSeq(s, ",") {
		k, err := seal.ParseKey(text)
		if err != nil {
			return err
		}
		*m = append(*m, k)
	}
	return nil
}

func (m *masterKeys) String() string {
	if len(*m) == 0 {
		return ""
	}
	return "set"
}

// key opens the API.
type key string

func (k *key) Set(s string) error {
	if len(s) < minKey {
		return fmt.Errorf("too short to be safe with %d characters; give at least %d, `openssl rand -base64 32` makes a good one", len(s), minKey)
	}
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return errors.New("a header cannot carry it; use printable ASCII without spaces, `openssl rand -base64 32` makes a good one")
	}
	*k = key(s)
	return nil
}

func (k *key) String() string {
	if *k == "" {
		return ""
	}
	return "set"
}
