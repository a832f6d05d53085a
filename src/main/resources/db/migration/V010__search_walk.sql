-- Why: a first page by a range (age, assets) walks the list from the newest customer on until the page is full, and an import
-- of 33,000 prospects with only a name made it step over all of them: 9 ms instead of 0.6, and more with more of them. Who has
-- neither a birth date nor assets can be no hit of such a range, so three indexes leave them out: one walk for each shape
-- of scope, in the order of the list, with the values beside it, so that what is stepped over costs an entry of the index
-- and no row. Kinds likewise: organisations had a walk of their own since V009, people had none.
--
-- What it costs: all four grow at their ends (of each branch, of each manager), where an entry is cheap. A million customers
-- take 190 MB more, and entering them takes PostgreSQL a tenth more time, the index below included.
CREATE INDEX customer_walk ON customer.customer (seq) INCLUDE (birth_date, assets, branch_id)
    WHERE deleted_at IS NULL AND (birth_date IS NOT NULL OR assets IS NOT NULL);
CREATE INDEX customer_branch_walk ON customer.customer (branch_id, seq) INCLUDE (birth_date, assets)
    WHERE deleted_at IS NULL AND (birth_date IS NOT NULL OR assets IS NOT NULL);
CREATE INDEX customer_manager_walk ON customer.customer (manager_id, seq) INCLUDE (birth_date, assets)
    WHERE deleted_at IS NULL AND (birth_date IS NOT NULL OR assets IS NOT NULL);
CREATE INDEX customer_person ON customer.customer (seq) WHERE kind = 'person' AND deleted_at IS NULL;

-- Every row of a page, and every customer read alone, is opened with the key of its person: the index alone gives it now,
-- without a look at the table, which is a tenth of what a page costs. (Keys come in the order of time, so they go in at the end;
-- an erased one leaves the index when it leaves the table.) The key that refers to it is taken off and put back.
ALTER TABLE iam.staff DROP CONSTRAINT staff_key_known;
ALTER TABLE kehu.data_key DROP CONSTRAINT data_key_pkey;
ALTER TABLE kehu.data_key ADD CONSTRAINT data_key_pkey PRIMARY KEY (subject_id) INCLUDE (epoch, wrapped);
ALTER TABLE iam.staff ADD CONSTRAINT staff_key_known
    FOREIGN KEY (id) REFERENCES kehu.data_key (subject_id) DEFERRABLE INITIALLY DEFERRED;
