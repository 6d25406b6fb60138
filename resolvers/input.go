package resolvers

import (
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/graph"
	"github.com/hookql/hookql/internal/webhook"
)

// or is an optional input's value, def where it is omitted or null: generated
// clients send null for every member that is not set.
func or[T any](input graphql.Omittable[*T], def T) T {
	if v := input.Value(); v != nil {
		return *v
	}
	return def
}

// change writes an optional input over a value, unless it is omitted. Null is
// a mistake, which is added to errs.
func change[T any](errs *webhook.Errors, field string, input graphql.Omittable[*T], to *T) {
	switch v, given := input.ValueOK(); {
	case !given:
	case v == nil:
		*errs = append(*errs, nullMistake(field))
	default:
		*to = *v
	}
}

// changeList is change for lists and JSON, whose null is a nil slice.
func changeList[S ~[]T, T any](errs *webhook.Errors, field string, input graphql.Omittable[S], to *S) {
	switch v, given := input.ValueOK(); {
	case !given:
	case v == nil:
		*errs = append(*errs, nullMistake(field))
	default:
		*to = v
	}
}

func nullMistake(field string) *webhook.Error {
	return webhook.NewError(webhook.Required, "`"+field+"` cannot be null. Leave it out to keep it as it is.", field)
}

// headersOf reads header inputs. One without a value keeps the value that a
// header of its name has among the old ones.
func headersOf(inputs []*graph.HTTPHeaderInput, old []webhook.Header) (headers []webhook.Header, errs webhook.Errors) {
	for i, input := range inputs {
		value := input.Value.Value()
		if value == nil {
			value = headerValue(old, input.Name)
		}
		if value == nil {
			value = new(string)
			errs = append(errs, webhook.NewError(webhook.Required,
				"This header needs a value: there is none of this name whose value could be kept.", "headers", strconv.Itoa(i), "value"))
		}
		headers = append(headers, webhook.Header{Name: input.Name, Value: *value})
	}
	return headers, errs
}

func headerValue(headers []webhook.Header, name string) *string {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return &h.Value
		}
	}
	return nil
}

// unique removes repeated names and keeps the order.
func unique[T comparable](names []T) []T {
	seen := make(map[T]bool, len(names))
	return keep(names, func(name T) bool {
		repeated := seen[name]
		seen[name] = true
		return !repeated
	})
}
