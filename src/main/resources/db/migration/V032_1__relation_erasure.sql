-- Why: who somebody was related to, and with whom he lived, is forgotten with him. What the audit noted of it says from here on
-- that it changed, and not from what to what.

CREATE FUNCTION customer.erase_relations(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.relation WHERE from_id = ANY (customers) OR to_id = ANY (customers);
    DELETE FROM customer.relation_past WHERE from_id = ANY (customers) OR to_id = ANY (customers);
END $$;

-- A household whose head is forgotten ends, or nobody could see it and its members could join no other.
CREATE FUNCTION customer.erase_households(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    today  date := (kehu.now() AT TIME ZONE 'UTC')::date;
    headed uuid[] := ARRAY(SELECT h.id FROM customer.household h WHERE h.head_id = ANY (customers) ORDER BY h.id FOR UPDATE);
BEGIN
    DELETE FROM customer.household_member WHERE customer_id = ANY (customers);
    DELETE FROM customer.household_member_past WHERE customer_id = ANY (customers);
    UPDATE customer.household_member SET ends_on = greatest(starts_on, today) WHERE household_id = ANY (headed) AND ends_on IS NULL;
    UPDATE customer.household SET ends_on = coalesce(ends_on, today), name = '' WHERE id = ANY (headed);
    UPDATE customer.household_past SET name = '' WHERE head_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_relations(uuid[]), customer.erase_households(uuid[]) FROM PUBLIC;

SELECT kehu.mark_personal('customer.relation', 'kind', 'starts_on', 'ends_on', 'share', 'amount');
SELECT kehu.mark_personal('customer.household_member', 'role', 'starts_on', 'ends_on');
