-- Why: who belongs to a live segment can change without a column or a tag of a customer changing: a tag's own time or branch, a
-- branch that moves in the tree, a customer who moves between branches, a merge. These are noted as well.

ALTER TABLE customer.segment_due ALTER customer_id DROP NOT NULL;
COMMENT ON COLUMN customer.segment_due.customer_id IS 'null: so many that the segments that read this are asked about everybody';

ALTER TABLE customer.segment_state
    -- Of the transaction that said whom it is about. A write that began before it ended may have noted nothing, so everybody is
    -- asked about only after the last of these.
    ADD born xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- Those that were not tried for the longest time come first: one that takes too long holds up no other.
    ADD tried_at timestamptz NOT NULL DEFAULT '-infinity';

CREATE OR REPLACE FUNCTION customer.note_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    before jsonb;
BEGIN
    IF EXISTS (SELECT FROM customer.segment WHERE place IS NOT NULL) THEN
        before := to_jsonb(OLD);
        INSERT INTO customer.segment_due (customer_id, changed)
        SELECT NEW.id, CASE WHEN OLD.deleted_at IS NOT DISTINCT FROM NEW.deleted_at THEN
            -- A tag of a branch holds at customers of this branch.
            array_agg(n.key) || CASE WHEN OLD.branch_id <> NEW.branch_id THEN '{tags}' ELSE '{}'::text[] END END
        FROM jsonb_each(to_jsonb(NEW)) n WHERE n.value IS DISTINCT FROM before -> n.key;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION customer.note_merged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM customer.segment WHERE place IS NOT NULL) THEN
        -- Both may be survivors of now or of before.
        INSERT INTO customer.segment_due (customer_id)
        SELECT DISTINCT customer.root(id) FROM unnest(ARRAY[NEW.id, NEW.survivor_id, OLD.id, OLD.survivor_id]) id WHERE id IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_merged AFTER INSERT OR UPDATE OR DELETE ON customer.merged FOR EACH ROW EXECUTE FUNCTION customer.note_merged();

CREATE FUNCTION customer.note_many() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM customer.segment WHERE place IS NOT NULL) THEN
        INSERT INTO customer.segment_due (changed) VALUES (TG_ARGV[0]::text[]);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_tag AFTER UPDATE OF code, usable_from, usable_until, branch_id ON customer.tag FOR EACH ROW
    WHEN ((OLD.code, OLD.usable_from, OLD.usable_until, OLD.branch_id)
        IS DISTINCT FROM (NEW.code, NEW.usable_from, NEW.usable_until, NEW.branch_id))
    EXECUTE FUNCTION customer.note_many('{tags}');
-- The one thing of another domain: which branch lies below which.
CREATE TRIGGER note_branch AFTER UPDATE OF tree ON iam.branch FOR EACH ROW WHEN (OLD.tree <> NEW.tree)
    EXECUTE FUNCTION customer.note_many('{branch_id,tags}');
