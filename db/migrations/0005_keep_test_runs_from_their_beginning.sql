-- +goose Up
-- A run is kept when it begins, and its tests as they are sent and answered.
-- Each ALTER takes its lock for a moment: nothing is rewritten, the check reads
-- the table once.

ALTER TABLE test_runs
    -- Until when the process that runs it has said that it lives, by the clock
    -- of this database; null once the run has ended.
    ADD COLUMN leased_until timestamptz,
    -- Somebody wants it to end: the process that runs it looks.
    ADD COLUMN canceled     boolean NOT NULL DEFAULT false;

-- Runs that are under way are few, whatever was run before: among them those
-- are looked for that their process has left. The lease is not in the index, so
-- that its renewal need not touch any.
CREATE INDEX test_runs_running ON test_runs (id) WHERE status = 'RUNNING';

ALTER TABLE test_results
    -- Null until it is sent.
    ADD COLUMN started_at timestamptz,
    -- Null until it is done.
    ALTER COLUMN verdict DROP NOT NULL;
