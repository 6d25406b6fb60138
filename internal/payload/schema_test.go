package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hookql/hookql/internal/webhook"
)

func mustCompile(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Compile(json.RawMessage(text))
	if err != nil {
		t.Fatalf("Compile(%s): %v", text, err)
	}
	return s
}

// A mistake in a schema is told with its place.
func TestCompileTellsMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`true`:                                       "A JSON Schema is an object",
		`{"type": "strin"}`:                          "`type`: value must be one of",
		`{"properties": {"a": {"type": 5}}}`:         "`properties.a.type`",
		`{"properties": {"a": 5}}`:                   "`properties.a`: got number, want",
		`{"required": "a"}`:                          "`required`: got string, want array",
		`{"pattern": "(?=a)"}`:                       "no lookarounds",
		`{"pattern": "("}`:                           "regular expression",
		`{"$ref": "https://example.com/other.json"}`: "`https://example.com/other.json` is outside this schema",
		`{"$ref": "file:///etc/passwd"}`:             "`file:///etc/passwd` is outside this schema",
		`{"$id": "https://example.com/a.json", "$ref": "b.json"}`:     "`https://example.com/b.json` is outside this schema",
		`{"$ref": "#/$defs/nothing"}`:                                 "#/$defs/nothing",
		`{"$schema": "http://json-schema.org/draft-07/schema#"}`:      "`$schema` can only be",
		`{"properties": {"a": {"$schema": "https://example.com/a"}}}`: "outside this schema",
		`{"$ref": "#"}`: "refers to itself",
		`{"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}`:               "refers to itself",
		`{"items": ` + strings.Repeat(`{"items": `, maxNesting) + "{}" + strings.Repeat("}", maxNesting+1): "nested at most 32 deep",
		`{"enum": [` + list("1", maxValues) + `]}`:                                                         "at most 10,000 values",
		doubling(30, "$ref"):     "so many alternatives in one another",
		`{"maximum": 1e1000000}`: "too many digits",
		`{"maximum": ` + strings.Repeat("9", maxDigits+1) + `}`: "too many digits",
	} {
		_, err := Compile(json.RawMessage(text))
		if !errors.Is(err, webhook.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%s): %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), base) {
			t.Errorf("Compile(%s) shows our own address: %v", text, err)
		}
	}
}

// What does not fit is told member by member.
func TestCheckTellsTheMember(t *testing.T) {
	t.Parallel()
	s := mustCompile(t, `{
		"type": "object",
		"required": ["id", "tasks"],
		"additionalProperties": false,
		"properties": {
			"id": {"type": "string", "format": "uuid"},
			"status": {"enum": ["RUNNING", "DONE"]},
			"price": {"oneOf": [{"type": "null"}, {"type": "object", "required": ["amount"]}]},
			"tasks": {"type": "array", "items": {"$ref": "#/$defs/task"}}
		},
		"$defs": {"task": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}}
	}`)
	const id = `"id": "00000000-0000-4000-8000-000000000001"`
	for data, want := range map[string]string{
		`{` + id + `, "tasks": []}`: "",
		`[]`:                        "The data: got array, want object.",
		`{}`:                        "`id` is missing; `tasks` is missing.",
		`{"id": 5, "tasks": []}`:    "`id`: got number, want string.",
		`{"id": "x", "tasks": []}`:  "`id` is not a valid uuid.",
		`{` + id + `, "tasks": [{"id": "1"}, {}]}`:        "`tasks.1.id` is missing.",
		`{` + id + `, "tasks": [], "status": "x"}`:        "`status`: value must be one of 'RUNNING', 'DONE'.",
		`{` + id + `, "tasks": [], "more": 1}`:            "`more` is no member that the schema knows.",
		`{` + id + `, "tasks": [], "price": {}}`:          "`price`: got object, want null.",
		`{` + id + `, "tasks": [1e1000000]}`:              "`tasks.0` has too many digits to be compared with the schema.",
		`{` + id + `, "tasks": [` + list("5", 100) + `]}`: "and 95 more.",
	} {
		err := s.Check(json.RawMessage(data))
		if want == "" && err == nil {
			continue
		}
		if !errors.Is(err, webhook.PayloadMismatch) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("Check(%s): %v, want %q", data, err, want)
		}
	}
}

func list(item string, n int) string {
	return strings.TrimSuffix(strings.Repeat(item+", ", n), ", ")
}

// doubling is a schema that is applied twice as often with each of n levels,
// to the value itself or to its items.
func doubling(n int, keyword string) string {
	var defs strings.Builder
	for i := range n {
		next := fmt.Sprintf(`{"$ref": "#/$defs/a%d"}`, i+1)
		if keyword == "items" {
			next = `{"items": ` + next + `}`
		}
		fmt.Fprintf(&defs, `"a%d": {"anyOf": [%s, %s]}, `, i, next, next)
	}
	return fmt.Sprintf(`{"$ref": "#/$defs/a0", "$defs": {%s "a%d": {"const": 5}}}`, &defs, n)
}

// What would take years is refused; what only could is checked while the data
// are small.
func TestCheckTakesBoundedTime(t *testing.T) {
	t.Parallel()
	nested := func(depth int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", depth) + "5" + strings.Repeat("]", depth))
	}
	recursive := mustCompile(t, `{"oneOf": [
		{"required": ["a"], "properties": {"child": {"$ref": "#"}}},
		{"required": ["b"], "properties": {"child": {"$ref": "#"}}}
	]}`)
	const deep = 28
	data := strings.Repeat(`{"a": 1, "child": `, deep) + `{"b": 1}` + strings.Repeat("}", deep)
	for name, c := range map[string]struct {
		schema *Schema
		data   json.RawMessage
		fits   bool
	}{
		"small data":          {mustCompile(t, doubling(12, "items")), nested(12), true},
		"deep data":           {mustCompile(t, doubling(28, "items")), nested(28), false},
		"a few levels":        {recursive, json.RawMessage(`{"a": 1, "child": {"a": 1, "child": {"b": 1}}}`), true},
		"many levels":         {recursive, json.RawMessage(data), false},
		"a plain deep schema": {mustCompile(t, `{"type": ["array", "integer"], "items": {"$ref": "#"}}`), nested(30), true},
		"deeper than can be":  {mustCompile(t, `{}`), nested(40), false},
		"many items":          {mustCompile(t, `{"items": {"enum": [5]}}`), json.RawMessage("[" + list("5", 50_000) + "]"), true},
	} {
		if err := c.schema.Check(c.data); (err == nil) != c.fits {
			t.Errorf("%s: %v, want it to fit: %t", name, err, c.fits)
		}
		_, _ = c.schema.Example() // ends
	}
}

func TestCacheCompilesOnceAndForgets(t *testing.T) {
	t.Parallel()
	var c Cache
	first, err := c.Compile(json.RawMessage(`{"type": "object"}`))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Compile(json.RawMessage(`{"type": "object"}`)); err != nil || again != first {
		t.Errorf("Compile of the same text: %p, %v, want %p", again, err, first)
	}
	for i := range 2 * cacheSize / (32 << 10) {
		if _, err := c.Compile(json.RawMessage(fmt.Sprintf(`{"title": %q}`, strings.Repeat(fmt.Sprint(i%10), 32<<10)+fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
		if c.schemas.Size() > cacheSize {
			t.Fatalf("%d bytes are kept, more than %d", c.schemas.Size(), cacheSize)
		}
	}
	if again, err := c.Compile(json.RawMessage(`{"type": "object"}`)); err != nil || again == first {
		t.Errorf("what was not used for long is still kept (%v)", err)
	}
	if _, err := c.Compile(json.RawMessage(`{"type": 5}`)); err == nil {
		t.Error("a broken schema was compiled")
	}
}
