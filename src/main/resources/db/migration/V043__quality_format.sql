-- Why: a bank says for itself what a code, a phone or a document number looks like, by patterns that cannot take long to hold a text
-- against. Patterns of what is sealed say the shape alone, no letter or digit itself: by trying some, one could else read a number.

-- The column goes before the two that only the past has: rows move there by position.
DROP VIEW customer.quality_rule_all;
ALTER TABLE customer.quality_rule ADD COLUMN patterns text[];
ALTER TABLE customer.quality_rule_past RENAME COLUMN valid_to TO former_valid_to;
ALTER TABLE customer.quality_rule_past RENAME COLUMN audit_id TO former_audit_id;
ALTER TABLE customer.quality_rule_past
    ADD COLUMN patterns text[], ADD COLUMN valid_to timestamptz, ADD COLUMN audit_id uuid;
UPDATE customer.quality_rule_past SET valid_to = former_valid_to, audit_id = former_audit_id;
ALTER TABLE customer.quality_rule_past
    DROP COLUMN former_valid_to, DROP COLUMN former_audit_id,
    ALTER COLUMN valid_to SET NOT NULL, ALTER COLUMN audit_id SET NOT NULL;
CREATE VIEW customer.quality_rule_all AS
SELECT *, 'infinity'::timestamptz AS valid_to, NULL::uuid AS audit_id FROM customer.quality_rule
UNION ALL SELECT * FROM customer.quality_rule_past;
GRANT SELECT ON customer.quality_rule_all TO kehu_app;

ALTER TABLE customer.quality_rule
    DROP CONSTRAINT quality_rule_kind_known,
    ADD CONSTRAINT quality_rule_kind_known
        CHECK (kind IN ('required', 'past', 'order', 'reference', 'contact', 'fresh', 'filter', 'format')),
    DROP CONSTRAINT quality_rule_field_known,
    ADD CONSTRAINT quality_rule_field_known CHECK (CASE kind
        WHEN 'format' THEN field IN ('regionCode', 'occupation', 'industry',
                                     'name', 'phone', 'email', 'address', 'postCode', 'document')
        ELSE field IN ('birthDate', 'foundedOn', 'customerSince', 'regionCode', 'occupation', 'industry', 'gender', 'channel') END),
    -- Of the format of a document number its type.
    DROP CONSTRAINT quality_rule_other,
    ADD CONSTRAINT quality_rule_other CHECK (CASE kind
        WHEN 'order' THEN other IN ('birthDate', 'foundedOn')
        WHEN 'reference' THEN other IN ('regions', 'industries', 'occupations')
        WHEN 'format' THEN (field = 'document') = (other IS NOT NULL)
        ELSE other IS NULL END),
    ADD CONSTRAINT quality_rule_patterns
        CHECK (CASE kind WHEN 'format' THEN cardinality(patterns) BETWEEN 1 AND 10 ELSE patterns IS NULL END);
