package io.kehu.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.TestKehu;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Migrations that add columns to a table with a past, in a database that no node runs on. */
class WidenTest {
    private static TestKehu kehu;

    @BeforeAll
    static void aDatabase() {
        kehu = TestKehu.prepare(Map.of());
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static void table(String name) {
        kehu.sql("CREATE TABLE kehu." + name + """
                 (id uuid PRIMARY KEY, word text NOT NULL, secret text, fact text,
                    version bigint NOT NULL DEFAULT 1, valid_from timestamptz NOT NULL DEFAULT kehu.now())""");
        kehu.sql("SELECT kehu.enrol('kehu." + name + "', 'secret')");
        kehu.sql("SELECT kehu.mark_personal('kehu." + name + "', 'fact')");
    }

    /** As through a door; what it notes for the audit. */
    private static String changed(String statement, Object value) {
        return kehu.throughADoor(() -> kehu.value(
                "WITH done AS (" + statement + " RETURNING 1) SELECT current_setting('kehu.changes') FROM done",
                value));
    }

    @Test
    void aColumnMoreIsInThePastInTheViewAndInTheViewsOnIt() {
        table("thing");
        UUID id = UUID.randomUUID();
        kehu.sql("CREATE VIEW kehu.thing_told AS SELECT id, valid_to, to_jsonb(t) AS item FROM kehu.thing_all t");
        changed("INSERT INTO kehu.thing (id, word, secret, fact) VALUES (?, 'one', 's', 'f')", id);
        changed("UPDATE kehu.thing SET word = 'two' WHERE id = ?", id);
        List<Map<String, Object>> former = kehu.sql("SELECT * FROM kehu.thing_all ORDER BY version");

        kehu.sql("""
                SELECT kehu.widen('kehu.thing', $$ADD COLUMN kind text NOT NULL DEFAULT 'old'
                    CONSTRAINT thing_kind_known CHECK (kind IN ('old', 'new')), ADD hint text, ADD "a Word" int[]$$, 'hint')""");
        assertThat(kehu.sql("SELECT id, word, secret, fact, version, valid_from, valid_to, audit_id"
                        + " FROM kehu.thing_all ORDER BY version"))
                .isEqualTo(former);
        String notes =
                changed("UPDATE kehu.thing SET kind = 'new', hint = 'h', secret = 't', fact = 'g' WHERE id = ?", id);
        assertThat(notes).contains("\"new\"", "\"old\"").doesNotContain("hint", "secret", "\"g\"", "\"f\"");
        notes = changed("DELETE FROM kehu.thing WHERE id = ?", id);
        assertThat(notes).contains("\"new\"").doesNotContain("hint", "secret", "\"g\"");

        assertThat(kehu.sql("SELECT word, kind, hint, secret, fact FROM kehu.thing_all ORDER BY version"))
                .extracting(row -> row.values().toString())
                .containsExactly("[one, old, null, s, f]", "[two, old, null, s, f]", "[two, new, h, t, g]");
        assertThat(kehu.sql("SELECT item ->> 'kind' AS kind FROM kehu.thing_told ORDER BY valid_to"))
                .extracting(row -> row.get("kind"))
                .containsExactly("old", "old", "new");
        assertThat(kehu.<Boolean>value("SELECT has_table_privilege('kehu_app', 'kehu.thing_all', 'SELECT')"
                        + " AND has_table_privilege('kehu_app', 'kehu.thing_past', 'INSERT')"))
                .isTrue();
        kehu.sql("SELECT kehu.widen('kehu.thing', 'ADD again bigint')");
        changed("INSERT INTO kehu.thing (id, word, again) VALUES (?, 'three', 3)", id);
        changed("DELETE FROM kehu.thing WHERE id = ?", id);
        assertThat(kehu.<Long>value("SELECT again FROM kehu.thing_past WHERE word = 'three'"))
                .isEqualTo(3);
    }

    @Test
    void whatAddsNoColumnOrOneThatTheDatabaseFillsIsRefused() {
        table("other");
        assertThatThrownBy(() -> kehu.sql("SELECT kehu.widen('kehu.other', 'ALTER word DROP NOT NULL')"))
                .rootCause()
                .hasMessageContaining("no column was added");
        assertThatThrownBy(() -> kehu.sql(
                        "SELECT kehu.widen('kehu.other', 'ADD twice text GENERATED ALWAYS AS (word || word) STORED')"))
                .rootCause()
                .hasMessageContaining("has no past");
        assertThat(kehu.<String>value("SELECT is_nullable FROM information_schema.columns"
                        + " WHERE table_schema = 'kehu' AND table_name = 'other' AND column_name = 'word'"))
                .isEqualTo("NO");
    }

    /** Rows move there by position. */
    @Test
    void eachEnrolledTableHasAPastOfTheSameColumns() {
        List<Map<String, Object>> tables = kehu.sql("""
                SELECT t.tgrelid::regclass::text AS name,
                    ARRAY(SELECT (a.attname, a.atttypid, a.atttypmod)::text FROM pg_attribute a
                          WHERE a.attrelid = t.tgrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)::text AS live,
                    ARRAY(SELECT (a.attname, a.atttypid, a.atttypmod)::text FROM pg_attribute a
                          WHERE a.attrelid = p.oid AND a.attnum > 0
                            AND NOT a.attisdropped AND a.attname NOT IN ('valid_to', 'audit_id') ORDER BY a.attnum)::text AS past,
                    (SELECT array_agg(a.attname ORDER BY a.attnum) FROM (
                        SELECT * FROM pg_attribute a WHERE a.attrelid = p.oid
                            AND NOT a.attisdropped ORDER BY a.attnum DESC LIMIT 2) a)::text AS ends
                FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                JOIN pg_class p ON p.relnamespace = c.relnamespace AND p.relname = c.relname || '_past'
                WHERE t.tgname = 'keep'""");
        assertThat(tables).hasSizeGreaterThan(20).allSatisfy(table -> {
            assertThat(table.get("past")).as("%s", table.get("name")).isEqualTo(table.get("live"));
            assertThat(table.get("ends")).isEqualTo("{valid_to,audit_id}");
        });
    }
}
