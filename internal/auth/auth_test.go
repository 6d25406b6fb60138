package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

const configured = "a key that the operator made up"

// installation is a database with two workspaces, of which the first, own, is
// where operators work who name none.
type installation struct {
	*db.DB
	own, other string // ids
}

func install(t testing.TB) *installation {
	t.Helper()
	in := &installation{DB: pgtest.New(t)}
	for uid, id := range map[string]*string{"own": &in.own, "other": &in.other} {
		var err error
		if *id, err = in.EnsureWorkspace(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// issue makes a key of a workspace.
func (in *installation) issue(t *testing.T, workspaceID string, change func(*webhook.APIKey)) (Token, *webhook.APIKey) {
	t.Helper()
	token := NewToken()
	key := &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), Name: "k", Scopes: []webhook.Scope{webhook.ScopeWebhooksRead}, CreatedAt: webhook.Now()}
	if change != nil {
		change(key)
	}
	if err := in.InsertAPIKey(t.Context(), workspaceID, key, token.Hash()); err != nil {
		t.Fatal(err)
	}
	return token, key
}

func (in *installation) authenticator(o Options) *Authenticator {
	o.Workspace, o.OperatorKey = in.own, configured
	return New(in, o)
}

// call sends a request with headers, each "Name: value", and returns the answer
// and the caller, if one was let in.
func call(a *Authenticator, headers ...string) (w *httptest.ResponseRecorder, caller Caller) {
	r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "From" {
			r.RemoteAddr = value
			continue
		}
		r.Header.Add(name, value)
	}
	w = httptest.NewRecorder()
	a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { caller = CallerOf(r.Context()) })).ServeHTTP(w, r)
	return w, caller
}

func TestHandler(t *testing.T) {
	t.Parallel()
	in := install(t)
	good, _ := in.issue(t, in.own, nil)
	soon := webhook.Now().Add(-time.Second)
	expired, _ := in.issue(t, in.own, func(k *webhook.APIKey) { k.ExpiresAt = &soon })
	revoked, key := in.issue(t, in.own, nil)
	if _, err := in.RevokeAPIKey(t.Context(), in.own, key.ID, webhook.Now()); err != nil {
		t.Fatal(err)
	}
	operator := NewToken()
	if _, err := in.InsertOperatorKey(t.Context(), &webhook.APIKey{ID: webhook.NewID(webhook.APIKeyPrefix), Name: "operator"}, operator.Hash()); err != nil {
		t.Fatal(err)
	}
	bearer := func(token Token) string { return "Authorization: Bearer " + string(token) }
	const (
		missing, malformed = "no key", "does not hold one key"
		shut, mistyped     = "does not open here, or no longer", "mistyped"
		elsewhere          = "opens no workspace"
	)
	for name, tt := range map[string]struct {
		dev      bool
		headers  []string
		refused  string // what the answer must say; "" where the request is let in
		operator bool
		in       string // the workspace
	}{
		"key":                           {headers: []string{bearer(good)}, in: in.own},
		"the other scheme":              {headers: []string{"Authorization: Token " + string(good)}, in: in.own},
		"scheme in other case":          {headers: []string{"Authorization: bEARER " + string(good)}, in: in.own},
		"more spaces":                   {headers: []string{"Authorization: Bearer   " + string(good)}, in: in.own},
		"key and its workspace":         {headers: []string{bearer(good), "HookQL-Workspace: own"}, in: in.own},
		"key and its workspace by id":   {headers: []string{bearer(good), "HookQL-Workspace: " + in.own}, in: in.own},
		"operator":                      {headers: []string{bearer(operator)}, operator: true, in: in.own},
		"operator elsewhere":            {headers: []string{bearer(operator), "HookQL-Workspace: other"}, operator: true, in: in.other},
		"configured operator":           {headers: []string{bearer(configured)}, operator: true, in: in.own},
		"configured operator elsewhere": {headers: []string{bearer(configured), "HookQL-Workspace: " + in.other}, operator: true, in: in.other},
		"development":                   {dev: true, operator: true, in: in.own},
		"development elsewhere":         {dev: true, headers: []string{"HookQL-Workspace: other"}, operator: true, in: in.other},
		"development with a key":        {dev: true, headers: []string{bearer(good)}, in: in.own},

		"no header":                  {refused: missing},
		"empty header":               {headers: []string{"Authorization: "}, refused: malformed},
		"no key":                     {headers: []string{"Authorization: Bearer "}, refused: malformed},
		"no scheme":                  {headers: []string{"Authorization: " + string(good)}, refused: malformed},
		"another scheme":             {headers: []string{"Authorization: Basic " + string(good)}, refused: malformed},
		"two headers":                {headers: []string{bearer(good), bearer(good)}, refused: malformed},
		"unknown key":                {headers: []string{bearer(NewToken())}, refused: shut},
		"expired key":                {headers: []string{bearer(expired)}, refused: shut},
		"revoked key":                {headers: []string{bearer(revoked)}, refused: shut},
		"cut key":                    {headers: []string{bearer(good[:20])}, refused: mistyped},
		"key and more":               {headers: []string{bearer(good + " x")}, refused: mistyped},
		"key in capitals":            {headers: []string{bearer(Token(strings.ToUpper(configured)))}, refused: shut},
		"development, wrong key":     {dev: true, headers: []string{bearer(NewToken())}, refused: shut},
		"development, no scheme":     {dev: true, headers: []string{"Authorization: x"}, refused: malformed},
		"key elsewhere":              {headers: []string{bearer(good), "HookQL-Workspace: other"}, refused: elsewhere},
		"key nowhere":                {headers: []string{bearer(good), "HookQL-Workspace: absent"}, refused: elsewhere},
		"operator nowhere":           {headers: []string{bearer(operator), "HookQL-Workspace: absent"}, refused: elsewhere},
		"development, odd workspace": {dev: true, headers: []string{"HookQL-Workspace: \x00"}, refused: elsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, caller := call(in.authenticator(Options{Dev: tt.dev}), tt.headers...)
			if tt.refused != "" {
				checkRefusal(t, w, tt.refused, tt.headers != nil)
				if caller.WorkspaceID != "" {
					t.Errorf("%+v was let in", caller)
				}
				return
			}
			if w.Code != http.StatusOK || caller.Operator != tt.operator || caller.WorkspaceID != tt.in {
				t.Errorf("got %d %s, operator %t in %q, want %t in %q", w.Code, w.Body, caller.Operator, caller.WorkspaceID, tt.operator, tt.in)
			}
			if all := len(caller.Scopes()) == len(webhook.Scopes()); all != tt.operator {
				t.Errorf("got the scopes %v", caller.Scopes())
			}
		})
	}
}

// What is absent and what is another's look the same.
func TestForeignWorkspaceIsLikeNone(t *testing.T) {
	t.Parallel()
	in := install(t)
	token, _ := in.issue(t, in.own, nil)
	answer := func(name string) string {
		w, _ := call(in.authenticator(Options{}), "Authorization: Bearer "+string(token), "HookQL-Workspace: "+name)
		return fmt.Sprint(w.Code, w.Header(), strings.ReplaceAll(w.Body.String(), name, "NAME"))
	}
	if foreign, absent := answer("other"), answer("never"); foreign != absent {
		t.Errorf("another's workspace is answered\n%s\nnone\n%s", foreign, absent)
	}
}

// A key that another process revokes, or that is deleted with its workspace,
// opens no longer than what was found is remembered.
func TestRevocationIsNoticed(t *testing.T) {
	t.Parallel()
	in := install(t)
	a := in.authenticator(Options{})
	token, key := in.issue(t, in.own, nil)
	if w, _ := call(a, "Authorization: Bearer "+string(token)); w.Code != http.StatusOK {
		t.Fatal(w.Body)
	}
	revoked := time.Now()
	if _, err := in.RevokeAPIKey(t.Context(), in.own, key.ID, webhook.Now()); err != nil {
		t.Fatal(err)
	}
	for {
		w, _ := call(a, "Authorization: Bearer "+string(token))
		if w.Code == http.StatusUnauthorized {
			break
		}
		if time.Since(revoked) > 6*time.Second { // 2 s is promised; a machine that tests share takes longer
			t.Fatalf("the key still opens after %s", time.Since(revoked))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	in := install(t)
	proxy := netip.MustParsePrefix("10.0.0.0/8")
	a := in.authenticator(Options{TrustedProxies: []netip.Prefix{proxy}})
	good, _ := in.issue(t, in.own, nil)
	fresh, _ := in.issue(t, in.own, nil)
	status := func(token Token, headers ...string) int {
		w, _ := call(a, append(headers, "Authorization: Bearer "+string(token))...)
		if (w.Code == http.StatusTooManyRequests) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%d has the header Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	const attacker = "From: 192.0.2.1:1"
	check("a good key", status(good, attacker), http.StatusOK)
	for range freeFailures {
		check("a wrong key", status(NewToken(), attacker), http.StatusUnauthorized)
	}
	check("one wrong key too many", status(NewToken(), attacker), http.StatusTooManyRequests)
	check("from another port", status(NewToken(), "From: 192.0.2.1:2"), http.StatusTooManyRequests)
	check("a key that was never seen", status(fresh, attacker), http.StatusTooManyRequests)
	check("a wrong key from elsewhere", status(NewToken(), "From: 192.0.2.2:1"), http.StatusUnauthorized)
	check("through a proxy", status(NewToken(), "From: 10.0.0.1:1", "X-Forwarded-For: 203.0.113.9, 192.0.2.1"), http.StatusTooManyRequests)
	check("through a proxy, from elsewhere", status(NewToken(), "From: 10.0.0.1:1", "X-Forwarded-For: 192.0.2.1, 203.0.113.9"), http.StatusUnauthorized)
	check("through a proxy that is not trusted", status(NewToken(), "From: 172.16.0.1:1", "X-Forwarded-For: 192.0.2.1"), http.StatusUnauthorized)
	check("a good key meanwhile", status(good, attacker), http.StatusOK)
	check("a wrong key after it", status(NewToken(), attacker), http.StatusUnauthorized)
}

func TestWaitGrows(t *testing.T) {
	t.Parallel()
	b, addr, now := newBackoff(), netip.MustParseAddr("192.0.2.1"), time.Now()
	for i := range freeFailures + 10 {
		b.failed(addr, now)
		want := time.Duration(0)
		if over := i + 1 - freeFailures; over >= 0 {
			want = min(time.Second<<over, maxWait)
		}
		if got := b.wait(addr, now); got != want {
			t.Errorf("after %d failures: wait %s, want %s", i+1, got, want)
		}
	}
	if got := b.wait(addr, now.Add(maxWait)); got != 0 {
		t.Errorf("after the wait: %s more", got)
	}
}

// A customer of an IPv6 provider has a whole /64 of addresses.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1":              "192.0.2.1",
		"[::ffff:192.0.2.1]:1":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::",
		"nonsense":                 "invalid IP",
	} {
		if got := clientAddress(&http.Request{RemoteAddr: remote}, nil).String(); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}

func TestUsageIsKept(t *testing.T) {
	t.Parallel()
	in := install(t)
	a := in.authenticator(Options{})
	token, key := in.issue(t, in.own, nil)
	for range 3 {
		call(a, "Authorization: Bearer "+string(token))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := a.Run(ctx); err != nil { // keeps what there is, and ends
		t.Fatal(err)
	}
	got, err := in.APIKey(t.Context(), in.own, key.ID)
	if err != nil || got.LastUsedAt == nil || got.LastUsedAt.Second() != 0 || time.Since(*got.LastUsedAt) > 2*time.Minute {
		t.Errorf("last used %v, %v, want about now, to the minute", got.LastUsedAt, err)
	}
}

// BenchmarkWrongKey is what a stranger can make the server do: nothing is
// looked up for an address that has to wait.
func BenchmarkWrongKey(b *testing.B) {
	a := New(nobody{}, Options{OperatorKey: configured})
	for b.Loop() {
		call(a, "Authorization: Bearer "+configured+"!")
	}
}

// nobody is a store without keys.
type nobody struct{ Store }

func (nobody) APIKeyByHash(context.Context, [sha256.Size]byte) (*webhook.APIKey, error) {
	return nil, webhook.NotFound
}

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("read")
}

func (untouched) Close() error { return nil }

func checkRefusal(t *testing.T, w *httptest.ResponseRecorder, message string, keySent bool) {
	t.Helper()
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Errors) != 1 {
		t.Fatalf("got %s (%v), want JSON with one error", w.Body, err)
	}
	got := answer.Errors[0]
	if w.Code == http.StatusForbidden {
		if got.Extensions.Code != "FORBIDDEN" || !strings.Contains(got.Message, message) {
			t.Errorf("got %s, want FORBIDDEN with %q", w.Body, message)
		}
		return
	}
	if w.Code != http.StatusUnauthorized || got.Extensions.Code != "UNAUTHENTICATED" || !strings.Contains(got.Message, message) || !strings.Contains(got.Message, "HOOKQL_OPERATOR_KEY") {
		t.Errorf("got %d %s, want UNAUTHENTICATED with %q and where a key comes from", w.Code, w.Body, message)
	}
	challenge := w.Header().Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "invalid_token") != keySent {
		t.Errorf("got WWW-Authenticate %q, want Bearer, with invalid_token only where a key was sent", challenge)
	}
}

// A client that waits for "100 Continue" never sends the body of a request
// that is refused.
func TestRefusedBeforeTheBodyIsSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(New(nobody{}, Options{}).Handler(http.NotFoundHandler()))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, untouched{t})
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1 << 20
	r.Header.Set("Expect", "100-continue")
	transport := server.Client().Transport.(*http.Transport)
	transport.ExpectContinueTimeout = time.Hour // the answer comes first
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", response.StatusCode)
	}
}

func TestNobody(t *testing.T) {
	t.Parallel()
	if id, ok := Workspace(t.Context()); ok || len(CallerOf(t.Context()).Scopes()) > 0 {
		t.Errorf("got workspace %q and %v from an empty context, want none", id, CallerOf(t.Context()).Scopes())
	}
}
