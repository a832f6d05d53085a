-- Why: who may clean many records at once. Cleanings themselves are jobs.

-- Who enters many customers, and who answers for a branch's.
UPDATE iam.role SET permissions = permissions || '{quality:clean}' WHERE code IN ('branch-head', 'operator');

INSERT INTO iam.duty_conflict (id, first, second, reason, built_in)
SELECT uuidv7(), least(p.one COLLATE "C", p.other COLLATE "C"), greatest(p.one COLLATE "C", p.other COLLATE "C"), p.reason, true
FROM (SELECT m AS one, 'quality:clean' AS other, 'Who decides about people sees no customers.' AS reason
      FROM unnest(ARRAY['staff:manage', 'role:manage', 'grant:manage', 'duty:manage']) m
      UNION ALL SELECT 'audit:read', 'quality:clean', 'Who proves what was done has done nothing.') p;
