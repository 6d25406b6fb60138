package payload

import (
	"encoding/json"
	"testing"
)

// examples are schemas, each with its example.
var examples = map[string]string{
	`{}`:                                                                    `"text"`,
	`{"type": "object"}`:                                                    `{}`,
	`{"const": {"a": 1.10}}`:                                                `{"a":1.10}`,
	`{"enum": ["b", "a"]}`:                                                  `"b"`,
	`{"enum": ["b", 5], "type": "integer"}`:                                 `5`,
	`{"default": 7, "examples": [8]}`:                                       `8`,
	`{"default": 7, "type": "string"}`:                                      `"text"`,
	`{"type": ["null", "string"]}`:                                          `"text"`,
	`{"type": "string", "minLength": 6}`:                                    `"textxx"`,
	`{"type": "string", "maxLength": 2}`:                                    `"xt"`,
	`{"type": "string", "pattern": "^R-[0-9]{5}$"}`:                         `"R-00000"`,
	`{"type": "string", "pattern": "^[a-z]+$", "minLength": 5}`:             `"aaaaa"`,
	`{"type": "string", "format": "email"}`:                                 `"person1@example.com"`,
	`{"type": "integer", "minimum": 10}`:                                    `10`,
	`{"type": "integer", "exclusiveMinimum": 10}`:                           `11`,
	`{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}`:      `0.5`,
	`{"type": "number", "maximum": -3.5}`:                                   `-3.5`,
	`{"type": "integer", "minimum": 10, "multipleOf": 7}`:                   `14`,
	`{"type": "number", "multipleOf": 0.01, "minimum": 1.005}`:              `1.01`,
	`{"type": "integer", "multipleOf": 2.5, "minimum": 1}`:                  `5`,
	`{"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "minimum": 1}`:       `12`,
	`{"type": "integer"}`:                                                   `1`,
	`{"type": "boolean"}`:                                                   `true`,
	`{"properties": {"a": {"type": "null"}}}`:                               `{"a":null}`,
	`{"items": {"type": "string"}}`:                                         `["text"]`,
	`{"items": {"type": "string"}, "maxItems": 0}`:                          `[]`,
	`{"items": {"type": "string"}, "minItems": 3, "uniqueItems": true}`:     `["text","text1","text2"]`,
	`{"items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": true}`:    `[1,2,3]`,
	`{"prefixItems": [{"const": 1}, {"const": 2}]}`:                         `[1,2]`,
	`{"contains": {"const": 5}, "minContains": 2}`:                          `[5,5]`,
	`{"allOf": [{"properties": {"a": {"const": 1}}}, {"required": ["b"]}]}`: `{"a":1,"b":"text"}`,
	`{"oneOf": [{"type": "integer", "minimum": 5}, {"const": 5}]}`:          `6`,
	`{"anyOf": [false, {"const": 5}]}`:                                      `5`,
	`{"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer", "maximum": 0}}}`:                                          `{"a":0}`,
	`{"type": "object", "properties": {"name": {"const": "n"}, "children": {"type": "array", "items": {"$ref": "#"}}}}`:                        `{"children":[],"name":"n"}`,
	`{"type": "object", "properties": {"next": {"$ref": "#"}}}`:                                                                                `{}`,
	`{"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}}`:                                                      `{"member1":1,"member2":1}`,
	`{"type": "object", "maxProperties": 1, "required": ["b"], "properties": {"a": {}, "b": {}}}`:                                              `{"b":"text"}`,
	`{"patternProperties": {"^a": {"type": "integer"}}, "required": ["ab"]}`:                                                                   `{"ab":1}`,
	`{"required": ["a"], "properties": {"a": {"not": {"type": "string"}}}}`:                                                                    `{"a":{}}`,
	`{"type": "object", "properties": {"kind": {"enum": ["x"]}}, "if": {"properties": {"kind": {"const": "x"}}}, "then": {"required": ["y"]}}`: `{"kind":"x","y":"text"}`,
}

func TestExamples(t *testing.T) {
	t.Parallel()
	for schema, want := range examples {
		got, err := mustCompile(t, schema).Example()
		if err != nil || string(got) != want {
			t.Errorf("the example of %s is %s, %v, want %s", schema, got, err, want)
		}
	}
}

// A schema without an example is told as such, and in time.
func TestNoExample(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{"not": {}}`,
		`{"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}`,
		`{"type": "string", "minLength": 5, "maxLength": 4}`,
		`{"type": "string", "minLength": 1000000000}`,
		`{"type": "array", "minItems": 1000000000}`,
		`{"type": "object", "minProperties": 1000000000}`,
		`{"allOf": [{"type": "string"}, {"type": "integer"}]}`,
	} {
		if got, err := mustCompile(t, schema).Example(); err == nil {
			t.Errorf("the example of %s is %s, want none", schema, got)
		}
	}
}

// fuzzed are schemas to begin fuzzing with.
var fuzzed = []string{
	`{"type": "object", "properties": {"a": {"type": "string", "format": "uuid"}}, "required": ["a"]}`,
	`{"type": "array", "items": {"type": "integer", "multipleOf": 3}, "minItems": 4, "uniqueItems": true}`,
	`{"oneOf": [{"type": "string", "pattern": "^(a|b)+[^c]{2,}$"}, {"$ref": "#/$defs/n"}], "$defs": {"n": {"type": "number", "exclusiveMinimum": 0.1}}}`,
	`{"if": {"type": "null"}, "then": false, "else": {"anyOf": [{"$ref": "#"}, true]}}`,
	`{"type": "object", "additionalProperties": {"$ref": "#"}, "minProperties": 1, "maxProperties": 2}`,
	`{"prefixItems": [{}, {"const": null}], "contains": {"enum": [1, "a"]}, "unevaluatedItems": false}`,
	`{"properties": {"a": {"$dynamicRef": "#x"}}, "$defs": {"x": {"$dynamicAnchor": "x", "type": ["null", "boolean"]}}}`,
}

// FuzzExample holds for every schema: what is made fits it and is the same
// each time, or it is said that nothing was found.
func FuzzExample(f *testing.F) {
	for _, seed := range fuzzed {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			return
		}
		s, err := Compile(text)
		if err != nil {
			return
		}
		example, err := s.Example()
		if err != nil {
			return
		}
		if err := s.Check(example); err != nil {
			t.Errorf("the example %s does not fit: %v", example, err)
		}
		if again, err := mustCompile(t, string(text)).Example(); err != nil || string(again) != string(example) {
			t.Errorf("the example is once %s, once %s (%v)", example, again, err)
		}
		if !json.Valid(example) {
			t.Errorf("the example is no JSON: %s", example)
		}
	})
}
