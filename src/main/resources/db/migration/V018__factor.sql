-- Why: a password alone lets in whoever has seen it. Staff prove themselves with a second factor: a code of an app
-- (RFC 6238), a code by SMS, or a code for recovery. Which roles need one is data; whoever needs one and has none may do
-- nothing but enrol it. A sign-in that waits for its second step, and codes under way, are rows here, so that every node
-- counts the same tries.

-- What a person has, of whatever kind; what is secret about it stands beside it and goes with it. Kinds that other rooms add
-- have tables of their own that refer to the row here.
CREATE TABLE iam.factor (
    id           uuid PRIMARY KEY,
    staff_id     uuid NOT NULL CONSTRAINT factor_staff_known REFERENCES iam.staff,
    kind         text NOT NULL CONSTRAINT factor_kind_known CHECK (kind IN ('totp', 'sms', 'passkey')),
    -- What its owner sees of it, e.g. a masked phone number.
    label        text NOT NULL,
    state        text NOT NULL CONSTRAINT factor_state_known CHECK (state IN ('pending', 'active')),
    made_at      timestamptz NOT NULL DEFAULT kehu.now(),
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now()
);
-- One that counts of each kind that proves the same thing twice; and one that waits to be confirmed.
CREATE UNIQUE INDEX factor_kind_once ON iam.factor (staff_id, kind, state) WHERE kind IN ('totp', 'sms');
CREATE INDEX factor_staff ON iam.factor (staff_id);
SELECT kehu.enrol('iam.factor');

-- Sealed with the data key of the member of staff: the shared secret, or the phone number. Not enrolled: what is removed is
-- gone. last_step is the newest time step whose code was accepted, so that each code opens once.
CREATE TABLE iam.factor_secret (
    factor_id uuid PRIMARY KEY CONSTRAINT factor_secret_factor_known REFERENCES iam.factor ON DELETE CASCADE,
    sealed    bytea NOT NULL,
    last_step bigint NOT NULL DEFAULT 0
);

-- Codes by SMS. Not enrolled: they live minutes, and each step is in the audit. They stay countable when their factor is gone.
CREATE TABLE iam.factor_code (
    id         uuid PRIMARY KEY,
    staff_id   uuid NOT NULL CONSTRAINT factor_code_staff_known REFERENCES iam.staff,
    factor_id  uuid NOT NULL,
    code_hash  bytea NOT NULL,
    tries      int NOT NULL DEFAULT 0 CONSTRAINT factor_code_tries_bounded CHECK (tries <= 5),
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX factor_code_staff ON iam.factor_code (staff_id, made_at);
CREATE INDEX factor_code_factor ON iam.factor_code (factor_id);

-- Each opens once.
CREATE TABLE iam.recovery_code (
    staff_id  uuid NOT NULL CONSTRAINT recovery_code_staff_known REFERENCES iam.staff,
    code_hash bytea NOT NULL,
    used_at   timestamptz,
    CONSTRAINT recovery_code_once PRIMARY KEY (staff_id, code_hash)
);

-- A sign-in that has its first step behind it. What its owner holds is known only by its hash. It is worth nothing once the
-- password or the rights have changed.
CREATE TABLE iam.factor_challenge (
    challenge_hash bytea PRIMARY KEY,
    staff_id       uuid NOT NULL CONSTRAINT factor_challenge_staff_known REFERENCES iam.staff,
    rights         bigint NOT NULL,
    cookie         boolean NOT NULL,
    tries          int NOT NULL DEFAULT 0 CONSTRAINT factor_challenge_tries_bounded CHECK (tries <= 5),
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz
);
CREATE INDEX factor_challenge_end ON iam.factor_challenge (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON iam.factor_secret, iam.factor_code, iam.recovery_code, iam.factor_challenge TO kehu_app;

-- Which roles need one ---------------------------------------------------------------------------------------------------
-- By default: those that approve, take data out, or show it in full.
CREATE FUNCTION iam.wants_factor(permissions text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM unnest(permissions) p WHERE p ~ ':(approve|decide|export|unmask)$')
$$;

-- The column goes before the two that only the past has: rows move there by position.
DROP VIEW iam.role_all;
ALTER TABLE iam.role ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
ALTER TABLE iam.role_past RENAME COLUMN valid_to TO former_valid_to;
ALTER TABLE iam.role_past RENAME COLUMN audit_id TO former_audit_id;
ALTER TABLE iam.role_past
    ADD COLUMN second_factor boolean NOT NULL DEFAULT false, ADD COLUMN valid_to timestamptz, ADD COLUMN audit_id uuid;
UPDATE iam.role_past SET valid_to = former_valid_to, audit_id = former_audit_id;
ALTER TABLE iam.role_past
    DROP COLUMN former_valid_to, DROP COLUMN former_audit_id,
    ALTER COLUMN valid_to SET NOT NULL, ALTER COLUMN audit_id SET NOT NULL, ALTER COLUMN second_factor DROP DEFAULT;
CREATE VIEW iam.role_all AS SELECT *, 'infinity'::timestamptz AS valid_to, NULL::uuid AS audit_id FROM iam.role
    UNION ALL SELECT * FROM iam.role_past;
GRANT SELECT ON iam.role_all TO kehu_app;
UPDATE iam.role SET second_factor = true WHERE iam.wants_factor(permissions);

CREATE FUNCTION iam.follow_role_factor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.tell_rights(iam.role_holders(NEW.code), false);
    RETURN NULL;
END $$;
CREATE TRIGGER follow_factor AFTER UPDATE OF second_factor ON iam.role FOR EACH ROW
    WHEN (OLD.second_factor IS DISTINCT FROM NEW.second_factor) EXECUTE FUNCTION iam.follow_role_factor();

-- What somebody has, and has to have --------------------------------------------------------------------------------------
-- The methods by which a member of staff can take the second step, best first.
CREATE FUNCTION iam.factor_methods(who uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT m.kind FROM (
            SELECT DISTINCT f.kind FROM iam.factor f WHERE f.staff_id = who AND f.state = 'active'
            UNION ALL
            SELECT 'recovery' WHERE EXISTS (SELECT FROM iam.recovery_code c WHERE c.staff_id = who AND c.used_at IS NULL)
                                AND EXISTS (SELECT FROM iam.factor f WHERE f.staff_id = who AND f.state = 'active')) m
        ORDER BY array_position(ARRAY['passkey', 'totp', 'sms', 'recovery'], m.kind))
$$;

-- How he shows in a session that he is still himself. Who has no second factor has the password, unless that is elsewhere.
CREATE FUNCTION iam.step_up_methods(who uuid) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN m.methods <> '{}' THEN m.methods
                WHEN EXISTS (SELECT FROM iam.staff s WHERE s.id = who)
                     AND NOT EXISTS (SELECT FROM iam.federated_identity i WHERE i.staff_id = who) THEN '{password}'
                ELSE '{}' END
    FROM (SELECT iam.factor_methods(who) AS methods) m
$$;

-- Whether one of his roles, or one he has for a while, asks for a second factor, and he has none.
CREATE FUNCTION iam.must_enrol(who uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT iam.factor_methods(who) = '{}' AND EXISTS (
        SELECT FROM iam.source o JOIN iam.role r ON r.code = o.role
        WHERE o.staff_id = who AND r.second_factor AND o.lasts @> kehu.now())
$$;

-- Whether the policy of second factors was in force when the session began, and nobody else had seen one.
ALTER TABLE iam.session ADD COLUMN factor_policy boolean NOT NULL DEFAULT false;

-- As before, and whoever has to enrol a second factor.
CREATE OR REPLACE FUNCTION iam.staff_held(who uuid, session uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT s.must_change OR coalesce((SELECT e.factor_policy AND iam.must_enrol(who) FROM iam.session e
                                      WHERE e.id = staff_held.session), false)
    FROM iam.staff s WHERE s.id = who
$$;

-- Begins a code by SMS, unless its owner has had his number for this hour; earlier ones are worth nothing any more. Yields the
-- seconds to wait, or null where it began.
CREATE FUNCTION iam.begin_factor_code(id uuid, factor uuid, code_hash bytea, expires_at timestamptz, per_hour int)
    RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := kehu.now();
    owner  uuid := (SELECT f.staff_id FROM iam.factor f WHERE f.id = factor);
    sent   int;
    oldest timestamptz;
BEGIN
    -- One at a time for each of them.
    PERFORM pg_advisory_xact_lock(hashtextextended('iam.factor_code ' || owner::text, 0));
    DELETE FROM iam.factor_code c WHERE c.staff_id = owner AND c.made_at < moment - interval '1 hour';
    SELECT count(*), min(c.made_at) INTO sent, oldest FROM iam.factor_code c WHERE c.staff_id = owner;
    IF sent >= per_hour THEN
        RETURN greatest(1, ceil(extract(epoch FROM oldest + interval '1 hour' - moment)))::int;
    END IF;
    UPDATE iam.factor_code c SET used_at = moment WHERE c.factor_id = factor AND c.used_at IS NULL;
    INSERT INTO iam.factor_code (id, staff_id, factor_id, code_hash, made_at, expires_at)
    VALUES (begin_factor_code.id, owner, factor, begin_factor_code.code_hash, moment, begin_factor_code.expires_at);
    RETURN NULL;
END $$;

-- Who manages staff sees and ends the sessions of others.
UPDATE iam.role SET permissions = permissions || '{session:read,session:manage}' WHERE code = 'administrator';
UPDATE iam.role SET permissions = permissions || '{session:read}' WHERE code = 'auditor';
