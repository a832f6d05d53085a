-- Why: a column more for an enrolled table was twenty lines that each migration wrote again: the past takes rows by position, so the
-- column has to go before the two that only the past has, the values of these have to be carried over, and the view of live and past
-- rows has to show it. One of these lines forgotten is a table that refuses every change. Now it is one function.

-- Carries out ALTER TABLE on an enrolled table, adding columns, and gives its past and its view the same: former rows get the
-- default that live ones got. The view shows them behind its other columns, so that views on it stay as they are. `hidden`: those
-- of the new columns that are left out of the audit, as in kehu.enrol.
--     SELECT kehu.widen('customer.connector', $$ADD COLUMN duplicates text NOT NULL DEFAULT 'create'
--         CONSTRAINT connector_duplicates_known CHECK (duplicates IN ('create', 'skip', 'report'))$$);
CREATE FUNCTION kehu.widen(live regclass, what text, VARIADIC hidden text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    space   text;
    name    text;
    past    regclass;
    shown   regclass;
    before  int := (SELECT max(attnum) FROM pg_attribute WHERE attrelid = live);
    columns text[];
    args    text[];
    mark    int;
    added   record;
    -- Whether the past has rows.
    existed boolean;
BEGIN
    SELECT n.nspname, c.relname INTO space, name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = live;
    past := format('%I.%I', space, name || '_past')::regclass;
    shown := format('%I.%I', space, name || '_all')::regclass;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', past) INTO existed;

    EXECUTE format('ALTER TABLE %s %s', live, what);
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = live AND attnum > before AND NOT attisdropped) THEN
        RAISE EXCEPTION 'no column was added to %', live;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = live AND attnum > before AND (attgenerated <> '' OR attidentity <> '')) THEN
        RAISE EXCEPTION 'a column of % that the database fills has no past', live;
    END IF;

    EXECUTE format('ALTER TABLE %s RENAME valid_to TO former_valid_to', past);
    EXECUTE format('ALTER TABLE %s RENAME audit_id TO former_audit_id', past);
    FOR added IN
        SELECT quote_ident(a.attname) AS col, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid) AS value
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = live AND a.attnum > before AND NOT a.attisdropped ORDER BY a.attnum
    LOOP
        EXECUTE format('ALTER TABLE %s ADD %s %s', past, added.col, added.type)
            || CASE WHEN added.value IS NULL THEN '' ELSE ' DEFAULT ' || added.value END
            || CASE WHEN added.attnotnull AND (added.value IS NOT NULL OR NOT existed) THEN ' NOT NULL' ELSE '' END;
        EXECUTE format('ALTER TABLE %s ALTER %s DROP DEFAULT', past, added.col);
    END LOOP;
    EXECUTE format('ALTER TABLE %s ADD valid_to timestamptz, ADD audit_id uuid', past);
    EXECUTE format('UPDATE %s SET valid_to = former_valid_to, audit_id = former_audit_id', past);

    -- What the view has, in its order, and what is new; the two of the past are new columns there and have to be shown as before.
    columns := ARRAY(
        SELECT quote_ident(a.attname) FROM pg_attribute a
        WHERE a.attrelid = shown AND a.attnum > 0 ORDER BY a.attnum)
        || ARRAY(
        SELECT quote_ident(a.attname) FROM pg_attribute a
        WHERE a.attrelid = live AND a.attnum > before AND NOT a.attisdropped ORDER BY a.attnum);
    EXECUTE format('CREATE OR REPLACE VIEW %s AS SELECT %s FROM %s UNION ALL SELECT %s FROM %s', shown,
        array_to_string(array_replace(array_replace(columns,
            'valid_to', '''infinity''::timestamptz AS valid_to'), 'audit_id', 'NULL::uuid AS audit_id'), ', '), live,
        array_to_string(columns, ', '), past);
    EXECUTE format('ALTER TABLE %s DROP former_valid_to, DROP former_audit_id, ALTER valid_to SET NOT NULL, ALTER audit_id SET NOT NULL',
        past);

    IF cardinality(hidden) > 0 THEN
        SELECT array_remove(string_to_array(encode(t.tgargs, 'escape'), '\000'), '') INTO args
        FROM pg_trigger t WHERE t.tgrelid = live AND t.tgname = 'keep';
        -- Behind the mark '~' stand those that kehu.mark_personal named.
        mark := coalesce(array_position(args, '~'), cardinality(args) + 1);
        args := args[:mark - 1] || hidden || args[mark:];
        EXECUTE format('DROP TRIGGER keep ON %s', live);
        EXECUTE format('DROP TRIGGER keep_insert ON %s', live);
        EXECUTE format('CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION kehu.keep(%s)',
            live, (SELECT string_agg(quote_literal(h), ', ') FROM unnest(args) h));
        EXECUTE format('CREATE TRIGGER keep_insert BEFORE INSERT ON %s FOR EACH ROW
                        WHEN (current_setting(''kehu.bulk'', true) IS DISTINCT FROM ''on'') EXECUTE FUNCTION kehu.keep(%s)',
            live, (SELECT string_agg(quote_literal(h), ', ') FROM unnest(args) h));
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION kehu.widen(regclass, text, text[]) FROM PUBLIC;
