-- Why: what the bank took a person for, and why a value of his was taken back, is forgotten with him. Functions of the name
-- erase_<section> are found by those who forget.
CREATE INDEX grade_past_customer ON customer.grade_past (customer_id);
CREATE FUNCTION customer.erase_grades(customers uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM customer.grade WHERE customer_id = ANY (customers);
    DELETE FROM customer.grade_past WHERE customer_id = ANY (customers);
    DELETE FROM customer.change_reason WHERE customer_id = ANY (customers);
END $$;
REVOKE EXECUTE ON FUNCTION customer.erase_grades(uuid[]) FROM PUBLIC;
