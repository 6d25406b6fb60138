package graphqlhttp

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

const (
	allowed        = "GET, POST, OPTIONS"
	defaultMaxBody = 1 << 20
)

// read reads the parameters of a request. The error is a *refusal where the
// client can mend it.
func (t Transport) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	var members map[string]any
	var err error
	switch r.Method {
	case http.MethodPost:
		members, err = t.readBody(w, r)
	case http.MethodGet:
		members, err = readQuery(r)
	default:
		err = &refusal{http.StatusMethodNotAllowed, "Send queries by POST or GET, and mutations by POST."}
	}
	if err != nil {
		return nil, err
	}
	params, err := Parameters(members)
	if err != nil {
		return nil, err
	}
	params.Headers = r.Header
	return params, nil
}

// readBody reads the JSON object that a POST carries.
func (t Transport) readBody(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	media, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := options["charset"]
	if err != nil || media != mediaJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, &refusal{http.StatusUnsupportedMediaType, "Send the request as JSON in UTF-8, with the header Content-Type: application/json."}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, &refusal{http.StatusUnsupportedMediaType, "Send the request without a Content-Encoding."}
	}
	limit := t.MaxBody
	if limit == 0 {
		limit = defaultMaxBody
	}
	tooLarge := &refusal{http.StatusRequestEntityTooLarge, "The request is larger than 1 MiB."}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, err
	}
	value, err := DecodeJSON(body)
	if err != nil {
		return nil, badRequest("The body is no JSON as it is taken here: %s.", err)
	}
	members, ok := value.(map[string]any)
	if !ok {
		return nil, badRequest(`The body is a JSON object, such as {"query": "{ eventTypes { name } }"}; a list of requests is not taken.`)
	}
	return members, nil
}

// readQuery reads the parameters of a GET from its URL. A request with cookies
// is refused: what it may do must never depend on the browser that sends it.
func readQuery(r *http.Request) (map[string]any, error) {
	if len(r.Header["Cookie"]) > 0 {
		return nil, badRequest("Send a GET without cookies, or use POST.")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The URL's query is not well formed.")
	}
	members := make(map[string]any, len(values))
	for name, texts := range values {
		if len(texts) > 1 {
			return nil, badRequest("A parameter stands in the URL's query more than once.")
		}
		members[name] = texts[0]
	}
	for _, name := range []string{"variables", "extensions"} {
		text, given := members[name].(string)
		if !given {
			continue
		}
		if members[name], err = DecodeJSON([]byte(text)); err != nil {
			return nil, badRequest("The parameter %s is no JSON as it is taken here: %s.", name, err)
		}
	}
	return members, nil
}

// Parameters picks those that GraphQL knows; others are left to whom they are
// for. The error is for the client.
func Parameters(members map[string]any) (*graphql.RawParams, error) {
	params := &graphql.RawParams{}
	var ok bool
	if params.Query, ok = members["query"].(string); !ok || params.Query == "" {
		return nil, badRequest("The parameter query is missing, or is no text: it holds the GraphQL document.")
	}
	if params.OperationName, ok = optional[string](members["operationName"]); !ok {
		return nil, badRequest("The parameter operationName is a text or null.")
	}
	if params.Variables, ok = optional[map[string]any](members["variables"]); !ok {
		return nil, badRequest("The parameter variables is a JSON object or null.")
	}
	if params.Extensions, ok = optional[map[string]any](members["extensions"]); !ok {
		return nil, badRequest("The parameter extensions is a JSON object or null.")
	}
	return params, nil
}

// optional is v as a T, or T's zero value where v is absent or null.
func optional[T any](v any) (value T, ok bool) {
	if v == nil {
		return value, true
	}
	value, ok = v.(T)
	return value, ok
}
