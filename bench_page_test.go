package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"slices"
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
// does: from the program over HTTP; the same rows with the same SQL from a bare
// HTTP server that writes them by encoding/json; and an answer of the program
// from a server that has it ready. All three in turn, in many short rounds,
// from 16 connections, with PostgreSQL and the clients on the same processors.
// It reports medians of the rounds, and how the time of a page is shared: what
// the ready answer takes is HTTP, what the bare server takes besides is SQL,
// and what the program takes besides that is GraphQL.
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
	answer := answerTo(b, page, server.url)
	ready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	b.Cleanup(ready.Close)
	if os.Getenv("GOGC") == "" { // the others collect garbage as seldom as the program
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	const round = 250 * time.Millisecond
	var whole, sqlToo, httpAlone []float64 // pages per second
	for b.Loop() {
		whole = append(whole, float64(requests(b, page, server.url, round))/round.Seconds())
		sqlToo = append(sqlToo, float64(requests(b, page, bare.URL, round))/round.Seconds())
		httpAlone = append(httpAlone, float64(requests(b, page, ready.URL, round))/round.Seconds())
	}
	ours, theirs, most := median(whole), median(sqlToo), median(httpAlone)
	b.ReportMetric(ours, "pages/s")
	b.ReportMetric(theirs, "bare-pages/s")
	b.ReportMetric(ours/theirs, "ratio")
	b.ReportMetric(100*ours/most, "http-%")
	b.ReportMetric(100*(ours/theirs-ours/most), "sql-%")
	b.ReportMetric(100*(1-ours/theirs), "graphql-%")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// answerTo is the answer to a request.
func answerTo(b *testing.B, a abuse, url string) []byte {
	b.Helper()
	r, err := a.request(url)
	if err != nil {
		b.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%d %s, %v", response.StatusCode, text, err)
	}
	return text
}

// fillPage registers 25 webhooks in the default workspace.
func fillPage(b *testing.B, store *db.DB) (workspaceID string) {
	b.Helper()
	workspaceID, err := store.EnsureWorkspace(b.Context(), webhook.DefaultWorkspace)
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
