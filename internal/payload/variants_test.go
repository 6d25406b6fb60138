package payload

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hookql/hookql/internal/webhook"
)

var variantKinds = []VariantKind{
	VariantMinimal, VariantMaximal, VariantMissing, VariantNull, VariantLongStrings, VariantUnicode, VariantNumbers,
}

const (
	tripSchema = `{
		"type": "object",
		"required": ["id", "tasks"],
		"additionalProperties": false,
		"properties": {
			"id": {"type": "string", "format": "uuid"},
			"status": {"enum": ["RUNNING", "DONE"]},
			"note": {"type": ["string", "null"], "maxLength": 12},
			"driver": {"type": "object", "required": ["name"], "properties": {
				"name": {"type": "string", "minLength": 1, "maxLength": 6},
				"phone": {"type": "string", "pattern": "^[+][0-9]{2,8}$"}
			}},
			"price": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/price"}]},
			"tasks": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}}
		},
		"$defs": {
			"task": {"type": "object", "required": ["no"], "properties": {"no": {"type": "integer"}, "a/b": {"type": "boolean"}}},
			"price": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "minimum": 0, "multipleOf": 0.01}}}
		}
	}`
	trip = `{"driver":{"name":"Ada","phone":"+4912"},"id":"00000000-0000-4000-8000-000000000001","price":{"amount":1.5},"tasks":[{"no":1},{"no":2}]}`
)

func TestVariants(t *testing.T) {
	t.Parallel()
	const id = `"id":"00000000-0000-4000-8000-000000000001"`
	for _, c := range []struct {
		schema string
		kind   VariantKind
		like   string
		want   []string // label: data
	}{
		{tripSchema, VariantMinimal, trip, []string{`only what is required: {` + id + `,"tasks":[{"no":1}]}`}},
		{`{"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}`, VariantMinimal, `{"a":1,"b":2,"c":3}`, []string{`only what is required: {"b":2}`}},
		{`{"dependentRequired": {"b": ["a"]}}`, VariantMinimal, `{"a":1,"b":2}`, []string{`only what is required: {}`}},
		{`{"required": ["a"], "properties": {"a": {"type": "string"}}}`, VariantMinimal, `{"a":"text"}`, []string{`only what is required: {"a":""}`}},
		{`{"type": "string", "pattern": "^R-[0-9]+$"}`, VariantMinimal, `"R-512"`, []string{`only what is required: "R-0"`}},
		{`{"contains": {"const": 5}}`, VariantMinimal, `[1,2,5]`, []string{`only what is required: [5]`}},
		{`{"type": "object"}`, VariantMinimal, `{}`, []string{`only what is required: {}`}},

		{tripSchema, VariantMaximal, trip, []string{`all that the schema names: {"driver":{"name":"Ada","phone":"+4912"},` + id +
			`,"note":"text","price":{"amount":1.5},"status":"RUNNING","tasks":[{"a/b":true,"no":1},{"a/b":true,"no":2},{"a/b":true,"no":2}]}`}},
		{`{"items": {"type": "integer"}, "maxItems": 2}`, VariantMaximal, `[]`, []string{`all that the schema names: [1,1]`}},
		{`{"items": {"type": "string"}, "uniqueItems": true}`, VariantMaximal, `["text1"]`, []string{`all that the schema names: ["text1","text","text2"]`}},
		{`{"maxProperties": 1, "properties": {"a": {"const": 1}, "b": {"const": 2}}}`, VariantMaximal, `{}`, []string{`all that the schema names: {"a":1}`}},
		{`{"properties": {"next": {"$ref": "#"}, "a": {"const": 1}}}`, VariantMaximal, `{"next":{}}`, []string{`all that the schema names: {"a":1,"next":{"a":1}}`}},
		{`{"if": {"required": ["a"]}, "then": {"properties": {"b": {"const": 2}}}}`, VariantMaximal, `{"a":1}`, []string{`all that the schema names: {"a":1,"b":2}`}},
		{`{"dependentSchemas": {"a": {"properties": {"b": {"const": 2}}}}}`, VariantMaximal, `{"a":1}`, []string{`all that the schema names: {"a":1,"b":2}`}},
		{`{"type": "string"}`, VariantMaximal, `"text"`, []string{`all that the schema names: "text"`}},

		{tripSchema, VariantMissing, trip, []string{
			`without /driver: {` + id + `,"price":{"amount":1.5},"tasks":[{"no":1},{"no":2}]}`,
			`without /price: {"driver":{"name":"Ada","phone":"+4912"},` + id + `,"tasks":[{"no":1},{"no":2}]}`,
			`without /driver/phone: {"driver":{"name":"Ada"},` + id + `,"price":{"amount":1.5},"tasks":[{"no":1},{"no":2}]}`,
			`without /note: {"driver":{"name":"Ada","phone":"+4912"},` + id + `,"price":{"amount":1.5},"status":"RUNNING","tasks":[{"a/b":true,"no":1},{"a/b":true,"no":2},{"a/b":true,"no":2}]}`,
			`without /status: {"driver":{"name":"Ada","phone":"+4912"},` + id + `,"note":"text","price":{"amount":1.5},"tasks":[{"a/b":true,"no":1},{"a/b":true,"no":2},{"a/b":true,"no":2}]}`,
			`without /tasks/0/a~1b: {"driver":{"name":"Ada","phone":"+4912"},` + id + `,"note":"text","price":{"amount":1.5},"status":"RUNNING","tasks":[{"no":1},{"a/b":true,"no":2},{"a/b":true,"no":2}]}`,
		}},
		{`{"required": ["a"]}`, VariantMissing, `{"a":1}`, nil},
		{`{"minProperties": 1, "properties": {"a": {"const": 1}, "b": {"const": 2}}}`, VariantMissing, `{"a":1}`, []string{`without /a: {"b":2}`, `without /b: {"a":1}`}},

		{tripSchema, VariantNull, trip, []string{
			`/price is null: {"driver":{"name":"Ada","phone":"+4912"},` + id + `,"price":null,"tasks":[{"no":1},{"no":2}]}`,
			`/note is null: {"driver":{"name":"Ada","phone":"+4912"},` + id + `,"note":null,"price":{"amount":1.5},"tasks":[{"no":1},{"no":2}]}`,
		}},
		{`{"type": ["string", "null"]}`, VariantNull, `"text"`, nil},
		{`{"items": {"type": ["string", "null"]}}`, VariantNull, `["a","b"]`, []string{`/0 is null: [null,"b"]`}},

		{tripSchema, VariantLongStrings, `{` + id + `,"driver":{"name":"Ada","phone":"+4912"},"status":"DONE","tasks":[{"no":1}]}`, []string{
			`long strings: {"driver":{"name":"Adaxxx","phone":"+4912"},` + id + `,"status":"DONE","tasks":[{"no":1}]}`}},
		{`{"type": "string", "pattern": "^[a-z]+$"}`, VariantLongStrings, `"ab"`, []string{`long strings: "ab` + strings.Repeat("x", 9998) + `"`}},
		{`{"type": "string", "pattern": "^[0-9]+$"}`, VariantLongStrings, `"12"`, []string{`long strings: "1` + strings.Repeat("2", 9999) + `"`}},
		{`{"type": "string", "pattern": "[.]png$"}`, VariantLongStrings, `"a.png"`, []string{`long strings: "` + strings.Repeat("a", 9996) + `.png"`}},
		{`{"enum": ["a", "b"]}`, VariantLongStrings, `"a"`, nil},
		{`{"format": "uri"}`, VariantLongStrings, `"https://example.com"`, nil},

		{tripSchema, VariantUnicode, trip, []string{
			`unusual characters: {"driver":{"name":"` + "\U0001F600e\u0301" + `\u2028\"\\","phone":"+4912"},` + id + `,"price":{"amount":1.5},"tasks":[{"no":1},{"no":2}]}`}},
		{`{"type": "string"}`, VariantUnicode, `"text"`, []string{`unusual characters: "` + "\U0001F600e\u0301\u05E9\u05DC\u05D5\u05DD" + `\u2028\"\\</script>"`}},
		{`{"minLength": 2, "maxLength": 2}`, VariantUnicode, `"ab"`, []string{`unusual characters: "` + "\U0001F600e" + `"`}},
		{`{"pattern": "^a[^<]+$"}`, VariantUnicode, `"abc"`, []string{`unusual characters: "abc` + "\U0001F600e\u0301\u05E9\u05DC\u05D5\u05DD" + `\u2028\"\\"`}},
		{`{"pattern": "^[a-z]*$"}`, VariantUnicode, `"abc"`, nil},
		{`{"format": "email"}`, VariantUnicode, `"a@example.com"`, nil},

		{`{"items": {"type": "integer"}}`, VariantNumbers, `[5,"x"]`, nil},
		{`{"items": {"type": "integer"}}`, VariantNumbers, `[5]`, []string{
			`the highest numbers: [9223372036854775807]`, `the lowest numbers: [-9223372036854775807]`,
			`numbers with more digits than a double keeps: [9007199254740993]`}},
		{`{"type": "number"}`, VariantNumbers, `1.50`, []string{
			`the highest numbers: 1e308`, `the lowest numbers: -1e308`,
			`numbers with more digits than a double keeps: 0.123456789012345678`}},
		{`{"type": "number", "minimum": 2, "exclusiveMaximum": 5}`, VariantNumbers, `3`, []string{
			`the highest numbers: 4`, `the lowest numbers: 2`,
			`numbers with more digits than a double keeps: 3.123456789012345678`}},
		{`{"type": "integer", "exclusiveMinimum": 0, "maximum": 50, "multipleOf": 7}`, VariantNumbers, `14`, []string{
			`the highest numbers: 49`, `the lowest numbers: 7`}},
		{`{"type": "integer", "maximum": 9007199254740992}`, VariantNumbers, `1`, []string{
			`the highest numbers: 9007199254740992`, `the lowest numbers: -9223372036854775807`,
			`numbers with more digits than a double keeps: -9007199254740993`}},
		{`{"enum": [1, 2]}`, VariantNumbers, `1`, nil},

		{`{"type": "object"}`, VariantMinimal, `[]`, nil},
		{`{"type": "object"}`, VariantMinimal, `{`, nil},
		{`{}`, "OTHER", `{}`, nil},
	} {
		var got []string
		for _, v := range mustCompile(t, c.schema).Variants(c.kind, json.RawMessage(c.like)) {
			got = append(got, v.Label+": "+string(v.Data))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s variants of %s for %s (-want +got):\n%s", c.kind, c.like, c.schema, diff)
		}
	}
}

// However many places there are, and however large the data: there are not
// too many variants, and none is too large.
func TestVariantsAreBounded(t *testing.T) {
	t.Parallel()
	var members []string
	for i := range 100 {
		members = append(members, fmt.Sprintf(`"m%02d": "x"`, i))
	}
	wide := `{` + strings.Join(members, ", ") + `}`
	const deep = 12
	nested := strings.Repeat(`{"items": [`, deep) + strings.Repeat("]}", deep)
	for name, c := range map[string]struct{ schema, like string }{
		"many members":  {`{"additionalProperties": {"type": ["string", "null"]}}`, wide},
		"large":         {`{"items": {"type": ["string", "null"]}}`, `["` + strings.Repeat("x", 200<<10) + `"]`},
		"nested":        {`{"type": "object", "properties": {"a": {"type": "string"}, "items": {"items": {"$ref": "#"}}, "next": {"$ref": "#"}}}`, nested},
		"nothing fits":  {`{"minProperties": 100, "additionalProperties": {"enum": ["x"]}}`, wide},
		"nested deeply": {`{"items": {"$ref": "#"}}`, strings.Repeat("[", 32) + strings.Repeat("]", 32)},
	} {
		for _, kind := range variantKinds {
			variants := mustCompile(t, c.schema).Variants(kind, json.RawMessage(c.like))
			if len(variants) > maxVariants {
				t.Errorf("%s: %d variants of kind %s", name, len(variants), kind)
			}
			if full := kind == VariantMissing || kind == VariantNull; name == "many members" && full && len(variants) != maxVariants {
				t.Errorf("%s: %d variants of kind %s, want %d", name, len(variants), kind, maxVariants)
			}
			for _, v := range variants {
				if len(v.Data) > maxVariant {
					t.Errorf("%s: %d bytes %s", name, len(v.Data), v.Label)
				}
			}
		}
	}
}

// TestVariantsAreWhatTheySay goes through the schemas of the other tests.
func TestVariantsAreWhatTheySay(t *testing.T) {
	t.Parallel()
	found := make(map[VariantKind]int)
	for _, schema := range append(slices.Concat(sortedNames(examples), fuzzed), tripSchema) {
		s, err := Compile(json.RawMessage(schema))
		if err != nil {
			continue // a seed of the fuzz targets may be none
		}
		example, err := s.Example()
		if err != nil {
			continue // TestExamples tells
		}
		for _, kind := range variantKinds {
			found[kind] += len(checkVariants(t, s, kind, example))
		}
	}
	for _, kind := range variantKinds {
		if found[kind] == 0 {
			t.Errorf("no variant of kind %s was found for any schema", kind)
		}
	}
}

// FuzzVariants holds for every schema and all data that fit it.
func FuzzVariants(f *testing.F) {
	for _, schema := range append(sortedNames(examples), fuzzed...) {
		f.Add([]byte(schema), []byte(`{"a": [1, "a", null]}`))
	}
	f.Add([]byte(tripSchema), []byte(trip))
	f.Fuzz(func(t *testing.T, schema, like []byte) {
		if len(schema) > 4<<10 || len(like) > 4<<10 {
			return
		}
		s, err := Compile(schema)
		if err != nil {
			return
		}
		data := []json.RawMessage{like}
		if example, err := s.Example(); err == nil {
			data = append(data, example)
		}
		for _, like := range data {
			for _, kind := range variantKinds {
				checkVariants(t, s, kind, like)
			}
		}
	})
}

// checkVariants makes variants and fails where they are not what they must be.
func checkVariants(t *testing.T, s *Schema, kind VariantKind, like json.RawMessage) []Variant {
	t.Helper()
	variants := s.Variants(kind, like)
	if again := s.Variants(kind, like); !reflect.DeepEqual(variants, again) {
		t.Errorf("%s variants of %s are once %s, once %s", kind, like, variants, again)
	}
	for _, v := range variants {
		if err := s.Check(v.Data); err != nil {
			t.Errorf("%s, from %s: %s does not fit: %v", v.Label, like, v.Data, err)
		}
		if !isSo(t, v, like) {
			t.Errorf("%s, from %s: %s is not so", v.Label, like, v.Data)
		}
	}
	return variants
}

// isSo says whether a variant differs from data in what its label says.
func isSo(t *testing.T, v Variant, like json.RawMessage) bool {
	t.Helper()
	was, is := mustDecode(t, like), mustDecode(t, v.Data)
	wasAll, isAll := leafValues(was), leafValues(is)
	switch pointer, null := strings.CutSuffix(v.Label, " is null"); {
	case v.Label == "only what is required":
		n, _ := measure(was)
		m, _ := measure(is)
		return m <= n && characters(isAll) <= characters(wasAll)
	case v.Label == "all that the schema names":
		n, _ := measure(was)
		m, _ := measure(is)
		return m > n || reflect.DeepEqual(was, is)
	case strings.HasPrefix(v.Label, "without "):
		_, there := lookUp(is, strings.TrimPrefix(v.Label, "without "))
		return !there
	case null:
		value, there := lookUp(is, pointer)
		old, known := lookUp(was, pointer)
		return there && value == nil && (old != nil || !known)
	case v.Label == "long strings":
		return len(isAll) == len(wasAll) && characters(isAll) > characters(wasAll)
	case v.Label == "unusual characters":
		return slices.ContainsFunc(isAll, func(leaf any) bool {
			s, isText := leaf.(string)
			return isText && isUnusual(s) && !slices.Contains(wasAll, leaf)
		})
	case v.Label == "the highest numbers":
		return allMoved(wasAll, isAll, 1)
	case v.Label == "the lowest numbers":
		return allMoved(wasAll, isAll, -1)
	case v.Label == "numbers with more digits than a double keeps":
		return slices.ContainsFunc(isAll, func(leaf any) bool {
			n, isNumber := ratOf(leaf)
			return isNumber && !isDouble(n) && !slices.Contains(wasAll, leaf)
		})
	}
	return false
}

func mustDecode(t *testing.T, data json.RawMessage) any {
	t.Helper()
	v, err := webhook.DecodeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// leafValues are the values in v that hold no others, in order.
func leafValues(v any) (all []any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sortedNames(v) {
			all = append(all, leafValues(v[name])...)
		}
	case []any:
		for _, item := range v {
			all = append(all, leafValues(item)...)
		}
	default:
		all = []any{v}
	}
	return all
}

func characters(values []any) (n int) {
	for _, v := range values {
		if s, isText := v.(string); isText {
			n += utf8.RuneCountInString(s)
		}
	}
	return n
}

// allMoved says whether some numbers went the way of sign, and none the other.
func allMoved(was, is []any, sign int) bool {
	moved := false
	for i := range was {
		old, isNumber := ratOf(was[i])
		if !isNumber {
			continue
		}
		now, _ := ratOf(is[i])
		if now.Cmp(old) == -sign {
			return false
		}
		moved = moved || now.Cmp(old) == sign
	}
	return moved
}

// lookUp finds what a JSON pointer points to.
func lookUp(v any, pointer string) (any, bool) {
	for _, name := range strings.Split(pointer, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch in := v.(type) {
		case map[string]any:
			member, there := in[name]
			if !there {
				return nil, false
			}
			v = member
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				return nil, false
			}
			v = in[i]
		default:
			return nil, false
		}
	}
	return v, true
}
