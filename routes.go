package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/graphiql"
	"github.com/hookql/hookql/internal/origin"
	"github.com/hookql/hookql/resolvers"
	"github.com/hookql/hookql/webhooktest"
)

// newEngine is the engine that sends what the service at addr has to send.
func newEngine(c config.Config, addr *net.TCPAddr, store *db.DB, log *slog.Logger) *delivery.Engine {
	return &delivery.Engine{
		Client: delivery.Client{Policy: delivery.Policy{
			AllowHTTP: c.AllowHTTP,
			Loopback:  c.Dev,
			Networks:  c.AllowNetworks,
			Ports:     c.AllowPorts,
			Own:       ownAddrs(addr),
		}},
		Store:       store,
		Queue:       store,
		Webhooks:    store,
		Nodes:       nodes{store},
		Log:         log,
		Version:     version(),
		Patience:    patience,
		LeaseMargin: c.LeaseMargin,
	}
}

// nodes is the database as the engine's Nodes.
type nodes struct{ *db.DB }

// Join implements delivery.Nodes.
func (n nodes) Join(ctx context.Context) (delivery.Node, error) {
	node, err := n.JoinNodes(ctx)
	if err != nil {
		return nil, err
	}
	return node, nil
}

// routes is everything that the service answers.
func routes(c config.Config, addr *net.TCPAddr, r *resolvers.Resolver, s setup, keys *auth.Authenticator, log *slog.Logger) http.Handler {
	store := r.DB
	store.OnStatement = resolvers.CountStatement
	mux := http.NewServeMux()
	api := resolvers.NewHandler(r, resolvers.Options{Log: log, HideSchema: c.HideSchema})
	mux.Handle("/graphql", keys.Handler(api))
	page := graphiql.Handler()
	mux.Handle("/graphiql", page)
	mux.Handle("/graphiql/", page)
	mux.Handle("GET /{$}", http.RedirectHandler("/graphiql/", http.StatusFound))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, store) })
	if c.Dev {
		receivers := &webhooktest.Receivers{Secrets: func(ctx context.Context, url string) ([]string, error) {
			return store.SecretsByURL(ctx, s.workspaceID, url)
		}}
		mux.Handle("/receiver/", http.StripPrefix("/receiver/", receivers))
	}
	return origin.Policy{Dev: c.Dev, Addr: addr.String(), AllowedOrigins: c.AllowedOrigins}.Handler(mux)
}

// ownAddrs are the addresses that the server can be reached at: of a server
// that listens on every interface, those of all.
func ownAddrs(addr *net.TCPAddr) (own []netip.AddrPort) {
	if !addr.IP.IsUnspecified() {
		return []netip.AddrPort{addr.AddrPort()}
	}
	all, _ := net.InterfaceAddrs() // without it, the rules for addresses that are not public still hold
	for _, a := range all {
		if network, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, netip.AddrPortFrom(network.Addr(), addr.AddrPort().Port()))
		}
	}
	return own
}

// ready says whether requests would be answered: a balancer asks.
func ready(w http.ResponseWriter, r *http.Request, store *db.DB) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := store.Ping(ctx); err != nil {
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}
