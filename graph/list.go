package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// marshalList stands in generated.go for gqlgen's function that gives each
// element of a list a goroutine of its own. That pays where each element waits
// for something; here what they lead to is read for all of them at once
// (resolvers/loader.go).
func marshalList(ctx context.Context, length int, _ int64, _ bool, element func(ctx context.Context, i int) graphql.Marshaler) (list graphql.Array) {
	at := ctx
	defer func() {
		if r := recover(); r != nil {
			graphql.AddError(at, graphql.Recover(at, r))
			list = nil
		}
	}()
	list = make(graphql.Array, length)
	for i := range list {
		at = graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i})
		list[i] = element(at, i)
	}
	return list
}
