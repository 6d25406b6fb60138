package resolvers

import (
	"context"
	"errors"
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
	"github.com/hookql/hookql/internal/graphqlws"
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
	// Keys let in who opens a socket, and say when a key opens no more; nil:
	// requests alone carry their callers.
	Keys *auth.Authenticator
	// Connections are the sockets and streams, for whoever stops the service;
	// nil: nobody stops them.
	Connections *graphqlhttp.Connections
}

// NewHandler serves the GraphQL API. The request's context must carry a
// workspace (package auth), unless it asks for a WebSocket.
func NewHandler(r *Resolver, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.RequestTime == 0 {
		o.RequestTime = requestTime
	}
	if o.Connections == nil {
		o.Connections = &graphqlhttp.Connections{}
	}
	a := api{r, o}
	server := a.server()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if graphqlhttp.IsUpgrade(req) {
			server.ServeHTTP(w, req) // its operations begin each by itself
			return
		}
		ctx, end := a.begin(req.Context())
		defer end()
		w.Header().Set("X-Request-Id", requestID(ctx))
		server.ServeHTTP(w, req.WithContext(ctx))
	})
}

// api is what the parts of the handler have in common.
type api struct {
	*Resolver
	Options
}

// begin makes the context of an operation, or of a request for one. The caller
// ends it, which logs it.
func (a api) begin(ctx context.Context) (_ context.Context, end func()) {
	ctx, state := begin(ctx, a.RequestTime)
	workspaceID, _ := auth.Workspace(ctx)
	state.loaders.Store(a.newLoaders(ctx, workspaceID))
	return ctx, func() {
		state.end()
		a.Log.InfoContext(ctx, "request", "request_id", state.id, "operation", state.operation.Load(),
			"workspace", workspaceID, "statements", state.statements.Load(), "duration", time.Since(state.began))
	}
}

// admit lets in the client of a socket.
func (a api) admit(r *http.Request) (context.Context, graphqlhttp.Session, error) {
	ctx, err := a.Keys.Admit(r)
	var wrong *auth.Refusal
	switch {
	case errors.As(err, &wrong):
		return nil, graphqlhttp.Session{}, &graphqlws.Refusal{Later: wrong.Code == graphqlhttp.RateLimited, Reason: wrong.Reason}
	case err != nil:
		a.Log.ErrorContext(r.Context(), "a key could not be looked up", "error", err)
		return nil, graphqlhttp.Session{}, err
	}
	return ctx, a.Keys.Session(ctx), nil
}

// server is gqlgen's server with our transports and limits. Its own complexity
// extension is left out on purpose (see querylimit).
func (a api) server() *handler.Server {
	schema := graph.NewExecutableSchema(graph.Config{Resolvers: a.Resolver, Directives: graph.DirectiveRoot{HasScope: hasScope}})
	server := handler.New(schema)
	sockets := graphqlws.Transport{Begin: a.begin, Connections: a.Connections}
	requests := graphqlhttp.Transport{MaxBody: maxBody, Connections: a.Connections}
	if a.Keys != nil {
		sockets.Admit, sockets.Address, requests.Session = a.admit, a.Keys.Address, a.Keys.Session
	}
	server.AddTransport(sockets)
	server.AddTransport(requests)
	server.SetQueryCache(querycache.New(queryCache))
	server.SetParserTokenLimit(maxTokens)
	server.SetErrorPresenter(presenter(a.Log))
	server.SetRecoverFunc(recovered)
	if a.HideSchema {
		server.SetDisableSuggestion(true)
		server.SetValidationRulesFn(rulesOfHiddenSchema)
	} else {
		server.Use(extension.Introspection{})
	}
	server.Use(querylimit.Default())
	server.Use(exactEnums{schema.Schema()})
	server.AroundOperations(startOperation)
	server.AroundResponses(resultOf)
	server.AroundRootFields(freshLoadersPerMutation(a.Resolver))
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

// startOperation notes what is run, and lets subscriptions take their time.
func startOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx).Operation
	state := requestOf(ctx)
	name := operation.Name[:min(len(operation.Name), maxLoggedName)]
	state.operation.Store(strings.TrimSpace(string(operation.Operation) + " " + name))
	if operation.Operation == ast.Subscription {
		state.allowForever()
	}
	return next(ctx)
}

// freshLoadersPerMutation gives each field of a mutation loaders of its own:
// they run one after the other, and must not read what an earlier one
// remembered.
func freshLoadersPerMutation(r *Resolver) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
			workspaceID, _ := auth.Workspace(ctx)
			requestOf(ctx).loaders.Store(r.newLoaders(ctx, workspaceID))
		}
		return next(ctx)
	}
}
