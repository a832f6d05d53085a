-- Why: a job worked with the rights that its owner had when he asked for it, for as long as it waited and ran. It now asks
-- for those of the moment each time it is taken. And a file that was taken over for a job stayed for good where the job was
-- cancelled or failed on its way; it now goes with the job, however that ends.

-- What a member of staff may do now, apart from any session: no row for somebody who works here no more.
CREATE FUNCTION iam.standing(who uuid)
    RETURNS TABLE (version bigint, name text, branch_id uuid, permissions text[], scope text, branch_ids uuid[], customer_ids uuid[])
    LANGUAGE sql STABLE AS $$
    SELECT s.rights, s.username, s.branch_id, coalesce(r.permissions, '{}'), coalesce(r.scope, 'NONE'),
           coalesce(r.branch_ids, '{}'), g.customer_ids
    FROM iam.staff s CROSS JOIN LATERAL iam.staff_rights(s.id) r CROSS JOIN LATERAL iam.granted(s.id) g
    WHERE s.id = who AND s.state = 'active'
$$;

CREATE FUNCTION kehu.release_job_upload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kehu.release_blob((NEW.params ->> 'uploadId')::uuid);
    RETURN NULL;
END $$;
CREATE TRIGGER job_upload_ends AFTER UPDATE OF state ON kehu.job FOR EACH ROW
    WHEN (NEW.state IN ('done', 'failed', 'cancelled') AND OLD.state IN ('waiting', 'running') AND NEW.params ? 'uploadId')
    EXECUTE FUNCTION kehu.release_job_upload();

-- Of the jobs that ended before.
SELECT kehu.release_blob(b.id) FROM kehu.blob b
WHERE b.state = 'claimed' AND EXISTS (SELECT FROM kehu.job j WHERE j.ended_at IS NOT NULL AND j.params ->> 'uploadId' = b.id::text);
