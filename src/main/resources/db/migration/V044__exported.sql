-- Why: a person may ask where his data went. An export knew how many were in its file, not who. Now it keeps their places in the
-- order of entry as ranges: a file of a million customers who were entered one after the other is a few rows here, and one of every
-- second of them is some ten megabytes, where a row for each would be fifty. A place says nothing of a person, so it stays when he is
-- erased. Files for analysis name nobody, and tell of nobody here.

CREATE TABLE customer.exported (
    export_id uuid NOT NULL CONSTRAINT exported_of REFERENCES customer.export,
    part      int NOT NULL CONSTRAINT exported_part_positive CHECK (part >= 0),
    -- customer.seq of those in the file; each part lies behind the one before.
    seqs      int8multirange NOT NULL CONSTRAINT exported_seqs_some CHECK (NOT isempty(seqs)),
    CONSTRAINT exported_once PRIMARY KEY (export_id, part)
);
CREATE INDEX exported_seqs ON customer.exported USING gist (seqs);
GRANT SELECT, INSERT ON customer.exported TO kehu_app;

-- Published: the files that a customer is in, under the id that he had.
CREATE VIEW customer.exported_customer AS
SELECT c.id AS customer_id, f.made_at AS at, e.id, e.purpose, e.maker_id, e.branch_id, e.request
FROM customer.customer c
JOIN customer.exported x ON x.seqs @> c.seq
JOIN customer.export e ON e.id = x.export_id
JOIN customer.export_file f ON f.export_id = e.id;

CREATE VIEW customer.personal_exports AS
SELECT x.customer_id, x.at, x.id, jsonb_strip_nulls(jsonb_build_object(
           'purpose', x.purpose, 'format', x.request->'format', 'columns', x.request->'columns', 'inFull', x.request->'unmask',
           'branch', b.code, 'staffId', x.maker_id)) AS item,
       NULL::bytea AS sealed, NULL::text AS sealed_for
FROM customer.exported_customer x JOIN iam.branch b ON b.id = x.branch_id;

GRANT SELECT ON customer.exported_customer, customer.personal_exports TO kehu_app;
