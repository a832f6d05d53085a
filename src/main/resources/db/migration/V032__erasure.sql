-- Why: a person may be forgotten. Nobody does it alone, nobody does it at once, and what is done cannot be undone by a restore:
-- another person approves it whatever the policies say, a time of grace follows in which it can be taken back, and then the key
-- of the person is deleted, with every plain fact about him. What remains is a signed entry, here and outside the database, from
-- which a restored copy learns whom it has to forget again.

-- Always approved ------------------------------------------------------------------------------------------------------
-- A policy that follows 'always' is in force without being enabled, and brings no other into force.
CREATE OR REPLACE FUNCTION iam.approval_in_force(code text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM iam.approval_policy p
                   LEFT JOIN iam.approval_policy o ON o.enabled AND (o.code = p.code OR p.follows IN (o.code, '*'))
                   WHERE p.code = approval_in_force.code AND (p.follows = 'always' OR o.id IS NOT NULL))
$$;

INSERT INTO iam.approval_policy (id, code, follows, branch_rule, expiry_minutes, levels, about_en, about_zh) VALUES
(uuidv7(), 'customer-deletion', 'always', 'sameOrAbove', 4320, '[{"approvers": 1, "permission": "customer:approve"}]',
    'Deletion of customers; always in force', '删除客户；始终生效');

-- Published for the domain of customers: what accounts of end customers, and commands that waited, hold of them.
CREATE FUNCTION iam.forget_members(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE iam.session SET revoked_at = coalesce(revoked_at, kehu.now()), address = 'erased' WHERE subject_id = ANY (customers);
    DELETE FROM iam.registration WHERE customer_id = ANY (customers);
    DELETE FROM iam.member WHERE id = ANY (customers);
    UPDATE iam.member_past SET username = '', password_hash = '' WHERE id = ANY (customers);
    DELETE FROM iam.approval_content c USING iam.approval a WHERE a.id = c.approval_id AND a.object_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION iam.forget_members(uuid[]) FROM PUBLIC;

-- Deletions ------------------------------------------------------------------------------------------------------------
CREATE TABLE customer.deletion (
    id          uuid CONSTRAINT deletion_once PRIMARY KEY,
    -- The record that stood for the customer then; its sides are forgotten with it.
    customer_id uuid NOT NULL CONSTRAINT deletion_customer_known REFERENCES customer.customer,
    reason      text NOT NULL CONSTRAINT deletion_reason_known
                CHECK (reason IN ('customer-request', 'retention-over', 'entered-by-mistake', 'consent-withdrawn')),
    asked_by    uuid NOT NULL,
    asked_at    timestamptz NOT NULL,
    -- Null only in the trial run that finds out who has to approve it.
    approval_id uuid CONSTRAINT deletion_approval_known REFERENCES iam.approval,
    -- The end of the grace.
    due_at      timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'waiting' CONSTRAINT deletion_state_known CHECK (state IN ('waiting', 'cancelled', 'erased')),
    ended_at    timestamptz,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT deletion_end_told CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX deletion_waiting_once ON customer.deletion (customer_id) WHERE state = 'waiting';
CREATE INDEX deletion_customer ON customer.deletion (customer_id, asked_at DESC);
CREATE INDEX deletion_newest ON customer.deletion (asked_at DESC, id DESC);
CREATE INDEX deletion_due ON customer.deletion (due_at) WHERE state = 'waiting';
SELECT kehu.enrol('customer.deletion');

-- What keeps somebody from being deleted (an open account, a case) only its owner knows: it publishes a view (customer_id, reason)
-- and names it here in its migration.
CREATE TABLE customer.deletion_blocker (
    space text NOT NULL,
    name  text NOT NULL,
    CONSTRAINT deletion_blocker_once PRIMARY KEY (space, name)
);
GRANT SELECT ON customer.deletion_blocker TO kehu_app;

CREATE FUNCTION customer.deletion_blocked(customer uuid) RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
    blocker customer.deletion_blocker;
BEGIN
    FOR blocker IN SELECT * FROM customer.deletion_blocker ORDER BY space, name LOOP
        RETURN QUERY EXECUTE format('SELECT DISTINCT b.reason::text FROM %I.%I b WHERE b.customer_id IN (SELECT customer.sides($1))',
                                    blocker.space, blocker.name) USING customer;
    END LOOP;
END $$;

-- Erasures -------------------------------------------------------------------------------------------------------------
CREATE TABLE customer.erasure (
    -- That of the deletion.
    id           uuid CONSTRAINT erasure_once PRIMARY KEY,
    customer_id  uuid NOT NULL,
    -- In order: every side there was. Not all of them need be in a restored copy.
    customer_ids uuid[] NOT NULL,
    reason       text NOT NULL,
    asked_at     timestamptz NOT NULL,
    approval_id  uuid NOT NULL,
    erased_at    timestamptz NOT NULL,
    -- When the last backup that still holds the wrapped keys has expired.
    final_at     timestamptz NOT NULL,
    -- Of the epoch keys that wrapped the keys that were deleted.
    epochs       int[] NOT NULL,
    -- The signed entry, to the letter, as it stands in the list outside.
    line         text NOT NULL,
    -- Since this copy of the database was restored.
    replayed_at  timestamptz,
    CONSTRAINT erasure_final_later CHECK (final_at >= erased_at)
);
CREATE INDEX erasure_customer ON customer.erasure (customer_id);
CREATE TABLE customer.erased (
    customer_id uuid CONSTRAINT erased_once PRIMARY KEY,
    erasure_id  uuid NOT NULL CONSTRAINT erased_by REFERENCES customer.erasure
);
GRANT SELECT ON customer.erasure, customer.erased TO kehu_app;

CREATE FUNCTION customer.refuse_return() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM customer.erased e WHERE e.customer_id = NEW.id) THEN
        RAISE EXCEPTION 'erased' USING ERRCODE = 'check_violation', CONSTRAINT = 'customer_erased_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_return BEFORE UPDATE OF deleted_at ON customer.customer FOR EACH ROW
    WHEN (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL) EXECUTE FUNCTION customer.refuse_return();

-- Forgets: the keys, the ways to find him, every plain fact that may be absent (also of columns that come later), each
-- ciphertext. Other tables have theirs done by a function customer.erase_<section>(uuid[]) of their owner. Nothing of it is
-- noted in the audit, where it would stay.
CREATE FUNCTION customer.wipe(customers uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    before text := current_setting('kehu.bulk');
    facts  text;
    other  record;
BEGIN
    PERFORM set_config('kehu.bulk', 'on', true);
    DELETE FROM kehu.data_key WHERE subject_id = ANY (customers);
    DELETE FROM customer.blind WHERE seq IN (SELECT c.seq FROM customer.customer c WHERE c.id = ANY (customers));
    SELECT string_agg(format('%I = NULL', a.attname), ', ') INTO facts
    FROM pg_attribute a
    WHERE a.attrelid = 'customer.customer'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.attnotnull
      AND a.attgenerated = '' AND a.attname NOT IN ('manager_id', 'deleted_at');
    EXECUTE 'UPDATE customer.customer SET ' || facts || ', tokens = ''{}'', deleted_at = coalesce(deleted_at, kehu.now()) WHERE id = ANY ($1)'
        USING customers;
    UPDATE customer.sealed SET personal = '' WHERE id = ANY (customers);
    -- After the live rows: those have just become the last of the past.
    EXECUTE 'UPDATE customer.customer_past SET ' || facts || ', tokens = ''{}'' WHERE id = ANY ($1)' USING customers;
    UPDATE customer.sealed_past SET personal = '' WHERE id = ANY (customers);
    UPDATE customer.interaction_revision r SET sealed = NULL
    FROM customer.interaction i WHERE i.id = r.id AND i.customer_id = ANY (customers) AND r.sealed IS NOT NULL;
    UPDATE customer.interaction_revision_past r SET sealed = NULL
    FROM customer.interaction i WHERE i.id = r.id AND i.customer_id = ANY (customers) AND r.sealed IS NOT NULL;
    UPDATE customer.interaction SET sealed = NULL WHERE customer_id = ANY (customers) AND sealed IS NOT NULL;
    FOR other IN
        SELECT p.proname FROM pg_proc p
        WHERE p.pronamespace = 'customer'::regnamespace AND p.proname ~ '^erase_[a-z_]+$' AND p.pronargs = 1 AND p.proargtypes[0] = 'uuid[]'::regtype
        ORDER BY p.proname
    LOOP
        EXECUTE format('SELECT customer.%I($1)', other.proname) USING customers;
    END LOOP;
    PERFORM iam.forget_members(customers), set_config('kehu.bulk', before, true);
END $$;
REVOKE EXECUTE ON FUNCTION customer.wipe(uuid[]) FROM PUBLIC;

-- What the bank called him.
CREATE FUNCTION customer.erase_tags(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.customer_tag WHERE customer_id = ANY (customers);
    DELETE FROM customer.customer_tag_past WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_tags(uuid[]) FROM PUBLIC;

-- What the working role may not do by itself: forget a customer whose deletion was approved, whose grace is over by kehu.now(),
-- and whom nothing keeps. `entry` is what the signed line says.
CREATE FUNCTION customer.erase(deletion uuid, entry jsonb, line text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    d     customer.deletion;
    sides uuid[];
    told  text;
BEGIN
    IF coalesce(current_setting('kehu.audit_id', true), '') = '' THEN
        RAISE EXCEPTION 'customers are erased through the doors of the database';
    END IF;
    SELECT * INTO d FROM customer.deletion x WHERE x.id = erase.deletion FOR UPDATE;
    sides := ARRAY(SELECT s FROM customer.sides(d.customer_id) s ORDER BY s);
    told := CASE
        WHEN d.id IS NULL OR d.state <> 'waiting' THEN 'deletion_erase_waiting'
        WHEN d.due_at > kehu.now() THEN 'deletion_erase_due'
        WHEN NOT EXISTS (SELECT FROM iam.approval a
                         WHERE a.id = d.approval_id AND a.state = 'executed' AND a.policy = 'customer-deletion' AND a.object_id = d.customer_id
                           AND EXISTS (SELECT FROM iam.approval_decision y WHERE y.approval_id = a.id AND y.verdict = 'approve'
                                         AND y.decider_id <> a.maker_id)) THEN 'deletion_erase_approved'
        WHEN EXISTS (SELECT FROM customer.deletion_blocked(d.customer_id)) THEN 'deletion_erase_free'
        WHEN sides <> ARRAY(SELECT jsonb_array_elements_text(entry -> 'customerIds')::uuid) THEN 'deletion_erase_whole' END;
    IF told IS NOT NULL THEN
        RAISE EXCEPTION 'not to be erased' USING ERRCODE = 'check_violation', CONSTRAINT = told;
    END IF;
    PERFORM customer.wipe(sides);
    INSERT INTO customer.erasure (id, customer_id, customer_ids, reason, asked_at, approval_id, erased_at, final_at, epochs, line)
    VALUES (d.id, d.customer_id, sides, d.reason, d.asked_at, d.approval_id, (entry ->> 'erasedAt')::timestamptz,
            (entry ->> 'finalAt')::timestamptz, ARRAY(SELECT jsonb_array_elements_text(entry -> 'epochs')::int), erase.line);
    INSERT INTO customer.erased (customer_id, erasure_id) SELECT s, d.id FROM unnest(sides) s;
    UPDATE customer.deletion x SET state = 'erased', ended_at = kehu.now() WHERE x.id = d.id;
END $$;

-- In a restored copy: forgets again what a signed entry of the list outside says, which its caller has checked. The copy need not
-- know the deletion, nor the customer.
CREATE FUNCTION customer.replay_erasure(entry jsonb, line text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
DECLARE
    number uuid := (entry ->> 'id')::uuid;
    sides  uuid[] := ARRAY(SELECT jsonb_array_elements_text(entry -> 'customerIds')::uuid);
BEGIN
    IF coalesce(current_setting('kehu.audit_id', true), '') = '' THEN
        RAISE EXCEPTION 'customers are erased through the doors of the database';
    END IF;
    PERFORM FROM customer.deletion d WHERE d.id = number FOR UPDATE;
    PERFORM customer.wipe(sides);
    INSERT INTO customer.erasure (id, customer_id, customer_ids, reason, asked_at, approval_id, erased_at, final_at, epochs, line, replayed_at)
    VALUES (number, (entry ->> 'customerId')::uuid, sides, entry ->> 'reason', (entry ->> 'askedAt')::timestamptz,
            (entry ->> 'approvalId')::uuid, (entry ->> 'erasedAt')::timestamptz, (entry ->> 'finalAt')::timestamptz,
            ARRAY(SELECT jsonb_array_elements_text(entry -> 'epochs')::int), replay_erasure.line, kehu.now())
    ON CONFLICT (id) DO UPDATE SET replayed_at = excluded.replayed_at;
    INSERT INTO customer.erased (customer_id, erasure_id) SELECT s, number FROM unnest(sides) s ON CONFLICT DO NOTHING;
    UPDATE customer.deletion d SET state = 'erased', ended_at = kehu.now() WHERE d.id = number AND d.state = 'waiting';
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase(uuid, jsonb, text), customer.replay_erasure(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION customer.erase(uuid, jsonb, text), customer.replay_erasure(jsonb, text) TO kehu_app;

-- Plain facts in the audit ---------------------------------------------------------------------------------------------
-- The audit is never changed, so a plain fact about a person that it noted would stay for good. From here on it says that such
-- a fact changed, and not from what to what: the values are in the past of the table, where they can be erased. The columns that
-- follow the argument '~' of the trigger are such facts.
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
        PERFORM set_config('kehu.changes', current_setting('kehu.changes') || ',' || jsonb_build_object(
            'table', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, 'change', lower(TG_OP),
            'before', old_json, 'after', new_json)::text, true);
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- That such a fact is there, and not what it is; an absent one stays absent.
CREATE FUNCTION kehu.without_values(change jsonb, personal text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT change || coalesce((
        SELECT jsonb_object_agg(p.name, '*') FROM unnest(personal) p(name) WHERE change ->> p.name IS NOT NULL), '{}')
$$;

-- Marks columns of an enrolled table as such facts; those that are left out of the audit altogether stay left out.
CREATE FUNCTION kehu.mark_personal(live regclass, VARIADIC personal text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hidden text[] := (SELECT array_remove(string_to_array(encode(t.tgargs, 'escape'), '\000'), '')
                      FROM pg_trigger t WHERE t.tgrelid = live AND t.tgname = 'keep');
    args   text := (SELECT string_agg(quote_literal(h), ', ') FROM unnest(hidden || '~'::text || personal) h);
BEGIN
    EXECUTE format('DROP TRIGGER keep ON %s', live);
    EXECUTE format('DROP TRIGGER keep_insert ON %s', live);
    EXECUTE format('CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION kehu.keep(%s)', live, args);
    EXECUTE format('CREATE TRIGGER keep_insert BEFORE INSERT ON %s FOR EACH ROW
                    WHEN (current_setting(''kehu.bulk'', true) IS DISTINCT FROM ''on'') EXECUTE FUNCTION kehu.keep(%s)', live, args);
END $$;
REVOKE EXECUTE ON FUNCTION kehu.mark_personal(regclass, text[]) FROM PUBLIC;
SELECT kehu.mark_personal('customer.customer', 'region_code', 'birth_date', 'gender', 'marital_status', 'occupation', 'annual_income',
                          'assets', 'liabilities');

-- Rights ---------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{customer:delete}' WHERE code IN ('branch-head', 'customer-manager');
UPDATE iam.role SET permissions = permissions || '{erasure:read}' WHERE code IN ('branch-head', 'customer-manager', 'auditor');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, c AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m, unnest(ARRAY['customer:delete', 'erasure:read']) c
      UNION ALL SELECT 'audit:read', 'customer:delete', 'Who proves what was done has done nothing.') p;
