package webhooktest

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// MaxReceivers is how many names a Receivers knows; the one that was used
// longest ago goes first.
const MaxReceivers = 100

// Receivers is an http.Handler with any number of receivers under names:
//
//	any method NAME          a delivery to the receiver of that name
//	GET        NAME/requests what it remembers, as JSON, newest first
//
// below wherever http.StripPrefix puts it. A receiver is made by its first
// delivery. One whose name begins with "strict-" answers as Strict does. The zero
// Receivers is usable. It is safe for concurrent use; its fields are set before
// the first request.
type Receivers struct {
	// Answer and Secrets are those of every receiver; Answer of none that is
	// strict.
	Answer  func(Request) Answer
	Secrets func(ctx context.Context, url string) ([]string, error)

	mu     sync.Mutex
	byName map[string]*named
}

type named struct {
	*Receiver
	usedAt time.Time
}

var receiverName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// ServeHTTP implements http.Handler.
func (r *Receivers) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := strings.TrimPrefix(req.URL.Path, "/")
	name, isView := strings.CutSuffix(path, "/requests")
	switch {
	case !receiverName.MatchString(name):
		http.Error(w, "A receiver's name is 1 to 64 letters, digits, _, - and dots: send to NAME, look at NAME/requests.", http.StatusNotFound)
	case !isView:
		r.named(name).ServeHTTP(w, req)
	case req.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "Only GET shows what the receiver got.", http.StatusMethodNotAllowed)
	default:
		r.show(w, name)
	}
}

// Requests returns what the receiver of that name remembers, newest first.
func (r *Receivers) Requests(name string) []Request {
	r.mu.Lock()
	receiver := r.byName[name]
	r.mu.Unlock()
	if receiver == nil {
		return nil
	}
	return receiver.Requests()
}

// named returns the receiver of that name, making it where it is new.
func (r *Receivers) named(name string) *Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = make(map[string]*named)
	}
	receiver := r.byName[name]
	if receiver == nil {
		r.makeRoom()
		receiver = &named{Receiver: &Receiver{Answer: r.Answer, Secrets: r.Secrets}}
		if strings.HasPrefix(name, "strict-") {
			receiver.Answer = Strict
		}
		r.byName[name] = receiver
	}
	receiver.usedAt = time.Now()
	return receiver.Receiver
}

// makeRoom drops the receiver that was used longest ago where no more fit in.
func (r *Receivers) makeRoom() {
	if len(r.byName) < MaxReceivers {
		return
	}
	oldest := ""
	for name, receiver := range r.byName {
		if oldest == "" || receiver.usedAt.Before(r.byName[oldest].usedAt) {
			oldest = name
		}
	}
	delete(r.byName, oldest)
}

// show writes what a receiver remembers as JSON.
func (r *Receivers) show(w http.ResponseWriter, name string) {
	type shown struct {
		ReceivedAt time.Time `json:"receivedAt"`
		Method     string    `json:"method"`
		URL        string    `json:"url"`
		Headers    []Header  `json:"headers"`
		Body       string    `json:"body"`
		// BodyBase64 stands for bodies that are not text.
		BodyBase64    []byte    `json:"bodyBase64,omitempty"`
		BodyTruncated bool      `json:"bodyTruncated"`
		Signature     Signature `json:"signature"`
	}
	requests := []shown{}
	for _, got := range r.Requests(name) {
		s := shown{
			ReceivedAt: got.ReceivedAt, Method: got.Method, URL: got.URL, Headers: got.Header,
			BodyTruncated: got.Truncated, Signature: got.Signature,
		}
		if utf8.Valid(got.Body) {
			s.Body = string(got.Body)
		} else {
			s.BodyBase64 = got.Body
		}
		requests = append(requests, s)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	_ = out.Encode(map[string]any{"name": name, "requests": requests}) // a caller who went away does not matter
}
