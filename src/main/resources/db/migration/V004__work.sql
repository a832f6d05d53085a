-- Why: files and long work. Both are the kernel's own housekeeping, so neither has a past: what a file or a job was made
-- for is audited by the command that made it, and what a job changed by its chunks. Contents of files lie in the blob store,
-- encrypted with a key of their own, which is wrapped here: deleting the data key deletes the file for good.

CREATE TABLE kehu.blob (
    id           uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    purpose      text NOT NULL,
    permission   text NOT NULL,
    -- The file's own key and the name it came with, which may name a person: sealed with the data key of subject = id.
    sealed       bytea NOT NULL,
    state        text NOT NULL DEFAULT 'staged' CONSTRAINT blob_state_known CHECK (state IN ('staged', 'claimed', 'deleted')),
    size         bigint NOT NULL CONSTRAINT blob_size_positive CHECK (size >= 0),
    sha256       text,
    content_type text,
    -- One writer at a time among all nodes.
    writer       uuid,
    writer_until timestamptz,
    created_at   timestamptz NOT NULL DEFAULT kehu.now(),
    finished_at  timestamptz,
    claimed_at   timestamptz,
    expires_at   timestamptz,
    CONSTRAINT blob_finish_whole CHECK ((finished_at IS NULL) = (sha256 IS NULL) AND (sha256 IS NULL) = (content_type IS NULL)),
    CONSTRAINT blob_claim_whole CHECK (state <> 'claimed' OR (claimed_at IS NOT NULL AND finished_at IS NOT NULL)),
    CONSTRAINT blob_staged_expires CHECK (state <> 'staged' OR expires_at IS NOT NULL)
);
CREATE INDEX blob_expiry ON kehu.blob (expires_at) WHERE state = 'staged';
CREATE INDEX blob_deleted ON kehu.blob (id) WHERE state = 'deleted';
GRANT SELECT, INSERT, UPDATE, DELETE ON kehu.blob TO kehu_app;

-- A command takes over an upload for good, in its own transaction. Another person's upload, one of another purpose, one that
-- is not whole and one that was claimed before all fail alike: nobody learns what others have uploaded.
CREATE FUNCTION kehu.claim_blob(blob_id uuid, owner uuid, purpose text, OUT size bigint, OUT sha256 text, OUT content_type text)
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kehu.blob b SET state = 'claimed', claimed_at = kehu.now(), expires_at = NULL
    WHERE b.id = claim_blob.blob_id AND b.owner_id = claim_blob.owner AND b.purpose = claim_blob.purpose
      AND b.state = 'staged' AND b.finished_at IS NOT NULL AND b.expires_at > kehu.now()
    RETURNING b.size, b.sha256, b.content_type INTO size, sha256, content_type;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'blob % cannot be claimed', blob_id USING ERRCODE = 'check_violation', CONSTRAINT = 'blob_claim_possible';
    END IF;
END $$;

-- Gives a file up, in the transaction of the command that no longer needs it. It cannot be read from then on; its bytes
-- follow.
CREATE FUNCTION kehu.release_blob(blob_id uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM kehu.data_key WHERE subject_id = blob_id AND kind = 'blob';
    UPDATE kehu.blob SET state = 'deleted', expires_at = NULL WHERE id = blob_id
$$;

CREATE TABLE kehu.job (
    id             uuid PRIMARY KEY,
    kind           text NOT NULL,
    params         jsonb NOT NULL,
    state          text NOT NULL DEFAULT 'waiting'
                   CONSTRAINT job_state_known CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    owner_id       uuid NOT NULL,
    -- With whose rights it works, as they were when it was asked for; and what its audit rows say of the request.
    principal      jsonb NOT NULL,
    operation      text NOT NULL,
    request_id     text NOT NULL,
    address        text NOT NULL,
    -- Moved in the transaction of the rows it stands for.
    position       jsonb NOT NULL DEFAULT '{}',
    rows_read      bigint NOT NULL DEFAULT 0,
    rows_accepted  bigint NOT NULL DEFAULT 0,
    rows_rejected  bigint NOT NULL DEFAULT 0,
    units_done     bigint NOT NULL DEFAULT 0,
    units_total    bigint,
    -- Who works on it until when. The fence grows with each taking: what a former holder still sends is refused by it.
    lease_owner    text,
    lease_until    timestamptz,
    fence          bigint NOT NULL DEFAULT 0,
    -- Takings since the position last moved.
    attempts       int NOT NULL DEFAULT 0,
    not_before     timestamptz,
    cancel_asked   boolean NOT NULL DEFAULT false,
    error_code     text,
    error_args     text[],
    created_at     timestamptz NOT NULL DEFAULT kehu.now(),
    started_at     timestamptz,
    ended_at       timestamptz,
    CONSTRAINT job_lease_whole CHECK ((state = 'running') = (lease_owner IS NOT NULL) AND (lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT job_end_whole CHECK ((state IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
    CONSTRAINT job_error_whole CHECK ((state = 'failed') = (error_code IS NOT NULL))
);
CREATE INDEX job_open ON kehu.job (created_at, id) WHERE state IN ('waiting', 'running');
CREATE INDEX job_owner ON kehu.job (owner_id, id);
GRANT SELECT, INSERT, UPDATE, DELETE ON kehu.job TO kehu_app;

-- System administrators see what work there is, without its parameters, and may stop it.
UPDATE iam.role SET permissions = permissions || '{job:read,job:manage}' WHERE code = 'administrator';
