package resolvers

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hookql/hookql/internal/auth"
	"github.com/hookql/hookql/internal/pgtest"
)

const createWithKey = `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id secret } secret userErrors { code field } } }`

// created is what createWithKey selects.
type created struct {
	CreateWebhook struct {
		Webhook    *struct{ ID, Secret string }
		Secret     string
		UserErrors []struct {
			Code  string
			Field []string
		}
	}
}

func (b *bundle) createWithKey(t *testing.T, input object) (got created) {
	t.Helper()
	b.must(t, createWithKey, map[string]any{"input": input}, &got)
	return got
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	b := setupWith(t, url, Options{})
	input := func(change object) object {
		o := object{"url": b.url, "events": []string{"*"}, "idempotencyKey": "k"}
		for name, value := range change {
			o[name] = value
		}
		return o
	}
	first := b.createWithKey(t, input(nil))
	again := b.createWithKey(t, input(nil))
	if first.CreateWebhook.Webhook == nil || *again.CreateWebhook.Webhook != *first.CreateWebhook.Webhook || again.CreateWebhook.Secret != first.CreateWebhook.Secret {
		t.Errorf("first %+v, again %+v, want the same", first, again)
	}
	code := func(c created) string {
		if len(c.CreateWebhook.UserErrors) == 0 {
			return ""
		}
		return c.CreateWebhook.UserErrors[0].Code + " " + strings.Join(c.CreateWebhook.UserErrors[0].Field, ".")
	}
	const conflict = "IDEMPOTENCY_CONFLICT input.idempotencyKey"
	if got := b.createWithKey(t, input(object{"name": "other"})); code(got) != conflict || got.CreateWebhook.Webhook != nil {
		t.Errorf("another input: %+v", got)
	}
	for _, key := range []string{"", " k", "k\n", strings.Repeat("k", 257), "ké"} {
		if got := b.createWithKey(t, input(object{"idempotencyKey": key})); code(got) != "INVALID input.idempotencyKey" {
			t.Errorf("the key %q: %+v", key, got)
		}
	}
	for _, key := range []string{"1", "~", "a b", strings.Repeat("k", 256)} {
		made, again := b.createWithKey(t, input(object{"idempotencyKey": key})), b.createWithKey(t, input(object{"idempotencyKey": key}))
		if made.CreateWebhook.Webhook == nil || again.CreateWebhook.Webhook == nil || made.CreateWebhook.Webhook.ID == first.CreateWebhook.Webhook.ID || *made.CreateWebhook.Webhook != *again.CreateWebhook.Webhook {
			t.Errorf("the key %q: %+v, again %+v", key, made, again)
		}
	}
	// A mistake keeps no key.
	if got := b.createWithKey(t, input(object{"idempotencyKey": "m", "url": "nonsense"})); code(got) != "INVALID_URL input.url" {
		t.Errorf("a mistake: %+v", got)
	}
	if got := b.createWithKey(t, input(object{"idempotencyKey": "m"})); got.CreateWebhook.Webhook == nil {
		t.Errorf("after a mistake: %+v", got)
	}
	// Another workspace has keys of its own.
	other, err := b.db.EnsureWorkspace(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	b.caller = auth.Caller{Operator: true, WorkspaceID: other}
	if got := b.createWithKey(t, input(nil)); got.CreateWebhook.Webhook == nil || got.CreateWebhook.Webhook.ID == first.CreateWebhook.Webhook.ID {
		t.Errorf("in another workspace: %+v", got)
	}
	b.caller.WorkspaceID = b.workspace
	// What was deleted is not made again by accident.
	b.must(t, `mutation($id: ID!) { deleteWebhook(input: {id: $id}) { userErrors { code } } }`, map[string]any{"id": first.CreateWebhook.Webhook.ID}, nil)
	if got := b.createWithKey(t, input(nil)); code(got) != conflict {
		t.Errorf("after it was deleted: %+v", got)
	}
	// Within a day the key is known, however often it was used; after it, it is new again.
	own, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	age := func(by string) {
		if _, err := own.Exec("UPDATE idempotency_keys SET created_at = now() - $1::interval", by); err != nil {
			t.Fatal(err)
		}
	}
	age("23 hours 59 minutes")
	if got := b.createWithKey(t, input(object{"name": "other"})); code(got) != conflict {
		t.Errorf("within a day: %+v", got)
	}
	age("24 hours 1 second")
	if got := b.createWithKey(t, input(object{"name": "other"})); got.CreateWebhook.Webhook == nil {
		t.Errorf("after a day: %+v", got)
	}
	// What is older goes, so that none pile up.
	age("25 hours 1 second")
	b.createWithKey(t, input(object{"idempotencyKey": "new"}))
	var left int
	if err := own.QueryRow("SELECT count(*) FROM idempotency_keys").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d keys are left, %v, want the new one", left, err)
	}
}

// The hash of an input tells nothing without the master key, and is known after
// keys are rotated.
func TestIdempotencyHashIsSealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	input := object{"url": b.url, "events": []string{"*"}, "idempotencyKey": "k"}
	first := b.createWithKey(t, input)
	var kept string
	if err := b.own.QueryRow("SELECT convert_from(input_hash, 'UTF8') FROM idempotency_keys").Scan(&kept); err != nil || !strings.HasPrefix(kept, "sealed:") {
		t.Errorf("%q is kept, %v", kept, err)
	}
	if _, err := b.db.RotateSealing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := b.createWithKey(t, input); again.CreateWebhook.Webhook == nil || *again.CreateWebhook.Webhook != *first.CreateWebhook.Webhook {
		t.Errorf("first %+v, again %+v", first, again)
	}
}

// 200 calls at once make one webhook, and all are told of it.
func TestIdempotencyInParallel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var calls sync.WaitGroup
	var mu sync.Mutex
	ids := make(map[string]int) // guarded by mu
	for range 200 {
		calls.Go(func() {
			got := b.createWithKey(t, object{"url": b.url, "events": []string{"*"}, "idempotencyKey": "k"})
			mu.Lock()
			defer mu.Unlock()
			if got.CreateWebhook.Webhook != nil {
				ids[got.CreateWebhook.Webhook.ID]++
			} else {
				t.Errorf("%+v", got)
			}
		})
	}
	calls.Wait()
	var total struct{ Webhooks struct{ TotalCount int } }
	b.must(t, `{ webhooks { totalCount } }`, nil, &total)
	if len(ids) != 1 || total.Webhooks.TotalCount != 1 {
		t.Errorf("%d webhooks were made and %d told of, want 1", total.Webhooks.TotalCount, len(ids))
	}
}

// The header counts for each mutation of a request by its response name.
func TestIdempotencyHeader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const document = `mutation($url: URL!) {
		a: createWebhook(input: {url: $url, events: ["*"]}) { webhook { id } }
		b: createWebhook(input: {url: $url, events: ["*"]}) { webhook { id } }
		w: createWorkspace(input: {name: "W"}) { workspace { id } }
	}`
	send := func(key string) (a answer) {
		body, err := json.Marshal(map[string]any{"query": document, "variables": object{"url": b.url}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(idempotencyHeader, key)
		w := httptest.NewRecorder()
		b.api.ServeHTTP(w, r.WithContext(auth.WithCaller(r.Context(), b.caller)))
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(a.Errors) > 0 {
			t.Fatalf("%v: %s", err, w.Body)
		}
		return a
	}
	first, again, other := send("k"), send("k"), send("l")
	if string(first.Data) != string(again.Data) || string(first.Data) == string(other.Data) {
		t.Errorf("first %s\nagain %s\nwith another key %s", first.Data, again.Data, other.Data)
	}
	var made map[string]struct{ Webhook, Workspace struct{ ID string } }
	if err := json.Unmarshal(first.Data, &made); err != nil || made["a"].Webhook.ID == made["b"].Webhook.ID || made["w"].Workspace.ID == "" {
		t.Errorf("%s, %v", first.Data, err)
	}
}

// A test that is asked for twice, as by a pipeline that lost the answer, sends once.
func TestIdempotentTest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t)
	const document = `mutation($input: TestWebhookInput!) { testWebhook(input: $input) { testRun { id status success tests { nodes { id message } } } userErrors { code field } } }`
	ask := func(input object) string {
		input["target"] = object{"webhookId": "w"}
		a, _ := b.ask(t, document, map[string]any{"input": input})
		return string(a.Data)
	}
	first, again := ask(object{"idempotencyKey": "k"}), ask(object{"idempotencyKey": "k"})
	if first != again || !strings.Contains(first, `"FINISHED"`) || len(b.receiver.Requests()) != 1 {
		t.Errorf("first %s\nagain %s\n%d requests were sent", first, again, len(b.receiver.Requests()))
	}
	if got := ask(object{"idempotencyKey": "k", "eventNames": []string{"job.status"}}); !strings.Contains(got, "IDEMPOTENCY_CONFLICT") {
		t.Errorf("another input: %s", got)
	}
	if ask(object{}) == first || len(b.receiver.Requests()) != 2 {
		t.Error("without a key nothing was sent")
	}
}
