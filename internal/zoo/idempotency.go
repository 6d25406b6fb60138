package zoo

import (
	"net/http"
	"sync"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

func idempotency() []*Animal {
	return []*Animal{
		around("replay cache", "remembers signatures, and answers 409 to one that it has seen", "duplicate.sequential", webhook.VerdictFail, refuseSeen),
		{Name: "looks, then writes", What: "looks whether it knows the id, does its work, and writes the id down after that", Scenario: "duplicate.parallel", Verdict: webhook.VerdictFail, is: func(r *Receiver) {
			r.take = func(id, key string) int {
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.taken[key] {
					return r.status
				}
				r.mu.Unlock()
				time.Sleep(300 * time.Millisecond) // its work
				r.mu.Lock()
				r.taken[key] = true
				r.effects[id]++
				return r.status
			}
		}},
		{Name: "id and time", What: "knows an event by its id and timestamp together, so that a retry is new to it", Scenario: "duplicate.retry", Verdict: webhook.VerdictFail, is: func(r *Receiver) {
			r.key = func(header http.Header) string { return header.Get("webhook-id") + header.Get(timestampHeader) }
		}},
		{Name: "knows nothing again", What: "does its work for each request, whether it had the event or not", Scenario: "duplicate.sequential", Verdict: webhook.VerdictFail,
			Also: map[string]webhook.Verdict{"duplicate.parallel": webhook.VerdictFail, "duplicate.retry": webhook.VerdictFail},
			is: func(r *Receiver) {
				r.take = func(id, _ string) int {
					r.mu.Lock()
					defer r.mu.Unlock()
					r.effects[id]++
					return r.status
				}
			}},
		{Name: "forgets the effect", What: "answers 2xx and never does its work", Scenario: "duplicate.sequential", Verdict: webhook.VerdictFail,
			Also: map[string]webhook.Verdict{"duplicate.parallel": webhook.VerdictFail, "duplicate.retry": webhook.VerdictFail},
			is:   func(r *Receiver) { r.take = func(string, string) int { return r.status } }},
		{Name: "newest only", What: "answers 409 to an event that happened half a minute or more before the newest that it has had", Scenario: "order.reversed", Verdict: webhook.VerdictFail, is: func(r *Receiver) {
			var mu sync.Mutex
			var newest time.Time
			r.check = func(e *event) int {
				mu.Lock()
				defer mu.Unlock()
				if newest.Sub(e.Happened) > 30*time.Second {
					return http.StatusConflict
				}
				if e.Happened.After(newest) {
					newest = e.Happened
				}
				return 0
			}
		}},
	}
}

func refuseSeen(next http.Handler) http.Handler {
	var seen sync.Map // signatures
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, before := seen.LoadOrStore(r.Header.Get(signatureHeader), true); before && r.Header.Get(signatureHeader) != "" {
			w.WriteHeader(http.StatusConflict)
			return
		}
		next.ServeHTTP(w, r)
	})
}
