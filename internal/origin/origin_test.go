package origin

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	friend   = "https://app.example.com"
	stranger = "https://evil.example"
)

// request is what a test sends; the zero request is a program's POST to the API.
type request struct {
	method  string
	path    string
	host    string
	headers map[string]string
}

func (q request) send(p Policy) *httptest.ResponseRecorder {
	r := httptest.NewRequest(orElse(q.method, http.MethodPost), orElse(q.path, "/graphql"), nil)
	r.Host = orElse(q.host, "localhost:8080")
	for name, value := range q.headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	p.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot) // shows that the request came through
	})).ServeHTTP(w, r)
	return w
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func TestDevelopment(t *testing.T) {
	t.Parallel()
	policy := Policy{Dev: true, Addr: "127.0.0.1:8080", AllowedOrigins: []string{friend}}
	visit := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	for name, tt := range map[string]struct {
		request
		refused string // what the answer must say; "" where the request comes through
	}{
		"a program":                {},
		"our own client":           {request: request{path: "/receiver/acme", host: "127.0.0.1:8080"}},
		"a probe":                  {request: request{method: "GET", path: "/healthz"}},
		"our own page":             {request: request{headers: map[string]string{"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}}},
		"our own page in IPv6":     {request: request{host: "[::1]:8080", headers: map[string]string{"Origin": "http://[::1]:8080"}}},
		"a typed address":          {request: request{method: "GET", path: "/graphiql", headers: map[string]string{"Sec-Fetch-Site": "none"}}},
		"an allowed page":          {request: request{headers: map[string]string{"Origin": friend, "Sec-Fetch-Site": "cross-site"}}},
		"a stranger's page":        {request{headers: map[string]string{"Origin": stranger}}, "HOOKQL_ALLOWED_ORIGINS"},
		"a stranger's preflight":   {request{method: "OPTIONS", headers: map[string]string{"Origin": stranger, "Access-Control-Request-Method": "POST"}}, `\"` + stranger},
		"a stranger's socket":      {request{method: "GET", headers: map[string]string{"Origin": stranger, "Upgrade": "websocket"}}, "HOOKQL_ALLOWED_ORIGINS"},
		"a stranger elsewhere":     {request{path: "/receiver/acme", headers: map[string]string{"Origin": stranger}}, "HOOKQL_ALLOWED_ORIGINS"},
		"a page without origin":    {request{headers: map[string]string{"Origin": "null"}}, `\"null\"`},
		"an empty origin":          {request{headers: map[string]string{"Origin": ""}}, "HOOKQL_ALLOWED_ORIGINS"},
		"a page of another port":   {request{headers: map[string]string{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}}, "HOOKQL_ALLOWED_ORIGINS"},
		"a page of another host":   {request{headers: map[string]string{"Origin": "http://127.0.0.1:8080"}}, "HOOKQL_ALLOWED_ORIGINS"},
		"a page of another scheme": {request{headers: map[string]string{"Origin": "https://localhost:8080"}}, "HOOKQL_ALLOWED_ORIGINS"},
		"nearly an allowed page":   {request{headers: map[string]string{"Origin": friend + ".evil.example"}}, "HOOKQL_ALLOWED_ORIGINS"},

		"a linked page":            {request: request{method: "GET", path: "/graphiql", headers: visit}},
		"a linked front page":      {request: request{method: "GET", path: "/", headers: visit}},
		"a linked query":           {request{method: "GET", path: "/graphql?query={__typename}", headers: visit}, "Type the address"},
		"a linked escaped query":   {request{method: "GET", path: "/%67raphql", headers: visit}, "Type the address"},
		"a linked receiver":        {request{method: "GET", path: "/receiver/acme/requests", headers: visit}, "Type the address"},
		"a sent form":              {request{path: "/graphiql", headers: visit}, "Type the address"},
		"an image":                 {request{method: "GET", path: "/receiver/acme", headers: map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}}, "Type the address"},
		"a frame":                  {request{method: "GET", path: "/graphiql", headers: map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}}, "Type the address"},
		"a neighbour's script tag": {request{method: "GET", path: "/graphiql/index.js", headers: map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}}, "Type the address"},

		"any loopback address":   {request: request{host: "127.8.9.1:8080"}},
		"a name in capitals":     {request: request{host: "LOCALHOST:8080"}},
		"a rebound name":         {request{host: "evil.example:8080"}, `port 8080 only, and this request is for \"evil.example:8080\"`},
		"a rebound page":         {request{host: "evil.example:8080", headers: map[string]string{"Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin"}}, "port 8080 only"},
		"a page visit, rebound":  {request{method: "GET", path: "/graphiql", host: "evil.example:8080", headers: visit}, "port 8080 only"},
		"a name below localhost": {request{host: "localhost.evil.example:8080"}, "port 8080 only"},
		"a public address":       {request{host: "192.0.2.1:8080"}, "port 8080 only"},
		"all addresses":          {request{host: "0.0.0.0:8080"}, "port 8080 only"},
		"another port":           {request{host: "localhost:3000"}, "port 8080 only"},
		"no port":                {request{host: "localhost"}, "port 8080 only"},

		"Forwarded":        {request{headers: map[string]string{"Forwarded": "for=192.0.2.1"}}, "the header Forwarded says"},
		"X-Forwarded-For":  {request{headers: map[string]string{"X-Forwarded-For": "127.0.0.1"}}, "the header X-Forwarded-For says"},
		"X-Forwarded-Any":  {request{headers: map[string]string{"X-Forwarded-Any": ""}}, "the header X-Forwarded-Any says"},
		"X-Real-IP":        {request{headers: map[string]string{"X-Real-IP": "192.0.2.1"}}, "the header X-Real-Ip says"},
		"Via":              {request{headers: map[string]string{"Via": "1.1 proxy"}}, "the header Via says"},
		"an allowed proxy": {request{headers: map[string]string{"Via": "1.1 proxy", "Origin": friend}}, "the header Via says"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := tt.send(policy)
			if tt.refused == "" {
				if w.Code != http.StatusTeapot {
					t.Errorf("got %d %s, want the request to come through", w.Code, w.Body)
				}
				return
			}
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), tt.refused) {
				t.Errorf("got %d %s, want 403 with %q in it", w.Code, w.Body, tt.refused)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); tt.headers["Origin"] != friend && got != "" {
				t.Errorf("a stranger may read the answer: Access-Control-Allow-Origin is %q", got)
			}
		})
	}
}

func TestDevelopmentOnPort80(t *testing.T) {
	t.Parallel()
	policy := Policy{Dev: true, Addr: "[::1]:80"}
	for host, want := range map[string]int{
		"localhost":    http.StatusTeapot,
		"localhost:80": http.StatusTeapot,
		"[::1]":        http.StatusTeapot,
		"evil.example": http.StatusForbidden,
	} {
		if got := (request{host: host}).send(policy).Code; got != want {
			t.Errorf("Host %s: got %d, want %d", host, got, want)
		}
	}
}

// Without its address a server cannot tell its own pages, so it takes none.
func TestDevelopmentWithoutAddr(t *testing.T) {
	t.Parallel()
	if got := (request{}).send(Policy{Dev: true}).Code; got != http.StatusForbidden {
		t.Errorf("got %d, want 403", got)
	}
}

func TestRefusalIsGraphQL(t *testing.T) {
	t.Parallel()
	w := request{headers: map[string]string{"Origin": `https://"<evil>`}}.send(Policy{Dev: true, Addr: "127.0.0.1:8080"})
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if len(answer.Errors) != 1 || answer.Errors[0].Message == "" || answer.Errors[0].Extensions.Code != "FORBIDDEN" {
		t.Errorf("got %s, want one error with code FORBIDDEN", w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("got Content-Type %q, want JSON", got)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	preflight := func(origin string) request {
		return request{method: "OPTIONS", headers: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type",
		}}
	}
	at := func(path string, q request) request {
		q.path = path
		return q
	}
	for name, tt := range map[string]struct {
		request
		status int
		reader string // Access-Control-Allow-Origin
	}{
		"preflight":               {preflight(friend), http.StatusNoContent, friend},
		"request":                 {request{headers: map[string]string{"Origin": friend}}, http.StatusTeapot, friend},
		"plain OPTIONS":           {request{method: "OPTIONS", headers: map[string]string{"Origin": friend}}, http.StatusTeapot, friend},
		"a stranger's preflight":  {preflight(stranger), http.StatusTeapot, ""},
		"a stranger's request":    {request{headers: map[string]string{"Origin": stranger}}, http.StatusTeapot, ""},
		"a page without origin":   {request{headers: map[string]string{"Origin": "null"}}, http.StatusTeapot, ""},
		"a program":               {request{}, http.StatusTeapot, ""},
		"preflight of a page":     {at("/graphiql", preflight(friend)), http.StatusTeapot, ""},
		"preflight of a receiver": {at("/receiver/acme", preflight(friend)), http.StatusTeapot, ""},
		"a request from any host": {request{host: "hookql.example.com"}, http.StatusTeapot, ""},
		"a request through proxies": {request{host: "hookql.example.com", headers: map[string]string{
			"X-Forwarded-For": "192.0.2.1", "Origin": friend, "Sec-Fetch-Site": "cross-site",
		}}, http.StatusTeapot, friend},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := tt.send(Policy{AllowedOrigins: []string{friend}})
			header := w.Header()
			if got := header.Get("Access-Control-Allow-Origin"); w.Code != tt.status || got != tt.reader {
				t.Errorf("got %d, Access-Control-Allow-Origin %q, want %d, %q", w.Code, got, tt.status, tt.reader)
			}
			if got, want := header.Get("Vary") == "Origin", tt.path == ""; got != want {
				t.Errorf("got Vary: Origin %t, want %t", got, want)
			}
			methods, headers := "", ""
			if tt.status == http.StatusNoContent {
				methods, headers = "POST", "Authorization, Content-Type, HookQL-Workspace, Idempotency-Key"
			}
			if got := header.Get("Access-Control-Allow-Methods"); got != methods {
				t.Errorf("got Access-Control-Allow-Methods %q, want %q", got, methods)
			}
			if got := header.Get("Access-Control-Allow-Headers"); got != headers {
				t.Errorf("got Access-Control-Allow-Headers %q, want %q", got, headers)
			}
			if got := header.Get("Access-Control-Allow-Credentials"); got != "" {
				t.Errorf("got Access-Control-Allow-Credentials %q, want none", got)
			}
		})
	}
}

// A real client and server, since the two set the Host header.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	addr := server.Listener.Addr().String()
	server.Config.Handler = Policy{Dev: true, Addr: addr}.Handler(http.NotFoundHandler())
	server.Start()
	defer server.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		addr:                   http.StatusNotFound,
		"localhost:" + port:    http.StatusNotFound,
		"evil.example:" + port: http.StatusForbidden,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/receiver/acme", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // nothing was read
		if response.StatusCode != want {
			t.Errorf("Host %s: got %d, want %d", host, response.StatusCode, want)
		}
	}
}

// TestSockets lets pages of the own host and of allowed origins open sockets,
// and programs, which say no origin; in development mode its own pages.
func TestSockets(t *testing.T) {
	t.Parallel()
	production := Policy{AllowedOrigins: []string{friend}}
	development := Policy{Dev: true, Addr: "127.0.0.1:8080", AllowedOrigins: []string{friend}}
	for _, test := range []struct {
		Policy
		host, origin string
		want         int
	}{
		{production, "hooks.example.com", "", http.StatusTeapot},
		{production, "hooks.example.com", "https://hooks.example.com", http.StatusTeapot},
		{production, "hooks.example.com", friend, http.StatusTeapot},
		{production, "hooks.example.com", stranger, http.StatusForbidden},
		{production, "hooks.example.com", "null", http.StatusForbidden},
		{production, "hooks.example.com", "https://hooks.example.com.evil.example", http.StatusForbidden},
		{production, "hooks.example.com", "https://hooks.example.com:8443", http.StatusForbidden},
		{development, "localhost:8080", "http://localhost:8080", http.StatusTeapot},
		{development, "localhost:8080", friend, http.StatusTeapot},
		{development, "localhost:8080", "https://localhost:8080", http.StatusForbidden},
		{development, "localhost:8080", stranger, http.StatusForbidden},
		{development, "evil.example:8080", "http://evil.example:8080", http.StatusForbidden},
	} {
		headers := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Cookie": "session=1"}
		if test.origin != "" {
			headers["Origin"] = test.origin
		}
		if w := (request{method: http.MethodGet, host: test.host, headers: headers}).send(test.Policy); w.Code != test.want {
			t.Errorf("%q to %s: %d %s, want %d", test.origin, test.host, w.Code, w.Body, test.want)
		}
	}
}
