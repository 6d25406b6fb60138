-- +goose Up
-- The keys that secrets are sealed with, themselves sealed with the master key,
-- which is not in the database. The newest seals; the others open what they
-- sealed. Secrets and header values stay in their columns: `webhooks.secret`
-- and `previous_secret` hold sealed text, `headers` a JSON string of it.

CREATE TABLE sealing_keys (
    id         text COLLATE "C" PRIMARY KEY,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
