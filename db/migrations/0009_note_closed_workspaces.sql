-- +goose Up
-- Which workspaces were closed of which there may be rows left: those of events
-- have no foreign keys, and what was under way when a workspace was closed may
-- be recorded after it. Upkeep (db/upkeep.go) removes them and then the note.
--
-- Adds a trigger to a small table, whose lock is held for a moment.

CREATE TABLE closed_workspaces (
    id        text COLLATE "C" NOT NULL PRIMARY KEY,
    closed_at timestamptz      NOT NULL DEFAULT now()
);

-- +goose StatementBegin
CREATE FUNCTION note_closed_workspaces() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO closed_workspaces (id)
    SELECT id
    FROM closed;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER workspaces_closed AFTER DELETE ON workspaces
    REFERENCING OLD TABLE AS closed FOR EACH STATEMENT EXECUTE FUNCTION note_closed_workspaces();
