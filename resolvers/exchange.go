package resolvers

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookql/hookql/delivery"
	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

func testExchange(number int, e webhook.Exchange) *graph.TestExchange {
	return &graph.TestExchange{
		Number:     number,
		Outcome:    e.Outcome,
		StartedAt:  e.StartedAt,
		DurationMs: milliseconds(e.Timing.Total),
		Request:    httpRequest(e.Request),
		Response:   httpResponse(e.Response),
		Timing:     httpTiming(e.Timing),
	}
}

func httpRequest(r webhook.Request) *graph.HTTPRequest {
	request := &graph.HTTPRequest{
		Method:   r.Method,
		URL:      r.URL,
		Headers:  pointers(r.Headers),
		BodySize: len(r.Body),
		Curl:     delivery.Curl(r),
	}
	if len(r.Body) == 0 {
		return request
	}
	encoded := base64.StdEncoding.EncodeToString(r.Body)
	request.BodyBase64 = &encoded
	if utf8.Valid(r.Body) {
		body := string(r.Body)
		request.Body = &body
	}
	return request
}

func httpResponse(r *webhook.Response) *graph.HTTPResponse {
	if r == nil {
		return nil
	}
	return &graph.HTTPResponse{
		StatusCode:    r.StatusCode,
		StatusText:    r.StatusText,
		Headers:       pointers(r.Headers),
		Body:          strings.ToValidUTF8(string(r.Body), "\uFFFD"),
		BodyTruncated: r.BodyTruncated,
	}
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
