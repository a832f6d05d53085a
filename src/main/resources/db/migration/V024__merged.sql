-- Why: two records of one person become one without either being lost. The link is all that makes them one: rows of other
-- tables keep the id they came for, and whoever reads those of a customer reads those of all its sides. So taking the link
-- away separates them again, with everything on the side it belongs to.

CREATE TABLE customer.merged (
    -- The record that is read as another from here on; it is marked as deleted, so no list shows it.
    id          uuid CONSTRAINT merged_once PRIMARY KEY CONSTRAINT merged_customer_known REFERENCES customer.customer,
    -- Never itself merged: where a survivor is merged, the links to it move along.
    survivor_id uuid NOT NULL CONSTRAINT merged_survivor_known REFERENCES customer.customer,
    version     bigint NOT NULL DEFAULT 1,
    valid_from  timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT merged_other CHECK (id <> survivor_id)
);
CREATE INDEX merged_survivor ON customer.merged (survivor_id);
SELECT kehu.enrol('customer.merged');

-- The record an id stands for today.
CREATE FUNCTION customer.root(id uuid) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce((SELECT m.survivor_id FROM customer.merged m WHERE m.id = root.id), root.id);

-- All ids whose rows belong to a record: its own, and those merged into it.
CREATE FUNCTION customer.sides(id uuid) RETURNS SETOF uuid LANGUAGE sql STABLE PARALLEL SAFE ROWS 2 AS $$
    SELECT sides.id UNION ALL SELECT m.id FROM customer.merged m WHERE m.survivor_id = sides.id
$$;
GRANT EXECUTE ON FUNCTION customer.root(uuid), customer.sides(uuid) TO kehu_app;
