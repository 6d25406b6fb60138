package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
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
		url      string // "": http://receiver.example/
		response *webhook.Response
		err      error
		want     string
	}{
		{"delivered", "", answer(200, "OK"), nil, "Answered 200 OK in 12 ms."},
		{"no reason phrase", "", answer(202, ""), nil, "Answered 202 Accepted in 12 ms."},
		{"body broke off", "", answer(200, "OK"), &failure{phaseBody, syscall.ECONNRESET}, "Answered 200 OK. But connection reset by peer in the middle of the answer's body: complete the body"},
		{"400", "", answer(400, "Bad Request"), nil, "Answered 400 Bad Request. The receiver could not read the request"},
		{"401", "", answer(401, "Unauthorized"), nil, "verifies the signature with this webhook's secret"},
		{"403", "", answer(403, "Forbidden"), nil, "verifies the signature"},
		{"404", "", answer(404, "Not Found"), nil, "correct the path"},
		{"405", "", answer(405, "Method Not Allowed"), nil, "does not take POST"},
		{"410", "", answer(410, "Gone"), nil, "gone for good"},
		{"413", "", answer(413, ""), nil, "takes no request of 24 bytes"},
		{"415", "", answer(415, ""), nil, "`application/json`"},
		{"422", "", answer(422, ""), nil, "Answered 422 Unprocessable Entity. Let the receiver answer 2xx"},
		{"429", "", answer(429, ""), nil, "rate limit"},
		{"500", "", answer(500, ""), nil, "look into its log"},
		{"599", "", answer(599, ""), nil, "Answered 599. The receiver failed"},
		{"301", "", answer(301, "Moved", webhook.Header{Name: "Location", Value: "https://new.example/"}), nil, "Answered 301 Moved to https://new.example/. Redirects are not followed; set the webhook's URL to the final address."},
		{"304", "", answer(304, ""), nil, "Answered 304 Not Modified. Only 2xx means"},
		{"nobody listens", "http://127.0.0.1:9/hooks", nil, &failure{phaseConnect, syscall.ECONNREFUSED}, "Nobody listens on 127.0.0.1:9. Start your receiver or correct the port."},
		{"nobody listens on IPv6", "https://[::1]/", nil, &failure{phaseConnect, syscall.ECONNREFUSED}, "Nobody listens on [::1]:443."},
		{"no route", "https://a.example/", nil, &failure{phaseConnect, syscall.EHOSTUNREACH}, "No connection to a.example:443: no route to host. Check that the host is up"},
		{"no such host", "https://a.example/", nil, &failure{phaseLookup, &net.DNSError{IsNotFound: true}}, "The host of a.example:443 was not found: no such host. Correct the name"},
		{"slow", "", nil, &failure{phaseWait, overdue(15 * time.Second)}, "Timed out: no answer came within 15 s. Answer 2xx first"},
		{"slow connection", "", nil, &failure{phaseConnect, overdue(maxConnect)}, "no firewall drops the packets"},
		{"slow handshake", "", nil, &failure{phaseTLS, overdue(maxTLS)}, "speaks TLS on this port"},
		{"slow lookup", "", nil, &failure{phaseLookup, overdue(15 * time.Second)}, "Check the name servers"},
		{"expired", "https://a.example/", nil, &failure{phaseTLS, x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}}, "No TLS with a.example:443: the certificate is valid from 0001-01-01 to 0001-01-01 only. Renew the certificate."},
		{"wrong name", "", nil, &failure{phaseTLS, x509.HostnameError{Host: "a.example"}}, "certificate for this name"},
		{"unknown authority", "", nil, &failure{phaseTLS, x509.UnknownAuthorityError{}}, "intermediate certificates"},
		{"no TLS", "", nil, &failure{phaseTLS, tls.RecordHeaderError{}}, "begin the URL with `http://`"},
		{"an alert", "", nil, &failure{phaseTLS, &net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")}}, "TLS 1.2 or newer"},
		{"a client certificate is wanted", "", nil, &failure{phaseWait, &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}}, "do not ask for one"},
		{"reset", "", nil, &failure{phaseWait, syscall.ECONNRESET}, "No answer: connection reset by peer. The receiver took the connection and dropped it"},
		{"not HTTP", "", nil, &failure{phaseHead, malformed("not HTTP")}, "No valid answer: not HTTP. Check that the port is that of an HTTP server."},
		{"TLS instead", "", nil, &failure{phaseHead, speaksTLS}, "Begin the URL with `https://`."},
		{"blocked", "", nil, &failure{phaseLookup, errBlocked()}, "Nothing was sent. HookQL does not send to this address."},
		{"canceled", "", nil, &failure{phaseWait, canceled{errTestTimeout}}, "Stopped before an answer came: the time for the whole test run was over."},
		{"data cannot be sent", "", nil, errNoObject(), "Stopped before an answer came: The data of an event"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.url == "" {
				test.url = "http://receiver.example/"
			}
			j := judge(test.response, test.err)
			got := sentence(&webhook.Exchange{
				Outcome:  j.outcome,
				Detail:   j.detail,
				Timing:   webhook.Timing{Total: 12345 * time.Microsecond},
				Request:  webhook.Request{Method: "POST", URL: test.url},
				Response: test.response,
			}, j.advice)
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
	if got := sentence(x, ""); len(got) > 600 {
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
		if got := webhook.Millis(d); got != want {
			t.Errorf("millis(%s) = %q, want %q", d, got, want)
		}
	}
}
