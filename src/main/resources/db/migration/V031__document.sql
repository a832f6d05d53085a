-- Why: papers of a customer. A document is what it is about; its versions are files, each written once and never changed. The
-- bytes lie in the blob store under keys of their own, the title lies here under the customer's. A file can be read only after
-- it was found clean, and a deleted document keeps its files until the customer is erased.

CREATE TABLE customer.document (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL CONSTRAINT document_customer_known REFERENCES customer.customer,
    type        text NOT NULL,
    -- Null once the customer is erased.
    title       bytea,
    -- The number of the newest version.
    newest      int NOT NULL DEFAULT 1,
    made_by     uuid NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT kehu.now(),
    deleted_by  uuid,
    deleted_at  timestamptz,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT document_end_whole CHECK ((deleted_at IS NULL) = (deleted_by IS NULL))
);
CREATE INDEX document_customer ON customer.document (customer_id, id);
SELECT kehu.enrol('customer.document');

CREATE TABLE customer.document_version (
    id           uuid PRIMARY KEY,
    document_id  uuid NOT NULL CONSTRAINT document_version_document_known REFERENCES customer.document,
    number       int NOT NULL,
    blob_id      uuid NOT NULL,
    size         bigint NOT NULL,
    sha256       text NOT NULL,
    content_type text NOT NULL,
    state        text NOT NULL DEFAULT 'quarantined'
                 CONSTRAINT document_version_state_known CHECK (state IN ('quarantined', 'clean', 'infected', 'erased')),
    -- What judged it: clamd, or off where the bank has said that nothing does.
    scanner      text,
    -- The name of what was found, as the scanner says it.
    finding      text,
    scanned_at   timestamptz,
    made_by      uuid NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT kehu.now(),
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT document_version_once UNIQUE (document_id, number),
    CONSTRAINT document_version_blob_once UNIQUE (blob_id),
    CONSTRAINT document_version_verdict_whole CHECK (state = 'erased' OR (state = 'quarantined') = (scanned_at IS NULL))
);
SELECT kehu.enrol('customer.document_version');

CREATE VIEW customer.overview_documents AS
SELECT d.customer_id, v.made_at AS at, d.id, jsonb_build_object(
           'type', d.type, 'newest', d.newest, 'state', v.state, 'contentType', v.content_type, 'size', v.size) AS item
FROM customer.document d JOIN customer.document_version v ON v.document_id = d.id AND v.number = d.newest
WHERE d.deleted_at IS NULL;

-- Deleted ones are still held, and so they are told.
CREATE VIEW customer.personal_documents AS
SELECT d.customer_id, v.made_at AS at, v.id, jsonb_strip_nulls(jsonb_build_object(
           'documentId', d.id, 'type', d.type, 'number', v.number, 'state', v.state, 'contentType', v.content_type,
           'size', v.size, 'sha256', v.sha256, 'deletedAt', d.deleted_at)) AS item,
       d.title AS sealed, 'customer.document' AS sealed_for
FROM customer.document d JOIN customer.document_version v ON v.document_id = d.id;
GRANT SELECT ON customer.overview_documents, customer.personal_documents TO kehu_app;

-- The keys of the files go with those of the customer, so every copy of their bytes is unreadable at once.
CREATE FUNCTION customer.erase_documents(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kehu.release_blob(v.blob_id)
    FROM customer.document_version v JOIN customer.document d ON d.id = v.document_id WHERE d.customer_id = ANY (customers);
    UPDATE customer.document_version v SET state = 'erased', sha256 = '', finding = NULL
    FROM customer.document d WHERE d.id = v.document_id AND d.customer_id = ANY (customers);
    UPDATE customer.document SET title = NULL WHERE customer_id = ANY (customers);
    UPDATE customer.document_version_past v SET sha256 = '', finding = NULL
    FROM customer.document d WHERE d.id = v.document_id AND d.customer_id = ANY (customers);
    UPDATE customer.document_past SET title = NULL WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_documents(uuid[]) FROM PUBLIC;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{document:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'auditor', 'risk', 'desk-agent');
UPDATE iam.role SET permissions = permissions || '{document:manage}' WHERE code IN ('branch-head', 'customer-manager', 'operator');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, d AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
           unnest(ARRAY['document:read', 'document:manage']) d
      UNION ALL SELECT 'audit:read', 'document:manage', 'Who proves what was done has done nothing.') p;
