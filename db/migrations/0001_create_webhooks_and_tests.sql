-- +goose Up
-- The first tables: no locks to speak of, nothing exists yet.
--
-- Ids are made by the server: a prefix and a UUIDv7 in base 32, so they sort by
-- time under the collation "C" and read the same here as in the API.
-- Every table that holds a customer's data carries workspace_id.

CREATE TABLE workspaces (
    id         text COLLATE "C" PRIMARY KEY,
    uid        text COLLATE "C" NOT NULL UNIQUE,
    name       text             NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT now(),
    updated_at timestamptz      NOT NULL DEFAULT now()
);

-- Keys are 256 random bits, so a plain SHA-256 is all they need.
CREATE TABLE api_keys (
    id         text COLLATE "C" PRIMARY KEY,
    name       text             NOT NULL,
    token_hash bytea            NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at timestamptz      NOT NULL DEFAULT now()
);

-- The catalogue belongs to the installation, not to a workspace.
CREATE TABLE event_types (
    id            text COLLATE "C" PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_.-]{1,128}$'),
    title         text             NOT NULL,
    category      text COLLATE "C" NOT NULL,
    description   text             NOT NULL,
    documentation text,
    -- json, not jsonb: the bytes that are signed are the bytes that are kept.
    example       json             NOT NULL,
    created_at    timestamptz      NOT NULL,
    updated_at    timestamptz      NOT NULL
);

CREATE TABLE webhooks (
    id                text COLLATE "C" PRIMARY KEY,
    workspace_id      text COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    uid               text COLLATE "C" NOT NULL CHECK (uid ~ '^[A-Za-z0-9_.-]{1,128}$' AND uid !~ '^wh_'),
    name              text             NOT NULL CHECK (name <> ''),
    description       text,
    url               text             NOT NULL CHECK (length(url) <= 2048),
    events            text[]           NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 100),
    active            boolean          NOT NULL,
    status_reason     text             NOT NULL CHECK (status_reason IN ('OWNER', 'TEST_PASSED', 'GONE', 'FAILING')),
    status_changed_at timestamptz      NOT NULL,
    method            text             NOT NULL CHECK (method IN ('POST', 'GET')),
    payload_format    text             NOT NULL CHECK (payload_format IN ('STANDARD', 'ENVELOPE', 'DATA')),
    signing           text             NOT NULL CHECK (signing IN ('STANDARD_WEBHOOKS', 'NONE')),
    secret            text             NOT NULL,
    headers           json             NOT NULL,
    timeout_ms        integer          NOT NULL CHECK (timeout_ms BETWEEN 1000 AND 30000),
    metadata          json             NOT NULL,
    version           integer          NOT NULL CHECK (version >= 1),
    created_at        timestamptz      NOT NULL,
    updated_at        timestamptz      NOT NULL,
    UNIQUE (workspace_id, uid),
    CHECK (method = 'POST' OR payload_format = 'DATA'),
    CHECK ((signing = 'NONE') = (secret = ''))
);

CREATE INDEX webhooks_newest ON webhooks (workspace_id, id);

CREATE TABLE test_runs (
    id              text COLLATE "C" PRIMARY KEY,
    workspace_id    text COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    -- Null for an endpoint that is not registered, or a deleted webhook.
    webhook_id      text COLLATE "C" REFERENCES webhooks (id) ON DELETE SET NULL,
    url             text             NOT NULL,
    status          text             NOT NULL CHECK (status IN ('RUNNING', 'FINISHED', 'ABORTED')),
    started_at      timestamptz      NOT NULL,
    finished_at     timestamptz,
    tests_total     integer          NOT NULL CHECK (tests_total >= 1),
    tests_succeeded integer          NOT NULL CHECK (tests_succeeded >= 0),
    tests_failed    integer          NOT NULL CHECK (tests_failed >= 0),
    CHECK ((status = 'RUNNING') = (finished_at IS NULL)),
    CHECK (tests_succeeded + tests_failed <= tests_total)
);

CREATE INDEX test_runs_by_webhook ON test_runs (webhook_id, id);
CREATE INDEX test_runs_by_workspace ON test_runs (workspace_id);

CREATE TABLE test_results (
    id           text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    run_id       text COLLATE "C" NOT NULL REFERENCES test_runs (id) ON DELETE CASCADE,
    position     integer          NOT NULL CHECK (position >= 1),
    event_name   text             NOT NULL,
    scenario     text             NOT NULL,
    verdict      text             NOT NULL CHECK (verdict IN ('PASS', 'WARN', 'FAIL', 'SKIP')),
    message      text             NOT NULL,
    UNIQUE (run_id, position)
);

CREATE INDEX test_results_by_workspace ON test_results (workspace_id);

-- One row per HTTP request of a test; most tests have one.
CREATE TABLE test_exchanges (
    result_id          text COLLATE "C" NOT NULL REFERENCES test_results (id) ON DELETE CASCADE,
    number             integer          NOT NULL CHECK (number >= 1),
    workspace_id       text COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    outcome            text             NOT NULL,
    detail             text             NOT NULL,
    started_at         timestamptz      NOT NULL,
    -- Microseconds; 0 where the phase did not happen.
    dns_us             bigint           NOT NULL,
    connect_us         bigint           NOT NULL,
    tls_us             bigint           NOT NULL,
    first_byte_us      bigint           NOT NULL,
    total_us           bigint           NOT NULL,
    connection_reused  boolean          NOT NULL,
    request_method     text             NOT NULL,
    request_url        text             NOT NULL,
    request_headers    json             NOT NULL,
    request_body       bytea            NOT NULL,
    -- All null, or none: nothing came back, or something did.
    response_status    integer,
    response_text      text,
    response_headers   json,
    response_body      bytea,
    response_truncated boolean,
    PRIMARY KEY (result_id, number),
    CHECK (num_nulls(response_status, response_text, response_headers, response_body, response_truncated) IN (0, 5))
);

CREATE INDEX test_exchanges_by_workspace ON test_exchanges (workspace_id);
