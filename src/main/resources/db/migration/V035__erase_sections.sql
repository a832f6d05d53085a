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

REVOKE EXECUTE ON FUNCTION customer.erase_segments(uuid[]), customer.erase_grades(uuid[]), customer.erase_relations(uuid[]) FROM PUBLIC;
