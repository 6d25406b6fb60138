package resolvers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/querylimit"
)

// Limits of one request; the schema's head tells them to clients.
const (
	maxBody   = 1 << 20
	maxTokens = 1000
	// queryCache is how many parsed documents are kept: at most 1,000 tokens
	// each, so a few MiB in all.
	queryCache = 500
	// requestTime leaves a test run its 60 s and the time to keep it.
	requestTime = 75 * time.Second
)

// NewHandler serves the GraphQL API. The request's context must carry a
// workspace (package auth).
func NewHandler(r *Resolver, log *slog.Logger) http.Handler {
	server := handler.New(graph.NewExecutableSchema(graph.Config{Resolvers: r}))
	server.AddTransport(graphqlhttp.Transport{MaxBody: maxBody})
	server.SetQueryCache(lru.New[*ast.QueryDocument](queryCache))
	server.SetParserTokenLimit(maxTokens)
	server.SetErrorPresenter(presenter(log))
	server.SetRecoverFunc(recovered)
	server.Use(extension.Introspection{})
	server.Use(querylimit.Default())
	server.AroundRootFields(freshLoadersPerMutation(r))

	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeoutCause(req.Context(), requestTime,
			fmt.Errorf("the request took longer than %s", requestTime))
		defer cancel()
		workspaceID, _ := auth.Workspace(ctx)
		state := &request{id: uuid.NewString()}
		state.operation.Store("none")
		ctx = context.WithValue(ctx, requestKey{}, state)
		state.loaders.Store(r.newLoaders(ctx, workspaceID))
		w.Header().Set("X-Request-Id", state.id)

		started := time.Now()
		server.ServeHTTP(w, req.WithContext(ctx))
		log.InfoContext(ctx, "request", "request_id", state.id, "operation", state.operation.Load(),
			"workspace", workspaceID, "statements", state.statements.Load(), "duration", time.Since(started))
	})
}

// request is what one HTTP request remembers.
type request struct {
	id         string
	operation  atomic.Value // string, "none" until the document is parsed
	statements atomic.Int64
	loaders    atomic.Pointer[loaders]
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	state, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return &request{}
	}
	return state
}

func requestID(ctx context.Context) string { return requestOf(ctx).id }

func loadersOf(ctx context.Context) *loaders { return requestOf(ctx).loaders.Load() }

// CountStatement counts a statement for the request's log line; it fits
// db.DB.OnStatement.
func CountStatement(ctx context.Context, _ string) { requestOf(ctx).statements.Add(1) }

// freshLoadersPerMutation gives each field of a mutation loaders of its own:
// they run one after the other, and must not read what an earlier one
// remembered.
func freshLoadersPerMutation(r *Resolver) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		operation := graphql.GetOperationContext(ctx).Operation
		state := requestOf(ctx)
		state.operation.Store(strings.TrimSpace(string(operation.Operation) + " " + operation.Name))
		if operation.Operation == ast.Mutation {
			workspaceID, _ := auth.Workspace(ctx)
			state.loaders.Store(r.newLoaders(ctx, workspaceID))
		}
		return next(ctx)
	}
}
