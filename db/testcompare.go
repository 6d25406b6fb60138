package db

import (
	"context"

	"github.com/hookql/hookql/internal/webhook"
)

var listTestHistory = newStatement("test_runs.list_history", `
SELECT`+testRunColumns+`
FROM test_runs
WHERE workspace_id = $1
	AND webhook_id = $2
	AND id <= $4
	AND url = $3
	AND status = 'FINISHED'
ORDER BY webhook_id DESC, id DESC
LIMIT $5`)

// TestHistory returns the test runs of a webhook that tested a URL and came to
// their end, newest first, at most limit, none that began after the one of the
// id until.
func (d *DB) TestHistory(ctx context.Context, workspaceID, webhookID, url, until string, limit int) ([]*webhook.TestRun, error) {
	var rows []testRunRow
	err := d.list(ctx, d.pool, listTestHistory, &rows, workspaceID, webhookID, url, until, limit)
	runs := make([]*webhook.TestRun, len(rows))
	for i, r := range rows {
		runs[i] = r.testRun()
	}
	return runs, err
}
