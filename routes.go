package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
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
		Store:        store,
		Queue:        store,
		Webhooks:     store,
		Nodes:        nodes{store},
		Hub:          delivery.Hub{Wire: store, Log: log},
		Log:          log,
		Version:      version(),
		Patience:     patience,
		LeaseMargin:  c.LeaseMargin,
		SuspendAfter: c.SuspendAfter,
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

// parts are what the routes lead to.
type parts struct {
	*resolvers.Resolver
	setup   setup
	options resolvers.Options
	metrics *metrics
}

// routes is everything that the service answers at addr.
func routes(c config.Config, addr *net.TCPAddr, p parts) http.Handler {
	store := p.DB
	store.OnStatement = resolvers.CountStatement
	mux := http.NewServeMux()
	mux.Handle("/graphql", p.metrics.watch(p.options.Keys.Handler(resolvers.NewHandler(p.Resolver, p.options))))
	page := graphiql.Handler()
	mux.Handle("/graphiql", page)
	mux.Handle("/graphiql/", page)
	mux.Handle("GET /{$}", http.RedirectHandler("/graphiql/", http.StatusFound))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, store) })
	if c.Dev {
		mux.Handle("GET /metrics", p.metrics.handler())
		receivers := &webhooktest.Receivers{Secrets: func(ctx context.Context, url string) ([]string, error) {
			return store.SecretsByURL(ctx, p.setup.workspaceID, url)
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
	if err := store.CheckSealing(ctx); errors.Is(err, db.ErrMasterKey) {
		http.Error(w, db.ErrMasterKey.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}
