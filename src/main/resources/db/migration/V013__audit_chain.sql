-- Why: the audit becomes a chain that anybody can check. What a row's hash covers is written without ambiguity, rows are
-- sealed in closed ranges of transaction ids by a role that can do nothing else, months past their time leave the database
-- only when a verified file holds them, and every write hands its caller a receipt. Until now the working role could insert
-- a row of any transaction; from here on only of its own, so nothing enters a range that is sealed.

-- More kinds -----------------------------------------------------------------------------------------------------------
ALTER TABLE kehu.audit DROP CONSTRAINT audit_kind_known;
ALTER TABLE kehu.audit ADD CONSTRAINT audit_kind_known CHECK (kind IN (
    'write', 'bulk', 'refusal', 'sign-in', 'unmask', 'export', 'setting', 'approval', 'key', 'grant', 'audit-read', 'archive'));
CREATE INDEX audit_kind ON kehu.audit (kind, at) WHERE kind <> 'write';

-- Changes --------------------------------------------------------------------------------------------------------------
-- A trigger without arguments has no array of them, not an empty one: of tables that hide no column nothing was noted.
CREATE OR REPLACE FUNCTION kehu.keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    audit_id text := current_setting('kehu.audit_id', true);
    old_json jsonb;
    new_json jsonb;
    hidden   text[] := coalesce(TG_ARGV, '{}') || '{version,valid_from}'::text[];
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
            old_json := to_jsonb(OLD) - hidden;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            new_json := jsonb_strip_nulls(to_jsonb(NEW) - hidden);
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

-- Leaves ---------------------------------------------------------------------------------------------------------------
-- Every column of a row but its leaf, as texts in a fixed order: what is hashed, dumped and archived. Times are
-- microseconds since 1970.
-- In plpgsql, which here costs a tenth of what a function in SQL does.
CREATE FUNCTION kehu.audit_texts(r kehu.audit) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ARRAY[
        (extract(epoch FROM r.at) * 1000000)::bigint::text, r.incarnation::text, r.xid::text, r.ord::text, r.id::text,
        r.kind, r.operation, r.actor::text, r.audience, r.actor_name, r.session::text, r.address, r.request_id, r.purpose,
        r.approval_id::text, r.object_type, r.object_id::text, r.object_version::text, r.code, r.args::text,
        r.row_count::text, encode(r.rows_hash, 'hex'), r.first_id, r.last_id, r.changes::text];
END $$;

-- SHA-256 over 0x00 (RFC 6962, section 2.1: a leaf is never an inner node) and the texts as PostgreSQL writes an array:
-- quoted where needed, NULL apart from every text. The former leaf joined them with a character that a text may hold.
CREATE OR REPLACE FUNCTION kehu.audit_leaf(r kehu.audit) RETURNS bytea LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sha256('\x00'::bytea || convert_to(kehu.audit_texts(r)::text, 'UTF8'));
END $$;
-- Nothing is sealed yet: rows of before get the leaf that will be sealed.
UPDATE kehu.audit a SET leaf = kehu.audit_leaf(a);

-- The end of a write: as before, and it answers the receipt, "<audit id>:<leaf>", which a repeated command gets again.
ALTER TABLE kehu.idempotency ADD COLUMN receipt text;
DROP FUNCTION kehu.leave(jsonb, jsonb, int, bytea, text, text);
CREATE FUNCTION kehu.leave(audit jsonb, events jsonb, status int, answer bytea, etag text, location text)
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r       kehu.audit;
    pending text := current_setting('kehu.changes', true);
    here    int := kehu.incarnation();
    moment  timestamptz := kehu.now();
    given   text;
BEGIN
    r := jsonb_populate_record(NULL::kehu.audit, audit);
    r.at := moment;
    r.incarnation := here;
    r.xid := pg_current_xact_id();
    r.ord := coalesce(r.ord, 0);
    r.id := coalesce(r.id, current_setting('kehu.audit_id')::uuid);
    r.changes := CASE WHEN pending <> '' THEN ('[' || substr(pending, 2) || ']')::jsonb END;
    r.leaf := kehu.audit_leaf(r);
    given := r.id || ':' || encode(r.leaf, 'hex');
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
            code = r.code, args = r.args, receipt = given
        WHERE i.principal = r.actor AND i.operation = r.operation AND i.key = audit ->> 'key';
    END IF;
    RETURN given;
END $$;
REVOKE EXECUTE ON FUNCTION kehu.leave(jsonb, jsonb, int, bytea, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kehu.leave(jsonb, jsonb, int, bytea, text, text) TO kehu_app;

-- The condition is looked at by the executor, so the function is called for rows that are refused and no others.
CREATE FUNCTION kehu.refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'kehu_owner' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an audit row belongs to the transaction that leaves it' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER own_transaction BEFORE INSERT ON kehu.audit FOR EACH ROW
    WHEN (NEW.xid <> pg_current_xact_id()) EXECUTE FUNCTION kehu.refuse_entry();

-- Seals ----------------------------------------------------------------------------------------------------------------
-- One per closed range that holds rows; ranges follow each other without a gap within an incarnation. What hash and
-- signature cover is written in io.kehu.audit.Seal. `previous` is unique, so the chain has no branches.
CREATE TABLE kehu.audit_seal (
    number      bigint PRIMARY KEY,
    incarnation int NOT NULL,
    from_xid    xid8 NOT NULL,
    to_xid      xid8 NOT NULL,
    row_count   int NOT NULL CONSTRAINT audit_seal_rows_some CHECK (row_count > 0),
    root        bytea NOT NULL,
    previous    bytea NOT NULL,
    hash        bytea NOT NULL,
    kid         text NOT NULL,
    signature   bytea NOT NULL,
    sealed_at   timestamptz NOT NULL,
    CONSTRAINT audit_seal_range_once UNIQUE (incarnation, from_xid),
    CONSTRAINT audit_seal_previous_once UNIQUE (previous),
    CONSTRAINT audit_seal_range_order CHECK (from_xid < to_xid),
    CONSTRAINT audit_seal_number_counted CHECK (number > 0),
    CONSTRAINT audit_seal_lengths CHECK (length(root) = 32 AND length(previous) = 32 AND length(hash) = 32 AND length(signature) = 64)
);
CREATE INDEX audit_seal_time ON kehu.audit_seal (sealed_at);
GRANT SELECT ON kehu.audit_seal TO kehu_app, kehu_seal;
GRANT INSERT ON kehu.audit_seal TO kehu_seal;

-- Archives -------------------------------------------------------------------------------------------------------------
-- Months that have left the database, and the file that holds them.
CREATE TABLE kehu.audit_archive (
    month       date PRIMARY KEY,
    file        text NOT NULL,
    sha256      bytea NOT NULL CONSTRAINT audit_archive_hash_whole CHECK (length(sha256) = 32),
    bytes       bigint NOT NULL,
    row_count   bigint NOT NULL,
    -- None where nothing happened in that month.
    first_seal  bigint,
    last_seal   bigint,
    archived_at timestamptz NOT NULL,
    CONSTRAINT audit_archive_seals_order CHECK (first_seal <= last_seal AND (first_seal IS NULL) = (row_count = 0))
);
GRANT SELECT ON kehu.audit_archive TO kehu_app, kehu_seal;

-- Rows that were brought back from an archive for reading; nothing rests on them.
CREATE TABLE kehu.audit_restored (LIKE kehu.audit, CONSTRAINT audit_restored_once PRIMARY KEY (id));
CREATE INDEX audit_restored_chain ON kehu.audit_restored (incarnation, xid, ord);
CREATE INDEX audit_restored_time ON kehu.audit_restored (at, id);
CREATE INDEX audit_restored_object ON kehu.audit_restored (object_id, at) WHERE object_id IS NOT NULL;
CREATE INDEX audit_restored_actor ON kehu.audit_restored (actor, at);
GRANT SELECT, INSERT, DELETE ON kehu.audit_restored TO kehu_seal;

CREATE VIEW kehu.audit_readable AS SELECT * FROM kehu.audit UNION ALL SELECT * FROM kehu.audit_restored;
GRANT SELECT ON kehu.audit_readable TO kehu_app;

-- Kehu's own audit row, for what the database does itself.
CREATE FUNCTION kehu.audit_own(operation text, object_type text, about jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made uuid := uuidv7();
    self uuid := '00000000-0000-0000-0000-000000000001';
BEGIN
    PERFORM kehu.enter(made, false, self, operation, NULL, NULL);
    PERFORM kehu.leave(jsonb_build_object(
        'id', made, 'kind', 'archive', 'operation', operation, 'actor', self, 'audience', 'STAFF', 'actor_name', 'kehu',
        'address', 'internal', 'request_id', 'internal-' || made, 'object_type', object_type, 'object_id', made,
        'object_version', 1) || about, '[]', NULL, NULL, NULL, NULL);
END $$;

-- Takes a month out of the database: the oldest one, past its time, all of it sealed, and as many rows as the verified file
-- was found to hold of it. `hot_days` is the setting; what is younger than 30 days is not given up whatever it says.
CREATE FUNCTION kehu.archive_audit_month(month date, file text, sha256 bytea, bytes bigint, row_count bigint,
                                         first_seal bigint, last_seal bigint, hot_days int)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    part     text := 'audit_' || to_char(month, 'YYYYMM');
    ends     timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    there    bigint;
    unsealed boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits
                   WHERE inhparent = 'kehu.audit'::regclass AND inhrelid = to_regclass('kehu.' || part)) THEN
        RAISE EXCEPTION 'there is no month % of the audit', part USING ERRCODE = 'undefined_table';
    END IF;
    IF ends > kehu.now() - make_interval(days => greatest(hot_days, 30)) THEN
        RAISE EXCEPTION 'the month % of the audit is too young', part
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_archive_month_past';
    END IF;
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'kehu.audit'::regclass AND c.relname ~ '^audit_[0-9]{6}$' AND c.relname < part) THEN
        RAISE EXCEPTION 'an older month than % is still there', part
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_archive_month_oldest';
    END IF;
    EXECUTE format('LOCK TABLE kehu.%I IN ACCESS EXCLUSIVE MODE', part);
    EXECUTE format('SELECT count(*) FROM kehu.%I', part) INTO there;
    EXECUTE format($q$
        SELECT EXISTS (SELECT FROM kehu.%I p WHERE NOT EXISTS (
            SELECT FROM kehu.audit_seal f, kehu.audit_seal l
            WHERE f.number = $1 AND l.number = $2 AND (p.incarnation, p.xid) >= (f.incarnation, f.from_xid)
              AND (p.incarnation, p.xid) < (l.incarnation, l.to_xid)))$q$, part)
        INTO unsealed USING first_seal, last_seal;
    IF there <> row_count OR unsealed THEN
        RAISE EXCEPTION 'the archive does not hold the month %', part
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_archive_month_whole';
    END IF;
    INSERT INTO kehu.audit_archive (month, file, sha256, bytes, row_count, first_seal, last_seal, archived_at)
    VALUES (month, file, sha256, bytes, row_count, first_seal, last_seal, kehu.now());
    EXECUTE format('ALTER TABLE kehu.audit DETACH PARTITION kehu.%I', part);
    EXECUTE format('DROP TABLE kehu.%I', part);
    PERFORM kehu.audit_own('archiveAudit', 'audit-archive', jsonb_build_object(
        'row_count', row_count, 'rows_hash', sha256::text, 'first_id', first_seal::text, 'last_id', last_seal::text,
        'args', jsonb_build_array(part, file)));
END $$;

-- Drops the months of the access log past their time; a month that begins now has begun for whoever reads.
CREATE FUNCTION kehu.drop_access_months(keep_days int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    part  text;
    there bigint;
    gone  int := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'kehu.access_log'::regclass AND c.relname ~ '^access_log_[0-9]{6}$'
          AND (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC'
              <= kehu.now() - make_interval(days => greatest(keep_days, 30))
        ORDER BY 1
    LOOP
        EXECUTE format('SELECT count(*) FROM kehu.%I', part) INTO there;
        EXECUTE format('DROP TABLE kehu.%I', part);
        PERFORM kehu.audit_own('dropAccessLog', 'access-log', jsonb_build_object(
            'ord', gone, 'row_count', there, 'args', jsonb_build_array(part)));
        gone := gone + 1;
    END LOOP;
    RETURN gone;
END $$;

REVOKE EXECUTE ON FUNCTION kehu.audit_own(text, text, jsonb), kehu.drop_access_months(int),
    kehu.archive_audit_month(date, text, bytea, bigint, bigint, bigint, bigint, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kehu.drop_access_months(int),
    kehu.archive_audit_month(date, text, bytea, bigint, bigint, bigint, bigint, int) TO kehu_seal;

-- Who may read ---------------------------------------------------------------------------------------------------------
-- Published for other domains: what a record may call whoever worked here at the time, also after he has left.
CREATE VIEW iam.staff_of_record AS
SELECT s.id, s.username, b.code AS branch_code, b.name AS branch_name FROM iam.staff s JOIN iam.branch b ON b.id = s.branch_id;
GRANT SELECT ON iam.staff_of_record TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{audit:read,customer:access-log}' WHERE code = 'auditor';
UPDATE iam.role SET permissions = permissions || '{customer:access-log}' WHERE code = 'branch-head';
