-- Why: customers leave the bank's systems as files, so each file is known for ever: who made it, why, of whom, how many. The request
-- never changes; the file it came to is deleted after a while, and the request stays. How many rows somebody may take out on a day is
-- a constraint, so that two requests at once cannot share what is left.

CREATE TABLE customer.export (
    id        uuid PRIMARY KEY,
    kind      text NOT NULL CONSTRAINT export_kind_known CHECK (kind IN ('customers', 'analysis')),
    maker_id  uuid NOT NULL CONSTRAINT export_maker_known REFERENCES iam.staff,
    branch_id uuid NOT NULL CONSTRAINT export_branch_known REFERENCES iam.branch,
    job_id    uuid NOT NULL CONSTRAINT export_job_once UNIQUE,
    -- Filter, columns, format, encoding, what is shown in full: as it was asked for.
    request   jsonb NOT NULL,
    purpose   text NOT NULL,
    -- How many fitted when it was asked for, and the last that had been entered by then.
    counted   bigint NOT NULL,
    newest    bigint NOT NULL,
    -- SHA-256 of the scope it was asked for in: a file of another scope is not handed out.
    reach     bytea NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT kehu.now()
);
CREATE INDEX export_maker ON customer.export (maker_id, id);
CREATE INDEX export_branch ON customer.export (branch_id, id);
GRANT SELECT, INSERT ON customer.export TO kehu_app;

-- What it came to. blob_id is null once the file is deleted.
CREATE TABLE customer.export_file (
    export_id  uuid CONSTRAINT export_file_once PRIMARY KEY CONSTRAINT export_file_of REFERENCES customer.export,
    blob_id    uuid,
    rows       bigint NOT NULL CONSTRAINT export_file_rows_positive CHECK (rows >= 0),
    suppressed bigint NOT NULL DEFAULT 0 CONSTRAINT export_file_suppressed_positive CHECK (suppressed >= 0),
    size       bigint NOT NULL,
    sha256     text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT kehu.now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX export_file_expiry ON customer.export_file (expires_at) WHERE blob_id IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON customer.export_file TO kehu_app;

-- The password of an encrypted archive, sealed, until the file is made.
CREATE TABLE customer.export_secret (
    export_id uuid CONSTRAINT export_secret_once PRIMARY KEY CONSTRAINT export_secret_of REFERENCES customer.export,
    password  bytea NOT NULL
);
GRANT SELECT, INSERT, DELETE ON customer.export_secret TO kehu_app;

-- One link at a time leads to a file; a new one ends the old. Only the hash of its token is here.
CREATE TABLE customer.export_link (
    export_id  uuid CONSTRAINT export_link_once PRIMARY KEY CONSTRAINT export_link_of REFERENCES customer.export,
    hash       bytea NOT NULL CONSTRAINT export_link_hash_once UNIQUE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
GRANT SELECT, INSERT, UPDATE ON customer.export_link TO kehu_app;

-- Rows that somebody has asked for on a day of the bank.
CREATE TABLE customer.export_quota (
    maker_id uuid NOT NULL,
    day      date NOT NULL,
    rows     bigint NOT NULL,
    CONSTRAINT export_quota_once PRIMARY KEY (maker_id, day)
);
GRANT SELECT, INSERT, UPDATE ON customer.export_quota TO kehu_app;

-- Who may --------------------------------------------------------------------------------------------------------------
UPDATE iam.role SET permissions = permissions || '{customer:export}' WHERE code IN ('branch-head', 'customer-manager');
UPDATE iam.role SET permissions = permissions || '{customer:analyse}' WHERE code IN ('analyst', 'risk');
UPDATE iam.role SET permissions = permissions || '{export:read}'
WHERE code IN ('branch-head', 'customer-manager', 'analyst', 'auditor', 'risk');
UPDATE iam.role SET permissions = permissions || '{export:download}'
WHERE code IN ('branch-head', 'customer-manager', 'analyst', 'risk');
UPDATE iam.role SET second_factor = true WHERE iam.wants_factor(permissions) AND NOT second_factor;

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, d AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m,
           unnest(ARRAY['customer:export', 'customer:analyse', 'export:read', 'export:download']) d
      UNION ALL SELECT 'audit:read', d, 'Who proves what was done has done nothing.'
      FROM unnest(ARRAY['customer:export', 'customer:analyse', 'export:download']) d) p;

INSERT INTO iam.approval_policy (id, code, follows, branch_rule, expiry_minutes, levels, about_en, about_zh) VALUES
(uuidv7(), 'customer-export', 'always', 'sameOrAbove', 4320, '[{"approvers": 1, "permission": "customer:approve", "fromCount": 10000}]',
    'Exports of customers, counted in rows; one that shows anything in full counts as more than any number; always in force',
    '导出客户，按行数计；含明文的导出视为超过任何行数；始终生效');
