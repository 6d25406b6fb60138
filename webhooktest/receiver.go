package webhooktest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a receiver keeps; the oldest requests go first.
const (
	MaxRequests = 100
	MaxBody     = 1 << 20 // bytes of one body
	MaxBodies   = 8 << 20 // bytes of all bodies together
)

// Receiver is an http.Handler that answers every request and remembers the
// last of them. The zero Receiver answers 200 with no body. It is safe for
// concurrent use; its fields are set before the first request.
type Receiver struct {
	// Answer chooses what is answered; nil: 200 with no body.
	Answer func(Request) Answer
	// Secrets returns the secrets of the webhooks whose URL is url, which is
	// the one that was called, its query included; the query of a GET request
	// holds the event's data too. Nil, or none: signatures are unknown.
	Secrets func(ctx context.Context, url string) ([]string, error)

	mu       sync.Mutex
	requests []Request // oldest first
}

// Request is a request that was received.
type Request struct {
	ReceivedAt time.Time
	Method     string
	URL        string
	// Header are sorted by name: net/http does not tell their order.
	Header []Header
	Body   []byte
	// Truncated says that the body was longer than MaxBody.
	Truncated bool
	Signature Signature
}

// Header is one header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Answer is what a receiver answers.
type Answer struct {
	// Status is the status code; zero: 200.
	Status int
	Header http.Header
	Body   []byte
	// Delay passes before the answer; a caller who goes away ends it.
	Delay time.Duration
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	received, err := r.read(req)
	if err != nil {
		return // the request broke off, so nobody waits for an answer
	}
	r.keep(received)
	answer := Answer{}
	if r.Answer != nil {
		answer = r.Answer(received)
	}
	answer.write(w, req)
}

// Requests returns the requests that are remembered, newest first.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := slices.Clone(r.requests)
	slices.Reverse(newest)
	return newest
}

// read takes a request in and judges its signature.
func (r *Receiver) read(req *http.Request) (Request, error) {
	body, err := io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	if err != nil {
		return Request{}, err
	}
	received := Request{
		ReceivedAt: time.Now().UTC(),
		Method:     req.Method,
		URL:        fullURL(req),
		Header:     sortedHeader(req),
		Body:       bytes.Clone(body[:min(len(body), MaxBody)]), // ReadAll's own may be twice as large
		Truncated:  len(body) > MaxBody,
	}
	content := received.Body
	if req.Method == http.MethodGet {
		content = []byte(req.URL.RawQuery)
	}
	received.Signature = r.judge(req, &received, content)
	return received, nil
}

// keep remembers a request, at the cost of the oldest.
func (r *Receiver) keep(received Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, received)
	size := 0
	for i, kept := range slices.Backward(r.requests) {
		size += len(kept.Body)
		if size > MaxBodies || len(r.requests)-i > MaxRequests {
			r.requests = slices.Delete(r.requests, 0, i+1)
			return
		}
	}
}

// Signature is what a receiver thinks of a request's signature.
type Signature struct {
	Verdict Verdict `json:"verdict"`
	// Reason is a sentence for verdicts other than Valid.
	Reason string `json:"reason,omitempty"`
}

// Verdict is the judgement of a signature.
type Verdict string

// The verdicts.
const (
	Valid    Verdict = "valid"
	Invalid  Verdict = "invalid"
	Unsigned Verdict = "unsigned"
	// Unknown: there is no secret to check with.
	Unknown Verdict = "unknown"
)

// judge checks a signature with each secret that the URL's webhooks have.
func (r *Receiver) judge(req *http.Request, received *Request, content []byte) Signature {
	if req.Header.Get("webhook-signature") == "" {
		return Signature{Unsigned, ErrUnsigned.Error()}
	}
	if received.Truncated {
		return Signature{Unknown, "the body is longer than this receiver keeps"}
	}
	var secrets []string
	if r.Secrets != nil {
		var err error
		if secrets, err = r.Secrets(req.Context(), received.URL); err != nil {
			return Signature{Unknown, "the secret could not be looked up"}
		}
	}
	err := errors.New("no webhook with a secret has this URL")
	for _, secret := range secrets {
		if err = Verify(secret, req.Header, content, received.ReceivedAt); err == nil {
			return Signature{Verdict: Valid}
		}
	}
	if len(secrets) == 0 {
		return Signature{Unknown, err.Error()}
	}
	return Signature{Invalid, err.Error()}
}

// write sends the answer after its delay.
func (a Answer) write(w http.ResponseWriter, req *http.Request) {
	if a.Delay > 0 {
		select {
		case <-time.After(a.Delay):
		case <-req.Context().Done():
			return
		}
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(cmp.Or(a.Status, http.StatusOK))
	_, _ = w.Write(a.Body) // a caller who went away does not matter
}

// fullURL is the URL as the caller wrote it, even below http.StripPrefix.
func fullURL(req *http.Request) string {
	if !strings.HasPrefix(req.RequestURI, "/") {
		return req.RequestURI // complete already, as proxies write it
	}
	scheme := "http://"
	if req.TLS != nil {
		scheme = "https://"
	}
	return scheme + req.Host + req.RequestURI
}

func sortedHeader(req *http.Request) []Header {
	header := []Header{{"Host", req.Host}}
	for name, values := range req.Header {
		for _, value := range values {
			header = append(header, Header{name, value})
		}
	}
	slices.SortStableFunc(header, func(a, b Header) int { return cmp.Compare(a.Name, b.Name) })
	return header
}
