package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookql/hookql/delivery/probe"
	"github.com/hookql/hookql/internal/webhook"
)

// line leads one test to a webhook's receiver; see probe.Line.
type line struct {
	engine   *Engine
	webhook  *webhook.Webhook
	hidden   hidden // in what is shown of its answers
	payload  Payload
	happened time.Time        // when the events of the test did, so that one sent twice is the same
	witness  *webhook.Webhook // nil: there is none
	sent     *sent            // in the whole run
	links    kept             // those of the shots that use one again
}

// sent counts what a run sends.
type sent struct{ requests, bytes atomic.Int64 }

// Send sends shots, all at the same time.
func (l *line) Send(ctx context.Context, id string, shots ...probe.Shot) []probe.Answer {
	answers := make([]probe.Answer, len(shots))
	var sending sync.WaitGroup
	for i := range shots {
		if shots[i].ID == "" {
			shots[i].ID = id
		}
		send := func() { answers[i] = l.send(ctx, &shots[i]) }
		if len(shots) == 1 {
			send()
		} else {
			sending.Go(send)
		}
	}
	sending.Wait()
	return answers
}

func (l *line) send(ctx context.Context, s *probe.Shot) probe.Answer {
	var links *kept // else a test shows the whole way to the receiver
	if s.Reuse {
		links = &l.links
	}
	x, message := l.engine.try(ctx, l.webhook, links, func(at time.Time) (*request, error) { return l.shoot(s, at) })
	a := probe.Answer{Exchange: x, Sentence: message}
	l.hidden.hide(&a)
	if x.Response != nil {
		a.StatusLine = statusLine(x.Response)
		a.RetryAfter = retryAfter(x.Response, time.Now())
	}
	return a
}

// shoot makes the request of a shot.
func (l *line) shoot(s *probe.Shot, now time.Time) (*request, error) {
	if l.sent.requests.Add(1) > maxRequests {
		return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("a test run sends at most %d requests; test fewer event types or scenarios at once", maxRequests))
	}
	m := &Message{ID: s.ID, EventName: l.payload.EventName, Timestamp: l.happened.Add(-s.Happened), Data: l.payload.Data}
	if s.EventName != "" {
		m.EventName = s.EventName
	}
	if s.Data != nil {
		m.Data = s.Data
	}
	r, err := l.engine.prepare(l.webhook, m, now)
	if err != nil {
		return nil, err
	}
	r.Headers = r.Headers[:len(r.Headers)-len(l.webhook.Headers)]
	if s.Body != nil {
		r.Body, r.content = s.Body, s.Body
	}
	stamp := strconv.FormatInt(now.Add(-s.Age).Unix(), 10)
	if s.Stamp != nil {
		stamp = *s.Stamp
	}
	r.replace("webhook-timestamp", stamp)
	r.replace("webhook-signature", l.signatures(s, stamp, now, r.content))
	if err := l.bend(r, s); err != nil {
		return nil, err
	}
	if l.sent.bytes.Add(int64(len(r.Body))) > maxSent {
		return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("a test run sends at most %d MiB; test fewer event types or scenarios at once, or send less data", maxSent>>20))
	}
	return r, nil
}

// bend changes a request that is signed.
func (l *line) bend(r *request, s *probe.Shot) (err error) {
	if s.Bend != nil {
		r.Body = bytes.Clone(r.Body)
		s.Bend(&r.Request)
		if r.url, err = url.Parse(r.URL); err != nil {
			return fmt.Errorf("parse the URL of a bent request: %w", err)
		}
	}
	r.replace("Content-Length", strconv.Itoa(len(r.Body)))
	r.expects = slices.ContainsFunc(r.Headers, func(h webhook.Header) bool { return h.Name == "Expect" })
	r.complete(l.webhook)
	return nil
}

// replace gives a header another value, where the request has it.
func (r *request) replace(name, value string) {
	for i, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			r.Headers[i].Value = value
		}
	}
}

// exampleSecret is the one of the Standard Webhooks documentation, which
// receivers are tried out with, and which some know ever after.
const exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// otherSecret is one that a receiver has no reason to know.
func otherSecret(w *webhook.Webhook) webhook.Secret {
	if w.Signing == webhook.SigningStandard && w.Secret != exampleSecret && w.PreviousSecret != exampleSecret {
		return exampleSecret
	}
	return w.Signing.NewSecret()
}

// signatures are those by the keys of a shot, over its timestamp as it stands
// there.
func (l *line) signatures(s *probe.Shot, stamp string, now time.Time, content []byte) string {
	own := signaturesOver(l.webhook, s.ID, stamp, now, content)
	if s.Key == probe.OwnKey {
		return own
	}
	other := sign(l.webhook.Signing, otherSecret(l.webhook), signedMessage(s.ID, stamp, content))
	if s.Key == probe.BothKeys {
		return other + " " + own
	}
	return other
}

// Count asks the witness how often a message took effect: GET with the
// parameter messageId, answered with a number or an object with a count.
func (l *line) Count(ctx context.Context, messageID string) (int, error) {
	data, _ := json.Marshal(map[string]string{"messageId": messageID}) // text can be
	m := &Message{ID: messageID, Timestamp: webhook.Now(), Data: data}
	x, message := l.engine.attempt(ctx, l.witness, m)
	if x.Outcome != webhook.OutcomeDelivered {
		a := probe.Answer{Exchange: x, Sentence: message}
		hiddenOf(l.witness).hide(&a)
		return 0, errors.New(strings.TrimSuffix(a.Sentence, "."))
	}
	var counted struct{ Count *int }
	var bare int
	body := x.Response.Body
	switch {
	case json.Unmarshal(body, &bare) == nil && bare >= 0:
		return bare, nil
	case json.Unmarshal(body, &counted) == nil && counted.Count != nil && *counted.Count >= 0:
		return *counted.Count, nil
	}
	return 0, errors.New("it answered neither with a number nor with `{\"count\": 1}`")
}
