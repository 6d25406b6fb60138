// Package scalar reads and writes the schema's own scalars.
package scalar

import (
	"encoding/json"
	"io"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/internal/webhook"
)

// MarshalDateTime writes a time in UTC with up to microseconds.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, t.UTC().Format(`"2006-01-02T15:04:05.999999Z"`))
	})
}

// UnmarshalDateTime reads RFC 3339.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, mistake("A DateTime is a text such as `2022-02-17T08:47:11Z`.")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, mistake("A DateTime is written as RFC 3339, such as `2022-02-17T08:47:11Z`.")
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// mistake is one that the caller can mend.
func mistake(message string) error { return webhook.NewError(webhook.Invalid, message) }

// MarshalJSON writes JSON as it is kept.
func MarshalJSON(text json.RawMessage) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		if len(text) == 0 {
			text = json.RawMessage("null")
		}
		_, _ = w.Write(text)
	})
}

// UnmarshalJSON fixes the bytes of a value: what it returns is what is kept,
// signed and sent (see webhook.EncodeJSON).
func UnmarshalJSON(v any) (json.RawMessage, error) {
	return webhook.EncodeJSON(v)
}
