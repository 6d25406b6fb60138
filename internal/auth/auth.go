// Package auth says who is asking: it turns the key of a request into its
// Caller.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

// WorkspaceHeader names the workspace that a request works in, by its id or
// uid. It is for operators: other keys have one workspace.
const WorkspaceHeader = "HookQL-Workspace"

// Store finds what keys stand for. The first two methods fail with webhook.NotFound
// where there is nothing.
type Store interface {
	APIKeyByHash(ctx context.Context, hash [sha256.Size]byte) (*webhook.APIKey, error)
	Workspace(ctx context.Context, idOrUID string) (*webhook.Workspace, error)
	TouchAPIKeys(ctx context.Context, used map[string]time.Time) error
	// StillOpen returns those of the ids whose keys open, and whose workspaces
	// are there.
	StillOpen(ctx context.Context, keyIDs, workspaceIDs []string) ([]string, error)
}

// Options say who is let in besides those whose keys are in the Store.
type Options struct {
	// OperatorKey opens everything; empty: no such key.
	OperatorKey string
	// Workspace is the id of the one that an operator works in who names none.
	Workspace string
	// Dev lets requests without a key in, as an operator's; a wrong key is
	// still refused.
	Dev bool
	// TrustedProxies are believed when they say for whom they ask.
	TrustedProxies []netip.Prefix
	// Log gets faults; nil: none.
	Log *slog.Logger
}

// Authenticator lets callers in. It is safe for concurrent use.
type Authenticator struct {
	Options
	store      Store
	operator   [sha256.Size]byte
	keys       *remembered[[sha256.Size]byte, *webhook.APIKey]
	workspaces *remembered[string, string] // ids by id or uid
	backoff    *backoff
	used       *usage
	sessions   *sessions
}

// New returns an Authenticator of the keys in a store.
func New(store Store, o Options) *Authenticator {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Authenticator{
		Options:    o,
		store:      store,
		operator:   Token(o.OperatorKey).Hash(),
		keys:       newRemembered(store.APIKeyByHash),
		workspaces: newRemembered(workspaceID(store)),
		backoff:    newBackoff(),
		used:       newUsage(),
		sessions:   newSessions(),
	}
}

func workspaceID(store Store) func(context.Context, string) (string, error) {
	return func(ctx context.Context, idOrUID string) (string, error) {
		w, err := store.Workspace(ctx, idOrUID)
		if err != nil {
			return "", err
		}
		return w.ID, nil
	}
}

// Handler puts the check before next, whose requests carry their Caller.
// Others are refused before a byte of their body is read, but for requests for
// a WebSocket without a key, whose clients send it later (Admit): these have the
// zero Caller.
func (a *Authenticator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := a.caller(r)
		var wrong *Refusal
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), caller)))
		case r.Header["Authorization"] == nil && graphqlhttp.IsUpgrade(r):
			next.ServeHTTP(w, r)
		case errors.As(err, &wrong):
			wrong.write(w)
		default:
			a.Log.ErrorContext(r.Context(), "a key could not be looked up", "error", err)
			graphqlhttp.Refuse(w, http.StatusServiceUnavailable, graphqlhttp.Internal,
				"The key could not be looked up just now. Try again in a moment.")
		}
	})
}

// Admit is the check of Handler for a request that got its headers later. The
// error is a *Refusal, or a fault.
func (a *Authenticator) Admit(r *http.Request) (context.Context, error) {
	caller, err := a.caller(r)
	if err != nil {
		return nil, err
	}
	return WithCaller(r.Context(), caller), nil
}

// caller says who sent a request. The error is a *Refusal, or a fault.
func (a *Authenticator) caller(r *http.Request) (Caller, error) {
	header, sent := r.Header["Authorization"]
	if !sent && a.Dev {
		return a.inWorkspace(r, Caller{Operator: true})
	}
	if !sent {
		return Caller{}, unauthenticated("This request has no key.", false)
	}
	token, ok := parse(header)
	if !ok {
		return Caller{}, unauthenticated("The Authorization header does not hold one key.", true)
	}
	if hash := token.Hash(); a.OperatorKey != "" && subtle.ConstantTimeCompare(hash[:], a.operator[:]) == 1 {
		return a.inWorkspace(r, Caller{Operator: true})
	}
	key, err := a.key(r, token)
	if err != nil {
		return Caller{}, err
	}
	a.used.note(key.ID, time.Now())
	return a.inWorkspace(r, Caller{Key: key, Operator: key.WorkspaceID == nil})
}

// key finds the key of a token. An address that sent many wrong ones in a row
// has to wait before another is looked at, unless it is known to be good.
func (a *Authenticator) key(r *http.Request, token Token) (*webhook.APIKey, error) {
	address := a.address(r)
	hash := token.Hash()
	if wait := a.backoff.wait(address, time.Now()); wait > 0 && !a.keys.has(hash) {
		return nil, tooMany(wait)
	}
	if token.Mistyped() {
		a.backoff.failed(address, time.Now())
		return nil, unauthenticated("This key was mistyped or not copied whole: its checksum is wrong.", true)
	}
	key, err := a.keys.find(r.Context(), hash)
	switch {
	case errors.Is(err, webhook.NotFound), err == nil && !key.Usable(time.Now()):
		a.backoff.failed(address, time.Now())
		return nil, unauthenticated("This key does not open here, or no longer.", true)
	case err != nil:
		return nil, err
	}
	a.backoff.succeeded(address)
	return key, nil
}

// inWorkspace finds the workspace that a caller's request works in.
func (a *Authenticator) inWorkspace(r *http.Request, c Caller) (Caller, error) {
	named := r.Header.Get(WorkspaceHeader)
	switch {
	case named == "" && c.Operator:
		c.WorkspaceID = a.Workspace
		return c, nil
	case named == "":
		c.WorkspaceID = *c.Key.WorkspaceID
		return c, nil
	}
	id, err := a.workspaces.find(r.Context(), named)
	if err != nil && !errors.Is(err, webhook.NotFound) {
		return c, err
	}
	if err != nil || !c.Operator && id != *c.Key.WorkspaceID {
		return c, &Refusal{
			status: http.StatusForbidden, Code: graphqlhttp.Forbidden, Reason: "This key opens no workspace of this id or uid.",
			message: fmt.Sprintf("This key opens no workspace with the id or uid %.128q. Correct the header %s, or leave it out.", named, WorkspaceHeader),
		}
	}
	c.WorkspaceID = id
	return c, nil
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

// Refusal is why a request is not let in.
type Refusal struct {
	Code graphqlhttp.Code
	// Reason is one short sentence of the message.
	Reason string

	status    int
	message   string
	challenge string        // WWW-Authenticate, where a key would help
	wait      time.Duration // Retry-After
}

func (r *Refusal) Error() string { return r.message }

func unauthenticated(reason string, keySent bool) *Refusal {
	challenge := `Bearer realm="HookQL"`
	if keySent {
		challenge += `, error="invalid_token"` // RFC 6750 §3.1
	}
	return &Refusal{
		status: http.StatusUnauthorized, Code: graphqlhttp.Unauthenticated, Reason: reason, challenge: challenge,
		message: reason + " Send the header `Authorization: Bearer KEY` with a key of your workspace; " +
			"the operator's is the one that HOOKQL_OPERATOR_KEY holds, or that HookQL printed when it started without.",
	}
}

func tooMany(wait time.Duration) *Refusal {
	return &Refusal{
		status: http.StatusTooManyRequests, Code: graphqlhttp.RateLimited, Reason: "Too many wrong keys came from this address.", wait: wait,
		message: "Too many wrong keys came from this address. Wait as long as Retry-After says, then send the right one.",
	}
}

func (r *Refusal) write(w http.ResponseWriter) {
	if r.challenge != "" {
		w.Header().Set("WWW-Authenticate", r.challenge)
	}
	if r.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.wait.Seconds()))))
	}
	graphqlhttp.Refuse(w, r.status, r.Code, r.message)
}
