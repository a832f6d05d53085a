-- Why: what a customer earns and owes month by month, what he saves for and can bear, and the statements of a company decide what he
-- is offered and lent. It is more private than his name: one ciphertext a customer, opened only where it is asked for, so nothing
-- can be filtered, sorted or counted by it.

CREATE TABLE customer.profile (
    id          uuid CONSTRAINT profile_once PRIMARY KEY,
    -- The id it arrived for: of a merged record each side keeps its own.
    customer_id uuid NOT NULL CONSTRAINT profile_of_one UNIQUE CONSTRAINT profile_customer_known REFERENCES customer.customer,
    -- A JSON object, as io.kehu.crypto.Vault sealed it for the table customer.profile, class C2, with the key of customer_id.
    sealed      bytea NOT NULL CONSTRAINT profile_sealed CHECK (get_byte(sealed, 0) = 1 AND length(sealed) BETWEEN 30 AND 40000),
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now()
);
SELECT kehu.enrol('customer.profile', 'sealed');
CREATE INDEX profile_past_customer ON customer.profile_past (customer_id);

-- With every version there was, and what ended it.
CREATE VIEW customer.personal_profile AS
SELECT p.customer_id, p.valid_from AS at, p.id,
       jsonb_strip_nulls(jsonb_build_object('version', p.version, 'until', nullif(p.valid_to, 'infinity'))) AS item,
       p.sealed, 'customer.profile' AS sealed_for
FROM customer.profile_all p;
GRANT SELECT ON customer.personal_profile TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{profile:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'finance', 'risk');
UPDATE iam.role SET permissions = permissions || '{profile:manage}' WHERE code IN ('branch-head', 'customer-manager', 'operator');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, c AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m, unnest(ARRAY['profile:read', 'profile:manage']) c
      UNION ALL SELECT 'audit:read', 'profile:manage', 'Who proves what was done has done nothing.') p;
