-- Why: people lose passwords and go back to old ones, and an account that somebody else opens again is not his alone. Resets by a
-- token that is used once, the last passwords of an account, accounts that count as the hand of several, and roles that hold in
-- certain networks only.

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

-- Networks -------------------------------------------------------------------------------------------------------------
-- Where the holders of a role may call from, in CIDR notation; none for everywhere.
ALTER TABLE iam.role ADD COLUMN networks text[] NOT NULL DEFAULT '{}'
    CONSTRAINT role_networks_bounded CHECK (cardinality(networks) <= 20);

-- The past begins with the columns of the present, in their order.
DROP VIEW iam.role_all;
ALTER TABLE iam.role_past RENAME COLUMN valid_to TO ended;
ALTER TABLE iam.role_past RENAME COLUMN audit_id TO ended_by;
ALTER TABLE iam.role_past ADD COLUMN networks text[] NOT NULL DEFAULT '{}', ADD COLUMN valid_to timestamptz, ADD COLUMN audit_id uuid;
UPDATE iam.role_past SET valid_to = ended, audit_id = ended_by;
ALTER TABLE iam.role_past ALTER COLUMN valid_to SET NOT NULL, ALTER COLUMN audit_id SET NOT NULL, DROP COLUMN ended, DROP COLUMN ended_by;
CREATE VIEW iam.role_all AS
    SELECT *, 'infinity'::timestamptz AS valid_to, NULL::uuid AS audit_id FROM iam.role UNION ALL SELECT * FROM iam.role_past;
GRANT SELECT ON iam.role_all TO kehu_app;

-- What all roles of somebody allow that restrict at all, his own and those he was given for a while. Not what any of them allows:
-- a permission does not say which role it came from, so a role that holds in the bank only would hold elsewhere too as soon as
-- somebody had a second one. Two networks lie in each other or apart, so what all allow is those of them that lie in one of each
-- role. Where that is none, it is an address from which nobody calls (RFC 919).
CREATE OR REPLACE FUNCTION iam.staff_networks(who uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    WITH moment AS MATERIALIZED (SELECT kehu.now() AS at),
    restricting AS MATERIALIZED (
        SELECT r.code, r.networks FROM iam.role r
        WHERE r.networks <> '{}' AND (
            EXISTS (SELECT FROM iam.staff s WHERE s.id = who AND r.code = ANY (s.roles))
            OR EXISTS (SELECT FROM iam.grant g, moment WHERE g.staff_id = who AND r.code = ANY (g.roles) AND g.lasts @> moment.at)))
    SELECT CASE WHEN NOT EXISTS (SELECT FROM restricting) THEN '{}'::text[] ELSE coalesce(
        (SELECT array_agg(DISTINCT n) FROM restricting c, unnest(c.networks) n
         WHERE NOT EXISTS (SELECT FROM restricting r
                           WHERE NOT EXISTS (SELECT FROM unnest(r.networks) w WHERE n::inet <<= w::inet))),
        '{255.255.255.255/32}'::text[]) END
$$;

-- Whether somebody may call from an address, as iam.principal() would say of him now. What is no address lies in no network.
CREATE FUNCTION iam.staff_may_call(who uuid, address text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    networks text[] := iam.staff_networks(who);
BEGIN
    IF networks = '{}' OR NOT pg_input_is_valid(address, 'inet') THEN
        RETURN networks = '{}';
    END IF;
    RETURN EXISTS (SELECT FROM unnest(networks) n WHERE address::inet <<= n::inet);
END $$;

-- Behind every way in, whatever it asked for before: no session begins where its bearer may not call from.
CREATE FUNCTION iam.guard_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT iam.staff_may_call(NEW.subject_id, NEW.address) THEN
        RAISE EXCEPTION 'elsewhere' USING ERRCODE = 'check_violation', CONSTRAINT = 'session_network_allowed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON iam.session FOR EACH ROW WHEN (NEW.audience = 'STAFF') EXECUTE FUNCTION iam.guard_session();

-- Other networks make no token worthless; they are read anew under it.
CREATE FUNCTION iam.follow_role_networks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.tell_rights(iam.role_holders(NEW.code), false);
    RETURN NULL;
END $$;
CREATE TRIGGER follow_networks AFTER UPDATE OF networks ON iam.role FOR EACH ROW
    WHEN (OLD.networks IS DISTINCT FROM NEW.networks) EXECUTE FUNCTION iam.follow_role_networks();
