-- +goose Up
-- Which webhooks were deleted of whose deliveries some may still stand there as
-- open. Whoever reads takes them for canceled from then on; upkeep
-- (db/upkeep.go) cancels them, some at a time, and then removes the note.
--
-- Adds a small table, and locks none.

CREATE TABLE deleted_webhooks (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    deleted_at timestamptz      NOT NULL DEFAULT now()
);
