package resolvers

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/pgtest"
	"github.com/hookql/hookql/webhooktest"
)

const listWebhooks = `{ webhooks { nodes { id } } }`

// locked is an API whose queries for webhooks wait for as long as the test
// runs, and the database that they wait in.
func locked(t *testing.T, o Options) (*bundle, *sql.DB) {
	t.Helper()
	url := pgtest.URL(t)
	b := setupWith(t, url, o)
	own, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close() })
	tx, err := own.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE webhooks IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return b, own
}

// waitForWaiting returns once at least, or with none exactly, that many
// statements wait for a lock.
func waitForWaiting(t *testing.T, own *sql.DB, want func(int) bool) {
	t.Helper()
	for {
		var waiting int
		err := own.QueryRowContext(t.Context(),
			"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND wait_event_type = 'Lock'").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if want(waiting) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func none(n int) bool { return n == 0 }
func some(n int) bool { return n > 0 }

// A client who goes away takes what PostgreSQL does for it along.
func TestStatementEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b, own := locked(t, Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.api.ServeHTTP(w, r.WithContext(auth.WithCaller(r.Context(), b.caller)))
	}))
	t.Cleanup(server.Close)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader(`{"query": "`+listWebhooks+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	gone := make(chan error, 1) // the client's error
	go func() {
		_, err := http.DefaultClient.Do(request)
		gone <- err
	}()
	waitForWaiting(t, own, some)
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	left := time.Now()
	waitForWaiting(t, own, none)
	if took := time.Since(left); took > 3*time.Second { // 1 s is the goal; a machine that tests share takes longer
		t.Errorf("the statement ended %s after its client, want at most 3 s", took)
	}
}

// Every one of many requests that wait is told in time what happened, those
// that wait for a connection to the database too; after that all is as before.
func TestRequestTime(t *testing.T) {
	t.Parallel()
	b, own := locked(t, Options{RequestTime: 300 * time.Millisecond})
	var clients sync.WaitGroup
	for range 200 {
		clients.Go(func() {
			began := time.Now()
			a, _ := b.ask(t, listWebhooks, nil)
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.Timeout {
				t.Errorf("errors = %+v, want one %s", a.Errors, graphqlhttp.Timeout)
			}
			if took := time.Since(began); took > 15*time.Second { // 10 where PostgreSQL misses that it was asked to stop
				t.Errorf("answered after %s", took)
			}
		})
	}
	clients.Wait()
	waitForWaiting(t, own, none)
	b.api = NewHandler(&Resolver{DB: b.db, Engine: &delivery.Engine{}}, Options{})
	var types struct{ EventTypes []struct{ Name string } }
	b.must(t, `{ eventTypes { name } }`, nil, &types)
	if len(types.EventTypes) == 0 {
		t.Error("the API does not answer after the flood")
	}
}

// A request that tests a webhook may take longer than others.
func TestRequestTimeOfTests(t *testing.T) {
	t.Parallel()
	b := setupWith(t, pgtest.URL(t), Options{RequestTime: 200 * time.Millisecond})
	b.receiver.Answer = func(webhooktest.Request) webhooktest.Answer { return webhooktest.Answer{Delay: 400 * time.Millisecond} }
	var got struct {
		TestWebhook struct{ TestRun struct{ Success bool } }
	}
	b.must(t, `mutation($url: URL!) { testWebhook(input: {target: {endpoint: {url: $url, events: ["job.status"]}}}) { testRun { success } userErrors { message } } }`,
		map[string]any{"url": b.url}, &got)
	if !got.TestWebhook.TestRun.Success {
		t.Error("the test did not succeed")
	}
}
