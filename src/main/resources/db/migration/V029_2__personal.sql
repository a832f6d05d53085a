-- Why: a person may have all that the bank holds about him, in a form that machines read. What there is is told by views, so
-- that a table that comes later appears in it without a line of code: a view customer.personal_<section>, or where a section has
-- none, the view customer.overview_<section> that its owner publishes anyway. A personal_ view has the columns of an overview
-- and two more: `sealed`, a ciphertext of class C2 under the key of customer_id, and `sealed_for`, the table it was sealed for. A
-- ciphertext that holds a JSON object becomes fields of the item, any other its text.

CREATE VIEW customer.personal_record AS
SELECT c.id AS customer_id, c.valid_from AS at, c.id,
       jsonb_strip_nulls(to_jsonb(c) - ARRAY['tokens', 'sealed_version', 'seq', 'id', 'valid_from']) AS item,
       s.personal AS sealed, 'customer.sealed' AS sealed_for
FROM customer.customer c JOIN customer.sealed s ON s.id = c.id;

-- Every version there was, with what ended it.
CREATE VIEW customer.personal_versions AS
SELECT c.id AS customer_id, c.valid_from AS at, c.id,
       jsonb_strip_nulls(to_jsonb(c) - ARRAY['tokens', 'sealed_version', 'seq', 'id', 'audit_id', 'valid_to']
                         || jsonb_build_object('until', nullif(c.valid_to, 'infinity'))) AS item,
       s.personal AS sealed, 'customer.sealed' AS sealed_for
FROM customer.customer_all c JOIN customer.sealed_all s ON s.id = c.id AND s.version = c.sealed_version;

CREATE VIEW customer.personal_interactions AS
SELECT i.customer_id, i.at, i.id, jsonb_strip_nulls(jsonb_build_object(
           'channel', i.channel, 'direction', i.direction, 'staffId', i.staff_id, 'subjectKind', i.subject_kind,
           'subjectId', i.subject_id, 'outcome', CASE WHEN r.id IS NULL THEN i.outcome ELSE r.outcome END,
           'recordedAt', i.made_at)) AS item,
       CASE WHEN r.id IS NULL THEN i.sealed ELSE r.sealed END AS sealed, 'customer.interaction' AS sealed_for
FROM customer.interaction i LEFT JOIN customer.interaction_revision r ON r.id = i.id;

-- What interactions said before they were corrected.
CREATE VIEW customer.personal_corrections AS
SELECT i.customer_id, i.made_at AS at, i.id, jsonb_strip_nulls(jsonb_build_object('outcome', i.outcome)) AS item, i.sealed,
       'customer.interaction' AS sealed_for
FROM customer.interaction i WHERE EXISTS (SELECT FROM customer.interaction_revision r WHERE r.id = i.id)
UNION ALL
SELECT i.customer_id, p.valid_from, i.id, jsonb_strip_nulls(jsonb_build_object('outcome', p.outcome)), p.sealed, 'customer.interaction'
FROM customer.interaction_revision_past p JOIN customer.interaction i ON i.id = p.id;

CREATE VIEW customer.personal_consents AS
SELECT c.customer_id, c.at, c.id, jsonb_strip_nulls(jsonb_build_object(
           'purpose', c.purpose, 'channel', c.channel, 'state', c.state, 'source', c.source, 'expiresAt', c.expires_at,
           'documentId', c.document_id, 'interactionId', c.interaction_id, 'textHash', encode(c.text_hash, 'hex'),
           'recordedAt', c.valid_from)) AS item,
       NULL::bytea AS sealed, NULL AS sealed_for
FROM customer.consent c;

-- Who looked: the branch, not the person.
CREATE VIEW customer.personal_accesses AS
SELECT x.object_id AS customer_id, x.at, md5(x.request_id)::uuid AS id, jsonb_strip_nulls(jsonb_build_object(
           'operation', x.operation, 'purpose', x.purpose, 'branch', s.branch_code)) AS item,
       NULL::bytea AS sealed, NULL AS sealed_for
FROM (SELECT l.at, l.request_id, l.operation, NULL::text AS purpose, l.subject, l.object_id FROM kehu.access_log l
      WHERE l.status IN (200, 206, 304) AND NOT EXISTS (
          SELECT FROM kehu.audit a WHERE a.object_id = l.object_id AND a.request_id = l.request_id AND a.kind IN ('unmask', 'export'))
      UNION ALL
      SELECT a.at, a.request_id, a.operation, a.purpose, a.actor, a.object_id FROM kehu.audit_readable a
      WHERE a.kind IN ('unmask', 'export') AND a.code IS NULL) x
LEFT JOIN iam.staff_of_record s ON s.id = x.subject;

GRANT SELECT ON customer.personal_record, customer.personal_versions, customer.personal_interactions, customer.personal_corrections,
    customer.personal_consents, customer.personal_accesses TO kehu_app;

-- How many people somebody has taken out in full on a day of the bank.
CREATE TABLE customer.personal_export (
    subject_id uuid NOT NULL,
    day        date NOT NULL,
    used       int NOT NULL,
    CONSTRAINT personal_export_once PRIMARY KEY (subject_id, day)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON customer.personal_export TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{personal-data:export}' WHERE code IN ('branch-head', 'customer-manager');
UPDATE iam.role SET second_factor = true WHERE iam.wants_factor(permissions) AND NOT second_factor;

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, 'personal-data:export' AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m
      UNION ALL SELECT 'audit:read', 'personal-data:export', 'Who proves what was done sees nobody in full.') p;
