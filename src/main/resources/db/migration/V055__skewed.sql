-- Why: what is asked about one customer must cost what he has, not what all have together.

-- The pairs of a customer stood in a view that named both ends in one row, so no index led to them: whoever opened the overview of
-- anybody read all open pairs of the bank. Now each end is looked up.
CREATE OR REPLACE VIEW customer.overview_duplicates AS
SELECT d.a_id AS customer_id, d.found_at AS at, d.id,
    jsonb_build_object('customerId', d.b_id, 'score', d.score, 'level', d.level, 'reasons', d.reasons) AS item
FROM customer.duplicate d JOIN customer.customer o ON o.id = d.b_id AND o.deleted_at IS NULL WHERE d.state = 'open'
UNION ALL
SELECT d.b_id, d.found_at, d.id,
    jsonb_build_object('customerId', d.a_id, 'score', d.score, 'level', d.level, 'reasons', d.reasons)
FROM customer.duplicate d JOIN customer.customer o ON o.id = d.a_id AND o.deleted_at IS NULL WHERE d.state = 'open';

-- All merges, the newest first: without it a page read and sorted every merge there ever was.
CREATE INDEX merge_newest ON customer.merge (place);

-- Deliveries are forgotten by their age alone, of all sources.
CREATE INDEX delivery_oldest ON customer.delivery (at);

-- Each minute looks of documents that failed are begun again; ended jobs stay, so that went through all there ever were.
CREATE INDEX job_failed ON kehu.job (kind, id) WHERE state = 'failed';
