package resolvers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/querycache"
	"github.com/hookql/hookql/internal/querylimit"
)

// Limits of one request; the schema's head tells them to clients.
const (
	maxBody     = 1 << 20
	maxTokens   = 1000
	requestTime = 10 * time.Second
	// testTime is for a request that waits for a test run: the run's own 60 s
	// and the time to keep it.
	testTime = 75 * time.Second
)

// maxLoggedName is how much of an operation's name the log shows.
const maxLoggedName = 64

// queryCache is the memory for parsed documents in bytes.
const queryCache = 16 << 20

// Options are what an operator can choose of the API. The zero Options are the
// defaults.
type Options struct {
	// Log gets a line for each request, and the cause of each fault; nil: none.
	Log *slog.Logger
	// HideSchema refuses introspection and leaves the names of the schema out
	// of the errors of a document that does not fit it.
	HideSchema bool
	// RequestTime is how long a request may take that does not test a webhook;
	// zero: 10 s.
	RequestTime time.Duration
}

// NewHandler serves the GraphQL API. The request's context must carry a
// workspace (package auth).
func NewHandler(r *Resolver, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RequestTime == 0 {
		o.RequestTime = requestTime
	}
	server := newServer(r, o)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, state := begin(req.Context(), o.RequestTime)
		defer state.end()
		workspaceID, _ := auth.Workspace(ctx)
		state.loaders.Store(r.newLoaders(ctx, workspaceID))
		w.Header().Set("X-Request-Id", state.id)
		server.ServeHTTP(w, req.WithContext(ctx))
		o.Log.InfoContext(ctx, "request", "request_id", state.id, "operation", state.operation.Load(),
			"workspace", workspaceID, "statements", state.statements.Load(), "duration", time.Since(state.began))
	})
}

// newServer is gqlgen's server with our transport and limits. Its own
// complexity extension is left out on purpose (see querylimit).
func newServer(r *Resolver, o Options) *handler.Server {
	schema := graph.NewExecutableSchema(graph.Config{Resolvers: r, Directives: graph.DirectiveRoot{HasScope: hasScope}})
	server := handler.New(schema)
	server.AddTransport(graphqlhttp.Transport{MaxBody: maxBody})
	server.SetQueryCache(querycache.New(queryCache))
	server.SetParserTokenLimit(maxTokens)
	server.SetErrorPresenter(presenter(o.Log))
	server.SetRecoverFunc(recovered)
	if o.HideSchema {
		server.SetDisableSuggestion(true)
		server.SetValidationRulesFn(rulesOfHiddenSchema)
	} else {
		server.Use(extension.Introspection{})
	}
	server.Use(querylimit.Default())
	server.Use(exactEnums{schema.Schema()})
	server.AroundRootFields(freshLoadersPerMutation(r))
	return server
}

// rulesOfHiddenSchema are rules that refuse introspection, and whose errors do
// not say which names of the schema may have been meant. SetDisableSuggestion
// replaces the other two.
func rulesOfHiddenSchema() *rules.Rules {
	r := rules.NewDefaultRules()
	r.AddRule("NoIntrospection", refuseIntrospection)
	r.ReplaceRule(rules.KnownArgumentNamesRule.Name, rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc)
	r.ReplaceRule(rules.KnownTypeNamesRule.Name, rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc)
	r.ReplaceRule(rules.ValuesOfCorrectTypeRule.Name, rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc)
	return r
}

// refuseIntrospection is a rule; without it gqlgen's refusal would come as a
// fault of ours.
func refuseIntrospection(observers *core.Events, addError core.AddErrFunc) {
	said := false // a fragment is walked wherever it is spread
	observers.OnField(func(_ *core.Walker, field *ast.Field) {
		if !said && (field.Name == "__schema" || field.Name == "__type") {
			said = true
			addError(core.Message("The schema of this installation cannot be asked for. Whoever runs it can turn HOOKQL_HIDE_SCHEMA off."), core.At(field.Position))
		}
	})
}

// freshLoadersPerMutation gives each field of a mutation loaders of its own:
// they run one after the other, and must not read what an earlier one
// remembered.
func freshLoadersPerMutation(r *Resolver) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		operation := graphql.GetOperationContext(ctx).Operation
		state := requestOf(ctx)
		name := operation.Name[:min(len(operation.Name), maxLoggedName)]
		state.operation.Store(strings.TrimSpace(string(operation.Operation) + " " + name))
		if operation.Operation == ast.Mutation {
			workspaceID, _ := auth.Workspace(ctx)
			state.loaders.Store(r.newLoaders(ctx, workspaceID))
		}
		return next(ctx)
	}
}
