package resolvers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hookql/hookql/delivery"
)

// mistakes are the user errors of a mutation, each as its code and path.
func (b *bundle) mistakes(t *testing.T, document string, input any) (list []string) {
	t.Helper()
	var got map[string]struct {
		UserErrors []struct {
			Code  string
			Field []string
		}
	}
	b.must(t, document, map[string]any{"input": input}, &got)
	for _, payload := range got {
		for _, e := range payload.UserErrors {
			list = append(list, e.Code+" "+strings.Join(e.Field, "."))
		}
	}
	return list
}

const (
	create = `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { userErrors { code field } } }`
	update = `mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { userErrors { code field } } }`
	test   = `mutation($input: TestWebhookInput!) { testWebhook(input: $input) { userErrors { code field } } }`
)

type object = map[string]any

// Every mistake is told with the path of the very item that is wrong.
func TestMistakesHaveTheirPaths(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprint("a", i)
	}
	for _, c := range []struct {
		name, document string
		input          object
		want           []string
	}{
		{"behind a repeated event", create, object{"url": b.url, "events": []string{"job.status", "job.status", "nope.x"}}, []string{"UNKNOWN_EVENT_TYPE input.events.2"}},
		{"behind a header without a value", create, object{"url": b.url, "events": []string{"*"}, "headers": []object{{"name": "X-A"}, {"name": "bad name", "value": "x"}}},
			[]string{"INVALID input.headers.1.name", "REQUIRED input.headers.0.value"}},
		{"a host too long for a name", create, object{"url": "https://" + strings.Repeat("a", 300) + "/", "events": []string{"*"}}, []string{"INVALID_URL input.url"}},
		{"too many events", create, object{"url": b.url, "events": many}, nil},
		{"behind a repeated name", test, object{"target": object{"webhookId": "w"}, "eventNames": []string{"job.status", "job.status", "nope.x"}}, []string{"UNKNOWN_EVENT_TYPE input.eventNames.2"}},
		{"too many names", test, object{"target": object{"webhookId": "w"}, "eventNames": many}, []string{"TOO_LONG input.eventNames"}},
		{"a retry policy's members", create, object{"url": b.url, "events": []string{"*"}, "retryPolicy": object{"maxAttempts": 21, "backoffFactor": 0.5, "initialDelaySeconds": nil}},
			[]string{"INVALID input.retryPolicy.backoffFactor", "INVALID input.retryPolicy.maxAttempts"}},
		{"null in a retry policy", update, object{"id": "w", "retryPolicy": object{"maxDelaySeconds": nil, "maxAttempts": 0}},
			[]string{"INVALID input.retryPolicy.maxAttempts", "REQUIRED input.retryPolicy.maxDelaySeconds"}},
		{"no retry policy", update, object{"id": "w", "retryPolicy": nil, "resourceIds": nil}, []string{"REQUIRED input.resourceIds", "REQUIRED input.retryPolicy"}},
		{"a resource behind a repeated one", create, object{"url": b.url, "events": []string{"*"}, "resourceIds": []string{"a", "a", " "}}, []string{"INVALID input.resourceIds.2"}},
		{"a rate limit", update, object{"id": "w", "rateLimitPerSecond": 0}, []string{"INVALID input.rateLimitPerSecond"}},
		{"two targets", test, object{"target": object{"webhookId": "w", "endpoint": object{"url": b.url, "events": []string{"*"}}}}, []string{"INVALID input.target"}},
		{"no target", test, object{"target": object{}}, []string{"INVALID input.target"}},
		{"a target that is null", test, object{"target": object{"webhookId": nil}}, []string{"INVALID input.target"}},
		{"data of more than 256 KiB", test, object{"target": object{"webhookId": "w"}, "payloads": []object{{"eventName": "job.status", "data": strings.Repeat("x", 256<<10)}}}, []string{"TOO_LONG input.payloads.0.data"}},
	} {
		got := b.mistakes(t, c.document, c.input)
		slices.Sort(got)
		if c.name == "too many events" { // all are unknown, too
			if len(got) != maxUserErrors+1 || !slices.Contains(got, "TOO_LONG input.events") {
				t.Errorf("%s: %v", c.name, got)
			}
			continue
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Rules that became stricter since a webhook was saved keep nobody from
// changing the rest of it.
func TestStricterRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	b.api = NewHandler(&Resolver{DB: b.db, Engine: &delivery.Engine{}}, Options{})
	for _, input := range []object{{"id": "w", "active": false}, {"id": "w", "name": "new"}, {"id": "w", "url": b.url}} {
		if got := b.mistakes(t, update, input); len(got) > 0 {
			t.Errorf("%v: %v", input, got)
		}
	}
	if got := b.mistakes(t, update, object{"id": "w", "url": b.url + "/other"}); !slices.Equal(got, []string{"HTTPS_REQUIRED input.url"}) {
		t.Errorf("another URL that is refused: %v", got)
	}
	if got := b.mistakes(t, test, object{"target": object{"webhookId": "w"}}); len(got) > 0 {
		t.Errorf("testing it: %v, want a result that says so", got)
	}
}
