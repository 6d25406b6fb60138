package db

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/faults"
	"github.com/hookql/hookql/internal/seal"
	"github.com/hookql/hookql/internal/webhook"
)

// sealedPrefix begins a sealed text: sealed:KEYID:BASE64. A text without it was
// kept before secrets were sealed.
const sealedPrefix = "sealed:"

// lookEvery is how often a process looks whether another made a newer key.
const lookEvery = time.Minute

// ErrMasterKey says that the master keys do not open what is in the database.
var ErrMasterKey = errors.New("the master key is not the one that the secrets of this database were sealed with")

// sealer holds the data keys. The first use reads them, and makes the first.
type sealer struct {
	masters []seal.Cipher // the first seals data keys, all open them

	mu      sync.Mutex
	keys    map[string]seal.Cipher // by id; guarded by mu
	newest  string                 // guarded by mu
	looked  time.Time              // when the data keys were last read; guarded by mu
	refused bool                   // the masters did not open them then; guarded by mu
}

type sealingKeyRow struct {
	ID     string
	Sealed []byte
}

var listSealingKeys = newStatement("sealing_keys.list", `
SELECT id, sealed FROM sealing_keys ORDER BY id`)

// currentKey is the key that seals, with its id.
func (d *DB) currentKey(ctx context.Context) (string, seal.Cipher, error) {
	d.sealer.mu.Lock()
	defer d.sealer.mu.Unlock()
	if d.sealer.newest == "" || d.sealer.refused || time.Since(d.sealer.looked) > lookEvery {
		if err := d.lookForKeys(ctx); err != nil {
			return "", seal.Cipher{}, err
		}
	}
	if d.sealer.newest == "" {
		if err := d.makeFirstSealingKey(ctx); err != nil {
			return "", seal.Cipher{}, err
		}
	}
	return d.sealer.newest, d.sealer.keys[d.sealer.newest], nil
}

// keyByID is a key that sealed something, maybe in another process just now.
func (d *DB) keyByID(ctx context.Context, id string) (seal.Cipher, error) {
	d.sealer.mu.Lock()
	defer d.sealer.mu.Unlock()
	if key, ok := d.sealer.keys[id]; ok {
		return key, nil
	}
	if err := d.lookForKeys(ctx); err != nil {
		return seal.Cipher{}, err
	}
	key, ok := d.sealer.keys[id]
	if !ok {
		return key, fmt.Errorf("there is no sealing key %q", id)
	}
	return key, nil
}

// lookForKeys is readSealingKeys, unless the masters just did not open them; the
// caller holds mu.
func (d *DB) lookForKeys(ctx context.Context) error {
	if d.sealer.refused && time.Since(d.sealer.looked) <= lookEvery {
		return ErrMasterKey
	}
	return d.readSealingKeys(ctx)
}

// readSealingKeys opens all data keys; the caller holds mu.
func (d *DB) readSealingKeys(ctx context.Context) error {
	var rows []sealingKeyRow
	if err := d.keys.SelectContext(ctx, &rows, listSealingKeys.text); err != nil {
		return fmt.Errorf("%s: %w", listSealingKeys.name, err)
	}
	d.sealer.looked = time.Now()
	keys := make(map[string]seal.Cipher, len(rows))
	newest := ""
	for _, r := range rows {
		key, err := d.sealer.unwrap(r)
		if err != nil {
			d.sealer.refused = true
			return err
		}
		keys[r.ID], newest = key.Cipher(), r.ID
	}
	d.sealer.keys, d.sealer.newest, d.sealer.refused = keys, newest, false
	return nil
}

// unwrap opens a data key with the master key that sealed it.
func (s *sealer) unwrap(r sealingKeyRow) (key seal.Key, err error) {
	for _, master := range s.masters {
		if raw, err := master.Open(r.Sealed, r.ID); err == nil && len(raw) == seal.KeySize {
			return seal.Key(raw), nil
		}
	}
	return key, ErrMasterKey
}

var lockSealingKeys = newStatement("sealing_keys.lock", `
LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE`)

var countSealingKeys = newStatement("sealing_keys.count", `
SELECT count(*) FROM sealing_keys`)

var insertSealingKey = newStatement("sealing_keys.insert", `
INSERT INTO sealing_keys (id, sealed) VALUES ($1, $2)`)

// makeFirstSealingKey makes a data key unless another process just did; the
// caller holds mu.
func (d *DB) makeFirstSealingKey(ctx context.Context) error {
	err := inTxOf(ctx, d.keys, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, lockSealingKeys.text); err != nil {
			return err
		}
		var n int
		if err := tx.GetContext(ctx, &n, countSealingKeys.text); err != nil || n > 0 {
			return err
		}
		return d.insertSealingKey(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("make the first sealing key: %w", err)
	}
	return d.readSealingKeys(ctx)
}

func (d *DB) insertSealingKey(ctx context.Context, tx *sqlx.Tx) error {
	id, key := webhook.NewID(webhook.SealingKeyPrefix), seal.NewKey()
	_, err := tx.ExecContext(ctx, insertSealingKey.text, id, d.sealer.masters[0].Seal(key[:], id))
	return err
}

// seal makes a text unreadable without the master key; "" stays.
func (d *DB) seal(ctx context.Context, text, place string) (string, error) {
	if text == "" {
		return "", nil
	}
	id, key, err := d.currentKey(ctx)
	if err != nil {
		return "", err
	}
	return sealedPrefix + id + ":" + base64.RawStdEncoding.EncodeToString(key.Seal([]byte(text), place)), nil
}

// unseal is the text that was sealed.
func (d *DB) unseal(ctx context.Context, text, place string) (string, error) {
	rest, sealed := strings.CutPrefix(text, sealedPrefix)
	if !sealed {
		return text, nil
	}
	id, encoded, _ := strings.Cut(rest, ":")
	raw, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("unseal %s: %w", place, err)
	}
	key, err := d.keyByID(ctx, id)
	if err != nil {
		return "", fmt.Errorf("unseal %s: %w", place, err)
	}
	opened, err := key.Open(raw, place)
	if err != nil {
		return "", fmt.Errorf("unseal %s: %w", place, err)
	}
	return string(opened), nil
}

// CheckSealing says whether the master keys open what is in the database; it
// makes the first data key. ErrMasterKey where they do not. It asks the database
// once a minute at most, however often it is called.
func (d *DB) CheckSealing(ctx context.Context) error {
	_, _, err := d.currentKey(ctx)
	return err
}

var listSealedOtherwise = newStatement("webhooks.list_sealed_otherwise", `
SELECT id, workspace_id
FROM webhooks
WHERE id > $1
	AND (secret <> '' AND NOT starts_with(secret, $2)
		OR previous_secret <> '' AND NOT starts_with(previous_secret, $2)
		OR headers::text <> '[]' AND NOT starts_with(headers #>> '{}', $2))
ORDER BY id
LIMIT 100`)

var listSealingKeysForUpdate = newStatement("sealing_keys.list_for_update", `
SELECT id, sealed FROM sealing_keys ORDER BY id FOR UPDATE`)

var updateSealingKey = newStatement("sealing_keys.update", `
UPDATE sealing_keys SET sealed = $2 WHERE id = $1`)

// RotateSealing makes a new data key, seals every secret with it, and seals all
// data keys with the first master key. It can run while others serve, and again
// where it was cut off. It returns how many webhooks were sealed anew.
func (d *DB) RotateSealing(ctx context.Context) (webhooks int, err error) {
	if err := inTxOf(ctx, d.keys, func(tx *sqlx.Tx) error { return d.rewrap(ctx, tx) }); err != nil {
		return 0, fmt.Errorf("make a new sealing key: %w", err)
	}
	d.sealer.mu.Lock()
	err = d.readSealingKeys(ctx)
	newest := d.sealer.newest
	d.sealer.mu.Unlock()
	if err != nil {
		return 0, err
	}
	for after := ""; ; {
		var rows []struct {
			ID          string
			WorkspaceID string `db:"workspace_id"`
		}
		if err := d.list(ctx, d.pool, listSealedOtherwise, &rows, after, sealedPrefix+newest+":"); err != nil || len(rows) == 0 {
			return webhooks, err
		}
		for _, r := range rows {
			if err := d.reseal(ctx, r.WorkspaceID, r.ID); err != nil && !errors.Is(err, webhook.NotFound) {
				return webhooks, err
			}
			webhooks++
			faults.At("seal.webhook")
		}
		after = rows[len(rows)-1].ID
	}
}

// rewrap seals the data keys with the first master key, and adds one.
func (d *DB) rewrap(ctx context.Context, tx *sqlx.Tx) error {
	var rows []sealingKeyRow
	if err := tx.SelectContext(ctx, &rows, listSealingKeysForUpdate.text); err != nil {
		return err
	}
	for _, r := range rows {
		key, err := d.sealer.unwrap(r)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, updateSealingKey.text, r.ID, d.sealer.masters[0].Seal(key[:], r.ID)); err != nil {
			return err
		}
	}
	return d.insertSealingKey(ctx, tx)
}

// reseal writes a webhook as it is, which seals it with the newest key.
func (d *DB) reseal(ctx context.Context, workspaceID, id string) error {
	return d.onLocked(ctx, workspaceID, id, func(tx *sqlx.Tx, w *webhook.Webhook) error {
		return d.writeWebhook(ctx, tx, w)
	})
}
