-- What the migrations make. Written by `make generate`.

CREATE TABLE api_keys (
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    workspace_id text COLLATE "C",
    prefix text NOT NULL DEFAULT ''::text,
    scopes text[] NOT NULL DEFAULT '{}'::text[],
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_token_hash_key UNIQUE (token_hash),
    CONSTRAINT api_keys_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
    CONSTRAINT api_keys_token_hash_check CHECK ((length(token_hash) = 32))
);
CREATE INDEX api_keys_by_workspace ON public.api_keys USING btree (workspace_id, id);

CREATE TABLE attempts (
    id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    trigger text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    message text NOT NULL,
    late boolean NOT NULL,
    started_at timestamp with time zone NOT NULL,
    total_us bigint NOT NULL,
    exchange json NOT NULL,
    payload_format text COLLATE "C" NOT NULL,
    response_body bytea,
    CONSTRAINT attempts_pkey PRIMARY KEY (id),
    CONSTRAINT attempts_number_check CHECK ((number >= 1)),
    CONSTRAINT attempts_payload_format_check CHECK ((payload_format = ANY (ARRAY['STANDARD'::text, 'ENVELOPE'::text, 'DATA'::text]))),
    CONSTRAINT attempts_trigger_check CHECK ((trigger = ANY (ARRAY['PUBLISH'::text, 'RETRY'::text, 'MANUAL'::text, 'REPLAY'::text])))
);
CREATE INDEX attempts_by_delivery ON ONLY public.attempts USING btree (delivery_id, id);

CREATE TABLE closed_workspaces (
    id text COLLATE "C" NOT NULL,
    closed_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT closed_workspaces_pkey PRIMARY KEY (id)
);

CREATE TABLE deleted_webhooks (
    id text COLLATE "C" NOT NULL,
    deleted_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT deleted_webhooks_pkey PRIMARY KEY (id)
);

CREATE TABLE deliveries (
    id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    webhook_id text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    next_at timestamp with time zone NOT NULL,
    lease bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    ladder integer NOT NULL DEFAULT 0,
    trigger text COLLATE "C" NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT deliveries_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT deliveries_check CHECK (((ladder >= 0) AND (ladder <= attempts))),
    CONSTRAINT deliveries_check1 CHECK (((state = ANY (ARRAY['READY'::text, 'PARKED'::text])) = (finished_at IS NULL))),
    CONSTRAINT deliveries_check2 CHECK (((lease = 0) OR (state = 'READY'::text))),
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['READY'::text, 'PARKED'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELED'::text]))),
    CONSTRAINT deliveries_trigger_check CHECK ((trigger = ANY (ARRAY['PUBLISH'::text, 'RETRY'::text, 'MANUAL'::text, 'REPLAY'::text])))
);
CREATE INDEX deliveries_by_event ON ONLY public.deliveries USING btree (event_id);
CREATE INDEX deliveries_by_webhook ON ONLY public.deliveries USING btree (webhook_id, id);
CREATE INDEX deliveries_due ON ONLY public.deliveries USING btree (next_at) WHERE (state = 'READY'::text);
CREATE INDEX deliveries_newest ON ONLY public.deliveries USING btree (workspace_id, id);
CREATE INDEX deliveries_open ON ONLY public.deliveries USING btree (webhook_id, state) WHERE (state = ANY (ARRAY['READY'::text, 'PARKED'::text]));
CREATE INDEX deliveries_parked ON ONLY public.deliveries USING btree (webhook_id, next_at) WHERE (state = 'PARKED'::text);

CREATE TABLE delivery_stats (
    webhook_id text COLLATE "C" NOT NULL,
    hour timestamp with time zone NOT NULL,
    kind text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    CONSTRAINT delivery_stats_pkey PRIMARY KEY (webhook_id, hour, kind)
);
CREATE INDEX delivery_stats_by_workspace ON public.delivery_stats USING btree (workspace_id, hour);

CREATE TABLE event_types (
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    title text NOT NULL,
    category text COLLATE "C" NOT NULL,
    description text NOT NULL,
    documentation text,
    example json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    schema json,
    example_made boolean NOT NULL DEFAULT false,
    archived_at timestamp with time zone,
    enforce_schema boolean NOT NULL DEFAULT false,
    CONSTRAINT event_types_pkey PRIMARY KEY (id),
    CONSTRAINT event_types_name_key UNIQUE (name),
    CONSTRAINT event_types_name_check CHECK ((name ~ '^[A-Za-z0-9_.-]{1,128}$'::text))
);

CREATE TABLE event_uids (
    workspace_id text COLLATE "C" NOT NULL,
    uid text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    CONSTRAINT event_uids_pkey PRIMARY KEY (workspace_id, uid),
    CONSTRAINT event_uids_content_hash_check CHECK ((length(content_hash) = 32))
);
CREATE INDEX event_uids_by_event ON public.event_uids USING btree (event_id);

CREATE TABLE events (
    id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    uid text COLLATE "C",
    name text COLLATE "C" NOT NULL,
    resource_id text COLLATE "C",
    data text COLLATE "C",
    occurred_at timestamp with time zone NOT NULL,
    published_at timestamp with time zone NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (id)
);
CREATE INDEX events_by_resource ON ONLY public.events USING btree (workspace_id, resource_id) WHERE (resource_id IS NOT NULL);
CREATE INDEX events_newest ON ONLY public.events USING btree (workspace_id, id);

CREATE TABLE idempotency_keys (
    workspace_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    input_hash bytea NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (workspace_id, key),
    CONSTRAINT idempotency_keys_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);
CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE TABLE nodes (
    id bigint NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT nodes_pkey PRIMARY KEY (id)
);

CREATE TABLE sealing_keys (
    id text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT sealing_keys_pkey PRIMARY KEY (id)
);

CREATE TABLE test_exchanges (
    result_id text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    dns_us bigint NOT NULL,
    connect_us bigint NOT NULL,
    tls_us bigint NOT NULL,
    first_byte_us bigint NOT NULL,
    total_us bigint NOT NULL,
    connection_reused boolean NOT NULL,
    request_method text NOT NULL,
    request_url text NOT NULL,
    request_headers json NOT NULL,
    request_body bytea NOT NULL,
    response_status integer,
    response_text text,
    response_headers json,
    response_body bytea,
    response_truncated boolean,
    CONSTRAINT test_exchanges_pkey PRIMARY KEY (result_id, number),
    CONSTRAINT test_exchanges_result_id_fkey FOREIGN KEY (result_id) REFERENCES test_results(id) ON DELETE CASCADE,
    CONSTRAINT test_exchanges_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
    CONSTRAINT test_exchanges_check CHECK ((num_nulls(response_status, response_text, response_headers, response_body, response_truncated) = ANY (ARRAY[0, 5]))),
    CONSTRAINT test_exchanges_number_check CHECK ((number >= 1))
);
CREATE INDEX test_exchanges_by_workspace ON public.test_exchanges USING btree (workspace_id);

CREATE TABLE test_results (
    id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    position integer NOT NULL,
    event_name text NOT NULL,
    scenario text NOT NULL,
    verdict text,
    message text NOT NULL,
    started_at timestamp with time zone,
    checks json NOT NULL DEFAULT '[]'::json,
    deciding integer NOT NULL DEFAULT 0,
    delivery_id text COLLATE "C",
    CONSTRAINT test_results_pkey PRIMARY KEY (id),
    CONSTRAINT test_results_run_id_position_key UNIQUE (run_id, "position"),
    CONSTRAINT test_results_run_id_fkey FOREIGN KEY (run_id) REFERENCES test_runs(id) ON DELETE CASCADE,
    CONSTRAINT test_results_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
    CONSTRAINT test_results_deciding_check CHECK ((deciding >= 0)),
    CONSTRAINT test_results_position_check CHECK (("position" >= 1)),
    CONSTRAINT test_results_verdict_check CHECK ((verdict = ANY (ARRAY['PASS'::text, 'WARN'::text, 'FAIL'::text, 'SKIP'::text])))
);
CREATE INDEX test_results_by_workspace ON public.test_results USING btree (workspace_id);

CREATE TABLE test_runs (
    id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    webhook_id text COLLATE "C",
    url text NOT NULL,
    status text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    tests_total integer NOT NULL,
    tests_succeeded integer NOT NULL,
    tests_failed integer NOT NULL,
    leased_until timestamp with time zone,
    canceled boolean NOT NULL DEFAULT false,
    CONSTRAINT test_runs_pkey PRIMARY KEY (id),
    CONSTRAINT test_runs_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks(id) ON DELETE SET NULL,
    CONSTRAINT test_runs_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
    CONSTRAINT test_runs_check CHECK (((status = 'RUNNING'::text) = (finished_at IS NULL))),
    CONSTRAINT test_runs_check1 CHECK (((tests_succeeded + tests_failed) <= tests_total)),
    CONSTRAINT test_runs_status_check CHECK ((status = ANY (ARRAY['RUNNING'::text, 'FINISHED'::text, 'ABORTED'::text]))),
    CONSTRAINT test_runs_tests_failed_check CHECK ((tests_failed >= 0)),
    CONSTRAINT test_runs_tests_succeeded_check CHECK ((tests_succeeded >= 0)),
    CONSTRAINT test_runs_tests_total_check CHECK ((tests_total >= 1))
);
CREATE INDEX test_runs_by_start ON public.test_runs USING btree (workspace_id, id);
CREATE INDEX test_runs_by_webhook ON public.test_runs USING btree (webhook_id, id);
CREATE INDEX test_runs_running ON public.test_runs USING btree (id) WHERE (status = 'RUNNING'::text);

CREATE TABLE webhook_failures (
    webhook_id text COLLATE "C" NOT NULL,
    failing_since timestamp with time zone NOT NULL,
    CONSTRAINT webhook_failures_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE webhooks (
    id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    uid text COLLATE "C" NOT NULL,
    name text NOT NULL,
    description text,
    url text NOT NULL,
    events text[] NOT NULL,
    active boolean NOT NULL,
    status_reason text NOT NULL,
    status_changed_at timestamp with time zone NOT NULL,
    method text NOT NULL,
    payload_format text NOT NULL,
    signing text NOT NULL,
    secret text NOT NULL,
    headers json NOT NULL,
    timeout_ms integer NOT NULL,
    metadata json NOT NULL,
    version integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    resource_ids text[] NOT NULL DEFAULT '{}'::text[],
    rate_limit_per_second integer,
    retry_max_attempts integer NOT NULL DEFAULT 11,
    retry_initial_delay_seconds integer NOT NULL DEFAULT 5,
    retry_backoff_factor double precision NOT NULL DEFAULT 4,
    retry_max_delay_seconds integer NOT NULL DEFAULT 86400,
    previous_secret text NOT NULL DEFAULT ''::text,
    previous_secret_expires_at timestamp with time zone,
    CONSTRAINT webhooks_pkey PRIMARY KEY (id),
    CONSTRAINT webhooks_workspace_id_uid_key UNIQUE (workspace_id, uid),
    CONSTRAINT webhooks_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
    CONSTRAINT webhooks_check CHECK (((method = 'POST'::text) OR (payload_format = 'DATA'::text))),
    CONSTRAINT webhooks_check1 CHECK (((signing = 'NONE'::text) = (secret = ''::text))),
    CONSTRAINT webhooks_check2 CHECK (((previous_secret = ''::text) = (previous_secret_expires_at IS NULL))),
    CONSTRAINT webhooks_check3 CHECK (((signing <> 'NONE'::text) OR (previous_secret = ''::text))),
    CONSTRAINT webhooks_events_check CHECK (((cardinality(events) >= 1) AND (cardinality(events) <= 100))),
    CONSTRAINT webhooks_method_check CHECK ((method = ANY (ARRAY['POST'::text, 'GET'::text]))),
    CONSTRAINT webhooks_name_check CHECK ((name <> ''::text)),
    CONSTRAINT webhooks_payload_format_check CHECK ((payload_format = ANY (ARRAY['STANDARD'::text, 'ENVELOPE'::text, 'DATA'::text]))),
    CONSTRAINT webhooks_rate_limit_per_second_check CHECK (((rate_limit_per_second >= 1) AND (rate_limit_per_second <= 10000))),
    CONSTRAINT webhooks_resource_ids_check CHECK ((cardinality(resource_ids) <= 100)),
    CONSTRAINT webhooks_retry_backoff_factor_check CHECK (((retry_backoff_factor >= (1)::double precision) AND (retry_backoff_factor <= (10)::double precision))),
    CONSTRAINT webhooks_retry_initial_delay_seconds_check CHECK (((retry_initial_delay_seconds >= 1) AND (retry_initial_delay_seconds <= 3600))),
    CONSTRAINT webhooks_retry_max_attempts_check CHECK (((retry_max_attempts >= 1) AND (retry_max_attempts <= 20))),
    CONSTRAINT webhooks_retry_max_delay_seconds_check CHECK (((retry_max_delay_seconds >= 1) AND (retry_max_delay_seconds <= 86400))),
    CONSTRAINT webhooks_signing_check CHECK ((signing = ANY (ARRAY['STANDARD_WEBHOOKS'::text, 'STANDARD_WEBHOOKS_ED25519'::text, 'NONE'::text]))),
    CONSTRAINT webhooks_status_reason_check CHECK ((status_reason = ANY (ARRAY['OWNER'::text, 'TEST_PASSED'::text, 'GONE'::text, 'FAILING'::text]))),
    CONSTRAINT webhooks_timeout_ms_check CHECK (((timeout_ms >= 1000) AND (timeout_ms <= 30000))),
    CONSTRAINT webhooks_uid_check CHECK (((uid ~ '^[A-Za-z0-9_.-]{1,128}$'::text) AND (uid !~ '^wh_'::text))),
    CONSTRAINT webhooks_url_check CHECK ((length(url) <= 2048)),
    CONSTRAINT webhooks_version_check CHECK ((version >= 1))
);
CREATE INDEX webhooks_by_name ON public.webhooks USING btree (workspace_id, lower((name COLLATE "C")), id);
CREATE INDEX webhooks_by_update ON public.webhooks USING btree (workspace_id, updated_at, id);
CREATE INDEX webhooks_by_url ON public.webhooks USING hash (url);
CREATE INDEX webhooks_newest ON public.webhooks USING btree (workspace_id, id);

CREATE TABLE workspaces (
    id text COLLATE "C" NOT NULL,
    uid text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    updated_at timestamp with time zone NOT NULL DEFAULT now(),
    metadata json NOT NULL DEFAULT '{}'::json,
    webhooks_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT workspaces_pkey PRIMARY KEY (id),
    CONSTRAINT workspaces_uid_key UNIQUE (uid)
);
