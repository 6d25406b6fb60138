package zoo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"

	"github.com/hookql/hookql/internal/webhook"
)

// hopeless are receivers that take nothing, or everything.
func hopeless() []*Animal {
	list := []*Animal{
		{Name: "down", What: "does not listen", Scenario: webhook.ScenarioValid, Verdict: webhook.VerdictFail, listens: func(d *Den) {
			d.server.Start()
			d.host = host
			d.Lookup = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{dead}, nil }
		}},
		{Name: "hangs", What: "never answers", Scenario: webhook.ScenarioValid, Verdict: webhook.VerdictFail,
			receives: func(w *webhook.Webhook) { w.TimeoutMs = 500 },
			is: func(r *Receiver) {
				r.around = func(http.Handler) http.Handler {
					return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the sender go
						<-r.Context().Done()
					})
				}
			}},
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusInternalServerError} {
		list = append(list, around(fmt.Sprintf("always %d", status), fmt.Sprintf("answers %d to everything", status), webhook.ScenarioValid, webhook.VerdictFail, always(status)))
	}
	redirects := around("always 302", "redirects everything", webhook.ScenarioValid, webhook.VerdictFail, always(http.StatusFound))
	redirects.Also = map[string]webhook.Verdict{"http.redirect": webhook.VerdictFail}
	return append(list, redirects, takesAll(), actsFirst())
}

func always(status int) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
}

// takesAll verifies nothing.
func takesAll() *Animal {
	a := around("takes all", "answers 200 to everything", "signature.tampered-body", webhook.VerdictFail, always(http.StatusOK))
	a.Unwitnessed = true
	a.Also = map[string]webhook.Verdict{
		"duplicate.sequential": webhook.VerdictWarn, "duplicate.parallel": webhook.VerdictWarn, "duplicate.retry": webhook.VerdictWarn,
		"http.method": webhook.VerdictWarn,
	}
	maps.Copy(a.Also, forgeries())
	return a
}

// actsFirst refuses forgeries once it is too late.
func actsFirst() *Animal {
	return &Animal{
		Name: "acts first", What: "puts an event into its queue before it verifies", Scenario: "signature.tampered-body", Verdict: webhook.VerdictFail, Also: forgeries(),
		is: func(r *Receiver) {
			verify := r.verify
			r.verify = func(header http.Header, content []byte) error {
				if e, err := r.read(content); err == nil && e.Name == paid {
					r.take(header.Get("webhook-id"), r.key(header))
				}
				return verify(header, content)
			}
		},
	}
}

// forgeries are the scenarios besides signature.tampered-body that find who lets
// any forgery take effect.
func forgeries() map[string]webhook.Verdict {
	found := make(map[string]webhook.Verdict)
	for _, forged := range []string{
		"signature.tampered-id", "signature.tampered-timestamp", "signature.wrong-key", "signature.missing", "signature.empty",
		"signature.garbage", "signature.malformed", "timestamp.stale", "timestamp.future", "timestamp.malformed",
	} {
		found[forged] = webhook.VerdictFail
	}
	return found
}
