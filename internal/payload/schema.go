// Package payload knows what an event's data must look like: it reads JSON
// Schemas (2020-12), checks data against them, and makes examples and variants
// of it.
//
// A schema is on its own: what it refers to must stand in the same document.
// Its patterns are Go's regular expressions, which take linear time.
package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hookql/hookql/internal/webhook"
)

// Schema is a compiled JSON Schema. It is safe for concurrent use.
type Schema struct {
	root    *jsonschema.Schema
	efforts efforts
}

// base is the address that a schema gets where it names none itself; messages
// leave it out.
const base = "hookql:///schema"

const dialect = "https://json-schema.org/draft/2020-12/schema"

// Compile reads a schema. A mistake in it is a webhook.Invalid error without a
// path, which says where in the schema something is wrong, and what.
func Compile(text json.RawMessage) (*Schema, error) {
	doc, err := webhook.DecodeJSON(text)
	if err != nil {
		return nil, err
	}
	members, isObject := doc.(map[string]any)
	if !isObject {
		return nil, webhook.NewError(webhook.Invalid, "A JSON Schema is an object, such as `{\"type\": \"object\"}`.")
	}
	if named, given := members["$schema"]; given && named != dialect && named != dialect+"#" {
		return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("`$schema` can only be %q, the dialect that is understood here.", dialect))
	}
	if where := wideNumber(doc, nil); where != nil {
		return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("The number at `%s` has too many digits to be compared with.", pointer(where)))
	}
	if values, depth := measure(doc); values > maxValues || depth > maxNesting {
		return nil, webhook.NewError(webhook.Invalid, fmt.Sprintf("A schema has at most 10,000 values, nested at most %d deep.", maxNesting))
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(nowhere{})
	if err := c.AddResource(base, doc); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	root, err := c.Compile(base)
	if err != nil {
		return nil, webhook.NewError(webhook.Invalid, compileMistake(err))
	}
	s := &Schema{root, newEfforts(root)}
	if s.efforts[root][0] > maxEffort {
		return nil, webhook.NewError(webhook.Invalid, "The schema refers to itself for the same value, or has so many alternatives in one another that nothing can be checked against it.")
	}
	return s, nil
}

// nowhere loads no schema: nothing is fetched, from no file and no server.
type nowhere struct{}

func (nowhere) Load(string) (any, error) { return nil, errors.New("not loaded") }

// compileMistake puts the library's errors into a sentence for the author.
func compileMistake(err error) string {
	var (
		invalid *jsonschema.SchemaValidationError
		broken  *jsonschema.ValidationError
		remote  *jsonschema.LoadURLError
	)
	switch {
	case errors.As(err, &remote):
		return fmt.Sprintf("`%s` is outside this schema, and nothing is fetched. Put it under `$defs` and refer to it as `#/$defs/NAME`.", local(remote.URL))
	case errors.As(err, &invalid) && errors.As(invalid.Err, &broken):
		return "This is no JSON Schema of 2020-12: " + describe(broken, "the schema") + "."
	}
	return "This is no JSON Schema of 2020-12: " + local(err.Error()) + "."
}

// local leaves our own address out of a text.
func local(s string) string { return strings.ReplaceAll(s, base, "") }

// Check says whether the data fits the schema. Where it does not, it is a
// webhook.PayloadMismatch error without a path, which tells the members that
// do not fit, and why.
func (s *Schema) Check(data json.RawMessage) error {
	v, err := webhook.DecodeJSON(data)
	if err != nil {
		return err
	}
	return s.check(v)
}

func (s *Schema) check(v any) error {
	if where := wideNumber(v, nil); where != nil {
		return webhook.NewError(webhook.PayloadMismatch, upperFirst(name(where, "the data"))+" has too many digits to be compared with the schema.")
	}
	if s.efforts.of(s.root, v) > maxEffort {
		return webhook.NewError(webhook.PayloadMismatch, fmt.Sprintf(
			"The data cannot be checked: they are nested more than %d deep, or too large for the alternatives of the schema. Send less, or nest it less.", maxNesting))
	}
	var broken *jsonschema.ValidationError
	switch err := s.root.Validate(v); {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return webhook.NewError(webhook.PayloadMismatch, upperFirst(describe(broken, "the data"))+".")
	default:
		return fmt.Errorf("check the data: %w", err)
	}
}

// maxDigits is how long a number's text may be, and how large its exponent: a
// comparison writes out every digit of 1e1000000.
const maxDigits = 400

// wideNumber is the path to a number with more than maxDigits, else nil.
func wideNumber(v any, at []string) []string {
	switch v := v.(type) {
	case json.Number:
		if isWide(string(v)) {
			return append([]string{}, at...)
		}
	case []any:
		for i, item := range v {
			if where := wideNumber(item, append(at, fmt.Sprint(i))); where != nil {
				return where
			}
		}
	case map[string]any:
		for _, name := range sortedNames(v) {
			if where := wideNumber(v[name], append(at, name)); where != nil {
				return where
			}
		}
	}
	return nil
}

func isWide(number string) bool {
	_, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	digits := strings.TrimLeft(strings.TrimLeft(exponent, "+-"), "0")
	return len(number) > maxDigits || len(digits) > 3 || len(digits) == 3 && digits > fmt.Sprint(maxDigits)
}
