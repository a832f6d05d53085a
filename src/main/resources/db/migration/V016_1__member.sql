-- Why: end customers see their own data with an account of their own. Who a person is only the domain of customers can tell,
-- who may come in only this one; so the first starts a registration here for the customer it has found (or for none: the
-- answer is the same), and what is left is a code, a name and a password.

-- Published by the domain of customers: whom there is. A closed one cannot come in any more, on no node within a second.
CREATE VIEW customer.present_customer AS SELECT id FROM customer.customer WHERE deleted_at IS NULL;
GRANT SELECT ON customer.present_customer TO kehu_app;

CREATE FUNCTION customer.forget_caller() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- No token is too old by this; whoever is remembered by that id is asked for again.
    INSERT INTO kehu.revocation (subject_id, min_version) VALUES (NEW.id, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER forget_caller AFTER UPDATE OF deleted_at ON customer.customer FOR EACH ROW
    WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION customer.forget_caller();

-- The account of an end customer, by the customer's id. The name to sign in with is known only by its blind index.
CREATE TABLE iam.member (
    id            uuid PRIMARY KEY CONSTRAINT member_customer_known REFERENCES customer.customer,
    username      bytea NOT NULL,
    password_hash text NOT NULL,
    rights        bigint NOT NULL DEFAULT 1,
    version       bigint NOT NULL DEFAULT 1,
    valid_from    timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT member_username_once UNIQUE (username)
);
SELECT kehu.enrol('iam.member', 'password_hash');

-- A code that is under way. Not enrolled: it lives ten minutes, and each step is in the audit.
CREATE TABLE iam.registration (
    id          uuid PRIMARY KEY,
    customer_id uuid,
    code_hash   bytea NOT NULL,
    tries       int NOT NULL DEFAULT 0 CONSTRAINT registration_tries_bounded CHECK (tries <= 5),
    made_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX registration_customer ON iam.registration (customer_id, made_at) WHERE customer_id IS NOT NULL;
CREATE INDEX registration_end ON iam.registration (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON iam.registration TO kehu_app;

-- Published for the domain of customers: begins a registration, of nobody where the person was not found. Tells whether the
-- code is to be sent: to one customer at most three an hour and ten a day, so that nobody is flooded and a code of six digits
-- is not worth guessing (five tries each). The others look the same and lead nowhere.
CREATE FUNCTION iam.begin_registration(id uuid, customer uuid, code_hash bytea, expires_at timestamptz)
    RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := kehu.now();
    hour   int;
    day    int;
BEGIN
    DELETE FROM iam.registration r WHERE r.id = ANY (ARRAY(
        SELECT o.id FROM iam.registration o WHERE o.expires_at < moment - interval '1 day' LIMIT 10 FOR UPDATE SKIP LOCKED));
    -- One at a time for each customer, and for all who are none in the same number of steps.
    PERFORM pg_advisory_xact_lock(hashtextextended('iam.registration ' || coalesce(customer, id)::text, 0));
    SELECT count(*) FILTER (WHERE r.made_at > moment - interval '1 hour'), count(*) INTO hour, day
    FROM iam.registration r WHERE r.customer_id = customer AND r.made_at > moment - interval '1 day';
    INSERT INTO iam.registration (id, customer_id, code_hash, made_at, expires_at)
    VALUES (begin_registration.id, CASE WHEN hour < 3 AND day < 10 THEN customer END, begin_registration.code_hash, moment,
            begin_registration.expires_at);
    RETURN customer IS NOT NULL AND hour < 3 AND day < 10;
END $$;

CREATE FUNCTION iam.member_principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$
    -- No permissions and no rows of others: an operation for customers answers what is the caller's own.
    SELECT m.id, e.audience, m.rights, 'member', NULL::uuid, '{}'::text[], 'NONE', '{}'::uuid[], '{}'::text[], e.factor_at
    FROM iam.session e
    JOIN iam.member m ON m.id = e.subject_id
    JOIN customer.present_customer c ON c.id = m.id
    WHERE e.id = session AND e.audience = 'CUSTOMER' AND e.revoked_at IS NULL AND e.ends_at > kehu.now()
$$;

CREATE OR REPLACE FUNCTION iam.principal(session uuid)
    RETURNS TABLE (subject_id uuid, audience text, version bigint, name text, branch_id uuid, permissions text[],
                   scope text, branch_ids uuid[], networks text[], factor_at timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT * FROM iam.staff_principal(session)
    UNION ALL SELECT * FROM iam.partner_principal(session)
    UNION ALL SELECT * FROM iam.member_principal(session)
$$;
