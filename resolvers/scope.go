package resolvers

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

// forbidden is the error of a field that the caller's key does not open.
type forbidden webhook.Scope

func (f forbidden) Error() string {
	return fmt.Sprintf("This key lacks the scope %s. Use a key that has it, or ask whoever issued this one.", string(f))
}

// need fails unless the caller has a scope.
func need(ctx context.Context, s webhook.Scope) error {
	if !auth.CallerOf(ctx).May(s) {
		return forbidden(s)
	}
	return nil
}

// hasScope is the schema's directive of that name.
func hasScope(ctx context.Context, _ any, next graphql.Resolver, s webhook.Scope) (any, error) {
	if err := need(ctx, s); err != nil {
		return nil, err
	}
	return next(ctx)
}
