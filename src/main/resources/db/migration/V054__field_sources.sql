-- Why: who said a field last was one row for each field, so a customer who was entered by hand brought a dozen of them, with two
-- entries of indexes, a check of the customer and a note for the audit each. It is one row for each customer now. Fields that one source
-- said at one time stand together: that is how they come, and with a column for each part or an object for each field the row of a new
-- customer, and what its audit and its past keep of it, was twice as long.

CREATE TABLE customer.field_sources (
    -- The customer's own.
    id         uuid PRIMARY KEY CONSTRAINT field_sources_customer_known REFERENCES customer.customer,
    -- [{"source", "since", "fields": [...]}, ...], a field at most once.
    said       jsonb NOT NULL CONSTRAINT field_sources_said_listed CHECK (jsonb_typeof(said) = 'array'),
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
SELECT kehu.enrol('customer.field_sources');

CREATE FUNCTION customer.each_source(said jsonb) RETURNS TABLE (field text, source text, since timestamptz) LANGUAGE sql STABLE
    PARALLEL SAFE AS $$
    SELECT f.field, s.source, s.since
    FROM jsonb_to_recordset(said) AS s(source text, since timestamptz, fields text[]), unnest(s.fields) AS f(field)
$$;

-- What is said once more is said: a field whose source stays the same keeps its time, and with nothing else the result is `there`
-- itself. Of a field whose source is null in `more` nobody is noted any more.
CREATE FUNCTION customer.last_word(there jsonb, more jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        WITH t AS (SELECT * FROM customer.each_source(there)),
        m AS (SELECT m.* FROM customer.each_source(more) m LEFT JOIN t USING (field) WHERE m.source IS DISTINCT FROM t.source)
        SELECT CASE WHEN NOT EXISTS (SELECT FROM m) THEN there ELSE coalesce((
            SELECT jsonb_agg(jsonb_build_object('source', g.source, 'since', g.since, 'fields', g.fields) ORDER BY g.since, g.source)
            FROM (SELECT w.source, w.since, jsonb_agg(w.field ORDER BY w.field) AS fields
                  FROM (SELECT * FROM m WHERE source IS NOT NULL
                        UNION ALL
                        SELECT * FROM t WHERE field NOT IN (SELECT field FROM m)) w
                  GROUP BY w.source, w.since) g), '[]') END);
END $$;

-- As it was. A field that ended is in the past of the customer once for each end: as the row stood just before. What is said to stand
-- in a row may have been said after its begin; `since` tells.
WITH told AS (
    SELECT f.customer_id, f.field, f.source, f.valid_from, f.valid_to, f.audit_id FROM customer.field_source_all f),
ends AS (
    SELECT e.customer_id, e.at, e.audit_id, row_number() OVER w AS version, lag(e.at) OVER w AS former
    FROM (SELECT t.customer_id, t.valid_to AS at, (array_agg(t.audit_id))[1] AS audit_id
          FROM told t WHERE t.audit_id IS NOT NULL GROUP BY t.customer_id, t.valid_to) e
    WINDOW w AS (PARTITION BY e.customer_id ORDER BY e.at)),
groups AS (
    SELECT e.customer_id, e.version, e.former, e.at, e.audit_id, t.source, t.valid_from, jsonb_agg(t.field ORDER BY t.field) AS fields
    FROM ends e JOIN told t ON t.customer_id = e.customer_id AND t.valid_from < e.at AND t.valid_to >= e.at
    GROUP BY e.customer_id, e.version, e.former, e.at, e.audit_id, t.source, t.valid_from)
INSERT INTO customer.field_sources_past (id, said, version, valid_from, valid_to, audit_id)
SELECT g.customer_id,
    jsonb_agg(jsonb_build_object('source', g.source, 'since', g.valid_from, 'fields', g.fields) ORDER BY g.valid_from, g.source),
    g.version, coalesce(g.former, min(g.valid_from)), g.at, g.audit_id
FROM groups g GROUP BY g.customer_id, g.version, g.former, g.at, g.audit_id;

INSERT INTO customer.field_sources (id, said, version, valid_from)
SELECT c.customer_id, coalesce(l.said, '[]'), coalesce(p.version, 0) + 1, coalesce(p.valid_to, l.since)
FROM (SELECT customer_id FROM customer.field_source UNION SELECT id FROM customer.field_sources_past) c
LEFT JOIN (
    SELECT g.customer_id, min(g.valid_from) AS since,
        jsonb_agg(jsonb_build_object('source', g.source, 'since', g.valid_from, 'fields', g.fields) ORDER BY g.valid_from, g.source) AS said
    FROM (SELECT f.customer_id, f.source, f.valid_from, jsonb_agg(f.field ORDER BY f.field) AS fields
          FROM customer.field_source f GROUP BY f.customer_id, f.source, f.valid_from) g
    GROUP BY g.customer_id) l USING (customer_id)
LEFT JOIN (
    SELECT id AS customer_id, max(version) AS version, max(valid_to) AS valid_to FROM customer.field_sources_past GROUP BY id) p
    USING (customer_id);

DROP VIEW customer.personal_sources, customer.field_source_all;
DROP TABLE customer.field_source, customer.field_source_past;

-- A field a line, as before.
CREATE VIEW customer.field_source AS
SELECT f.id AS customer_id, s.field, s.source, s.since AS valid_from
FROM customer.field_sources f, customer.each_source(f.said) s;
-- A field has no id of its own any more: pages of a file need one.
CREATE VIEW customer.personal_sources AS
SELECT f.customer_id, f.valid_from AS at, md5(f.customer_id || f.field)::uuid AS id,
    jsonb_build_object('field', f.field, 'source', f.source) AS item, NULL::bytea AS sealed, NULL::text AS sealed_for
FROM customer.field_source f;
GRANT SELECT ON customer.field_source, customer.personal_sources TO kehu_app;

CREATE OR REPLACE FUNCTION customer.erase_field_sources(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.field_sources WHERE id = ANY (customers);
    DELETE FROM customer.field_sources_past WHERE id = ANY (customers);
END $$;
