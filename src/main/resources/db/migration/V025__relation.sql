-- Why: nobody banks alone. Who is whose spouse, guarantor or owner is a row between two customers, with the days on which it
-- holds; who lives together is a household with members. Both keep the ids that were named (see customer.root), so that a
-- merge joins them and its undoing parts them again. Whether anybody may know of a relation is asked of both its ends.

-- What relations there are. A kind goes one way: `role` is what the one it comes from is to the one it goes to, `inverse` what
-- that one is to him; where both are the same word it has no direction.
CREATE TABLE customer.relation_kind (
    code       text PRIMARY KEY,
    role       text NOT NULL,
    inverse    text NOT NULL,
    from_kinds text[] NOT NULL,
    to_kinds   text[] NOT NULL,
    -- What it may say beside its days: a share in per cent, or an amount.
    carries    text CONSTRAINT relation_kind_value_known CHECK (carries IN ('share', 'amount')),
    CONSTRAINT relation_kind_role_once UNIQUE (role),
    CONSTRAINT relation_kind_inverse_once UNIQUE (inverse)
);
GRANT SELECT ON customer.relation_kind TO kehu_app;

INSERT INTO customer.relation_kind (code, role, inverse, from_kinds, to_kinds, carries) VALUES
('household',      'household-member',     'household-member',   '{person}',              '{person}',              NULL),
('spouse',         'spouse',               'spouse',             '{person}',              '{person}',              NULL),
('parent',         'parent',               'child',              '{person}',              '{person}',              NULL),
('sibling',        'sibling',              'sibling',            '{person}',              '{person}',              NULL),
('representative', 'legal-representative', 'represented',        '{person}',              '{person,organisation}', NULL),
('shareholder',    'shareholder',          'held-company',       '{person,organisation}', '{organisation}',        'share'),
('controller',     'actual-controller',    'controlled-company', '{person,organisation}', '{organisation}',        NULL),
('employer',       'employer',             'employee',           '{person,organisation}', '{person}',              NULL),
('guarantor',      'guarantor',            'guaranteed',         '{person,organisation}', '{person,organisation}', 'amount'),
('referrer',       'referrer',             'referred',           '{person,organisation}', '{person,organisation}', NULL),
('emergency',      'emergency-contact',    'emergency-charge',   '{person}',              '{person}',              NULL),
('group',          'group-parent',         'subsidiary',         '{organisation}',        '{organisation}',        NULL);

CREATE TABLE customer.relation (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CONSTRAINT relation_kind_known REFERENCES customer.relation_kind,
    from_id    uuid NOT NULL CONSTRAINT relation_from_known REFERENCES customer.customer,
    to_id      uuid NOT NULL CONSTRAINT relation_to_known REFERENCES customer.customer,
    -- The first day on which it holds, and the first on which it no longer does; null for not known.
    starts_on  date,
    ends_on    date,
    share      numeric(7, 4) CONSTRAINT relation_share_bounded CHECK (share > 0 AND share <= 100),
    amount     numeric(18, 2) CONSTRAINT relation_amount_positive CHECK (amount > 0),
    -- Sealed under the keys of both ends, one around the other: either of them erased erases it.
    note       bytea,
    made_at    timestamptz NOT NULL DEFAULT kehu.now(),
    -- Computed before the constraints are looked at, so it must not fail where they will.
    lasts      daterange NOT NULL GENERATED ALWAYS AS
               (daterange(starts_on, CASE WHEN ends_on < starts_on THEN starts_on ELSE ends_on END)) STORED,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT relation_ends_other CHECK (from_id <> to_id),
    CONSTRAINT relation_period_order CHECK (starts_on < ends_on),
    CONSTRAINT relation_once EXCLUDE USING gist (from_id WITH =, to_id WITH =, kind WITH =, lasts WITH &&)
);
CREATE INDEX relation_from ON customer.relation (from_id, made_at DESC, id DESC);
CREATE INDEX relation_to ON customer.relation (to_id, made_at DESC, id DESC);
SELECT kehu.enrol('customer.relation', 'lasts');
CREATE INDEX relation_past_from ON customer.relation_past (from_id, valid_from);
CREATE INDEX relation_past_to ON customer.relation_past (to_id, valid_from);

-- The kind of a customer never changes, so what fitted once fits for good.
CREATE FUNCTION customer.guard_relation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sort  customer.relation_kind;
    first uuid := NEW.from_id;
BEGIN
    SELECT k.* INTO sort FROM customer.relation_kind k
    JOIN customer.customer f ON f.id = NEW.from_id AND f.kind = ANY (k.from_kinds)
    JOIN customer.customer t ON t.id = NEW.to_id AND t.kind = ANY (k.to_kinds)
    WHERE k.code = NEW.kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'ends do not fit' USING ERRCODE = 'check_violation', CONSTRAINT = 'relation_ends_fit';
    END IF;
    IF (NEW.share IS NOT NULL AND sort.carries IS DISTINCT FROM 'share')
       OR (NEW.amount IS NOT NULL AND sort.carries IS DISTINCT FROM 'amount') THEN
        RAISE EXCEPTION 'value does not fit' USING ERRCODE = 'check_violation', CONSTRAINT = 'relation_value_fit';
    END IF;
    -- What says the same both ways stands one way round, or it could stand twice.
    IF sort.role = sort.inverse AND NEW.from_id > NEW.to_id THEN
        NEW.from_id := NEW.to_id;
        NEW.to_id := first;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON customer.relation FOR EACH ROW EXECUTE FUNCTION customer.guard_relation();

-- Households -------------------------------------------------------------------------------------------------------------
-- Whose it is decides who sees it: its head's. A member is seen by who sees the member too.
CREATE TABLE customer.household (
    id         uuid PRIMARY KEY,
    head_id    uuid NOT NULL CONSTRAINT household_head_known REFERENCES customer.customer,
    -- Sealed under the head's key.
    name       bytea NOT NULL,
    -- The first day on which there is none any more.
    ends_on    date,
    made_at    timestamptz NOT NULL DEFAULT kehu.now(),
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
CREATE INDEX household_head ON customer.household (head_id);
CREATE INDEX household_newest ON customer.household (made_at, id);
SELECT kehu.enrol('customer.household');

CREATE TABLE customer.household_member (
    id           uuid PRIMARY KEY,
    household_id uuid NOT NULL CONSTRAINT household_member_household_known REFERENCES customer.household,
    customer_id  uuid NOT NULL CONSTRAINT household_member_customer_known REFERENCES customer.customer,
    -- What he is to the head.
    role         text NOT NULL CONSTRAINT household_member_role_known
                 CHECK (role IN ('head', 'spouse', 'child', 'parent', 'sibling', 'other')),
    starts_on    date NOT NULL,
    ends_on      date,
    -- Empty for one who left on the day he came.
    lasts        daterange NOT NULL GENERATED ALWAYS AS
                 (daterange(starts_on, CASE WHEN ends_on < starts_on THEN starts_on ELSE ends_on END)) STORED,
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT household_member_period_order CHECK (starts_on <= ends_on),
    CONSTRAINT household_member_once EXCLUDE USING gist (customer_id WITH =, lasts WITH &&)
);
CREATE INDEX household_member_household ON customer.household_member (household_id, starts_on, id);
CREATE INDEX household_member_customer ON customer.household_member (customer_id, starts_on);
SELECT kehu.enrol('customer.household_member', 'lasts');

-- Whoever adds a member holds the household, so the count is whole.
CREATE FUNCTION customer.guard_household_member() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM customer.customer c WHERE c.id = NEW.customer_id AND c.kind = 'person') THEN
        RAISE EXCEPTION 'persons only' USING ERRCODE = 'check_violation', CONSTRAINT = 'household_member_person';
    END IF;
    IF (SELECT count(*) FROM customer.household_member m WHERE m.household_id = NEW.household_id AND m.ends_on IS NULL) >= 50 THEN
        RAISE EXCEPTION 'too many' USING ERRCODE = 'check_violation', CONSTRAINT = 'household_member_count_bounded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON customer.household_member FOR EACH ROW EXECUTE FUNCTION customer.guard_household_member();

-- At the end of each transaction: a household that goes on has its head among its members, and one that has ended nobody.
CREATE FUNCTION customer.check_household() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row   jsonb := to_jsonb(NEW);
    which uuid := coalesce(row ->> 'household_id', row ->> 'id');
BEGIN
    IF EXISTS (
        SELECT FROM customer.household h WHERE h.id = which
        AND (h.ends_on IS NULL) <> EXISTS (
            SELECT FROM customer.household_member m
            WHERE m.household_id = h.id AND m.ends_on IS NULL
              AND (h.ends_on IS NOT NULL OR (m.customer_id = h.head_id AND m.role = 'head')))) THEN
        RAISE EXCEPTION 'no head' USING ERRCODE = 'check_violation', CONSTRAINT = 'household_head_member';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER head AFTER INSERT OR UPDATE ON customer.household DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION customer.check_household();
CREATE CONSTRAINT TRIGGER head AFTER INSERT OR UPDATE ON customer.household_member DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION customer.check_household();

-- Overview ---------------------------------------------------------------------------------------------------------------
-- What the overview of a customer shows is read through views customer.overview_<section> (customer_id uuid, at timestamptz,
-- id uuid, item jsonb): the id under which a row arrived, its time, its own id, and what is shown of it, without anything
-- personal. The owner of the data makes the view in a migration of its own; until then the section is empty. An item whose
-- section speaks of another customer names him as customerId, and is shown to nobody who may not see that one too.
-- A day of UTC is near enough to leave out what has ended.
CREATE VIEW customer.overview_relations AS
SELECT r.from_id AS customer_id, r.made_at AS at, r.id, jsonb_strip_nulls(jsonb_build_object(
    'customerId', r.to_id, 'kind', r.kind, 'role', (SELECT n.inverse FROM customer.relation_kind n WHERE n.code = r.kind),
    'startsOn', r.starts_on, 'endsOn', r.ends_on, 'share', r.share::text, 'amount', r.amount::text)) AS item
FROM customer.relation r WHERE r.ends_on IS NULL OR r.ends_on > (kehu.now() AT TIME ZONE 'UTC')::date
UNION ALL
SELECT r.to_id, r.made_at, r.id, jsonb_strip_nulls(jsonb_build_object(
    'customerId', r.from_id, 'kind', r.kind, 'role', (SELECT n.role FROM customer.relation_kind n WHERE n.code = r.kind),
    'startsOn', r.starts_on, 'endsOn', r.ends_on, 'share', r.share::text, 'amount', r.amount::text))
FROM customer.relation r WHERE r.ends_on IS NULL OR r.ends_on > (kehu.now() AT TIME ZONE 'UTC')::date;

CREATE VIEW customer.overview_household AS
SELECT m.customer_id, h.made_at AS at, h.id,
       jsonb_build_object('customerId', h.head_id, 'role', m.role, 'startsOn', m.starts_on) AS item
FROM customer.household_member m JOIN customer.household h ON h.id = m.household_id
WHERE NOT isempty(m.lasts) AND (m.ends_on IS NULL OR m.ends_on > (kehu.now() AT TIME ZONE 'UTC')::date);

-- What a person may be told that the bank holds about him: that he has a spouse or a guarantor, and not who that is, whose own
-- data it is too. The form is that of an overview with a ciphertext under his key beside it, of which there is none here: a note
-- is under two keys.
CREATE VIEW customer.personal_relations AS
SELECT e.customer_id, r.made_at AS at, r.id, jsonb_strip_nulls(jsonb_build_object(
    'kind', r.kind, 'role', e.role, 'startsOn', r.starts_on, 'endsOn', r.ends_on, 'share', r.share::text,
    'amount', r.amount::text)) AS item, NULL::bytea AS sealed, NULL::text AS sealed_for
FROM customer.relation r JOIN customer.relation_kind n ON n.code = r.kind
CROSS JOIN LATERAL (VALUES (r.from_id, n.inverse), (r.to_id, n.role)) e(customer_id, role);

CREATE VIEW customer.personal_household AS
SELECT m.customer_id, h.made_at AS at, h.id, jsonb_strip_nulls(jsonb_build_object(
    'role', m.role, 'startsOn', m.starts_on, 'endsOn', m.ends_on)) AS item, NULL::bytea AS sealed, NULL::text AS sealed_for
FROM customer.household_member m JOIN customer.household h ON h.id = m.household_id;

GRANT SELECT ON customer.overview_relations, customer.overview_household, customer.personal_relations, customer.personal_household
    TO kehu_app;

-- Who may ----------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{relation:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'analyst', 'auditor', 'finance', 'risk', 'desk-agent', 'marketing');
UPDATE iam.role SET permissions = permissions || '{relation:manage}' WHERE code IN ('branch-head', 'customer-manager', 'operator');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, r AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
         unnest(ARRAY['relation:read', 'relation:manage']) r
    UNION ALL
    SELECT 'audit:read', 'relation:manage', 'Who proves what was done has done nothing.') p;
