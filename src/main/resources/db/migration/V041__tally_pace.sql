-- Why: making the numbers of branches anew is one pass over all customers, seconds long where there are a million; done at every
-- look it was most of what the database did. So it is noted how long a pass takes, and the next waits in proportion.

ALTER TABLE customer.tally_state
    -- By the wall clock, as the waiting is.
    ADD made_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD took interval NOT NULL DEFAULT '0';

-- So that the planner knows how few groups there are, and lets several processes count.
CREATE STATISTICS customer.customer_value_share ON
    (CASE WHEN assets < 50000 THEN '0-50000' WHEN assets < 500000 THEN '50000-500000'
          WHEN assets < 6000000 THEN '500000-6000000' WHEN assets IS NOT NULL THEN '6000000-' END) FROM customer.customer;
CREATE STATISTICS customer.customer_entered_share ON
    (date_trunc('month', created_at AT TIME ZONE 'Asia/Shanghai')) FROM customer.customer;
CREATE STATISTICS customer.customer_industry_share ON (left(industry, 1)) FROM customer.customer;
ANALYZE customer.customer;
