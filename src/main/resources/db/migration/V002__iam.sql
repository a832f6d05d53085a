-- Why: who works at the bank, where, with which rights, and who is signed in. Branches are a tree kept as a path of codes;
-- staff names are ciphertext; refresh tokens and passwords are hashes; the function iam.principal() is what the kernel asks.

CREATE SCHEMA iam;
GRANT USAGE ON SCHEMA iam TO kehu_app;

-- Branches -------------------------------------------------------------------------------------------------------------
CREATE TABLE iam.branch (
    id         uuid PRIMARY KEY,
    parent_id  uuid CONSTRAINT branch_parent_known REFERENCES iam.branch,
    code       text NOT NULL,
    name       text NOT NULL,
    state      text NOT NULL DEFAULT 'open' CONSTRAINT branch_state_known CHECK (state IN ('open', 'closed')),
    -- Codes from the head office down, each followed by '!', which sorts before every character of a code: ordering by it
    -- is the order of the tree, and a subtree is a prefix.
    tree       text COLLATE "C" NOT NULL,
    depth      int NOT NULL CONSTRAINT branch_depth_bounded CHECK (depth BETWEEN 0 AND 10),
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT branch_code_once UNIQUE (code),
    CONSTRAINT branch_tree_once UNIQUE (tree),
    CONSTRAINT branch_root_shape CHECK ((parent_id IS NULL) = (depth = 0) AND right(tree, length(code) + 1) = code || '!')
);
CREATE INDEX branch_parent ON iam.branch (parent_id);
CREATE UNIQUE INDEX branch_head_one ON iam.branch ((true)) WHERE parent_id IS NULL;
SELECT kehu.enrol('iam.branch', 'tree', 'depth');

-- A branch and all below it.
CREATE FUNCTION iam.subtree(branch uuid) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(b.id), '{}') FROM iam.branch top JOIN iam.branch b ON b.tree ^@ top.tree WHERE top.id = branch
$$;

-- Roles ----------------------------------------------------------------------------------------------------------------
CREATE TABLE iam.role (
    code        text PRIMARY KEY,
    name_en     text NOT NULL,
    name_zh     text NOT NULL,
    permissions text[] NOT NULL,
    scope       text NOT NULL CONSTRAINT role_scope_known CHECK (scope IN ('NONE', 'OWN', 'BRANCH', 'ALL'))
);
GRANT SELECT ON iam.role TO kehu_app;

INSERT INTO iam.role (code, name_en, name_zh, scope, permissions) VALUES
('administrator', 'System administrator', '系统管理员', 'NONE',
    '{branch:read,branch:manage,staff:read,staff:manage,role:read,parameter:read,parameter:manage,event:read,clock:manage}'),
('branch-head', 'Branch head', '支行行长', 'BRANCH',
    '{branch:read,staff:read,role:read,customer:read,customer:create,customer:update,customer:finance,customer:unmask,event:read,parameter:read}'),
('customer-manager', 'Customer manager', '客户经理', 'OWN',
    '{branch:read,customer:read,customer:create,customer:update,customer:finance,customer:unmask,event:read}'),
('operator', 'Operator', '操作员', 'BRANCH',
    '{branch:read,customer:read,customer:create,customer:update,customer:finance,customer:import,event:read}'),
('analyst', 'Analyst', '数据分析员', 'ALL',
    '{branch:read,customer:read,customer:finance,event:read}'),
('auditor', 'Auditor', '审计员', 'ALL',
    '{branch:read,staff:read,role:read,customer:read,customer:finance,parameter:read,event:read}'),
('finance', 'Finance', '财务', 'ALL',
    '{branch:read,customer:read,customer:finance,event:read}'),
('risk', 'Risk', '风险管理', 'ALL',
    '{branch:read,customer:read,customer:finance,customer:unmask,event:read,parameter:read}'),
('desk-agent', 'Desk agent', '客服坐席', 'ALL',
    '{branch:read,customer:read,customer:unmask,event:read}'),
('marketing', 'Marketing', '市场营销', 'ALL',
    '{branch:read,customer:read,customer:import,customer:create,customer:update,event:read}');

-- Staff ----------------------------------------------------------------------------------------------------------------
CREATE TABLE iam.staff (
    id             uuid PRIMARY KEY,
    username       text NOT NULL CONSTRAINT staff_username_shape CHECK (username = lower(username)),
    branch_id      uuid NOT NULL CONSTRAINT staff_branch_known REFERENCES iam.branch,
    roles          text[] NOT NULL CONSTRAINT staff_roles_some CHECK (cardinality(roles) BETWEEN 1 AND 5),
    state          text NOT NULL DEFAULT 'active' CONSTRAINT staff_state_known CHECK (state IN ('active', 'suspended', 'left')),
    -- Counts every change of rights: a token that carries an older one is refused.
    rights         bigint NOT NULL DEFAULT 1,
    password_hash  text NOT NULL,
    password_at    timestamptz NOT NULL DEFAULT kehu.now(),
    must_change    boolean NOT NULL DEFAULT false,
    demo           boolean NOT NULL DEFAULT false,
    sealed         bytea NOT NULL,
    version        bigint NOT NULL DEFAULT 1,
    valid_from     timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT staff_username_once UNIQUE (username),
    CONSTRAINT staff_key_known FOREIGN KEY (id) REFERENCES kehu.data_key (subject_id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX staff_branch ON iam.staff (branch_id, id);
SELECT kehu.enrol('iam.staff', 'password_hash');

CREATE FUNCTION iam.check_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(NEW.roles) r WHERE NOT EXISTS (SELECT FROM iam.role WHERE code = r)) THEN
        RAISE EXCEPTION 'unknown role' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'staff_role_known';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_roles BEFORE INSERT OR UPDATE OF roles ON iam.staff FOR EACH ROW EXECUTE FUNCTION iam.check_roles();

-- Published for other domains: who may be given work, and where.
CREATE VIEW iam.active_staff AS SELECT id, branch_id, roles FROM iam.staff WHERE state = 'active';
CREATE VIEW iam.open_branch AS SELECT id, code, parent_id FROM iam.branch WHERE state = 'open';
GRANT SELECT, UPDATE ON iam.active_staff, iam.open_branch TO kehu_app;  -- UPDATE: for FOR SHARE

-- Sessions -------------------------------------------------------------------------------------------------------------
CREATE TABLE iam.session (
    id           uuid PRIMARY KEY,
    subject_id   uuid NOT NULL,
    audience     text NOT NULL CONSTRAINT session_audience_known CHECK (audience IN ('STAFF', 'CUSTOMER', 'PARTNER')),
    started_at   timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    factor_at    timestamptz NOT NULL,
    address      text NOT NULL,
    revoked_at   timestamptz,
    why_revoked  text
);
CREATE INDEX session_subject ON iam.session (subject_id, started_at) WHERE revoked_at IS NULL;
CREATE INDEX session_end ON iam.session (ends_at);

-- Refresh tokens as SHA-256; used once. A used one that comes again revokes the session with all its tokens.
CREATE TABLE iam.refresh (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL CONSTRAINT refresh_session_known REFERENCES iam.session ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_session ON iam.refresh (session_id);

-- Failed sign-ins. A look at a password is booked (pending) before it is taken, so that simultaneous guesses all count,
-- and settled as a failure or not after it. The key is a keyed hash of the account name (known or not) or of the source
-- address.
CREATE TABLE iam.attempt (
    kind         text NOT NULL CONSTRAINT attempt_kind_known CHECK (kind IN ('account', 'source', 'all')),
    key          bytea NOT NULL,
    failures     int NOT NULL DEFAULT 0,
    pending      int NOT NULL DEFAULT 0 CONSTRAINT attempt_pending_range CHECK (pending >= 0),
    last_at      timestamptz NOT NULL,
    locked_until timestamptz,
    CONSTRAINT attempt_once PRIMARY KEY (kind, key)
);
CREATE INDEX attempt_age ON iam.attempt (last_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON iam.session, iam.refresh, iam.attempt TO kehu_app;

-- How many failures are borne without a lock. Of one account 5; of one source 50, because a branch may share an address;
-- of all together 1,000 a minute, beyond which nobody is locked out but new attempts are put off.
CREATE FUNCTION iam.attempt_limit(kind text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE kind WHEN 'account' THEN 5 WHEN 'source' THEN 50 ELSE 1000 END $$;

-- From the limit on 1 minute, doubling to 16; from twice the limit on 30 minutes.
CREATE FUNCTION iam.attempt_lock(kind text, failures int) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN kind = 'all' OR failures < iam.attempt_limit(kind) THEN NULL
                WHEN failures >= 2 * iam.attempt_limit(kind) THEN interval '30 minutes'
                ELSE interval '1 minute' * 2 ^ least(failures - iam.attempt_limit(kind), 4) END
$$;

-- An account's failures are remembered for a day, a source's for an hour, those of all within the running minute.
CREATE FUNCTION iam.attempt_forgotten(kind text, last_at timestamptz, moment timestamptz)
    RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE kind WHEN 'account' THEN last_at < moment - interval '24 hours'
                     WHEN 'source' THEN last_at < moment - interval '1 hour'
                     ELSE date_trunc('minute', last_at) <> date_trunc('minute', moment) END
$$;

-- Books one look at a password: 'free' (go on, then settle), 'locked', or 'busy' (so many looks are under way that
-- another one might exceed the limit). The three rows are always locked in the same order.
CREATE FUNCTION iam.take_attempt(account bytea, source bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := kehu.now();
    locked boolean;
    busy   boolean;
BEGIN
    INSERT INTO iam.attempt (kind, key, last_at)
    VALUES ('account', account, moment), ('all', '', moment), ('source', source, moment) ON CONFLICT DO NOTHING;
    PERFORM FROM iam.attempt a
    WHERE (a.kind, a.key) IN (('account', account), ('all', ''::bytea), ('source', source)) ORDER BY a.kind FOR UPDATE;
    -- Old failures are forgotten; a look that was never settled (its node died) counts as a failure.
    UPDATE iam.attempt a
    SET failures = CASE WHEN iam.attempt_forgotten(a.kind, a.last_at, moment) THEN 0 ELSE a.failures + a.pending END,
        pending = 0
    WHERE (a.kind, a.key) IN (('account', account), ('all', ''::bytea), ('source', source))
      AND (iam.attempt_forgotten(a.kind, a.last_at, moment)
           OR (a.pending > 0 AND a.last_at < moment - interval '30 seconds'));
    SELECT coalesce(bool_or(a.locked_until > moment), false),
           bool_or(CASE WHEN a.kind = 'all' OR a.failures < iam.attempt_limit(a.kind)
                        THEN a.failures + a.pending >= iam.attempt_limit(a.kind) ELSE a.pending > 0 END)
    INTO locked, busy
    FROM iam.attempt a WHERE (a.kind, a.key) IN (('account', account), ('all', ''::bytea), ('source', source));
    IF locked OR busy THEN
        RETURN CASE WHEN locked THEN 'locked' ELSE 'busy' END;
    END IF;
    UPDATE iam.attempt a SET pending = a.pending + 1, last_at = moment
    WHERE (a.kind, a.key) IN (('account', account), ('all', ''::bytea), ('source', source));
    RETURN 'free';
END $$;

-- Ends a booked look: 'failed', 'opened' (the account's failures are forgotten, the source's are not), or 'unseen' (the
-- password was not looked at after all).
CREATE FUNCTION iam.settle_attempt(account bytea, source bytea, outcome text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM iam.attempt a
    WHERE (a.kind, a.key) IN (('account', account), ('all', ''::bytea), ('source', source)) ORDER BY a.kind FOR UPDATE;
    UPDATE iam.attempt a
    SET pending = greatest(a.pending - 1, 0),
        failures = CASE WHEN outcome = 'failed' THEN a.failures + 1
                        WHEN outcome = 'opened' AND a.kind = 'account' THEN 0 ELSE a.failures END,
        locked_until = CASE WHEN outcome = 'failed' THEN kehu.now() + iam.attempt_lock(a.kind, a.failures + 1)
                            WHEN outcome = 'opened' AND a.kind = 'account' THEN NULL ELSE a.locked_until END
    WHERE (a.kind, a.key) IN (('account', account), ('all', ''::bytea), ('source', source));
END $$;

-- What the kernel asks at the first request of a session on a node: one row while the session is alive.
CREATE FUNCTION iam.principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$
    -- Who must change the password first may do nothing else: the operations for that ask no permission.
    SELECT s.id, e.audience, s.rights, s.username, s.branch_id, CASE WHEN s.must_change THEN '{}' ELSE r.permissions END,
           CASE WHEN s.must_change THEN 'NONE' ELSE r.scope END,
           CASE WHEN s.must_change THEN '{}' WHEN r.scope = 'BRANCH' THEN iam.subtree(s.branch_id) ELSE '{}' END, e.factor_at
    FROM iam.session e
    JOIN iam.staff s ON s.id = e.subject_id AND s.state = 'active'
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT p) AS permissions,
               (ARRAY['NONE', 'OWN', 'BRANCH', 'ALL'])[max(array_position(ARRAY['NONE', 'OWN', 'BRANCH', 'ALL'], r.scope))] AS scope
        FROM iam.role r CROSS JOIN unnest(r.permissions) p WHERE r.code = ANY (s.roles)) r
    WHERE e.id = session AND e.audience = 'STAFF' AND e.revoked_at IS NULL AND e.ends_at > kehu.now()
$$;
