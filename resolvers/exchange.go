package resolvers

import (
	"context"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// testExchange shows an exchange; load reads its bodies when they are asked for.
func testExchange(number int, e *webhook.Exchange, load webhook.LoadBodies) *graph.TestExchange {
	return &graph.TestExchange{
		Number:     number,
		Outcome:    e.Outcome,
		StartedAt:  e.StartedAt,
		DurationMs: milliseconds(e.Timing.Total),
		Request:    httpRequest(e.Request, load),
		Response:   httpResponse(e.Response, load),
		Timing:     httpTiming(e.Timing),
	}
}

func httpRequest(r webhook.Request, load webhook.LoadBodies) *graph.HTTPRequest {
	return &graph.HTTPRequest{
		Method:     r.Method,
		URL:        r.URL,
		Headers:    pointers(r.Headers),
		BodySize:   r.BodySize,
		LoadBodies: load,
	}
}

func httpResponse(r *webhook.Response, load webhook.LoadBodies) *graph.HTTPResponse {
	if r == nil {
		return nil
	}
	return &graph.HTTPResponse{
		StatusCode:    r.StatusCode,
		StatusText:    r.StatusText,
		Headers:       pointers(r.Headers),
		BodyTruncated: r.BodyTruncated,
		LoadBodies:    load,
	}
}

// Body is a request's body as text.
func (r httpRequestResolver) Body(ctx context.Context, request *graph.HTTPRequest) (*string, error) {
	body, err := requestBody(ctx, request)
	if err != nil || len(body) == 0 || !utf8.Valid(body) {
		return nil, err
	}
	text := string(body)
	return &text, nil
}

// BodyBase64 is a request's body as bytes.
func (r httpRequestResolver) BodyBase64(ctx context.Context, request *graph.HTTPRequest) (*string, error) {
	body, err := requestBody(ctx, request)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	encoded := base64.StdEncoding.EncodeToString(body)
	return &encoded, nil
}

// Curl is a request as a command.
func (r httpRequestResolver) Curl(ctx context.Context, request *graph.HTTPRequest) (string, error) {
	body, err := requestBody(ctx, request)
	if err != nil {
		return "", err
	}
	headers := make([]webhook.Header, len(request.Headers))
	for i, h := range request.Headers {
		headers[i] = *h
	}
	return delivery.Curl(webhook.Request{Method: request.Method, URL: request.URL, Headers: headers, Body: body}), nil
}

// Body is a response's body as text.
func (r httpResponseResolver) Body(ctx context.Context, response *graph.HTTPResponse) (*string, error) {
	bodies, err := response.LoadBodies(ctx)
	if err != nil {
		return nil, err
	}
	text := strings.ToValidUTF8(string(bodies.Response), "\uFFFD")
	return &text, requestOf(ctx).spend(len(bodies.Response))
}

func requestBody(ctx context.Context, request *graph.HTTPRequest) ([]byte, error) {
	if request.BodySize == 0 {
		return nil, nil
	}
	bodies, err := request.LoadBodies(ctx)
	if err != nil {
		return nil, err
	}
	return bodies.Request, requestOf(ctx).spend(len(bodies.Request))
}

func httpTiming(t webhook.Timing) *graph.HTTPTiming {
	return &graph.HTTPTiming{
		DNSMs:            phase(t.DNS),
		ConnectMs:        phase(t.Connect),
		TLSMs:            phase(t.TLS),
		FirstByteMs:      phase(t.FirstByte),
		TotalMs:          milliseconds(t.Total),
		ConnectionReused: t.ConnectionReused,
	}
}

// phase is a time in milliseconds, nil where the phase did not happen.
func phase(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	ms := milliseconds(d)
	return &ms
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}
