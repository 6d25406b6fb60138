-- +goose Up
-- Whether published events must fit the schema of their type. Takes its lock for
-- a moment: a constant default rewrites nothing.

ALTER TABLE event_types ADD COLUMN enforce_schema boolean NOT NULL DEFAULT false;
