package resolvers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/webhook"
)

const simulate = `query($down: Int!, $policy: RetryPolicyInput, $webhook: ID) {
	simulateRetries(downForSeconds: $down, policy: $policy, webhookId: $webhook) {
		policy { maxAttempts initialDelaySeconds backoffFactor maxDelaySeconds }
		message delivered failuresAtLeast suspended suspendAfterSeconds
		attempts { number at { earliest latest } outcome waitBeforeNext { latest } }
	}
}`

type aSimulation struct {
	Policy                               webhook.RetryPolicy
	Message                              string
	Delivered, Suspended                 *bool
	FailuresAtLeast, SuspendAfterSeconds int
	Attempts                             []struct {
		Number         int
		At             webhook.SecondsRange
		Outcome        string
		WaitBeforeNext *webhook.SecondsRange
	}
}

// TestSimulateRetries takes the policy of a webhook, or the defaults, and what
// of it is to be tried.
func TestSimulateRetries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, `mutation($url: URL!) { createWebhook(input: {uid: "w", url: $url, events: ["job.status"], retryPolicy: {maxAttempts: 3, initialDelaySeconds: 60}}) { webhook { id } } }`,
		map[string]any{"url": b.url}, nil)
	for _, c := range []struct {
		name      string
		variables map[string]any
		want      webhook.RetryPolicy
		delivered bool
		attempts  int
	}{
		{"defaults", map[string]any{"down": 3600}, webhook.DefaultRetryPolicy(), true, 7},
		{"nulls", map[string]any{"down": 3600, "policy": map[string]any{"maxAttempts": nil}, "webhook": nil}, webhook.DefaultRetryPolicy(), true, 7},
		{"a policy", map[string]any{"down": 3600, "policy": map[string]any{"maxAttempts": 2, "backoffFactor": 1.5}}, webhook.RetryPolicy{MaxAttempts: 2, InitialDelaySeconds: 5, BackoffFactor: 1.5, MaxDelaySeconds: 86_400}, false, 2},
		{"a webhook", map[string]any{"down": 3600, "webhook": "w"}, webhook.RetryPolicy{MaxAttempts: 3, InitialDelaySeconds: 60, BackoffFactor: 4, MaxDelaySeconds: 86_400}, false, 3},
		{"a change of a webhook", map[string]any{"down": 3600, "webhook": "w", "policy": map[string]any{"maxAttempts": 9}}, webhook.RetryPolicy{MaxAttempts: 9, InitialDelaySeconds: 60, BackoffFactor: 4, MaxDelaySeconds: 86_400}, true, 5},
	} {
		var got struct{ SimulateRetries aSimulation }
		statements := b.must(t, simulate, c.variables, &got)
		s := got.SimulateRetries
		if diff := cmp.Diff(c.want, s.Policy); diff != "" || *s.Delivered != c.delivered || len(s.Attempts) != c.attempts || *s.Suspended || s.SuspendAfterSeconds != 432_000 {
			t.Errorf("%s: %+v\n%s", c.name, s, diff)
		}
		if s.Attempts[0].Outcome != "FAILS" || s.Attempts[1].At.Latest != s.Attempts[0].WaitBeforeNext.Latest || !strings.HasPrefix(s.Message, "The event is ") {
			t.Errorf("%s: %+v", c.name, s)
		}
		if len(statements) > 1 {
			t.Errorf("%s: %v", c.name, statements)
		}
	}
	if n := len(b.receiver.Requests()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestSimulateRetriesRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for want, variables := range map[string]map[string]any{
		"`downForSeconds` must be 0 to 31536000, which is a year.":      {"down": -1},
		"`maxAttempts` must be at most 20.":                             {"down": 1, "policy": map[string]any{"maxAttempts": 21}},
		"`initialDelaySeconds` must be at least 1.":                     {"down": 1, "policy": map[string]any{"initialDelaySeconds": 0}},
		`There is no webhook with the id or uid "w" in your workspace.`: {"down": 1, "webhook": "w"},
	} {
		a, _ := b.ask(t, simulate, variables)
		if len(a.Errors) != 1 || a.Errors[0].Message != want || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
			t.Errorf("%v: %+v", variables, a.Errors)
		}
	}
	if a, _ := b.ask(t, simulate, map[string]any{"down": maxDown + 1}); len(a.Errors) != 1 {
		t.Errorf("%+v", a)
	}
	b.caller = auth.Caller{Key: &webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeEventsRead}}, WorkspaceID: b.workspace}
	if a, _ := b.ask(t, simulate, map[string]any{"down": 1}); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "FORBIDDEN" {
		t.Errorf("%+v", a)
	}
}
