// Package catalogue keeps the event types in order: what makes one whole, and
// the file that an operator keeps them in.
package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hookql/hookql/internal/payload"
	"github.com/hookql/hookql/internal/webhook"
)

// Complete makes the example of a type that is to have one made and lacks it,
// and finds every mistake in the type.
func Complete(t *webhook.EventType, schemas *payload.Cache) error {
	var schema *payload.Schema
	var errs webhook.Errors
	if t.Schema != nil && len(t.Schema) <= webhook.MaxEventTypeJSON { // a larger one is refused as too long
		var err error
		schema, err = schemas.Compile(t.Schema)
		if errs, err = mistake(err, "schema", "%s"); err != nil {
			return err
		}
	}
	exampleErrs, err := completeExample(t, schema)
	if err != nil {
		return err
	}
	if t.Example != nil && t.Example[0] != '{' {
		exampleErrs = webhook.Errors{webhook.NewError(webhook.Invalid, "An event's data is a JSON object. Give an example that is one, and a schema that allows it.", "example")}
	}
	return append(append(t.Validate(), errs...), exampleErrs...).OrNil()
}

// completeExample makes the example, or checks the one that was given.
func completeExample(t *webhook.EventType, schema *payload.Schema) (webhook.Errors, error) {
	switch {
	case t.ExampleMade && t.Example != nil:
		return nil, nil // made from the same schema before
	case !t.ExampleMade && schema != nil:
		return mistake(schema.Check(t.Example), "example", "The example does not fit the schema: %s Give one that does, or leave it out to have one made.")
	case !t.ExampleMade:
		return nil, nil
	case t.Schema == nil:
		t.Example = json.RawMessage("{}")
		return nil, nil
	case schema == nil:
		return nil, nil // the schema is to be mended first
	}
	var err error
	if t.Example, err = schema.Example(); err != nil {
		return webhook.Errors{webhook.NewError(webhook.Required,
			"No example could be made from the schema. Give one, and mind that none may fit.", "example")}, nil
	}
	return nil, nil
}

// mistake puts an error about a field under its path and into a sentence; a
// fault is handed back as it is.
func mistake(err error, field, sentence string) (webhook.Errors, error) {
	var m *webhook.Error
	if !errors.As(err, &m) {
		return nil, err
	}
	return webhook.Errors{webhook.NewError(m.Code, fmt.Sprintf(sentence, m.Message), field)}, nil
}
