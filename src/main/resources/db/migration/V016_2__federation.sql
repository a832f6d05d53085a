-- Why: staff of a bank have accounts elsewhere already, at an identity provider or in a directory. What groups they are in
-- there says what they may do here; who somebody is is a pair of issuer and subject, never a name.

-- The mappings are one thing with one version: they are replaced as a whole.
CREATE TABLE iam.group_mapping_set (
    id         uuid PRIMARY KEY,
    only_row   boolean NOT NULL DEFAULT true CONSTRAINT group_mapping_set_one UNIQUE CHECK (only_row),
    changes    bigint NOT NULL DEFAULT 0,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
INSERT INTO iam.group_mapping_set (id) VALUES (uuidv7());
SELECT kehu.enrol('iam.group_mapping_set');

CREATE TABLE iam.group_mapping (
    id         uuid PRIMARY KEY,
    -- The name of the identity provider in the settings, or ldap.
    source     text NOT NULL,
    group_name text NOT NULL,
    roles      text[] NOT NULL,
    -- Where those in the group work; null where another group says so.
    branch_id  uuid CONSTRAINT group_mapping_branch_known REFERENCES iam.branch,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
CREATE UNIQUE INDEX group_mapping_once ON iam.group_mapping (source, lower(group_name));
SELECT kehu.enrol('iam.group_mapping');
CREATE TRIGGER check_roles BEFORE INSERT OR UPDATE OF roles ON iam.group_mapping FOR EACH ROW EXECUTE FUNCTION iam.check_roles();

-- Who a member of staff is elsewhere.
CREATE TABLE iam.federated_identity (
    id         uuid PRIMARY KEY,
    staff_id   uuid NOT NULL CONSTRAINT federated_identity_staff_known REFERENCES iam.staff,
    issuer     text NOT NULL,
    subject    text NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT federated_identity_once UNIQUE (issuer, subject)
);
CREATE INDEX federated_identity_staff ON iam.federated_identity (staff_id);
SELECT kehu.enrol('iam.federated_identity');

-- Sign-ins under way: what Kehu has to remember until somebody comes back from the provider. Taken once. Not enrolled: it
-- lives ten minutes, and each step is in the audit. What is sealed are the nonce and the verifier of PKCE (RFC 7636).
CREATE TABLE iam.oidc_flow (
    state_hash bytea PRIMARY KEY,
    flow_hash  bytea NOT NULL,
    provider   text NOT NULL,
    sealed     bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX oidc_flow_end ON iam.oidc_flow (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON iam.oidc_flow TO kehu_app;  -- UPDATE: for FOR UPDATE

UPDATE iam.role SET permissions = permissions || '{role:manage}'
WHERE code = 'administrator' AND NOT 'role:manage' = ANY (permissions);
