-- Why: whether a customer may be contacted is decided in one place, by what he decided himself. His decisions are rows that are
-- only added: the latest counts, the others are the proof. Every audience and every send asks the one function at the end.

-- What a contact can be for. `contact` is any contact at all: who withdrew it wants to be left alone, by one channel or by any.
CREATE TABLE customer.consent_purpose (
    code            text CONSTRAINT consent_purpose_once PRIMARY KEY
                    CONSTRAINT consent_purpose_shape CHECK (code ~ '^[a-z]+(-[a-z]+)*$'),
    name_en         text NOT NULL,
    name_zh         text NOT NULL,
    -- Whether it is allowed as long as the customer has decided nothing.
    allowed_without boolean NOT NULL,
    -- A duty of the bank: nobody is asked, and who wants to be left alone is told all the same.
    always          boolean NOT NULL,
    CONSTRAINT consent_purpose_always_allowed CHECK (allowed_without OR NOT always)
);
INSERT INTO customer.consent_purpose (code, name_en, name_zh, allowed_without, always) VALUES
('contact', 'Any contact at all', '任何联系', true, false),
('legal', 'Notices that the law asks for', '法定告知', true, true),
('service', 'Messages about products and requests the customer has', '已有产品与服务通知', true, false),
('marketing', 'Offers of the bank', '营销推广', false, false),
('partner-offers', 'Offers of partners', '合作方推广', false, false),
('profiling', 'Analysis of behaviour for offers', '个性化分析', false, false),
('sharing', 'Passing data on to partners', '向第三方提供信息', false, false),
('survey', 'Surveys and care calls', '调查与关怀', false, false);
GRANT SELECT ON customer.consent_purpose TO kehu_app;

CREATE TABLE customer.consent (
    id             uuid CONSTRAINT consent_once PRIMARY KEY,
    -- The id it was given for; a record's consents are those of all its sides.
    customer_id    uuid NOT NULL CONSTRAINT consent_customer_known REFERENCES customer.customer,
    purpose        text NOT NULL CONSTRAINT consent_purpose_known REFERENCES customer.consent_purpose,
    channel        text NOT NULL CONSTRAINT consent_channel_known
                   CHECK (channel IN ('any', 'app', 'wechat', 'sms', 'phone', 'email', 'branch')),
    state          text NOT NULL CONSTRAINT consent_state_known CHECK (state IN ('given', 'withdrawn', 'denied')),
    -- When the customer decided; valid_from is when the bank came to know it.
    at             timestamptz NOT NULL,
    expires_at     timestamptz,
    source         text NOT NULL CONSTRAINT consent_source_known
                   CHECK (source IN ('branch', 'call', 'paper', 'app', 'web', 'mail', 'import', 'partner')),
    document_id    uuid,
    interaction_id uuid CONSTRAINT consent_interaction_known REFERENCES customer.interaction,
    -- SHA-256 of the text that he agreed to.
    text_hash      bytea CONSTRAINT consent_hash_whole CHECK (length(text_hash) = 32),
    version        bigint NOT NULL DEFAULT 1,
    valid_from     timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT consent_given_proven CHECK (state <> 'given' OR num_nonnulls(document_id, interaction_id, text_hash) > 0),
    CONSTRAINT consent_expiry_given CHECK (expires_at IS NULL OR (state = 'given' AND expires_at > at)),
    CONSTRAINT consent_time_past CHECK (at <= valid_from + interval '1 minute' AND at > valid_from - interval '50 years')
);
CREATE INDEX consent_customer ON customer.consent (customer_id, purpose, at DESC) INCLUDE (channel, state, expires_at, valid_from, id);
CREATE INDEX consent_history ON customer.consent (customer_id, at DESC, id DESC);
SELECT kehu.enrol('customer.consent');
-- What was decided stays decided: another decision is another row.
REVOKE UPDATE, DELETE ON customer.consent FROM kehu_app;

-- What proves it is a contact with this customer; and nobody is asked about what is done always.
CREATE FUNCTION customer.check_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.interaction_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM customer.interaction i
            WHERE i.id = NEW.interaction_id AND customer.root(i.customer_id) = customer.root(NEW.customer_id)) THEN
        RAISE EXCEPTION 'not his' USING ERRCODE = 'check_violation', CONSTRAINT = 'consent_interaction_own';
    END IF;
    IF EXISTS (SELECT FROM customer.consent_purpose p WHERE p.code = NEW.purpose AND p.always) THEN
        RAISE EXCEPTION 'not asked' USING ERRCODE = 'check_violation', CONSTRAINT = 'consent_purpose_asked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_consent BEFORE INSERT ON customer.consent FOR EACH ROW EXECUTE FUNCTION customer.check_consent();

-- Published for every audience and every send, for one customer or a whole chunk of them: may we, for this, by this channel, at
-- this moment; and why (not). One row per id that was asked for.
--   always, given, notNeeded                                            yes
--   customerGone, purposeUnknown, doNotContact, withdrawn, denied, expired, none      no
-- The latest decision counts, of one channel as of any. Of a merged record each side has its latest decision: who withdrew on
-- one side has withdrawn, whatever the other side says, until he decides anew for the one record.
CREATE FUNCTION customer.contact_answers(customers uuid[], purpose text, channel text, moment timestamptz)
    RETURNS TABLE (customer_id uuid, allowed boolean, reason text, consent_id uuid) LANGUAGE sql STABLE AS $$
    WITH wanted AS (
        SELECT w.id, customer.root(w.id) AS root FROM (SELECT DISTINCT u.id FROM unnest(customers) u(id)) w),
    roots AS (SELECT DISTINCT root FROM wanted),
    together AS (
        SELECT m.survivor_id AS root, max(m.valid_from) AS since
        FROM customer.merged m JOIN roots r ON r.root = m.survivor_id GROUP BY m.survivor_id),
    side AS (
        SELECT root, root AS id FROM roots
        UNION ALL SELECT m.survivor_id, m.id FROM customer.merged m JOIN roots r ON r.root = m.survivor_id),
    latest AS (
        -- `who` is the side that decided, or nobody in particular: the one record.
        SELECT DISTINCT ON (s.root, c.purpose, w.who) s.root, c.purpose, w.who, c.id, c.state, c.at,
               coalesce(c.expires_at <= moment, false) AS expired
        FROM side s
        JOIN customer.consent c ON c.customer_id = s.id
             AND c.purpose IN (contact_answers.purpose, 'contact') AND c.channel IN (contact_answers.channel, 'any') AND c.at <= moment
        LEFT JOIN together t ON t.root = s.root
        CROSS JOIN LATERAL (SELECT CASE WHEN c.valid_from > t.since THEN NULL ELSE c.customer_id END AS who) w
        ORDER BY s.root, c.purpose, w.who, c.at DESC, c.state = 'given', c.valid_from DESC),
    standing AS (
        SELECT DISTINCT ON (l.root, l.purpose) l.* FROM (
            SELECT l.*, l.who IS NULL AND l.at = max(l.at) OVER (PARTITION BY l.root, l.purpose) AS anew FROM latest l) l
        ORDER BY l.root, l.purpose, l.anew DESC, l.state = 'given', l.expired, l.at DESC),
    judged AS (
        SELECT w.id, s.id AS consent_id,
               CASE WHEN c.id IS NULL OR c.deleted_at IS NOT NULL THEN 'customerGone'
                    WHEN p.code IS NULL THEN 'purposeUnknown'
                    WHEN p.always THEN 'always'
                    WHEN stop.state <> 'given' THEN 'doNotContact'
                    WHEN s.state <> 'given' THEN s.state
                    WHEN s.state = 'given' AND NOT s.expired THEN 'given'
                    WHEN p.allowed_without THEN 'notNeeded'
                    WHEN s.state = 'given' THEN 'expired'
                    ELSE 'none' END AS reason,
               stop.id AS stop_id
        FROM wanted w
        LEFT JOIN customer.customer c ON c.id = w.root
        LEFT JOIN customer.consent_purpose p ON p.code = contact_answers.purpose
        LEFT JOIN standing s ON s.root = w.root AND s.purpose = contact_answers.purpose
        LEFT JOIN standing stop ON stop.root = w.root AND stop.purpose = 'contact')
    SELECT id, reason IN ('always', 'given', 'notNeeded'), reason,
           CASE reason WHEN 'doNotContact' THEN stop_id WHEN 'given' THEN consent_id WHEN 'withdrawn' THEN consent_id
                       WHEN 'denied' THEN consent_id WHEN 'expired' THEN consent_id END
    FROM judged
$$;

-- The same for one customer, as a condition.
CREATE FUNCTION customer.may_contact(customer uuid, purpose text, channel text, at timestamptz) RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT a.allowed FROM customer.contact_answers(ARRAY[customer], purpose, channel, at) a $$;

-- For the overview: the latest decision for each purpose and channel. Without DISTINCT ON, which keeps a condition on the customer
-- from getting to the index.
CREATE VIEW customer.overview_consents AS
SELECT c.customer_id, c.at, c.id, jsonb_strip_nulls(jsonb_build_object(
           'purpose', c.purpose, 'channel', c.channel, 'state', c.state, 'expiresAt', c.expires_at, 'source', c.source)) AS item
FROM customer.consent c
WHERE NOT EXISTS (
    SELECT FROM customer.consent n
    WHERE n.customer_id = c.customer_id AND n.purpose = c.purpose AND n.channel = c.channel
      AND (n.at, n.state <> 'given', n.valid_from, n.id) > (c.at, c.state <> 'given', c.valid_from, c.id));
GRANT SELECT ON customer.overview_consents TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{consent:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'analyst', 'auditor', 'risk', 'desk-agent', 'marketing');
UPDATE iam.role SET permissions = permissions || '{consent:manage}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'desk-agent');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, c AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
           unnest(ARRAY['consent:read', 'consent:manage']) c
      UNION ALL SELECT 'audit:read', 'consent:manage', 'Who proves what was done has done nothing.') p;
