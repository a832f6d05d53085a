-- Why: who is forgotten is forgotten everywhere. What the rooms of customers keep in plain about one goes with his key; each
-- function is found by its name when customers are erased, see customer.wipe.

CREATE FUNCTION customer.erase_segments(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.segment_member WHERE customer_id = ANY (customers);
    DELETE FROM customer.segment_due WHERE customer_id = ANY (customers);
END $$;

CREATE FUNCTION customer.erase_duplicates(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.duplicate WHERE a_id = ANY (customers) OR b_id = ANY (customers);
    DELETE FROM customer.duplicate_past WHERE a_id = ANY (customers) OR b_id = ANY (customers);
    DELETE FROM customer.block WHERE seq IN (SELECT c.seq FROM customer.customer c WHERE c.id = ANY (customers));
END $$;

-- Both ends lose a relation; a household ends with its head.
CREATE FUNCTION customer.erase_relations(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    headless uuid[] := ARRAY(SELECT id FROM customer.household_all WHERE head_id = ANY (customers));
BEGIN
    DELETE FROM customer.relation WHERE from_id = ANY (customers) OR to_id = ANY (customers);
    DELETE FROM customer.relation_past WHERE from_id = ANY (customers) OR to_id = ANY (customers);
    DELETE FROM customer.household_member WHERE customer_id = ANY (customers) OR household_id = ANY (headless);
    DELETE FROM customer.household_member_past WHERE customer_id = ANY (customers) OR household_id = ANY (headless);
    DELETE FROM customer.household WHERE id = ANY (headless);
    DELETE FROM customer.household_past WHERE id = ANY (headless);
END $$;

REVOKE EXECUTE ON FUNCTION customer.erase_segments(uuid[]), customer.erase_duplicates(uuid[]), customer.erase_relations(uuid[]) FROM PUBLIC;
