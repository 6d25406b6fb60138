package catalogue

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookql/hookql/internal/webhook"
)

const file = `# What our product publishes.
eventTypes:
  - name: job.status
    description: |-
      Sent when the status changes.
      Not sent for drafts.
    documentation: https://example.com/docs
    schema:
      type: object
      required: [id, price]
      properties:
        id: {type: string, minLength: 1}
        price: {type: number, minimum: 1.10}
  - name: ROUTE_CREATED
    title: "Route: created"
    category: planning
    archived: true
    example: {id: "007", big: 12345678901234567890.10, none: null, list: [1, two, true]}
`

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := Read([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	link := "https://example.com/docs"
	want := []*webhook.EventType{{
		Name:          "job.status",
		Title:         "Job status",
		Category:      "job",
		Description:   "Sent when the status changes.\nNot sent for drafts.",
		Documentation: &link,
		Schema:        json.RawMessage(`{"properties":{"id":{"minLength":1,"type":"string"},"price":{"minimum":1.10,"type":"number"}},"required":["id","price"],"type":"object"}`),
		Example:       json.RawMessage(`{"id":"text","price":2}`),
		ExampleMade:   true,
	}, {
		Name:     "ROUTE_CREATED",
		Title:    "Route: created",
		Category: "planning",
		Example:  json.RawMessage(`{"big":12345678901234567890.10,"id":"007","list":[1,"two",true],"none":null}`),
	}}
	if got[1].ArchivedAt == nil || got[0].ArchivedAt != nil {
		t.Errorf("archived are %v and %v, want the second alone", got[0].ArchivedAt, got[1].ArchivedAt)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(webhook.EventType{}, "ID", "ArchivedAt", "CreatedAt", "UpdatedAt")); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// Every mistake is told with its line.
func TestReadTellsLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "line 1: The file is empty.",
		"[]":                                    "line 1: The file must be a mapping",
		"eventTypes: 5":                         "line 1: `eventTypes` must be a list.",
		"types: []":                             `line 1: There is no "types" here`,
		"eventTypes:\n- a":                      "line 2: An event type must be a mapping",
		"eventTypes:\n- name: a\n  titel: A":    `line 3: An event type has no "titel". It has name, title,`,
		"eventTypes:\n- name: a\n  title: 5":    "line 3: `title` must be a text.",
		"eventTypes:\n- name: a\n  archived: x": "line 3: `archived` must be `true` or `false`.",
		"eventTypes:\n- name: a b":              "line 2: name: An event type's name is",
		"eventTypes:\n- title: A":               "line 2: name: An event type's name is",
		"eventTypes:\n- name: webhook.made":     "line 2: name: Names that begin with `webhook.`",
		"eventTypes:\n- name: a\n- name: b\n- name: a":                     `line 4: The event type "a" stands on line 2 already.`,
		"eventTypes:\n- name: a\n  schema:\n    type: strin":               "line 3: schema: This is no JSON Schema of 2020-12: `type`",
		"eventTypes:\n- name: a\n  schema: {required: [b]}\n  example: {}": "line 4: example: The example does not fit the schema",
		"eventTypes:\n- name: a\n  schema: {type: string}":                 "line 2: example: An event's data is a JSON object. Give an example that is one, and a schema that allows it.",
		"eventTypes:\n- name: a\n  schema:\n    not: {}":                   "line 2: example: No example could be made",
		"eventTypes:\n- name: a\n  example: null":                          "line 3: example: An event's data is a JSON object.",
		"eventTypes:\n- name: a\n  schema: null":                           "line 3: schema: A JSON Schema is an object",
		"eventTypes:\n- name: a\n  example:\n    x: 0x1F":                  "line 4: Write this number as JSON does",
		"eventTypes:\n- name: a\n  example:\n    x: .inf":                  "line 4: Anchors, aliases, tags",
		"eventTypes:\n- name: a\n  example:\n    x: &a 1\n    y: *a":       "line 4: Anchors, aliases, tags",
		"eventTypes:\n- name: a\n  example: !!binary aGVsbG8=":             "line 3: Anchors, aliases, tags",
		"eventTypes:\n- name: a\n  title: A\n  title: B":                   "line 4: ",
		"eventTypes:\n- name: a\n  example: {\"b\": 1, \"b\": 2}":          "line 3: ",
		"eventTypes:\n- name: [":                                           "line 2: ",
		"eventTypes: []\n---\neventTypes: []":                              "line 3: A second document begins here.",
		"eventTypes: []\neventTypes: []":                                   "line 2: ",
	} {
		if got, err := Read([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Read(%q): %v, %v, want %q", text, got, err, want)
		}
	}
}

// What is written reads back as it was, and is written the same again.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	sample, err := webhook.SampleEventTypes()
	if err != nil {
		t.Fatal(err)
	}
	types, err := Read([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sample {
		sample[i].Name = "sample." + sample[i].Name
		types = append(types, &sample[i])
	}
	for form, write := range map[string]func([]*webhook.EventType) ([]byte, error){"YAML": WriteYAML, "JSON": WriteJSON} {
		text, err := write(types)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", form, err, text)
		}
		if plan := NewPlan(types, again, true); len(plan.Changes) > 0 {
			t.Errorf("%s reads back with changes:\n%s%s", form, plan, text)
		}
		if twice, err := write(again); err != nil || !bytes.Equal(text, twice) {
			t.Errorf("%s is written differently the second time: %v\n%s", form, err, cmp.Diff(string(text), string(twice)))
		}
	}
}

func TestWriteYAML(t *testing.T) {
	t.Parallel()
	types, err := Read([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	got, err := WriteYAML(types)
	if err != nil {
		t.Fatal(err)
	}
	const want = `eventTypes:
  - name: job.status
    title: Job status
    category: job
    description: |-
      Sent when the status changes.
      Not sent for drafts.
    documentation: "https://example.com/docs"
    schema:
      properties:
        id:
          minLength: 1
          type: string
        price:
          minimum: 1.10
          type: number
      required:
        - id
        - price
      type: object
  - name: ROUTE_CREATED
    title: "Route: created"
    category: planning
    archived: true
    example:
      big: 12345678901234567890.10
      id: "007"
      list:
        - 1
        - two
        - true
      none: null
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("WriteYAML (-want +got):\n%s", diff)
	}
	if got, err := WriteYAML(nil); err != nil || string(got) != "eventTypes: []\n" {
		t.Errorf("WriteYAML of nothing: %s, %v", got, err)
	}
}

// FuzzRoundTrip holds for every example that JSON can hold.
func FuzzRoundTrip(f *testing.F) {
	for _, seed := range []string{
		`{"": "", " ": "yes", "- a": ["# no comment", ": ", "a: b", "null", "~", "0x1F", "1e3", "2026-01-02", "012", ".5"]}`,
		`["line\nline", "line\n\n  line\n", "\ttab", "trailing ", "\u0000\u0085\u2028\ufeff\ud83d\ude00", "|-", "%", "@", "---", "..."]`,
		`[[[], {}], [[1, [2]]], {"a": [{"b": {"c": []}}]}, -0, 1E+2, 0.10, null, true]`,
		`{"true": 1, "5": 2, "null": 3, "<<": {"a": 1}, "a b": 4, "=": 5, "!t": "&a", "*b": "*b"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		example, err := webhook.CanonicalJSON([]byte(`{"any": ` + text + `}`))
		if err != nil || len(example) > webhook.MaxEventTypeJSON {
			return
		}
		want := &webhook.EventType{Name: "a", Title: "A", Category: "a", Example: example}
		written, err := WriteYAML([]*webhook.EventType{want})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(written)
		if err != nil {
			t.Fatalf("%s: %v\n%s", example, err, written)
		}
		if !bytes.Equal(got[0].Example, example) {
			t.Errorf("%s became %s\n%s", example, got[0].Example, written)
		}
	})
}

// FuzzRead holds for every file: it is refused line by line, or it is written
// as a file that reads the same.
func FuzzRead(f *testing.F) {
	f.Add(file)
	f.Add("eventTypes:\n- name: a\n  example: |\n    x\n  title: >-\n    a\n    b\n")
	f.Add("eventTypes: [{name: a, example: {? b : c, 'd': \"\\x41\"}}]")
	f.Add("%YAML 1.2\n---\neventTypes: &a\n- <<: *a\n...")
	f.Fuzz(func(t *testing.T, text string) {
		types, err := Read([]byte(text))
		if err != nil {
			return
		}
		written, err := WriteYAML(types)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(written)
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if plan := NewPlan(types, again, true); len(plan.Changes) > 0 {
			t.Errorf("it reads back with changes:\n%s%s", plan, written)
		}
	})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	current, err := Read([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	own := &webhook.EventType{Name: "webhook.suspended"}
	current = append(current, own)
	wanted, err := Read([]byte(`
eventTypes:
  - name: job.status
    title: New title
    description: ` + strings.Repeat("long ", 40) + `
    schema: {type: object, properties: {id: {type: string}}}
  - name: invoice.paid
`))
	if err != nil {
		t.Fatal(err)
	}
	current[1].ArchivedAt = nil
	const want = `~ job.status
    title: "Job status" → "New title"
    description: "Sent when the status changes.\nNot sent for drafts." → "long long long long long long long long long long long long long long long long…
    documentation: "https://example.com/docs" → none
    schema.properties.id.minLength: 1 → none
    schema.properties.price: {"minimum":1.10,"type":"number"} → none
    schema.required: ["id","price"] → none
    example.price: 2 → none
+ invoice.paid
`
	const missing = "Not in the file, and left as they are (-archive-missing archives them): ROUTE_CREATED\n"
	if diff := cmp.Diff(want+missing, NewPlan(current, wanted, false).String()); diff != "" {
		t.Errorf("the plan (-want +got):\n%s", diff)
	}
	plan := NewPlan(current, wanted, true)
	if diff := cmp.Diff(want+"~ ROUTE_CREATED\n    archived: false → true\n", plan.String()); diff != "" {
		t.Errorf("the plan with archiving (-want +got):\n%s", diff)
	}
	after := append(plan.Changed(), own)
	if again := NewPlan(after, wanted, true); len(again.Changes) > 0 {
		t.Errorf("done twice, it changes again:\n%s", again)
	}
}

// The file that the documentation shows can be applied.
func TestDocsExample(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(docs), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	if types, err := Read([]byte(text)); err != nil || len(types) != 1 || types[0].Title != "Invoice paid" {
		t.Errorf("the example of docs/catalogue.md: %v, %v", types, err)
	}
}
