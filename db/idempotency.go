package db

import (
	"context"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/webhook"
)

// Who comes second waits here until the first is done, and then sees its row,
// or takes the key where the first failed. A key that has expired is taken over.
var claimIdempotencyKey = newStatement("idempotency_keys.claim", `
INSERT INTO idempotency_keys (workspace_id, key, input_hash, object_id)
VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id, key) DO UPDATE
SET input_hash = excluded.input_hash,
	object_id = excluded.object_id,
	created_at = now()
WHERE idempotency_keys.created_at < now() - interval '24 hours'
RETURNING object_id`)

var findIdempotencyKey = newStatement("idempotency_keys.find", `
SELECT input_hash, object_id
FROM idempotency_keys
WHERE workspace_id = $1
	AND key = $2`)

// Each new key removes some that have expired, so that none pile up.
var deleteExpiredIdempotencyKeys = newStatement("idempotency_keys.delete_expired", `
DELETE FROM idempotency_keys
WHERE ctid = ANY(ARRAY(
	SELECT ctid
	FROM idempotency_keys
	WHERE created_at < now() - interval '25 hours'
	ORDER BY created_at
	LIMIT 10
	FOR UPDATE SKIP LOCKED
))`)

// claim takes a caller's key for an object that the transaction makes. Where
// the key was used before, it returns the id of what was made then, or an
// IDEMPOTENCY_CONFLICT for another input; nothing is to be made then.
func (d *DB) claim(ctx context.Context, tx *sqlx.Tx, workspaceID string, i webhook.Idempotency, objectID string) (earlier string, err error) {
	if i.Key == "" {
		return "", nil
	}
	place := workspaceID + "/idempotency_keys/" + i.Key
	sealed, err := d.seal(ctx, string(i.InputHash[:]), place)
	if err != nil {
		return "", err
	}
	var claimed string
	err = d.get(ctx, tx, claimIdempotencyKey, &claimed, workspaceID, i.Key, []byte(sealed), objectID)
	if err == nil {
		_, err = d.exec(ctx, tx, deleteExpiredIdempotencyKeys)
	}
	if !errors.Is(err, webhook.NotFound) {
		return "", err
	}
	var row struct {
		InputHash []byte `db:"input_hash"`
		ObjectID  string `db:"object_id"`
	}
	if err := d.get(ctx, tx, findIdempotencyKey, &row, workspaceID, i.Key); err != nil {
		return "", err
	}
	hash, err := d.unseal(ctx, string(row.InputHash), place)
	if err != nil {
		return "", err
	}
	if hash != string(i.InputHash[:]) {
		return "", webhook.NewError(webhook.IdempotencyConflict,
			"This idempotency key was used in the last 24 hours with another input. Give a new key, or the same input.", "idempotencyKey")
	}
	return row.ObjectID, nil
}
