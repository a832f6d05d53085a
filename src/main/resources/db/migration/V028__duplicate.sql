-- Why: the same customer, entered twice. A scan computes by which keyed hashes each customer is comparable with others, gathers
-- those who share one, weighs them, and keeps the pairs that may be one customer until somebody has decided.

-- Keyed hashes of name, birth date, phone and so on of each customer. Computed anew by the next scan where they are lost, so
-- it is not worth a log; the row of seq 0 tells that they were not: its one key is the mark of customer.scan_state.
CREATE UNLOGGED TABLE customer.block (
    seq     bigint CONSTRAINT block_once PRIMARY KEY,
    -- The scan, by number, that computed them last.
    scan    bigint NOT NULL,
    keys    bigint[] NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON customer.block TO kehu_app;
GRANT MAINTAIN ON customer.block TO kehu_app;

-- One row: the scan that is under way or was the last, and how far the last finished one saw.
CREATE TABLE customer.scan_state (
    one       boolean CONSTRAINT scan_state_one PRIMARY KEY DEFAULT true CHECK (one),
    scan_id   uuid,
    number    bigint NOT NULL DEFAULT 0,
    -- Changes before this instant have been looked at; null for none.
    seen      timestamptz,
    -- What customer.block must hold to be whole; null for nothing that is.
    mark      bigint
);
INSERT INTO customer.scan_state DEFAULT VALUES;
GRANT SELECT, UPDATE ON customer.scan_state TO kehu_app;

CREATE TABLE customer.duplicate (
    id         uuid PRIMARY KEY,
    a_id       uuid NOT NULL CONSTRAINT duplicate_a_known REFERENCES customer.customer,
    b_id       uuid NOT NULL CONSTRAINT duplicate_b_known REFERENCES customer.customer,
    -- Bits of evidence, see MatchRules.
    score      numeric(6, 1) NOT NULL,
    level      text NOT NULL CONSTRAINT duplicate_level_known CHECK (level IN ('certain', 'possible')),
    -- [{"field": "name", "found": "equal", "weight": 11.0}]: what was found, never a value.
    reasons    jsonb NOT NULL,
    -- gone: the records have changed and are no longer alike.
    state      text NOT NULL CONSTRAINT duplicate_state_known CHECK (state IN ('open', 'dismissed', 'confirmed', 'gone')),
    found_at   timestamptz NOT NULL DEFAULT kehu.now(),
    decided_by uuid,
    decided_at timestamptz,
    -- Why, as one ciphertext under the key of a_id: it may name people.
    why        bytea,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT duplicate_pair_once UNIQUE (a_id, b_id),
    CONSTRAINT duplicate_pair_order CHECK (a_id < b_id),
    CONSTRAINT duplicate_decision_told CHECK ((state IN ('dismissed', 'confirmed')) = (decided_at IS NOT NULL))
);
CREATE INDEX duplicate_queue ON customer.duplicate (state, score DESC, id);
CREATE INDEX duplicate_b ON customer.duplicate (b_id);
SELECT kehu.enrol('customer.duplicate', 'why');

-- Published: the open pairs of a customer.
CREATE VIEW customer.overview_duplicates AS
SELECT p.customer_id, d.found_at AS at, d.id,
    jsonb_build_object('customerId', p.other_id, 'score', d.score, 'level', d.level, 'reasons', d.reasons) AS item
FROM customer.duplicate d
CROSS JOIN LATERAL (VALUES (d.a_id, d.b_id), (d.b_id, d.a_id)) p(customer_id, other_id)
JOIN customer.customer o ON o.id = p.other_id AND o.deleted_at IS NULL
WHERE d.state = 'open';
GRANT SELECT ON customer.overview_duplicates TO kehu_app;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{duplicate:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'auditor', 'risk', 'marketing');
UPDATE iam.role SET permissions = permissions || '{duplicate:decide}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'marketing');
UPDATE iam.role SET permissions = permissions || '{duplicate:scan}' WHERE code IN ('operator', 'marketing');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, t AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
         unnest(ARRAY['duplicate:read', 'duplicate:decide', 'duplicate:scan']) t
    UNION ALL
    SELECT 'audit:read', w, 'Who proves what was done has done nothing.' FROM unnest(ARRAY['duplicate:decide', 'duplicate:scan']) w) p;
