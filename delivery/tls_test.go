package delivery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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

func newAuthority(t testing.TB) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test authority"},
		DNSNames:              []string{"receiver.example"}, // for it to show its own certificate
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

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for name that is valid until end.
func (a authority) issue(t testing.TB, name string, end time.Time) tls.Certificate {
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

// listenTLS is listenHTTP over TLS, trusted by roots.
func listenTLS(t testing.TB, roots *x509.CertPool, config *tls.Config, answer func(net.Conn)) *peer {
	t.Helper()
	p := listenOver(t, func(conn net.Conn) net.Conn { return tls.Server(conn, config) }, answer)
	p.roots = roots
	return p
}

// own is the authority's certificate, signed by itself.
func (a authority) own() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}
}

// with is a TLS server that shows a certificate.
func with(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// upTo is one that speaks TLS up to a version.
func upTo(version uint16, cert tls.Certificate) *tls.Config {
	config := with(cert)
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, version
	return config
}

// asking is one that wants the client's certificate too.
func asking(version uint16, cert tls.Certificate) *tls.Config {
	config := upTo(version, cert)
	config.ClientAuth = tls.RequireAnyClientCert
	return config
}

// speaking is one that speaks a single protocol over TLS.
func speaking(protocol string, cert tls.Certificate) *tls.Config {
	config := with(cert)
	config.NextProtos = []string{protocol}
	return config
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
	p = listenTLS(t, nil, with(cert), says(""))
	x = try(t, postWebhook(p.url()))
	if x.Outcome != webhook.OutcomeMalformed && x.Outcome != webhook.OutcomeReset { // the reset may overtake the alert
		t.Errorf("after an alert: got %s (%s), want MALFORMED or RESET", x.Outcome, x.Detail)
	}
}

// The safe default, all the way: a public address over https.
func TestZeroEngineSendsToPublicAddresses(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.issue(t, "receiver.example", time.Now().Add(time.Hour))
	p := listenTLS(t, ca.pool(), with(cert), says("HTTP/1.1 200 OK\r\n\r\n"))
	e := &Engine{Client: Client{RootCAs: p.roots, Lookup: answers("93.184.216.34"), Dial: leadTo(p)}}
	if x, _ := e.attempt(t.Context(), postWebhook("https://receiver.example/"), testMessage()); x.Outcome != webhook.OutcomeDelivered || x.Timing.TLS <= 0 {
		t.Errorf("got %s (%s) after a handshake of %s, want DELIVERED", x.Outcome, x.Detail, x.Timing.TLS)
	}
	if x, _ := e.attempt(t.Context(), postWebhook("http://receiver.example/"), testMessage()); x.Outcome != webhook.OutcomeBlocked {
		t.Errorf("over http: got %s, want BLOCKED", x.Outcome)
	}
}
