-- Why: a browser's EventSource cannot send an Authorization header. A ticket stands in for the token once, for a short time;
-- only its hash is kept.
CREATE TABLE kehu.stream_ticket (
    ticket_hash bytea PRIMARY KEY,
    session_id  uuid NOT NULL,
    good_until  timestamptz NOT NULL
);
CREATE INDEX stream_ticket_end ON kehu.stream_ticket (good_until);
GRANT SELECT, INSERT, DELETE ON kehu.stream_ticket TO kehu_app;
