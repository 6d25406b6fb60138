package probe

import (
	"context"
	"fmt"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Facts are what is known of a receiver before a request is sent. What could not
// be seen is zero, with the cause in the error beside it.
type Facts struct {
	// Addresses are those of the host name, Reachable those of them that take a
	// connection, Unrouted those to which there is no way from here.
	Addresses, Reachable, Unrouted int
	IPv4, IPv6                     int
	// Failure is why there is no connection at all, in a sentence with what to
	// mend; "" where there is one.
	Failure string

	// Protocol is the version of TLS that was agreed upon, such as "TLS 1.3".
	Protocol string
	// OldProtocol is one below TLS 1.2 that the receiver speaks as well; "" where
	// it does not.
	OldProtocol string
	// Chain and Name are why the certificate is not trusted, or not for this host;
	// nil where it is.
	Chain, Name error
	// Issued and Expires are when the certificate begins to be valid, and ends.
	Issued, Expires time.Time
}

// expirySoon is how long before its end a certificate should have been renewed,
// unless a third of its time is less: some are made for a few days.
const expirySoon = 14 * 24 * time.Hour

func (f *Facts) renewBefore() time.Duration { return min(expirySoon, f.Expires.Sub(f.Issued)/3) }

// connection is about what lies below HTTP. No request is sent.
var connection = []*Scenario{
	{
		Name:        "tls.version",
		Suite:       webhook.SuiteTransport,
		Description: "Two TLS handshakes: one as a sender makes it, one that offers nothing newer than TLS 1.1.",
		Expectation: "TLS 1.2 or 1.3 for the first, a refusal for the second.",
		Fault:       "the receiver still speaks a version of TLS that is broken",
		Mend:        "Switch TLS 1.0 and 1.1 off in your server or load balancer.",
		Unanswered:  true,
		needs:       []need{overTLS},
		run: inspect(func(t *Trial, f *Facts) {
			t.demand(webhook.TestCheck{Name: "TLS 1.2 or newer", Success: f.Protocol != "", Expected: "TLS 1.2 or 1.3", Actual: f.Protocol}, nil,
				"There was no handshake with TLS 1.2 or newer; `valid` tells the cause. Switch TLS 1.2 and 1.3 on in your server or load balancer.")
			t.praise = "Speaks " + f.Protocol + ", and nothing older than TLS 1.2."
			t.advise(webhook.TestCheck{Name: "nothing older", Success: f.OldProtocol == "", Expected: "refused", Actual: f.OldProtocol}, nil,
				t.fault("A handshake with "+f.OldProtocol+" succeeded"))
		}),
	},
	{
		Name:        "tls.chain",
		Suite:       webhook.SuiteTransport,
		Description: "A TLS handshake. What counts is whether the certificate leads to an authority that is trusted.",
		Expectation: "The certificate together with its intermediates, signed by a public authority.",
		Fault:       "the certificate is not trusted",
		Mend:        "Install the full chain: the certificate of a public authority, with its intermediate certificates.",
		Unanswered:  true,
		needs:       []need{overTLS},
		run: certificate("certificate is trusted", func(t *Trial, f *Facts, c webhook.TestCheck) {
			c.Success, c.Actual = f.Chain == nil, textOf(f.Chain)
			t.praise = "The certificate is trusted."
			t.demand(c, nil, t.fault("The handshake says "+textOf(f.Chain)))
		}),
	},
	{
		Name:        "tls.name",
		Suite:       webhook.SuiteTransport,
		Description: "A TLS handshake. What counts is whether the certificate is for the URL's host.",
		Expectation: "A certificate that names the host.",
		Fault:       "the certificate is not for this host",
		Mend:        "Install a certificate for the host of the URL, or use the name that it is for.",
		Unanswered:  true,
		needs:       []need{overTLS},
		run: certificate("certificate names the host", func(t *Trial, f *Facts, c webhook.TestCheck) {
			c.Success, c.Actual = f.Name == nil, textOf(f.Name)
			t.praise = "The certificate is for this host."
			t.demand(c, nil, t.fault("The handshake says "+textOf(f.Name)))
		}),
	},
	{
		Name:        "tls.expiry",
		Suite:       webhook.SuiteTransport,
		Description: "A TLS handshake. What counts is how long the certificate is still valid.",
		Expectation: "14 days or more, or a third of its time where that is less. Most outages by certificates are ones that nobody renewed.",
		Fault:       "the certificate should have been renewed by now",
		Mend:        "Renew the certificate, and let it be renewed by itself when a third of its time is left.",
		Unanswered:  true,
		needs:       []need{overTLS},
		run: certificate("certificate has not expired", func(t *Trial, f *Facts, c webhook.TestCheck) {
			left := time.Until(f.Expires)
			seen := fmt.Sprintf("The certificate expires on %s, in %d days", f.Expires.UTC().Format(time.DateOnly), int(left.Hours()/24))
			if left <= 0 {
				seen = "The certificate expired on " + f.Expires.UTC().Format(time.DateOnly)
			}
			t.praise = seen + "."
			c.Success, c.Actual = left > 0, f.Expires.UTC().Format(time.RFC3339)
			t.demand(c, nil, t.fault(seen))
			t.advise(webhook.TestCheck{Name: "renewed in time", Success: left > f.renewBefore(), Actual: c.Actual}, nil, t.fault(seen))
		}),
	},
	{
		Name:        "net.addresses",
		Suite:       webhook.SuiteTransport,
		Description: "A look at the addresses that the host name has, and a connection to each of at most eight. No request is sent.",
		Expectation: "Each address takes connections. A dead one delays the events that begin with it.",
		Fault:       "a sender that begins with a dead one loses time",
		Mend:        "Take the dead address out of the name's DNS records, or let the server listen on it.",
		Unanswered:  true,
		run: inspect(func(t *Trial, f *Facts) {
			seen := fmt.Sprintf("Of the host's addresses (%d IPv4, %d IPv6) %d of %d take connections", f.IPv4, f.IPv6, f.Reachable, f.Addresses)
			if f.Unrouted > 0 {
				seen += fmt.Sprintf(", and to %d there is no way from here, as without IPv6", f.Unrouted)
			}
			t.praise = seen + "."
			t.advise(webhook.TestCheck{Name: "every address takes connections", Success: f.Reachable+f.Unrouted == f.Addresses,
				Expected: fmt.Sprint(f.Addresses), Actual: fmt.Sprint(f.Reachable)}, nil, t.fault(seen))
		}),
	},
}

// inspect judges facts, where there is a connection.
func inspect(judge func(*Trial, *Facts)) func(context.Context, *Trial) {
	return func(ctx context.Context, t *Trial) {
		f := t.Line.Inspect(ctx)
		if f.Failure != "" {
			t.skip("Nothing could be seen: " + f.Failure)
			return
		}
		judge(t, &f)
	}
}

// certificate judges the certificate, where one was shown.
func certificate(name string, judge func(*Trial, *Facts, webhook.TestCheck)) func(context.Context, *Trial) {
	return inspect(func(t *Trial, f *Facts) {
		if f.Protocol == "" {
			t.skip("The receiver showed no certificate; see what `tls.version` says.")
			return
		}
		judge(t, f, webhook.TestCheck{Name: name})
	})
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
