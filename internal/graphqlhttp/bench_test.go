package graphqlhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/querycache"
	"github.com/hookql/hookql/resolvers"
)

// BenchmarkTransport answers one small query through this transport and through
// gqlgen's, on the same executor.
func BenchmarkTransport(b *testing.B) {
	const body = `{"query": "query($a: Boolean!) { __typename @include(if: $a) }", "variables": {"a": true}}`
	for name, t := range map[string]graphql.Transport{"ours": graphqlhttp.Transport{}, "gqlgen": transport.POST{}} {
		b.Run(name, func(b *testing.B) {
			server := handler.New(graph.NewExecutableSchema(graph.Config{Resolvers: &resolvers.Resolver{}}))
			server.SetQueryCache(querycache.New(1 << 20))
			server.AddTransport(t)
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				server.ServeHTTP(w, r)
				if !strings.Contains(w.Body.String(), `{"data":{"__typename":"Query"}}`) {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
}
