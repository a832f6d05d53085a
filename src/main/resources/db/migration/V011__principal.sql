-- Why: who calls is asked for each kind of caller apart, and of staff in three questions that change for different reasons:
-- what somebody may do, what he has to do first, and where he may call from. Each is a function of its own, so that a new
-- rule replaces one of them and not the whole.

DROP FUNCTION iam.principal(uuid);

-- What the roles of a member of staff allow, together.
CREATE FUNCTION iam.staff_rights(who uuid)
    RETURNS TABLE (permissions text[], scope text, branch_ids uuid[]) LANGUAGE sql STABLE AS $$
    SELECT r.permissions, r.scope, CASE WHEN r.scope = 'BRANCH' THEN iam.subtree(s.branch_id) ELSE '{}' END
    FROM iam.staff s
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT p) AS permissions,
               (ARRAY['NONE', 'OWN', 'BRANCH', 'ALL'])[max(array_position(ARRAY['NONE', 'OWN', 'BRANCH', 'ALL'], r.scope))] AS scope
        FROM iam.role r CROSS JOIN unnest(r.permissions) p WHERE r.code = ANY (s.roles)) r
    WHERE s.id = who
$$;

-- Whether somebody has to do something before anything else, and so may do nothing else: the operations for that ask no
-- permission. So far: change a password that others know.
CREATE FUNCTION iam.staff_held(who uuid, session uuid) RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT must_change FROM iam.staff WHERE id = who $$;

-- Networks in CIDR notation that a member of staff may call from; none for everywhere.
CREATE FUNCTION iam.staff_networks(who uuid) RETURNS text[] LANGUAGE sql STABLE AS
$$ SELECT '{}'::text[] $$;

CREATE FUNCTION iam.staff_principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT s.id, e.audience, s.rights, s.username, s.branch_id,
           CASE WHEN h.held THEN '{}' ELSE r.permissions END,
           CASE WHEN h.held THEN 'NONE' ELSE r.scope END,
           CASE WHEN h.held THEN '{}' ELSE r.branch_ids END,
           iam.staff_networks(s.id), e.factor_at
    FROM iam.session e
    JOIN iam.staff s ON s.id = e.subject_id AND s.state = 'active'
    CROSS JOIN LATERAL (SELECT iam.staff_held(s.id, e.id) AS held) h
    CROSS JOIN LATERAL iam.staff_rights(s.id) r
    WHERE e.id = session AND e.audience = 'STAFF' AND e.revoked_at IS NULL AND e.ends_at > kehu.now()
$$;

-- What the kernel asks at the first request of a session on a node: one row while the session is alive. Other kinds of
-- callers come with the tables that know them.
CREATE FUNCTION iam.principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$ SELECT * FROM iam.staff_principal(session) $$;
