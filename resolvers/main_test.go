package resolvers

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// bundle is an API on a database of its own, with the sample catalogue, and a
// receiver.
type bundle struct {
	db        *db.DB
	own       *sql.DB // the same database
	workspace string
	caller    auth.Caller // an operator in the workspace, unless the test says otherwise
	api       http.Handler
	engine    *delivery.Engine
	running   bool // the engine is
	receiver  *webhooktest.Receiver
	url       string // the receiver's
	log       *bytes.Buffer

	mu         sync.Mutex
	statements []string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupWith(t, pgtest.URL(t), Options{})
}

// setupWith is setup on a database that the test also uses itself.
func setupWith(t *testing.T, url string, o Options) *bundle {
	t.Helper()
	store, err := db.Open(t.Context(), url, pgtest.MasterKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bundle{db: store, receiver: &webhooktest.Receiver{}, log: new(bytes.Buffer)}
	if b.own, err = sql.Open("postgres", url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.own.Close() })
	if b.workspace, err = b.db.EnsureWorkspace(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	b.caller = auth.Caller{Operator: true, WorkspaceID: b.workspace}
	sample, err := webhook.SampleEventTypes()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.db.EnsureEventTypes(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	b.db.OnStatement = func(_ context.Context, name string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.statements = append(b.statements, name)
	}
	server := httptest.NewServer(b.receiver)
	t.Cleanup(server.Close)
	b.url = server.URL + "/hook"
	b.engine = &delivery.Engine{Client: delivery.Client{Policy: delivery.Policy{Loopback: true}}, Store: b.db, Queue: b.db, Webhooks: b.db, Nodes: nodes{b.db}}
	t.Cleanup(func() { // before the database is closed
		if b.running {
			return
		}
		ctx, stop := context.WithCancel(context.Background())
		stop()
		_ = b.engine.Run(ctx)
	})
	o.Log = slog.New(slog.NewTextHandler(b.log, nil))
	b.api = NewHandler(&Resolver{DB: b.db, Engine: b.engine}, o)
	return b
}

// nodes is the database as the engine's Nodes.
type nodes struct{ *db.DB }

func (n nodes) Join(ctx context.Context) (delivery.Node, error) { return n.JoinNodes(ctx) }

// run lets the engine deliver while the test runs.
func (b *bundle) run(t *testing.T) {
	t.Helper()
	b.running = true
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{}) // closed when the engine has ended
	go func() {
		defer close(ended)
		_ = b.engine.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })
}

// eventually waits until something is so.
func (b *bundle) eventually(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}

// answer is what the API says.
type answer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions struct{ Code graphqlhttp.Code }
	}
}

// ask sends a document and returns the answer and the statements it took.
func (b *bundle) ask(t *testing.T, document string, variables map[string]any) (a answer, statements []string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.statements = nil
	b.mu.Unlock()
	req := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, req.WithContext(auth.WithCaller(req.Context(), b.caller)))
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("the answer is no JSON: %v: %s", err, w.Body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return a, slices.Clone(b.statements)
}

// must is ask for documents that no top-level error may come of.
func (b *bundle) must(t *testing.T, document string, variables map[string]any, into any) (statements []string) {
	t.Helper()
	a, statements := b.ask(t, document, variables)
	if len(a.Errors) > 0 {
		t.Fatalf("errors: %+v", a.Errors)
	}
	if into != nil {
		if err := json.Unmarshal(a.Data, into); err != nil {
			t.Fatal(err)
		}
	}
	return statements
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
