-- Why: epoch keys are rotated while everybody works. The database says which epoch is to be current before the key file has
-- it, so a rotation that dies anywhere is taken up where it was; and it refuses new data keys of a closed epoch, so that
-- "no data key uses it" stays true once it has been found. What stands here are numbers, never keys.

ALTER TABLE kehu.audit DROP CONSTRAINT audit_kind_known, ADD CONSTRAINT audit_kind_known CHECK (kind IN ('write','bulk','refusal','sign-in','unmask','export','setting','approval','key','grant','audit-read','archive'));

-- Not enrolled: each step of an epoch has a column of its own and an audit row of kind 'key'; nothing is ever changed back.
CREATE TABLE kehu.key_epoch (
    number       int PRIMARY KEY CONSTRAINT key_epoch_number_byte CHECK (number BETWEEN 1 AND 255),
    announced_at timestamptz NOT NULL DEFAULT kehu.now(),
    -- In the key file: new data keys are wrapped by it.
    begun_at     timestamptz,
    -- No new data key may be wrapped by it.
    closed_at    timestamptz,
    -- No data key is wrapped by it.
    retired_at   timestamptz,
    CONSTRAINT key_epoch_steps CHECK (num_nulls(begun_at, closed_at, retired_at) = 3
        OR begun_at IS NOT NULL AND (closed_at IS NOT NULL OR retired_at IS NULL))
);
INSERT INTO kehu.key_epoch (number, begun_at) VALUES (1, kehu.now());
GRANT SELECT, INSERT, UPDATE ON kehu.key_epoch TO kehu_app;

-- Once per statement: a chunk of five thousand rows pays for it once.
CREATE FUNCTION kehu.refuse_closed_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM made WHERE epoch <= (SELECT max(number) FROM kehu.key_epoch WHERE closed_at IS NOT NULL)) THEN
        RAISE EXCEPTION 'a data key of a closed epoch' USING ERRCODE = 'check_violation', CONSTRAINT = 'data_key_epoch_open';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER epoch_open_new AFTER INSERT ON kehu.data_key REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION kehu.refuse_closed_epoch();
CREATE TRIGGER epoch_open_changed AFTER UPDATE ON kehu.data_key REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION kehu.refuse_closed_epoch();

-- The order in which old epochs are swept: a chunk begins where the last one ended, however many are behind it.
CREATE INDEX data_key_sweep ON kehu.data_key (epoch, subject_id);
DROP INDEX kehu.data_key_epoch;
