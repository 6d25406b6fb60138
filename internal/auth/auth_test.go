package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	first, second, unknown := NewToken(), Token("a key that the operator made up"), NewToken()
	hashes := [][32]byte{first.Hash(), second.Hash()}
	const missing, malformed = "no key", "does not hold one key"
	for name, tt := range map[string]struct {
		dev     bool
		header  []string
		refused string // what the answer must say; "" where the request is let in
	}{
		"first key":              {header: []string{"Bearer " + string(first)}},
		"second key":             {header: []string{"Bearer " + string(second)}},
		"the other scheme":       {header: []string{"Token " + string(first)}},
		"scheme in other case":   {header: []string{"bEARER " + string(first)}},
		"more spaces":            {header: []string{"Bearer   " + string(first)}},
		"no header":              {refused: missing},
		"empty header":           {header: []string{""}, refused: malformed},
		"no key":                 {header: []string{"Bearer "}, refused: malformed},
		"no scheme":              {header: []string{string(first)}, refused: malformed},
		"another scheme":         {header: []string{"Basic " + string(first)}, refused: malformed},
		"two headers":            {header: []string{"Bearer " + string(first), "Bearer " + string(unknown)}, refused: malformed},
		"unknown key":            {header: []string{"Bearer " + string(unknown)}, refused: "does not open here"},
		"cut key":                {header: []string{"Bearer " + string(first[:20])}, refused: "mistyped"},
		"key and more":           {header: []string{"Bearer " + string(first) + " x"}, refused: "mistyped"},
		"key in capitals":        {header: []string{"Bearer " + strings.ToUpper(string(second))}, refused: "does not open here"},
		"development, no header": {dev: true},
		"development, key":       {dev: true, header: []string{"Bearer " + string(first)}},
		"development, wrong key": {dev: true, header: []string{"Bearer " + string(unknown)}, refused: "does not open here"},
		"development, no scheme": {dev: true, header: []string{string(first)}, refused: malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			workspace := ""
			handler := Authenticator{Hashes: hashes, Workspace: "ws_1", Dev: tt.dev}.Handler(
				http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					workspace, _ = Workspace(r.Context())
				}))
			r := httptest.NewRequest(http.MethodPost, "/graphql", untouched{t})
			if tt.header != nil {
				r.Header["Authorization"] = tt.header
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if tt.refused == "" {
				if w.Code != http.StatusOK || workspace != "ws_1" {
					t.Errorf("got %d in workspace %q, want 200 in ws_1", w.Code, workspace)
				}
				return
			}
			if w.Code != http.StatusUnauthorized || workspace != "" {
				t.Errorf("got %d in workspace %q, want 401 in none", w.Code, workspace)
			}
			checkRefusal(t, w, tt.refused, tt.header != nil)
		})
	}
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
	if got.Extensions.Code != "UNAUTHENTICATED" || !strings.Contains(got.Message, message) || !strings.Contains(got.Message, "HOOKQL_OPERATOR_KEY") {
		t.Errorf("got %s, want UNAUTHENTICATED with %q and where a key comes from", w.Body, message)
	}
	challenge := w.Header().Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "invalid_token") != keySent {
		t.Errorf("got WWW-Authenticate %q, want Bearer, with invalid_token only where a key was sent", challenge)
	}
}

func TestZeroAuthenticator(t *testing.T) {
	t.Parallel()
	handler := Authenticator{}.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("somebody was let in")
	}))
	for _, header := range []string{"", "Bearer ", "Bearer x", "Bearer " + string(NewToken())} {
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("Authorization %q: got %d, want 401", header, w.Code)
		}
	}
}

// A client that waits for "100 Continue" never sends the body of a request
// that is refused.
func TestRefusedBeforeTheBodyIsSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Authenticator{}.Handler(http.NotFoundHandler()))
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

func TestWorkspace(t *testing.T) {
	t.Parallel()
	if id, ok := Workspace(t.Context()); ok {
		t.Errorf("got workspace %q from an empty context, want none", id)
	}
	if id, ok := Workspace(WithWorkspace(t.Context(), "ws_1")); id != "ws_1" || !ok {
		t.Errorf("got workspace %q, %t, want ws_1", id, ok)
	}
}
