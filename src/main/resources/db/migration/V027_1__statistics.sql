-- Why: how many customers of each kind a bank has must be answered at once, also where there are a million. So the numbers of
-- each branch are kept, made anew by one pass over the customers whenever some have changed, at most half a minute late. Whoever
-- filters, or sees single customers, has them counted live.

CREATE TABLE customer.tally (
    run       bigint NOT NULL,
    branch_id uuid NOT NULL,
    dimension text NOT NULL,
    -- Null for customers of whom it is not known.
    value     text,
    customers bigint NOT NULL,
    assets    numeric NOT NULL
);
CREATE INDEX tally_run ON customer.tally (run, branch_id);

CREATE TABLE customer.tally_state (
    only_one boolean CONSTRAINT tally_state_once PRIMARY KEY DEFAULT true CONSTRAINT tally_state_one CHECK (only_one),
    run      bigint NOT NULL,
    at       timestamptz NOT NULL,
    -- The day that ages were counted for.
    day      date NOT NULL
);
INSERT INTO customer.tally_state (run, at, day) VALUES (0, '-infinity', '-infinity');

GRANT SELECT, INSERT, DELETE ON customer.tally TO kehu_app;
GRANT SELECT, UPDATE ON customer.tally_state TO kehu_app;

UPDATE iam.role SET permissions = permissions || '{customer:statistics}'
WHERE code IN ('branch-head', 'customer-manager', 'analyst', 'auditor', 'finance', 'risk', 'marketing');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(m COLLATE "C", 'customer:statistics'), greatest(m COLLATE "C", 'customer:statistics'),
       'Who decides about people sees no customers.', true
FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m;
