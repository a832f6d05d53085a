-- Why: other systems of the bank tell what they know of customers. A connector says who may send and how to read it; what was
-- sent is noted by its id, so that it is taken once, and by row where it was refused. Which source said a field last is kept
-- beside the customer: of two sources the settings say which one wins.

CREATE TABLE customer.connector (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    enabled      boolean NOT NULL DEFAULT true,
    -- With whose rights what it sends is entered.
    owner_id     uuid NOT NULL,
    source       text NOT NULL,
    mapping      jsonb NOT NULL,
    -- Sealed under the connector's own data key; the former one is good for a while.
    secret       bytea NOT NULL,
    former       bytea,
    former_until timestamptz,
    version      bigint NOT NULL DEFAULT 1,
    valid_from   timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT connector_name_once UNIQUE (name),
    CONSTRAINT connector_former_whole CHECK ((former IS NULL) = (former_until IS NULL))
);
SELECT kehu.enrol('customer.connector', 'secret', 'former');

CREATE TABLE customer.delivery (
    connector_id uuid NOT NULL CONSTRAINT delivery_connector_known REFERENCES customer.connector,
    id           uuid NOT NULL,
    at           timestamptz NOT NULL DEFAULT kehu.now(),
    rows         int NOT NULL,
    created      int NOT NULL,
    changed      int NOT NULL,
    unchanged    int NOT NULL,
    refused      int NOT NULL,
    kept         int NOT NULL,
    CONSTRAINT delivery_once PRIMARY KEY (connector_id, id)
);
CREATE INDEX delivery_newest ON customer.delivery (connector_id, at DESC, id DESC);

-- Place, code and what its text needs; never a value. A delivery has at most a few thousand.
CREATE TABLE customer.delivery_error (
    connector_id uuid NOT NULL,
    delivery_id  uuid NOT NULL,
    place        int NOT NULL,
    at           timestamptz NOT NULL DEFAULT kehu.now(),
    row          int NOT NULL,
    field        text NOT NULL,
    code         text NOT NULL,
    args         text[] NOT NULL,
    CONSTRAINT delivery_error_once PRIMARY KEY (connector_id, delivery_id, place),
    CONSTRAINT delivery_error_delivery_known FOREIGN KEY (connector_id, delivery_id) REFERENCES customer.delivery
);
CREATE INDEX delivery_error_newest ON customer.delivery_error (connector_id, at DESC, delivery_id DESC, place DESC);
GRANT SELECT, INSERT ON customer.delivery, customer.delivery_error TO kehu_app;

CREATE TABLE customer.field_source (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL CONSTRAINT field_source_customer_known REFERENCES customer.customer,
    field       text NOT NULL,
    source      text NOT NULL,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT field_source_once UNIQUE (customer_id, field)
);
SELECT kehu.enrol('customer.field_source');

CREATE FUNCTION customer.erase_field_sources(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.field_source WHERE customer_id = ANY (customers);
    DELETE FROM customer.field_source_past WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_field_sources(uuid[]) FROM PUBLIC;

-- Who may --------------------------------------------------------------------------------------------------------------
-- Who enters many customers at once says how others do.
UPDATE iam.role SET permissions = permissions || '{connector:read}' WHERE code IN ('operator', 'auditor');
UPDATE iam.role SET permissions = permissions || '{connector:manage}' WHERE code = 'operator';

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, 'connector:manage' AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m
      UNION ALL SELECT 'audit:read', 'connector:manage', 'Who proves what was done has done nothing.') p;
