// Package client is what genqlient makes of the schema. Its tests walk through
// the main job against the server at HOOKQL_URL, and lose nothing on the way.
package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	"github.com/Khan/genqlient/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookql/hookql/internal/schemacheck/client/nulls"
)

var unchanged = cmpopts.EquateEmpty()

// whatEveryChangeChanges are those parts of a webhook that no input names.
var whatEveryChangeChanges = cmpopts.IgnoreFields(WebhookParts{}, "Version", "UpdatedAt")

func server(t *testing.T) graphql.Client {
	t.Helper()
	url := os.Getenv("HOOKQL_URL")
	if url == "" {
		t.Fatal("HOOKQL_URL is not set: run `make check-schema`, or start a server with `make run` and name it")
	}
	return graphql.NewClient(url+"/graphql", http.DefaultClient)
}

// register makes a webhook in which nothing has its default.
func register(t *testing.T, c graphql.Client, url string) (w *WebhookParts, secret string) {
	t.Helper()
	data, err := CreateWebhook(t.Context(), c, CreateWebhookInput{
		Url:                url,
		Events:             []string{"job.status", "order.*"},
		Name:               new("Acme"),
		Description:        new("Orders of Acme"),
		ResourceIds:        []string{"site-1", "site-2"},
		PayloadFormat:      new(PayloadFormatStandard),
		Headers:            []HttpHeaderInput{{Name: "X-Token", Value: new("s3cr3t")}, {Name: "X-Empty", Value: new("")}},
		TimeoutMs:          new(5000),
		RateLimitPerSecond: new(7),
		RetryPolicy:        &RetryPolicyInput{MaxAttempts: new(3), InitialDelaySeconds: new(2), BackoffFactor: new(1.5), MaxDelaySeconds: new(60)},
		Metadata:           new(json.RawMessage(`{"big":9007199254740993,"list":[1.50,null]}`)),
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := data.CreateWebhook
	if len(answer.UserErrors) > 0 || answer.Webhook == nil || answer.Secret == nil {
		t.Fatalf("createWebhook answered %+v", answer)
	}
	t.Cleanup(func() {
		if _, err := DeleteWebhook(context.Background(), c, DeleteWebhookInput{Id: answer.Webhook.Id}); err != nil {
			t.Log(err)
		}
	})
	return answer.Webhook, *answer.Secret
}

func read(t *testing.T, c graphql.Client, id string) *WebhookParts {
	t.Helper()
	data, err := GetWebhook(t.Context(), c, id)
	if err != nil {
		t.Fatal(err)
	}
	return data.Webhook
}

// TestUpdateLosesNothing changes one field after the other.
func TestUpdateLosesNothing(t *testing.T) {
	c := server(t)
	w, _ := register(t, c, "https://example.com/hooks?a=1")
	for name, test := range map[string]struct {
		input UpdateWebhookInput
		apply func(*WebhookParts)
	}{
		"nothing":         {UpdateWebhookInput{}, func(*WebhookParts) {}},
		"name":            {UpdateWebhookInput{Name: new("Renamed")}, func(w *WebhookParts) { w.Name = "Renamed" }},
		"description":     {UpdateWebhookInput{Description: new("")}, func(w *WebhookParts) { w.Description = new("") }},
		"one retry value": {UpdateWebhookInput{RetryPolicy: &RetryPolicyInput{MaxAttempts: new(4)}}, func(w *WebhookParts) { w.RetryPolicy.MaxAttempts = 4 }},
		"a header's name": {
			UpdateWebhookInput{Headers: []HttpHeaderInput{{Name: "X-Token"}}},
			func(w *WebhookParts) { w.Headers = w.Headers[:1] },
		},
	} {
		want := *read(t, c, w.Id)
		test.apply(&want)
		test.input.Id = w.Id
		data, err := UpdateWebhook(t.Context(), c, test.input)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(data.UpdateWebhook.UserErrors) > 0 {
			t.Fatalf("%s: %v", name, data.UpdateWebhook.UserErrors)
		}
		for of, got := range map[string]*WebhookParts{"the answer": data.UpdateWebhook.Webhook, "what is read": read(t, c, w.Id)} {
			if diff := cmp.Diff(&want, got, whatEveryChangeChanges); diff != "" {
				t.Errorf("%s: %s differs (-want +got):\n%s", name, of, diff)
			}
		}
	}
}

// TestClear empties what can be empty and keeps the rest.
func TestClear(t *testing.T) {
	c := server(t)
	w, _ := register(t, c, "https://example.com/hooks")
	data, err := ClearWebhook(t.Context(), c, w.Id)
	if err != nil || len(data.UpdateWebhook.UserErrors) > 0 {
		t.Fatal(err, data)
	}
	want := *w
	want.Description, want.RateLimitPerSecond, want.ResourceIds, want.Headers = nil, nil, []string{}, []WebhookPartsHeadersHttpHeader{}
	if diff := cmp.Diff(&want, data.UpdateWebhook.Webhook, whatEveryChangeChanges); diff != "" {
		t.Errorf("cleared (-want +got):\n%s", diff)
	}
}

// TestNullsLoseNothing asks the way of a client that sends null for whatever is
// not set: a new webhook gets the defaults, and an update is refused whole.
func TestNullsLoseNothing(t *testing.T) {
	c := server(t)
	created, err := nulls.CreateWebhook(t.Context(), c, nulls.CreateWebhookInput{Url: "https://example.com/", Events: []string{"*"}})
	if err != nil || created.CreateWebhook.Webhook == nil {
		t.Fatal(err, created)
	}
	t.Cleanup(func() {
		if _, err := DeleteWebhook(context.Background(), c, DeleteWebhookInput{Id: created.CreateWebhook.Webhook.Id}); err != nil {
			t.Log(err)
		}
	})
	omitted, err := CreateWebhook(t.Context(), c, CreateWebhookInput{Url: "https://example.com/", Events: []string{"*"}})
	if err != nil || omitted.CreateWebhook.Webhook == nil {
		t.Fatal(err, omitted)
	}
	own := cmpopts.IgnoreFields(WebhookParts{}, "Id", "Uid", "Secret", "StatusChangedAt", "CreatedAt", "UpdatedAt")
	if diff := cmp.Diff(omitted.CreateWebhook.Webhook, read(t, c, created.CreateWebhook.Webhook.Id), own, unchanged); diff != "" {
		t.Errorf("created with null instead of nothing (-nothing +null):\n%s", diff)
	}

	w, _ := register(t, c, "https://example.com/hooks")
	before := read(t, c, w.Id)
	updated, err := nulls.UpdateWebhook(t.Context(), c, nulls.UpdateWebhookInput{Id: w.Id, Name: new("Renamed")})
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, mistake := range updated.UpdateWebhook.UserErrors {
		if mistake.Code != nulls.UserErrorCodeRequired {
			t.Errorf("the mistake in %v is %s, want REQUIRED", mistake.Field, mistake.Code)
		}
		fields = append(fields, mistake.Field[len(mistake.Field)-1])
	}
	slices.Sort(fields)
	want := []string{"active", "events", "headers", "metadata", "method", "payloadFormat", "resourceIds", "retryPolicy", "secret", "signing", "timeoutMs", "uid", "url"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("null is a mistake in (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, read(t, c, w.Id)); diff != "" {
		t.Errorf("an update that was refused changed the webhook (-before +after):\n%s", diff)
	}
}

// TestReceiver tests a webhook against a receiver here, which checks the
// signature with the official library.
func TestReceiver(t *testing.T) {
	c := server(t)
	var verify func(body []byte, header http.Header) error
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify(body, r.Header)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		if r.Header.Get("X-Token") != "s3cr3t" {
			http.Error(w, "no token", http.StatusForbidden)
		}
	}))
	t.Cleanup(receiver.Close)

	w, secret := register(t, c, receiver.URL+"/hooks")
	official, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	verify = official.Verify

	before := read(t, c, w.Id)
	data, err := TestWebhook(t.Context(), c, TestWebhookInput{
		Target:   TestTarget{WebhookId: &w.Id},
		Payloads: []TestPayloadInput{{EventName: new("job.status"), Data: new(json.RawMessage(`{"job_id":"b3131f1d","job_status":"delivered"}`))}},
	})
	if err != nil || len(data.TestWebhook.UserErrors) > 0 {
		t.Fatal(err, data)
	}
	run := data.TestWebhook.TestRun
	if run.Success == nil || !*run.Success || run.Status != TestRunStatusFinished || run.TestsRun == 0 || run.TestsRun != run.TestsSucceeded || run.TestsFailed != 0 {
		t.Errorf("the run is %+v", run)
	}
	for _, result := range run.Tests.Nodes {
		if result.Verdict == nil || *result.Verdict != TestVerdictPass || *result.Outcome != OutcomeDelivered || result.Response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", result.EventName, result.Message)
		}
	}
	if diff := cmp.Diff(before, read(t, c, w.Id)); diff != "" {
		t.Errorf("a test changed the webhook (-before +after):\n%s", diff)
	}

	// The run is kept, and found by its id.
	kept, err := GetTestRun(t.Context(), c, run.Id)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := (*kept.Node).(*GetTestRunNodeTestRun); !ok || !*found.Success || found.FinishedAt == nil || found.FinishedAt.Before(found.StartedAt) || found.Webhook.Id != w.Id {
		t.Errorf("node found %+v", *kept.Node)
	}

	// A client that sends null for the target's other member is understood.
	lenient, err := nulls.TestWebhook(t.Context(), c, nulls.TestWebhookInput{Target: nulls.TestTarget{WebhookId: &w.Id}})
	if err != nil || len(lenient.TestWebhook.UserErrors) > 0 || !*lenient.TestWebhook.TestRun.Success {
		t.Errorf("with null beside the target: %+v, %v", lenient, err)
	}
}
