package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hookql/hookql/db"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/internal/webhook"
)

// BenchmarkPage reads a page of 25 webhooks with 10 fields, as a dashboard
// does: from the program over HTTP, and the same rows with the same SQL from a
// bare HTTP server that writes them by encoding/json. Both in turn, from 16
// connections, with PostgreSQL and the clients on the same processors.
func BenchmarkPage(b *testing.B) {
	url := pgtest.URL(b)
	env := append(os.Environ(), "HOOKQL_ADDR=127.0.0.1:0", "HOOKQL_DEV=true", "HOOKQL_MASTER_KEY="+pgtest.MasterKey.Text(), "DATABASE_URL="+url)
	server, err := start(env, "hookql")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.end(syscall.SIGKILL) })
	store, err := db.Open(b.Context(), url, pgtest.MasterKey)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	workspaceID := fillPage(b, store)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slice, err := store.Webhooks(r.Context(), workspaceID, webhook.Filter{}, webhook.Order{By: webhook.OrderByCreatedAt}, webhook.Page{Limit: 25})
		if err == nil {
			err = json.NewEncoder(w).Encode(slice.Items)
		}
		if err != nil {
			slog.Error("page", "error", err)
		}
	}))
	b.Cleanup(bare.Close)
	page := abuse{Query: pieces(`{ webhooks(first: 25) { nodes { id uid name url events active status method timeoutMs createdAt } } }`)}
	var ours, theirs int
	const round = 2 * time.Second
	for b.Loop() {
		ours += requests(b, page, server.url, round)
		theirs += requests(b, page, bare.URL, round)
	}
	seconds := round.Seconds() * float64(b.N)
	b.ReportMetric(float64(ours)/seconds, "pages/s")
	b.ReportMetric(float64(theirs)/seconds, "bare-pages/s")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
}

// fillPage registers 25 webhooks in the default workspace.
func fillPage(b *testing.B, store *db.DB) (workspaceID string) {
	b.Helper()
	workspaceID, err := store.EnsureWorkspace(b.Context(), defaultWorkspace)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 25 {
		now := webhook.Now()
		w := &webhook.Webhook{
			ID: webhook.NewID(webhook.WebhookPrefix), UID: "w" + strconv.Itoa(i), Name: "Webhook " + strconv.Itoa(i),
			URL: "https://example.com/hooks/" + strconv.Itoa(i), Events: []string{"job.status", "order.*"},
			StatusReason: webhook.ReasonOwner, StatusChangedAt: now, Method: webhook.MethodPost, PayloadFormat: webhook.FormatEnvelope,
			Signing: webhook.SigningStandard, Secret: webhook.NewSecret(), TimeoutMs: 15_000, RetryPolicy: webhook.DefaultRetryPolicy(),
			Metadata: []byte("{}"), Version: 1, CreatedAt: now, UpdatedAt: now,
		}
		if _, err := store.InsertWebhook(b.Context(), workspaceID, w, webhook.Idempotency{}); err != nil {
			b.Fatal(err)
		}
	}
	return workspaceID
}

// requests counts how many answers 16 connections get in a time.
func requests(b *testing.B, a abuse, url string, long time.Duration) (total int) {
	b.Helper()
	const connections = 16
	counts := make([]int, connections)
	end := time.Now().Add(long)
	var clients sync.WaitGroup
	for i := range connections {
		clients.Go(func() {
			client := &http.Transport{}
			defer client.CloseIdleConnections()
			for time.Now().Before(end) {
				r, err := a.request(url)
				if err != nil {
					b.Error(err)
					return
				}
				response, err := client.RoundTrip(r)
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					b.Errorf("%d, %v", response.StatusCode, err)
					return
				}
				counts[i]++
			}
		})
	}
	clients.Wait()
	for _, n := range counts {
		total += n
	}
	return total
}
