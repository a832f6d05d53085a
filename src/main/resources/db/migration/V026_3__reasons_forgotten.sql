-- Why: what somebody said when he took a former value back is forgotten with the customer it was about. Functions of the name
-- erase_<section> are found by those who forget.
CREATE INDEX grade_past_customer ON customer.grade_past (customer_id);
CREATE FUNCTION customer.erase_reasons(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.change_reason WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_reasons(uuid[]) FROM PUBLIC;
