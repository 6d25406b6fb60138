// Package origin keeps web pages and proxies away from a server that asks for
// no key, and tells browsers which pages may use the API.
//
// A browser runs pages of strangers on the developer's machine, where they
// reach every loopback port. Three things give them away: the Origin header,
// the Sec-Fetch-Site header, and a Host header with the page's own name where
// that name was made to resolve to this machine (DNS rebinding).
package origin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// The paths that are more than pages: the API, and below the other the
// built-in receiver.
const (
	apiPath      = "/graphql"
	receiverPath = "/receiver"
)

// Policy says from where a server may be used. The zero Policy is that of
// production: everybody may knock, the key protects, and no page of another
// origin may read an answer.
type Policy struct {
	// Dev refuses what does not come from this machine and this server's pages.
	Dev bool
	// Addr is the host:port that the server listens on; development mode
	// needs it.
	Addr string
	// AllowedOrigins are the pages that may use the API from elsewhere, as
	// browsers write their origins: scheme://host[:port].
	AllowedOrigins []string
}

// Handler puts the policy before next. It must stand before whatever asks for
// a key, since browsers send none with a preflight.
func (p Policy) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Dev {
			if refusal := p.refusal(r); refusal != "" {
				graphqlhttp.Refuse(w, http.StatusForbidden, graphqlhttp.Forbidden, refusal)
				return
			}
		}
		if graphqlhttp.IsUpgrade(r) && !p.mayUpgrade(r) {
			graphqlhttp.Refuse(w, http.StatusForbidden, graphqlhttp.Forbidden, fmt.Sprintf(
				"Pages of another origin may open no socket, and this one is of %q. Name that origin in HOOKQL_ALLOWED_ORIGINS, as scheme://host[:port].",
				strings.Join(r.Header["Origin"], ", ")))
			return
		}
		if r.URL.Path == apiPath && p.admit(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refusal says why development mode does not take a request and what to do,
// "" where it takes it.
func (p Policy) refusal(r *http.Request) string {
	if name := proxyHeader(r.Header); name != "" {
		return fmt.Sprintf("Development mode takes requests from this machine only, and the header %s says that this one came through a proxy. "+
			"Send it directly, or set HOOKQL_DEV=false and use a key.", name)
	}
	if !p.isOwnHost(r.Host) {
		_, port, _ := net.SplitHostPort(p.Addr) // "" makes the hint poorer, no more
		return fmt.Sprintf("Development mode answers to localhost, 127.0.0.1 and [::1] with port %s only, and this request is for %q. "+
			"Use one of these addresses, or set HOOKQL_DEV=false and use a key.", port, r.Host)
	}
	if origin, sent := r.Header["Origin"]; sent && !p.isOwnPage(r) && !p.allows(r) {
		return fmt.Sprintf("Development mode takes requests from its own pages only, and this one comes from a page of %q. "+
			"Name that page's origin in HOOKQL_ALLOWED_ORIGINS, as scheme://host[:port].", strings.Join(origin, ", "))
	}
	if isFromOtherSite(r.Header) && !p.allows(r) && !isPageVisit(r) {
		return "Development mode takes requests from its own pages only, and another site's page made the browser send this one. " +
			"Type the address into the browser, or name that page's origin in HOOKQL_ALLOWED_ORIGINS."
	}
	return ""
}

// proxyHeader returns the name of a header that only proxies set, "" where
// there is none.
func proxyHeader(header http.Header) string {
	for name := range header {
		switch {
		case name == "Forwarded", name == "Via", name == "X-Real-Ip", strings.HasPrefix(name, "X-Forwarded-"):
			return name
		}
	}
	return ""
}

// isOwnHost says whether a Host header names this machine and the server's
// port. A name that merely resolves to this machine does not do.
func (p Policy) isOwnHost(hostport string) bool {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.Trim(hostport, "[]"), "80" // http's own port is left out
	}
	_, ownPort, err := net.SplitHostPort(p.Addr)
	if err != nil || port != ownPort {
		return false
	}
	ip, _ := netip.ParseAddr(host) // zero where it is a name: not loopback
	return strings.EqualFold(host, "localhost") || ip.IsLoopback()
}

// isOwnPage says whether the page that sent a request came from the very
// address that the request goes to.
func (p Policy) isOwnPage(r *http.Request) bool {
	return r.Header.Get("Origin") == "http://"+r.Host
}

// allows says whether the operator named the page's origin.
func (p Policy) allows(r *http.Request) bool {
	return slices.Contains(p.AllowedOrigins, r.Header.Get("Origin"))
}

// mayUpgrade says whether a request for a WebSocket comes from a program, from
// a page of the very host that it goes to, or from an allowed page: browsers
// let every page open sockets, and leave it to the server to look.
func (p Policy) mayUpgrade(r *http.Request) bool {
	origin, sent := r.Header["Origin"]
	if !sent {
		return true
	}
	own := len(origin) == 1 && (origin[0] == "https://"+r.Host || origin[0] == "http://"+r.Host)
	return own || len(origin) == 1 && p.allows(r)
}

// isFromOtherSite says whether a browser was made to send a request by a page
// of another origin. Programs, and browsers from before 2023, do not say.
func isFromOtherSite(header http.Header) bool {
	switch header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}

// isPageVisit says whether somebody followed a link to one of our pages: the
// page opens in a tab of its own, and who linked to it can neither read it nor
// make it act.
func isPageVisit(r *http.Request) bool {
	return r.Method == http.MethodGet &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document" &&
		!isBelow(r.URL.Path, apiPath) && !isBelow(r.URL.Path, receiverPath)
}

func isBelow(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// admit tells the browser of an allowed page that the page may read the
// answer. It returns true where the browser asked for no more than that (a
// preflight).
func (p Policy) admit(w http.ResponseWriter, r *http.Request) bool {
	header := w.Header()
	header.Add("Vary", "Origin") // caches must not give one page's answer to another
	if !p.allows(r) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "POST")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, HookQL-Workspace, Idempotency-Key")
	header.Set("Access-Control-Max-Age", "600") // seconds, before the browser asks again
	w.WriteHeader(http.StatusNoContent)
	return true
}
