-- Why: a bank says for itself what a good record is, in the words of filters: ranges, and fields held against each other. And how
-- many records fail is kept for a while, per branch, as to look at all of them takes seconds; nobody's name is kept.

-- The column goes before the two that only the past has: rows move there by position.
DROP VIEW customer.quality_rule_all;
ALTER TABLE customer.quality_rule ADD COLUMN condition jsonb;
ALTER TABLE customer.quality_rule_past RENAME COLUMN valid_to TO former_valid_to;
ALTER TABLE customer.quality_rule_past RENAME COLUMN audit_id TO former_audit_id;
ALTER TABLE customer.quality_rule_past
    ADD COLUMN condition jsonb, ADD COLUMN valid_to timestamptz, ADD COLUMN audit_id uuid;
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
        CHECK (kind IN ('required', 'past', 'order', 'reference', 'contact', 'fresh', 'filter')),
    DROP CONSTRAINT quality_rule_field,
    ADD CONSTRAINT quality_rule_field CHECK ((kind IN ('contact', 'fresh', 'filter')) = (field IS NULL)),
    ADD CONSTRAINT quality_rule_condition CHECK ((kind = 'filter') = (condition IS NOT NULL));

CREATE TABLE customer.quality_count (
    branch_id uuid CONSTRAINT quality_count_once PRIMARY KEY CONSTRAINT quality_count_branch_known REFERENCES iam.branch,
    customers bigint NOT NULL,
    -- In the order of the codes in customer.quality_counted.
    failing   bigint[] NOT NULL
);
-- One row: when it was counted by which rules, and until when somebody is counting anew.
CREATE TABLE customer.quality_counted (
    one           boolean PRIMARY KEY DEFAULT true CONSTRAINT quality_counted_one CHECK (one),
    at            timestamptz NOT NULL DEFAULT '-infinity',
    codes         text[] NOT NULL DEFAULT '{}',
    claimed_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO customer.quality_counted DEFAULT VALUES;
GRANT SELECT, INSERT, UPDATE, DELETE ON customer.quality_count TO kehu_app;
GRANT SELECT, UPDATE ON customer.quality_counted TO kehu_app;
