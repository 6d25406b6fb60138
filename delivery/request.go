package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookql/hookql/internal/webhook"
)

// Message is an event as a receiver gets to see it.
type Message struct {
	// ID is the same in every attempt.
	ID        string
	EventName string
	// Timestamp is when the event happened; each attempt has its own besides.
	Timestamp time.Time
	// Data are the event's bytes, fixed when it was accepted: valid JSON,
	// which is sent as it is.
	Data json.RawMessage
	// Live is false for tests.
	Live bool
}

// request is a request ready to be sent, as the bytes for the wire say it, and
// what the record says: the same, but for the values of the owner's headers.
type request struct {
	webhook.Request
	record  webhook.Request
	content []byte // what is signed: the body, and for GET the raw query
	url     *url.URL
	wire    []byte
	// expects says that the header Expect is ours, as a test has it.
	expects bool
}

// newRequest makes the request that carries m to w at u, signed at the given
// time. The error is a *webhook.Error about the data or the secret.
func newRequest(w *webhook.Webhook, m *Message, u *url.URL, at time.Time, userAgent string) (*request, error) {
	target, body, err := content(w, m, u)
	if err != nil {
		return nil, err
	}
	headers := []webhook.Header{{Name: "Host", Value: target.Host}, {Name: "User-Agent", Value: userAgent}}
	if !slices.ContainsFunc(w.Headers, func(h webhook.Header) bool { return strings.EqualFold(h.Name, "Accept") }) {
		headers = append(headers, webhook.Header{Name: "Accept", Value: "*/*"})
	}
	signed := []byte(target.RawQuery)
	if w.Method == webhook.MethodPost {
		signed = body
		headers = append(headers,
			webhook.Header{Name: "Content-Type", Value: "application/json"},
			webhook.Header{Name: "Content-Length", Value: strconv.Itoa(len(body))})
	}
	identity, err := identityHeaders(w, m, at, signed)
	if err != nil {
		return nil, err
	}
	r := &request{url: target, Request: webhook.Request{Method: string(w.Method), URL: target.String(), Body: body}, content: signed}
	r.Headers = append(headers, identity...)
	r.complete(w)
	return r, nil
}

// complete adds the owner's headers to ours, and makes the wire's bytes and the
// record.
func (r *request) complete(w *webhook.Webhook) {
	ours := r.Headers
	r.BodySize = len(r.Body)
	r.Headers = slices.Concat(ours, w.Headers)
	r.wire = encode(r.Request, r.url.RequestURI())
	r.record = r.Request
	r.record.Headers = slices.Concat(ours, webhook.Masked(w.Headers))
}

// identityHeaders say which message this is, when it was sent, by whom (the
// signature), and whether it is a test.
func identityHeaders(w *webhook.Webhook, m *Message, at time.Time, signed []byte) ([]webhook.Header, error) {
	headers := []webhook.Header{
		{Name: "webhook-id", Value: m.ID},
		{Name: "webhook-timestamp", Value: strconv.FormatInt(at.Unix(), 10)},
	}
	signature, err := signatures(w, m.ID, at, signed)
	if err != nil {
		return nil, err
	}
	if signature != "" {
		headers = append(headers, webhook.Header{Name: "webhook-signature", Value: signature})
	}
	if !m.Live {
		headers = append(headers, webhook.Header{Name: "hookql-test", Value: "true"})
	}
	return headers, nil
}

// encode writes a request as HTTP/1.1 sends it.
func encode(r webhook.Request, target string) []byte {
	var out bytes.Buffer
	out.Grow(1<<10 + len(r.Body))
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\n", r.Method, target)
	for _, h := range r.Headers {
		fmt.Fprintf(&out, "%s: %s\r\n", h.Name, h.Value)
	}
	out.WriteString("\r\n")
	out.Write(r.Body)
	return out.Bytes()
}

// content returns where a message goes and with which body: none for GET,
// whose data stand in the query.
func content(w *webhook.Webhook, m *Message, u *url.URL) (*url.URL, []byte, error) {
	if w.Method == webhook.MethodGet {
		target, err := withQuery(u, m.Data)
		return target, nil, err
	}
	return u, payload(w.PayloadFormat, m), nil
}

// Body is the body of every POST request that carries an event in a format: the
// same bytes each time. A GET request has none.
func Body(format webhook.PayloadFormat, e *webhook.Event) []byte {
	return payload(format, messageOf(e))
}

// messageOf is an event as a receiver gets to see it.
func messageOf(e *webhook.Event) *Message {
	return &Message{ID: e.ID, EventName: e.Name, Timestamp: e.OccurredAt, Data: e.Data, Live: true}
}

// payload puts the data, unchanged, into the form that the webhook wants.
func payload(format webhook.PayloadFormat, m *Message) []byte {
	name, id, at := quote(m.EventName), quote(m.ID), quote(m.Timestamp.UTC().Format(time.RFC3339Nano))
	switch format {
	case webhook.FormatEnvelope:
		return fmt.Appendf(nil, `{"event":%s,"liveMode":%t,"messageId":%s,"timestamp":%s,"body":%s}`, name, m.Live, id, at, m.Data)
	case webhook.FormatStandard:
		return fmt.Appendf(nil, `{"type":%s,"timestamp":%s,"data":%s}`, name, at, m.Data)
	default:
		return m.Data
	}
}

// quote writes plain text (names, ids, times) as a JSON string.
func quote(s string) []byte {
	quoted, _ := json.Marshal(s) // a string always can be
	return quoted
}

// maxData is the largest data of one event, in bytes of its JSON.
const maxData = 256 << 10

// CheckEventData says what keeps data from being those of an event, or nil. The
// error has no field.
func CheckEventData(data json.RawMessage) *webhook.Error {
	switch {
	case len(data) > maxData:
		return webhook.NewError(webhook.TooLong, fmt.Sprintf("The data has %d bytes of JSON, at most 256 KiB are sent. Send less, such as an id by which the receiver fetches the rest.", len(data)))
	case len(data) == 0 || data[0] != '{':
		return errNoObject()
	}
	return nil
}

func errNoObject() *webhook.Error {
	return webhook.NewError(webhook.Invalid, "The data of an event is a JSON object, such as `{\"job_id\": \"b3131f1d\"}`.")
}

// CheckData says whether w can be sent the data: what CheckEventData refuses, or
// what GET cannot carry in a query, is a *webhook.Error without a field.
func CheckData(w *webhook.Webhook, data json.RawMessage) error {
	if mistake := CheckEventData(data); mistake != nil {
		return mistake
	}
	if w.Method != webhook.MethodGet {
		return nil
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		return nil // the URL's own mistake, which Policy.CheckURL tells
	}
	_, err = withQuery(u, data)
	return err
}

// withQuery returns u with the members of data, an object, behind its query.
func withQuery(u *url.URL, data json.RawMessage) (*url.URL, error) {
	params, err := members(data)
	if err != nil {
		return nil, err
	}
	taken := queryNames(u.RawQuery)
	var query strings.Builder
	query.WriteString(u.RawQuery)
	for _, p := range params {
		if taken[p.name] {
			return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("The URL's own query already has a parameter %q, and the data has a member of that name. Rename one of them, or choose the method `POST`.", p.name))
		}
		if query.Len() > 0 && !strings.HasSuffix(query.String(), "&") {
			query.WriteByte('&')
		}
		query.WriteString(escape(p.name) + "=" + escape(p.value))
	}
	target := *u
	target.RawQuery = query.String()
	return &target, nil
}

// queryNames are the names that the query has already. Of a part with broken
// escapes, which a receiver may read in any way, the text itself is the name.
func queryNames(rawQuery string) map[string]bool {
	names := make(map[string]bool)
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		names[name] = true
	}
	return names
}

// param is one member of an object as a query parameter, unescaped.
type param struct{ name, value string }

// members lists the members of an object in their order: strings as they are,
// numbers, booleans, arrays and objects as compact JSON, without those that
// are null.
func members(data json.RawMessage) ([]param, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return nil, errNoObject()
	}
	var params []param
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errNoObject()
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, errNoObject()
		}
		if value, ok := queryValue(raw); ok {
			params = append(params, param{name.(string), value})
		}
	}
	return params, nil
}

// queryValue writes a JSON value as the value of a query parameter; false for null.
func queryValue(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case 'n':
		return "", false
	case '"':
		var text string
		_ = json.Unmarshal(raw, &text) // the decoder has read it before
		return text, true
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, raw) // likewise
	return compact.String(), true
}

// escape is url.QueryEscape with spaces as %20, which every reader understands.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
