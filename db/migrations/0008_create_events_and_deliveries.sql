-- +goose Up
-- Events, what is owed of them to each webhook, and every attempt. Ids begin
-- with the time they were made (UUIDv7), and the three tables are partitioned
-- by day along them: what is older than the retention is dropped whole. The
-- days are made by the program (db/partition.go), here only what catches the
-- rest. No row refers to another by a foreign key: rows are written by the
-- thousand, and end by partition; `hookql db check` looks for what is amiss.
--
-- Adds a column with a constant default and triggers to small tables; each
-- ALTER takes its lock for a moment.

CREATE TABLE events (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL,
    -- The publisher's own id. event_uids keeps it unique.
    uid          text COLLATE "C",
    name         text COLLATE "C" NOT NULL,
    resource_id  text COLLATE "C",
    -- The bytes that are signed and sent, as they were accepted (so neither json
    -- nor jsonb); null once retention removed them.
    data         text COLLATE "C",
    occurred_at  timestamptz      NOT NULL,
    published_at timestamptz      NOT NULL
) PARTITION BY RANGE (id);

CREATE INDEX events_newest ON events (workspace_id, id);
CREATE INDEX events_by_resource ON events (workspace_id, resource_id) WHERE resource_id IS NOT NULL;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Whose uid is whose event, kept as long as the event.
CREATE TABLE event_uids (
    workspace_id text COLLATE "C" NOT NULL,
    uid          text COLLATE "C" NOT NULL,
    event_id     text COLLATE "C" NOT NULL,
    -- Tells other content under the same uid.
    content_hash bytea            NOT NULL CHECK (length(content_hash) = 32),
    PRIMARY KEY (workspace_id, uid)
);

CREATE INDEX event_uids_by_event ON event_uids (event_id);

CREATE TABLE deliveries (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL,
    event_id     text COLLATE "C" NOT NULL,
    webhook_id   text COLLATE "C" NOT NULL,
    -- READY: due at next_at, or leased. PARKED: due, but its webhook has as
    -- many in hand as it can take, or is not active. The others are ends.
    state        text COLLATE "C" NOT NULL CHECK (state IN ('READY', 'PARKED', 'SUCCEEDED', 'FAILED', 'CANCELED')),
    -- When the next attempt is due; while it is leased, when the lease ends.
    next_at      timestamptz      NOT NULL,
    -- Who may record an attempt (see queue.go); 0: nobody.
    lease        bigint           NOT NULL DEFAULT 0,
    attempts     integer          NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How many of them were made before the retry policy last began anew.
    ladder       integer          NOT NULL DEFAULT 0 CHECK (ladder BETWEEN 0 AND attempts),
    -- What sets off the next attempt.
    trigger      text COLLATE "C" NOT NULL CHECK (trigger IN ('PUBLISH', 'RETRY', 'MANUAL', 'REPLAY')),
    created_at   timestamptz      NOT NULL,
    finished_at  timestamptz,
    CHECK ((state IN ('READY', 'PARKED')) = (finished_at IS NULL)),
    CHECK (lease = 0 OR state = 'READY')
) PARTITION BY RANGE (id);

CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'READY';
CREATE INDEX deliveries_parked ON deliveries (webhook_id, next_at) WHERE state = 'PARKED';
CREATE INDEX deliveries_open ON deliveries (webhook_id, state) WHERE state IN ('READY', 'PARKED');
CREATE INDEX deliveries_newest ON deliveries (workspace_id, id);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;

CREATE TABLE attempts (
    id             text COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id   text COLLATE "C" NOT NULL,
    delivery_id    text COLLATE "C" NOT NULL,
    -- Not unique: a request that was sent twice because a process died shows twice.
    number         integer          NOT NULL CHECK (number >= 1),
    trigger        text COLLATE "C" NOT NULL CHECK (trigger IN ('PUBLISH', 'RETRY', 'MANUAL', 'REPLAY')),
    outcome        text COLLATE "C" NOT NULL,
    message        text             NOT NULL,
    -- Recorded after its lease had ended, so that it changed nothing.
    late           boolean          NOT NULL,
    started_at     timestamptz      NOT NULL,
    total_us       bigint           NOT NULL,
    -- The rest of what happened on the wire, but for the bodies. That of the
    -- request is made of the event again, which is the same bytes.
    exchange       json             NOT NULL,
    payload_format text COLLATE "C" NOT NULL CHECK (payload_format IN ('STANDARD', 'ENVELOPE', 'DATA')),
    response_body  bytea
) PARTITION BY RANGE (id);

CREATE INDEX attempts_by_delivery ON attempts (delivery_id, id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- The processes that deliver. Each holds a session lock on its number as long
-- as it lives, so that others see at once when it is gone.
CREATE TABLE nodes (
    id         bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now()
);

-- Since when attempts at a webhook fail without one success; no row: they do not.
CREATE TABLE webhook_failures (
    webhook_id    text COLLATE "C" NOT NULL PRIMARY KEY,
    failing_since timestamptz      NOT NULL
);

-- What was counted in an hour: deliveries by how they ended, attempts by how
-- long they took. Written when outcomes are recorded, so that no attempt need
-- be read to know how a webhook fares.
CREATE TABLE delivery_stats (
    webhook_id   text COLLATE "C" NOT NULL,
    hour         timestamptz      NOT NULL,
    -- SUCCEEDED, FAILED, CANCELED, or the number of a bucket of durations.
    kind         text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    count        bigint           NOT NULL,
    PRIMARY KEY (webhook_id, hour, kind)
);

CREATE INDEX delivery_stats_by_workspace ON delivery_stats (workspace_id, hour);

-- Grows with every change of a workspace's webhooks: processes keep them in
-- memory and so know when what they keep is old.
ALTER TABLE workspaces ADD COLUMN webhooks_version bigint NOT NULL DEFAULT 0;

-- +goose StatementBegin
CREATE FUNCTION count_webhook_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE workspaces
    SET webhooks_version = webhooks_version + 1
    WHERE id IN (SELECT workspace_id FROM changed);
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER webhooks_inserted AFTER INSERT ON webhooks
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_webhook_changes();
CREATE TRIGGER webhooks_updated AFTER UPDATE ON webhooks
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_webhook_changes();
CREATE TRIGGER webhooks_deleted AFTER DELETE ON webhooks
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_webhook_changes();
