-- Why: numbers by a filter are counted in two passes now instead of five. That only pays where several processes share a pass, and
-- the planner lets them where it knows how few the groups are: it multiplies what it knows of each column, or takes a tenth of all
-- rows.

DROP STATISTICS customer.customer_value_share;
DROP STATISTICS customer.customer_entered_share;
CREATE STATISTICS customer.customer_kind_groups (ndistinct)
    ON kind, tier, lifecycle, risk, gender, (width_bucket(assets, ARRAY[50000, 500000, 6000000]::numeric[]))
    FROM customer.customer;
CREATE STATISTICS customer.customer_place_groups (ndistinct)
    ON (left(region_code, 2)), (left(industry, 1)), branch_id, manager_id FROM customer.customer;
-- Grouped by month only, and never compared for being equal: so few.
ALTER TABLE customer.customer ALTER COLUMN created_at SET (n_distinct = 12);
ANALYZE customer.customer;
