package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/config"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// parse reads what Prometheus is told.
func parse(t *testing.T, from io.Reader) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(from)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value is that of a gauge or counter, or the count of a histogram, with a label
// of some value or with none.
func value(f *dto.MetricFamily, label string) float64 {
	for _, m := range f.GetMetric() {
		if label != "" && (len(m.Label) == 0 || m.Label[0].GetValue() != label) {
			continue
		}
		return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return -1
}

// TestMetrics delivers some events and looks at what is told of them.
func TestMetrics(t *testing.T) {
	t.Parallel()
	store := pgtest.New(t)
	workspaceID, err := store.EnsureWorkspace(t.Context(), webhook.DefaultWorkspace)
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuses" {
			w.WriteHeader(500)
		}
	}))
	defer receiver.Close()
	log := slog.New(slog.DiscardHandler)
	engine := newEngine(config.Config{Dev: true}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, store, log)
	m := newMetrics(engine, store, log)
	m.owed(7)
	for path, active := range map[string]bool{"/accepts": true, "/refuses": true, "/waits": true} {
		register(t, store.InsertWebhook, workspaceID, receiver.URL+path, active)
	}
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("not as Prometheus wants it: %v, %v", problems, err)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- engine.Run(ctx) }()
	publish(t, engine, workspaceID, 5)

	scrape := func() map[string]*dto.MetricFamily {
		w := httptest.NewRecorder()
		m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("got %d: %s", w.Code, w.Body)
		}
		return parse(t, w.Body)
	}
	want := []struct {
		name, label string
		value       float64
	}{
		{"hookql_attempts_total", "DELIVERED", 10},
		{"hookql_attempts_total", "REJECTED", 5},
		{"hookql_attempt_duration_seconds", "", 15},
		{"hookql_deliveries_waiting", "later", 5},
		{"hookql_deliveries_waiting", "due", 0},
		{"hookql_deliveries_waiting", "parked", 0},
		{"hookql_oldest_due_seconds", "", 0},
		{"hookql_deliveries_in_hand", "", 0},
		{"hookql_deliveries_sending", "", 0},
		{"hookql_nodes", "", 1},
		{"hookql_queue_errors_total", "settle", 0},
		{"hookql_deliveries_expired_total", "", 7},
	}
	fits := func() (wrong string) {
		families := scrape()
		for _, w := range want {
			if got := value(families[w.name], w.label); got != w.value {
				return w.name + "{" + w.label + "}: " + families[w.name].String()
			}
		}
		for _, name := range []string{
			"hookql_ingest_duration_seconds", "hookql_ingest_batch_events", "hookql_settle_duration_seconds", "hookql_settle_batch_deliveries",
			"go_goroutines", "process_cpu_seconds_total",
		} {
			if value(families[name], "") <= 0 {
				return name + ": " + families[name].String()
			}
		}
		var sum float64
		for _, m := range families["hookql_ingest_batch_events"].GetMetric() {
			sum += m.GetHistogram().GetSampleSum()
		}
		if sum != 5 {
			return families["hookql_ingest_batch_events"].String()
		}
		return ""
	}
	deadline := time.Now().Add(patienceOfTests)
	for wrong := fits(); wrong != ""; wrong = fits() {
		if time.Now().After(deadline) {
			t.Fatal(wrong)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("not as Prometheus wants it: %v, %v", problems, err)
	}
	docs, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range scrape() {
		if strings.HasPrefix(name, "hookql_") && !strings.Contains(string(docs), "`"+name) {
			t.Errorf("docs/operations.md does not tell of %s", name)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCountersAreThereFromTheBeginning looks for every outcome of the schema, and
// every step, before anything was sent.
func TestCountersAreThereFromTheBeginning(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile("schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	_, enum, _ := strings.Cut(string(schema), "\nenum Outcome {")
	enum, _, _ = strings.Cut(enum, "\n}")
	outcomes := regexp.MustCompile(`(?m)^  ([A-Z_]+)$`).FindAllStringSubmatch(enum, -1)
	if len(outcomes) == 0 {
		t.Fatal("the schema has no outcomes")
	}
	log := slog.New(slog.DiscardHandler)
	store := pgtest.New(t)
	m := newMetrics(newEngine(config.Config{}, &net.TCPAddr{}, store, log), store, log)
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	families := parse(t, w.Body)
	for _, outcome := range outcomes {
		if got := value(families["hookql_attempts_total"], outcome[1]); got != 0 {
			t.Errorf("hookql_attempts_total{%s} is %v, want 0", outcome[1], got)
		}
	}
	for _, step := range []string{"ingest", "claim", "settle"} {
		if got := value(families["hookql_queue_errors_total"], step); got != 0 {
			t.Errorf("hookql_queue_errors_total{%s} is %v, want 0", step, got)
		}
	}
}

// register makes a webhook that tries again after an hour.
func register(t *testing.T, insert func(context.Context, string, *webhook.Webhook, webhook.Idempotency) (string, error), workspaceID, url string, active bool) {
	t.Helper()
	id, now := webhook.NewID(webhook.WebhookPrefix), webhook.Now()
	_, err := insert(t.Context(), workspaceID, &webhook.Webhook{
		ID: id, UID: "uid-" + id[3:], Name: "a webhook", URL: url, Events: []string{"job.status"}, Active: active,
		StatusReason: webhook.ReasonOwner, StatusChangedAt: now, Method: webhook.MethodPost, PayloadFormat: webhook.FormatEnvelope,
		Signing: webhook.SigningStandard, Secret: webhook.NewSecret(), TimeoutMs: 5000,
		RetryPolicy: webhook.RetryPolicy{MaxAttempts: 11, InitialDelaySeconds: 3600, BackoffFactor: 1, MaxDelaySeconds: 3600},
		Metadata:    json.RawMessage("{}"), Version: 1, CreatedAt: now, UpdatedAt: now,
	}, webhook.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, engine *delivery.Engine, workspaceID string, n int) {
	t.Helper()
	var all webhook.Publication
	for range n {
		now := webhook.Now()
		all = append(all, &webhook.Publishing{Event: &webhook.Event{
			ID: webhook.NewID(webhook.EventPrefix), WorkspaceID: workspaceID, Name: "job.status", Data: json.RawMessage("{}"), OccurredAt: now, PublishedAt: now,
		}})
	}
	if err := engine.Publish(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

// TestQueueIsNotAskedAgainAndAgain leaves out what cannot be told, and asks the
// database no more often than it must.
func TestQueueIsNotAskedAgainAndAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	failing := errors.New("the database does not answer")
	q := &queueCollector{depth: func(context.Context) (webhook.QueueDepth, error) {
		if calls.Add(1) == 1 {
			return webhook.QueueDepth{}, failing
		}
		return webhook.QueueDepth{Due: 3, OldestDue: time.Minute}, nil
	}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(q)
	for range 3 {
		if families, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), failing.Error()) || len(families) > 0 {
			t.Errorf("without a database: %v, %v", families, err)
		}
	}
	q.at = time.Now().Add(-depthPeriod)
	for range 3 {
		if families, err := registry.Gather(); err != nil || len(families) != 2 {
			t.Errorf("got %v, %v", families, err)
		}
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// TestMetricsListener tells metrics at their own address alone in production,
// and there without a key.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	for dev, want := range map[string]int{"true": http.StatusOK, "false": http.StatusNotFound} {
		t.Run("dev="+dev, func(t *testing.T) {
			t.Parallel()
			env := append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_METRICS_ADDR=127.0.0.1:0", "HOOKQL_DEV="+dev,
				"HOOKQL_MASTER_KEY="+pgtest.MasterKey.Text(), "DATABASE_URL="+pgtest.URL(t))
			server, err := start(env, "hookql")
			if err != nil {
				t.Fatal(err)
			}
			get := func(url string) (int, string) {
				response, err := http.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				return response.StatusCode, string(text)
			}
			if code, _ := get(server.url + "/metrics"); code != want {
				t.Errorf("got %d at the API's address, want %d", code, want)
			}
			get(server.url + "/graphql?query={__typename}")
			own := regexp.MustCompile(`Metrics +(http://\S+)/metrics`).FindStringSubmatch(server.stdout.String())
			if own == nil {
				t.Fatalf("it does not say where its metrics are:\n%s", server.stdout)
			}
			code, text := get(own[1] + "/metrics")
			if code != http.StatusOK {
				t.Errorf("got %d at their own", code)
			}
			if families := parse(t, strings.NewReader(text)); value(families["hookql_http_request_duration_seconds"], "") != 1 {
				t.Errorf("the request is not counted: %s", text)
			}
			if code, _ := get(own[1] + "/graphql"); code != http.StatusNotFound {
				t.Errorf("got %d from the API at the metrics' address", code)
			}
			server.end(syscall.SIGTERM)
			if code := server.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("it ended with %d: %s", code, server.stderr)
			}
		})
	}
}
