package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/webhook"
)

// metrics are what the service tells Prometheus.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	expired  prometheus.Counter
	log      *slog.Logger
}

// newMetrics makes the engine tell what it does, and tells it on with what can
// be seen of the engine and the queue.
func newMetrics(engine *delivery.Engine, store *db.DB, log *slog.Logger) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), log: log}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&queueCollector{depth: store.QueueDepth},
		m.gauge("hookql_deliveries_in_hand", "Deliveries that this process has in hand.", func() int { return engine.Load().InHand }),
		m.gauge("hookql_deliveries_sending", "Requests to webhooks that are under way.", func() int { return engine.Load().Sending }),
		m.gauge("hookql_nodes", "Processes of this database that deliver.", func() int { return engine.Load().Nodes }),
	)
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "hookql_http_request_duration_seconds",
		Help:    "Time to answer requests to the API, by HTTP status.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	}, []string{"code"})
	m.expired = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hookql_deliveries_expired_total",
		Help: "Deliveries that this process removed before they were finished, because their retention was over.",
	})
	m.registry.MustRegister(m.requests, m.expired)
	m.bind(&engine.Metrics)
	return m
}

// bind makes what the engine tells metrics.
func (m *metrics) bind(e *delivery.Metrics) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookql_attempts_total",
		Help: "Requests to webhooks, by their outcome.",
	}, []string{"outcome"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "hookql_attempt_duration_seconds",
		Help:    "Time that requests to webhooks took.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
	})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hookql_queue_errors_total",
		Help: "Writes to the queue that failed, which are tried again but for those of requests.",
	}, []string{"step"})
	m.registry.MustRegister(attempts, took, failed)
	// All are there from the beginning on, so that the first one shows as an increase.
	for _, outcome := range webhook.Outcomes() {
		attempts.WithLabelValues(string(outcome))
	}
	for _, step := range []delivery.Step{delivery.StepIngest, delivery.StepClaim, delivery.StepSettle} {
		failed.WithLabelValues(string(step))
	}
	e.Attempted = func(outcome webhook.Outcome, d time.Duration) {
		attempts.WithLabelValues(string(outcome)).Inc()
		took.Observe(d.Seconds())
	}
	e.Failed = func(s delivery.Step) { failed.WithLabelValues(string(s)).Inc() }
	e.Ingested = m.writes(delivery.StepIngest, "events", "published events")
	e.Claimed = m.writes(delivery.StepClaim, "deliveries", "took deliveries in hand")
	e.Settled = m.writes(delivery.StepSettle, "deliveries", "recorded what became of deliveries")
}

// owed counts deliveries that retention removed before they were finished.
func (m *metrics) owed(n int64) { m.expired.Add(float64(n)) }

// writes are two histograms of writes to the queue: how long they took and how
// much they wrote.
func (m *metrics) writes(step delivery.Step, of, did string) func(n int, took time.Duration) {
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    fmt.Sprintf("hookql_%s_duration_seconds", step),
		Help:    "Time of a write that " + did + ".",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
	})
	size := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    fmt.Sprintf("hookql_%s_batch_%s", step, of),
		Help:    "How many " + of + " were in a write that " + did + ".",
		Buckets: prometheus.ExponentialBuckets(1, 4, 7),
	})
	m.registry.MustRegister(took, size)
	return func(n int, d time.Duration) {
		took.Observe(d.Seconds())
		size.Observe(float64(n))
	}
}

func (m *metrics) gauge(name, help string, value func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

// handler answers Prometheus. What cannot be told is left out and logged.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError,
		Timeout:       2 * scrapeTime,
	})
}

// watch tells how long the API takes to answer.
func (m *metrics) watch(api http.Handler) http.Handler {
	return promhttp.InstrumentHandlerDuration(m.requests, api)
}

// serve answers Prometheus on a listener of its own, until ctx is done.
func (m *metrics) serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

const (
	// scrapeTime is how long the database has to say what waits.
	scrapeTime = 2 * time.Second
	// depthPeriod is how long what it said counts, however often it is asked for.
	depthPeriod = 5 * time.Second
)

// queueCollector tells what waits in the queue.
type queueCollector struct {
	depth func(context.Context) (webhook.QueueDepth, error)

	mu   sync.Mutex
	last webhook.QueueDepth
	err  error
	at   time.Time
}

var (
	waitingDesc = prometheus.NewDesc("hookql_deliveries_waiting",
		fmt.Sprintf("Deliveries that wait in the database: due, later, or parked. Counted up to %d each.", webhook.MaxQueueDepth), []string{"state"}, nil)
	oldestDesc = prometheus.NewDesc("hookql_oldest_due_seconds", "For how long the oldest delivery has been due that no process has in hand.", nil, nil)
)

// Describe implements prometheus.Collector.
func (q *queueCollector) Describe(all chan<- *prometheus.Desc) {
	all <- waitingDesc
	all <- oldestDesc
}

// Collect implements prometheus.Collector.
func (q *queueCollector) Collect(all chan<- prometheus.Metric) {
	depth, err := q.read()
	if err != nil {
		all <- prometheus.NewInvalidMetric(waitingDesc, err)
		return
	}
	for state, n := range map[string]int{"due": depth.Due, "later": depth.Later, "parked": depth.Parked} {
		all <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(n), state)
	}
	all <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, depth.OldestDue.Seconds())
}

// read asks the database, but not again and again.
func (q *queueCollector) read() (webhook.QueueDepth, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.at) < depthPeriod {
		return q.last, q.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	q.last, q.err = q.depth(ctx)
	q.at = time.Now()
	return q.last, q.err
}
