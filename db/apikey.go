package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// apiKeyRow is a row of api_keys without the token's hash.
type apiKeyRow struct {
	ID          string
	WorkspaceID *string `db:"workspace_id"`
	Name        string
	Prefix      string
	Scopes      pq.StringArray
	CreatedAt   time.Time  `db:"created_at"`
	LastUsedAt  *time.Time `db:"last_used_at"`
	ExpiresAt   *time.Time `db:"expires_at"`
	RevokedAt   *time.Time `db:"revoked_at"`
}

func (r apiKeyRow) apiKey() *webhook.APIKey {
	k := &webhook.APIKey{
		ID:          r.ID,
		WorkspaceID: r.WorkspaceID,
		Name:        r.Name,
		Prefix:      r.Prefix,
		CreatedAt:   r.CreatedAt.UTC(),
		LastUsedAt:  utc(r.LastUsedAt),
		ExpiresAt:   utc(r.ExpiresAt),
		RevokedAt:   utc(r.RevokedAt),
	}
	for _, s := range r.Scopes {
		k.Scopes = append(k.Scopes, webhook.Scope(s))
	}
	if k.WorkspaceID == nil {
		k.Scopes = webhook.Scopes()
	}
	return k
}

const apiKeyColumns = `
	id,
	workspace_id,
	name,
	prefix,
	scopes,
	created_at,
	last_used_at,
	expires_at,
	revoked_at`

// Two processes that start together wait for one another here, and the second
// sees the key of the first.
var lockAPIKeys = newStatement("api_keys.lock", `
LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE`)

var insertOperatorKey = newStatement("api_keys.insert_operator", `
INSERT INTO api_keys (id, name, prefix, token_hash)
SELECT $1, $2, $3, $4
WHERE NOT EXISTS (SELECT FROM api_keys WHERE workspace_id IS NULL AND revoked_at IS NULL)`)

// InsertOperatorKey keeps the SHA-256 of an operator's token unless there is an
// operator's key already that opens, and says whether it did.
func (d *DB) InsertOperatorKey(ctx context.Context, k *webhook.APIKey, hash [32]byte) (inserted bool, err error) {
	err = d.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := d.exec(ctx, tx, lockAPIKeys); err != nil {
			return err
		}
		n, err := d.exec(ctx, tx, insertOperatorKey, k.ID, k.Name, k.Prefix, hash[:])
		inserted = n == 1
		return err
	})
	return inserted, err
}

var revokeOtherOperatorKeys = newStatement("api_keys.revoke_other_operators", `
UPDATE api_keys
SET revoked_at = $2
WHERE workspace_id IS NULL
	AND revoked_at IS NULL
	AND token_hash <> $1`)

// RevokeOtherOperatorKeys makes every operator's key open no more but the one
// whose token has a SHA-256, and says how many those were.
func (d *DB) RevokeOtherOperatorKeys(ctx context.Context, hash [32]byte, now time.Time) (int64, error) {
	return d.exec(ctx, d.pool, revokeOtherOperatorKeys, hash[:], now)
}

var revokeOperatorKey = newStatement("api_keys.revoke_operator", `
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, $2)
WHERE workspace_id IS NULL
	AND id = $1
RETURNING`+apiKeyColumns)

// RevokeOperatorKey is RevokeAPIKey of an operator's key.
func (d *DB) RevokeOperatorKey(ctx context.Context, id string, now time.Time) (*webhook.APIKey, error) {
	var row apiKeyRow
	if err := d.get(ctx, d.pool, revokeOperatorKey, &row, text(id), now); err != nil {
		return nil, err
	}
	return row.apiKey(), nil
}

// A workspace that was deleted meanwhile gets no key.
var insertAPIKey = newStatement("api_keys.insert", `
INSERT INTO api_keys (id, workspace_id, name, prefix, scopes, created_at, expires_at, token_hash)
SELECT $1, w.id, $3, $4, $5, $6, $7, $8
FROM workspaces AS w
WHERE w.id = $2
FOR KEY SHARE`)

// InsertAPIKey keeps a workspace's key with the SHA-256 of its token.
func (d *DB) InsertAPIKey(ctx context.Context, workspaceID string, k *webhook.APIKey, hash [32]byte) error {
	scopes := make(pq.StringArray, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = string(s)
	}
	n, err := d.exec(ctx, d.pool, insertAPIKey, k.ID, workspaceID, k.Name, k.Prefix, scopes, k.CreatedAt, k.ExpiresAt, hash[:])
	if err == nil && n == 0 {
		return webhook.NotFound
	}
	return err
}

var findAPIKeyByHash = newStatement("api_keys.find_by_hash", `
SELECT`+apiKeyColumns+`
FROM api_keys
WHERE token_hash = $1`)

// APIKeyByHash finds the key whose token has a SHA-256, else webhook.NotFound.
func (d *DB) APIKeyByHash(ctx context.Context, hash [32]byte) (*webhook.APIKey, error) {
	var row apiKeyRow
	if err := d.get(ctx, d.pool, findAPIKeyByHash, &row, hash[:]); err != nil {
		return nil, err
	}
	return row.apiKey(), nil
}

var findAPIKey = newStatement("api_keys.find", `
SELECT`+apiKeyColumns+`
FROM api_keys
WHERE workspace_id = $1
	AND id = $2`)

// APIKey finds a workspace's key, else webhook.NotFound.
func (d *DB) APIKey(ctx context.Context, workspaceID, id string) (*webhook.APIKey, error) {
	var row apiKeyRow
	if err := d.get(ctx, d.pool, findAPIKey, &row, workspaceID, text(id)); err != nil {
		return nil, err
	}
	return row.apiKey(), nil
}

var listNewestAPIKeys = newStatement("api_keys.list_newest", `
SELECT`+apiKeyColumns+`
FROM api_keys
WHERE workspace_id = $1
	AND id < $2
	AND id > $3
ORDER BY id DESC
LIMIT $4`)

var listOldestAPIKeys = newStatement("api_keys.list_oldest", `
SELECT`+apiKeyColumns+`
FROM api_keys
WHERE workspace_id = $1
	AND id < $2
	AND id > $3
ORDER BY id
LIMIT $4`)

// APIKeys returns a page of the workspace's keys, newest first.
func (d *DB) APIKeys(ctx context.Context, workspaceID string, p webhook.Page) (webhook.Slice[*webhook.APIKey], error) {
	statement := listNewestAPIKeys
	if p.FromEnd {
		statement = listOldestAPIKeys
	}
	below, above := bounds(p)
	var rows []apiKeyRow
	if err := d.list(ctx, d.pool, statement, &rows, workspaceID, below, above, p.Limit+1); err != nil {
		return webhook.Slice[*webhook.APIKey]{}, err
	}
	keys := make([]*webhook.APIKey, len(rows))
	for i, r := range rows {
		keys[i] = r.apiKey()
	}
	return cut(p, keys), nil
}

var countAPIKeys = newStatement("api_keys.count", `
SELECT count(*) FROM api_keys WHERE workspace_id = $1`)

// CountAPIKeys says how many keys the workspace has.
func (d *DB) CountAPIKeys(ctx context.Context, workspaceID string) (n int, err error) {
	err = d.get(ctx, d.pool, countAPIKeys, &n, workspaceID)
	return n, err
}

var revokeAPIKey = newStatement("api_keys.revoke", `
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, $3)
WHERE workspace_id = $1
	AND id = $2
RETURNING`+apiKeyColumns)

// RevokeAPIKey makes a workspace's key open no more; one that was revoked
// before keeps its time. Else webhook.NotFound.
func (d *DB) RevokeAPIKey(ctx context.Context, workspaceID, id string, now time.Time) (*webhook.APIKey, error) {
	var row apiKeyRow
	if err := d.get(ctx, d.pool, revokeAPIKey, &row, workspaceID, text(id), now); err != nil {
		return nil, err
	}
	return row.apiKey(), nil
}

// The row is not written again within the minute, and never set back by a
// process whose clock is behind.
var touchAPIKeys = newStatement("api_keys.touch", `
UPDATE api_keys
SET last_used_at = used.at
FROM unnest($1::text[], $2::timestamptz[]) AS used (id, at)
WHERE api_keys.id = used.id
	AND (last_used_at IS NULL OR last_used_at < used.at)`)

// TouchAPIKeys keeps when keys were last used, by their ids.
func (d *DB) TouchAPIKeys(ctx context.Context, used map[string]time.Time) error {
	ids, times := make([]string, 0, len(used)), make([]string, 0, len(used))
	for id, at := range used {
		ids = append(ids, id)
		times = append(times, at.UTC().Truncate(time.Minute).Format(time.RFC3339))
	}
	_, err := d.exec(ctx, d.pool, touchAPIKeys, pq.Array(ids), pq.Array(times))
	return err
}

var findStillOpen = newStatement("api_keys.find_still_open", `
SELECT id
FROM api_keys
WHERE id = ANY ($1)
	AND revoked_at IS NULL
	AND (expires_at IS NULL OR expires_at > now())
UNION ALL
SELECT id
FROM workspaces
WHERE id = ANY ($2)`)

// StillOpen returns those of the ids whose keys open, and whose workspaces are
// there.
func (d *DB) StillOpen(ctx context.Context, keyIDs, workspaceIDs []string) (ids []string, err error) {
	err = d.list(ctx, d.pool, findStillOpen, &ids, pq.Array(keyIDs), pq.Array(workspaceIDs))
	return ids, err
}
