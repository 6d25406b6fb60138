-- +goose Up
-- Adding columns locks event_types for a moment; no row is rewritten.

ALTER TABLE event_types
    -- The JSON Schema of the data; null where there is none.
    ADD COLUMN schema       json,
    -- The example was made from the schema and follows it.
    ADD COLUMN example_made boolean NOT NULL DEFAULT false,
    -- Null while new subscriptions may name the type.
    ADD COLUMN archived_at  timestamptz;
