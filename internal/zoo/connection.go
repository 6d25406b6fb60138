package zoo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/netip"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// host is the name of receivers that speak TLS.
const host = "receiver.example"

const day = 24 * time.Hour

// shown is what a server shows of itself in a TLS handshake.
type shown struct {
	config *tls.Config
	leaf   *x509.Certificate // the template of its certificate
	chain  int               // how many certificates it shows
}

// shows is an animal that speaks TLS, with a certificate by the intermediate of
// an authority that is trusted. All is right but for what change does to it.
func shows(name, what, scenario string, verdict webhook.Verdict, change func(*shown)) *Animal {
	return &Animal{Name: name, What: what, Scenario: scenario, Verdict: verdict, listens: func(d *Den) {
		root, rootKey := issue(authority("zoo root"), nil, nil)
		middle, middleKey := issue(authority("zoo intermediate"), root, rootKey)
		s := shown{
			config: &tls.Config{},
			leaf:   &x509.Certificate{DNSNames: []string{host}, NotAfter: time.Now().Add(90 * day), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
			chain:  2,
		}
		change(&s)
		leaf, leafKey := issue(s.leaf, middle, middleKey)
		s.config.Certificates = []tls.Certificate{{Certificate: [][]byte{leaf.Raw, middle.Raw}[:s.chain], PrivateKey: leafKey}}
		d.RootCAs = x509.NewCertPool()
		d.RootCAs.AddCert(root)
		d.host, d.server.TLS = host, s.config
		d.server.StartTLS()
	}}
}

// alsoInvalid says that no event gets there, so that `valid` finds the fault, too.
func alsoInvalid(a *Animal) *Animal {
	a.Also = map[string]webhook.Verdict{webhook.ScenarioValid: webhook.VerdictFail}
	return a
}

func connection() []*Animal {
	const warn, fail = webhook.VerdictWarn, webhook.VerdictFail
	return []*Animal{
		shows("old TLS too", "still speaks TLS 1.1", "tls.version", warn, func(s *shown) { s.config.MinVersion = tls.VersionTLS11 }),
		alsoInvalid(shows("old TLS alone", "speaks nothing newer than TLS 1.1", "tls.version", fail, func(s *shown) {
			s.config.MinVersion, s.config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		})),
		alsoInvalid(shows("no intermediate", "shows its certificate without the intermediate one", "tls.chain", fail, func(s *shown) { s.chain = 1 })),
		alsoInvalid(shows("other name", "shows a certificate for another host", "tls.name", fail, func(s *shown) { s.leaf.DNSNames = []string{"www.receiver.example"} })),
		alsoInvalid(shows("expired", "shows a certificate that expired yesterday", "tls.expiry", fail, func(s *shown) { s.leaf.NotAfter = time.Now().Add(-day) })),
		shows("expires soon", "shows a certificate that expires in a week", "tls.expiry", warn, func(s *shown) { s.leaf.NotAfter = time.Now().Add(7 * day) }),
		{Name: "dead address", What: "has two addresses, of which one takes no connection", Scenario: "net.addresses", Verdict: warn, listens: func(d *Den) {
			d.server.Start()
			d.host = host
			d.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
				alive, err := loopback(ctx, name)
				return append(alive, dead), err
			}
		}},
	}
}

// dead is an address of this machine at which nobody listens.
var dead = netip.AddrFrom4([4]byte{127, 0, 0, 2})

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(365 * day), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// issue makes a certificate of a template, by that of an authority; nil: by
// itself.
func issue(template, by *x509.Certificate, byKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	if by == nil {
		by, byKey = template, key
	}
	template.SerialNumber, template.NotBefore = big.NewInt(time.Now().UnixNano()), time.Now().Add(-100*day)
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	must(err)
	made, err := x509.ParseCertificate(der)
	must(err)
	return made, key
}

// must is for what cannot fail with what it is called with.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
