package resolvers

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
	"github.com/hookql/hookql/webhooktest"
)

const preview = `query($input: PreviewDeliveryInput!) {
	previewDelivery(input: $input) { signedContent request { method url body headers { name value } curl } }
}`

// previewed is what preview selects.
type previewed struct {
	PreviewDelivery struct {
		SignedContent string
		Request       struct {
			Method, URL, Body, Curl string
			Headers                 []struct{ Name, Value string }
		}
	}
}

func (p *previewed) header() http.Header {
	h := http.Header{}
	for _, header := range p.PreviewDelivery.Request.Headers {
		h.Add(header.Name, header.Value)
	}
	return h
}

// A preview is what would arrive: the official library takes it, and nobody
// hears of it.
func TestPreview(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	var secret struct{ Webhook struct{ Secret string } }
	b.must(t, `{ webhook(id: "w") { secret } }`, nil, &secret)
	library, err := standardwebhooks.NewWebhook(secret.Webhook.Secret)
	if err != nil {
		t.Fatal(err)
	}
	var got previewed
	statements := b.must(t, preview, map[string]any{"input": object{"target": object{"webhookId": "w"}, "eventName": "job.status", "data": object{"jobId": "7"}}}, &got)
	request := got.PreviewDelivery.Request
	if err := library.Verify([]byte(request.Body), got.header()); err != nil || !strings.Contains(request.Body, `"jobId":"7"`) || !strings.HasSuffix(got.PreviewDelivery.SignedContent, "."+request.Body) {
		t.Errorf("%v: %+v", err, got)
	}
	if len(b.receiver.Requests()) > 0 || len(statements) > 3 {
		t.Errorf("%d requests were sent, with %v", len(b.receiver.Requests()), statements)
	}
	a, _ := b.ask(t, preview, map[string]any{"input": object{"target": object{"webhookId": "w"}, "eventName": "nope"}})
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != graphqlhttp.BadUserInput || !strings.Contains(a.Errors[0].Message, `no event type "nope"`) {
		t.Errorf("an unknown event type: %+v", a.Errors)
	}
}

const verify = `query($input: VerifySignatureInput!) { verifySignature(input: $input) { valid message } }`

// TestVerifySignature takes a request that was really received and asks about
// it, as it is and with each mistake that receivers make.
func TestVerifySignature(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	b.must(t, create, map[string]any{"input": object{"uid": "other", "url": b.url + "/other", "events": []string{"*"}}}, nil)
	b.must(t, create, map[string]any{"input": object{"uid": "get", "url": b.url + "/get", "events": []string{"job.status"}, "method": "GET"}}, nil)
	b.must(t, create, map[string]any{"input": object{"uid": "none", "url": b.url + "/none", "events": []string{"*"}, "signing": "NONE"}}, nil)
	run := func(id string) webhooktest.Request {
		b.must(t, testJobStatus, map[string]any{"id": id, "data": object{"b": "é", "a": 1}}, nil)
		all := b.receiver.Requests()
		return all[0] // the newest
	}
	post, get := run("w"), run("get")
	_, query, _ := strings.Cut(get.URL, "?")
	body := string(post.Body)
	for _, c := range []struct {
		name, webhook, body string
		headers             []object
		valid               bool
		says                string
	}{
		{"as it came", "w", body, headers(post, nil), true, "Valid"},
		{"GET", "get", query, headers(get, nil), true, "Valid"},
		{"no headers", "w", body, nil, false, "webhook-id is missing"},
		{"no signature", "w", body, headers(post, map[string]string{"webhook-signature": ""}), false, "webhook-signature is missing"},
		{"a signature of another version", "w", body, headers(post, map[string]string{"webhook-signature": "v9,AAAA"}), false, "no signature of the version v1"},
		{"a timestamp in words", "w", body, headers(post, map[string]string{"webhook-timestamp": "today"}), false, "no number of seconds"},
		{"another timestamp", "w", body, headers(post, map[string]string{"webhook-timestamp": "1700000000"}), false, "The body is what was sent"},
		{"another id", "w", body, headers(post, map[string]string{"webhook-id": "test_1"}), false, "No signature fits"},
		{"an id with NUL", "w", body, headers(post, map[string]string{"webhook-id": "test_\x00"}), false, "No signature fits"},
		{"many signatures", "w", body, headers(post, map[string]string{"webhook-signature": strings.Repeat("v1,AAAA ", 17)}), false, "lists 17 signatures, of which at most 16"},
		{"a line break", "w", body + "\n", headers(post, nil), false, "read and written again"},
		{"written again with spaces", "w", strings.ReplaceAll(body, `":`, `": `), headers(post, nil), false, "read and written again"},
		{"one byte changed", "w", strings.Replace(body, "é", "e", 1), headers(post, nil), false, "differ from byte"},
		{"asked of another webhook", "other", body, headers(post, nil), false, "Signed with the secret of another webhook of this workspace"},
		{"unsigned webhook", "none", body, headers(post, nil), false, "does not sign"},
	} {
		if valid, message := b.verify(t, c.webhook, c.headers, c.body); valid != c.valid || !strings.Contains(message, c.says) {
			t.Errorf("%s: %t, %s; want %t, %s", c.name, valid, message, c.valid, c.says)
		}
	}
}

// verify asks about a request.
func (b *bundle) verify(t *testing.T, webhook string, headers []object, body string) (valid bool, message string) {
	t.Helper()
	var got struct {
		VerifySignature struct {
			Valid   bool
			Message string
		}
	}
	b.must(t, verify, map[string]any{"input": object{"webhookId": webhook, "headers": append([]object{}, headers...), "body": body}}, &got)
	return got.VerifySignature.Valid, got.VerifySignature.Message
}

// headers are those of a request, some of them changed; empty ones are left out.
func headers(r webhooktest.Request, change map[string]string) (list []object) {
	for _, h := range r.Header {
		value, changed := change[strings.ToLower(h.Name)]
		if !changed {
			value = h.Value
		}
		if value != "" {
			list = append(list, object{"name": h.Name, "value": value})
		}
	}
	return list
}

// A request that brought a published event is compared with what was sent, for
// those who may read events.
func TestVerifySignatureOfAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t)
	for uid, more := range map[string]object{"post": {}, "get": {"method": "GET"}, "other": {"active": false}} {
		input := object{"uid": uid, "url": b.url + "/" + uid, "events": []string{"job.status"}, "active": true}
		maps.Copy(input, more)
		b.must(t, create, map[string]any{"input": input}, nil)
	}
	b.publishEvent(t, object{"eventName": "job.status", "data": object{"b": "ü & x", "a": 1}})
	b.eventually(t, func() bool {
		var read struct {
			Deliveries struct{ Nodes []struct{ ID string } }
		}
		b.must(t, `{ deliveries(filter: {status: [SUCCEEDED]}) { nodes { id } } }`, nil, &read)
		return len(read.Deliveries.Nodes) == 2
	})
	var post, get webhooktest.Request
	for _, r := range b.receiver.Requests() {
		if r.Method == http.MethodGet {
			get = r
		} else {
			post = r
		}
	}
	body := string(post.Body)
	_, query, _ := strings.Cut(get.URL, "?")
	if !strings.Contains(body, `"body":{"a":1,"b":"ü & x"}`) || query != "a=1&b=%C3%BC%20%26%20x" {
		t.Fatalf("%s\n%s", body, query)
	}
	var parsed map[string]any
	if err := json.Unmarshal(post.Body, &parsed); err != nil {
		t.Fatal(err)
	}
	indented, err := json.MarshalIndent(parsed, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	another := func(id string) map[string]string { return map[string]string{"webhook-id": id} }
	const unknown = "No signature fits"
	for _, c := range []struct {
		name, webhook, body string
		headers             []object
		says                string
	}{
		{"another timestamp", "post", body, headers(post, map[string]string{"webhook-timestamp": "1700000000"}), "The body is what was sent under this id"},
		{"sorted and indented", "post", string(indented), headers(post, nil), "but the same JSON, parsed and written again: " + strconv.Itoa(len(indented)) + " bytes are given, " + strconv.Itoa(len(body)) + " were sent, and they differ from byte 2 on"},
		{"other escapes", "post", strings.Replace(body, "ü", `\u00fc`, 1), headers(post, nil), "but the same JSON, parsed and written again"},
		{"a changed letter", "post", strings.Replace(body, "ü", "u", 1), headers(post, nil), "this id: " + strconv.Itoa(len(body)-1) + " bytes"},
		{"cut", "post", body[:20], headers(post, nil), "but the beginning of it: 20 bytes are given"},
		{"nothing", "post", "", headers(post, nil), "but the beginning of it: 0 bytes are given"},
		{"a leading ?", "get", "?" + query, headers(get, nil), "The query is not what was sent under this id but has the `?` before it"},
		{"decoded", "get", "a=1&b=ü & x", headers(get, nil), "but decoded"},
		{"reordered", "get", "b=%C3%BC%20%26%20x&a=1", headers(get, nil), "but the same parameters, parsed and written again"},
		{"spaces as plus", "get", "a=1&b=%C3%BC+%26+x", headers(get, nil), "but the same parameters, parsed and written again"},
		{"cut query", "get", "a=1", headers(get, nil), "but the beginning of it"},
		{"another query", "get", "a=2", headers(get, nil), "The query is not what was sent under this id: 3 bytes"},
		{"an event that this webhook did not get", "other", string(indented), headers(post, nil), unknown},
		{"an event that is not there", "post", string(indented), headers(post, another(webhook.NewID(webhook.EventPrefix))), unknown},
		{"an id that there cannot be", "post", string(indented), headers(post, another("evt_1")), unknown},
	} {
		if valid, message := b.verify(t, c.webhook, c.headers, c.body); valid || !strings.Contains(message, c.says) {
			t.Errorf("%s: %t, %s; want %s", c.name, valid, message, c.says)
		}
	}
	b.caller = auth.Caller{Key: &webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeWebhooksRead}}, WorkspaceID: b.workspace}
	if _, message := b.verify(t, "post", headers(post, nil), string(indented)); !strings.Contains(message, unknown) {
		t.Errorf("without the scope EVENTS_READ: %s", message)
	}
	elsewhere, err := b.db.EnsureWorkspace(t.Context(), "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	b.caller = auth.Caller{Operator: true, WorkspaceID: elsewhere}
	b.must(t, create, map[string]any{"input": object{"uid": "post", "url": b.url, "events": []string{"job.status"}}}, nil)
	if _, message := b.verify(t, "post", headers(post, nil), string(indented)); !strings.Contains(message, unknown) {
		t.Errorf("an event of another workspace: %s", message)
	}
}
