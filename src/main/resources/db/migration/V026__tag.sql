-- Why: what the bank calls its customers beside their facts. Tags stand in a tree of categories; each belongs to the whole
-- bank or to a branch and those below it, is given by hand or by a rule, and holds for a time. Whether one holds is asked of
-- the clock by whoever reads: nothing has to run for a tag to end.

-- Published by iam: whether a branch is another one or lies below it.
CREATE FUNCTION iam.is_within(branch uuid, top uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN EXISTS (SELECT FROM iam.branch t JOIN iam.branch b ON b.tree ^@ t.tree WHERE t.id = top AND b.id = branch);

CREATE TABLE customer.tag_category (
    id           uuid PRIMARY KEY,
    parent_id    uuid,
    code         text NOT NULL,
    name_en      text NOT NULL,
    name_zh      text NOT NULL,
    -- The codes from the top down, each followed by '!': its order is the order of the tree.
    tree         text COLLATE "C" NOT NULL,
    -- Four layers.
    depth        int NOT NULL CONSTRAINT tag_category_depth_bounded CHECK (depth BETWEEN 0 AND 3),
    parent_depth int GENERATED ALWAYS AS (CASE WHEN depth > 0 THEN depth - 1 END) STORED,
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT tag_category_code_once UNIQUE (code),
    CONSTRAINT tag_category_tree_once UNIQUE (tree),
    CONSTRAINT tag_category_layer_once UNIQUE (id, depth),
    CONSTRAINT tag_category_top CHECK ((parent_id IS NULL) = (depth = 0)),
    CONSTRAINT tag_category_parent_known FOREIGN KEY (parent_id, parent_depth) REFERENCES customer.tag_category (id, depth)
);
SELECT kehu.enrol('customer.tag_category', 'parent_depth');

CREATE TABLE customer.tag (
    id              uuid PRIMARY KEY,
    category_id     uuid NOT NULL CONSTRAINT tag_category_known REFERENCES customer.tag_category,
    code            text COLLATE "C" NOT NULL,
    name_en         text NOT NULL,
    name_zh         text NOT NULL,
    made_by         text NOT NULL CONSTRAINT tag_maker_known CHECK (made_by IN ('hand', 'rule')),
    -- Of the tags of one category with the same group a customer has one at a time.
    exclusive_group text,
    -- How long it holds where nothing else is said; null for as long as it is not taken away.
    default_days    int CONSTRAINT tag_days_bounded CHECK (default_days BETWEEN 1 AND 3660),
    -- When it may hold at all.
    usable_from     timestamptz,
    usable_until    timestamptz,
    -- Seen and used at customers of this branch and those below it; null for the whole bank.
    branch_id       uuid CONSTRAINT tag_branch_known REFERENCES iam.branch,
    -- What a customer has one of at a time.
    slot            text COLLATE "C" NOT NULL GENERATED ALWAYS AS
                    (CASE WHEN exclusive_group IS NULL THEN id::text ELSE category_id::text || '/' || exclusive_group END) STORED,
    version         bigint NOT NULL DEFAULT 1,
    valid_from      timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT tag_code_once UNIQUE (code),
    CONSTRAINT tag_slot_once UNIQUE (id, slot),
    CONSTRAINT tag_time_order CHECK (usable_from < usable_until)
);
CREATE INDEX tag_of_category ON customer.tag (category_id, code);
SELECT kehu.enrol('customer.tag', 'slot');

-- Which customer has which tag from when until when. One row for each slot of a customer: another tag of the group takes the
-- place of the one before, which stays in the past. What was taken away leaves; what has ended stays until it is given anew.
CREATE TABLE customer.customer_tag (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL CONSTRAINT customer_tag_customer_known REFERENCES customer.customer,
    tag_id      uuid NOT NULL,
    slot        text COLLATE "C" NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz,
    -- The rule that gave it; null where somebody did, who may have said why under the customer's key.
    rule_id     uuid,
    given_by    uuid,
    reason      bytea,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT customer_tag_slot_once UNIQUE (customer_id, slot),
    CONSTRAINT customer_tag_tag_known FOREIGN KEY (tag_id, slot) REFERENCES customer.tag (id, slot),
    CONSTRAINT customer_tag_time_order CHECK (starts_at < ends_at),
    CONSTRAINT customer_tag_giver_one CHECK (num_nonnulls(rule_id, given_by) = 1)
);
CREATE INDEX customer_tag_tag ON customer.customer_tag (tag_id, customer_id) INCLUDE (starts_at, ends_at);
SELECT kehu.enrol('customer.customer_tag', 'slot');
CREATE INDEX customer_tag_past_customer ON customer.customer_tag_past (customer_id, valid_from);

-- Published: the tags that hold now, under the id they were given to (see customer.sides). A tag of a branch holds where its
-- customer belongs to that branch or to one below it.
CREATE VIEW customer.tag_current AS
SELECT h.customer_id, h.tag_id, t.code, t.category_id, h.starts_at, h.ends_at
FROM customer.customer_tag h JOIN customer.tag t ON t.id = h.tag_id CROSS JOIN (SELECT kehu.now() AS now) n
WHERE h.starts_at <= n.now AND (h.ends_at IS NULL OR h.ends_at > n.now)
  AND (t.usable_from IS NULL OR t.usable_from <= n.now) AND (t.usable_until IS NULL OR t.usable_until > n.now)
  AND (t.branch_id IS NULL OR EXISTS (
      SELECT FROM customer.customer c WHERE c.id = customer.root(h.customer_id) AND iam.is_within(c.branch_id, t.branch_id)));

CREATE VIEW customer.overview_tags AS
SELECT h.customer_id, h.starts_at AS at, h.id, jsonb_strip_nulls(jsonb_build_object(
    'tagId', t.id, 'code', t.code, 'nameEn', t.name_en, 'nameZh', t.name_zh, 'categoryId', t.category_id,
    'madeBy', CASE WHEN h.rule_id IS NULL THEN 'hand' ELSE 'rule' END,
    'until', to_char(h.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) AS item
FROM customer.tag_current n
JOIN customer.customer_tag h ON h.customer_id = n.customer_id AND h.tag_id = n.tag_id
JOIN customer.tag t ON t.id = h.tag_id;
GRANT SELECT ON customer.tag_current, customer.overview_tags TO kehu_app;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{tag:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'analyst', 'auditor', 'finance', 'risk', 'desk-agent', 'marketing');
UPDATE iam.role SET permissions = permissions || '{tag:assign}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'marketing');
UPDATE iam.role SET permissions = permissions || '{tag:manage}' WHERE code IN ('branch-head', 'marketing');
-- The tree is everybody's.
UPDATE iam.role SET permissions = permissions || '{tag-category:manage}' WHERE code = 'marketing';

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, t AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m, unnest(ARRAY['tag:read', 'tag:assign']) t
    UNION ALL
    SELECT 'audit:read', w, 'Who proves what was done has done nothing.' FROM unnest(ARRAY['tag:assign', 'tag:manage', 'tag-category:manage']) w) p;
