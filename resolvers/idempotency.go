package resolvers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"github.com/hookql/hookql/internal/webhook"
)

// idempotencyHeader does for each mutation of a request what the member
// idempotencyKey of its input does.
const idempotencyHeader = "Idempotency-Key"

// idempotency is what makes a mutation the same as an earlier one: the key of
// its input, else that of the request with the mutation's response name, since
// one request can hold several.
func idempotency(ctx context.Context, given graphql.Omittable[*string], input any) (i webhook.Idempotency, err error) {
	field := graphql.GetFieldContext(ctx).Field
	key, place := given.Value(), ""
	if header := graphql.GetOperationContext(ctx).Headers.Get(idempotencyHeader); key == nil && header != "" {
		key, place = &header, "/"+field.Alias
	}
	if key == nil {
		return i, nil
	}
	if mistake := webhook.CheckIdempotencyKey(*key); mistake != nil {
		return i, mistake
	}
	text, err := json.Marshal([]any{field.Name, input})
	if err != nil {
		return i, err
	}
	return webhook.Idempotency{Key: *key + place, InputHash: sha256.Sum256(text)}, nil
}

// orGone says that what a key made is not there any more.
func orGone(err error) error {
	if errors.Is(err, webhook.NotFound) {
		return webhook.NewError(webhook.IdempotencyConflict,
			"What was made with this idempotency key was deleted since. Give a new key to make another.", "idempotencyKey")
	}
	return err
}
