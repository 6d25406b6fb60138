package db

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

// ReadBackExchanges writes exchanges as attempts keep them, and reads them.
func ReadBackExchanges(t *testing.T) {
	for name, x := range map[string]webhook.Exchange{
		"answered": {
			Detail: "the answer's body broke off",
			Timing: webhook.Timing{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 4 * time.Microsecond, ConnectionReused: true},
			Request: webhook.Request{Method: "POST", URL: "https://example.com/?a=<b>",
				Headers: []webhook.Header{{Name: "Host", Value: "example.com"}, {Name: "X", Value: `"quotes"`}}, BodySize: 12},
			Response: &webhook.Response{StatusCode: 200, StatusText: "OK", Headers: []webhook.Header{{Name: "A", Value: "\u20ac"}}, BodyTruncated: true},
		},
		"not answered": {Detail: "connection refused", Request: webhook.Request{Method: "GET", URL: "http://localhost", Headers: []webhook.Header{}}},
	} {
		record, err := attemptRecord(&x)
		if err != nil {
			t.Fatal(err)
		}
		x.Outcome, x.StartedAt, x.Timing.Total = webhook.OutcomeRejected, webhook.Now(), 5*time.Second
		got, err := attemptRow{Outcome: x.Outcome, StartedAt: x.StartedAt, Total: x.Timing.Total.Microseconds(), Exchange: record}.attempt()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x, got.Exchange); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
	record, err := attemptRecord(&webhook.Exchange{Detail: "\x00\xff", Response: &webhook.Response{StatusText: "\x00", Headers: []webhook.Header{{Name: "A\x00", Value: "\xff"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"detail":"��","request":{"method":"","url":"","headers":null,"bodySize":0},"timing":{"dnsUs":0,"connectUs":0,"tlsUs":0,"firstByteUs":0,"connectionReused":false},`+
		`"response":{"status":0,"text":"�","headers":[{"name":"A\u0000","value":"\ufffd"}],"truncated":false}}`, string(record)); diff != "" {
		t.Errorf("what is no text (-want +got):\n%s", diff)
	}
}
