-- Why: merging two records must lose neither. customer.merged says which id is read as which; this adds the recipe of each merge:
-- who made it when, by which rule, and, as ciphertext under the survivor's key, what the survivor has without it. What a merged
-- record is found by leads to its survivor while the merge holds, and stays claimed.

CREATE TABLE customer.merge (
    id                uuid PRIMARY KEY,
    -- The order of merges: those of one survivor lie on each other like layers.
    place             bigint GENERATED ALWAYS AS IDENTITY,
    survivor_id       uuid NOT NULL CONSTRAINT merge_survivor_known REFERENCES customer.customer,
    duplicate_id      uuid NOT NULL CONSTRAINT merge_duplicate_known REFERENCES customer.customer,
    rule              text NOT NULL CONSTRAINT merge_rule_known CHECK (rule IN ('survivor', 'newest', 'fullest')),
    -- Names of fields only: {"name": "duplicate"}.
    choices           jsonb NOT NULL,
    -- Before the merge.
    survivor_version  bigint NOT NULL,
    duplicate_version bigint NOT NULL,
    own               bytea NOT NULL,
    made_by           uuid NOT NULL,
    made_at           timestamptz NOT NULL,
    undone_by         uuid,
    undone_at         timestamptz,
    version           bigint NOT NULL DEFAULT 1,
    valid_from        timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT merge_other CHECK (survivor_id <> duplicate_id),
    CONSTRAINT merge_undone_whole CHECK ((undone_by IS NULL) = (undone_at IS NULL))
);
-- A record is merged into one other at a time.
CREATE UNIQUE INDEX merge_duplicate_once ON customer.merge (duplicate_id) WHERE undone_at IS NULL;
CREATE INDEX merge_survivor ON customer.merge (survivor_id, place) WHERE undone_at IS NULL;
CREATE INDEX merge_of_duplicate ON customer.merge (duplicate_id);
CREATE INDEX merge_of_survivor ON customer.merge (survivor_id);
SELECT kehu.enrol('customer.merge', 'own');

-- Whose row a blind index is where that is not the record it leads to; null for its own.
ALTER TABLE customer.blind ADD COLUMN side bigint CONSTRAINT blind_side_known REFERENCES customer.customer (seq);
ALTER TABLE customer.blind DROP CONSTRAINT blind_once;
-- Two merged records may share a phone.
CREATE UNIQUE INDEX blind_once ON customer.blind (seq, value, side) NULLS NOT DISTINCT;
CREATE INDEX blind_side ON customer.blind (side) WHERE side IS NOT NULL;
GRANT UPDATE ON customer.blind TO kehu_app;

-- Whoever signs in with the account of a merged record is the customer of the one that stands for it.
CREATE OR REPLACE VIEW customer.present_customer AS
SELECT c.id FROM customer.customer c
WHERE c.deleted_at IS NULL
   OR EXISTS (SELECT FROM customer.merged m JOIN customer.customer r ON r.id = m.survivor_id
              WHERE m.id = c.id AND r.deleted_at IS NULL);

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{merge:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'auditor', 'risk', 'desk-agent', 'marketing');
UPDATE iam.role SET permissions = permissions || '{merge:manage}' WHERE code IN ('branch-head', 'customer-manager', 'operator');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, t AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m, unnest(ARRAY['merge:read', 'merge:manage']) t
    UNION ALL
    SELECT 'audit:read', 'merge:manage', 'Who proves what was done has done nothing.') p;

INSERT INTO iam.approval_policy (id, code, follows, branch_rule, expiry_minutes, levels, about_en, about_zh) VALUES
(uuidv7(), 'customer-merge', NULL, 'sameOrAbove', 4320, '[{"approvers": 1, "permission": "customer:approve"}]',
    'Merging customers and undoing it', '客户合并与撤销合并');
