-- Why: people lose passwords and go back to old ones, and an account that somebody else opens again is not his alone. Resets by a
-- token that is used once, the last passwords of an account, and accounts that count as the hand of several.

-- Passwords ------------------------------------------------------------------------------------------------------------
-- Whether signing in asks somebody for a second factor. There is none yet: whatever brings them replaces this.
CREATE FUNCTION iam.staff_has_factor(who uuid) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT false $$;

-- Hashes of the last passwords of an account, the newest first, the one that counts now among them. They stand in the past of
-- iam.staff: each as it was set, and not as a reset closed it, which leaves password_at as it is.
CREATE FUNCTION iam.former_passwords(who uuid, most int) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT f.password_hash
    FROM (SELECT DISTINCT ON (s.password_at) s.password_at, s.password_hash FROM iam.staff_all s
          WHERE s.id = who ORDER BY s.password_at, s.valid_from) f
    WHERE f.password_hash LIKE '$argon2id$%'
    ORDER BY f.password_at DESC LIMIT most
$$;

-- The token with which somebody sets a new password, as SHA-256 of 256 random bits. Not enrolled: it lives half an hour, and
-- each step is in the audit.
CREATE TABLE iam.password_reset (
    staff_id   uuid PRIMARY KEY CONSTRAINT password_reset_staff_known REFERENCES iam.staff,
    token_hash bytea NOT NULL,
    made_by    uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    CONSTRAINT password_reset_token_once UNIQUE (token_hash),
    CONSTRAINT password_reset_maker_other CHECK (made_by <> staff_id)
);
GRANT SELECT, INSERT, UPDATE ON iam.password_reset TO kehu_app;

-- Whose account --------------------------------------------------------------------------------------------------------
-- Who made an account knew its first password, who reset it had its token, and either may still have a way in: it counts as the
-- hand of each until another person has approved its rights.
ALTER TABLE iam.held_account DROP CONSTRAINT held_account_pkey;
ALTER TABLE iam.held_account ADD CONSTRAINT held_account_once PRIMARY KEY (id, by_id);

-- An account and all that hold it, step by step.
CREATE FUNCTION iam.holders(staff uuid) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up(id) AS (SELECT staff UNION SELECT h.by_id FROM up JOIN iam.held_account h ON h.id = up.id)
    SELECT up.id FROM up
$$;

-- One account for a hand: among those that hold this one, itself among them, one that nobody holds, or of a ring that nobody
-- else holds always the same one. Where there are several, one that works.
CREATE OR REPLACE FUNCTION iam.hand(staff uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT u.id FROM iam.holders(staff) u(id) JOIN iam.staff s ON s.id = u.id
    WHERE NOT EXISTS (SELECT FROM iam.holders(u.id) h(id) WHERE u.id NOT IN (SELECT b.id FROM iam.holders(h.id) b(id)))
    ORDER BY s.state <> 'active', u.id LIMIT 1
$$;
