package webhooktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// call sends a request to a handler and returns its answer.
func call(t *testing.T, h http.Handler, method, url string, body io.Reader, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, url, body)
	for name, values := range header {
		req.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestReceiverAnswersAndRemembers(t *testing.T) {
	t.Parallel()
	var r Receiver
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		w := call(t, &r, method, "http://x.example/a%20b?c=d", strings.NewReader("body of "+method), http.Header{"X-B": {"1", "0"}, "X-A": {""}})
		if w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("%s: got %d %q, want 200 and no body", method, w.Code, w.Body)
		}
		got := r.Requests()[0]
		if got.Method != method || got.URL != "http://x.example/a%20b?c=d" || string(got.Body) != "body of "+method || got.Truncated {
			t.Errorf("%s: got %+v", method, got)
		}
		if want := "[{Host x.example} {X-A } {X-B 1} {X-B 0}]"; fmt.Sprint(got.Header) != want {
			t.Errorf("%s: got headers %v, want %s", method, got.Header, want)
		}
		if got.Signature.Verdict != Unsigned || time.Since(got.ReceivedAt) > time.Minute {
			t.Errorf("%s: got %+v at %s, want unsigned, now", method, got.Signature, got.ReceivedAt)
		}
	}
}

func TestReceiverLimits(t *testing.T) {
	t.Parallel()
	var many Receiver
	for i := range MaxRequests + 5 {
		call(t, &many, "POST", "/"+strconv.Itoa(i), nil, nil)
	}
	got := many.Requests()
	if len(got) != MaxRequests || !strings.HasSuffix(got[0].URL, "/104") || !strings.HasSuffix(got[len(got)-1].URL, "/5") {
		t.Errorf("got %d requests from %s to %s, want 100 from /104 to /5", len(got), got[0].URL, got[len(got)-1].URL)
	}
	var large Receiver
	for range 10 {
		call(t, &large, "POST", "/", bytes.NewReader(make([]byte, MaxBody+1)), http.Header{"Webhook-Signature": {"v1,x"}})
	}
	got = large.Requests()
	if len(got) != MaxBodies/MaxBody || len(got[0].Body) != MaxBody || !got[0].Truncated || got[0].Signature.Verdict != Unknown {
		t.Errorf("got %d requests with %d bytes, cut %t, %s; want 8 with 1 MiB, cut, unknown", len(got), len(got[0].Body), got[0].Truncated, got[0].Signature.Verdict)
	}
}

func TestReceiverJudgesSignatures(t *testing.T) {
	t.Parallel()
	sign := func(content string) http.Header { return signNow(t, content) }
	secrets := func(list ...string) func(context.Context, string) ([]string, error) {
		return func(_ context.Context, url string) ([]string, error) {
			if !strings.HasPrefix(url, "http://x.example/hook") {
				return nil, nil
			}
			return list, nil
		}
	}
	for _, test := range []struct {
		name, method, url, body string
		secrets                 func(context.Context, string) ([]string, error)
		header                  http.Header
		want                    Verdict
	}{
		{"valid", "POST", "http://x.example/hook", "{}", secrets(secret), sign("{}"), Valid},
		{"by the second secret", "POST", "http://x.example/hook", "{}", secrets("another", secret), sign("{}"), Valid},
		{"GET signs its query", "GET", "http://x.example/hook?a=b%20c&d", "", secrets(secret), sign("a=b%20c&d"), Valid},
		{"another body", "POST", "http://x.example/hook", "{ }", secrets(secret), sign("{}"), Invalid},
		{"another secret", "POST", "http://x.example/hook", "{}", secrets("another"), sign("{}"), Invalid},
		{"unsigned", "POST", "http://x.example/hook", "{}", secrets(secret), nil, Unsigned},
		{"no webhook has this URL", "POST", "http://x.example/other", "{}", secrets(secret), sign("{}"), Unknown},
		{"nobody knows secrets", "POST", "http://x.example/hook", "{}", nil, sign("{}"), Unknown},
		{"secrets out of reach", "POST", "http://x.example/hook", "{}", func(context.Context, string) ([]string, error) { return nil, errors.New("no") }, sign("{}"), Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := &Receiver{Secrets: test.secrets}
			call(t, r, test.method, test.url, strings.NewReader(test.body), test.header)
			got := r.Requests()[0].Signature
			if got.Verdict != test.want || (got.Reason == "") != (test.want == Valid) {
				t.Errorf("got %+v, want %s", got, test.want)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	r := &Receiver{Answer: func(r Request) Answer {
		return Answer{Status: 302, Header: http.Header{"Location": {"/b"}}, Body: []byte("to " + r.Method), Delay: time.Millisecond}
	}}
	w := call(t, r, "PUT", "/", nil, nil)
	if w.Code != 302 || w.Header().Get("Location") != "/b" || w.Body.String() != "to PUT" {
		t.Errorf("got %d %v %q", w.Code, w.Header(), w.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Answer = func(Request) Answer { return Answer{Delay: time.Hour} }
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil)) // returns, though not answered
}

func TestScript(t *testing.T) {
	t.Parallel()
	answer, err := Script("job.status:500", "*:204")
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int{
		`{"event":"job.status"}`: 500, `{"type":"job.status"}`: 500, `{"type":"other"}`: 204, `[1]`: 204, ``: 204,
	} {
		if got := answer(Request{Body: []byte(body)}).Status; got != want {
			t.Errorf("%s: got %d, want %d", body, got, want)
		}
	}
	if answer, err = Script("a:201:1.5s"); err != nil || answer(Request{Body: []byte(`{"type":"a"}`)}).Delay != 1500*time.Millisecond {
		t.Errorf("a slow answer: %v", err)
	}
	if answer, err = Script(); err != nil || answer(Request{}).Status != 0 {
		t.Errorf("no rules: got %v, want the default", err)
	}
	for _, rule := range []string{"", "a:b:201", "job.status", "job.status:", "job.status:99", "job.status:600", "a:200:", "a:200:3"} {
		if _, err := Script(rule); err == nil {
			t.Errorf("rule %q: got nil, want an error", rule)
		}
	}
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	var r Receivers
	mux := http.NewServeMux()
	mux.Handle("/receiver/", http.StripPrefix("/receiver/", &r))
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/receiver/acme", 200},
		{"GET", "/receiver/acme?a=b", 200},
		{"GET", "/receiver/acme/requests", 200},
		{"POST", "/receiver/acme/requests", 405},
		{"GET", "/receiver/acme/other", 404},
		{"GET", "/receiver/acme/a/requests", 404},
		{"GET", "/receiver/", 404},
		{"GET", "/receiver/requests", 200}, // a name as good as any
		{"POST", "/receiver/a%20b", 404},
		{"POST", "/receiver/" + strings.Repeat("a", 64), 200},
		{"POST", "/receiver/" + strings.Repeat("a", 65), 404},
	} {
		if w := call(t, mux, test.method, test.path, strings.NewReader("\xff"), nil); w.Code != test.want {
			t.Errorf("%s %s: got %d, want %d", test.method, test.path, w.Code, test.want)
		}
	}
	w := call(t, mux, "GET", "/receiver/acme/requests", nil, nil)
	var shown struct {
		Name     string
		Requests []struct {
			Method, URL, Body string
			BodyBase64        []byte
			Headers           []Header
			Signature         Signature
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.Name != "acme" || len(shown.Requests) != 2 {
		t.Fatalf("got %s", w.Body)
	}
	newest := shown.Requests[0]
	if newest.Method != "GET" || newest.URL != "http://example.com/receiver/acme?a=b" || newest.Signature.Verdict != Unsigned || string(newest.BodyBase64) != "\xff" {
		t.Errorf("got %+v, want the GET first, with its URL as called", newest)
	}
	if w := call(t, mux, "GET", "/receiver/nobody/requests", nil, nil); !strings.Contains(w.Body.String(), `"requests": []`) {
		t.Errorf("of a name that got nothing: %s", w.Body)
	}
}

func TestReceiversForgetNames(t *testing.T) {
	t.Parallel()
	var r Receivers
	for i := range MaxReceivers + 1 {
		call(t, &r, "POST", "/n"+strconv.Itoa(i), nil, nil)
		call(t, &r, "POST", "/kept", nil, nil)
	}
	if len(r.Requests("n0")) != 0 || len(r.Requests("n1")) != 0 || len(r.Requests("n2")) != 1 || len(r.Requests("kept")) != MaxRequests {
		t.Errorf("n1 has %d, n2 has %d, kept has %d; want 0, 1, 100", len(r.Requests("n1")), len(r.Requests("n2")), len(r.Requests("kept")))
	}
}

func TestReceiversAtOnce(t *testing.T) {
	t.Parallel()
	var r Receivers
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			call(t, &r, "POST", "/n"+strconv.Itoa(i%3), strings.NewReader("{}"), nil)
			call(t, &r, "GET", "/n"+strconv.Itoa(i%3)+"/requests", nil, nil)
		})
	}
	calls.Wait()
	if got := len(r.Requests("n0")) + len(r.Requests("n1")) + len(r.Requests("n2")); got != 50 {
		t.Errorf("got %d requests, want 50", got)
	}
}

// A strict receiver takes what verifies and nothing else.
func TestStrict(t *testing.T) {
	t.Parallel()
	receivers := &Receivers{Secrets: func(context.Context, string) ([]string, error) { return []string{secret}, nil }}
	for _, test := range []struct {
		name, method, body string
		header             http.Header
		want               int
	}{
		{"correct", "POST", "{}", signNow(t, "{}"), 200},
		{"correct GET", "GET", "", signNow(t, ""), 200},
		{"changed", "POST", "{ }", signNow(t, "{}"), 401},
		{"unsigned", "POST", "{}", nil, 401},
		{"no JSON", "POST", "{", signNow(t, "{"), 400},
		{"too large", "POST", strings.Repeat(" ", MaxBody+1), signNow(t, "{}"), 413},
		{"method", "PUT", "{}", signNow(t, "{}"), 405},
	} {
		if got := call(t, receivers, test.method, "http://x.example/strict-one", strings.NewReader(test.body), test.header).Code; got != test.want {
			t.Errorf("%s: answered %d, want %d", test.name, got, test.want)
		}
	}
	if got := call(t, receivers, "POST", "http://x.example/one", strings.NewReader("{}"), nil).Code; got != 200 {
		t.Errorf("one that is not strict answered %d to an unsigned event, want 200", got)
	}
}

// signNow is the header of a request with some content.
func signNow(t *testing.T, content string) http.Header {
	t.Helper()
	lib, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := lib.Sign("evt_1", now, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {unix(now)}, "Webhook-Signature": {signature}}
}
