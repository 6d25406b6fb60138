package resolvers

import (
	"context"
	"errors"
	"net/url"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/snippet"
	"github.com/hookql/hookql/internal/webhook"
)

// PreviewDelivery builds the request that a webhook would get, and sends nothing.
func (r queryResolver) PreviewDelivery(ctx context.Context, input graph.PreviewDeliveryInput) (*graph.DeliveryPreview, error) {
	w, err := r.target(ctx, input.Target)
	if err != nil {
		return nil, err
	}
	test := graph.TestWebhookInput{EventNames: graphql.OmittableOf([]string{input.EventName})}
	if data := input.Data.Value(); data != nil {
		test.Payloads = graphql.OmittableOf([]*graph.TestPayloadInput{{EventName: graphql.OmittableOf(&input.EventName), Data: graphql.OmittableOf(data)}})
	}
	payloads, err := r.payloads(ctx, w, test)
	if err != nil {
		return nil, err
	}
	request, signed, err := r.Engine.Preview(w, payloads[0])
	if err != nil {
		return nil, err
	}
	shown := testExchange(1, &webhook.Exchange{Request: request}, func(context.Context) (webhook.Bodies, error) {
		return webhook.Bodies{Request: request.Body}, nil
	})
	return &graph.DeliveryPreview{Request: shown.Request, SignedContent: signed}, nil
}

// VerificationSnippets are receivers to begin with.
func (r webhookResolver) VerificationSnippets(_ context.Context, w *webhook.Webhook) ([]*graph.VerificationSnippet, error) {
	snippets, err := snippet.For(w)
	shown := make([]*graph.VerificationSnippet, len(snippets))
	for i, s := range snippets {
		shown[i] = &graph.VerificationSnippet{Language: graph.SnippetLanguage(s.Language), Code: s.Code}
		if s.Install != "" {
			shown[i].Install = &s.Install
		}
	}
	return shown, err
}

// VerifySignature explains the signature of a request that somebody received.
func (r queryResolver) VerifySignature(ctx context.Context, input graph.VerifySignatureInput) (*graph.SignatureVerdict, error) {
	workspaceID, err := workspace(ctx)
	if err != nil {
		return nil, err
	}
	w, err := r.DB.Webhook(ctx, workspaceID, input.WebhookID)
	if errors.Is(err, webhook.NotFound) {
		return nil, noWebhook(input.WebhookID)
	}
	if err != nil {
		return nil, err
	}
	received := &delivery.Received{Content: []byte(input.Body)}
	for _, h := range input.Headers {
		received.Headers = append(received.Headers, webhook.Header{Name: h.Name, Value: or(h.Value, "")})
	}
	verdict := &graph.SignatureVerdict{}
	verdict.Valid, verdict.Message, err = delivery.Explain(w, received, webhook.Now(), func() (delivery.Suspects, error) {
		return r.suspects(ctx, w, received.MessageID())
	})
	return verdict, err
}

// maxSuspects is how many of a workspace's webhooks are tried.
const maxSuspects = 100

// suspects are what a signature that does not fit may have been made with.
func (r queryResolver) suspects(ctx context.Context, w *webhook.Webhook, messageID string) (s delivery.Suspects, err error) {
	slice, err := r.DB.Webhooks(ctx, w.WorkspaceID, webhook.Filter{}, webhook.Order{By: webhook.OrderByCreatedAt}, webhook.Page{Limit: maxSuspects})
	if err != nil {
		return s, err
	}
	s.Others = slice.Items
	switch {
	case webhook.IsID(webhook.EventPrefix, messageID):
		s.Sent, err = r.delivered(ctx, w, messageID)
	case webhook.IsID(webhook.TestPrefix, messageID):
		s.Sent, err = r.tested(ctx, w, messageID)
	}
	return s, err
}

// delivered is the content of the last request that brought an event to a
// webhook; nil where there is none, or the caller may not read events.
func (r queryResolver) delivered(ctx context.Context, w *webhook.Webhook, eventID string) ([]byte, error) {
	if !auth.CallerOf(ctx).May(webhook.ScopeEventsRead) {
		return nil, nil
	}
	deliveries, err := r.DB.Deliveries(ctx, w.WorkspaceID, webhook.DeliveryFilter{WebhookID: &w.ID, EventID: &eventID}, webhook.Page{Limit: 1})
	if err != nil || len(deliveries.Items) == 0 {
		return nil, err
	}
	attempts, err := loadersOf(ctx).attempts(ctx, deliveries.Items[0].ID, webhook.Page{Limit: 1, FromEnd: true})
	if err != nil || len(attempts.Items) == 0 {
		return nil, err
	}
	bodies, err := loadersOf(ctx).attemptBodies(ctx, attempts.Items[0])
	return signedPart(attempts.Items[0].Exchange.Request, bodies), err
}

// tested is the content of the last request of a test; nil where there is none.
func (r queryResolver) tested(ctx context.Context, w *webhook.Webhook, testID string) ([]byte, error) {
	exchanges, err := r.DB.TestExchanges(ctx, w.WorkspaceID, []string{testID})
	last := len(exchanges[testID]) - 1
	if err != nil || last < 0 {
		return nil, err
	}
	bodies, err := r.DB.TestBodies(ctx, w.WorkspaceID, []string{testID}, maxBodies)
	if err != nil || len(bodies[testID]) <= last {
		return nil, err
	}
	return signedPart(exchanges[testID][last].Request, bodies[testID][last]), nil
}

// signedPart is what of a request is signed: its body, or the query of a GET.
func signedPart(request webhook.Request, bodies webhook.Bodies) []byte {
	if request.Method != string(webhook.MethodGet) {
		return bodies.Request
	}
	u, err := url.Parse(request.URL)
	if err != nil {
		return nil // it was never sent
	}
	return []byte(u.RawQuery)
}
