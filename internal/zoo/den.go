package zoo

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"

	"github.com/hookql/hookql/internal/webhook"
)

// Den is where an animal listens, on loopback, with what a sender needs to find
// it.
type Den struct {
	Webhook *webhook.Webhook
	// Witness says how often an event took effect; nil: nobody does.
	Witness *webhook.Webhook
	// RootCAs are the authorities to trust; nil: the system's.
	RootCAs *x509.CertPool
	// Lookup finds the addresses of its host.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	server *httptest.Server
	host   string // of its URL; "": its address
}

const (
	hookPath    = "/hooks"
	witnessPath = "/witness"
)

// Open lets the animal listen, until Close.
func (a *Animal) Open() *Den {
	d := &Den{Webhook: newWebhook()}
	if a.receives != nil {
		a.receives(d.Webhook)
		d.Webhook.Secret = d.Webhook.Signing.NewSecret()
	}
	r := newReceiver(d.Webhook)
	if a.is != nil {
		a.is(r)
	}
	paths := http.NewServeMux()
	paths.Handle(hookPath, r.around(r))
	paths.HandleFunc(witnessPath, r.witness)
	d.server = httptest.NewUnstartedServer(paths)
	d.server.Config.ErrorLog = log.New(io.Discard, "", 0) // broken handshakes are what some are for
	d.Lookup = loopback
	if a.listens != nil {
		a.listens(d)
	} else {
		d.server.Start()
	}
	d.Webhook.URL = d.url(hookPath)
	if !a.Unwitnessed {
		d.Witness = newWitness(d.url(witnessPath))
	}
	return d
}

// newWebhook leads to a receiver as most are.
func newWebhook() *webhook.Webhook {
	return &webhook.Webhook{
		ID:            "wh_zoo",
		WorkspaceID:   "ws_zoo",
		Method:        webhook.MethodPost,
		PayloadFormat: webhook.FormatEnvelope,
		Signing:       webhook.SigningStandard,
		Secret:        webhook.NewSecret(),
		TimeoutMs:     10000,
	}
}

func newWitness(url string) *webhook.Webhook {
	return &webhook.Webhook{URL: url, Method: webhook.MethodGet, PayloadFormat: webhook.FormatData, Signing: webhook.SigningNone}
}

// Close ends it.
func (d *Den) Close() {
	d.server.CloseClientConnections() // such as one whose request it never answers
	d.server.Close()
}

func (d *Den) url(path string) string {
	u, _ := url.Parse(d.server.URL) // the server's own
	if d.host != "" {
		u.Host = d.host + ":" + u.Port()
	}
	u.Path = path
	return u.String()
}

// loopback finds every host on this machine.
func loopback(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
}
