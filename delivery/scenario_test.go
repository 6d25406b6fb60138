package delivery

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// A correct receiver is not blamed, and with a witness its duplicates pass. The
// faults are in internal/zoo.
func TestConformanceOfACorrectReceiver(t *testing.T) {
	t.Parallel()
	lib, err := standardwebhooks.NewWebhook(string(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	effects := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/witness" {
			mu.Lock()
			defer mu.Unlock()
			io.WriteString(w, strconv.Itoa(effects[r.URL.Query().Get("messageId")]))
			return
		}
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil || r.Method != http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case lib.Verify(body, r.Header) != nil:
			w.WriteHeader(http.StatusUnauthorized)
		case !json.Valid(body):
			w.WriteHeader(http.StatusBadRequest)
		default:
			mu.Lock()
			defer mu.Unlock()
			effects[r.Header.Get("webhook-id")] = 1
		}
	}))
	t.Cleanup(server.Close)
	e, w := devEngine(), postWebhook(server.URL)
	witness := &webhook.Webhook{URL: server.URL + "/witness", Method: webhook.MethodGet, PayloadFormat: webhook.FormatData, Signing: webhook.SigningNone}
	began := time.Now()
	run, results, err := e.Test(t.Context(), Plan{Webhook: w, Payloads: payloads("job.status"), Scenarios: probe.Suite(webhook.SuiteConformance), Witness: witness})
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, r := range results {
		sent += len(r.Exchanges)
		if r.Verdict != webhook.VerdictPass && r.Verdict != webhook.VerdictSkip {
			t.Errorf("%s: %s: %s", r.Scenario, r.Verdict, r.Message)
		}
		if silent := r.Verdict == webhook.VerdictSkip && len(r.Exchanges) == 0; silent != (r.StartedAt == nil) {
			t.Errorf("%s: %s with %d requests began at %v", r.Scenario, r.Verdict, len(r.Exchanges), r.StartedAt)
		}
		t.Logf("%-28s %s %d %s", r.Scenario, r.Verdict, len(r.Exchanges), r.Message)
	}
	if run.Status != webhook.TestRunFinished || !*run.Success() {
		t.Errorf("got %+v", run)
	}
	t.Logf("%d tests, %d requests, %s", len(results), sent, time.Since(began))
}

// A run sends no more than so many requests, whatever is asked of it.
func TestRequestsOfARunAreLimited(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	t.Cleanup(server.Close)
	many := make([]Payload, maxRequests+10)
	for i := range many {
		many[i] = Payload{EventName: "a", Data: json.RawMessage(`{}`)}
	}
	run, results := test(t, devEngine(), postWebhook(server.URL), many)
	if got.Load() != maxRequests || run.TestsFailed != 10 {
		t.Errorf("%d requests arrived, want %d; got %+v", got.Load(), maxRequests, run)
	}
	if last := results[len(results)-1]; last.Verdict == webhook.VerdictFail && !strings.HasPrefix(last.Message, "Stopped before an answer came: a test run sends at most 1000 requests;") {
		t.Errorf("got %q", last.Message)
	}
}

// Nor more than so many bytes, all of which are held until its end.
func TestBytesOfARunAreLimited(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got.Add(n)
	}))
	t.Cleanup(server.Close)
	large := json.RawMessage(`"` + strings.Repeat("x", 250<<10) + `"`)
	many := make([]Payload, maxSent/len(large)+10)
	for i := range many {
		many[i] = Payload{EventName: "a", Data: large}
	}
	run, results := test(t, devEngine(), postWebhook(server.URL), many)
	if got.Load() > maxSent || got.Load() < maxSent-int64(len(large))*2 || run.TestsFailed == 0 {
		t.Errorf("%d bytes arrived, want %d at most; got %+v", got.Load(), maxSent, run)
	}
	if last := results[len(results)-1]; last.Verdict == webhook.VerdictFail && !strings.HasPrefix(last.Message, "Stopped before an answer came: a test run sends at most 64 MiB;") {
		t.Errorf("got %q", last.Message)
	}
}

// A receiver that is gone in the middle of a run is not blamed for each test to
// come: those are skipped.
func TestReceiverGoesInTheMiddle(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if got.Add(1) > 20 {
			_ = server.Listener.Close()
			panic(http.ErrAbortHandler)
		}
	})
	server.Start()
	t.Cleanup(server.Close)
	_, results, err := devEngine().Test(t.Context(), Plan{
		Webhook: postWebhook(server.URL), Payloads: payloads("a"), Scenarios: probe.Suite(webhook.SuiteConformance),
	})
	if err != nil {
		t.Fatal(err)
	}
	unanswered, skipped := 0, 0
	for _, r := range results {
		switch {
		case strings.HasPrefix(r.Message, "Not sent: the receiver gives no answer"):
			skipped++
		case r.Deciding > 0 && r.Exchanges[r.Deciding-1].Response == nil:
			unanswered++
		}
	}
	if unanswered == 0 || unanswered > 2*testsAtOnce || skipped < 10 {
		t.Errorf("%d tests had no answer, %d were skipped: want a few, and the rest", unanswered, skipped)
	}
}
