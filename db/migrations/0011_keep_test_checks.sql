-- +goose Up
-- What a test checked, and which of its exchanges decided. Constant defaults
-- rewrite nothing; until now each test had one exchange.

ALTER TABLE test_results ADD COLUMN checks json NOT NULL DEFAULT '[]';

ALTER TABLE test_results ADD COLUMN deciding integer NOT NULL DEFAULT 0 CHECK (deciding >= 0);

UPDATE test_results
SET deciding = 1
WHERE EXISTS (SELECT FROM test_exchanges WHERE result_id = test_results.id);

-- Runs are counted by the minute.
CREATE INDEX test_runs_by_start ON test_runs (workspace_id, id);

DROP INDEX test_runs_by_workspace;
