package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

// receive serves a receiver for the length of a test.
func receive(t *testing.T, r *webhooktest.Receiver) string {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}

func payloads(names ...string) []Payload {
	list := make([]Payload, len(names))
	for i, name := range names {
		list[i] = Payload{EventName: name, Data: json.RawMessage(`{"n":` + fmt.Sprint(i) + `}`)}
	}
	return list
}

// test runs a plan that is not kept.
func test(t *testing.T, e *Engine, w *webhook.Webhook, list []Payload) (*webhook.TestRun, []webhook.Test) {
	t.Helper()
	run, results, err := e.Test(t.Context(), Plan{Webhook: w, Payloads: list})
	if err != nil {
		t.Fatal(err)
	}
	return run, results
}

func TestRun(t *testing.T) {
	t.Parallel()
	answer, err := webhooktest.Script("b:500")
	if err != nil {
		t.Fatal(err)
	}
	receiver := &webhooktest.Receiver{Answer: answer}
	w := postWebhook(receive(t, receiver))
	run, results := test(t, devEngine(), w, payloads("a", "b", "c"))

	if run.Status != webhook.TestRunFinished || run.TestsTotal != 3 || run.TestsSucceeded != 2 || run.TestsFailed != 1 {
		t.Errorf("got %+v, want 3 tests, 2 succeeded, 1 failed, FINISHED", run)
	}
	if *run.WebhookID != "wh_1" || run.WorkspaceID != "ws_1" || run.URL != w.URL || run.FinishedAt.Before(run.StartedAt) {
		t.Errorf("got %+v, want the webhook's", run)
	}
	for i, want := range []struct {
		name    string
		verdict webhook.Verdict
		outcome webhook.Outcome
		message string
	}{
		{"a", webhook.VerdictPass, webhook.OutcomeDelivered, "Answered 200 OK in"},
		{"b", webhook.VerdictFail, webhook.OutcomeRejected, "Answered 500 Internal Server Error."},
		{"c", webhook.VerdictPass, webhook.OutcomeDelivered, "Answered 200 OK in"},
	} {
		got := results[i]
		if got.EventName != want.name || got.Verdict != want.verdict || got.Outcome() != want.outcome || !strings.HasPrefix(got.Message, want.message) {
			t.Errorf("result %d: got %+v, want %+v", i, got, want)
		}
		if got.RunID != run.ID || got.Scenario != webhook.ScenarioValid || webhook.PrefixOf(got.ID) != webhook.TestPrefix {
			t.Errorf("result %d: got %+v", i, got)
		}
	}
	if !slices.IsSortedFunc(results, func(a, b webhook.Test) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("the ids are not in the order of the payloads")
	}
	arrived := receiver.Requests()
	if len(arrived) != 3 {
		t.Fatalf("%d requests arrived, want 3", len(arrived))
	}
	for _, r := range arrived {
		var body struct {
			LiveMode  bool
			MessageID string
		}
		if err := json.Unmarshal(r.Body, &body); err != nil || body.LiveMode || webhook.PrefixOf(body.MessageID) != webhook.TestPrefix {
			t.Errorf("got body %s, want that of a test", r.Body)
		}
	}
}

// What is recorded is what arrives, and the official library accepts it.
func TestRecordedSignedAndSentAreTheSame(t *testing.T) {
	t.Parallel()
	lib, err := standardwebhooks.NewWebhook(string(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(w *webhook.Webhook)
	}{
		{"envelope", func(*webhook.Webhook) {}},
		{"standard", func(w *webhook.Webhook) { w.PayloadFormat = webhook.FormatStandard }},
		{"data", func(w *webhook.Webhook) { w.PayloadFormat = webhook.FormatData }},
		{"GET", func(w *webhook.Webhook) {
			w.Method, w.PayloadFormat = webhook.MethodGet, webhook.FormatData
			w.URL += "/path?token=a+b%20c"
		}},
		{"custom headers", func(w *webhook.Webhook) {
			w.Headers = []webhook.Header{{Name: "X-Tenant", Value: "a, b"}, {Name: "Authorization", Value: "Bearer t"}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			receiver := &webhooktest.Receiver{Secrets: func(context.Context, string) ([]string, error) {
				return []string{string(testSecret)}, nil
			}}
			w := postWebhook(receive(t, receiver))
			c.change(w)
			data := json.RawMessage(`{"a":"<&> é\u2028","n":12345678901234567890.10}`)
			_, results := test(t, devEngine(), w, []Payload{{EventName: "job.status", Data: data}})
			sent := results[0].Exchanges[0].Request
			got := receiver.Requests()[0]

			if got.Method != sent.Method || got.URL != sent.URL || string(got.Body) != string(sent.Body) {
				t.Errorf("arrived as %s %s %q\nrecorded as %s %s %q", got.Method, got.URL, got.Body, sent.Method, sent.URL, sent.Body)
			}
			header := http.Header{}
			for _, h := range got.Header {
				header.Add(h.Name, h.Value)
			}
			for _, h := range sent.Headers {
				own := slices.ContainsFunc(w.Headers, func(o webhook.Header) bool { return o.Name == h.Name && o.Value == header.Get(h.Name) })
				if h.Name != "Content-Length" && header.Get(h.Name) != h.Value && !(own && h.Value == webhook.Mask) {
					t.Errorf("%s arrived as %q, recorded as %q", h.Name, header.Get(h.Name), h.Value)
				}
			}
			if len(header) > len(sent.Headers) {
				t.Errorf("arrived %v\nrecorded %v", header, sent.Headers)
			}
			content := got.Body
			if w.Method == webhook.MethodGet {
				_, query, _ := strings.Cut(got.URL, "?")
				content = []byte(query)
			}
			if err := lib.Verify(content, header); err != nil {
				t.Errorf("the official library: %v", err)
			}
			if got.Signature.Verdict != webhooktest.Valid {
				t.Errorf("our receiver: %+v", got.Signature)
			}
			if header.Get("hookql-test") != "true" || header.Get("webhook-id") != results[0].ID || header.Get("User-Agent") != "HookQL/1.2.3" {
				t.Errorf("arrived %v, want the mark and the id of the test", header)
			}
		})
	}
}

func TestGoFetch(t *testing.T) {
	t.Parallel()
	receiver := &webhooktest.Receiver{}
	w := getWebhook(receive(t, receiver))
	test(t, devEngine(), w, []Payload{{EventName: "job_status", Data: json.RawMessage(`{"job_id":"b3131f1d","job_status":"fetcher_approaching_dropoff"}`)}})
	if got, want := receiver.Requests()[0].URL, w.URL+"/?job_id=b3131f1d&job_status=fetcher_approaching_dropoff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnsaved(t *testing.T) {
	t.Parallel()
	w := postWebhook("http://127.0.0.1:9")
	w.ID = ""
	if run, _ := test(t, devEngine(), w, nil); run.WebhookID != nil || run.Status != webhook.TestRunFinished {
		t.Errorf("got %+v, want no webhook and a run that is FINISHED with no tests", run)
	}
}

func TestZeroEngineIsSafe(t *testing.T) {
	t.Parallel()
	p := listen(t, func(net.Conn) { t.Error("a connection was opened") })
	run, results := test(t, new(Engine), postWebhook(p.url()), payloads("a"))
	if run.TestsFailed != 1 || results[0].Outcome() != webhook.OutcomeBlocked {
		t.Errorf("got %+v, want BLOCKED", results[0])
	}
}

func TestDataThatCannotBeSent(t *testing.T) {
	t.Parallel()
	p := listen(t, func(net.Conn) { t.Error("a connection was opened") })
	run, results := test(t, devEngine(), getWebhook(p.url()), []Payload{{EventName: "a", Data: json.RawMessage(`[1]`)}})
	if run.Status != webhook.TestRunFinished || results[0].Outcome() != webhook.OutcomeCanceled || !strings.Contains(results[0].Message, "is a JSON object") {
		t.Errorf("got %+v and %s, want CANCELED in a run that is FINISHED", results[0], run.Status)
	}
}

func TestAtMostEightAtOnce(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	var once sync.Once
	full := make(chan struct{}) // closed by the eighth request at once
	p := listenHTTP(t, func(conn net.Conn) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == testsAtOnce {
			once.Do(func() { close(full) })
		}
		<-full
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	run, _ := test(t, devEngine(), postWebhook(p.url()), payloads(slices.Repeat([]string{"a"}, 30)...))
	if run.TestsSucceeded != 30 || most.Load() != testsAtOnce {
		t.Errorf("got %d succeeded, %d at once; want 30 and %d", run.TestsSucceeded, most.Load(), testsAtOnce)
	}
}

// Ten tests at a receiver that holds eight: two never begin.
func TestTimeForTheRunIsOver(t *testing.T) {
	t.Parallel()
	p := listenHTTP(t, holds(""))
	e := devEngine()
	e.TestTimeout = 300 * time.Millisecond
	begin := time.Now()
	run, results := test(t, e, postWebhook(p.url()), payloads("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"))
	if took := time.Since(begin); took > 4*time.Second { // each of them would take 5 s
		t.Errorf("took %s, want it to end with its time", took)
	}
	if run.Status != webhook.TestRunAborted || run.TestsFailed != 10 || *run.Success() {
		t.Errorf("got %+v, want ABORTED with 10 failed", run)
	}
	for i, r := range results {
		exchanges, message := 1, "Stopped before an answer came: the time for the whole test run was over."
		if i >= testsAtOnce {
			exchanges, message = 0, "Not sent: the time for the whole test run was over before its turn came."
		}
		if r.Outcome() != webhook.OutcomeCanceled || r.Verdict != webhook.VerdictFail || len(r.Exchanges) != exchanges || !strings.HasPrefix(r.Message, message) {
			t.Errorf("result %d: got %+v, want CANCELED, FAIL, %d exchanges, %q", i, r, exchanges, message)
		}
	}
}

func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := listenHTTP(t, func(conn net.Conn) {
		cancel()
		io.Copy(io.Discard, conn)
	})
	run, results, err := devEngine().Test(ctx, Plan{Webhook: postWebhook(p.url()), Payloads: payloads("a")})
	if err != nil {
		t.Fatal(err)
	}
	if run.Status != webhook.TestRunAborted || results[0].Outcome() != webhook.OutcomeCanceled {
		t.Errorf("got %s and %+v, want ABORTED and CANCELED", run.Status, results[0])
	}
}

// A receiver that answers 2xx and breaks off has the event, but is told.
func TestBrokenBodyWarns(t *testing.T) {
	t.Parallel()
	p := listenHTTP(t, says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"))
	run, results := test(t, devEngine(), postWebhook(p.url()), payloads("a"))
	if run.TestsSucceeded != 1 || results[0].Verdict != webhook.VerdictWarn {
		t.Errorf("got %+v, want WARN, which is a success", results[0])
	}
}
