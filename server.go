// HookQL is a webhook service that speaks GraphQL.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hookql/hookql/db/embedded"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/resolvers"
)

const usage = `Usage: hookql [verb] [options]

Verbs:
  serve     run the service (the default)
  migrate   bring the database's schema up to date and stop
  apply     bring the catalogue of event types to what a file says:
            hookql apply FILE [-diff] [-archive-missing]
  export    print the catalogue as such a file: hookql export [-json]
  keys rotate
            seal the secrets with a new key, while others serve
  db check  count what in the database is not as it must be; 1 if anything
  config    show every option, what is in force and who said so
  version   show the version

Options:
`

// Once the program is told to stop, requests in flight may go on for patience,
// then their contexts end; those that are not answered after grace are cut off.
// When all are answered, and after lastCalls at the latest, deliveries and test
// runs that none waits for have patience in their turn.
const (
	patience  = 8 * time.Second
	grace     = 10 * time.Second
	lastCalls = 3 * time.Second
)

// gcPercent lets garbage pile up to two and a half times what is in use. At Go's
// own 100 a page of webhooks takes a seventh more processor time; at 400 it takes
// a hundredth less, and the program holds half as much memory again. To compare:
//
//	GOGC=100 BENCH='Page|EndToEnd|UnderAbuse' make bench
const gcPercent = 250

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	for _, warning := range config.Unknown(os.Environ()) {
		fmt.Fprintln(os.Stderr, "hookql:", warning)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program, as a function that tests can call. It returns the exit
// code: 0, 1 for a fault, 78 for a configuration or file that has to be mended
// first, 2 for a difference that was asked for.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	verb := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	if (verb == "keys" || verb == "db") && len(args) > 0 {
		verb, args = verb+" "+args[0], args[1:]
	}
	file, args := cutCatalogueArgs(verb, args)
	verbs := map[string]func(context.Context, config.Config, io.Writer, *slog.Logger) error{
		"serve": serve, "migrate": migrate, "apply": file.apply, "export": file.export, "keys rotate": rotateKeys, "db check": checkDatabase, "config": showConfig, "version": showVersion,
	}
	do, known := verbs[verb]
	if !known {
		fmt.Fprintf(stderr, "hookql: there is no verb %q\n\n%s%s", verb, usage, config.Usage())
		return config.ExitCode
	}
	c, err := config.Parse(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage, config.Usage())
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "hookql: %s\n", err)
		return config.ExitCode
	}
	err = do(ctx, c, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
	var mend *embedded.ConfigError
	var wrong fileMistake
	var refused *webhook.Error
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled):
		return 0 // done, or told to stop before it was ready
	case errors.As(err, &mend):
		fmt.Fprintln(stderr, mend.Message)
		return config.ExitCode
	case errors.As(err, &wrong), errors.As(err, &refused):
		fmt.Fprintf(stderr, "hookql: %s\n", err)
		return config.ExitCode
	case errors.Is(err, errDiffers):
		return differsCode
	default:
		fmt.Fprintf(stderr, "hookql: %s\n", err)
		return 1
	}
}

func showConfig(_ context.Context, c config.Config, stdout io.Writer, _ *slog.Logger) error {
	_, err := fmt.Fprint(stdout, c)
	return err
}

func showVersion(_ context.Context, _ config.Config, stdout io.Writer, _ *slog.Logger) error {
	_, err := fmt.Fprintln(stdout, "hookql", version())
	return err
}

func migrate(ctx context.Context, c config.Config, stdout io.Writer, log *slog.Logger) error {
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "The schema is up to date; %d migrations were applied.\n", len(store.applied))
	return errors.Join(err, store.close())
}

// serve runs the service until ctx is done or the private PostgreSQL is gone.
func serve(ctx context.Context, c config.Config, stdout io.Writer, log *slog.Logger) (err error) {
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; set HOOKQL_ADDR to another address", c.Addr, err)
	}
	defer listener.Close() //nolint:errcheck // the server closes it too, which is an error here
	addr := listener.Addr().(*net.TCPAddr)
	if c.Dev && !addr.IP.IsLoopback() {
		return fmt.Errorf("%s leads to %s, which others can reach, and development mode asks for no key; set HOOKQL_ADDR to 127.0.0.1 and a port", c.Addr, addr)
	}
	var metricsListener net.Listener
	if c.MetricsAddr != "" {
		if metricsListener, err = net.Listen("tcp", c.MetricsAddr); err != nil {
			return fmt.Errorf("listen on %s: %w; set HOOKQL_METRICS_ADDR to another address", c.MetricsAddr, err)
		}
		defer metricsListener.Close() //nolint:errcheck // as above
	}
	store, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()

	setup, err := prepare(ctx, c, store.DB, log)
	if err != nil {
		return err
	}
	keys := auth.New(store.DB, auth.Options{
		OperatorKey:    c.OperatorKey,
		Workspace:      setup.workspaceID,
		Dev:            c.Dev,
		TrustedProxies: c.TrustedProxies,
		Log:            log,
	})
	engine := newEngine(c, addr, store.DB, log)
	metrics := newMetrics(engine, store.DB, log)
	live := &graphqlhttp.Connections{}
	requests, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	server := &http.Server{
		BaseContext: func(net.Listener) context.Context { return requests },
		Handler: routes(c, addr, parts{
			&resolvers.Resolver{DB: store.DB, Engine: engine}, setup,
			resolvers.Options{Log: log, HideSchema: c.HideSchema, Keys: keys, Connections: live}, metrics,
		}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // for 1 MiB at 0.6 Mbit/s
		WriteTimeout:      90 * time.Second, // more than a test run may take
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(live.Stop)
	welcome := banner(c, addr.String(), store, setup.newKey)
	if metricsListener != nil {
		welcome += fmt.Sprintf("  %-10s http://%s/metrics\n", "Metrics", metricsListener.Addr())
	}
	fmt.Fprint(stdout, welcome)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error { return keys.Run(ctx) })
	group.Go(func() error { return keys.RunSessions(ctx) })
	group.Go(func() error { return store.watchSealing(ctx, log) })
	if metricsListener != nil {
		group.Go(func() error { return metrics.serve(ctx, metricsListener) })
	}
	upkeep := newUpkeep(c, store.DB, log)
	upkeep.owed = metrics.owed
	group.Go(func() error { return upkeep.Run(ctx) })
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return engine.Run(delivering) })
	group.Go(func() error {
		var cause error
		select {
		case <-store.gone:
			cause = fmt.Errorf("the private PostgreSQL stopped: %w", store.postgres.Err())
		case <-ctx.Done():
		}
		defer stopDelivering()
		defer time.AfterFunc(lastCalls, stopDelivering).Stop()
		return errors.Join(cause, stop(requests, server, live, cut))
	})
	return group.Wait()
}

// stop lets the requests in flight end, and cuts those that do not in time.
// Connections that stay are told to end when that begins; the server does not
// know the sockets among them.
func stop(requests context.Context, server *http.Server, live *graphqlhttp.Connections, cut context.CancelCauseFunc) error {
	defer time.AfterFunc(patience, func() { cut(errors.New("HookQL was stopped")) }).Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(requests), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop serving: %w", err), server.Close())
	}
	if err := live.Wait(ctx); err != nil {
		return fmt.Errorf("stop sockets: %w", err)
	}
	return nil
}

// version is the module's version, as far as the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "unversioned"
	}
	return info.Main.Version
}

// banner tells whoever started the program where things are.
func banner(c config.Config, addr string, s *store, newKey auth.Token) string {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "  %-10s %s\n", name, text) }
	fmt.Fprintf(&b, "HookQL %s is ready.\n", version())
	line("GraphiQL", "http://"+addr+"/graphiql")
	line("API", "http://"+addr+"/graphql")
	if c.Dev {
		line("Receiver", "http://"+addr+"/receiver/demo (answers 200; /receiver/demo/requests shows what came)")
	}
	if s.postgres != nil {
		line("Data", fmt.Sprintf("%s (private PostgreSQL %s)", s.postgres.Dir(), s.postgres.Version()))
	} else {
		line("Data", "the PostgreSQL of DATABASE_URL")
	}
	if c.Dev {
		line("Mode", "development: no key needed, this machine only")
		line("Production", "set DATABASE_URL; then every request needs a key (docs/operations.md)")
	} else {
		line("Mode", "production: every request needs `Authorization: Bearer KEY`")
	}
	if newKey != "" {
		line("Key", string(newKey)+" (shown this once; only its hash is kept)")
	}
	return b.String()
}
