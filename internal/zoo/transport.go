package zoo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

func transport() []*Animal {
	const warn, fail = webhook.VerdictWarn, webhook.VerdictFail
	return []*Animal{
		around("dozes", "answers every fourth request after 1.1 s", "http.fast", warn, doze),
		around("any method", "takes an event by any method", "http.method", warn, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Method = http.MethodPost
				next.ServeHTTP(w, r)
			})
		}),
		around("no other method", "answers 500 to a method that it does not know", "http.method", fail, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				next.ServeHTTP(w, r)
			})
		}),
		around("hangs up", "closes the connection after each answer", "http.keep-alive", warn, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close")
				next.ServeHTTP(w, r)
			})
		}),
		around("expects nothing", "answers 417 to `Expect: 100-continue`", "http.expect-continue", fail, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Expect") != "" {
					w.WriteHeader(http.StatusExpectationFailed)
					return
				}
				next.ServeHTTP(w, r)
			})
		}),
		around("login page", "redirects whoever does not sign to a login page", "http.redirect", fail, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get(signatureHeader) == "" {
					http.Redirect(w, r, "/login", http.StatusFound)
					return
				}
				next.ServeHTTP(w, r)
			})
		}),
		around("trickles", "takes 1.1 s for the body of its answer", "http.slow-answer", warn, answering(func(w http.ResponseWriter) {
			_, _ = w.Write([]byte("o")) // who is gone needs no answer
			w.(http.Flusher).Flush()
			time.Sleep(1100 * time.Millisecond)
			_, _ = w.Write([]byte("k"))
		})),
		around("talks", "answers with 20 KiB", "http.answer-size", warn, answering(func(w http.ResponseWriter) {
			_, _ = w.Write(bytes.Repeat([]byte("thank you "), 2<<10))
		})),
		around("few workers", "answers 503 to what comes while 20 requests are under way", "http.burst", fail, fewWorkers),
		around("limits without a word", "takes 20 requests a second, and answers 429 to more without `Retry-After`", "http.burst", warn, limitRate("")),
	}
}

// behind runs a receiver, and says what it answered.
func behind(next http.Handler, r *http.Request) (status int) {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	return recorder.Code
}

// answering answers what was taken in another way.
func answering(answer func(http.ResponseWriter)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status := behind(next, r)
			w.WriteHeader(status)
			if status == http.StatusOK {
				answer(w)
			}
		})
	}
}

// doze makes every fourth of the events that are taken wait.
func doze(next http.Handler) http.Handler {
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := behind(next, r)
		if status == http.StatusOK && count.Add(1)%4 == 0 {
			time.Sleep(1100 * time.Millisecond)
		}
		w.WriteHeader(status)
	})
}

// fewWorkers takes its time over events, the more the more there are, so that
// those which come close to each other are under way at the same time.
func fewWorkers(next http.Handler) http.Handler {
	var busy atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := busy.Add(1)
		defer busy.Add(-1)
		if n > 20 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		status := behind(next, r)
		switch {
		case status != http.StatusOK:
		case n > 8: // more than tests run at the same time
			time.Sleep(3 * time.Second)
		case n > 1:
			time.Sleep(700 * time.Millisecond)
		default:
			time.Sleep(100 * time.Millisecond)
		}
		w.WriteHeader(status)
	})
}
