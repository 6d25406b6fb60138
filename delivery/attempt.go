package delivery

import (
	"context"
	"strconv"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// defaultTimeout is how long an attempt may take where the webhook does not say.
const defaultTimeout = 15 * time.Second

// attempt sends a message to a webhook's URL, once, and tells what became of
// it, for the record and in a sentence for its owner. Whatever goes wrong is an
// outcome, never an error. The webhook has passed its Validate.
func (e *Engine) attempt(ctx context.Context, w *webhook.Webhook, m *Message) (webhook.Exchange, string) {
	var links *kept // a test shows the whole way to the receiver
	if m.Live {
		links = &e.kept
	}
	return e.try(ctx, w, links, func(at time.Time) (*request, error) { return e.prepare(w, m, at) })
}

// try sends the request that prepare makes, over a connection of links where
// there is one, as attempt does.
func (e *Engine) try(ctx context.Context, w *webhook.Webhook, links *kept, prepare func(at time.Time) (*request, error)) (webhook.Exchange, string) {
	x := webhook.Exchange{
		StartedAt: webhook.Now(),
		Request:   webhook.Request{Method: string(w.Method), URL: w.URL},
	}
	r, err := prepare(x.StartedAt)
	if err == nil {
		x.Request = r.record
		limit := timeLimit(w)
		ctx, cancel := context.WithTimeoutCause(ctx, limit, overdue(limit))
		defer cancel()
		x.Response, x.Timing, err = e.Client.send(ctx, r, links)
	}
	j := judge(x.Response, err)
	x.Outcome, x.Detail = j.outcome, j.detail
	return x, sentence(&x, j.advice)
}

// prepare makes the request of an attempt, if the policy lets it be sent.
func (e *Engine) prepare(w *webhook.Webhook, m *Message, at time.Time) (*request, error) {
	u, err := e.Client.Policy.CheckURL(w.URL)
	if err != nil {
		return nil, err
	}
	return newRequest(w, m, u, at, e.userAgent())
}

// Preview makes the request that would carry a payload to w now, marked as a
// test, with what its signature is made over. Nothing is sent. The error is a
// *webhook.Error.
func (e *Engine) Preview(w *webhook.Webhook, p Payload) (r webhook.Request, signed string, err error) {
	now := webhook.Now()
	m := &Message{ID: webhook.NewID(webhook.TestPrefix), EventName: p.EventName, Timestamp: now, Data: p.Data}
	made, err := e.prepare(w, m, now)
	if err != nil {
		return r, "", err
	}
	return made.record, string(signedMessage(m.ID, strconv.FormatInt(now.Unix(), 10), made.content)), nil
}

func (e *Engine) userAgent() string {
	if e.Version == "" {
		return "HookQL"
	}
	return "HookQL/" + e.Version
}

func timeLimit(w *webhook.Webhook) time.Duration {
	if w.TimeoutMs <= 0 {
		return defaultTimeout
	}
	return time.Duration(w.TimeoutMs) * time.Millisecond
}
