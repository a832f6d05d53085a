-- Why: who is forgotten is forgotten everywhere. What the rooms of customers keep in plain about one goes with his key; each
-- function is found by its name when customers are erased, see customer.wipe.

CREATE FUNCTION customer.erase_segments(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.segment_member WHERE customer_id = ANY (customers);
    DELETE FROM customer.segment_due WHERE customer_id = ANY (customers);
END $$;

-- His class says what the bank thought of him; his tier and stage are wiped with the customer.
CREATE FUNCTION customer.erase_grades(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.grade WHERE customer_id = ANY (customers);
    DELETE FROM customer.grade_past WHERE customer_id = ANY (customers);
END $$;

CREATE FUNCTION customer.erase_duplicates(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.duplicate WHERE a_id = ANY (customers) OR b_id = ANY (customers);
    DELETE FROM customer.duplicate_past WHERE a_id = ANY (customers) OR b_id = ANY (customers);
    DELETE FROM customer.block WHERE seq IN (SELECT c.seq FROM customer.customer c WHERE c.id = ANY (customers));
END $$;

REVOKE EXECUTE ON FUNCTION customer.erase_segments(uuid[]), customer.erase_grades(uuid[]), customer.erase_duplicates(uuid[]) FROM PUBLIC;

-- What a person may be told: that another record is like his, and not whose.
CREATE VIEW customer.personal_duplicates AS
SELECT d.customer_id, d.at, d.id, d.item - 'customerId' AS item, NULL::bytea AS sealed, NULL::text AS sealed_for
FROM customer.overview_duplicates d;
GRANT SELECT ON customer.personal_duplicates TO kehu_app;
