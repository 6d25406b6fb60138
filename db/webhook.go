package db

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// webhookRow is a row of webhooks.
type webhookRow struct {
	ID              string
	WorkspaceID     string `db:"workspace_id"`
	UID             string
	Name            string
	Description     *string
	URL             string
	Events          pq.StringArray
	Active          bool
	StatusReason    webhook.StatusReason `db:"status_reason"`
	StatusChangedAt time.Time            `db:"status_changed_at"`
	Method          webhook.Method
	PayloadFormat   webhook.PayloadFormat `db:"payload_format"`
	Signing         webhook.Signing
	Secret          string
	Headers         headers
	TimeoutMs       int `db:"timeout_ms"`
	Metadata        json.RawMessage
	Version         int
	CreatedAt       time.Time `db:"created_at"`
	UpdatedAt       time.Time `db:"updated_at"`
}

func (r webhookRow) webhook() *webhook.Webhook {
	return &webhook.Webhook{
		ID:              r.ID,
		WorkspaceID:     r.WorkspaceID,
		UID:             r.UID,
		Name:            r.Name,
		Description:     r.Description,
		URL:             r.URL,
		Events:          r.Events,
		Active:          r.Active,
		StatusReason:    r.StatusReason,
		StatusChangedAt: r.StatusChangedAt.UTC(),
		Method:          r.Method,
		PayloadFormat:   r.PayloadFormat,
		Signing:         r.Signing,
		Secret:          webhook.Secret(r.Secret),
		Headers:         r.Headers,
		TimeoutMs:       r.TimeoutMs,
		Metadata:        r.Metadata,
		Version:         r.Version,
		CreatedAt:       r.CreatedAt.UTC(),
		UpdatedAt:       r.UpdatedAt.UTC(),
	}
}

func webhooksOf(rows []webhookRow) []*webhook.Webhook {
	webhooks := make([]*webhook.Webhook, len(rows))
	for i, r := range rows {
		webhooks[i] = r.webhook()
	}
	return webhooks
}

const webhookColumns = `
	id,
	workspace_id,
	uid,
	name,
	description,
	url,
	events,
	active,
	status_reason,
	status_changed_at,
	method,
	payload_format,
	signing,
	secret,
	headers,
	timeout_ms,
	metadata,
	version,
	created_at,
	updated_at`

var insertWebhook = newStatement("webhooks.insert", `
INSERT INTO webhooks (`+webhookColumns+`
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`)

// InsertWebhook registers a webhook. A uid that the workspace has already is a
// webhook.Taken error.
func (d *DB) InsertWebhook(ctx context.Context, workspaceID string, w *webhook.Webhook) error {
	_, err := d.exec(ctx, d.pool, insertWebhook,
		w.ID,
		workspaceID,
		w.UID,
		w.Name,
		w.Description,
		w.URL,
		pq.Array(w.Events),
		w.Active,
		w.StatusReason,
		w.StatusChangedAt,
		w.Method,
		w.PayloadFormat,
		w.Signing,
		string(w.Secret),
		headers(w.Headers),
		w.TimeoutMs,
		[]byte(w.Metadata),
		w.Version,
		w.CreatedAt,
		w.UpdatedAt,
	)
	return uidTaken(err, w.UID)
}

var updateWebhook = newStatement("webhooks.update", `
UPDATE webhooks SET
	uid = $4,
	name = $5,
	description = $6,
	url = $7,
	events = $8,
	active = $9,
	status_reason = $10,
	status_changed_at = $11,
	method = $12,
	payload_format = $13,
	signing = $14,
	secret = $15,
	headers = $16,
	timeout_ms = $17,
	metadata = $18,
	version = version + 1,
	updated_at = $19
WHERE workspace_id = $1
	AND id = $2
	AND version = $3`)

// UpdateWebhook writes w over the webhook that it was read from, and sets the
// new version in w. A webhook that was changed or deleted since is a
// webhook.Conflict error.
func (d *DB) UpdateWebhook(ctx context.Context, workspaceID string, w *webhook.Webhook) error {
	n, err := d.exec(ctx, d.pool, updateWebhook,
		workspaceID,
		w.ID,
		w.Version,
		w.UID,
		w.Name,
		w.Description,
		w.URL,
		pq.Array(w.Events),
		w.Active,
		w.StatusReason,
		w.StatusChangedAt,
		w.Method,
		w.PayloadFormat,
		w.Signing,
		string(w.Secret),
		headers(w.Headers),
		w.TimeoutMs,
		[]byte(w.Metadata),
		w.UpdatedAt,
	)
	if err != nil {
		return uidTaken(err, w.UID)
	}
	if n == 0 {
		return webhook.Conflict
	}
	w.Version++
	return nil
}

func uidTaken(err error, uid string) error {
	if violates(err, "webhooks_workspace_id_uid_key") {
		return webhook.NewError(webhook.Taken,
			fmt.Sprintf("Another webhook has the uid %q. Choose another, or change that webhook.", uid), "uid")
	}
	return err
}

var deleteWebhook = newStatement("webhooks.delete", `
DELETE FROM webhooks
WHERE workspace_id = $1
	AND id = $2
	AND version = $3`)

// DeleteWebhook deletes the webhook as it was read; one that was changed or
// deleted since is a webhook.Conflict error.
func (d *DB) DeleteWebhook(ctx context.Context, workspaceID string, w *webhook.Webhook) error {
	n, err := d.exec(ctx, d.pool, deleteWebhook, workspaceID, w.ID, w.Version)
	if err == nil && n == 0 {
		return webhook.Conflict
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
	if err := d.get(ctx, findWebhook, &row, workspaceID, text(idOrUID)); err != nil {
		return nil, err
	}
	return row.webhook(), nil
}

var listWebhooksByID = newStatement("webhooks.list_by_id", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND id = ANY($2)`)

// WebhooksByID returns those of the webhooks that exist, in no order.
func (d *DB) WebhooksByID(ctx context.Context, workspaceID string, ids []string) ([]*webhook.Webhook, error) {
	var rows []webhookRow
	if err := d.list(ctx, listWebhooksByID, &rows, workspaceID, pq.Array(ids)); err != nil {
		return nil, err
	}
	return webhooksOf(rows), nil
}

var listNewestWebhooks = newStatement("webhooks.list_newest", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND id < $2
	AND id > $3
ORDER BY id DESC
LIMIT $4`)

var listOldestWebhooks = newStatement("webhooks.list_oldest", `
SELECT`+webhookColumns+`
FROM webhooks
WHERE workspace_id = $1
	AND id < $2
	AND id > $3
ORDER BY id
LIMIT $4`)

// Webhooks returns a page of the workspace's webhooks, newest first.
func (d *DB) Webhooks(ctx context.Context, workspaceID string, p webhook.Page) (webhook.Slice[*webhook.Webhook], error) {
	statement := listNewestWebhooks
	if p.FromEnd {
		statement = listOldestWebhooks
	}
	below, above := bounds(p)
	var rows []webhookRow
	if err := d.list(ctx, statement, &rows, workspaceID, below, above, p.Limit+1); err != nil {
		return webhook.Slice[*webhook.Webhook]{}, err
	}
	return cut(p, webhooksOf(rows)), nil
}

var countWebhooks = newStatement("webhooks.count", `
SELECT count(*) FROM webhooks WHERE workspace_id = $1`)

// CountWebhooks says how many webhooks the workspace has.
func (d *DB) CountWebhooks(ctx context.Context, workspaceID string) (n int, err error) {
	err = d.get(ctx, countWebhooks, &n, workspaceID)
	return n, err
}

// A GET webhook's event follows its URL as the query, or as the rest of one
// that may end in "?" or "&" already.
var listSecretsByURL = newStatement("webhooks.secrets_by_url", `
SELECT secret
FROM webhooks
WHERE workspace_id = $1
	AND ($2 = url OR method = 'GET' AND (starts_with($2, rtrim(url, '?&') || '?') OR starts_with($2, rtrim(url, '?&') || '&')))
	AND secret <> ''`)

// SecretsByURL returns the secrets of the webhooks whose requests go to a URL,
// for the built-in receiver.
func (d *DB) SecretsByURL(ctx context.Context, workspaceID, url string) ([]string, error) {
	var secrets []string
	err := d.list(ctx, listSecretsByURL, &secrets, workspaceID, text(url))
	return secrets, err
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
