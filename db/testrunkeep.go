package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hookql/hookql/internal/webhook"
)

// lease is how long a process that runs tests may be silent before its runs
// count as left. Every write to a run renews it, and a process writes at least
// every half second, so it outlasts a long pause, and no run looks alive for
// long after a kill -9.
//
// A run could also count as left once it is older than a run can be. That
// needs no column, but tells of a crash only after a minute, makes the limit of
// a run a thing of the database, and fails the day that runs may take longer.
// With several processes a lease is as simple: it is given and judged by the
// database's clock alone.
const lease = 10 * time.Second

// One statement, so that a run is never there without its tests. A webhook that
// was deleted meanwhile leaves a run without one.
var beginTestRun = newStatement("test_runs.begin", `
WITH run AS (
	INSERT INTO test_runs (
		id,
		workspace_id,
		webhook_id,
		url,
		status,
		started_at,
		tests_total,
		tests_succeeded,
		tests_failed,
		leased_until
	) VALUES ($1, $2, (SELECT id FROM webhooks WHERE workspace_id = $2 AND id = $3 FOR KEY SHARE),
		$4, 'RUNNING', $5, $6, 0, 0, now() + $7 * interval '1 millisecond')
	RETURNING id, workspace_id
)
INSERT INTO test_results (
	id,
	workspace_id,
	run_id,
	position,
	event_name,
	delivery_id,
	scenario,
	message
)
SELECT test.id, run.workspace_id, run.id, test.position, test.event_name, test.delivery_id, test.scenario, ''
FROM run, unnest($8::text[], $9::text[], $10::text[], $11::text[]) WITH ORDINALITY AS test (id, event_name, delivery_id, scenario, position)`)

// MaxTestRuns is how many test runs a workspace may begin within a minute, where
// they are limited.
const MaxTestRuns = 10

// Before the workspace, as who changes the webhook does.
var holdTestedWebhook = newStatement("webhooks.hold_tested", `
SELECT
FROM webhooks
WHERE workspace_id = $1
	AND id = $2
FOR KEY SHARE`)

// The lock lets runs that begin at the same moment be counted for each other.
var holdWorkspace = newStatement("workspaces.hold", `
SELECT id
FROM workspaces
WHERE id = $1
FOR NO KEY UPDATE`)

var countNewTestRuns = newStatement("test_runs.count_new", `
SELECT
	count(*) AS count,
	min(started_at) AS oldest
FROM test_runs
WHERE workspace_id = $1
	AND id >= $2
	AND started_at > $3`)

// limitTestRuns says whether a workspace may begin another test run: else it is
// a webhook.RateLimited error that says when.
func (d *DB) limitTestRuns(ctx context.Context, tx *sqlx.Tx, workspaceID string, webhookID *string) error {
	if _, err := d.exec(ctx, tx, holdTestedWebhook, workspaceID, webhookID); err != nil {
		return err
	}
	var held string
	if err := d.get(ctx, tx, holdWorkspace, &held, workspaceID); err != nil {
		return err
	}
	var row struct {
		Count  int
		Oldest *time.Time
	}
	now := webhook.Now() // of this clock, as the times of runs are
	since := now.Add(-time.Minute)
	if err := d.get(ctx, tx, countNewTestRuns, &row, workspaceID, webhook.FirstID(webhook.TestRunPrefix, since), since); err != nil {
		return err
	}
	if row.Count < MaxTestRuns {
		return nil
	}
	mistake := webhook.NewError(webhook.RateLimited, fmt.Sprintf(
		"A workspace begins at most %d test runs within a minute, so that tests are not taken for attacks. Try again later, or test several event types and scenarios in one run.", MaxTestRuns))
	mistake.RetryAfter = max(time.Second, row.Oldest.Add(time.Minute).Sub(now))
	return mistake
}

// BeginTestRun keeps a run that begins, with its tests, which all wait. Where
// the caller began one with the same idempotency key before, nothing is done
// and its id is returned. Too many within a minute are a webhook.RateLimited
// error, where they are limited.
func (d *DB) BeginTestRun(ctx context.Context, workspaceID string, run *webhook.TestRun, tests []webhook.Test, i webhook.Idempotency) (earlier string, err error) {
	ids, events, scenarios := make([]string, len(tests)), make([]string, len(tests)), make([]string, len(tests))
	deliveries := make([]*string, len(tests))
	for i, t := range tests {
		ids[i], events[i], deliveries[i], scenarios[i] = t.ID, t.EventName, t.DeliveryID, t.Scenario
	}
	err = d.inTx(ctx, func(tx *sqlx.Tx) (err error) {
		if earlier, err = d.claim(ctx, tx, workspaceID, i, run.ID); err != nil || earlier != "" {
			return err
		}
		if d.LimitTestRuns {
			if err := d.limitTestRuns(ctx, tx, workspaceID, run.WebhookID); err != nil {
				return err
			}
		}
		_, err = d.exec(ctx, tx, beginTestRun, run.ID, workspaceID, run.WebhookID, run.URL, run.StartedAt, len(tests),
			lease.Milliseconds(), pq.Array(ids), pq.Array(events), nullableTextArray(deliveries), pq.Array(scenarios))
		return err
	})
	return earlier, err
}

// A run that has ended is not changed again: whatever a reader was told of its
// end stays true. So a process that was silent for too long finds no row.
var keepTestRun = newStatement("test_runs.keep", `
UPDATE test_runs
SET
	status = $3,
	finished_at = $4,
	tests_succeeded = $5,
	tests_failed = $6,
	leased_until = CASE WHEN $3 = 'RUNNING' THEN now() + $7 * interval '1 millisecond' END
WHERE workspace_id = $1
	AND id = $2
	AND status = 'RUNNING'
RETURNING canceled`)

var keepTestResults = newStatement("test_results.keep", `
UPDATE test_results AS kept
SET
	started_at = test.started_at,
	verdict = nullif(test.verdict, ''),
	message = test.message,
	checks = test.checks::json,
	deciding = test.deciding
FROM unnest($3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::integer[]) AS test (id, started_at, verdict, message, checks, deciding)
WHERE kept.workspace_id = $1
	AND kept.run_id = $2
	AND kept.id = test.id`)

// KeepTestRun keeps how far a run is, with those of its tests that were sent or
// done since, all or none, and says whether the run was canceled. A run that
// has ended, or is gone with its workspace, is webhook.NotFound. What was kept
// may be kept again: it stands there once.
func (d *DB) KeepTestRun(ctx context.Context, workspaceID string, run *webhook.TestRun, changed []webhook.Test) (canceled bool, err error) {
	err = d.inTx(ctx, func(tx *sqlx.Tx) error {
		err := d.get(ctx, tx, keepTestRun, &canceled, workspaceID, run.ID, run.Status, run.FinishedAt,
			run.TestsSucceeded, run.TestsFailed, lease.Milliseconds())
		if err != nil || len(changed) == 0 {
			return err
		}
		if err := d.keepTestResults(ctx, tx, workspaceID, run.ID, changed); err != nil {
			return err
		}
		for _, t := range changed {
			if err := d.insertExchanges(ctx, tx, workspaceID, t.ID, t.Exchanges); err != nil {
				return err
			}
		}
		return nil
	})
	return canceled, err
}

func (d *DB) keepTestResults(ctx context.Context, tx *sqlx.Tx, workspaceID, runID string, tests []webhook.Test) error {
	var (
		ids, verdicts, messages = make([]string, len(tests)), make([]string, len(tests)), make([]string, len(tests))
		checks, deciding        = make([]string, len(tests)), make([]int, len(tests))
		started                 = make([]*time.Time, len(tests))
	)
	for i, t := range tests {
		ids[i], started[i], verdicts[i], messages[i], deciding[i] = t.ID, t.StartedAt, string(t.Verdict), text(t.Message), t.Deciding
		encoded, err := json.Marshal(append([]webhook.TestCheck{}, t.Checks...))
		if err != nil {
			return fmt.Errorf("encode the checks of a test: %w", err)
		}
		checks[i] = string(encoded)
	}
	_, err := d.exec(ctx, tx, keepTestResults, workspaceID, runID, pq.Array(ids), pq.Array(started), pq.Array(verdicts), pq.Array(messages),
		pq.Array(checks), pq.Array(deciding))
	return err
}

var cancelTestRun = newStatement("test_runs.cancel", `
UPDATE test_runs
SET canceled = true
WHERE workspace_id = $1
	AND id = $2
	AND status = 'RUNNING'
RETURNING`+testRunColumns)

// CancelTestRun asks the process that runs a test run to end it, and returns
// the run as it is: webhook.WrongState where it has ended, webhook.NotFound
// where there is none.
func (d *DB) CancelTestRun(ctx context.Context, workspaceID, id string) (*webhook.TestRun, error) {
	var row testRunRow
	err := d.get(ctx, d.pool, cancelTestRun, &row, workspaceID, text(id))
	if errors.Is(err, webhook.NotFound) {
		if _, err := d.TestRun(ctx, workspaceID, id); err != nil {
			return nil, err
		}
		return nil, webhook.WrongState
	}
	if err != nil {
		return nil, err
	}
	return row.testRun(), nil
}

// Runs whose process is writing just now are locked, and so not left.
var endLeftTestRuns = newStatement("test_runs.end_left", `
WITH lost AS (
	SELECT id
	FROM test_runs
	WHERE status = 'RUNNING'
		AND leased_until <= now()
	FOR UPDATE SKIP LOCKED
), unanswered AS (
	UPDATE test_results
	SET
		verdict = 'FAIL',
		message = CASE WHEN started_at IS NULL THEN $1 ELSE $2 END
	FROM lost
	WHERE run_id = lost.id
		AND verdict IS NULL
	RETURNING run_id
)
UPDATE test_runs
SET
	status = 'ABORTED',
	finished_at = leased_until,
	leased_until = NULL,
	tests_failed = tests_failed + (SELECT count(*) FROM unanswered WHERE run_id = test_runs.id)
FROM lost
WHERE test_runs.id = lost.id`)

// EndLeftTestRuns aborts the runs of every workspace whose process is gone, and
// says how many. Their tests without an answer failed: notSent is the message of
// one that was not sent, sent of one that was.
func (d *DB) EndLeftTestRuns(ctx context.Context, notSent, sent string) (int, error) {
	ended, err := d.exec(ctx, d.pool, endLeftTestRuns, notSent, sent)
	return int(ended), err
}
