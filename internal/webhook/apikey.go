package webhook

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// APIKey is a credential. Of its token only a hash is kept.
type APIKey struct {
	ID string
	// WorkspaceID is where the key works; nil for an operator's key, which
	// may do everything in every workspace.
	WorkspaceID *string
	Name        string `validate:"required,max=256,text"`
	// Prefix is the token's first characters, to tell keys apart.
	Prefix     string
	Scopes     []Scope
	CreatedAt  time.Time
	LastUsedAt *time.Time
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
}

// minKeyLife is the shortest time that a key can be issued for.
const minKeyLife = time.Minute

// Validate finds every mistake in a key that is to be issued at a time by
// somebody who may do what the issuer's scopes say.
func (k *APIKey) Validate(issuer []Scope, now time.Time) Errors {
	errs := tagErrors(k)
	if len(k.Scopes) == 0 {
		errs = append(errs, NewError(Required, "A key needs at least one scope. Name what it may do, such as `WEBHOOKS_READ`.", "scopes"))
	}
	for i, s := range k.Scopes {
		at := strconv.Itoa(i)
		switch {
		case s.OfOperators():
			errs = append(errs, NewError(Invalid, fmt.Sprintf("`%s` is for operators, whose key is set by HOOKQL_OPERATOR_KEY; a workspace's key cannot have it.", s), "scopes", at))
		case !slices.Contains(issuer, s):
			errs = append(errs, NewError(Invalid, fmt.Sprintf("The key of this request lacks `%s`, so it cannot give it on.", s), "scopes", at))
		}
	}
	if k.ExpiresAt != nil && k.ExpiresAt.Before(now.Add(minKeyLife)) {
		errs = append(errs, NewError(Invalid, "A key works for at least one minute. Give a later time, or leave `expiresAt` out.", "expiresAt"))
	}
	return errs
}

// Usable says whether the key opens at a time.
func (k *APIKey) Usable(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// Scope is something that a key may do.
type Scope string

// The scopes.
const (
	ScopeWebhooksRead    Scope = "WEBHOOKS_READ"
	ScopeWebhooksWrite   Scope = "WEBHOOKS_WRITE"
	ScopeWebhooksTest    Scope = "WEBHOOKS_TEST"
	ScopeSecretsRead     Scope = "SECRETS_READ"
	ScopeEventsRead      Scope = "EVENTS_READ"
	ScopeEventsWrite     Scope = "EVENTS_WRITE"
	ScopeAPIKeysRead     Scope = "API_KEYS_READ"
	ScopeAPIKeysWrite    Scope = "API_KEYS_WRITE"
	ScopeEventTypesWrite Scope = "EVENT_TYPES_WRITE"
	ScopeWorkspacesRead  Scope = "WORKSPACES_READ"
	ScopeWorkspacesWrite Scope = "WORKSPACES_WRITE"
)

// Scopes are all there are: an operator's.
func Scopes() []Scope {
	return []Scope{
		ScopeWebhooksRead, ScopeWebhooksWrite, ScopeWebhooksTest, ScopeSecretsRead, ScopeEventsRead, ScopeEventsWrite, ScopeAPIKeysRead, ScopeAPIKeysWrite,
		ScopeEventTypesWrite, ScopeWorkspacesRead, ScopeWorkspacesWrite,
	}
}

// OfOperators says whether a scope reaches beyond one workspace.
func (s Scope) OfOperators() bool {
	return s == ScopeEventTypesWrite || s == ScopeWorkspacesRead || s == ScopeWorkspacesWrite
}
