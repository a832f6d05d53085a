-- Why: what another system sends may be somebody who is there already; the bank says of each connector what becomes of such a row.

-- The column goes before the two that only the past has: rows move there by position.
DROP VIEW customer.connector_all;
ALTER TABLE customer.connector ADD COLUMN duplicates text NOT NULL DEFAULT 'create'
    CONSTRAINT connector_duplicates_known CHECK (duplicates IN ('create', 'skip', 'report'));
ALTER TABLE customer.connector_past RENAME COLUMN valid_to TO former_valid_to;
ALTER TABLE customer.connector_past RENAME COLUMN audit_id TO former_audit_id;
ALTER TABLE customer.connector_past
    ADD COLUMN duplicates text NOT NULL DEFAULT 'create', ADD COLUMN valid_to timestamptz, ADD COLUMN audit_id uuid;
ALTER TABLE customer.connector_past ALTER COLUMN duplicates DROP DEFAULT;
UPDATE customer.connector_past SET valid_to = former_valid_to, audit_id = former_audit_id;
ALTER TABLE customer.connector_past
    DROP COLUMN former_valid_to, DROP COLUMN former_audit_id,
    ALTER COLUMN valid_to SET NOT NULL, ALTER COLUMN audit_id SET NOT NULL;
CREATE VIEW customer.connector_all AS
SELECT *, 'infinity'::timestamptz AS valid_to, NULL::uuid AS audit_id FROM customer.connector
UNION ALL SELECT * FROM customer.connector_past;
GRANT SELECT ON customer.connector_all TO kehu_app;
