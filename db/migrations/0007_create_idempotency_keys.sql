-- +goose Up
-- What was made with a caller's idempotency key, and a hash of the input; never
-- the answer. A key counts for 24 hours.

CREATE TABLE idempotency_keys (
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key          text COLLATE "C" NOT NULL,
    input_hash   bytea            NOT NULL CHECK (length(input_hash) = 32),
    object_id    text COLLATE "C" NOT NULL,
    created_at   timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
