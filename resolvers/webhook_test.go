package resolvers

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

// limits is what a webhook says of its limits.
type limits struct {
	ResourceIds        []string
	RateLimitPerSecond *int
	RetryPolicy        struct {
		MaxAttempts, InitialDelaySeconds, MaxDelaySeconds int
		BackoffFactor                                     float64
	}
	Version int
}

const limitFields = `{ resourceIds rateLimitPerSecond retryPolicy { maxAttempts initialDelaySeconds backoffFactor maxDelaySeconds } version }`

// TestWebhookLimits registers and changes what a webhook is limited to.
func TestWebhookLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	var want limits
	want.ResourceIds = []string{}
	want.RetryPolicy.MaxAttempts, want.RetryPolicy.InitialDelaySeconds = 11, 5
	want.RetryPolicy.BackoffFactor, want.RetryPolicy.MaxDelaySeconds = 4, 86_400
	want.Version = 1
	for _, step := range []struct {
		name   string
		input  object
		change func()
	}{
		{"the defaults", object{}, func() {}},
		{"repeated resources", object{"resourceIds": []string{"b", "a", "b"}}, func() { want.ResourceIds = []string{"b", "a"}; want.Version++ }},
		{"a rate limit", object{"rateLimitPerSecond": 10}, func() { want.RateLimitPerSecond = new(10); want.Version++ }},
		{"one member of the policy", object{"retryPolicy": object{"backoffFactor": 1.5}}, func() { want.RetryPolicy.BackoffFactor = 1.5; want.Version++ }},
		{"no member", object{"retryPolicy": object{}}, func() {}},
		{"another member", object{"retryPolicy": object{"maxAttempts": 1}}, func() { want.RetryPolicy.MaxAttempts = 1; want.Version++ }},
		{"no rate limit", object{"rateLimitPerSecond": nil}, func() { want.RateLimitPerSecond = nil; want.Version++ }},
		{"no resources", object{"resourceIds": []string{}}, func() { want.ResourceIds = []string{}; want.Version++ }},
	} {
		step.input["id"] = "w"
		step.change()
		var got struct{ UpdateWebhook struct{ Webhook limits } }
		b.must(t, `mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { webhook `+limitFields+` } }`, object{"input": step.input}, &got)
		if diff := cmp.Diff(want, got.UpdateWebhook.Webhook); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// atOnce does something n times at the same time.
func atOnce(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// TestUpdatesAtOnce updates one webhook from many clients, more than there are
// connections to the database: none is told of the others, and no update is
// lost. Only who expects a version is refused.
func TestUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	const updates = 200
	atOnce(updates, func(i int) {
		input := object{"id": "w", "name": fmt.Sprint("name ", i)}
		if mistakes := b.mistakes(t, update, input); len(mistakes) > 0 {
			t.Errorf("update %d: %v", i, mistakes)
		}
	})
	w, err := b.db.Webhook(t.Context(), b.workspace, "w")
	if err != nil || w.Version != 1+updates {
		t.Fatalf("after %d updates: version %d, %v", updates, w.Version, err)
	}
	var mu sync.Mutex
	outcomes := make(map[string]int)
	atOnce(20, func(i int) {
		mistakes := b.mistakes(t, update, object{"id": "w", "name": fmt.Sprint("expected ", i), "expectedVersion": w.Version})
		mu.Lock()
		defer mu.Unlock()
		outcomes[fmt.Sprint(mistakes)]++
	})
	if diff := cmp.Diff(map[string]int{"[]": 1, "[CONFLICT input.expectedVersion]": 19}, outcomes); diff != "" {
		t.Errorf("updates that expect a version (-want +got):\n%s", diff)
	}
}

func TestDeleteWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	const remove = `mutation($input: DeleteWebhookInput!) { deleteWebhook(input: $input) { userErrors { code field } } }`
	for _, step := range []struct {
		input object
		want  string
	}{
		{object{"id": "w", "expectedVersion": 2}, "[CONFLICT input.expectedVersion]"},
		{object{"id": "w", "expectedVersion": 1}, "[]"},
		{object{"id": "w"}, "[NOT_FOUND input.id]"},
	} {
		if got := fmt.Sprint(b.mistakes(t, remove, step.input)); got != step.want {
			t.Errorf("deleting with %v: %s, want %s", step.input, got, step.want)
		}
	}
	if _, err := b.db.Webhook(t.Context(), b.workspace, "w"); !errors.Is(err, webhook.NotFound) {
		t.Errorf("after its deletion: %v", err)
	}
}
