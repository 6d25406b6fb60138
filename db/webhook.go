package db

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// webhookRow is a row of webhooks.
type webhookRow struct {
	ID                       string
	WorkspaceID              string `db:"workspace_id"`
	UID                      string
	Name                     string
	Description              *string
	URL                      string
	Events                   pq.StringArray
	ResourceIDs              pq.StringArray `db:"resource_ids"`
	Active                   bool
	StatusReason             webhook.StatusReason `db:"status_reason"`
	StatusChangedAt          time.Time            `db:"status_changed_at"`
	Method                   webhook.Method
	PayloadFormat            webhook.PayloadFormat `db:"payload_format"`
	Signing                  webhook.Signing
	Secret                   string
	PreviousSecret           string     `db:"previous_secret"`
	PreviousSecretExpiresAt  *time.Time `db:"previous_secret_expires_at"`
	Headers                  json.RawMessage
	TimeoutMs                int     `db:"timeout_ms"`
	RateLimitPerSecond       *int    `db:"rate_limit_per_second"`
	RetryMaxAttempts         int     `db:"retry_max_attempts"`
	RetryInitialDelaySeconds int     `db:"retry_initial_delay_seconds"`
	RetryBackoffFactor       float64 `db:"retry_backoff_factor"`
	RetryMaxDelaySeconds     int     `db:"retry_max_delay_seconds"`
	Metadata                 json.RawMessage
	Version                  int
	CreatedAt                time.Time `db:"created_at"`
	UpdatedAt                time.Time `db:"updated_at"`
}

// webhookOf opens what is sealed in a row.
func (d *DB) webhookOf(ctx context.Context, r webhookRow) (*webhook.Webhook, error) {
	secret, err := d.unseal(ctx, r.Secret, r.ID+"/secret")
	if err != nil {
		return nil, err
	}
	previous, err := d.unseal(ctx, r.PreviousSecret, r.ID+"/previous_secret")
	if err != nil {
		return nil, err
	}
	extra, err := d.unsealHeaders(ctx, r)
	if err != nil {
		return nil, err
	}
	return &webhook.Webhook{
		ID:                      r.ID,
		WorkspaceID:             r.WorkspaceID,
		UID:                     r.UID,
		Name:                    r.Name,
		Description:             r.Description,
		URL:                     r.URL,
		Events:                  r.Events,
		ResourceIDs:             r.ResourceIDs,
		Active:                  r.Active,
		StatusReason:            r.StatusReason,
		StatusChangedAt:         r.StatusChangedAt.UTC(),
		Method:                  r.Method,
		PayloadFormat:           r.PayloadFormat,
		Signing:                 r.Signing,
		Secret:                  webhook.Secret(secret),
		PreviousSecret:          webhook.Secret(previous),
		PreviousSecretExpiresAt: utc(r.PreviousSecretExpiresAt),
		Headers:                 extra,
		TimeoutMs:               r.TimeoutMs,
		RateLimitPerSecond:      r.RateLimitPerSecond,
		RetryPolicy: webhook.RetryPolicy{
			MaxAttempts:         r.RetryMaxAttempts,
			InitialDelaySeconds: r.RetryInitialDelaySeconds,
			BackoffFactor:       r.RetryBackoffFactor,
			MaxDelaySeconds:     r.RetryMaxDelaySeconds,
		},
		Metadata:  r.Metadata,
		Version:   r.Version,
		CreatedAt: r.CreatedAt.UTC(),
		UpdatedAt: r.UpdatedAt.UTC(),
	}, nil
}

// noHeaders is how most webhooks keep their headers.
const noHeaders = "[]"

// unsealHeaders reads headers, which are a JSON array, or one sealed in a
// string.
func (d *DB) unsealHeaders(ctx context.Context, r webhookRow) (list headers, err error) {
	if string(r.Headers) == noHeaders {
		return headers{}, nil
	}
	text := string(r.Headers)
	var sealed string
	if json.Unmarshal(r.Headers, &sealed) == nil {
		if text, err = d.unseal(ctx, sealed, r.ID+"/headers"); err != nil {
			return nil, err
		}
	}
	err = json.Unmarshal([]byte(text), &list)
	return list, err
}

// sealHeaders is what unsealHeaders reads.
func (d *DB) sealHeaders(ctx context.Context, w *webhook.Webhook) ([]byte, error) {
	if len(w.Headers) == 0 {
		return []byte(noHeaders), nil
	}
	plain, err := json.Marshal(w.Headers)
	if err != nil {
		return nil, err
	}
	sealed, err := d.seal(ctx, string(plain), w.ID+"/headers")
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func (d *DB) webhooksOf(ctx context.Context, rows []webhookRow) ([]*webhook.Webhook, error) {
	webhooks := make([]*webhook.Webhook, len(rows))
	for i, r := range rows {
		var err error
		if webhooks[i], err = d.webhookOf(ctx, r); err != nil {
			return nil, err
		}
	}
	return webhooks, nil
}

// webhookState are all columns but those that say which webhook it is.
const webhookState = `
	uid,
	name,
	description,
	url,
	events,
	resource_ids,
	active,
	status_reason,
	status_changed_at,
	method,
	payload_format,
	signing,
	secret,
	previous_secret,
	previous_secret_expires_at,
	headers,
	timeout_ms,
	rate_limit_per_second,
	retry_max_attempts,
	retry_initial_delay_seconds,
	retry_backoff_factor,
	retry_max_delay_seconds,
	metadata,
	version,
	created_at,
	updated_at`

const webhookColumns = `
	workspace_id,
	id,` + webhookState

// webhookStateValues are the parameters of webhookState, behind the two of
// workspace_id and id.
const webhookStateValues = `
	$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
	$15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,
	$27, $28`

// stateOf are the arguments of the two before webhookStateValues and of these.
func (d *DB) stateOf(ctx context.Context, w *webhook.Webhook) ([]any, error) {
	secret, err := d.seal(ctx, string(w.Secret), w.ID+"/secret")
	if err != nil {
		return nil, err
	}
	previous, err := d.seal(ctx, string(w.PreviousSecret), w.ID+"/previous_secret")
	if err != nil {
		return nil, err
	}
	extra, err := d.sealHeaders(ctx, w)
	if err != nil {
		return nil, err
	}
	return []any{
		w.WorkspaceID,
		w.ID,
		w.UID,
		w.Name,
		w.Description,
		w.URL,
		pq.Array(w.Events),
		pq.StringArray(append([]string{}, w.ResourceIDs...)),
		w.Active,
		w.StatusReason,
		w.StatusChangedAt,
		w.Method,
		w.PayloadFormat,
		w.Signing,
		secret,
		previous,
		w.PreviousSecretExpiresAt,
		extra,
		w.TimeoutMs,
		w.RateLimitPerSecond,
		w.RetryPolicy.MaxAttempts,
		w.RetryPolicy.InitialDelaySeconds,
		w.RetryPolicy.BackoffFactor,
		w.RetryPolicy.MaxDelaySeconds,
		[]byte(w.Metadata),
		w.Version,
		w.CreatedAt,
		w.UpdatedAt,
	}, nil
}

var insertWebhook = newStatement("webhooks.insert", `
INSERT INTO webhooks (`+webhookColumns+`
) VALUES ($1, $2,`+webhookStateValues+`)`)

// InsertWebhook registers a webhook. A uid that the workspace has already, or a
// URL where UniqueURLs is set, is a webhook.Taken error. Where the caller made
// one with the same idempotency key before, nothing is done and its id is
// returned.
func (d *DB) InsertWebhook(ctx context.Context, workspaceID string, w *webhook.Webhook, i webhook.Idempotency) (earlier string, err error) {
	w.WorkspaceID = workspaceID
	state, err := d.stateOf(ctx, w)
	if err != nil {
		return "", err
	}
	err = d.inTx(ctx, func(tx *sqlx.Tx) (err error) {
		if earlier, err = d.claim(ctx, tx, workspaceID, i, w.ID); err != nil || earlier != "" {
			return err
		}
		if err := d.reserveURL(ctx, tx, workspaceID, w); err != nil {
			return err
		}
		_, err = d.exec(ctx, tx, insertWebhook, state...)
		return uidTaken(err, w.UID)
	})
	return earlier, err
}

var lockURL = newStatement("webhooks.lock_url", `
SELECT pg_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text, 0))`)

var findWebhookWithURL = newStatement("webhooks.find_with_url", `
SELECT uid
FROM webhooks
WHERE workspace_id = $1
	AND url = $2
	AND id <> $3
LIMIT 1`)

// reserveURL keeps others from taking a webhook's URL until the transaction
// ends, or says that it is taken. An index cannot: installations choose, and
// webhooks from before their choice may share a URL.
func (d *DB) reserveURL(ctx context.Context, tx *sqlx.Tx, workspaceID string, w *webhook.Webhook) error {
	if !d.UniqueURLs {
		return nil
	}
	if _, err := d.exec(ctx, tx, lockURL, workspaceID, w.URL); err != nil {
		return err
	}
	var uid string
	switch err := d.get(ctx, tx, findWebhookWithURL, &uid, workspaceID, w.URL, w.ID); {
	case errors.Is(err, webhook.NotFound):
		return nil
	case err != nil:
		return err
	}
	return webhook.NewError(webhook.Taken,
		fmt.Sprintf("The webhook with the uid %q has this URL. Change that one, or give another URL.", uid), "url")
}

var updateWebhook = newStatement("webhooks.update", `
UPDATE webhooks SET (`+webhookState+`
) = (`+webhookStateValues+`
)
WHERE workspace_id = $1
	AND id = $2`)

var lockWebhook = newStatement("webhooks.lock", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND (id = $2 OR uid = $2)
FOR UPDATE`)

// ChangeWebhook lets change work on a webhook and keeps what it made of it, as
// a new version, unless it made nothing of it. The webhook is found by its id
// or uid, else webhook.NotFound, and stays as change sees it until it is
// written: others who would change it wait. So change must be quick, and must
// not use the database, whose connections may all be held by those who wait.
func (d *DB) ChangeWebhook(ctx context.Context, workspaceID, idOrUID string, change func(*webhook.Webhook) error) (*webhook.Webhook, error) {
	var w *webhook.Webhook
	err := d.onLocked(ctx, workspaceID, idOrUID, func(tx *sqlx.Tx, locked *webhook.Webhook) error {
		w = locked
		before := *w
		if err := change(w); err != nil || reflect.DeepEqual(before, *w) {
			return err
		}
		if w.URL != before.URL {
			if err := d.reserveURL(ctx, tx, workspaceID, w); err != nil {
				return err
			}
		}
		w.Version++
		w.UpdatedAt = webhook.Now()
		if err := uidTaken(d.writeWebhook(ctx, tx, w), w.UID); err != nil {
			return err
		}
		return d.forgiveFailures(ctx, tx, &before, w)
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

var forgiveFailures = newStatement("webhook_failures.forgive", `
DELETE FROM webhook_failures
WHERE webhook_id = $1`)

// forgiveFailures lets a webhook begin anew that was switched on, or got
// another URL: what failed before counts no more.
func (d *DB) forgiveFailures(ctx context.Context, tx *sqlx.Tx, before, w *webhook.Webhook) error {
	if w.URL == before.URL && (w.Status() != webhook.StatusActive || before.Status() == webhook.StatusActive) {
		return nil
	}
	_, err := d.exec(ctx, tx, forgiveFailures, w.ID)
	return err
}

// writeWebhook writes all of a webhook's columns.
func (d *DB) writeWebhook(ctx context.Context, tx *sqlx.Tx, w *webhook.Webhook) error {
	state, err := d.stateOf(ctx, w)
	if err != nil {
		return err
	}
	_, err = d.exec(ctx, tx, updateWebhook, state...)
	return err
}

// Its open deliveries, however many, count as canceled by the note.
var deleteWebhook = newStatement("webhooks.delete", `
WITH gone AS (
	DELETE FROM webhooks
	WHERE workspace_id = $1
		AND id = $2
	RETURNING id
)
INSERT INTO deleted_webhooks (id)
SELECT id
FROM gone`)

// DeleteWebhook deletes a webhook that is found by its id or uid, else
// webhook.NotFound, unless check has something against it. Its open deliveries
// are canceled: at once for who reads them, in the table by Upkeep.
func (d *DB) DeleteWebhook(ctx context.Context, workspaceID, idOrUID string, check func(*webhook.Webhook) error) (id string, err error) {
	err = d.onLocked(ctx, workspaceID, idOrUID, func(tx *sqlx.Tx, w *webhook.Webhook) error {
		id = w.ID
		if err := check(w); err != nil {
			return err
		}
		_, err := d.exec(ctx, tx, deleteWebhook, workspaceID, w.ID)
		return err
	})
	return id, err
}

// onLocked works on a webhook that nobody else changes meanwhile.
func (d *DB) onLocked(ctx context.Context, workspaceID, idOrUID string, work func(*sqlx.Tx, *webhook.Webhook) error) error {
	return d.inTx(ctx, func(tx *sqlx.Tx) error {
		var row webhookRow
		if err := d.get(ctx, tx, lockWebhook, &row, workspaceID, text(idOrUID)); err != nil {
			return err
		}
		w, err := d.webhookOf(ctx, row)
		if err != nil {
			return err
		}
		return work(tx, w)
	})
}

func uidTaken(err error, uid string) error {
	if violates(err, "webhooks_workspace_id_uid_key") {
		return webhook.NewError(webhook.Taken,
			fmt.Sprintf("Another webhook has the uid %q. Choose another, or change that webhook.", uid), "uid")
	}
	return err
}

var findWebhook = newStatement("webhooks.find", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND (id = $2 OR uid = $2)`)

// Webhook finds a webhook by its id or uid, else webhook.NotFound.
func (d *DB) Webhook(ctx context.Context, workspaceID, idOrUID string) (*webhook.Webhook, error) {
	var row webhookRow
	if err := d.get(ctx, d.pool, findWebhook, &row, workspaceID, text(idOrUID)); err != nil {
		return nil, err
	}
	return d.webhookOf(ctx, row)
}

var listWebhooksByID = newStatement("webhooks.list_by_id", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND id = ANY($2)`)

// WebhooksByID returns those of the webhooks that exist, in no order.
func (d *DB) WebhooksByID(ctx context.Context, workspaceID string, ids []string) ([]*webhook.Webhook, error) {
	var rows []webhookRow
	if err := d.list(ctx, d.pool, listWebhooksByID, &rows, workspaceID, pq.Array(ids)); err != nil {
		return nil, err
	}
	return d.webhooksOf(ctx, rows)
}

// A GET webhook's event follows its URL as the query, or as the rest of one
// that may end in "?" or "&" already.
var listSecretsByURL = newStatement("webhooks.secrets_by_url", `
SELECT id, secret
FROM webhooks
WHERE workspace_id = $1
	AND ($2 = url OR method = 'GET' AND (starts_with($2, rtrim(url, '?&') || '?') OR starts_with($2, rtrim(url, '?&') || '&')))
	AND secret <> ''`)

// SecretsByURL returns the secrets of the webhooks whose requests go to a URL,
// for the built-in receiver.
func (d *DB) SecretsByURL(ctx context.Context, workspaceID, url string) ([]string, error) {
	var rows []struct{ ID, Secret string }
	if err := d.list(ctx, d.pool, listSecretsByURL, &rows, workspaceID, text(url)); err != nil {
		return nil, err
	}
	secrets := make([]string, len(rows))
	for i, r := range rows {
		var err error
		if secrets[i], err = d.unseal(ctx, r.Secret, r.ID+"/secret"); err != nil {
			return nil, err
		}
	}
	return secrets, nil
}

// headers are kept as a JSON array, in order.
type headers []webhook.Header

// Value implements driver.Valuer.
func (h headers) Value() (driver.Value, error) {
	if h == nil {
		return "[]", nil
	}
	return json.Marshal(h)
}

// Scan implements sql.Scanner.
func (h *headers) Scan(src any) error {
	text, ok := src.([]byte)
	if !ok {
		return errors.New("headers are no JSON text")
	}
	return json.Unmarshal(text, h)
}
