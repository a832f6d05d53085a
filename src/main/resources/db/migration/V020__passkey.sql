-- Why: a passkey (W3C Web Authentication) signs somebody in with nothing that could be told, guessed or typed into the wrong
-- page. What is kept is a public key; what is secret stays in the person's device.

-- How devices know a person: random, so that it says nothing outside. Never changes, so not enrolled.
CREATE TABLE iam.passkey_handle (
    staff_id uuid PRIMARY KEY CONSTRAINT passkey_handle_staff_known REFERENCES iam.staff,
    handle   bytea NOT NULL CONSTRAINT passkey_handle_shape CHECK (octet_length(handle) = 32),
    CONSTRAINT passkey_handle_once UNIQUE (handle)
);
GRANT SELECT, INSERT ON iam.passkey_handle TO kehu_app;

-- A factor of its person, too: listed, asked for and removed like all others. The row there comes and goes with this one.
CREATE TABLE iam.passkey (
    id              uuid PRIMARY KEY CONSTRAINT passkey_factor_known REFERENCES iam.factor ON DELETE CASCADE,
    staff_id        uuid NOT NULL CONSTRAINT passkey_staff_known REFERENCES iam.passkey_handle,
    name            text NOT NULL,
    credential_id   bytea NOT NULL CONSTRAINT passkey_credential_shape CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    -- A COSE_Key (RFC 9052, section 7).
    public_key      bytea NOT NULL CONSTRAINT passkey_key_shape CHECK (octet_length(public_key) BETWEEN 1 AND 1024),
    -- How the device may be reached, as it said itself: a hint for the browser.
    transports      text[] NOT NULL,
    -- Counts what the device has signed; 0 for devices that do not count.
    sign_count      bigint NOT NULL CONSTRAINT passkey_count_range CHECK (sign_count BETWEEN 0 AND 4294967295),
    -- Whether it may be copied to other devices of the person, and whether it has been.
    backup_eligible boolean NOT NULL,
    backed_up       boolean NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT kehu.now(),
    last_used_at    timestamptz,
    -- Its counter went back once, so there may be a copy that nobody made on purpose.
    locked_at       timestamptz,
    version         bigint NOT NULL DEFAULT 1,
    valid_from      timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT passkey_credential_once UNIQUE (credential_id)
);
CREATE INDEX passkey_staff ON iam.passkey (staff_id);
SELECT kehu.enrol('iam.passkey', 'credential_id', 'public_key');

-- Ceremonies under way. Taken once. Not enrolled: it lives minutes, and each step is in the audit. Whose it is says nobody
-- where somebody signs in: who it is, is what the passkey tells.
CREATE TABLE iam.passkey_challenge (
    challenge_hash bytea PRIMARY KEY,
    purpose        text NOT NULL CONSTRAINT passkey_challenge_purpose_known CHECK (purpose IN ('register', 'sign-in', 'prove')),
    staff_id       uuid CONSTRAINT passkey_challenge_staff_known REFERENCES iam.staff,
    expires_at     timestamptz NOT NULL,
    CONSTRAINT passkey_challenge_shape CHECK ((purpose = 'sign-in') = (staff_id IS NULL))
);
CREATE INDEX passkey_challenge_end ON iam.passkey_challenge (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON iam.passkey_challenge TO kehu_app;  -- UPDATE: for FOR UPDATE

-- Fails where somebody may not have one more: at most ten; and whoever knows a password that is to be changed first might
-- not be the person, while a passkey would outlive that password. Holds the person's row, so that two are not added at once.
CREATE FUNCTION iam.check_passkeys(who uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM iam.staff WHERE id = who FOR UPDATE;
    IF (SELECT must_change FROM iam.staff WHERE id = who) THEN
        RAISE EXCEPTION 'password first' USING ERRCODE = 'check_violation', CONSTRAINT = 'passkey_password_first';
    END IF;
    IF (SELECT count(*) FROM iam.passkey WHERE staff_id = who) >= 10 THEN
        RAISE EXCEPTION 'too many' USING ERRCODE = 'check_violation', CONSTRAINT = 'passkey_number_bounded';
    END IF;
END $$;

CREATE FUNCTION iam.guard_passkey() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iam.check_passkeys(NEW.staff_id);
    INSERT INTO iam.factor (id, staff_id, kind, label, state) VALUES (NEW.id, NEW.staff_id, 'passkey', NEW.name, 'active');
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON iam.passkey FOR EACH ROW EXECUTE FUNCTION iam.guard_passkey();

-- Whether its person is held for want of a factor may have changed, so what he may do is read anew. With the last factor the
-- codes for recovery go.
CREATE FUNCTION iam.follow_passkey() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    who uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.staff_id ELSE NEW.staff_id END;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE iam.factor SET state = 'pending' WHERE id = NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM iam.factor WHERE id = OLD.id;
        DELETE FROM iam.recovery_code WHERE staff_id = who
            AND NOT EXISTS (SELECT FROM iam.factor f WHERE f.staff_id = who AND f.state = 'active');
    END IF;
    PERFORM iam.tell_rights(ARRAY[who], false);
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT OR DELETE ON iam.passkey FOR EACH ROW EXECUTE FUNCTION iam.follow_passkey();
CREATE TRIGGER follow_lock AFTER UPDATE OF locked_at ON iam.passkey FOR EACH ROW
    WHEN (OLD.locked_at IS NULL AND NEW.locked_at IS NOT NULL) EXECUTE FUNCTION iam.follow_passkey();
