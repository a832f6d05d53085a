-- Why: what was wrong with the rows of an imported file. How far an import is stands in kehu.job; here is which row was
-- refused and why: place, code and what the code's text needs, never a value of the row. Written in the transaction that
-- moves the import on, at most 50,000 lines for each (the rest is only counted).

CREATE TABLE customer.import_error (
    import_id uuid NOT NULL CONSTRAINT import_error_job_known REFERENCES kehu.job ON DELETE CASCADE,
    -- In the order of the file.
    place     bigint NOT NULL,
    line      bigint NOT NULL,
    field     text NOT NULL,
    code      text NOT NULL,
    args      text[] NOT NULL,
    CONSTRAINT import_error_once PRIMARY KEY (import_id, place)
);
GRANT SELECT, INSERT ON customer.import_error TO kehu_app;
