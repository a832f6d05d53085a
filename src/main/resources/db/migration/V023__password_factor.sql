-- Why: with second factors there, a password that is one of two may be shorter (NIST SP 800-63B-4, section 3.1.1.2).
CREATE OR REPLACE FUNCTION iam.staff_has_factor(who uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT iam.factor_methods(who) <> '{}'
$$;
