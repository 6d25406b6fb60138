package resolvers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/graphqlhttp"
	"github.com/hookql/hookql/internal/webhook"
)

const (
	createType  = `mutation($input: CreateEventTypeInput!) { createEventType(input: $input) { userErrors { code field } eventType { name title category description documentation schema example archivedAt } } }`
	updateType  = `mutation($input: UpdateEventTypeInput!) { updateEventType(input: $input) { userErrors { code field } eventType { name title category description documentation schema example archivedAt } } }`
	archiveType = `mutation($input: ArchiveEventTypeInput!) { archiveEventType(input: $input) { userErrors { code field } } }`
	restoreType = `mutation($input: RestoreEventTypeInput!) { restoreEventType(input: $input) { userErrors { code field } } }`
)

// eventType is what a mutation of the catalogue answers.
func (b *bundle) eventType(t *testing.T, document string, input object) (et object) {
	t.Helper()
	var got map[string]struct {
		EventType  object
		UserErrors []any
	}
	b.must(t, document, object{"input": input}, &got)
	for _, payload := range got {
		if len(payload.UserErrors) > 0 {
			t.Fatalf("%v: %v", input, payload.UserErrors)
		}
		et = payload.EventType
	}
	return et
}

var jobSchema = object{
	"type":       "object",
	"required":   []string{"id"},
	"properties": object{"id": object{"type": "string", "format": "uuid"}, "status": object{"enum": []string{"RUNNING", "DONE"}}},
}

func TestEventTypeIsMadeWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.eventType(t, createType, object{"name": "ORDER_CREATED"})
	want := object{"name": "ORDER_CREATED", "title": "Order created", "category": "order", "description": "",
		"documentation": nil, "schema": nil, "example": object{}, "archivedAt": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a type with a name alone (-want +got):\n%s", diff)
	}
	got = b.eventType(t, createType, object{"name": "order.made", "schema": jobSchema})
	if diff := cmp.Diff(any(object{"id": "00000000-0000-4000-8000-000000000001", "status": "RUNNING"}), got["example"]); diff != "" {
		t.Errorf("an example that is made (-want +got):\n%s", diff)
	}
}

// An example that was made follows the schema, one that was given stays.
func TestExampleFollowsTheSchema(t *testing.T) {
	t.Parallel()
	b := setup(t)
	with := func(rule object) object { return object{"required": []any{"n"}, "properties": object{"n": rule}} }
	n := func(n float64) object { return object{"n": n} }
	b.eventType(t, createType, object{"name": "a", "schema": with(object{"const": 1})})
	for _, step := range []struct {
		change, want object
	}{
		{object{"title": "New"}, object{"schema": with(object{"const": 1.0}), "example": n(1)}},
		{object{"schema": with(object{"const": 2})}, object{"schema": with(object{"const": 2.0}), "example": n(2)}},
		{object{"schema": with(object{"type": "integer"}), "example": n(7)}, object{"schema": with(object{"type": "integer"}), "example": n(7)}},
		{object{"schema": with(object{"minimum": 5})}, object{"schema": with(object{"minimum": 5.0}), "example": n(7)}},
		{object{"schema": nil}, object{"schema": nil, "example": n(7)}},
		{object{"example": nil}, object{"schema": nil, "example": object{}}},
	} {
		step.change["name"] = "a"
		got := b.eventType(t, updateType, step.change)
		if diff := cmp.Diff(step.want, object{"schema": got["schema"], "example": got["example"]}); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", step.change, diff)
		}
	}
}

func TestMistakesInEventTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.eventType(t, createType, object{"name": "a", "schema": object{"required": []string{"n"}}, "example": object{"n": 5}})
	for _, c := range []struct {
		document string
		input    object
		want     []string
	}{
		{createType, object{"name": "job.status"}, []string{"TAKEN input.name"}},
		{createType, object{"name": "webhook.made"}, []string{"INVALID input.name"}},
		{createType, object{"name": "a b"}, []string{"INVALID input.name"}},
		{createType, object{"name": "b", "title": "", "documentation": "nowhere"}, []string{"INVALID_URL input.documentation", "REQUIRED input.title"}},
		{createType, object{"name": "b", "schema": "text"}, []string{"INVALID input.schema"}},
		{createType, object{"name": "b", "schema": object{"type": "strin"}, "title": ""}, []string{"INVALID input.schema", "REQUIRED input.title"}},
		{createType, object{"name": "b", "schema": object{"not": object{}}}, []string{"REQUIRED input.example"}},
		{createType, object{"name": "b", "schema": object{"required": []string{"n"}}, "example": object{}}, []string{"PAYLOAD_MISMATCH input.example"}},
		{createType, object{"name": "b", "schema": object{"type": "integer"}}, []string{"INVALID input.example"}},
		{createType, object{"name": "b", "example": []int{1}}, []string{"INVALID input.example"}},
		{createType, object{"name": "b", "example": object{"x": strings.Repeat("x", 64<<10)}}, []string{"TOO_LONG input.example"}},
		{createType, object{"name": "b", "schema": object{"$comment": strings.Repeat("x", 64<<10)}}, []string{"TOO_LONG input.schema"}},
		{updateType, object{"name": "absent"}, []string{"NOT_FOUND input.name"}},
		{updateType, object{"name": "webhook.made"}, []string{"INVALID input.name"}},
		{updateType, object{"name": "a", "title": nil, "category": nil, "description": nil},
			[]string{"REQUIRED input.category", "REQUIRED input.description", "REQUIRED input.title"}},
		{updateType, object{"name": "a", "example": object{}}, []string{"PAYLOAD_MISMATCH input.example"}},
		{updateType, object{"name": "a", "schema": object{"required": []string{"m"}}}, []string{"PAYLOAD_MISMATCH input.example"}},
		{archiveType, object{"name": "absent"}, []string{"NOT_FOUND input.name"}},
		{restoreType, object{"name": "absent"}, []string{"NOT_FOUND input.name"}},
	} {
		got := b.mistakes(t, c.document, c.input)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%.80v: %v, want %v", c.input, got, c.want)
		}
	}
}

// TestSimilarEventType is told, whatever its case and punctuation, unless it is
// archived.
func TestSimilarEventType(t *testing.T) {
	t.Parallel()
	now := webhook.Now()
	all := []*webhook.EventType{{Name: "job.status"}, {Name: "job.stopped", ArchivedAt: &now}}
	for name, want := range map[string]string{
		"job.stauts": `Did you mean "job.status"?`, "JOB_STATUS": `Did you mean "job.status"?`, "job.stoped": "The query `eventTypes` lists", "job.stopped": "is archived",
	} {
		if got := unknownEventType(name, all); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Whoever subscribed goes on; nobody else begins.
func TestArchivedEventTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(t, create, object{"input": object{"uid": "old", "url": b.url, "events": []string{"job.status"}}}, nil)
	b.must(t, create, object{"input": object{"uid": "new", "url": b.url, "events": []string{"order.status"}}}, nil)
	b.eventType(t, archiveType, object{"name": "job.status"})
	b.eventType(t, archiveType, object{"name": "job.status"})

	both := []string{"job.status", "order.status"}
	for _, c := range []struct {
		document string
		input    object
		want     []string
	}{
		{create, object{"url": b.url, "events": both}, []string{"UNKNOWN_EVENT_TYPE input.events.0"}},
		{update, object{"id": "new", "events": both}, []string{"UNKNOWN_EVENT_TYPE input.events.0"}},
		{update, object{"id": "old", "events": both}, nil},
		{test, object{"target": object{"webhookId": "old"}, "eventNames": both}, nil},
		{test, object{"target": object{"endpoint": object{"url": b.url, "events": both}}}, []string{"UNKNOWN_EVENT_TYPE input.target.endpoint.events.0"}},
		{createType, object{"name": "job.status"}, []string{"TAKEN input.name"}},
	} {
		if got := b.mistakes(t, c.document, c.input); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.input, got, c.want)
		}
	}
	type listed struct{ Name string }
	var got struct{ Some, All, Jobs []listed }
	b.must(t, `{ some: eventTypes { name } all: eventTypes(includeArchived: true) { name } jobs: eventTypes(category: "job") { name } }`, nil, &got)
	if len(got.All) != len(got.Some)+1 || slices.Contains(got.Some, listed{"job.status"}) || len(got.Jobs) != 0 {
		t.Errorf("listed are %v, and archived ones too %v; jobs %v", got.Some, got.All, got.Jobs)
	}

	b.eventType(t, restoreType, object{"name": "job.status"})
	if got := b.mistakes(t, update, object{"id": "new", "events": both}); len(got) > 0 {
		t.Errorf("after it was restored: %v", got)
	}
}

func TestPayloadsMustFitTheSchema(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.eventType(t, createType, object{"name": "a", "schema": jobSchema})
	b.must(t, create, object{"input": object{"uid": "w", "url": b.url, "events": []string{"a", "job.status"}}}, nil)
	payloads := func(data any) object {
		return object{"target": object{"webhookId": "w"}, "payloads": []object{{"eventName": "job.status", "data": object{}}, {"eventName": "a", "data": data}}}
	}
	got := b.mistakes(t, test, payloads(object{"id": "1", "status": "x"}))
	if !slices.Equal(got, []string{"PAYLOAD_MISMATCH input.payloads.1.data"}) {
		t.Errorf("a payload that does not fit: %v", got)
	}
	if got := b.mistakes(t, test, payloads([]int{1})); !slices.Contains(got, "INVALID input.payloads.1.data") {
		t.Errorf("a payload that is no object: %v", got)
	}
	if n := len(b.receiver.Requests()); n > 0 {
		t.Errorf("it was sent all the same, %d requests", n)
	}
	if got := b.mistakes(t, test, payloads(object{"id": "00000000-0000-4000-8000-000000000007"})); len(got) > 0 {
		t.Errorf("a payload that fits: %v", got)
	}
	var answered struct {
		TestWebhook struct{ UserErrors []struct{ Message string } }
	}
	b.must(t, `mutation($input: TestWebhookInput!) { testWebhook(input: $input) { userErrors { message } } }`, object{"input": payloads(object{"status": "x"})}, &answered)
	const want = "This does not fit the schema of \"a\": `id` is missing; `status`: value must be one of 'RUNNING', 'DONE'."
	if got := answered.TestWebhook.UserErrors[0].Message; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// However many types and webhooks are listed, their schemas take one statement.
func TestSchemasTakeOneStatement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.eventType(t, createType, object{"name": fmt.Sprint("a.", i), "schema": jobSchema})
		b.must(t, create, object{"input": object{"url": b.url, "events": []string{"a.*", "job.*"}}}, nil)
	}
	for _, document := range []string{
		`{ eventTypes { schema example } }`,
		`{ eventType(name: "a.1") { schema } }`,
		`{ eventTypes { schema } webhooks { nodes { eventTypes { schema } } } }`,
	} {
		statements := b.must(t, document, nil, nil)
		statements = slices.DeleteFunc(statements, func(s string) bool { return s == "webhooks.list_newest" })
		if diff := cmp.Diff([]string{"event_types.list", "event_types.schemas"}, statements); diff != "" {
			t.Errorf("%s (-want +got statements):\n%s", document, diff)
		}
	}
	statements := b.must(t, createType, object{"input": object{"name": "b", "schema": jobSchema}}, nil)
	if diff := cmp.Diff([]string{"event_types.lock", "event_types.insert", "event_types.size"}, statements); diff != "" {
		t.Errorf("createEventType (-want +got statements):\n%s", diff)
	}
}

// One answer holds at most 16 MiB of schemas and examples, whatever its
// aliases.
func TestAnswersOfSchemasAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text, err := json.Marshal(object{"text": strings.Repeat("x", 60<<10)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		b.eventType(t, createType, object{"name": fmt.Sprint("a.", i), "example": json.RawMessage(text)})
	}
	var document strings.Builder
	for i := range 15 {
		fmt.Fprintf(&document, "a%d: eventTypes { example }\n", i)
	}
	a, _ := b.ask(t, "{"+document.String()+"}", nil)
	if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != graphqlhttp.BadUserInput {
		t.Errorf("18 MB of examples: %.200v, want an error", a.Errors)
	}
}
