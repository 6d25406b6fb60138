// Package resolvers turns GraphQL into the domain and back: one file per noun.
// It knows no SQL and no HTTP client, and starts no goroutine.
package resolvers

import (
	"context"
	"errors"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/payload"
	"github.com/hookql/hookql/internal/webhook"
)

// Resolver answers every field of the schema that has to be worked for. DB and
// Engine must be set.
type Resolver struct {
	DB      *db.DB
	Engine  *delivery.Engine
	Schemas payload.Cache
}

type (
	queryResolver      struct{ *Resolver }
	mutationResolver   struct{ *Resolver }
	eventTypeResolver  struct{ *Resolver }
	webhookResolver    struct{ *Resolver }
	testRunResolver    struct{ *Resolver }
	testResultResolver struct{ *Resolver }

	httpRequestResolver  struct{ *Resolver }
	httpResponseResolver struct{ *Resolver }
)

// Query implements graph.ResolverRoot.
func (r *Resolver) Query() graph.QueryResolver { return queryResolver{r} }

// Mutation implements graph.ResolverRoot.
func (r *Resolver) Mutation() graph.MutationResolver { return mutationResolver{r} }

// EventType implements graph.ResolverRoot.
func (r *Resolver) EventType() graph.EventTypeResolver { return eventTypeResolver{r} }

// Webhook implements graph.ResolverRoot.
func (r *Resolver) Webhook() graph.WebhookResolver { return webhookResolver{r} }

// TestRun implements graph.ResolverRoot.
func (r *Resolver) TestRun() graph.TestRunResolver { return testRunResolver{r} }

// TestResult implements graph.ResolverRoot.
func (r *Resolver) TestResult() graph.TestResultResolver { return testResultResolver{r} }

// HttpRequest implements graph.ResolverRoot.
func (r *Resolver) HttpRequest() graph.HttpRequestResolver { return httpRequestResolver{r} }

// HttpResponse implements graph.ResolverRoot.
func (r *Resolver) HttpResponse() graph.HttpResponseResolver { return httpResponseResolver{r} }

// workspace is the workspace that the request acts in.
func workspace(ctx context.Context) (string, error) {
	id, ok := auth.Workspace(ctx)
	if !ok {
		return "", errors.New("the request came past authentication without a workspace")
	}
	return id, nil
}

// Node finds any object by its global id.
func (r queryResolver) Node(ctx context.Context, id string) (graph.Node, error) {
	switch webhook.PrefixOf(id) {
	case webhook.WebhookPrefix:
		return node(r.Query().Webhook(ctx, id))
	case webhook.EventTypePrefix:
		return node(r.eventTypeByID(ctx, id))
	case webhook.TestRunPrefix:
		return node(r.Query().TestRun(ctx, id))
	case webhook.TestPrefix:
		return node(r.testResult(ctx, id))
	}
	return nil, nil
}

// node keeps a nil pointer from becoming a node that is not nil.
func node[T interface {
	comparable
	graph.Node
}](object T, err error) (graph.Node, error) {
	var none T
	if err != nil || object == none {
		return nil, err
	}
	return object, nil
}
