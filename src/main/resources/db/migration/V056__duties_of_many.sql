-- Why: a change of a role looked at each of its holders, permission by permission, pair by pair: with 2,500 of them it took longer
-- than a statement may, so a role that many have could not be changed any more.

-- As before, but whoever has the same roles and no gift is looked at once for all who are like him, and which permissions any pair
-- speaks of is looked up.
CREATE OR REPLACE FUNCTION iam.check_duties(who uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hit record;
BEGIN
    WITH gifted AS MATERIALIZED (SELECT DISTINCT g.staff_id FROM iam.grant g WHERE upper(g.lasts) > kehu.now()),
    people AS MATERIALIZED (
        SELECT s.id, 1 AS alike FROM iam.staff s JOIN gifted g ON g.staff_id = s.id
        WHERE s.state <> 'left' AND (who IS NULL OR s.id IN (SELECT w.id FROM unnest(who) w(id)))
        UNION ALL
        SELECT (array_agg(s.id))[1], count(*) FROM iam.staff s
        WHERE s.state <> 'left' AND (who IS NULL OR s.id IN (SELECT w.id FROM unnest(who) w(id))) AND s.id NOT IN (SELECT g.staff_id FROM gifted g)
        GROUP BY s.roles),
    contested AS MATERIALIZED (SELECT d.first AS permission FROM iam.duty_conflict d UNION SELECT d.second FROM iam.duty_conflict d),
    held AS MATERIALIZED (
        SELECT DISTINCT o.staff_id, h.alike, p.permission, o.lasts
        FROM people h JOIN iam.source o ON o.staff_id = h.id
        CROSS JOIN LATERAL unnest(o.permissions) p(permission)
        WHERE NOT isempty(o.lasts) AND coalesce(upper(o.lasts) > kehu.now(), true)
          AND p.permission IN (SELECT c.permission FROM contested c)),
    apart AS (
        SELECT DISTINCT d.first, d.second, a.staff_id, a.alike
        FROM iam.duty_conflict d
        JOIN held a ON a.permission = d.first
        JOIN held b ON b.permission = d.second AND b.staff_id = a.staff_id AND b.lasts && a.lasts)
    SELECT p.first, p.second, sum(p.alike)::bigint AS holders INTO hit
    FROM apart p GROUP BY p.first, p.second ORDER BY p.first, p.second LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'two duties in one hand' USING ERRCODE = 'check_violation', CONSTRAINT = 'duty_conflict_apart',
            HINT = concat_ws('|', hit.first, hit.second, hit.holders);
    END IF;
END $$;
