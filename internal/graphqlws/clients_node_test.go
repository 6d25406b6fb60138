//go:build node

package graphqlws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql/handler"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/graphqltest"
	"github.com/hookql/hookql/internal/graphqlws"
)

// service is what the clients talk to. It can be started anew.
type service struct {
	mu    sync.Mutex
	api   http.Handler             // guarded by mu
	live  *graphqlhttp.Connections // those of api; guarded by mu
	brief chan struct{}            // closed when the key "brief" opens no more; guarded by mu
}

// key is where a request's context has the key.
type key struct{}

// TestClients needs Node and the clients, which `make test-subscriptions`
// installs.
func TestClients(t *testing.T) {
	t.Parallel()
	s := &service{brief: make(chan struct{})}
	s.restart()
	mux := http.NewServeMux()
	mux.HandleFunc("/graphql", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		api := s.api
		s.mu.Unlock()
		api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, r.Header.Get("Authorization"))))
	})
	mux.HandleFunc("POST /control/restart", func(w http.ResponseWriter, _ *http.Request) {
		s.restart()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /control/revoke", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.brief)
		s.brief = make(chan struct{})
		w.WriteHeader(http.StatusNoContent)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer s.restart() // ends what the clients left open
	node := exec.CommandContext(t.Context(), "npm", "test")
	node.Dir = "clients"
	node.Env = append(os.Environ(), "HOOKQL_URL="+server.URL)
	out, err := node.CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
}

// restart ends all connections, and begins with none.
func (s *service) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil {
		s.live.Stop()
		_ = s.live.Wait(context.Background()) // it does not end
	}
	s.live = &graphqlhttp.Connections{}
	server := handler.New(&graphqltest.Schema{})
	server.AddTransport(graphqlws.Transport{Connections: s.live, Admit: func(r *http.Request) (context.Context, graphqlhttp.Session, error) {
		ctx := context.WithValue(r.Context(), key{}, r.Header.Get("Authorization"))
		session := s.session(ctx)
		if session.Key == "" {
			return nil, session, &graphqlws.Refusal{Reason: "This request has no key."}
		}
		return ctx, session, nil
	}})
	server.AddTransport(graphqlhttp.Transport{Connections: s.live, Session: s.session})
	s.api = server
}

func (s *service) session(ctx context.Context) (session graphqlhttp.Session) {
	session.Key, _ = ctx.Value(key{}).(string)
	if session.Key == "Bearer brief" {
		s.mu.Lock()
		defer s.mu.Unlock()
		session.Over = s.brief
	}
	return session
}
