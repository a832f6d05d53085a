-- Why: which system has said what of a person is something of his, and he may ask for it.
CREATE VIEW customer.personal_sources AS
SELECT f.customer_id, f.valid_from AS at, f.id, jsonb_build_object('field', f.field, 'source', f.source) AS item,
    NULL::bytea AS sealed, NULL::text AS sealed_for
FROM customer.field_source f;
GRANT SELECT ON customer.personal_sources TO kehu_app;
