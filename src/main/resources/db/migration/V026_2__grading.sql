-- Why: the bank's own rules say which tags customers have, and which tier, lifecycle and class; whoever looks at one is told
-- by which rule it came to be so, or who said it. Rules are data; they look at customers with the words of filters.

CREATE TABLE customer.grading_rule (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CONSTRAINT grading_rule_kind_known CHECK (kind IN ('tag', 'tier', 'lifecycle', 'class')),
    name       text NOT NULL,
    -- A filter, as for lists and segments.
    condition  jsonb NOT NULL,
    -- Of the rules of one kind (of tags: of one group) the first that fits decides; the lowest number is the first.
    priority   int NOT NULL CONSTRAINT grading_rule_priority_bounded CHECK (priority BETWEEN 1 AND 1000),
    -- The tier, stage or class; null for a tag.
    result     text,
    tag_id     uuid CONSTRAINT grading_rule_tag_known REFERENCES customer.tag,
    -- How many days a value stays that somebody gave by hand.
    hand_days  int NOT NULL DEFAULT 90 CONSTRAINT grading_rule_days_bounded CHECK (hand_days BETWEEN 0 AND 3660),
    enabled    boolean NOT NULL DEFAULT false,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT grading_rule_result_known CHECK (CASE kind
        WHEN 'tag' THEN tag_id IS NOT NULL AND result IS NULL
        WHEN 'tier' THEN tag_id IS NULL AND result IN ('mass', 'affluent', 'private', 'small', 'medium', 'large')
        WHEN 'lifecycle' THEN tag_id IS NULL AND result IN ('prospect', 'new', 'active', 'mature', 'dormant', 'lost')
        ELSE tag_id IS NULL AND result ~ '^[A-Z][A-Z0-9+-]{0,7}$' END)
);
CREATE INDEX grading_rule_order ON customer.grading_rule (kind, priority, id);
SELECT kehu.enrol('customer.grading_rule');

CREATE FUNCTION customer.guard_grading_rule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM customer.grading_rule) >= 200 THEN
        RAISE EXCEPTION 'too many rules' USING ERRCODE = 'check_violation', CONSTRAINT = 'grading_rule_count_bounded';
    END IF;
    IF NEW.tag_id IS NOT NULL AND NOT EXISTS (SELECT FROM customer.tag t WHERE t.id = NEW.tag_id AND t.made_by = 'rule') THEN
        RAISE EXCEPTION 'a tag that is given by hand' USING ERRCODE = 'check_violation', CONSTRAINT = 'grading_rule_tag_of_rules';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON customer.grading_rule FOR EACH ROW EXECUTE FUNCTION customer.guard_grading_rule();

-- How a customer came by his tier, stage and class. The class stands here alone; the others are copies of what the customer
-- has, and one without a row is as it was entered.
CREATE TABLE customer.grade (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL CONSTRAINT grade_customer_known REFERENCES customer.customer,
    kind        text NOT NULL CONSTRAINT grade_kind_known CHECK (kind IN ('tier', 'lifecycle', 'class')),
    value       text NOT NULL,
    -- Null where it was said by hand; by whom stands in the audit.
    rule_id     uuid CONSTRAINT grade_rule_known REFERENCES customer.grading_rule,
    -- The audit row of the change.
    cause_id    uuid NOT NULL,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT grade_kind_once UNIQUE (customer_id, kind)
);
SELECT kehu.enrol('customer.grade');

-- Whoever changes a tier or a stage by another way than a rule has said it by hand.
CREATE FUNCTION customer.note_grade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO customer.grade AS g (id, customer_id, kind, value, rule_id, cause_id)
    SELECT uuidv7(), NEW.id, v.kind, v.value, NULL, current_setting('kehu.audit_id')::uuid
    FROM (VALUES ('tier', OLD.tier, NEW.tier), ('lifecycle', OLD.lifecycle, NEW.lifecycle)) AS v(kind, former, value)
    WHERE v.former <> v.value
    ON CONFLICT (customer_id, kind) DO UPDATE SET value = EXCLUDED.value, rule_id = NULL, cause_id = EXCLUDED.cause_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note_grade AFTER UPDATE OF tier, lifecycle ON customer.customer FOR EACH ROW
    WHEN ((OLD.tier <> NEW.tier OR OLD.lifecycle <> NEW.lifecycle)
          AND coalesce(current_setting('kehu.audit_id', true), '') <> ''
          AND coalesce(current_setting('kehu.grading', true), '') <> 'on')
    EXECUTE FUNCTION customer.note_grade();

-- Which nights all customers were looked at; a night is one job, however many nodes think of it.
CREATE TABLE customer.grading_night (
    day    date CONSTRAINT grading_night_once PRIMARY KEY,
    job_id uuid NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON customer.grading_night TO kehu_app;

-- Published: the class of customers who have one.
CREATE VIEW customer.class_current AS
SELECT g.customer_id, g.value AS class, g.valid_from AS since FROM customer.grade g WHERE g.kind = 'class';
CREATE VIEW customer.overview_grades AS
SELECT g.customer_id, g.valid_from AS at, g.id, jsonb_strip_nulls(jsonb_build_object(
    'kind', g.kind, 'value', g.value, 'by', CASE WHEN g.rule_id IS NULL THEN 'hand' ELSE 'rule' END, 'rule', r.name)) AS item
FROM customer.grade g LEFT JOIN customer.grading_rule r ON r.id = g.rule_id;
GRANT SELECT ON customer.class_current, customer.overview_grades TO kehu_app;

-- Rules to begin with ---------------------------------------------------------------------------------------------------
-- Off: a bank switches on what it means, after a trial. Tiers by the lines of the regulator for private banking and of the
-- usual brackets; stages by how long somebody has been a customer. What makes one dormant or lost are movements of accounts,
-- which are not here yet: until then a record that nobody has touched for long stands in for them.
INSERT INTO customer.grading_rule (id, kind, name, condition, priority, result)
SELECT uuidv7(), r.kind, r.name, r.condition::jsonb, r.priority, r.result
FROM (VALUES
    ('tier', '个人资产不低于 600 万元', 10, 'private',
     '{"all": [{"field": "kind", "is": "person"}, {"field": "assets", "from": "6000000"}]}'),
    ('tier', '个人资产不低于 50 万元', 20, 'affluent',
     '{"all": [{"field": "kind", "is": "person"}, {"field": "assets", "from": "500000"}]}'),
    ('tier', '个人资产低于 50 万元', 30, 'mass',
     '{"all": [{"field": "kind", "is": "person"}, {"field": "assets", "known": true}]}'),
    ('tier', '机构资产不低于 8 亿元', 40, 'large',
     '{"all": [{"field": "kind", "is": "organisation"}, {"field": "assets", "from": "800000000"}]}'),
    ('tier', '机构资产不低于 5000 万元', 50, 'medium',
     '{"all": [{"field": "kind", "is": "organisation"}, {"field": "assets", "from": "50000000"}]}'),
    ('tier', '机构资产低于 5000 万元', 60, 'small',
     '{"all": [{"field": "kind", "is": "organisation"}, {"field": "assets", "known": true}]}'),
    ('lifecycle', '成为客户', 10, 'new',
     '{"all": [{"field": "lifecycle", "is": "prospect"}, {"field": "customerSince", "known": true}]}'),
    ('lifecycle', '成为客户满一年', 20, 'active',
     '{"all": [{"field": "lifecycle", "is": "new"}, {"field": "customerSince", "to": {"daysAgo": 365}}]}'),
    ('lifecycle', '五年无任何变更', 30, 'lost',
     '{"all": [{"field": "lifecycle", "is": "dormant"}, {"field": "updatedAt", "to": {"daysAgo": 1825}}]}'),
    ('lifecycle', '两年无任何变更', 40, 'dormant',
     '{"all": [{"field": "lifecycle", "in": ["active", "mature"]}, {"field": "updatedAt", "to": {"daysAgo": 730}}]}'),
    ('lifecycle', '成为客户满六年', 50, 'mature',
     '{"all": [{"field": "lifecycle", "is": "active"}, {"field": "customerSince", "to": {"daysAgo": 2191}}]}')
) AS r(kind, name, priority, result, condition);

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{grading-rule:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'analyst', 'auditor', 'finance', 'risk', 'desk-agent', 'marketing');
UPDATE iam.role SET permissions = permissions || '{grading-rule:manage}' WHERE code IN ('risk', 'marketing');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), 'audit:read', 'grading-rule:manage', 'Who proves what was done has done nothing.', true
UNION ALL
SELECT uuidv7(), 'grading-rule:manage', m, 'Who decides about people sees no customers.', true
FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage']) m
UNION ALL
SELECT uuidv7(), 'duty:manage', 'grading-rule:manage', 'Who decides about people sees no customers.', true;
