package db

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/webhook"
)

// Two processes that start together wait for one another here, and the second
// sees the key of the first.
var lockAPIKeys = newStatement("api_keys.lock", `
LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE`)

var insertFirstAPIKey = newStatement("api_keys.insert_first", `
INSERT INTO api_keys (id, name, token_hash)
SELECT $1, $2, $3
WHERE NOT EXISTS (SELECT FROM api_keys)`)

// InsertFirstAPIKey keeps the SHA-256 of a key's token unless there is a key
// already, and says whether it did.
func (d *DB) InsertFirstAPIKey(ctx context.Context, name string, hash [32]byte) (inserted bool, err error) {
	err = d.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := d.exec(ctx, tx, lockAPIKeys); err != nil {
			return err
		}
		n, err := d.exec(ctx, tx, insertFirstAPIKey, webhook.NewID(webhook.APIKeyPrefix), name, hash[:])
		inserted = n == 1
		return err
	})
	return inserted, err
}

var listAPIKeyHashes = newStatement("api_keys.hashes", `
SELECT token_hash FROM api_keys ORDER BY id`)

// APIKeyHashes returns the SHA-256 of every key's token.
func (d *DB) APIKeyHashes(ctx context.Context) ([][32]byte, error) {
	var rows [][]byte
	if err := d.list(ctx, listAPIKeyHashes, &rows); err != nil {
		return nil, err
	}
	hashes := make([][32]byte, len(rows))
	for i, row := range rows {
		copy(hashes[i][:], row)
	}
	return hashes, nil
}
