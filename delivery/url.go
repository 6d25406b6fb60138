package delivery

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/hookql/hookql/internal/webhook"
)

// maxURL is the longest URL that is taken, in bytes.
const maxURL = 2048

// parseURL reads the URL of a receiver. What it passes means the same to every
// reader: absolute, http or https, plain ASCII, a host that is a name or an
// address in its usual spelling, and a port that exists.
func parseURL(raw string) (*url.URL, error) {
	if mistake := textMistake(raw); mistake != "" {
		return nil, webhook.NewError(webhook.InvalidURL, mistake)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, webhook.NewError(webhook.InvalidURL, "This is no complete URL. Give one that begins with `https://`, such as `https://example.com/hooks`.")
	}
	if u.User != nil {
		return nil, webhook.NewError(webhook.InvalidURL, "User name and password do not belong into a URL, which is shown and logged. Send them in a header.")
	}
	if mistake := portMistake(u); mistake != "" {
		return nil, webhook.NewError(webhook.InvalidURL, mistake)
	}
	if mistake := hostMistake(u); mistake != "" {
		return nil, webhook.NewError(webhook.InvalidURL, mistake)
	}
	if u.Path == "" {
		u.Path = "/" // as it is sent
	}
	return u, nil
}

// textMistake says what is wrong with a URL's characters, or "".
func textMistake(raw string) string {
	if len(raw) > maxURL {
		return "A URL has at most 2,048 characters."
	}
	for i := range len(raw) {
		switch c := raw[i]; {
		case c >= 0x80:
			return "A URL is plain ASCII. Percent-encode other characters, and give a host name in its punycode form, such as `xn--bcher-kva.example`."
		case c <= ' ' || c == 0x7f || c == '\\':
			return "Spaces, control characters and backslashes cannot stand in a URL. Remove or percent-encode them."
		case c == '#':
			return "The part of a URL from `#` on is never sent. Remove it."
		}
	}
	return ""
}

func portMistake(u *url.URL) string {
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		return ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "A port is a number from 1 to 65535, with no zeros in front."
	}
	return ""
}

// hostMistake says what is wrong with a URL's host, or "".
func hostMistake(u *url.URL) string {
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && addr.Zone() != "":
		return "An address with a zone (`%`) means something on one machine only. Give an address without it."
	case err == nil && addr.Is6() == strings.HasPrefix(u.Host, "["):
		return ""
	case err == nil || strings.HasPrefix(u.Host, "["):
		return "In a URL an IPv6 address, and nothing else, stands in brackets, such as `https://[2001:db8::1]/`."
	case endsInNumber(host):
		return "This is an unusual spelling of an IPv4 address. Give four decimal numbers without zeros in front, such as `192.0.2.1`."
	case !isHostName(host):
		return "The host is no valid name. A name has labels of letters, digits, `-` and `_` with dots between, and no dot at its end."
	}
	return ""
}

// endsInNumber says whether some resolvers would read host as an IPv4 address:
// 2130706433, 0x7f.1, 127.1 (the check of the WHATWG URL standard).
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last != "" && strings.Trim(last, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(strings.ToLower(last), "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// isHostName says whether host has the form of a DNS name. Underscores are let
// through, because names in use have them.
func isHostName(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
