-- Why: the people and organisations a bank knows. A narrow table holds what is filtered and sorted, a second one all that is
-- personal in one ciphertext under the subject's own key; what must be found in the ciphertext is found by keyed tokens and
-- blind indexes. Shaped for a first page that costs at a million customers what it costs at ten thousand: every filter has
-- an index that yields its hits in the order of the list, and so have the tokens.

CREATE SCHEMA customer;
GRANT USAGE ON SCHEMA customer TO kehu_app;

CREATE TABLE customer.customer (
    id             uuid PRIMARY KEY,
    -- The order of entry, and what the customer number is made of.
    seq            bigint GENERATED ALWAYS AS IDENTITY,
    kind           text NOT NULL CONSTRAINT customer_kind_known CHECK (kind IN ('person', 'organisation')),
    branch_id      uuid NOT NULL CONSTRAINT customer_branch_known REFERENCES iam.branch,
    manager_id     uuid CONSTRAINT customer_manager_known REFERENCES iam.staff,
    lifecycle      text NOT NULL CONSTRAINT customer_lifecycle_known
                   CHECK (lifecycle IN ('prospect', 'new', 'active', 'mature', 'dormant', 'lost')),
    tier           text NOT NULL CONSTRAINT customer_tier_known
                   CHECK (tier IN ('mass', 'affluent', 'private', 'small', 'medium', 'large')),
    risk           text CONSTRAINT customer_risk_known CHECK (risk IN ('C1', 'C2', 'C3', 'C4', 'C5')),
    region_code    text COLLATE "C",
    birth_date     date,
    founded_on     date,
    gender         text CONSTRAINT customer_gender_known CHECK (gender IN ('male', 'female')),
    marital_status text CONSTRAINT customer_marital_known CHECK (marital_status IN ('single', 'married', 'divorced', 'widowed')),
    occupation     text,
    industry       text,
    channel        text CONSTRAINT customer_channel_known
                   CHECK (channel IN ('app', 'wechat', 'sms', 'phone', 'email', 'branch')),
    since          date,
    annual_income  numeric(18, 2) CONSTRAINT customer_income_positive CHECK (annual_income >= 0),
    assets         numeric(18, 2) CONSTRAINT customer_assets_positive CHECK (assets >= 0),
    liabilities    numeric(18, 2) CONSTRAINT customer_liabilities_positive CHECK (liabilities >= 0),
    currency       text NOT NULL DEFAULT 'CNY' CONSTRAINT customer_currency_known CHECK (currency = 'CNY'),
    -- Tokens of the name and of the phones' last four digits; the trigger below keeps search_token in step with them.
    tokens         int4[] NOT NULL DEFAULT '{}',
    -- The version of customer.sealed that belongs to this version.
    sealed_version bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT kehu.now(),
    deleted_at     timestamptz,
    version        bigint NOT NULL DEFAULT 1,
    valid_from     timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT customer_seq_once UNIQUE (seq),
    CONSTRAINT customer_kind_facts CHECK (CASE kind
        WHEN 'person' THEN num_nonnulls(founded_on, industry) = 0
        ELSE num_nonnulls(birth_date, gender, marital_status, occupation) = 0 END)
);
CREATE INDEX customer_branch ON customer.customer (branch_id, seq) WHERE deleted_at IS NULL;
CREATE INDEX customer_manager ON customer.customer (manager_id, seq) WHERE deleted_at IS NULL;
CREATE INDEX customer_tier ON customer.customer (tier, seq) WHERE deleted_at IS NULL;
CREATE INDEX customer_lifecycle ON customer.customer (lifecycle, seq) WHERE deleted_at IS NULL;
CREATE INDEX customer_risk ON customer.customer (risk, seq) WHERE deleted_at IS NULL;
-- Province, prefecture and county are the first two, four and all six digits: one index each keeps every prefix in order.
CREATE INDEX customer_province ON customer.customer (left(region_code, 2), seq) WHERE deleted_at IS NULL;
CREATE INDEX customer_prefecture ON customer.customer (left(region_code, 4), seq) WHERE deleted_at IS NULL;
CREATE INDEX customer_county ON customer.customer (region_code, seq) WHERE deleted_at IS NULL;
-- Ranges give no order: a narrow range is sorted from the index alone, a wide one is met soon along seq.
CREATE INDEX customer_birth ON customer.customer (birth_date, seq) INCLUDE (branch_id, manager_id) WHERE deleted_at IS NULL;
CREATE INDEX customer_assets ON customer.customer (assets, seq) INCLUDE (branch_id, manager_id) WHERE deleted_at IS NULL;
CREATE INDEX customer_updated ON customer.customer (valid_from, seq) INCLUDE (branch_id, manager_id);
SELECT kehu.enrol('customer.customer', 'tokens');

-- Class C2 of one customer: names, documents, phones, e-mail, addresses, external ids, as JSON under the subject's key.
CREATE TABLE customer.sealed (
    id         uuid PRIMARY KEY CONSTRAINT sealed_customer_known REFERENCES customer.customer,
    personal   bytea NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now()
);
SELECT kehu.enrol('customer.sealed');

-- Which customers have a token, newest first. A GIN index on the array finds them too, but all of them at once: one
-- frequent syllable pair cost 174 ms at a million customers, here 2 ms, because the scan ends with the page.
CREATE TABLE customer.search_token (
    token int4 NOT NULL,
    seq   bigint NOT NULL,
    CONSTRAINT search_token_once PRIMARY KEY (token, seq)
);
-- The planner must know the frequent ones (one in fourteen customers is a Wang) from the rare.
ALTER TABLE customer.search_token ALTER COLUMN token SET STATISTICS 1000;

CREATE FUNCTION customer.index_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO customer.search_token (token, seq) SELECT DISTINCT unnest(r.tokens), r.seq FROM made r;
    RETURN NULL;
END $$;
CREATE FUNCTION customer.index_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    DELETE FROM customer.search_token WHERE token = ANY (OLD.tokens) AND seq = OLD.seq;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO customer.search_token (token, seq) SELECT DISTINCT unnest(NEW.tokens), NEW.seq;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON customer.customer REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION customer.index_new();
CREATE TRIGGER index_changed AFTER UPDATE OF tokens ON customer.customer FOR EACH ROW
    WHEN (OLD.tokens IS DISTINCT FROM NEW.tokens) EXECUTE FUNCTION customer.index_changed();
CREATE TRIGGER index_gone AFTER DELETE ON customer.customer FOR EACH ROW EXECUTE FUNCTION customer.index_changed();

-- Blind indexes of what is looked up whole. One document, and one id in another system, belongs to one customer.
CREATE TABLE customer.blind (
    seq   bigint NOT NULL CONSTRAINT blind_customer_known REFERENCES customer.customer (seq),
    kind  text NOT NULL CONSTRAINT blind_kind_known CHECK (kind IN ('document', 'external', 'phone', 'email')),
    value bytea NOT NULL,
    CONSTRAINT blind_once PRIMARY KEY (seq, value)
);
CREATE UNIQUE INDEX blind_document_once ON customer.blind (value) INCLUDE (seq) WHERE kind = 'document';
CREATE UNIQUE INDEX blind_external_once ON customer.blind (value) INCLUDE (seq) WHERE kind = 'external';
CREATE INDEX blind_contact ON customer.blind (value, seq) WHERE kind IN ('phone', 'email');

-- How many customers a member of staff has seen unmasked on a day of the bank.
CREATE TABLE customer.unmasking (
    staff_id uuid NOT NULL,
    day      date NOT NULL,
    used     int NOT NULL,
    CONSTRAINT unmasking_once PRIMARY KEY (staff_id, day)
);

GRANT SELECT, INSERT, DELETE ON customer.blind TO kehu_app;
GRANT SELECT ON customer.search_token TO kehu_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON customer.unmasking TO kehu_app;
-- After a load of many rows: statistics for the planner, the visibility map for scans of an index alone.
GRANT MAINTAIN ON customer.customer, customer.sealed, customer.search_token, customer.blind TO kehu_app;

-- How far each invented population has been entered; moves in the transaction of the chunk, so that a killed seed goes on.
CREATE TABLE customer.seeding (
    seed      bigint PRIMARY KEY,
    reference date NOT NULL,
    position  bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON customer.seeding TO kehu_app;
