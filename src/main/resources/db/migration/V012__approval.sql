-- Why: what one person must not do alone waits for others. One mechanism for every command whose contract says x-approval: the
-- rule is data (iam.approval_policy), the pending change is the command itself, as ciphertext and bound by its hash, and what
-- must never happen (a maker who decides, a person who decides twice, a second execution) is a constraint or a guarded update.

-- Policies -------------------------------------------------------------------------------------------------------------
-- levels: [{"approvers": 1, "permission": "customer:approve", "fromAmount": "50000.00", "fromCount": 100}, ...], in the order in
-- which they decide; a level without thresholds always applies, one with thresholds from either of them on, or where the
-- command does not tell its measure.
CREATE TABLE iam.approval_policy (
    id             uuid PRIMARY KEY,
    code           text NOT NULL CONSTRAINT approval_policy_code_shape CHECK (code ~ '^[a-z]+(-[a-z]+)*$'),
    about_en       text NOT NULL,
    about_zh       text NOT NULL,
    enabled        boolean NOT NULL DEFAULT false,
    -- In force also while that one is enabled ('*': any): closes the side doors of a rule. An import enters customers too, and
    -- who makes accounts, gives rights or changes rules could be his own second person.
    follows        text,
    levels         jsonb NOT NULL CONSTRAINT approval_policy_levels_some
                   CHECK (jsonb_typeof(levels) = 'array' AND jsonb_array_length(levels) BETWEEN 1 AND 5),
    branch_rule    text NOT NULL CONSTRAINT approval_policy_branch_known CHECK (branch_rule IN ('any', 'sameOrAbove', 'headOffice')),
    expiry_minutes int NOT NULL CONSTRAINT approval_policy_expiry_range CHECK (expiry_minutes BETWEEN 1 AND 43200),
    version        bigint NOT NULL DEFAULT 1,
    valid_from     timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT approval_policy_code_once UNIQUE (code)
);
SELECT kehu.enrol('iam.approval_policy');

-- An import's file is kept for an hour unless it is taken (blob.unclaimedMinutes), so its approval cannot wait longer.
INSERT INTO iam.approval_policy (id, code, follows, branch_rule, expiry_minutes, levels, about_en, about_zh) VALUES
(uuidv7(), 'approval-policy', '*', 'any', 1440, '[{"approvers": 1, "permission": "approval-policy:approve"}]',
    'Changes of these policies; in force as soon as any of them is', '修改审批策略；任一策略启用后即生效'),
(uuidv7(), 'staff-rights', '*', 'any', 1440, '[{"approvers": 1, "permission": "staff:approve"}]',
    'Accounts of staff and their rights; in force as soon as any policy is; what gives no rights counts 0, all else 1', '员工账户及权限；任一策略启用后即生效；不增加权限的变更计 0，其余计 1'),
(uuidv7(), 'customer-entry', NULL, 'sameOrAbove', 4320, '[{"approvers": 1, "permission": "customer:approve"}]',
    'Two-person entry and change of customers', '客户资料双人录入与变更'),
(uuidv7(), 'customer-import', 'customer-entry', 'sameOrAbove', 45, '[{"approvers": 1, "permission": "customer:approve"}]',
    'Imports of customers; in force also while customer-entry is', '批量导入客户；客户录入策略启用时亦生效'),
(uuidv7(), 'parameter', NULL, 'any', 1440, '[{"approvers": 1, "permission": "parameter:approve"}]',
    'Changes of parameters', '修改系统参数');

CREATE FUNCTION iam.approval_in_force(code text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM iam.approval_policy p
                   JOIN iam.approval_policy o ON o.enabled AND (o.code = p.code OR p.follows IN (o.code, '*'))
                   WHERE p.code = approval_in_force.code)
$$;

-- Published for the kernel: the rule as it stands, null where none is in force. A policy that is not there lets nobody through.
CREATE FUNCTION iam.approval_rule(policy text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    p iam.approval_policy;
BEGIN
    SELECT * INTO p FROM iam.approval_policy WHERE code = policy;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no approval policy %', policy;
    END IF;
    RETURN CASE WHEN iam.approval_in_force(policy) THEN jsonb_build_object(
        'policy', p.code, 'version', p.version, 'branchRule', p.branch_rule, 'expiryMinutes', p.expiry_minutes,
        'levels', p.levels) END;
END $$;

-- Published for the kernel: the levels of a rule that apply to a measure, null for none.
CREATE FUNCTION iam.approval_demand(rule jsonb, amount numeric, count bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(e.level ORDER BY e.place)
    FROM jsonb_array_elements(rule -> 'levels') WITH ORDINALITY AS e(level, place),
         LATERAL (SELECT (e.level ->> 'fromAmount')::numeric AS amount, (e.level ->> 'fromCount')::bigint AS count) t
    WHERE (t.amount IS NULL AND t.count IS NULL)
       OR t.amount <= coalesce(approval_demand.amount, t.amount)
       OR t.count <= coalesce(approval_demand.count, t.count)
$$;

-- Approvals ------------------------------------------------------------------------------------------------------------
CREATE TABLE iam.approval (
    id             uuid PRIMARY KEY,
    policy         text NOT NULL CONSTRAINT approval_policy_known REFERENCES iam.approval_policy (code),
    policy_version bigint NOT NULL,
    branch_rule    text NOT NULL,
    levels         jsonb NOT NULL,  -- those that applied
    permissions    text[] NOT NULL, -- of the levels: who has one of them may see it
    level          int NOT NULL DEFAULT 0 CONSTRAINT approval_level_range CHECK (level BETWEEN 0 AND jsonb_array_length(levels)),
    asks           text NOT NULL,   -- the permission of the level that decides now, or decided last
    asks_in        uuid,            -- the branch it is decided for; null for everywhere
    operation      text NOT NULL,
    object_type    text,
    object_id      uuid,            -- null for what is not there yet
    object_version bigint,          -- that the change would give it
    amount         numeric,
    count          bigint,
    maker_id       uuid NOT NULL,
    maker_name     text NOT NULL,
    session_id     uuid,
    branch_id      uuid NOT NULL,   -- of the maker, and the scope he had: another place or scope would make another change of it
    scope          text NOT NULL,
    command_hash   bytea NOT NULL,
    state          text NOT NULL DEFAULT 'pending' CONSTRAINT approval_state_known
                   CHECK (state IN ('pending', 'approved', 'executed', 'rejected', 'withdrawn', 'refused', 'expired')),
    made_at        timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    status         int,
    location       text,
    code           text,
    args           text[],
    version        bigint NOT NULL DEFAULT 1,
    valid_from     timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT approval_maker_of UNIQUE (id, maker_id),
    CONSTRAINT approval_approved_whole CHECK (state NOT IN ('approved', 'executed') OR level = jsonb_array_length(levels)),
    CONSTRAINT approval_end_told CHECK ((ended_at IS NULL) = (state IN ('pending', 'approved'))),
    CONSTRAINT approval_result_told CHECK ((state = 'executed') = (status IS NOT NULL) AND (state = 'refused') = (code IS NOT NULL))
);
CREATE INDEX approval_open ON iam.approval (expires_at) WHERE state IN ('pending', 'approved');
CREATE INDEX approval_asked ON iam.approval (asks, id) WHERE state = 'pending';
CREATE INDEX approval_maker ON iam.approval (maker_id, id);
CREATE INDEX approval_object ON iam.approval (object_id, made_at) WHERE state IN ('pending', 'approved') AND object_id IS NOT NULL;
SELECT kehu.enrol('iam.approval', 'command_hash', 'levels', 'permissions');

-- The ciphertext of a command and of its answer (they may show personal data, or a first password). Not enrolled: it has to be
-- forgotten some time after the end, and what was approved is proven by the hash that stays.
CREATE TABLE iam.approval_content (
    approval_id uuid PRIMARY KEY CONSTRAINT approval_content_of REFERENCES iam.approval,
    command     bytea NOT NULL,
    answer      bytea
);
GRANT SELECT, INSERT, UPDATE, DELETE ON iam.approval_content TO kehu_app;

-- Which node carries an approved command out, and until when it is thought alive. Not enrolled: the lease of a worker, which
-- decides nothing; that a command runs once is the guarded update in settle_approval().
CREATE TABLE iam.approval_run (
    approval_id uuid PRIMARY KEY CONSTRAINT approval_run_of REFERENCES iam.approval,
    lease_until timestamptz NOT NULL,
    attempts    int NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON iam.approval_run TO kehu_app;

-- The state as it is now: nobody has to come by for something to expire.
CREATE FUNCTION iam.approval_state(state text, expires_at timestamptz) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT CASE WHEN state IN ('pending', 'approved') AND expires_at <= kehu.now() THEN 'expired' ELSE state END $$;

-- Published for whoever shows a resource.
CREATE VIEW iam.pending_change AS
SELECT object_id, made_at, jsonb_build_object('approvalId', id, 'operationId', operation, 'madeAt', made_at) AS shown
FROM iam.approval
WHERE state IN ('pending', 'approved') AND object_id IS NOT NULL AND expires_at > kehu.now();
GRANT SELECT ON iam.pending_change TO kehu_app;

-- Whose account ---------------------------------------------------------------------------------------------------------
-- Who made an account alone knows its first password, and may be the one who signs in with it. Until another person has approved
-- its rights (a changeStaff that names the roles, the same ones or others), the account and its maker count as one hand. The same goes for whoever alone gives an account a new way in.
CREATE TABLE iam.held_account (
    id         uuid PRIMARY KEY CONSTRAINT held_account_known REFERENCES iam.staff,
    by_id      uuid NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
SELECT kehu.enrol('iam.held_account');

CREATE FUNCTION iam.same_hand(one uuid, other uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH RECURSIVE mine(id) AS (SELECT one UNION SELECT h.by_id FROM mine JOIN iam.held_account h ON h.id = mine.id),
                   his(id) AS (SELECT other UNION SELECT h.by_id FROM his JOIN iam.held_account h ON h.id = his.id)
    SELECT EXISTS (SELECT FROM mine JOIN his ON his.id = mine.id)
$$;

-- The account that holds this one, or itself; null where accounts hold each other in a ring.
CREATE FUNCTION iam.hand(staff uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up(id) AS (SELECT staff UNION SELECT h.by_id FROM up JOIN iam.held_account h ON h.id = up.id)
    SELECT up.id FROM up WHERE NOT EXISTS (SELECT FROM iam.held_account h WHERE h.id = up.id)
$$;

-- Decisions --------------------------------------------------------------------------------------------------------------
CREATE TABLE iam.approval_decision (
    id           uuid PRIMARY KEY,
    approval_id  uuid NOT NULL,
    maker_id     uuid NOT NULL,
    decider_id   uuid NOT NULL,
    decider_name text NOT NULL,
    level        int NOT NULL,
    verdict      text NOT NULL CONSTRAINT approval_decision_verdict CHECK (verdict IN ('approve', 'reject')),
    reason       text CONSTRAINT approval_decision_reason CHECK (verdict = 'approve' OR reason IS NOT NULL),
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT approval_decision_of FOREIGN KEY (approval_id, maker_id) REFERENCES iam.approval (id, maker_id),
    CONSTRAINT approval_decision_maker CHECK (decider_id <> maker_id),
    CONSTRAINT approval_decision_once UNIQUE (approval_id, decider_id)
);
SELECT kehu.enrol('iam.approval_decision', 'reason');

CREATE FUNCTION iam.check_hands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.verdict = 'approve' AND (iam.same_hand(NEW.decider_id, NEW.maker_id) OR EXISTS (
            SELECT FROM iam.approval_decision d
            WHERE d.approval_id = NEW.approval_id AND d.decider_id <> NEW.decider_id AND iam.same_hand(d.decider_id, NEW.decider_id))) THEN
        RAISE EXCEPTION 'one hand' USING ERRCODE = 'check_violation', CONSTRAINT = 'approval_decision_hand';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_hands BEFORE INSERT ON iam.approval_decision FOR EACH ROW EXECUTE FUNCTION iam.check_hands();

-- Published for the door for commands ------------------------------------------------------------------------------------
-- Keeps a command that has to wait. Nobody may let more than 200 wait: reading them is other people's work.
CREATE FUNCTION iam.propose_approval(facts jsonb, command bytea, hash bytea) RETURNS SETOF iam.approval LANGUAGE plpgsql AS $$
DECLARE
    rule   jsonb := facts -> 'rule';
    maker  uuid := (facts ->> 'maker')::uuid;
    branch uuid := (facts ->> 'branch')::uuid;
    made   iam.approval;
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM iam.approval a
        WHERE a.maker_id = maker AND a.state = 'pending' AND a.expires_at > kehu.now() LIMIT 200) p) = 200 THEN
        RAISE EXCEPTION 'too many' USING ERRCODE = 'check_violation', CONSTRAINT = 'approval_waiting_bounded';
    END IF;
    INSERT INTO iam.approval (id, policy, policy_version, branch_rule, levels, permissions, asks, asks_in, operation, object_type,
        object_id, object_version, amount, count, maker_id, maker_name, session_id, branch_id, scope, command_hash, made_at, expires_at)
    VALUES (uuidv7(), rule ->> 'policy', (rule ->> 'version')::bigint, rule ->> 'branchRule', facts -> 'levels',
        ARRAY(SELECT DISTINCT l ->> 'permission' FROM jsonb_array_elements(facts -> 'levels') l),
        facts -> 'levels' -> 0 ->> 'permission', CASE WHEN rule ->> 'branchRule' = 'sameOrAbove' THEN branch END,
        facts ->> 'operation', facts ->> 'object_type', (facts ->> 'object')::uuid, (facts ->> 'object_version')::bigint,
        (facts ->> 'amount')::numeric, (facts ->> 'count')::bigint, maker, facts ->> 'maker_name', (facts ->> 'session')::uuid,
        branch, facts ->> 'scope', hash, kehu.now(), kehu.now() + make_interval(mins => (rule ->> 'expiryMinutes')::int))
    RETURNING * INTO made;
    INSERT INTO iam.approval_content (approval_id, command) VALUES (made.id, propose_approval.command);
    RETURN NEXT made;
END $$;

-- Takes an approval at the beginning of the transaction that carries it out: it waits for whoever holds it, and fails unless this
-- very command of this maker was approved and neither ran nor expired.
CREATE FUNCTION iam.claim_approval(approval uuid, hash bytea, maker uuid, operation text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM iam.approval a
    WHERE a.id = approval AND a.state = 'approved' AND a.expires_at > kehu.now() AND a.command_hash = hash AND a.maker_id = maker
      AND a.operation = claim_approval.operation
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'not approved' USING ERRCODE = 'check_violation', CONSTRAINT = 'approval_claim_good';
    END IF;
    RETURN true;
END $$;

-- Ends it at the end of the same transaction. What was approved is a change of one version of one object, of one measure.
CREATE FUNCTION iam.settle_approval(approval uuid, object uuid, object_version bigint, amount numeric, count bigint, status int,
                                    location text, answer bytea) RETURNS SETOF iam.approval LANGUAGE plpgsql AS $$
DECLARE
    done iam.approval;
BEGIN
    UPDATE iam.approval a
    SET state = 'executed', status = settle_approval.status, location = settle_approval.location, ended_at = kehu.now()
    WHERE a.id = approval AND a.state = 'approved'
      AND (a.object_id IS NULL OR (a.object_id = object AND a.object_version = settle_approval.object_version))
      AND a.amount IS NOT DISTINCT FROM settle_approval.amount AND a.count IS NOT DISTINCT FROM settle_approval.count
    RETURNING * INTO done;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another object' USING ERRCODE = 'check_violation', CONSTRAINT = 'approval_object_same';
    END IF;
    UPDATE iam.approval_content c SET answer = settle_approval.answer WHERE c.approval_id = approval;
    RETURN NEXT done;
END $$;

-- Rights -----------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{approval:read}';
UPDATE iam.role SET permissions = permissions || '{approval:withdraw}'
WHERE code IN ('administrator', 'branch-head', 'customer-manager', 'operator', 'marketing');
UPDATE iam.role SET permissions = permissions
    || '{approval:decide,staff:approve,parameter:approve,approval-policy:read,approval-policy:manage,approval-policy:approve}'
WHERE code = 'administrator';
UPDATE iam.role SET permissions = permissions || '{approval:decide,customer:approve}' WHERE code = 'branch-head';
UPDATE iam.role SET permissions = permissions || '{approval:oversee,approval-policy:read}' WHERE code = 'auditor';
