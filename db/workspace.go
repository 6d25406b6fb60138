package db

import (
	"context"

	"github.com/hookql/hookql/internal/webhook"
)

var insertWorkspace = newStatement("workspaces.insert", `
INSERT INTO workspaces (id, uid, name)
VALUES ($1, $2, $3)
ON CONFLICT (uid) DO NOTHING`)

var findWorkspace = newStatement("workspaces.find", `
SELECT id FROM workspaces WHERE uid = $1`)

// EnsureWorkspace returns the id of the workspace with the given uid, and opens
// it where there is none.
func (d *DB) EnsureWorkspace(ctx context.Context, uid string) (id string, err error) {
	if _, err := d.exec(ctx, d.pool, insertWorkspace, webhook.NewID(webhook.WorkspacePrefix), uid, uid); err != nil {
		return "", err
	}
	err = d.get(ctx, d.pool, findWorkspace, &id, uid)
	return id, err
}
