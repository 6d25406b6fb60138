-- +goose Up
-- What a webhook is limited to, how fast it is sent to, how failures are tried
-- again, and how its secret is replaced. Each ALTER takes its lock for a moment: constant defaults
-- rewrite nothing, and the checks read the table once. Each index keeps writers
-- out while it is built.

ALTER TABLE webhooks
    ADD COLUMN resource_ids                text[]           NOT NULL DEFAULT '{}' CHECK (cardinality(resource_ids) <= 100),
    ADD COLUMN rate_limit_per_second       integer          CHECK (rate_limit_per_second BETWEEN 1 AND 10000),
    ADD COLUMN retry_max_attempts          integer          NOT NULL DEFAULT 11 CHECK (retry_max_attempts BETWEEN 1 AND 20),
    ADD COLUMN retry_initial_delay_seconds integer          NOT NULL DEFAULT 5 CHECK (retry_initial_delay_seconds BETWEEN 1 AND 3600),
    ADD COLUMN retry_backoff_factor        double precision NOT NULL DEFAULT 4 CHECK (retry_backoff_factor BETWEEN 1 AND 10),
    ADD COLUMN retry_max_delay_seconds     integer          NOT NULL DEFAULT 86400 CHECK (retry_max_delay_seconds BETWEEN 1 AND 86400),
    ADD COLUMN previous_secret             text             NOT NULL DEFAULT '',
    ADD COLUMN previous_secret_expires_at  timestamptz,
    ADD CHECK ((previous_secret = '') = (previous_secret_expires_at IS NULL)),
    ADD CHECK (signing <> 'NONE' OR previous_secret = ''),
    DROP CONSTRAINT webhooks_signing_check,
    ADD CONSTRAINT webhooks_signing_check CHECK (signing IN ('STANDARD_WEBHOOKS', 'STANDARD_WEBHOOKS_ED25519', 'NONE'));

-- One per order of the list; webhooks_newest is the third. Names are compared
-- by bytes, in small letters, which no update of the system's collations changes.
CREATE INDEX webhooks_by_update ON webhooks (workspace_id, updated_at, id);
CREATE INDEX webhooks_by_name ON webhooks (workspace_id, lower(name COLLATE "C"), id);

-- For one webhook per URL. A hash: a URL can be too long for a B-tree.
CREATE INDEX webhooks_by_url ON webhooks USING hash (url);
