-- Why: filters that have many hits each and few together. Organisations are few among many people, and no index began with
-- them; and what an index on an expression knows of its values is not used where the index is partial, so a province was
-- taken for one in two hundred customers whatever its size.
CREATE INDEX customer_organisation ON customer.customer (seq) WHERE kind = 'organisation' AND deleted_at IS NULL;
CREATE STATISTICS customer.customer_province_share ON (left(region_code, 2)) FROM customer.customer;
CREATE STATISTICS customer.customer_prefecture_share ON (left(region_code, 4)) FROM customer.customer;
ANALYZE customer.customer;
