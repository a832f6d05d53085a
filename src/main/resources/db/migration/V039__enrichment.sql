-- Why: what a public page says of an organisation is worth a look, and never a change by itself. Sources are data; what they say
-- waits as a proposal until somebody has decided.

CREATE TABLE customer.enrichment_source (
    id         uuid PRIMARY KEY,
    code       text NOT NULL CONSTRAINT enrichment_source_code_once UNIQUE,
    name       text NOT NULL,
    -- One that the setting enrichment.hosts allows, asked again at every call.
    host       text NOT NULL CONSTRAINT enrichment_source_host_plain CHECK (host ~ '^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$'),
    path       text NOT NULL CONSTRAINT enrichment_source_path_named CHECK (path LIKE '/%' AND (path LIKE '%{creditCode}%' OR path LIKE '%{name}%')),
    -- [{"field": "address", "pointer": "/data/0/address"}]
    fields     jsonb NOT NULL,
    enabled    boolean NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
SELECT kehu.enrol('customer.enrichment_source');

-- What is known of a server: when it may be called next, whoever calls it, and what its robots.txt says to us. Not worth a past.
CREATE TABLE customer.enrichment_host (
    host         text CONSTRAINT enrichment_host_once PRIMARY KEY,
    next_at      timestamptz NOT NULL,
    -- [{"allow": false, "path": "/private"}], and until when that counts; null for not asked yet.
    robots       jsonb,
    robots_until timestamptz
);
GRANT SELECT, INSERT, UPDATE ON customer.enrichment_host TO kehu_app;

CREATE TABLE customer.enrichment_proposal (
    id          uuid PRIMARY KEY,
    -- As it was asked for; a merged one leads to its survivor.
    customer_id uuid NOT NULL CONSTRAINT enrichment_proposal_customer_known REFERENCES customer.customer,
    source_id   uuid NOT NULL CONSTRAINT enrichment_proposal_source_known REFERENCES customer.enrichment_source,
    field       text NOT NULL CONSTRAINT enrichment_proposal_field_known
                CHECK (field IN ('name', 'foundedOn', 'industry', 'regionCode', 'address', 'phone', 'email')),
    -- Under the customer's key; null where he was erased.
    value       bytea,
    state       text NOT NULL DEFAULT 'open'
                CONSTRAINT enrichment_proposal_state_known CHECK (state IN ('open', 'accepted', 'rejected', 'superseded')),
    fetched_at  timestamptz NOT NULL DEFAULT kehu.now(),
    decided_by  uuid,
    decided_at  timestamptz,
    -- Of a rejection, under the customer's key.
    why         bytea,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT enrichment_proposal_decision_told CHECK ((state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL))
);
-- What a source says of a field waits once, and the newest of it.
CREATE UNIQUE INDEX enrichment_proposal_open_once ON customer.enrichment_proposal (customer_id, source_id, field) WHERE state = 'open';
CREATE INDEX enrichment_proposal_queue ON customer.enrichment_proposal (state, fetched_at DESC, id DESC);
CREATE INDEX enrichment_proposal_customer ON customer.enrichment_proposal (customer_id);
SELECT kehu.enrol('customer.enrichment_proposal', 'value', 'why');

CREATE VIEW customer.overview_enrichments AS
SELECT p.customer_id, p.fetched_at AS at, p.id, jsonb_build_object('source', s.code, 'field', p.field) AS item
FROM customer.enrichment_proposal p JOIN customer.enrichment_source s ON s.id = p.source_id
WHERE p.state = 'open';
CREATE VIEW customer.personal_enrichments AS
SELECT p.customer_id, p.fetched_at AS at, p.id, jsonb_build_object('source', s.code, 'field', p.field, 'state', p.state) AS item,
       p.value AS sealed, 'customer.enrichment_proposal' AS sealed_for
FROM customer.enrichment_proposal p JOIN customer.enrichment_source s ON s.id = p.source_id;
GRANT SELECT ON customer.overview_enrichments, customer.personal_enrichments TO kehu_app;

CREATE FUNCTION customer.erase_enrichments(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer.enrichment_proposal SET value = NULL, why = NULL WHERE customer_id = ANY (customers);
    UPDATE customer.enrichment_proposal_past SET value = NULL, why = NULL WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_enrichments(uuid[]) FROM PUBLIC;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{enrichment:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'auditor', 'risk', 'marketing');
UPDATE iam.role SET permissions = permissions || '{enrichment:request,enrichment:decide}'
WHERE code IN ('branch-head', 'customer-manager', 'operator');
UPDATE iam.role SET permissions = permissions || '{enrichment:configure}' WHERE code IN ('risk', 'marketing');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, t AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
         unnest(ARRAY['enrichment:read', 'enrichment:request', 'enrichment:decide', 'enrichment:configure']) t
    UNION ALL
    SELECT 'audit:read', w, 'Who proves what was done has done nothing.'
    FROM unnest(ARRAY['enrichment:request', 'enrichment:decide', 'enrichment:configure']) w) p;
