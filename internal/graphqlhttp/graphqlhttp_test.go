package graphqlhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"":                                  mediaJSON,
		"*/*":                               mediaJSON,
		"application/*":                     mediaJSON,
		"application/json":                  mediaJSON,
		"application/graphql-response+json": mediaGraphQL,
		"application/graphql-response+json, application/json":      mediaGraphQL,
		"application/json, */*":                                    mediaJSON,
		"application/graphql-response+json;q=0.9,application/json": mediaJSON,
		"APPLICATION/JSON ; Q=0.5":                                 mediaJSON,
		"application/json;q=0, */*":                                mediaGraphQL,
		"text/html":                                                "",
		"*/*;q=0":                                                  "",
		"application/json;q=x":                                     "",
		";;,":                                                      "",
	} {
		if got := negotiate(http.Header{"Accept": {accept}}); got.media != want {
			t.Errorf("negotiate(%q) = %+v, want %q", accept, got, want)
		}
	}
}

func TestNegotiateEvents(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]welcome{
		"":                  {media: mediaJSON, events: true},
		"*/*":               {media: mediaJSON, events: true},
		"application/json":  {media: mediaJSON},
		"text/event-stream": {events: true, preferEvents: true},
		"text/*;q=0.5":      {events: true, preferEvents: true},
		"text/event-stream;q=0, application/json":        {media: mediaJSON},
		"application/json;q=0.5, text/event-stream":      {media: mediaJSON, events: true, preferEvents: true},
		"application/json, text/event-stream;q=0.9, */*": {media: mediaJSON, events: true},
		// What urql sends with every operation.
		"application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed": {media: mediaGraphQL, events: true},
	} {
		if got := negotiate(http.Header{"Accept": {accept}}); got != want {
			t.Errorf("negotiate(%q) = %+v, want %+v", accept, got, want)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("application/json;q=0.5, */*")
	f.Fuzz(func(t *testing.T, accept string) {
		got := negotiate(http.Header{"Accept": {accept}})
		if got.media != "" && got.media != mediaJSON && got.media != mediaGraphQL || got.preferEvents && !got.events {
			t.Errorf("negotiate(%q) = %+v", accept, got)
		}
	})
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		`{"a": [1, "b", null, true, {"c": 1.50}]}`:                        true,
		`"\ud83d\ude00 \\ud800"`:                                          true,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):     true,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): false,
		strings.Repeat("[", 1_000_000):                                    false,
		"[" + strings.Repeat("{},", maxNodes) + "{}]":                     false,
		strings.Repeat("1", maxNumber+1):                                  false,
		`{"a": 1, "a": 2}`:                                                false,
		`{"a": 1} x`:                                                      false,
		`{} {}`:                                                           false,
		`"\ud800"`:                                                        false,
		`"\ude00"`:                                                        false,
		`"\ud800\u0041"`:                                                  false,
		"\"\xff\"":                                                        false,
		"\xef\xbb\xbf{}":                                                  false,
		`NaN`:                                                             false,
		``:                                                                false,
		`{"a"`:                                                            false,
	} {
		if _, err := DecodeJSON([]byte(text)); (err == nil) != good {
			t.Errorf("DecodeJSON(%.40q): %v, want good = %t", text, err, good)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"query": "{ a }", "variables": {"b": [1e9, "\ud83d\ude00"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := DecodeJSON(text)
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %v, by encoding/json as %v, %v", text, got, want, err)
		}
	})
}

// The messages are gqlparser's; TestCanaries has it write them.
func TestWithoutValue(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		`String cannot represent a non string value: ["s3cret"]`:                                                `String cannot represent a non string value.`,
		`Int cannot represent non-integer value: "s3cret: value: 1"`:                                            `Int cannot represent non-integer value.`,
		`Enum "Color" cannot represent non-enum value: "s3cret". Did you mean the enum value "RED" or "GREEN"?`: `Enum "Color" cannot represent non-enum value. Did you mean the enum value "RED" or "GREEN"?`,
		`Expected value of type "[Header!]", found "s3cret".`:                                                   `Expected value of type "[Header!]".`,
		`Value "s3cret" does not exist in "Color" enum. Did you mean the enum value "RED"?`:                     `Value does not exist in "Color" enum. Did you mean the enum value "RED"?`,
		"s3cret\nis not a valid Color is not a valid Color":                                                     `not a valid Color`,
		`Unexpected String "s3cret"`:                                                                            `Unexpected String`,
		`Expected "on", found BlockString "s3cret"`:                                                             `Expected "on", found BlockString`,
		`Invalid character escape sequence: \us3c.`:                                                             `Invalid character escape sequence.`,
		`Unexpected Name "querry"`:                                                                              `Unexpected Name "querry"`,
		`Cannot query field "nam" on type "EventType". Did you mean "name"?`:                                    `Cannot query field "nam" on type "EventType". Did you mean "name"?`,
	} {
		if got := withoutValue(message); got != want {
			t.Errorf("withoutValue(%s) = %s, want %s", message, got, want)
		}
	}
}

// TestRead refuses what is no GraphQL request, and never says back what was in it.
func TestRead(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, test := range []struct {
		name   string
		method string
		target string
		header http.Header
		body   string
		want   int // 0: taken
	}{
		{"query", "POST", "/", nil, `{"query": "{ a }"}`, 0},
		{"nulls", "POST", "/", nil, `{"query": "{ a }", "variables": null, "operationName": null}`, 0},
		{"GET", "GET", "/?query={a}&variables={\"b\":1}", nil, "", 0},
		{"other method", "PUT", "/", nil, secret, http.StatusMethodNotAllowed},
		{"form", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, secret, http.StatusUnsupportedMediaType},
		{"other charset", "POST", "/", http.Header{"Content-Type": {"application/json; charset=utf-16"}}, secret, http.StatusUnsupportedMediaType},
		{"compressed", "POST", "/", http.Header{"Content-Type": {mediaJSON}, "Content-Encoding": {"gzip"}}, secret, http.StatusUnsupportedMediaType},
		{"too large", "POST", "/", nil, strings.Repeat(" ", 101), http.StatusRequestEntityTooLarge},
		{"broken", "POST", "/", nil, `{"s3cret`, http.StatusBadRequest},
		{"batch", "POST", "/", nil, `[{"query": "{ s3cret }"}]`, http.StatusBadRequest},
		{"variables no object", "POST", "/", nil, `{"query": "{ a }", "variables": ["s3cret"]}`, http.StatusBadRequest},
		{"cookies", "GET", "/?query={a}", http.Header{"Cookie": {"a=s3cret"}}, "", http.StatusBadRequest},
		{"parameter twice", "GET", "/?query={a}&query={s3cret}", nil, "", http.StatusBadRequest},
	} {
		r := httptest.NewRequest(test.method, test.target, strings.NewReader(test.body))
		r.Header = test.header
		if r.Header == nil {
			r.Header = http.Header{"Content-Type": {mediaJSON}}
		}
		_, err := Transport{MaxBody: 100}.read(httptest.NewRecorder(), r)
		status := 0
		var wrong *refusal
		if errors.As(err, &wrong) {
			status = wrong.status
		}
		if status != test.want || (err == nil) != (test.want == 0) {
			t.Errorf("%s: %d, %v, want %d", test.name, status, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the answer says what was sent: %v", test.name, err)
		}
	}
}
