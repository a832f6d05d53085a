-- Why: systems of partners call Kehu as themselves, with keys of their own, and never as a person: other subjects, another
-- audience, other tables. Who calls is asked here for every kind of caller.

CREATE TABLE iam.partner (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CONSTRAINT partner_name_shape CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
    purpose     text NOT NULL,
    state       text NOT NULL DEFAULT 'active' CONSTRAINT partner_state_known CHECK (state IN ('active', 'suspended')),
    permissions text[] NOT NULL,
    -- Where it may call from, in CIDR notation; none for everywhere.
    networks    text[] NOT NULL,
    -- The branch whose rows, and those of the branches below, it sees; none for no rows of any branch.
    branch_id   uuid CONSTRAINT partner_branch_known REFERENCES iam.branch,
    -- Counts every change of rights: a token that carries an older one is refused.
    rights      bigint NOT NULL DEFAULT 1,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT partner_name_once UNIQUE (name)
);
SELECT kehu.enrol('iam.partner');

-- Secrets are 256 random bits, so a fast keyed hash (Vault.blind, key version first) keeps them. Two places: the key in use
-- and the one that replaces it.
CREATE TABLE iam.partner_key (
    id          uuid PRIMARY KEY,
    partner_id  uuid NOT NULL CONSTRAINT partner_key_partner_known REFERENCES iam.partner,
    place       int NOT NULL CONSTRAINT partner_key_place_known CHECK (place IN (1, 2)),
    secret_hash bytea NOT NULL,
    expires_at  timestamptz NOT NULL,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT partner_key_place_once UNIQUE (partner_id, place)
);
SELECT kehu.enrol('iam.partner_key', 'secret_hash');

-- What of a caller's permissions this session is limited to; null for all of them.
ALTER TABLE iam.session ADD COLUMN scopes text[];

CREATE FUNCTION iam.partner_principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$
    -- No branch of its own: a partner belongs to none.
    SELECT p.id, e.audience, p.rights, p.name, NULL::uuid,
           ARRAY(SELECT unnest(p.permissions) INTERSECT SELECT unnest(coalesce(e.scopes, p.permissions))),
           CASE WHEN p.branch_id IS NULL THEN 'NONE' ELSE 'BRANCH' END,
           CASE WHEN p.branch_id IS NULL THEN '{}' ELSE iam.subtree(p.branch_id) END,
           p.networks, e.factor_at
    FROM iam.session e
    JOIN iam.partner p ON p.id = e.subject_id AND p.state = 'active'
    WHERE e.id = session AND e.audience = 'PARTNER' AND e.revoked_at IS NULL AND e.ends_at > kehu.now()
$$;

-- A session has one audience, so at most one of them answers.
CREATE OR REPLACE FUNCTION iam.principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT * FROM iam.staff_principal(session)
    UNION ALL SELECT * FROM iam.partner_principal(session)
$$;

UPDATE iam.role SET permissions = permissions || '{partner:read,partner:manage}' WHERE code = 'administrator';
UPDATE iam.role SET permissions = permissions || '{partner:read}' WHERE code = 'auditor';
