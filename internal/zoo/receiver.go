package zoo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/webhook"
)

// Receiver is a correct receiver of orders that were paid: it verifies with the
// official library, takes each event once, ignores events that it does not know,
// and refuses what is none. A fault replaces one of its functions.
type Receiver struct {
	webhook *webhook.Webhook
	// library verifies with the webhook's secret; nil where that is none of v1.
	library *standardwebhooks.Webhook
	// verify says whether a request is the sender's, from its headers and what
	// is signed: the body, and for GET the query.
	verify func(header http.Header, content []byte) error
	// read makes an event of what was verified.
	read func(content []byte) (*event, error)
	// check answers an event before it takes effect; 0: it may.
	check func(*event) (status int)
	// key is what an event is known by.
	key func(header http.Header) string
	// take lets an event take effect, if that of its key has not, and answers.
	take func(id, key string) (status int)
	// answer writes an answer.
	answer func(w http.ResponseWriter, status int, why error)
	// around stands between the server and the receiver.
	around func(http.Handler) http.Handler

	// status is what it answers to an event.
	status int
	// unknown is what the witness answers about a message without effect, where it
	// is not 0.
	unknown http.HandlerFunc

	mu      sync.Mutex
	taken   map[string]bool // by key
	effects map[string]int  // by id
}

// newReceiver makes a correct receiver of what is sent to w.
func newReceiver(w *webhook.Webhook) *Receiver {
	r := &Receiver{webhook: w, status: http.StatusOK, taken: map[string]bool{}, effects: map[string]int{}}
	if key, err := w.Secret.Key(); err == nil {
		r.library, _ = standardwebhooks.NewWebhookRaw(key) // never fails
		r.verify = func(header http.Header, content []byte) error { return r.library.Verify(content, header) }
	}
	r.read = func(content []byte) (*event, error) { return readEvent(w, content) }
	r.check = func(*event) int { return 0 }
	r.key = func(header http.Header) string { return header.Get("webhook-id") }
	r.take = r.takeOnce
	r.answer = func(w http.ResponseWriter, status int, why error) {
		w.WriteHeader(status)
		if why != nil {
			_, _ = io.WriteString(w, http.StatusText(status)) // who is gone needs no answer
		}
	}
	r.around = func(h http.Handler) http.Handler { return h }
	return r
}

const maxBody = 1 << 20

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != string(r.webhook.Method) {
		r.answer(w, http.StatusMethodNotAllowed, errors.New("another method"))
		return
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		r.answer(w, http.StatusRequestEntityTooLarge, err)
		return
	}
	if r.webhook.Method == webhook.MethodGet {
		content = []byte(req.URL.RawQuery)
	}
	if err := r.verify(req.Header, content); err != nil {
		r.answer(w, http.StatusUnauthorized, err)
		return
	}
	e, err := r.read(content)
	if err != nil {
		r.answer(w, http.StatusBadRequest, err)
		return
	}
	if status := r.check(e); status != 0 {
		r.answer(w, status, errors.New("an event that is not taken"))
		return
	}
	if e.Name != paid {
		r.answer(w, r.status, nil)
		return
	}
	r.answer(w, r.take(req.Header.Get("webhook-id"), r.key(req.Header)), nil)
}

// takeOnce decides which of several requests is the first, and lets that one take
// effect, in one step.
func (r *Receiver) takeOnce(id, key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.taken[key] {
		r.taken[key] = true
		r.effects[id]++
	}
	return r.status
}

// witness says how often a message took effect.
func (r *Receiver) witness(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	count := r.effects[req.FormValue("messageId")]
	r.mu.Unlock()
	if count == 0 && r.unknown != nil {
		r.unknown(w, req)
		return
	}
	_, _ = io.WriteString(w, strconv.Itoa(count)) // who is gone needs no answer
}

// paid is the event type that it knows.
const paid = "order.paid"

// event is what it makes of a request.
type event struct {
	Name     string
	Happened time.Time
	Data     json.RawMessage
	order    order
	size     int // of what was sent
}

// order is an event's data. What is not there is nil.
type order struct {
	OrderID  string
	Total    *json.Number
	Currency *string
	Note     *string
	Email    *string
}

// readEvent reads an event in the webhook's format.
func readEvent(w *webhook.Webhook, content []byte) (*event, error) {
	e := &event{Name: paid, size: len(content)}
	var err error
	switch {
	case w.Method == webhook.MethodGet:
		_, err = url.ParseQuery(string(content))
		return e, err
	case w.PayloadFormat == webhook.FormatData:
		e.Data = content
	case w.PayloadFormat == webhook.FormatStandard:
		var sent struct {
			Type      string
			Timestamp time.Time
			Data      json.RawMessage
		}
		err = json.Unmarshal(content, &sent)
		e.Name, e.Happened, e.Data = sent.Type, sent.Timestamp, sent.Data
	default:
		var sent struct {
			Event     string
			Timestamp time.Time
			Body      json.RawMessage
		}
		err = json.Unmarshal(content, &sent)
		e.Name, e.Happened, e.Data = sent.Event, sent.Timestamp, sent.Body
	}
	if err != nil {
		return nil, err
	}
	if e.Name == "" {
		return nil, errors.New("no event type")
	}
	return e, json.Unmarshal(e.Data, &e.order)
}
