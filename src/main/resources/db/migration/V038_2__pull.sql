-- Why: some systems do not send but can be asked. What is asked, and how often, is said once; where it stands is moved by
-- whichever node holds the lease, and how far it got moves in the transaction of the rows, so nothing is skipped.

CREATE TABLE customer.pull (
    id         uuid PRIMARY KEY CONSTRAINT pull_connector_known REFERENCES customer.connector,
    url        text NOT NULL,
    format     text NOT NULL CONSTRAINT pull_format_known CHECK (format IN ('json', 'csv')),
    -- JSON pointer (RFC 6901) of the rows within an answer.
    items      text NOT NULL,
    parameter  text,
    field      text,
    minutes    int NOT NULL CONSTRAINT pull_minutes_bounded CHECK (minutes BETWEEN 1 AND 10080),
    enabled    boolean NOT NULL,
    -- The Authorization header, sealed under the connector's key.
    secret     bytea,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT pull_watermark_whole CHECK ((parameter IS NULL) = (field IS NULL))
);
SELECT kehu.enrol('customer.pull', 'secret');

CREATE TABLE customer.pull_state (
    connector_id uuid PRIMARY KEY CONSTRAINT pull_state_pull_known REFERENCES customer.pull ON DELETE CASCADE,
    state        text NOT NULL DEFAULT 'waiting' CONSTRAINT pull_state_known
                 CHECK (state IN ('waiting', 'running', 'retrying', 'stopped')),
    watermark    text,
    -- Keyed hash of the last answer that was entered whole.
    mac          bytea,
    due_at       timestamptz NOT NULL DEFAULT kehu.now(),
    -- Beginnings since the last success.
    attempts     int NOT NULL DEFAULT 0,
    fence        bigint NOT NULL DEFAULT 0,
    lease_until  timestamptz,
    error_code   text,
    error_args   text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX pull_state_due ON customer.pull_state (due_at) WHERE state <> 'stopped';

CREATE TABLE customer.pull_run (
    id           uuid PRIMARY KEY,
    connector_id uuid NOT NULL CONSTRAINT pull_run_connector_known REFERENCES customer.connector,
    attempt      int NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT kehu.now(),
    ended_at     timestamptz,
    outcome      text NOT NULL DEFAULT 'running' CONSTRAINT pull_run_outcome_known CHECK (outcome IN ('running', 'done', 'failed')),
    error_code   text,
    error_args   text[] NOT NULL DEFAULT '{}',
    rows         int NOT NULL DEFAULT 0,
    created      int NOT NULL DEFAULT 0,
    changed      int NOT NULL DEFAULT 0,
    unchanged    int NOT NULL DEFAULT 0,
    refused      int NOT NULL DEFAULT 0,
    kept         int NOT NULL DEFAULT 0
);
CREATE INDEX pull_run_newest ON customer.pull_run (connector_id, id DESC);
CREATE INDEX pull_run_old ON customer.pull_run (started_at);
CREATE INDEX delivery_old ON customer.delivery (at);
GRANT SELECT, INSERT, UPDATE, DELETE ON customer.pull_state, customer.pull_run TO kehu_app;
-- What was delivered is forgotten after a while.
GRANT DELETE ON customer.delivery, customer.delivery_error TO kehu_app;
