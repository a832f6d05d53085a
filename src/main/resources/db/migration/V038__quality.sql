-- Why: what a good record is, as data: rules of a few kinds, each with its weight. What a record fails is asked when somebody
-- looks, so it is never out of date; nothing about a customer is kept here.

CREATE TABLE customer.quality_rule (
    id         uuid PRIMARY KEY,
    code       text NOT NULL,
    kind       text NOT NULL CONSTRAINT quality_rule_kind_known
               CHECK (kind IN ('required', 'past', 'order', 'reference', 'contact', 'fresh')),
    applies_to text CONSTRAINT quality_rule_applies_known CHECK (applies_to IN ('person', 'organisation')),
    field      text CONSTRAINT quality_rule_field_known CHECK (field IN (
                   'birthDate', 'foundedOn', 'customerSince', 'regionCode', 'occupation', 'industry', 'gender', 'channel')),
    -- The field that may not come after, or the dictionary.
    other      text,
    days       int CONSTRAINT quality_rule_days_bounded CHECK (days BETWEEN 1 AND 3660),
    weight     int NOT NULL CONSTRAINT quality_rule_weight_bounded CHECK (weight BETWEEN 1 AND 100),
    enabled    boolean NOT NULL DEFAULT true,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT quality_rule_code_once UNIQUE (code),
    CONSTRAINT quality_rule_days CHECK ((kind = 'fresh') = (days IS NOT NULL)),
    CONSTRAINT quality_rule_field CHECK ((kind IN ('contact', 'fresh')) = (field IS NULL)),
    CONSTRAINT quality_rule_other CHECK (CASE kind WHEN 'order' THEN other IN ('birthDate', 'foundedOn')
                                         WHEN 'reference' THEN other IN ('regions', 'industries', 'occupations')
                                         ELSE other IS NULL END)
);
SELECT kehu.enrol('customer.quality_rule');

INSERT INTO customer.quality_rule (id, code, kind, applies_to, field, other, days, weight)
SELECT uuidv7(), r.*
FROM (VALUES
    ('birth-date-missing', 'required', 'person', 'birthDate', NULL, NULL::int, 15),
    ('birth-date-impossible', 'past', 'person', 'birthDate', NULL, NULL, 20),
    ('founding-missing', 'required', 'organisation', 'foundedOn', NULL, NULL, 10),
    ('gender-missing', 'required', 'person', 'gender', NULL, NULL, 5),
    ('region-missing', 'required', NULL, 'regionCode', NULL, NULL, 10),
    ('region-unknown', 'reference', NULL, 'regionCode', 'regions', NULL, 15),
    ('occupation-missing', 'required', 'person', 'occupation', NULL, NULL, 5),
    ('occupation-unknown', 'reference', 'person', 'occupation', 'occupations', NULL, 10),
    ('industry-missing', 'required', 'organisation', 'industry', NULL, NULL, 10),
    ('industry-unknown', 'reference', 'organisation', 'industry', 'industries', NULL, 15),
    ('customer-before-birth', 'order', 'person', 'customerSince', 'birthDate', NULL, 20),
    ('customer-before-founding', 'order', 'organisation', 'customerSince', 'foundedOn', NULL, 20),
    ('contact-missing', 'contact', NULL, NULL, NULL, NULL, 20),
    ('stale', 'fresh', NULL, NULL, NULL, 730, 10)) r;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{quality:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'analyst', 'auditor', 'risk');
-- What a good record is is said once for the whole bank.
UPDATE iam.role SET permissions = permissions || '{quality:manage}' WHERE code = 'risk';

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, 'quality:read' AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m
      UNION ALL SELECT 'audit:read', 'quality:manage', 'Who proves what was done has done nothing.') p;
