-- Why: one record for each contact with a customer, whatever the channel. The rows are facts that only ever grow in number,
-- so they lie in months from the first day and never change; what is corrected later stands beside them, with its past. Other
-- domains add theirs by a function, in their own transaction.

-- Months by a list, so that a table of another domain needs no other house-keeper. Of some tables the months are those of the
-- row's id, a UUID of version 7 (RFC 9562): such a table has a key that is unique over all its months.
CREATE TABLE kehu.monthly (
    space text NOT NULL,
    name  text NOT NULL,
    by_id boolean NOT NULL,
    CONSTRAINT monthly_once PRIMARY KEY (space, name)
);
INSERT INTO kehu.monthly (space, name, by_id) VALUES
    ('kehu', 'audit', false), ('kehu', 'event', false), ('kehu', 'access_log', false), ('customer', 'interaction', true);

-- The least UUID of version 7 that can be made at an instant.
CREATE FUNCTION kehu.first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT rpad(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid $$;

CREATE OR REPLACE FUNCTION kehu.add_months(ahead int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    parent kehu.monthly;
    month  timestamptz;
    next   timestamptz;
    part   text;
    made   int := 0;
BEGIN
    FOR parent IN SELECT * FROM kehu.monthly ORDER BY space, name LOOP
        FOR step IN 0..least(greatest(ahead, 0), 24) LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => step);
            next := month + interval '1 month';
            part := parent.name || '_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM');
            IF to_regclass(format('%I.%I', parent.space, part)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)',
                    parent.space, part, parent.space, parent.name,
                    CASE WHEN parent.by_id THEN kehu.first_id(month)::text ELSE month::text END,
                    CASE WHEN parent.by_id THEN kehu.first_id(next)::text ELSE next::text END);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE TABLE customer.interaction (
    -- Made when the contact was entered, which may be some time after it took place.
    id           uuid CONSTRAINT interaction_once PRIMARY KEY,
    -- The id it arrived for: those of all sides of a merged record are read together.
    customer_id  uuid NOT NULL CONSTRAINT interaction_customer_known REFERENCES customer.customer,
    at           timestamptz NOT NULL,
    channel      text NOT NULL CONSTRAINT interaction_channel_known
                 CHECK (channel IN ('call', 'mail', 'sms', 'app', 'wechat', 'chat', 'visit', 'branch')),
    direction    text NOT NULL CONSTRAINT interaction_direction_known CHECK (direction IN ('inbound', 'outbound')),
    -- Null where no person took part, e.g. a message of a campaign.
    staff_id     uuid CONSTRAINT interaction_staff_known REFERENCES iam.staff,
    -- What it belongs to, in the domain that owns such things.
    subject_kind text CONSTRAINT interaction_subject_known CHECK (subject_kind IN ('lead', 'case', 'campaign')),
    subject_id   uuid,
    outcome      text CONSTRAINT interaction_outcome_shape CHECK (outcome ~ '^[a-z]+(-[a-z]+)*$' AND length(outcome) <= 40),
    -- The text, as io.kehu.crypto.Vault sealed it for the table customer.interaction, class C2, with the key of customer_id.
    sealed       bytea CONSTRAINT interaction_text_sealed CHECK (get_byte(sealed, 0) = 1 AND length(sealed) BETWEEN 30 AND 20000),
    made_at      timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT interaction_subject_whole CHECK ((subject_kind IS NULL) = (subject_id IS NULL)),
    -- A minute for clocks of others.
    CONSTRAINT interaction_time_past CHECK (at <= made_at + interval '1 minute' AND at > made_at - interval '20 years')
) PARTITION BY RANGE (id);
CREATE INDEX interaction_customer ON customer.interaction (customer_id, at DESC, id DESC);
CREATE INDEX interaction_subject ON customer.interaction (subject_id, at) WHERE subject_id IS NOT NULL;
CREATE TABLE customer.interaction_default PARTITION OF customer.interaction DEFAULT;
SELECT kehu.add_months(3);
GRANT SELECT, INSERT ON customer.interaction TO kehu_app;

-- The guard of a table that is never changed: as kehu.keep(), under the name of the whole table.
CREATE FUNCTION customer.note_interaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('kehu.audit_id', true), '') = '' AND current_user <> 'kehu_owner' THEN
        RAISE EXCEPTION 'customer.interaction may only be changed through the doors of the database';
    END IF;
    IF coalesce(current_setting('kehu.audit_id', true), '') <> '' AND current_setting('kehu.bulk') <> 'on' THEN
        PERFORM set_config('kehu.changes', current_setting('kehu.changes') || ',' || jsonb_build_object(
            'table', 'customer.interaction', 'change', 'insert', 'before', NULL,
            'after', jsonb_strip_nulls(to_jsonb(NEW)))::text, true);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE INSERT ON customer.interaction FOR EACH ROW EXECUTE FUNCTION customer.note_interaction();

-- What is true of an interaction since it was corrected. Its version n is the interaction's version n + 1.
CREATE TABLE customer.interaction_revision (
    id         uuid CONSTRAINT interaction_revision_once PRIMARY KEY
               CONSTRAINT interaction_revision_known REFERENCES customer.interaction,
    outcome    text CONSTRAINT interaction_revision_outcome_shape CHECK (outcome ~ '^[a-z]+(-[a-z]+)*$' AND length(outcome) <= 40),
    sealed     bytea CONSTRAINT interaction_revision_text_sealed CHECK (get_byte(sealed, 0) = 1 AND length(sealed) BETWEEN 30 AND 20000),
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
SELECT kehu.enrol('customer.interaction_revision');

-- Published for all domains: adds a contact, inside the caller's transaction. `sealed` is the text as the caller sealed it with
-- the customer's data key (see the column) after io.kehu.crypto.Screen found no card or id number in it; null for none. The
-- caller also tells the event. Fails by the named constraints of the table, and by interaction_customer_present where there is
-- no such customer any more.
CREATE FUNCTION customer.add_interaction(customer uuid, channel text, direction text, at timestamptz, staff uuid, subject_kind text,
                                         subject uuid, outcome text, sealed bytea) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    made uuid := uuidv7();
BEGIN
    PERFORM FROM customer.customer c WHERE c.id = customer.root(add_interaction.customer) AND c.deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such customer' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'interaction_customer_present';
    END IF;
    INSERT INTO customer.interaction (id, customer_id, at, channel, direction, staff_id, subject_kind, subject_id, outcome, sealed)
    VALUES (made, customer, at, channel, direction, staff, subject_kind, subject, outcome, sealed);
    RETURN made;
END $$;

-- For the overview: the contacts of a customer, without what was said.
CREATE VIEW customer.overview_interactions AS
SELECT i.customer_id, i.at, i.id, jsonb_strip_nulls(jsonb_build_object(
           'channel', i.channel, 'direction', i.direction, 'staffId', i.staff_id, 'subjectKind', i.subject_kind,
           'subjectId', i.subject_id, 'outcome', CASE WHEN r.id IS NULL THEN i.outcome ELSE r.outcome END)) AS item
FROM customer.interaction i LEFT JOIN customer.interaction_revision r ON r.id = i.id;
GRANT SELECT ON customer.overview_interactions TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{interaction:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'analyst', 'auditor', 'risk', 'desk-agent', 'marketing');
UPDATE iam.role SET permissions = permissions || '{interaction:manage}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'desk-agent');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, c AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
           unnest(ARRAY['interaction:read', 'interaction:manage']) c
      UNION ALL SELECT 'audit:read', 'interaction:manage', 'Who proves what was done has done nothing.') p;
