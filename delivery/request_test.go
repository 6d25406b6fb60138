package delivery

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

// The body that is made again of an event is the one that was sent.
func TestBodyIsWhatIsSent(t *testing.T) {
	t.Parallel()
	e := &webhook.Event{ID: "evt_1", Name: "job.status", Data: json.RawMessage(`{"a":1.50}`), OccurredAt: webhook.Now()}
	u, err := url.Parse("https://example.com/hook")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []webhook.PayloadFormat{webhook.FormatEnvelope, webhook.FormatStandard, webhook.FormatData} {
		w := &webhook.Webhook{Method: webhook.MethodPost, PayloadFormat: format, Signing: webhook.SigningNone}
		sent, err := newRequest(w, messageOf(e), u, webhook.Now(), "HookQL")
		if err != nil {
			t.Fatal(err)
		}
		if got := Body(format, e); !bytes.Equal(got, sent.Body) || !bytes.Contains(got, e.Data) {
			t.Errorf("%s: Body = %s, sent %s", format, got, sent.Body)
		}
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	// Bytes that a decoder and an encoder would change.
	data := json.RawMessage(`{"b":1e400,"a":12345678901234567890.10,"a":"<&>","u":"\ud800"}`)
	for _, test := range []struct {
		name   string
		format webhook.PayloadFormat
		live   bool
		want   string
	}{
		{"envelope of a test", webhook.FormatEnvelope, false, `{"event":"job.status","liveMode":false,"messageId":"evt_1","timestamp":"2026-05-04T03:02:01.5Z","body":` + string(data) + `}`},
		{"envelope", webhook.FormatEnvelope, true, `{"event":"job.status","liveMode":true,"messageId":"evt_1","timestamp":"2026-05-04T03:02:01.5Z","body":` + string(data) + `}`},
		{"standard", webhook.FormatStandard, true, `{"type":"job.status","timestamp":"2026-05-04T03:02:01.5Z","data":` + string(data) + `}`},
		{"data", webhook.FormatData, true, string(data)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := &Message{
				ID: "evt_1", EventName: "job.status", Data: data, Live: test.live,
				Timestamp: time.Date(2026, 5, 4, 5, 2, 1, 5e8, time.FixedZone("", 7200)),
			}
			if got := string(payload(test.format, m)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestWithQuery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, url, data, want string
		code                  webhook.Code
	}{
		{"GoFetch", "https://x.example/", `{"job_id":"b3131f1d","job_status":"fetcher_approaching_dropoff"}`, "https://x.example/?job_id=b3131f1d&job_status=fetcher_approaching_dropoff", ""},
		{"the URL's query stays", "https://x.example/h?key=a+b%2f&z", `{"a":"b"}`, "https://x.example/h?key=a+b%2f&z&a=b", ""},
		{"a query that ends open", "https://x.example/?k=1&", `{"a":"b"}`, "https://x.example/?k=1&a=b", ""},
		{"a bare question mark", "https://x.example/?", `{"a":"b"}`, "https://x.example/?a=b", ""},
		{"no members", "https://x.example/?k=1", `{}`, "https://x.example/?k=1", ""},
		{"values", "https://x.example/", `{"s":"","n":-0.10e5,"t":true,"f":false,"no":null}`, "https://x.example/?s=&n=-0.10e5&t=true&f=false", ""},
		{"nested, made compact", "https://x.example/", `{"a": [1, {"b" : "c d"}], "o": {}}`, "https://x.example/?a=%5B1%2C%7B%22b%22%3A%22c%20d%22%7D%5D&o=%7B%7D", ""},
		{"escapes", "https://x.example/", `{"a b&=?#+%":"é/ü \u0000\n"}`, "https://x.example/?a%20b%26%3D%3F%23%2B%25=%C3%A9%2F%C3%BC%20%00%0A", ""},
		{"a name that is taken", "https://x.example/?a=1", `{"a":"b"}`, "", webhook.Invalid},
		{"a name that is taken in escapes", "https://x.example/?%61%20b", `{"a b":"c"}`, "", webhook.Invalid},
		{"a name that is taken by null", "https://x.example/?a=1", `{"a":null}`, "https://x.example/?a=1", ""},
		{"an array", "https://x.example/", `[1]`, "", webhook.Invalid},
		{"a string", "https://x.example/", `"a"`, "", webhook.Invalid},
		{"null", "https://x.example/", `null`, "", webhook.Invalid},
		{"nothing", "https://x.example/", ``, "", webhook.Invalid},
		{"broken off", "https://x.example/", `{"a":`, "", webhook.Invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			got, err := withQuery(u, json.RawMessage(test.data))
			if code := codeOf(t, err); code != test.code {
				t.Fatalf("got error %v, want code %q", err, test.code)
			}
			if err == nil && got.String() != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if u.String() != test.url {
				t.Errorf("the given URL became %s", u)
			}
			w := getWebhook(test.url)
			if err := CheckData(w, json.RawMessage(test.data)); codeOf(t, err) != test.code {
				t.Errorf("CheckData = %v, want code %q", err, test.code)
			}
			w.Method = webhook.MethodPost
			if err := CheckData(w, json.RawMessage(test.data)); (err == nil) != strings.HasPrefix(test.data, "{") {
				t.Errorf("CheckData for POST = %v", err)
			}
		})
	}
}

func TestNewRequest(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 0)
	post := postWebhook("https://example.com:8443/a%20b/../c?x=1")
	post.PayloadFormat = webhook.FormatData
	post.Headers = []webhook.Header{{Name: "X-Zulu", Value: "z"}, {Name: "authorization", Value: "Bearer a"}}
	live := *post
	live.Signing, live.Secret, live.Headers = webhook.SigningNone, "", []webhook.Header{{Name: "accept", Value: "text/plain"}}
	for _, test := range []struct {
		name string
		w    *webhook.Webhook
		live bool
		want string
	}{
		{"POST, signed, a test", post, false, "POST /a%20b/../c?x=1 HTTP/1.1\r\n" +
			"Host: example.com:8443\r\nUser-Agent: HookQL/1\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 13\r\n" +
			"webhook-id: test_1\r\nwebhook-timestamp: 1700000000\r\nwebhook-signature: " + signature(t, at, `{"jobId":"7"}`) + "\r\nhookql-test: true\r\n" +
			"X-Zulu: z\r\nauthorization: Bearer a\r\n\r\n" + `{"jobId":"7"}`},
		{"POST, unsigned, live, own Accept", &live, true, "POST /a%20b/../c?x=1 HTTP/1.1\r\n" +
			"Host: example.com:8443\r\nUser-Agent: HookQL/1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n" +
			"webhook-id: test_1\r\nwebhook-timestamp: 1700000000\r\naccept: text/plain\r\n\r\n" + `{"jobId":"7"}`},
		{"GET", getWebhook("https://example.com"), false, "GET /?jobId=7 HTTP/1.1\r\n" +
			"Host: example.com\r\nUser-Agent: HookQL/1\r\nAccept: */*\r\n" +
			"webhook-id: test_1\r\nwebhook-timestamp: 1700000000\r\nwebhook-signature: " + signature(t, at, "jobId=7") + "\r\nhookql-test: true\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, err := parseURL(test.w.URL)
			if err != nil {
				t.Fatal(err)
			}
			m := testMessage()
			m.Live = test.live
			r, err := newRequest(test.w, m, u, at, "HookQL/1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(r.wire)); diff != "" {
				t.Errorf("wire (-want +got):\n%s", diff)
			}
			sameAsWire(t, r)
		})
	}
}

// sameAsWire checks that the record of a request is what its bytes say.
func sameAsWire(t *testing.T, r *request) {
	t.Helper()
	parsed, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.wire)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(parsed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Method != r.Method || !bytes.Equal(body, r.Body) {
		t.Errorf("wire has %s and body %q, the record %s and %q", parsed.Method, body, r.Method, r.Body)
	}
	if got := "https://" + parsed.Host + parsed.RequestURI; got != r.URL {
		t.Errorf("wire goes to %s, the record says %s", got, r.URL)
	}
	for _, h := range r.Headers {
		if h.Name != "Host" && parsed.Header.Get(h.Name) != h.Value {
			t.Errorf("wire has %s: %q, the record says %q", h.Name, parsed.Header.Get(h.Name), h.Value)
		}
	}
}

// signature is what signs content under the test message's id.
func signature(t *testing.T, at time.Time, content string) string {
	t.Helper()
	return sign(webhook.SigningStandard, testSecret, fmt.Appendf(nil, "test_1.%d.%s", at.Unix(), content))
}

func TestNewRequestWithABrokenSecret(t *testing.T) {
	t.Parallel()
	w := postWebhook("https://example.com/")
	w.Secret = "whsec_!"
	_, err := newRequest(w, testMessage(), &url.URL{Scheme: "https", Host: "example.com"}, time.Now(), "HookQL")
	if code := codeOf(t, err); code != webhook.Invalid {
		t.Errorf("got %v, want code INVALID", err)
	}
}
