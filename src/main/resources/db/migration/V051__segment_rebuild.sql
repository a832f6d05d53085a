-- Why: a live segment was asked about everybody in one statement; where that took longer than a statement may, it was cancelled and
-- begun again for ever. Now such a one is asked about some customers at a time, in the order of their ids, and how far it is stays.

ALTER TABLE customer.segment_state
    -- Customers up to this id are asked: a change of one of these is followed as in any other live segment. Null: nobody is yet.
    ADD position uuid,
    -- How many are asked at a time. Null: all at once, as long as that was never too slow for this filter.
    ADD rows_at_once int CONSTRAINT segment_state_rows_some CHECK (rows_at_once > 0);
