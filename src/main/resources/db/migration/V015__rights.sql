-- Why: who may do what becomes data that people change: roles, grants that end by themselves, requests for them, and pairs of
-- permissions that nobody may hold together. The database keeps the pairs apart whatever way somebody comes to his rights;
-- changes of rights stand in one line (lock_rights), because two that are each right alone may be wrong together.

-- One at a time, until the end of the transaction. Taken before any row: who holds a row and waits here could be waited for.
CREATE FUNCTION iam.lock_rights() RETURNS void LANGUAGE sql AS
$$ SELECT pg_advisory_xact_lock(hashtext('kehu.rights')) $$;

-- Roles ----------------------------------------------------------------------------------------------------------------
ALTER TABLE iam.role RENAME CONSTRAINT role_pkey TO role_code_once;
ALTER TABLE iam.role
    ADD COLUMN id         uuid NOT NULL DEFAULT uuidv7(),
    ADD COLUMN built_in   boolean NOT NULL DEFAULT false,
    ADD COLUMN version    bigint NOT NULL DEFAULT 1,
    ADD COLUMN valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    ADD CONSTRAINT role_id_once UNIQUE (id),
    ADD CONSTRAINT role_permissions_some CHECK (cardinality(permissions) BETWEEN 1 AND 200);
UPDATE iam.role SET built_in = true;

-- What the rows of this and later migrations need. Roles keep what they have: every file appends.
UPDATE iam.role SET permissions = permissions || '{role:manage,duty:manage,grant:manage,permission-request:decide,right:read}'
WHERE code = 'administrator';
UPDATE iam.role SET permissions = permissions || '{right:read}' WHERE code = 'auditor';
UPDATE iam.role SET permissions = permissions || '{permission-request:decide}' WHERE code = 'branch-head';

-- Whoever manages staff and roles can always be appointed again.
ALTER TABLE iam.role ADD CONSTRAINT role_administrator_able
    CHECK (code <> 'administrator' OR permissions @> '{staff:manage,role:manage}');
SELECT kehu.enrol('iam.role');

-- Pairs that nobody may hold together -----------------------------------------------------------------------------------
CREATE TABLE iam.duty_conflict (
    id         uuid PRIMARY KEY,
    -- In alphabetical order, so that a pair is one row.
    first      text NOT NULL,
    second     text NOT NULL,
    reason     text NOT NULL,
    built_in   boolean NOT NULL DEFAULT false,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT duty_conflict_pair_once UNIQUE (first, second),
    CONSTRAINT duty_conflict_pair_order CHECK (first COLLATE "C" < second COLLATE "C")
);
SELECT kehu.enrol('iam.duty_conflict');

-- Requests for more, and grants -----------------------------------------------------------------------------------------
CREATE TABLE iam.permission_request (
    id              uuid PRIMARY KEY,
    staff_id        uuid NOT NULL CONSTRAINT permission_request_staff_known REFERENCES iam.staff,
    roles           text[] NOT NULL,
    permissions     text[] NOT NULL,
    branch_ids      uuid[] NOT NULL,
    customer_ids    uuid[] NOT NULL,
    reason          text NOT NULL,
    -- Null for: as soon as it is approved.
    starts_at       timestamptz,
    ends_at         timestamptz NOT NULL,
    made_at         timestamptz NOT NULL DEFAULT kehu.now(),
    -- After it nobody can approve any more.
    lapses_at       timestamptz NOT NULL,
    state           text NOT NULL DEFAULT 'pending'
                    CONSTRAINT permission_request_state_known CHECK (state IN ('pending', 'approved', 'rejected', 'withdrawn')),
    decided_by      uuid,
    decided_at      timestamptz,
    decision_reason text,
    version         bigint NOT NULL DEFAULT 1,
    valid_from      timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT permission_request_reviewer_other
        CHECK (state NOT IN ('approved', 'rejected') OR decided_by <> staff_id),
    CONSTRAINT permission_request_decision_whole
        CHECK ((state = 'pending') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL))
);
CREATE INDEX permission_request_staff ON iam.permission_request (staff_id, made_at, id);
CREATE INDEX permission_request_newest ON iam.permission_request (made_at, id);
SELECT kehu.enrol('iam.permission_request');

-- More rights for a while. Nothing has to happen at its end: who asks what somebody may do asks for that moment.
CREATE TABLE iam.grant (
    id           uuid PRIMARY KEY,
    staff_id     uuid NOT NULL CONSTRAINT grant_staff_known REFERENCES iam.staff,
    roles        text[] NOT NULL,
    permissions  text[] NOT NULL,
    -- Each with all below it. Where no place is named, roles bring their own scope; permissions alone bring none.
    branch_ids   uuid[] NOT NULL,
    customer_ids uuid[] NOT NULL,
    reason       text NOT NULL,
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    -- Earlier than planned, maybe before it began.
    ended_at     timestamptz,
    lasts        tstzrange NOT NULL GENERATED ALWAYS AS
                 (tstzrange(starts_at, greatest(starts_at, least(ends_at, ended_at)))) STORED,
    given_by     uuid NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT kehu.now(),
    request_id   uuid CONSTRAINT grant_request_known REFERENCES iam.permission_request,
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT grant_request_once UNIQUE (request_id),
    CONSTRAINT grant_giver_other CHECK (given_by <> staff_id),
    CONSTRAINT grant_period_order CHECK (starts_at < ends_at AND ends_at <= starts_at + interval '366 days'),
    CONSTRAINT grant_gift_some CHECK (cardinality(roles) + cardinality(permissions) + cardinality(branch_ids)
                                      + cardinality(customer_ids) > 0)
);
CREATE INDEX grant_staff ON iam.grant (staff_id, ends_at);
CREATE INDEX grant_newest ON iam.grant (made_at, id);
SELECT kehu.enrol('iam.grant', 'lasts');

-- What somebody may do, and why -----------------------------------------------------------------------------------------
-- Each row one reason: a role, a role for a while, or a gift of permissions and places for a while.
CREATE VIEW iam.source AS
    SELECT s.id AS staff_id, r.code AS role, NULL::uuid AS grant_id, r.permissions, r.scope,
           '{}'::uuid[] AS branch_ids, '{}'::uuid[] AS customer_ids, tstzrange(NULL, NULL) AS lasts
    FROM iam.staff s JOIN iam.role r ON r.code = ANY (s.roles)
    UNION ALL
    SELECT g.staff_id, r.code, g.id, r.permissions,
           CASE WHEN g.branch_ids = '{}' AND g.customer_ids = '{}' THEN r.scope ELSE 'NONE' END, '{}', '{}', g.lasts
    FROM iam.grant g JOIN iam.role r ON r.code = ANY (g.roles)
    UNION ALL
    SELECT g.staff_id, NULL, g.id, g.permissions, 'NONE', g.branch_ids, g.customer_ids, g.lasts
    FROM iam.grant g WHERE g.permissions <> '{}' OR g.branch_ids <> '{}' OR g.customer_ids <> '{}';
GRANT SELECT ON iam.source TO kehu_app;

CREATE FUNCTION iam.scope_rank(scope text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT array_position(ARRAY['NONE', 'OWN', 'BRANCH', 'ALL'], scope) $$;

-- Roles and grants that last all of a time, together: the widest scope, and with it the branches that grants name. Somebody
-- without a scope who is given places sees those and nothing else.
CREATE FUNCTION iam.rights_through(who uuid, through tstzrange)
    RETURNS TABLE (permissions text[], scope text, branch_ids uuid[], customer_ids uuid[]) LANGUAGE sql STABLE AS $$
    WITH mine AS MATERIALIZED (
        SELECT o.permissions, o.scope, o.branch_ids, o.customer_ids FROM iam.source o
        WHERE o.staff_id = who AND o.lasts @> through),
    top AS (
        SELECT coalesce(max(iam.scope_rank(m.scope)), 1) AS rank,
               coalesce(bool_or(m.branch_ids <> '{}' OR m.customer_ids <> '{}'), false) AS placed
        FROM mine m)
    SELECT ARRAY(SELECT DISTINCT p FROM mine m CROSS JOIN unnest(m.permissions) p),
           CASE WHEN top.rank = 1 AND top.placed THEN 'BRANCH' ELSE (ARRAY['NONE', 'OWN', 'BRANCH', 'ALL'])[top.rank] END,
           CASE WHEN top.rank = 4 THEN '{}'::uuid[] ELSE ARRAY(
               SELECT DISTINCT b FROM (
                   SELECT s.branch_id AS top_id WHERE top.rank = 3
                   UNION SELECT unnest(m.branch_ids) FROM mine m) t
               CROSS JOIN unnest(iam.subtree(t.top_id)) b) END,
           ARRAY(SELECT DISTINCT unnest(m.customer_ids) FROM mine m)
    FROM iam.staff s, top WHERE s.id = who
$$;

-- The same of this moment.
CREATE OR REPLACE FUNCTION iam.staff_rights(who uuid)
    RETURNS TABLE (permissions text[], scope text, branch_ids uuid[]) LANGUAGE sql STABLE AS $$
    WITH moment AS MATERIALIZED (SELECT kehu.now() AS at)
    SELECT r.permissions, r.scope, r.branch_ids
    FROM moment CROSS JOIN LATERAL iam.rights_through(who, tstzrange(moment.at, moment.at, '[]')) r
$$;

-- Customers that somebody was given one by one, and when what he may do changes by itself. A change of the last second
-- counts as to come: the parts of a statement do not read the clock at one instant.
CREATE FUNCTION iam.granted(who uuid) RETURNS TABLE (customer_ids uuid[], good_until timestamptz) LANGUAGE sql STABLE AS $$
    WITH moment AS MATERIALIZED (SELECT kehu.now() AS at)
    SELECT ARRAY(SELECT DISTINCT unnest(g.customer_ids) FROM iam.grant g, moment WHERE g.staff_id = who AND g.lasts @> moment.at),
           (SELECT min(t.turn) FROM iam.grant g CROSS JOIN LATERAL (VALUES (lower(g.lasts)), (upper(g.lasts))) t(turn), moment
            WHERE g.staff_id = who AND t.turn > moment.at - interval '1 second')
$$;

-- Who has a role, or will have it for a while. People who have left hold nothing.
CREATE FUNCTION iam.role_holders(role text) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT s.id FROM iam.staff s WHERE role = ANY (s.roles) AND s.state <> 'left'
                 UNION SELECT g.staff_id FROM iam.grant g WHERE role = ANY (g.roles) AND upper(g.lasts) > kehu.now())
$$;
-- A role may have thousands of holders.
CREATE INDEX staff_roles ON iam.staff USING gin (roles);

-- Duties apart ----------------------------------------------------------------------------------------------------------
-- Fails where somebody holds a forbidden pair, now or at the same time in future. A fresh snapshot per statement, and
-- lock_rights before it, make it see every change of rights there is.
CREATE FUNCTION iam.check_duties(who uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hit record;
BEGIN
    WITH held AS MATERIALIZED (
        SELECT DISTINCT o.staff_id, p.permission, o.lasts
        FROM iam.source o
        JOIN iam.staff s ON s.id = o.staff_id AND s.state <> 'left'
        CROSS JOIN LATERAL unnest(o.permissions) p(permission)
        WHERE (who IS NULL OR o.staff_id = ANY (who)) AND NOT isempty(o.lasts)
          AND coalesce(upper(o.lasts) > kehu.now(), true)
          AND EXISTS (SELECT FROM iam.duty_conflict d WHERE p.permission IN (d.first, d.second)))
    SELECT d.first, d.second, count(DISTINCT a.staff_id) AS holders INTO hit
    FROM iam.duty_conflict d
    JOIN held a ON a.permission = d.first
    JOIN held b ON b.permission = d.second AND b.staff_id = a.staff_id AND b.lasts && a.lasts
    GROUP BY d.first, d.second ORDER BY d.first, d.second LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'two duties in one hand' USING ERRCODE = 'check_violation', CONSTRAINT = 'duty_conflict_apart',
            HINT = concat_ws('|', hit.first, hit.second, hit.holders);
    END IF;
END $$;

-- The same of what one role, or one gift, would bring together by itself.
CREATE FUNCTION iam.check_apart(permissions text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hit record;
BEGIN
    SELECT d.first, d.second INTO hit FROM iam.duty_conflict d
    WHERE d.first = ANY (check_apart.permissions) AND d.second = ANY (check_apart.permissions)
    ORDER BY d.first, d.second LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'two duties in one role' USING ERRCODE = 'check_violation', CONSTRAINT = 'duty_conflict_apart',
            HINT = concat_ws('|', hit.first, hit.second, 0);
    END IF;
END $$;

-- What these people may do has changed. `renew` makes their tokens worthless; without it what they may do is only read anew.
-- One line for everybody where they are many: each node reads the lines of five minutes twice a second.
CREATE FUNCTION iam.tell_rights(who uuid[], renew boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bulk text := coalesce(current_setting('kehu.bulk', true), 'off');
BEGIN
    IF renew THEN
        -- The audit has the change itself; it does not need a line for each of its thousand holders.
        PERFORM set_config('kehu.bulk', 'on', true);
        PERFORM FROM iam.staff WHERE id = ANY (who) ORDER BY id FOR UPDATE;
        UPDATE iam.staff SET rights = rights + 1 WHERE id = ANY (who);
        PERFORM set_config('kehu.bulk', bulk, true);
    END IF;
    IF cardinality(who) > 100 THEN
        INSERT INTO kehu.revocation (subject_id, min_version) VALUES ('00000000-0000-0000-0000-000000000000', 0);
    ELSE
        INSERT INTO kehu.revocation (subject_id, min_version) SELECT id, rights FROM iam.staff WHERE id = ANY (who);
    END IF;
END $$;

CREATE FUNCTION iam.guard_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.lock_rights();
    IF TG_OP = 'INSERT' AND (SELECT count(*) FROM iam.role) >= 100 THEN
        RAISE EXCEPTION 'too many roles' USING ERRCODE = 'check_violation', CONSTRAINT = 'role_count_bounded';
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF OLD.built_in THEN
            RAISE EXCEPTION 'built in' USING ERRCODE = 'check_violation', CONSTRAINT = 'role_builtin_stays';
        END IF;
        IF iam.role_holders(OLD.code) <> '{}'
           OR EXISTS (SELECT FROM iam.permission_request
                      WHERE state = 'pending' AND OLD.code = ANY (roles) AND lapses_at > kehu.now()) THEN
            RAISE EXCEPTION 'in use' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'role_use_over';
        END IF;
        RETURN OLD;
    END IF;
    PERFORM iam.check_apart(NEW.permissions);
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON iam.role FOR EACH ROW EXECUTE FUNCTION iam.guard_role();

CREATE FUNCTION iam.follow_role() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    holders uuid[] := iam.role_holders(NEW.code);
BEGIN
    PERFORM iam.check_duties(holders), iam.tell_rights(holders, true);
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER UPDATE OF permissions, scope ON iam.role FOR EACH ROW
    WHEN (OLD.permissions IS DISTINCT FROM NEW.permissions OR OLD.scope IS DISTINCT FROM NEW.scope)
    EXECUTE FUNCTION iam.follow_role();

CREATE FUNCTION iam.guard_duty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.lock_rights();
    IF TG_OP = 'DELETE' THEN
        IF OLD.built_in THEN
            RAISE EXCEPTION 'built in' USING ERRCODE = 'check_violation', CONSTRAINT = 'duty_conflict_builtin_stays';
        END IF;
        RETURN OLD;
    END IF;
    IF (SELECT count(*) FROM iam.duty_conflict) >= 1000 THEN
        RAISE EXCEPTION 'too many pairs' USING ERRCODE = 'check_violation', CONSTRAINT = 'duty_conflict_count_bounded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON iam.duty_conflict
    FOR EACH ROW EXECUTE FUNCTION iam.guard_duty();

CREATE FUNCTION iam.follow_duty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.check_duties(NULL);
    PERFORM iam.check_apart(r.permissions) FROM iam.role r WHERE NEW.first = ANY (r.permissions);
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON iam.duty_conflict FOR EACH ROW EXECUTE FUNCTION iam.follow_duty();

CREATE OR REPLACE FUNCTION iam.check_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.lock_rights();
    IF EXISTS (SELECT FROM unnest(NEW.roles) r WHERE NOT EXISTS (SELECT FROM iam.role WHERE code = r)) THEN
        RAISE EXCEPTION 'unknown role' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'staff_role_known';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER check_roles ON iam.staff;
CREATE TRIGGER check_roles BEFORE INSERT ON iam.staff FOR EACH ROW EXECUTE FUNCTION iam.check_roles();
CREATE TRIGGER check_new_roles BEFORE UPDATE OF roles, state ON iam.staff FOR EACH ROW
    WHEN (OLD.roles IS DISTINCT FROM NEW.roles OR OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION iam.check_roles();

CREATE FUNCTION iam.follow_staff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.check_duties(ARRAY[NEW.id]);
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT ON iam.staff FOR EACH ROW EXECUTE FUNCTION iam.follow_staff();
CREATE TRIGGER follow_change AFTER UPDATE OF roles, state ON iam.staff FOR EACH ROW
    WHEN (OLD.roles IS DISTINCT FROM NEW.roles OR OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION iam.follow_staff();

CREATE FUNCTION iam.guard_gift(roles text[], branch_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(guard_gift.roles) r WHERE NOT EXISTS (SELECT FROM iam.role WHERE code = r)) THEN
        RAISE EXCEPTION 'unknown role' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'grant_role_known';
    END IF;
    IF EXISTS (SELECT FROM unnest(guard_gift.branch_ids) b WHERE NOT EXISTS (SELECT FROM iam.branch WHERE id = b)) THEN
        RAISE EXCEPTION 'unknown branch' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'grant_branch_known';
    END IF;
END $$;

CREATE FUNCTION iam.guard_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.lock_rights(), iam.guard_gift(NEW.roles, NEW.branch_ids);
    IF (SELECT count(*) >= 20 OR coalesce(sum(cardinality(g.customer_ids)), 0) + cardinality(NEW.customer_ids) > 1000
        FROM iam.grant g WHERE g.staff_id = NEW.staff_id AND g.id <> NEW.id AND upper(g.lasts) > kehu.now()) THEN
        RAISE EXCEPTION 'too much' USING ERRCODE = 'check_violation', CONSTRAINT = 'grant_count_bounded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON iam.grant FOR EACH ROW EXECUTE FUNCTION iam.guard_grant();

CREATE FUNCTION iam.follow_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.check_duties(ARRAY[NEW.staff_id]), iam.tell_rights(ARRAY[NEW.staff_id], false);
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT OR UPDATE ON iam.grant FOR EACH ROW EXECUTE FUNCTION iam.follow_grant();

CREATE FUNCTION iam.guard_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.lock_rights(), iam.guard_gift(NEW.roles, NEW.branch_ids);
    IF (SELECT count(*) >= 20 FROM iam.permission_request
        WHERE staff_id = NEW.staff_id AND state = 'pending' AND lapses_at > kehu.now()) THEN
        RAISE EXCEPTION 'too many' USING ERRCODE = 'check_violation', CONSTRAINT = 'permission_request_count_bounded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON iam.permission_request FOR EACH ROW EXECUTE FUNCTION iam.guard_request();

-- Where customers are, for whoever decides about access to them.
CREATE VIEW customer.place AS SELECT id, branch_id, manager_id FROM customer.customer WHERE deleted_at IS NULL;
GRANT SELECT ON customer.place TO kehu_app;

-- Who decides about people sees no customers; who proves what was done has done nothing, and sees nobody in full. Some words
-- are of other files.
INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, c AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
         unnest(ARRAY['customer:read', 'customer:create', 'customer:update', 'customer:import', 'customer:unmask',
                      'customer:finance', 'customer:approve', 'customer:access-log']) c
    UNION ALL
    SELECT 'audit:read', w, 'Who proves what was done has done nothing.'
    FROM unnest(ARRAY['branch:manage', 'clock:manage', 'customer:create', 'customer:import', 'customer:unmask',
                      'customer:update', 'customer:approve', 'duty:manage', 'grant:manage', 'job:manage', 'key:manage',
                      'parameter:manage', 'parameter:approve', 'partner:manage', 'permission-request:decide', 'role:manage',
                      'session:manage', 'staff:manage', 'staff:approve', 'approval:decide', 'approval-policy:manage',
                      'approval-policy:approve']) w) p;
