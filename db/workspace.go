package db

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookql/hookql/internal/webhook"
)

// workspaceRow is a row of workspaces.
type workspaceRow struct {
	ID        string
	UID       string
	Name      string
	Metadata  json.RawMessage
	CreatedAt time.Time `db:"created_at"`
	UpdatedAt time.Time `db:"updated_at"`
}

func (r workspaceRow) workspace() *webhook.Workspace {
	w := webhook.Workspace(r)
	w.CreatedAt, w.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	return &w
}

const workspaceColumns = `
	id,
	uid,
	name,
	metadata,
	created_at,
	updated_at`

var insertWorkspace = newStatement("workspaces.insert", `
INSERT INTO workspaces (`+workspaceColumns+`
) VALUES ($1, $2, $3, $4, $5, $6)`)

// InsertWorkspace opens a workspace; webhook.Taken where the uid is. The
// idempotency key is one of the workspace that the caller works in; where one
// was opened with it before, nothing is done and its id is returned.
func (d *DB) InsertWorkspace(ctx context.Context, callersID string, w *webhook.Workspace, i webhook.Idempotency) (earlier string, err error) {
	err = d.inTx(ctx, func(tx *sqlx.Tx) (err error) {
		if earlier, err = d.claim(ctx, tx, callersID, i, w.ID); err != nil || earlier != "" {
			return err
		}
		_, err = d.exec(ctx, tx, insertWorkspace, w.ID, w.UID, w.Name, w.Metadata, w.CreatedAt, w.UpdatedAt)
		return workspaceError(err)
	})
	return earlier, err
}

// workspaceError finds the caller's mistake in a failed write.
func workspaceError(err error) error {
	if violates(err, "workspaces_uid_key") {
		return webhook.NewError(webhook.Taken, "Another workspace has this uid. Choose another, or change that one.", "uid")
	}
	return err
}

var ensureWorkspace = newStatement("workspaces.ensure", `
INSERT INTO workspaces (id, uid, name)
VALUES ($1, $2, $3)
ON CONFLICT (uid) DO NOTHING`)

// EnsureWorkspace returns the id of the workspace with the given uid, and opens
// it where there is none.
func (d *DB) EnsureWorkspace(ctx context.Context, uid string) (id string, err error) {
	if _, err := d.exec(ctx, d.pool, ensureWorkspace, webhook.NewID(webhook.WorkspacePrefix), uid, uid); err != nil {
		return "", err
	}
	w, err := d.Workspace(ctx, uid)
	if err != nil {
		return "", err
	}
	return w.ID, nil
}

var findWorkspace = newStatement("workspaces.find", `
SELECT`+workspaceColumns+`
FROM workspaces
WHERE id = $1
	OR uid = $1`)

// Workspace finds a workspace by its id or uid, else webhook.NotFound.
func (d *DB) Workspace(ctx context.Context, idOrUID string) (*webhook.Workspace, error) {
	var row workspaceRow
	if err := d.get(ctx, d.pool, findWorkspace, &row, text(idOrUID)); err != nil {
		return nil, err
	}
	return row.workspace(), nil
}

var updateWorkspace = newStatement("workspaces.update", `
UPDATE workspaces
SET uid = $2,
	name = $3,
	metadata = $4,
	updated_at = $5
WHERE id = $1`)

// UpdateWorkspace keeps a workspace's fields; webhook.Taken where the uid is,
// webhook.NotFound where it was deleted.
func (d *DB) UpdateWorkspace(ctx context.Context, w *webhook.Workspace) error {
	n, err := d.exec(ctx, d.pool, updateWorkspace, w.ID, w.UID, w.Name, w.Metadata, w.UpdatedAt)
	if err == nil && n == 0 {
		return webhook.NotFound
	}
	return workspaceError(err)
}

// Who changes or tests a webhook locks it before its workspace, and so does who
// keeps a test run with that.
var lockWebhooksOfWorkspace = newStatement("webhooks.lock_of_workspace", `
SELECT
FROM webhooks
WHERE workspace_id = $1
ORDER BY id
FOR UPDATE`)

var lockRunsOfWorkspace = newStatement("test_runs.lock_of_workspace", `
SELECT
FROM test_runs
WHERE workspace_id = $1
	AND status = 'RUNNING'
ORDER BY id
FOR UPDATE`)

var deleteWorkspace = newStatement("workspaces.delete", `
DELETE FROM workspaces
WHERE id = $1`)

// DeleteWorkspace deletes a workspace. With it go its webhooks, keys and test
// runs, so that nothing is sent or can be read any more; what was published and
// delivered, however much, Upkeep removes. A trigger notes that it is to.
func (d *DB) DeleteWorkspace(ctx context.Context, id string) error {
	return d.inTx(ctx, func(tx *sqlx.Tx) error {
		for _, s := range []statement{lockWebhooksOfWorkspace, lockRunsOfWorkspace} {
			if _, err := d.exec(ctx, tx, s, id); err != nil {
				return err
			}
		}
		n, err := d.exec(ctx, tx, deleteWorkspace, id)
		if err == nil && n == 0 {
			return webhook.NotFound
		}
		return err
	})
}

var listNewestWorkspaces = newStatement("workspaces.list_newest", `
SELECT`+workspaceColumns+`
FROM workspaces
WHERE id < $1
	AND id > $2
ORDER BY id DESC
LIMIT $3`)

var listOldestWorkspaces = newStatement("workspaces.list_oldest", `
SELECT`+workspaceColumns+`
FROM workspaces
WHERE id < $1
	AND id > $2
ORDER BY id
LIMIT $3`)

// Workspaces returns a page of the installation's workspaces, newest first.
func (d *DB) Workspaces(ctx context.Context, p webhook.Page) (webhook.Slice[*webhook.Workspace], error) {
	statement := listNewestWorkspaces
	if p.FromEnd {
		statement = listOldestWorkspaces
	}
	below, above := bounds(p)
	var rows []workspaceRow
	if err := d.list(ctx, d.pool, statement, &rows, below, above, p.Limit+1); err != nil {
		return webhook.Slice[*webhook.Workspace]{}, err
	}
	list := make([]*webhook.Workspace, len(rows))
	for i, r := range rows {
		list[i] = r.workspace()
	}
	return cut(p, list), nil
}

var countWorkspaces = newStatement("workspaces.count", `
SELECT count(*) FROM workspaces`)

// CountWorkspaces says how many workspaces there are.
func (d *DB) CountWorkspaces(ctx context.Context) (n int, err error) {
	err = d.get(ctx, d.pool, countWorkspaces, &n)
	return n, err
}
