// Package auth says who is asking: it turns the key of a request into the
// workspace that the request acts in.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/hookql/hookql/internal/graphqlhttp"
)

// Authenticator knows the keys. The zero Authenticator knows none and lets
// nobody in.
type Authenticator struct {
	// Hashes are those of the keys that open.
	Hashes [][sha256.Size]byte
	// Workspace is the id of the one that every request acts in.
	Workspace string
	// Dev lets requests without a key in; a wrong key is still refused.
	Dev bool
}

// Handler puts the check before next, whose requests carry their Workspace.
// Others get 401, before a byte of their body is read.
func (a Authenticator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, sent := r.Header["Authorization"]
		if sent || !a.Dev {
			if refusal := a.refusal(header); refusal != "" {
				refuse(w, refusal, sent)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(WithWorkspace(r.Context(), a.Workspace)))
	})
}

// refusal says what is wrong with the values of an Authorization header, ""
// where they hold a key that opens.
func (a Authenticator) refusal(header []string) string {
	if len(header) == 0 {
		return "This request has no key."
	}
	token, ok := parse(header)
	switch {
	case !ok:
		return "The Authorization header does not hold one key."
	case a.knows(token):
		return ""
	case token.Mistyped():
		return "This key was mistyped or not copied whole: its checksum is wrong."
	default:
		return "This key does not open here."
	}
}

// parse reads "Bearer KEY" or "Token KEY".
func parse(header []string) (Token, bool) {
	if len(header) != 1 {
		return "", false
	}
	scheme, key, _ := strings.Cut(header[0], " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "Token") {
		return "", false
	}
	return Token(key), key != ""
}

// knows compares with every key in full, so that the time it takes tells
// nothing about any of them.
func (a Authenticator) knows(t Token) bool {
	hash := t.Hash()
	found := 0
	for _, known := range a.Hashes {
		found |= subtle.ConstantTimeCompare(hash[:], known[:])
	}
	return found == 1
}

// refuse says what was wrong with the key and where to find one.
func refuse(w http.ResponseWriter, reason string, keySent bool) {
	challenge := `Bearer realm="HookQL"`
	if keySent {
		challenge += `, error="invalid_token"` // RFC 6750 §3.1
	}
	w.Header().Set("WWW-Authenticate", challenge)
	graphqlhttp.Refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", reason+" Send the header `Authorization: Bearer KEY` with the key "+
		"that HOOKQL_OPERATOR_KEY holds, or that HookQL printed at its first start.")
}

type workspaceKey struct{}

// WithWorkspace returns a context whose Workspace is the given one.
func WithWorkspace(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, workspaceKey{}, id)
}

// Workspace is the id of the workspace that a request acts in; false where
// nobody was let in.
func Workspace(ctx context.Context) (id string, ok bool) {
	id, ok = ctx.Value(workspaceKey{}).(string)
	return id, ok
}
