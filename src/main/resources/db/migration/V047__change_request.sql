-- Why: who comes by the app knows best where he lives and which phone is his. What he says waits, sealed, until somebody has
-- verified who he is and has looked at it; nothing of it changes his record before.

CREATE TABLE customer.change_request (
    id          uuid PRIMARY KEY,
    -- As he was signed in; a merged one leads to its survivor.
    customer_id uuid NOT NULL CONSTRAINT change_request_customer_known REFERENCES customer.customer,
    -- The names of what he wants changed, e.g. {phones,addresses}; never a value.
    fields      text[] NOT NULL,
    -- {"change": {...}, "note": "..."} under the customer's key; null where he was erased.
    asked       bytea,
    state       text NOT NULL DEFAULT 'open'
                CONSTRAINT change_request_state_known CHECK (state IN ('open', 'accepted', 'rejected', 'superseded', 'withdrawn')),
    made_at     timestamptz NOT NULL DEFAULT kehu.now(),
    -- How the person was verified before his request was accepted.
    identity    text CONSTRAINT change_request_identity_known
                CHECK (identity IN ('document', 'face', 'call-back', 'video', 'certificate')),
    decided_by  uuid,
    decided_at  timestamptz,
    -- Of a rejection, under the customer's key.
    why         bytea,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT change_request_decision_told CHECK ((state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)),
    CONSTRAINT change_request_identity_verified CHECK ((state = 'accepted') = (identity IS NOT NULL))
);
-- The newest of what somebody wants is what he wants.
CREATE UNIQUE INDEX change_request_open_once ON customer.change_request (customer_id) WHERE state = 'open';
CREATE INDEX change_request_queue ON customer.change_request (state, made_at DESC, id DESC);
CREATE INDEX change_request_customer ON customer.change_request (customer_id, made_at DESC, id DESC);
SELECT kehu.enrol('customer.change_request', 'asked', 'why');

-- What he said, and what he was answered.
CREATE VIEW customer.personal_change_requests AS
SELECT r.customer_id, r.made_at AS at, r.id,
       jsonb_strip_nulls(jsonb_build_object('state', r.state, 'fields', r.fields, 'identity', r.identity)) AS item,
       r.asked AS sealed, 'customer.change_request' AS sealed_for
FROM customer.change_request r
UNION ALL
SELECT r.customer_id, r.decided_at, r.id, jsonb_build_object('state', r.state), r.why, 'customer.change_request'
FROM customer.change_request r WHERE r.state = 'rejected';
GRANT SELECT ON customer.personal_change_requests TO kehu_app;

CREATE FUNCTION customer.erase_change_requests(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer.change_request SET asked = NULL, why = NULL WHERE customer_id = ANY (customers);
    UPDATE customer.change_request_past SET asked = NULL, why = NULL WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_change_requests(uuid[]) FROM PUBLIC;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{change-request:read}'
WHERE code IN ('branch-head', 'customer-manager', 'operator', 'desk-agent', 'auditor');
UPDATE iam.role SET permissions = permissions || '{change-request:decide}'
WHERE code IN ('branch-head', 'customer-manager', 'operator');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, c AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
           unnest(ARRAY['change-request:read', 'change-request:decide']) c
      UNION ALL SELECT 'audit:read', 'change-request:decide', 'Who proves what was done has done nothing.') p;
