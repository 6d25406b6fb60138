package delivery

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

func BenchmarkGuard(b *testing.B) {
	u := &url.URL{Scheme: "https", Host: "receiver.example"}
	for _, addr := range []string{"93.184.216.34", "2606:4700:4700::1111", "10.0.0.1", "::1"} {
		b.Run(addr, func(b *testing.B) {
			addr := netip.MustParseAddr(addr)
			b.ReportAllocs()
			for b.Loop() {
				_ = (&Policy{}).checkAddr(addr, u)
			}
		})
	}
}

func BenchmarkLookupAndGuard(b *testing.B) {
	c := Client{Lookup: answers("1.1.1.1 8.8.8.8 9.9.9.9 2606:4700:4700::1111 2001:4860:4860::8888")}
	u := &url.URL{Scheme: "https", Host: "receiver.example"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.resolve(b.Context(), u, new(webhook.Timing)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExchange compares an exchange with one of net/http's client on a
// fresh connection. The receiver's work is in both.
func BenchmarkExchange(b *testing.B) {
	p := listenHTTP(b, says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	e := devEngine()
	r, err := e.prepare(postWebhook(p.url()), testMessage(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	ours := func() error { return exchangeByClient(b.Context(), &e.Client, r) }
	transport := &http.Transport{DisableKeepAlives: true}
	theirs := func() error { return exchangeByNetHTTP(b.Context(), transport, r) }
	for _, side := range []struct {
		name     string
		exchange func() error
	}{{"hookql", ours}, {"nethttp", theirs}} {
		b.Run(side.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := side.exchange(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("both", func(b *testing.B) {
		const inTurn = 50 // so that what disturbs one disturbs the other, but neither pays for what the other leaves behind
		var times [2]time.Duration
		for b.Loop() {
			for i, exchange := range []func() error{ours, theirs} {
				begin := time.Now()
				for range inTurn {
					if err := exchange(); err != nil {
						b.Fatal(err)
					}
				}
				times[i] += time.Since(begin)
			}
		}
		b.ReportMetric(float64(times[0])/float64(times[1]), "hookql/nethttp")
	})
}

func exchangeByClient(ctx context.Context, c *Client, r *request) error {
	_, _, err := c.send(ctx, r, nil)
	return err
}

func exchangeByNetHTTP(ctx context.Context, transport *http.Transport, r *request) error {
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return err
	}
	for _, h := range r.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
