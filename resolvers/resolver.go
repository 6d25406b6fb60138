// Package resolvers turns GraphQL into the domain and back: one file per noun.
// It knows no SQL and no HTTP client, and starts no goroutine.
package resolvers

import (
	"context"
	"errors"
	"fmt"

	"github.com/99designs/gqlgen/graphql"

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

	types types
}

type (
	queryResolver        struct{ *Resolver }
	mutationResolver     struct{ *Resolver }
	subscriptionResolver struct{ *Resolver }
	workspaceResolver    struct{ *Resolver }
	eventTypeResolver    struct{ *Resolver }
	webhookResolver      struct{ *Resolver }
	eventResolver        struct{ *Resolver }
	deliveryResolver     struct{ *Resolver }
	attemptResolver      struct{ *Resolver }
	testRunResolver      struct{ *Resolver }
	testResultResolver   struct{ *Resolver }

	testRunComparisonResolver struct{ *Resolver }
	testComparisonResolver    struct{ *Resolver }

	httpRequestResolver  struct{ *Resolver }
	httpResponseResolver struct{ *Resolver }
)

// Query implements graph.ResolverRoot.
func (r *Resolver) Query() graph.QueryResolver { return queryResolver{r} }

// Mutation implements graph.ResolverRoot.
func (r *Resolver) Mutation() graph.MutationResolver { return mutationResolver{r} }

// Subscription implements graph.ResolverRoot.
func (r *Resolver) Subscription() graph.SubscriptionResolver { return subscriptionResolver{r} }

// Workspace implements graph.ResolverRoot.
func (r *Resolver) Workspace() graph.WorkspaceResolver { return workspaceResolver{r} }

// EventType implements graph.ResolverRoot.
func (r *Resolver) EventType() graph.EventTypeResolver { return eventTypeResolver{r} }

// Webhook implements graph.ResolverRoot.
func (r *Resolver) Webhook() graph.WebhookResolver { return webhookResolver{r} }

// Event implements graph.ResolverRoot.
func (r *Resolver) Event() graph.EventResolver { return eventResolver{r} }

// Delivery implements graph.ResolverRoot.
func (r *Resolver) Delivery() graph.DeliveryResolver { return deliveryResolver{r} }

// DeliveryAttempt implements graph.ResolverRoot.
func (r *Resolver) DeliveryAttempt() graph.DeliveryAttemptResolver { return attemptResolver{r} }

// TestRun implements graph.ResolverRoot.
func (r *Resolver) TestRun() graph.TestRunResolver { return testRunResolver{r} }

// TestResult implements graph.ResolverRoot.
func (r *Resolver) TestResult() graph.TestResultResolver { return testResultResolver{r} }

// TestRunComparison implements graph.ResolverRoot.
func (r *Resolver) TestRunComparison() graph.TestRunComparisonResolver {
	return testRunComparisonResolver{r}
}

// TestComparison implements graph.ResolverRoot.
func (r *Resolver) TestComparison() graph.TestComparisonResolver { return testComparisonResolver{r} }

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

// maxNodes is how many objects are found by one list of ids.
const maxNodes = 100

// Nodes finds objects by their global ids.
func (r queryResolver) Nodes(ctx context.Context, ids []string) ([]graph.Node, error) {
	if len(ids) > maxNodes {
		return nil, webhook.NewError(webhook.TooLong, fmt.Sprintf("At most %d ids are taken at once.", maxNodes))
	}
	found := make([]graph.Node, len(ids))
	for i, id := range ids {
		var err error
		if found[i], err = r.Node(ctx, id); err != nil {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
		}
	}
	return found, nil
}

// Node finds any object by its global id.
func (r queryResolver) Node(ctx context.Context, id string) (graph.Node, error) {
	switch prefix := webhook.PrefixOf(id); prefix {
	case webhook.WorkspacePrefix:
		return node(r.Query().Workspace(ctx, &id))
	case webhook.APIKeyPrefix:
		return scoped(ctx, webhook.ScopeAPIKeysRead, func() (*webhook.APIKey, error) { return r.apiKey(ctx, id) })
	case webhook.EventTypePrefix:
		return node(r.eventTypeByID(ctx, id))
	case webhook.WebhookPrefix:
		return scoped(ctx, webhook.ScopeWebhooksRead, func() (*webhook.Webhook, error) { return r.Query().Webhook(ctx, id) })
	case webhook.EventPrefix:
		return scoped(ctx, webhook.ScopeEventsRead, func() (*webhook.Event, error) { return r.Query().Event(ctx, id) })
	case webhook.DeliveryPrefix:
		return scoped(ctx, webhook.ScopeEventsRead, func() (*webhook.Delivery, error) { return r.Query().Delivery(ctx, id) })
	case webhook.AttemptPrefix:
		return scoped(ctx, webhook.ScopeEventsRead, func() (*webhook.Attempt, error) { return r.attempt(ctx, id) })
	case webhook.TestRunPrefix:
		return scoped(ctx, webhook.ScopeWebhooksRead, func() (*webhook.TestRun, error) { return r.Query().TestRun(ctx, id) })
	case webhook.TestPrefix:
		return scoped(ctx, webhook.ScopeWebhooksRead, func() (*webhook.TestResult, error) { return r.testResult(ctx, id) })
	}
	return nil, nil
}

// scoped finds a node for a caller who has a scope.
func scoped[T interface {
	comparable
	graph.Node
}](ctx context.Context, s webhook.Scope, find func() (T, error)) (graph.Node, error) {
	if err := need(ctx, s); err != nil {
		return nil, err
	}
	return node(find())
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
