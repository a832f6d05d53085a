-- Why: groups of customers that a filter names. A live one is kept in step with its customers: a trigger notes who changed,
-- in which columns, in the transaction of the change; one node at a time asks the filters that read these columns again about
-- just these customers. What only time changes is found by the index of the column, between two looks at the clock.

CREATE TABLE customer.segment (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    description text NOT NULL,
    kind        text NOT NULL CONSTRAINT segment_kind_known CHECK (kind IN ('live', 'static')),
    -- Of the grammar of io.kehu.customer.filter; null where the customers were listed.
    filter      jsonb,
    -- Columns of customer.customer, and 'tags', whose changes can change who belongs.
    reads       text[] NOT NULL,
    -- Whether time alone can.
    relative    boolean NOT NULL,
    -- Of the live ones: all of them are asked at changes, so there are so many places and no more.
    place       int CONSTRAINT segment_place_bounded CHECK (place BETWEEN 1 AND 500),
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT segment_name_once UNIQUE (name),
    CONSTRAINT segment_place_once UNIQUE (place),
    CONSTRAINT segment_place_of_live CHECK ((kind = 'live') = (place IS NOT NULL)),
    CONSTRAINT segment_filter_of_live CHECK (kind = 'static' OR filter IS NOT NULL)
);
SELECT kehu.enrol('customer.segment', 'reads', 'relative', 'place');

-- What follows is derived, and so without a past.
CREATE TABLE customer.segment_state (
    segment_id  uuid CONSTRAINT segment_state_once PRIMARY KEY
                CONSTRAINT segment_state_segment_known REFERENCES customer.segment ON DELETE CASCADE,
    -- Asked anew about everybody as soon as may be; until then who belongs is who belonged.
    catching_up boolean NOT NULL DEFAULT true,
    -- The moment up to which time has been accounted for.
    looked_at   timestamptz NOT NULL DEFAULT kehu.now(),
    rebuilt_at  timestamptz
);

-- Without references: rows come by the hundred thousand, customers never go, and those of a segment that is gone are swept.
CREATE TABLE customer.segment_member (
    segment_id  uuid NOT NULL,
    customer_id uuid NOT NULL,
    since       timestamptz NOT NULL,
    CONSTRAINT segment_member_once PRIMARY KEY (segment_id, customer_id)
);
CREATE INDEX segment_member_customer ON customer.segment_member (customer_id, segment_id);

-- Who has changed since the live segments were asked. Appended to and taken from, never updated: a change waits for nobody.
CREATE TABLE customer.segment_due (
    id          bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT segment_due_once PRIMARY KEY,
    customer_id uuid NOT NULL,
    -- The columns that changed; null for all.
    changed     text[]
);

CREATE FUNCTION customer.note_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM customer.segment WHERE place IS NOT NULL) THEN
        INSERT INTO customer.segment_due (customer_id) SELECT m.id FROM made m;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION customer.note_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    before jsonb;
BEGIN
    IF EXISTS (SELECT FROM customer.segment WHERE place IS NOT NULL) THEN
        before := to_jsonb(OLD);
        INSERT INTO customer.segment_due (customer_id, changed)
        SELECT NEW.id, CASE WHEN OLD.deleted_at IS NOT DISTINCT FROM NEW.deleted_at THEN array_agg(n.key) END
        FROM jsonb_each(to_jsonb(NEW)) n WHERE n.value IS DISTINCT FROM before -> n.key;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION customer.note_tagged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM customer.segment WHERE place IS NOT NULL) THEN
        INSERT INTO customer.segment_due (customer_id, changed)
        VALUES (customer.root(coalesce(NEW.customer_id, OLD.customer_id)), '{tags}');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_new AFTER INSERT ON customer.customer REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION customer.note_new();
CREATE TRIGGER note_changed AFTER UPDATE ON customer.customer FOR EACH ROW EXECUTE FUNCTION customer.note_changed();
CREATE TRIGGER note_tagged AFTER INSERT OR UPDATE OR DELETE ON customer.customer_tag FOR EACH ROW
    EXECUTE FUNCTION customer.note_tagged();

-- What crosses a bound as time goes by is found by these, and by those of birth_date and valid_from.
CREATE INDEX customer_created ON customer.customer (created_at);
CREATE INDEX customer_since ON customer.customer (since) WHERE since IS NOT NULL;
CREATE INDEX customer_founded ON customer.customer (founded_on) WHERE founded_on IS NOT NULL;
CREATE INDEX customer_tag_starts ON customer.customer_tag (starts_at);
CREATE INDEX customer_tag_ends ON customer.customer_tag (ends_at) WHERE ends_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON customer.segment_state, customer.segment_member TO kehu_app;
GRANT SELECT, INSERT, DELETE ON customer.segment_due TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{segment:read}'
WHERE code IN ('branch-head', 'customer-manager', 'analyst', 'auditor', 'risk', 'marketing');
UPDATE iam.role SET permissions = permissions || '{segment:manage}' WHERE code IN ('analyst', 'marketing');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (
    SELECT m AS one, s AS other, 'Who decides about people sees no customers.' AS reason
    FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m, unnest(ARRAY['segment:read', 'segment:manage']) s
    UNION ALL
    SELECT 'audit:read', 'segment:manage', 'Who proves what was done has done nothing.') p;
