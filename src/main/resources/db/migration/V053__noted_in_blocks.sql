-- Why: what a write changes was kept for its audit row in one text, which each change copied to make it longer: two thousand changes
-- of one write took ten seconds of copying, and the work that follows the events stood still meanwhile. Now it is kept in blocks.

-- Notes one difference, {"table", "change", "before", "after"}, for the audit row that this transaction will leave. A block that is
-- full is put aside under a name of its own (a setting of this transaction), so that no note copies more than one block.
CREATE FUNCTION kehu.note(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    block text := current_setting('kehu.changes');
    aside int;
BEGIN
    IF octet_length(block) >= 16384 THEN
        aside := current_setting('kehu.changes_aside')::int + 1;
        PERFORM set_config('kehu.changes_' || aside, block, true), set_config('kehu.changes_aside', aside::text, true);
        block := '';
    END IF;
    PERFORM set_config('kehu.changes', block || ',' || change::text, true);
END $$;

-- All that was noted, in its order; null for nothing.
CREATE FUNCTION kehu.noted() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    block text := current_setting('kehu.changes', true);
    aside int := coalesce(nullif(current_setting('kehu.changes_aside', true), ''), '0');
BEGIN
    IF aside > 0 THEN
        block := (SELECT string_agg(current_setting('kehu.changes_' || n), '' ORDER BY n) FROM generate_series(1, aside) n) || block;
    END IF;
    RETURN CASE WHEN block <> '' THEN ('[' || substr(block, 2) || ']')::jsonb END;
END $$;

-- As before, but for where they note or read what was noted.
CREATE OR REPLACE FUNCTION kehu.enter(audit_id uuid, bulk boolean, principal uuid, operation text, key text, body_hash bytea)
    RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('kehu.audit_id', audit_id::text, true),
            set_config('kehu.changes', '', true),
            set_config('kehu.changes_aside', '0', true),
            set_config('kehu.bulk', CASE WHEN bulk THEN 'on' ELSE 'off' END, true);
    IF key IS NOT NULL THEN
        INSERT INTO kehu.idempotency (principal, operation, key, body_hash)
        VALUES (enter.principal, enter.operation, enter.key, enter.body_hash);
    END IF;
    RETURN kehu.now();
END $$;

CREATE OR REPLACE FUNCTION kehu.leave(audit jsonb, events jsonb, status int, answer bytea, etag text, location text)
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r       kehu.audit;
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
    r.changes := kehu.noted();
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

CREATE OR REPLACE FUNCTION kehu.keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    audit_id text := current_setting('kehu.audit_id', true);
    old_json jsonb;
    new_json jsonb;
    args     text[] := coalesce(TG_ARGV, '{}');  -- counted from 0
    mark     int := array_position(args, '~');
    hidden   text[] := CASE WHEN mark IS NULL THEN args ELSE args[:mark - 1] END || '{version,valid_from}'::text[];
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
        IF mark IS NOT NULL THEN
            old_json := kehu.without_values(old_json, args[mark + 1:]);
            new_json := kehu.without_values(new_json, args[mark + 1:]);
        END IF;
        PERFORM kehu.note(jsonb_build_object(
            'table', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, 'change', lower(TG_OP),
            'before', old_json, 'after', new_json));
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE OR REPLACE FUNCTION customer.note_interaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('kehu.audit_id', true), '') = '' AND current_user <> 'kehu_owner' THEN
        RAISE EXCEPTION 'customer.interaction may only be changed through the doors of the database';
    END IF;
    IF coalesce(current_setting('kehu.audit_id', true), '') <> '' AND current_setting('kehu.bulk') <> 'on' THEN
        PERFORM kehu.note(jsonb_build_object(
            'table', 'customer.interaction', 'change', 'insert', 'before', NULL,
            'after', jsonb_strip_nulls(to_jsonb(NEW))));
    END IF;
    RETURN NEW;
END $$;
