-- Why: the kernel's own tables. Every command leaves its idempotency key, its past, its audit row and its events in one
-- transaction; the two functions enter() and leave() are that transaction's two ends, and the trigger keep() refuses any
-- change that did not come in through them. Roles (kehu_owner, kehu_app, kehu_seal) exist before this file runs.

CREATE SCHEMA IF NOT EXISTS kehu;
GRANT USAGE ON SCHEMA kehu TO kehu_app, kehu_seal;

-- One clock ------------------------------------------------------------------------------------------------------------
-- Expiry, versions, audit and rules read kehu.now(); only demo and test mode may move it.
CREATE TABLE kehu.clock (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT clock_row_one CHECK (only_row),
    ahead    interval NOT NULL DEFAULT '0'
);
INSERT INTO kehu.clock DEFAULT VALUES;

CREATE FUNCTION kehu.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT clock_timestamp() + (SELECT ahead FROM kehu.clock) $$;

-- A restored or promoted copy starts a new incarnation, so that transaction ids of two histories never mix.
CREATE TABLE kehu.incarnation (
    number     int PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    why        text NOT NULL
);
INSERT INTO kehu.incarnation (number, why) VALUES (1, 'first start');

CREATE FUNCTION kehu.incarnation() RETURNS int LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT max(number) FROM kehu.incarnation $$;

-- Idempotency ----------------------------------------------------------------------------------------------------------
-- The answer is kept as ciphertext: replies may show personal data. Refusals are kept as code and arguments.
CREATE TABLE kehu.idempotency (
    principal  uuid NOT NULL,
    operation  text NOT NULL,
    key        text NOT NULL CONSTRAINT idempotency_key_length CHECK (length(key) BETWEEN 1 AND 200),
    body_hash  bytea NOT NULL,
    status     int,
    answer     bytea,
    etag       text,
    location   text,
    code       text,
    args       text[],
    created_at timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT idempotency_key_once PRIMARY KEY (principal, operation, key)
);
CREATE INDEX idempotency_age ON kehu.idempotency (created_at);

-- Audit ----------------------------------------------------------------------------------------------------------------
-- Append only; sealed later by kehu_seal over closed ranges of transaction ids. Personal values inside `changes` are the
-- ciphertext of the rows themselves.
CREATE TABLE kehu.audit (
    at             timestamptz NOT NULL,
    incarnation    int NOT NULL,
    xid            xid8 NOT NULL,
    ord            int NOT NULL,
    id             uuid NOT NULL,
    kind           text NOT NULL,
    operation      text NOT NULL,
    actor          uuid NOT NULL,
    audience       text NOT NULL,
    actor_name     text NOT NULL,
    session        uuid,
    address        text NOT NULL,
    request_id     text NOT NULL,
    purpose        text,
    approval_id    uuid,
    object_type    text,
    object_id      uuid,
    object_version bigint,
    code           text,
    args           text[],
    row_count      bigint,
    rows_hash      bytea,
    first_id       text,
    last_id        text,
    changes        jsonb,
    leaf           bytea NOT NULL,
    CONSTRAINT audit_row_once PRIMARY KEY (incarnation, xid, ord, at),
    CONSTRAINT audit_kind_known CHECK (kind IN ('write', 'bulk', 'refusal', 'sign-in', 'unmask', 'export', 'setting'))
) PARTITION BY RANGE (at);
CREATE INDEX audit_time ON kehu.audit (at, id);
CREATE INDEX audit_object ON kehu.audit (object_id, at) WHERE object_id IS NOT NULL;
CREATE INDEX audit_actor ON kehu.audit (actor, at);
CREATE INDEX audit_id ON kehu.audit (id);

-- Events ---------------------------------------------------------------------------------------------------------------
-- No personal data: ids, codes and the facts that decide who may see the event (permission, branch, owner).
CREATE TABLE kehu.event (
    at           timestamptz NOT NULL,
    incarnation  int NOT NULL,
    xid          xid8 NOT NULL,
    ord          int NOT NULL,
    id           uuid NOT NULL,
    type         text NOT NULL,
    aggregate    text NOT NULL,
    aggregate_id uuid NOT NULL,
    version      bigint NOT NULL,
    permission   text NOT NULL,
    branch_id    uuid,
    owner_id     uuid,
    actor        uuid NOT NULL,
    audit_id     uuid NOT NULL,
    payload      jsonb NOT NULL,
    CONSTRAINT event_row_once PRIMARY KEY (incarnation, xid, ord, at)
) PARTITION BY RANGE (at);

-- Ranges of transaction ids in which nothing can appear any more. from_xid is unique, so a range is closed once.
CREATE TABLE kehu.event_range (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incarnation int NOT NULL,
    from_xid    xid8 NOT NULL,
    to_xid      xid8 NOT NULL,
    closed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT event_range_once UNIQUE (incarnation, from_xid),
    CONSTRAINT event_range_order CHECK (from_xid < to_xid)
);

-- Where each consumer stands, per lane; moved in the transaction that applies the effect.
CREATE TABLE kehu.event_cursor (
    consumer   text NOT NULL,
    lane       int NOT NULL,
    range_id   bigint NOT NULL,
    moved_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT event_cursor_once PRIMARY KEY (consumer, lane)
);

-- Closes the range that ends at the oldest transaction still running, if there are events in it. Many nodes may call
-- this at once: the advisory lock lets one through, the others return at once.
CREATE FUNCTION kehu.close_range() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    here   int := kehu.incarnation();
    first  xid8;
    bound  xid8;
    number bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('kehu.close_range')) THEN
        RETURN NULL;
    END IF;
    SELECT to_xid INTO first FROM kehu.event_range WHERE incarnation = here ORDER BY id DESC LIMIT 1;
    first := coalesce(first, '0'::xid8);
    -- Every transaction below the bound has ended, so the next statement's snapshot sees all that it committed.
    bound := pg_snapshot_xmin(pg_current_snapshot());
    IF NOT EXISTS (SELECT FROM kehu.event WHERE incarnation = here AND xid >= first AND xid < bound) THEN
        RETURN NULL;
    END IF;
    INSERT INTO kehu.event_range (incarnation, from_xid, to_xid) VALUES (here, first, bound) RETURNING id INTO number;
    RETURN number;
END $$;

-- Masked reads and refusals of the gateway; written in batches, at most a second late.
CREATE TABLE kehu.access_log (
    at         timestamptz NOT NULL,
    request_id text NOT NULL,
    subject    uuid NOT NULL,
    session    uuid,
    address    text NOT NULL,
    operation  text NOT NULL,
    object_id  uuid,
    status     int NOT NULL,
    code       text,
    micros     bigint NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX access_log_time ON kehu.access_log (at);
CREATE INDEX access_log_object ON kehu.access_log (object_id, at) WHERE object_id IS NOT NULL;

-- Months of the partitioned tables. The default partition catches what the test clock sends far away.
CREATE TABLE kehu.audit_default PARTITION OF kehu.audit DEFAULT;
CREATE TABLE kehu.event_default PARTITION OF kehu.event DEFAULT;
CREATE TABLE kehu.access_log_default PARTITION OF kehu.access_log DEFAULT;

CREATE FUNCTION kehu.add_months(ahead int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    parent text;
    month  timestamptz;
    part   text;
    made   int := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['audit', 'event', 'access_log'] LOOP
        FOR step IN 0..least(greatest(ahead, 0), 24) LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => step);
            part := parent || '_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM');
            IF to_regclass('kehu.' || part) IS NULL THEN
                EXECUTE format('CREATE TABLE kehu.%I PARTITION OF kehu.%I FOR VALUES FROM (%L) TO (%L)',
                               part, parent, month, month + interval '1 month');
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
SELECT kehu.add_months(3);

-- Keys of subjects -----------------------------------------------------------------------------------------------------
-- One wrapped data key per subject (customer, staff, ...). Deleting the row erases the person.
CREATE TABLE kehu.data_key (
    subject_id uuid PRIMARY KEY,
    kind       text NOT NULL,
    epoch      int NOT NULL,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kehu.now()
);
CREATE INDEX data_key_epoch ON kehu.data_key (epoch);

-- Revocations ----------------------------------------------------------------------------------------------------------
-- What nodes poll; the truth is the session and the version of the subject.
CREATE TABLE kehu.revocation (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id  uuid,
    min_version bigint,
    session_id  uuid,
    at          timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT revocation_target_one CHECK (num_nonnulls(subject_id, session_id) = 1)
);
CREATE INDEX revocation_time ON kehu.revocation (at);

-- The two ends of a write ----------------------------------------------------------------------------------------------
-- enter() names the audit row that this transaction will leave and takes the key; a key that is taken fails here.
CREATE FUNCTION kehu.enter(audit_id uuid, bulk boolean, principal uuid, operation text, key text, body_hash bytea)
    RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('kehu.audit_id', audit_id::text, true),
            set_config('kehu.changes', '', true),
            set_config('kehu.bulk', CASE WHEN bulk THEN 'on' ELSE 'off' END, true);
    IF key IS NOT NULL THEN
        INSERT INTO kehu.idempotency (principal, operation, key, body_hash)
        VALUES (enter.principal, enter.operation, enter.key, enter.body_hash);
    END IF;
    RETURN kehu.now();
END $$;

-- What the hash of one audit row covers: every column in order, joined by U+001F, with U+001E for null.
CREATE FUNCTION kehu.audit_leaf(r kehu.audit) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(array_to_string(ARRAY[
        (extract(epoch FROM r.at) * 1000000)::bigint::text, r.incarnation::text, r.xid::text, r.ord::text, r.id::text,
        r.kind, r.operation, r.actor::text, r.audience, r.actor_name, r.session::text, r.address, r.request_id, r.purpose,
        r.approval_id::text, r.object_type, r.object_id::text, r.object_version::text, r.code, r.args::text,
        r.row_count::text, encode(r.rows_hash, 'hex'), r.first_id, r.last_id, r.changes::text], E'\x1f', E'\x1e'), 'UTF8'))
$$;

-- leave() writes the audit row, the events and the stored answer. `audit` carries what Java knows of the call.
CREATE FUNCTION kehu.leave(audit jsonb, events jsonb, status int, answer bytea, etag text, location text)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r       kehu.audit;
    pending text := current_setting('kehu.changes', true);
    here    int := kehu.incarnation();
    moment  timestamptz := kehu.now();
BEGIN
    r := jsonb_populate_record(NULL::kehu.audit, audit);
    r.at := moment;
    r.incarnation := here;
    r.xid := pg_current_xact_id();
    r.ord := coalesce(r.ord, 0);
    r.id := coalesce(r.id, current_setting('kehu.audit_id')::uuid);
    r.changes := CASE WHEN pending <> '' THEN ('[' || substr(pending, 2) || ']')::jsonb END;
    r.leaf := kehu.audit_leaf(r);
    INSERT INTO kehu.audit VALUES (r.*);
    INSERT INTO kehu.event (at, incarnation, xid, ord, id, type, aggregate, aggregate_id, version, permission,
                            branch_id, owner_id, actor, audit_id, payload)
    SELECT moment, here, r.xid, e.ord, uuidv7(), e.type, e.aggregate, e.aggregate_id, e.version, e.permission,
           e.branch_id, e.owner_id, r.actor, r.id, coalesce(e.payload, '{}')
    FROM jsonb_to_recordset(events) AS e(ord int, type text, aggregate text, aggregate_id uuid, version bigint,
                                         permission text, branch_id uuid, owner_id uuid, payload jsonb);
    IF audit ->> 'key' IS NOT NULL THEN
        UPDATE kehu.idempotency i
        SET status = leave.status, answer = leave.answer, etag = leave.etag, location = leave.location,
            code = r.code, args = r.args
        WHERE i.principal = r.actor AND i.operation = r.operation AND i.key = audit ->> 'key';
    END IF;
END $$;

-- The past -------------------------------------------------------------------------------------------------------------
-- BEFORE each row change of an enrolled table: refuses changes from outside the two doors, keeps the old row with the
-- audit row that ended it, counts the version, and notes the difference for the audit. Arguments: columns to leave out
-- of the audit (search tokens and the like, derived from others).
CREATE FUNCTION kehu.keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    audit_id text := current_setting('kehu.audit_id', true);
    old_json jsonb;
    new_json jsonb;
BEGIN
    IF coalesce(audit_id, '') = '' THEN
        IF current_user = 'kehu_owner' THEN  -- a migration: its history is the migration itself
            RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
        END IF;
        RAISE EXCEPTION '%.% may only be changed through the doors of the database', TG_TABLE_SCHEMA, TG_TABLE_NAME;
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.version := 1;
        NEW.valid_from := kehu.now();
    ELSE
        IF TG_OP = 'UPDATE' THEN
            NEW.version := OLD.version + 1;
            -- Two changes of one row never share an instant, also when the clock stands still.
            NEW.valid_from := greatest(kehu.now(), OLD.valid_from + interval '1 microsecond');
        END IF;
        EXECUTE format('INSERT INTO %I.%I SELECT ($1).*, $2, $3', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_past')
            USING OLD, CASE WHEN TG_OP = 'UPDATE' THEN NEW.valid_from
                            ELSE greatest(kehu.now(), OLD.valid_from + interval '1 microsecond') END, audit_id::uuid;
    END IF;
    IF current_setting('kehu.bulk') <> 'on' THEN
        IF TG_OP <> 'INSERT' THEN
            old_json := to_jsonb(OLD) - TG_ARGV - '{version,valid_from}'::text[];
        END IF;
        IF TG_OP <> 'DELETE' THEN
            new_json := jsonb_strip_nulls(to_jsonb(NEW) - TG_ARGV - '{version,valid_from}'::text[]);
        END IF;
        IF TG_OP = 'UPDATE' THEN
            SELECT jsonb_object_agg(o.key, o.value) INTO old_json
            FROM jsonb_each(old_json) o
            WHERE o.key = 'id' OR o.value IS DISTINCT FROM coalesce(to_jsonb(NEW) -> o.key, 'null');
            SELECT jsonb_object_agg(n.key, n.value) INTO new_json
            FROM jsonb_each(to_jsonb(NEW)) n WHERE old_json ? n.key;
        END IF;
        PERFORM set_config('kehu.changes', current_setting('kehu.changes') || ',' || jsonb_build_object(
            'table', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, 'change', lower(TG_OP),
            'before', old_json, 'after', new_json)::text, true);
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- Gives a table (columns id, version, valid_from) its past, its guard and the view <table>_all of live and past rows.
CREATE FUNCTION kehu.enrol(live regclass, VARIADIC hidden text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    space text;
    name  text;
    args  text := array_to_string(ARRAY(SELECT quote_literal(h) FROM unnest(hidden) h), ', ');
BEGIN
    SELECT n.nspname, c.relname INTO space, name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = live;
    EXECUTE format('CREATE TABLE %I.%I (LIKE %s, valid_to timestamptz NOT NULL, audit_id uuid NOT NULL)',
                   space, name || '_past', live);
    EXECUTE format('CREATE INDEX %I ON %I.%I (id, valid_from)', name || '_past_id', space, name || '_past');
    EXECUTE format('CREATE VIEW %I.%I AS SELECT *, ''infinity''::timestamptz AS valid_to, NULL::uuid AS audit_id FROM %s
                    UNION ALL SELECT * FROM %I.%I', space, name || '_all', live, space, name || '_past');
    -- A bulk insert has no past and no difference to note: its guard is the cheap condition of the second trigger.
    EXECUTE format('CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION kehu.keep(%s)', live, args);
    EXECUTE format('CREATE TRIGGER keep_insert BEFORE INSERT ON %s FOR EACH ROW
                    WHEN (current_setting(''kehu.bulk'', true) IS DISTINCT FROM ''on'') EXECUTE FUNCTION kehu.keep(%s)', live, args);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO kehu_app', live);
    EXECUTE format('GRANT SELECT, INSERT ON %I.%I TO kehu_app', space, name || '_past');
    EXECUTE format('GRANT SELECT ON %I.%I TO kehu_app', space, name || '_all');
END $$;

-- Rights ---------------------------------------------------------------------------------------------------------------
GRANT SELECT ON kehu.clock, kehu.incarnation, kehu.event_range, kehu.revocation TO kehu_app, kehu_seal;
GRANT UPDATE ON kehu.clock TO kehu_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON kehu.idempotency, kehu.event_cursor, kehu.data_key TO kehu_app;
GRANT INSERT ON kehu.audit, kehu.access_log, kehu.event, kehu.event_range, kehu.revocation TO kehu_app;
GRANT SELECT ON kehu.event, kehu.access_log TO kehu_app;
GRANT SELECT ON kehu.audit TO kehu_app, kehu_seal;
GRANT DELETE ON kehu.revocation TO kehu_app;
REVOKE EXECUTE ON FUNCTION kehu.add_months(int), kehu.enrol(regclass, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kehu.add_months(int) TO kehu_app;
