package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

func TestSentence(t *testing.T) {
	t.Parallel()
	answer := func(code int, text string, headers ...webhook.Header) *webhook.Response {
		return &webhook.Response{StatusCode: code, StatusText: text, Headers: headers}
	}
	for _, test := range []struct {
		name     string
		outcome  webhook.Outcome
		detail   string
		url      string
		response *webhook.Response
		want     string
	}{
		{"delivered", webhook.OutcomeDelivered, "", "", answer(200, "OK"), "Answered 200 OK in 12 ms."},
		{"no reason phrase", webhook.OutcomeDelivered, "", "", answer(202, ""), "Answered 202 Accepted in 12 ms."},
		{"body broke off", webhook.OutcomeDelivered, "connection reset by peer in the middle of the answer's body", "", answer(200, "OK"), "Answered 200 OK in 12 ms. But connection reset"},
		{"400", webhook.OutcomeRejected, "", "", answer(400, "Bad Request"), "Answered 400 Bad Request. The receiver could not read the request"},
		{"401", webhook.OutcomeRejected, "", "", answer(401, "Unauthorized"), "verifies the signature with this webhook's secret"},
		{"403", webhook.OutcomeRejected, "", "", answer(403, "Forbidden"), "verifies the signature"},
		{"404", webhook.OutcomeRejected, "", "", answer(404, "Not Found"), "correct the path"},
		{"405", webhook.OutcomeRejected, "", "", answer(405, "Method Not Allowed"), "does not take POST"},
		{"410", webhook.OutcomeRejected, "", "", answer(410, "Gone"), "gone for good"},
		{"413", webhook.OutcomeRejected, "", "", answer(413, ""), "takes no request of 24 bytes"},
		{"415", webhook.OutcomeRejected, "", "", answer(415, ""), "`application/json`"},
		{"422", webhook.OutcomeRejected, "", "", answer(422, ""), "Answered 422 Unprocessable Entity. Let the receiver answer 2xx"},
		{"429", webhook.OutcomeRejected, "", "", answer(429, ""), "rate limit"},
		{"500", webhook.OutcomeRejected, "", "", answer(500, ""), "look into its log"},
		{"599", webhook.OutcomeRejected, "", "", answer(599, ""), "Answered 599. The receiver failed"},
		{"301", webhook.OutcomeRedirected, "", "", answer(301, "Moved", webhook.Header{Name: "Location", Value: "https://new.example/"}), "Answered 301 Moved to https://new.example/. Redirects are not followed; set the webhook's URL to the final address."},
		{"304", webhook.OutcomeRedirected, "", "", answer(304, ""), "Answered 304 Not Modified. Only 2xx means"},
		{"nobody listens", webhook.OutcomeRefused, "connection refused", "http://127.0.0.1:9/hooks", nil, "Nobody listens on 127.0.0.1:9. Start your receiver or correct the port."},
		{"nobody listens on IPv6", webhook.OutcomeRefused, "connection refused", "https://[::1]/", nil, "Nobody listens on [::1]:443."},
		{"no route", webhook.OutcomeRefused, "no route to host", "https://a.example/", nil, "No connection to a.example:443: no route to host."},
		{"no such host", webhook.OutcomeUnresolved, "no such host", "https://a.example/", nil, "The host of a.example:443 was not found: no such host."},
		{"slow", webhook.OutcomeTimedOut, "no answer came within 15 s", "", nil, "Timed out: no answer came within 15 s. Answer 2xx first"},
		{"slow connection", webhook.OutcomeTimedOut, "no connection was made within 5 s", "", nil, "no firewall drops the packets"},
		{"slow handshake", webhook.OutcomeTimedOut, "the TLS handshake did not finish within 5 s", "", nil, "speaks TLS on this port"},
		{"slow lookup", webhook.OutcomeTimedOut, "the host name was not resolved within 15 s", "", nil, "Check the name servers"},
		{"expired", webhook.OutcomeTLSFailed, "the certificate is valid from 2020-01-02 to 2021-03-04 only", "https://a.example/", nil, "No TLS with a.example:443: the certificate is valid from 2020-01-02 to 2021-03-04 only. Renew the certificate."},
		{"wrong name", webhook.OutcomeTLSFailed, "the certificate is not for a.example", "", nil, "certificate for this name"},
		{"unknown authority", webhook.OutcomeTLSFailed, "the certificate is signed by an unknown authority", "", nil, "intermediate certificates"},
		{"no TLS", webhook.OutcomeTLSFailed, "the receiver does not speak TLS on this port", "", nil, "begin the URL with `http://`"},
		{"an alert", webhook.OutcomeTLSFailed, "the receiver refused the handshake: protocol version not supported", "", nil, "TLS 1.2 or newer"},
		{"a client certificate is wanted", webhook.OutcomeTLSFailed, "the receiver refused the handshake: certificate required", "", nil, "do not ask for one"},
		{"reset", webhook.OutcomeReset, "connection reset by peer", "", nil, "No answer: connection reset by peer. The receiver took the connection and dropped it"},
		{"not HTTP", webhook.OutcomeMalformed, `the answer begins with "SSH-2.0", which is not HTTP/1.1`, "", nil, "Check that the port is that of an HTTP server."},
		{"TLS instead", webhook.OutcomeMalformed, "the receiver speaks TLS on this port", "", nil, "Begin the URL with `https://`."},
		{"blocked", webhook.OutcomeBlocked, "HookQL does not send to this address.", "", nil, "Nothing was sent. HookQL does not send to this address."},
		{"canceled", webhook.OutcomeCanceled, "the time for the whole test run was over", "", nil, "Stopped before an answer came: the time for the whole test run was over."},
		{"data cannot be sent", webhook.OutcomeCanceled, "The data must be an object.", "", nil, "Stopped before an answer came: The data must be an object."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.url == "" {
				test.url = "http://receiver.example/"
			}
			got := sentence(&webhook.Exchange{
				Outcome:  test.outcome,
				Detail:   test.detail,
				Timing:   webhook.Timing{Total: 12345 * time.Microsecond},
				Request:  webhook.Request{Method: "POST", URL: test.url},
				Response: test.response,
			})
			if !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if !strings.HasSuffix(got, ".") {
				t.Errorf("%q is no sentence", got)
			}
		})
	}
}

func TestSentenceShortensWhatAReceiverSays(t *testing.T) {
	t.Parallel()
	x := &webhook.Exchange{Outcome: webhook.OutcomeRedirected, Response: &webhook.Response{
		StatusCode: 302, StatusText: strings.Repeat("é", 20000),
		Headers: []webhook.Header{{Name: "Location", Value: strings.Repeat("/a", 10000)}},
	}}
	if got := sentence(x); len(got) > 600 {
		t.Errorf("the sentence has %d bytes", len(got))
	}
}

func TestMillis(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                        "0.0 ms",
		1234 * time.Microsecond:  "1.2 ms",
		12345 * time.Microsecond: "12 ms",
		2 * time.Second:          "2000 ms",
	} {
		if got := millis(d); got != want {
			t.Errorf("millis(%s) = %q, want %q", d, got, want)
		}
	}
}
