package zoo

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
)

func correct() []*Animal {
	answers := func(status int) func(*Receiver) { return func(r *Receiver) { r.status = status } }
	advice := map[string]webhook.Verdict{"duplicate.sequential": webhook.VerdictWarn, "duplicate.parallel": webhook.VerdictWarn, "duplicate.retry": webhook.VerdictWarn}
	return []*Animal{
		{Name: "correct", What: "answers 200"},
		{Name: "correct, 202", What: "answers 202, and does its work 300 ms later", is: workLater},
		{Name: "correct, 204", What: "answers 204", is: answers(http.StatusNoContent)},
		{Name: "correct, 409", What: "answers 409 to an event that it is at work on", is: refuseBusy},
		{Name: "correct, 429", What: "takes 20 requests a second, and answers 429 with `Retry-After` to more", is: func(r *Receiver) { r.around = limitRate("1") }},
		{Name: "correct, TLS", What: "speaks TLS", listens: shows("", "", "", "", func(*shown) {}).listens},
		{Name: "correct, brief TLS", What: "renews its certificate every few days", listens: shows("", "", "", "", func(s *shown) {
			s.leaf.NotBefore, s.leaf.NotAfter = time.Now().Add(-day), time.Now().Add(5*day)
		}).listens},
		{Name: "correct, Ed25519", What: "verifies with a public key", is: verifyEd25519, receives: func(w *webhook.Webhook) { w.Signing = webhook.SigningEd25519 }},
		{Name: "correct, rotated", What: "has not heard yet that its secret was rotated", is: knowPrevious, receives: func(w *webhook.Webhook) {
			expires := webhook.Now().Add(time.Hour)
			w.PreviousSecret, w.PreviousSecretExpiresAt = webhook.NewSecret(), &expires
		}},
		{Name: "correct, STANDARD", What: "reads the format of Standard Webhooks", receives: func(w *webhook.Webhook) { w.PayloadFormat = webhook.FormatStandard }},
		{Name: "correct, DATA", What: "reads the data alone", receives: func(w *webhook.Webhook) { w.PayloadFormat = webhook.FormatData }},
		{Name: "correct, GET", What: "reads the query of a GET", receives: func(w *webhook.Webhook) { w.Method, w.PayloadFormat = webhook.MethodGet, webhook.FormatData }},
		{Name: "correct, unsigned", What: "gets requests that are not signed", receives: func(w *webhook.Webhook) { w.Signing = webhook.SigningNone }, is: func(r *Receiver) {
			r.verify = func(http.Header, []byte) error { return nil }
		}},
		{Name: "correct, brief witness", What: "has a witness that answers 404 about what it does not know", is: func(r *Receiver) { r.unknown = http.NotFound }},
		{Name: "correct, slow witness", What: "has a witness that takes 3 s to say that it does not know a message", is: func(r *Receiver) {
			r.unknown = func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(3 * time.Second)
				_, _ = io.WriteString(w, "0") // who is gone needs no answer
			}
		}},
		{Name: "correct, no witness", What: "answers 200, and nobody tells what took effect", Unwitnessed: true, Also: advice},
	}
}

// knowPrevious verifies with the secret before the last rotation.
func knowPrevious(r *Receiver) {
	library, err := standardwebhooks.NewWebhook(string(r.webhook.PreviousSecret))
	must(err)
	r.library = library
}

// workLater lets events take effect after the answer.
func workLater(r *Receiver) {
	r.status = http.StatusAccepted
	r.take = func(id, key string) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.taken[key] {
			r.taken[key] = true
			time.AfterFunc(300*time.Millisecond, func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.effects[id]++
			})
		}
		return r.status
	}
}

// refuseBusy works on an event for a while, and refuses it meanwhile.
func refuseBusy(r *Receiver) {
	busy := map[string]bool{} // under r.mu
	r.take = func(id, key string) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case busy[key]:
			return http.StatusConflict
		case r.taken[key]:
			return r.status
		}
		busy[key] = true
		r.mu.Unlock()
		time.Sleep(20 * time.Millisecond) // its work
		r.mu.Lock()
		delete(busy, key)
		r.taken[key] = true
		r.effects[id]++
		return r.status
	}
}

// limitRate takes 20 requests in each second, and tells others when to come
// again.
func limitRate(retryAfter string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var mu sync.Mutex
		var second int64
		var count int
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if now := time.Now().Unix(); now != second {
				second, count = now, 0
			}
			count++
			tooMany := count > 20
			mu.Unlock()
			if tooMany {
				if retryAfter != "" {
					w.Header().Set("Retry-After", retryAfter)
				}
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// verifyEd25519 verifies with the webhook's public key, which the official
// library for Go cannot.
func verifyEd25519(r *Receiver) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(*r.webhook.PublicKey(), "whpk_"))
	must(err)
	r.verify = func(header http.Header, content []byte) error {
		if age := age(header); age.Abs() > 5*time.Minute {
			return errors.New("of another time")
		}
		message := append([]byte(header.Get("webhook-id")+"."+header.Get(timestampHeader)+"."), content...)
		for _, one := range strings.Fields(header.Get(signatureHeader)) {
			encoded, ours := strings.CutPrefix(one, "v1a,")
			signature, err := base64.StdEncoding.DecodeString(encoded)
			if ours && err == nil && ed25519.Verify(key, message, signature) {
				return nil
			}
		}
		return errors.New("no signature that fits")
	}
}
