-- Why: second factors meet what resets and passwords were before them. A password that is one of two may be shorter (NIST SP
-- 800-63B-4, section 3.1.1.2), and people lose devices as they lose passwords.
CREATE OR REPLACE FUNCTION iam.staff_has_factor(who uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT iam.factor_methods(who) <> '{}'
$$;

-- For somebody who has lost his device and his codes for recovery: all of them go.
CREATE FUNCTION iam.forget_factors(who uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM iam.factor WHERE staff_id = who;
    DELETE FROM iam.recovery_code WHERE staff_id = who;
$$;
