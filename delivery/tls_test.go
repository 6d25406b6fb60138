package delivery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	a := authority{key: newKey(t)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for name that is valid until end.
func (a authority) issue(t *testing.T, name string, end time.Time) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotBefore:    time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC),
		NotAfter:     end,
		DNSNames:     []string{name},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// secure lets a peer speak TLS before it answers with text.
func secure(config *tls.Config, text string) func(net.Conn) {
	return func(conn net.Conn) {
		conn = tls.Server(conn, config)
		buf := make([]byte, 64<<10)
		if _, err := conn.Read(buf); err == nil {
			io.WriteString(conn, text)
		}
		conn.Close()
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	ours, stranger := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	good := ours.issue(t, "receiver.example", soon)
	with := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	old := with(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	wantsClient := with(good)
	wantsClient.ClientAuth = tls.RequireAnyClientCert
	wantsClient12 := wantsClient.Clone()
	wantsClient12.MaxVersion = tls.VersionTLS12
	for _, test := range []struct {
		name    string
		serve   func(net.Conn)
		outcome webhook.Outcome
		detail  string
	}{
		{"good", secure(with(good), ok), webhook.OutcomeDelivered, ""},
		{"expired", secure(with(ours.issue(t, "receiver.example", time.Date(2021, 3, 4, 0, 0, 0, 0, time.UTC))), ok),
			webhook.OutcomeTLSFailed, "the certificate is valid from 2020-01-02 to 2021-03-04 only"},
		{"for another name", secure(with(ours.issue(t, "other.example", soon)), ok),
			webhook.OutcomeTLSFailed, "the certificate is not for receiver.example"},
		{"unknown authority", secure(with(stranger.issue(t, "receiver.example", soon)), ok),
			webhook.OutcomeTLSFailed, "the certificate is signed by an unknown authority"},
		{"TLS 1.1", secure(old, ok), webhook.OutcomeTLSFailed, "the receiver refused the handshake: protocol version not supported"},
		{"wants our certificate", secure(wantsClient, ok), webhook.OutcomeTLSFailed, "the receiver refused the handshake: certificate required"},
		{"wants our certificate, TLS 1.2", secure(wantsClient12, ok), webhook.OutcomeTLSFailed, "the receiver refused the handshake: handshake failure"},
		{"plain HTTP", says("HTTP/1.1 400 Bad Request\r\n\r\n"), webhook.OutcomeTLSFailed, "the receiver does not speak TLS on this port"},
		{"closes", func(conn net.Conn) { conn.Read(make([]byte, 4096)) }, webhook.OutcomeTLSFailed, "connection closed by the receiver during the TLS handshake"},
		{"resets", func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			conn.(*net.TCPConn).SetLinger(0)
		}, webhook.OutcomeTLSFailed, "connection reset by peer during the TLS handshake"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := listen(t, test.serve)
			_, port, _ := net.SplitHostPort(p.Addr().String())
			e := devEngine()
			e.Client.RootCAs, e.Client.Lookup = ours.pool(), answers("127.0.0.1")
			x, _ := e.attempt(t.Context(), postWebhook("https://receiver.example:"+port+"/hooks"), testMessage())
			if x.Outcome != test.outcome || x.Detail != test.detail {
				t.Errorf("got %s (%s), want %s (%s)", x.Outcome, x.Detail, test.outcome, test.detail)
			}
			if test.outcome == webhook.OutcomeDelivered && x.Timing.TLS <= 0 {
				t.Errorf("the handshake took %s", x.Timing.TLS)
			}
		})
	}
}

// Go's server tells who speaks plain HTTP to it so in an answer; others send an alert.
func TestPlainHTTPToATLSPort(t *testing.T) {
	t.Parallel()
	p := listenHTTP(t, says("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"))
	x, got := devEngine().attempt(t.Context(), postWebhook(p.url()), testMessage())
	if !strings.Contains(got, "begin the URL with `https://`") {
		t.Errorf("after an answer: %s", got)
	}
	cert := newAuthority(t).issue(t, "receiver.example", time.Now().Add(time.Hour))
	p = listen(t, secure(&tls.Config{Certificates: []tls.Certificate{cert}}, ""))
	x = try(t, postWebhook(p.url()))
	if x.Outcome != webhook.OutcomeMalformed && x.Outcome != webhook.OutcomeReset { // the reset may overtake the alert
		t.Errorf("after an alert: got %s (%s), want MALFORMED or RESET", x.Outcome, x.Detail)
	}
}

// The safe default, all the way: a public address over https.
func TestZeroEngineSendsToPublicAddresses(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	p := listen(t, secure(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "receiver.example", time.Now().Add(time.Hour))}}, "HTTP/1.1 200 OK\r\n\r\n"))
	e := &Engine{Client: Client{RootCAs: ca.pool(), Lookup: answers("93.184.216.34"), Dial: leadTo(p)}}
	if x, _ := e.attempt(t.Context(), postWebhook("https://receiver.example/"), testMessage()); x.Outcome != webhook.OutcomeDelivered {
		t.Errorf("got %s (%s), want DELIVERED", x.Outcome, x.Detail)
	}
	if x, _ := e.attempt(t.Context(), postWebhook("http://receiver.example/"), testMessage()); x.Outcome != webhook.OutcomeBlocked {
		t.Errorf("over http: got %s, want BLOCKED", x.Outcome)
	}
}
