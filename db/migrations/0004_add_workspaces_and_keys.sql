-- +goose Up
-- Both tables are small, and every new column has a constant default or none,
-- so no row is rewritten and no lock is held for long.

ALTER TABLE workspaces
    -- json, not jsonb: it is given back as it came.
    ADD COLUMN metadata json NOT NULL DEFAULT '{}';

ALTER TABLE api_keys
    -- Null for an operator's key, which may do everything in every workspace.
    ADD COLUMN workspace_id text COLLATE "C" REFERENCES workspaces (id) ON DELETE CASCADE,
    -- The first characters of the token, to tell keys apart.
    ADD COLUMN prefix       text   NOT NULL DEFAULT '',
    ADD COLUMN scopes       text[] NOT NULL DEFAULT '{}',
    ADD COLUMN expires_at   timestamptz,
    ADD COLUMN revoked_at   timestamptz,
    -- To the minute.
    ADD COLUMN last_used_at timestamptz;

CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);
