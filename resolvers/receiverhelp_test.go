package resolvers

import (
	"net/http"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/graphqlhttp"
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
	headers := func(r webhooktest.Request, change map[string]string) (list []object) {
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
		{"a line break", "w", body + "\n", headers(post, nil), false, "read and written again"},
		{"written again with spaces", "w", strings.ReplaceAll(body, `":`, `": `), headers(post, nil), false, "read and written again"},
		{"one byte changed", "w", strings.Replace(body, "é", "e", 1), headers(post, nil), false, "differ from byte"},
		{"asked of another webhook", "other", body, headers(post, nil), false, "Signed with the secret of another webhook of this workspace"},
		{"unsigned webhook", "none", body, headers(post, nil), false, "does not sign"},
	} {
		var got struct {
			VerifySignature struct {
				Valid   bool
				Message string
			}
		}
		b.must(t, verify, map[string]any{"input": object{"webhookId": c.webhook, "headers": append([]object{}, c.headers...), "body": c.body}}, &got)
		if v := got.VerifySignature; v.Valid != c.valid || !strings.Contains(v.Message, c.says) {
			t.Errorf("%s: %t, %s; want %t, %s", c.name, v.Valid, v.Message, c.valid, c.says)
		}
	}
}
