package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// testRunRow is a row of test_runs.
type testRunRow struct {
	ID             string
	WorkspaceID    string  `db:"workspace_id"`
	WebhookID      *string `db:"webhook_id"`
	URL            string
	Status         webhook.TestRunStatus
	StartedAt      time.Time  `db:"started_at"`
	FinishedAt     *time.Time `db:"finished_at"`
	TestsTotal     int        `db:"tests_total"`
	TestsSucceeded int        `db:"tests_succeeded"`
	TestsFailed    int        `db:"tests_failed"`
}

func (r testRunRow) testRun() *webhook.TestRun {
	run := webhook.TestRun(r)
	run.StartedAt, run.FinishedAt = run.StartedAt.UTC(), utc(run.FinishedAt)
	return &run
}

const testRunColumns = `
	id,
	workspace_id,
	webhook_id,
	url,
	status,
	started_at,
	finished_at,
	tests_total,
	tests_succeeded,
	tests_failed`

var findTestRun = newStatement("test_runs.find", `
SELECT`+testRunColumns+`
FROM test_runs
WHERE workspace_id = $1
	AND id = $2`)

// TestRun finds a test run, else webhook.NotFound.
func (d *DB) TestRun(ctx context.Context, workspaceID, id string) (*webhook.TestRun, error) {
	var row testRunRow
	if err := d.get(ctx, d.pool, findTestRun, &row, workspaceID, text(id)); err != nil {
		return nil, err
	}
	return row.testRun(), nil
}

var listNewestTestRuns = newStatement("test_runs.list_newest", `
SELECT r.*
FROM unnest($2::text[]) AS w (id)
CROSS JOIN LATERAL (
	SELECT`+testRunColumns+`
	FROM test_runs
	WHERE workspace_id = $1
		AND webhook_id = w.id
		AND id < $3
		AND id > $4
	ORDER BY id DESC
	LIMIT $5
) AS r
ORDER BY r.id DESC`)

var listOldestTestRuns = newStatement("test_runs.list_oldest", `
SELECT r.*
FROM unnest($2::text[]) AS w (id)
CROSS JOIN LATERAL (
	SELECT`+testRunColumns+`
	FROM test_runs
	WHERE workspace_id = $1
		AND webhook_id = w.id
		AND id < $3
		AND id > $4
	ORDER BY id
	LIMIT $5
) AS r
ORDER BY r.id`)

// TestRuns returns the same page of each webhook's test runs, newest first, by
// the webhook's id.
func (d *DB) TestRuns(ctx context.Context, workspaceID string, webhookIDs []string, p webhook.Page) (map[string]webhook.Slice[*webhook.TestRun], error) {
	statement := listNewestTestRuns
	if p.FromEnd {
		statement = listOldestTestRuns
	}
	below, above := bounds(p)
	var rows []testRunRow
	if err := d.list(ctx, d.pool, statement, &rows, workspaceID, pq.Array(webhookIDs), below, above, p.Limit+1); err != nil {
		return nil, err
	}
	runs := make(map[string][]*webhook.TestRun)
	for _, r := range rows {
		runs[*r.WebhookID] = append(runs[*r.WebhookID], r.testRun())
	}
	pages := make(map[string]webhook.Slice[*webhook.TestRun], len(webhookIDs))
	for _, id := range webhookIDs {
		pages[id] = cut(p, runs[id])
	}
	return pages, nil
}

var countTestRuns = newStatement("test_runs.count", `
SELECT
	webhook_id AS id,
	count(*) AS count
FROM test_runs
WHERE workspace_id = $1
	AND webhook_id = ANY($2)
GROUP BY webhook_id`)

// CountTestRuns says how many test runs each webhook has; one without any is
// missing.
func (d *DB) CountTestRuns(ctx context.Context, workspaceID string, webhookIDs []string) (map[string]int, error) {
	return d.countsByID(ctx, countTestRuns, workspaceID, pq.Array(webhookIDs))
}

// testResultRow is a row of test_results.
type testResultRow struct {
	ID         string
	RunID      string  `db:"run_id"`
	EventName  string  `db:"event_name"`
	DeliveryID *string `db:"delivery_id"`
	Scenario   string
	StartedAt  *time.Time `db:"started_at"`
	Verdict    *webhook.Verdict
	Message    string
	Checks     []byte
	Deciding   int
}

func (r testResultRow) testResult() (*webhook.TestResult, error) {
	result := &webhook.TestResult{
		ID:         r.ID,
		RunID:      r.RunID,
		EventName:  r.EventName,
		DeliveryID: r.DeliveryID,
		Scenario:   r.Scenario,
		StartedAt:  utc(r.StartedAt),
		Message:    r.Message,
		Deciding:   r.Deciding,
	}
	if r.Verdict != nil {
		result.Verdict = *r.Verdict
	}
	if err := json.Unmarshal(r.Checks, &result.Checks); err != nil {
		return nil, fmt.Errorf("read the checks of the test %s: %w", r.ID, err)
	}
	return result, nil
}

const testResultColumns = `
	id,
	run_id,
	event_name,
	delivery_id,
	scenario,
	started_at,
	verdict,
	message,
	checks,
	deciding`

var findTestResult = newStatement("test_results.find", `
SELECT`+testResultColumns+`
FROM test_results
WHERE workspace_id = $1
	AND id = $2`)

// TestResult finds a test result, else webhook.NotFound.
func (d *DB) TestResult(ctx context.Context, workspaceID, id string) (*webhook.TestResult, error) {
	var row testResultRow
	if err := d.get(ctx, d.pool, findTestResult, &row, workspaceID, text(id)); err != nil {
		return nil, err
	}
	return row.testResult()
}

var listTestResults = newStatement("test_results.list", `
SELECT`+testResultColumns+`
FROM test_results
WHERE workspace_id = $1
	AND run_id = ANY($2)
ORDER BY run_id, position`)

// TestResults returns the results of each run in their order, by the run's id.
func (d *DB) TestResults(ctx context.Context, workspaceID string, runIDs []string) (map[string][]*webhook.TestResult, error) {
	var rows []testResultRow
	if err := d.list(ctx, d.pool, listTestResults, &rows, workspaceID, pq.Array(runIDs)); err != nil {
		return nil, err
	}
	byRun := make(map[string][]*webhook.TestResult, len(runIDs))
	for _, r := range rows {
		result, err := r.testResult()
		if err != nil {
			return nil, err
		}
		byRun[r.RunID] = append(byRun[r.RunID], result)
	}
	return byRun, nil
}
