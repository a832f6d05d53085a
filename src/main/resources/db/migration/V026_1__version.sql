-- Why: who takes a former value back says why, and a text may name people: so it is kept beside the audit, under the
-- customer's key, and goes with it.
CREATE TABLE customer.change_reason (
    audit_id    uuid PRIMARY KEY,
    customer_id uuid NOT NULL CONSTRAINT change_reason_customer_known REFERENCES customer.customer,
    reason      bytea NOT NULL
);
CREATE INDEX change_reason_customer ON customer.change_reason (customer_id);
GRANT SELECT, INSERT ON customer.change_reason TO kehu_app;
