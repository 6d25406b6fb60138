package auth

import (
	"context"
	"slices"

	"github.com/hookql/hookql/internal/webhook"
)

// Caller is who sent a request. The zero Caller may do nothing.
type Caller struct {
	// Key is nil in development mode without one, and for the operator's key
	// of the configuration.
	Key *webhook.APIKey
	// Operator may do everything, in every workspace.
	Operator bool
	// WorkspaceID is the workspace that the request works in.
	WorkspaceID string
}

// Scopes are what the caller may do.
func (c Caller) Scopes() []webhook.Scope {
	switch {
	case c.Operator:
		return webhook.Scopes()
	case c.Key != nil:
		return c.Key.Scopes
	}
	return nil
}

// May says whether the caller has a scope.
func (c Caller) May(s webhook.Scope) bool { return slices.Contains(c.Scopes(), s) }

type callerKey struct{}

// WithCaller returns a context whose CallerOf is c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who sent the request of a context; the zero Caller where nobody
// was let in.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Workspace is the id of the workspace that a request works in; false where
// nobody was let in.
func Workspace(ctx context.Context) (id string, ok bool) {
	c := CallerOf(ctx)
	return c.WorkspaceID, c.WorkspaceID != ""
}
