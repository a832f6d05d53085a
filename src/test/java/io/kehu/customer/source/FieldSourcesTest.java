package io.kehu.customer.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The row in which stands who said the fields of a customer, in a database that no node runs on. */
class FieldSourcesTest {
    private static final List<String> FIELDS = List.of("name", "phones", "occupation", "tier");
    private static final List<String> SOURCES = List.of("staff", "crm", "shop");

    private static TestKehu kehu;

    @BeforeAll
    static void aDatabase() {
        kehu = TestKehu.prepare(Map.of());
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String last(String there, String more) {
        return kehu.value("SELECT customer.last_word(?::jsonb, ?::jsonb)::text", there, more);
    }

    private static String said(String source, int hour, String fields) {
        return "{\"since\": \"2026-11-01T%02d:00:00+00:00\", \"fields\": [%s], \"source\": \"%s\"}"
                .formatted(hour, fields, source);
    }

    @Test
    void theLastWordHoldsAndWhatIsSaidAgainKeepsItsTime() {
        String there = "[" + said("crm", 1, "\"name\", \"tier\"") + ", " + said("shop", 2, "\"phones\"") + "]";
        assertThat(last(there, "[" + said("crm", 3, "\"tier\"") + "]")).isEqualTo(there);
        assertThat(last(there, "[" + said("staff", 3, "\"tier\", \"phones\"") + "]"))
                .isEqualTo("[" + said("crm", 1, "\"name\"") + ", " + said("staff", 3, "\"phones\", \"tier\"") + "]");
        assertThat(last(there, "[" + said("shop", 3, "\"phones\", \"occupation\"") + "]"))
                .isEqualTo(there.substring(0, there.length() - 1) + ", " + said("shop", 3, "\"occupation\"") + "]");
        assertThat(last(there, "[{\"fields\": [\"phones\", \"channel\"]}]"))
                .isEqualTo("[" + said("crm", 1, "\"name\", \"tier\"") + "]");
        assertThat(last(there, "[{\"fields\": [\"name\", \"phones\", \"tier\"]}]"))
                .isEqualTo("[]");
        assertThat(last(there, null)).isEqualTo(there);
    }

    private static void changed(String statement, Object... values) {
        kehu.throughADoor(() -> kehu.sql(statement, values));
    }

    /** The table as it was before V054, with its past, and what was told of it. */
    private static void asBefore() {
        kehu.sql("DROP VIEW customer.personal_sources, customer.field_source, customer.field_sources_all");
        kehu.sql("DROP TABLE customer.field_sources, customer.field_sources_past");
        kehu.sql("DROP FUNCTION customer.last_word, customer.each_source");
        kehu.sql("""
                CREATE TABLE customer.field_source (
                    id uuid PRIMARY KEY, customer_id uuid NOT NULL REFERENCES customer.customer,
                    field text NOT NULL, source text NOT NULL,
                    version bigint NOT NULL DEFAULT 1, valid_from timestamptz NOT NULL DEFAULT kehu.now(),
                    CONSTRAINT field_source_once UNIQUE (customer_id, field))""");
        kehu.sql("SELECT kehu.enrol('customer.field_source')");
        kehu.sql("CREATE VIEW customer.personal_sources AS SELECT * FROM customer.field_source");
    }

    private static String migration() throws IOException {
        try (InputStream file = FieldSourcesTest.class.getResourceAsStream("/db/migration/V054__field_sources.sql")) {
            return new String(Objects.requireNonNull(file).readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static List<Map<String, Object>> live() {
        return kehu.sql("SELECT customer_id, field, source, valid_from FROM customer.field_source ORDER BY 1, 2");
    }

    @Test
    void thePastTellsAfterTheMigrationWhatItToldBefore() throws IOException {
        long seed = System.nanoTime();
        System.out.println("FieldSourcesTest: seed " + seed);
        Random random = new Random(seed);
        asBefore();
        UUID branch = kehu.headOffice();
        List<UUID> customers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            customers.add((UUID) kehu.sql("""
                    INSERT INTO customer.customer (id, kind, branch_id, lifecycle, tier)
                    VALUES (uuidv7(), 'person', ?, 'active', 'mass') RETURNING id""", branch).get(0).get("id"));
        }
        for (int i = 0; i < 80; i++) {
            UUID customer = customers.get(random.nextInt(customers.size()));
            if (random.nextInt(4) == 0) {
                changed(
                        "DELETE FROM customer.field_source WHERE customer_id = ? AND field = ?",
                        customer,
                        FIELDS.get(random.nextInt(FIELDS.size())));
            } else {
                changed(
                        """
                        INSERT INTO customer.field_source AS f (id, customer_id, field, source)
                        SELECT uuidv7(), ?, w.field, ? FROM unnest(string_to_array(?, ',')) AS w(field)
                        ON CONFLICT (customer_id, field) DO UPDATE SET source = EXCLUDED.source
                        WHERE f.source <> EXCLUDED.source""",
                        customer,
                        SOURCES.get(random.nextInt(SOURCES.size())),
                        String.join(",", FIELDS.subList(random.nextInt(FIELDS.size()), FIELDS.size())));
            }
        }
        // Of one nobody is noted any more.
        changed("DELETE FROM customer.field_source WHERE customer_id = ?", customers.get(0));
        List<Map<String, Object>> now = live();
        kehu.sql("""
                CREATE TABLE customer.told AS
                SELECT i.at, f.customer_id, f.field, f.source, f.valid_from
                FROM (SELECT valid_from AS at FROM customer.field_source_all
                      UNION SELECT valid_to FROM customer.field_source_past) i
                JOIN customer.field_source_all f ON f.valid_from <= i.at AND f.valid_to > i.at""");
        assertThat(kehu.<Long>value("SELECT count(*) FROM customer.field_source_past"))
                .isPositive();

        kehu.sql(migration());

        assertThat(live()).isEqualTo(now);
        String then = """
                SELECT i.at, f.id, s.field, s.source, s.since
                FROM (SELECT DISTINCT at FROM customer.told) i
                JOIN customer.field_sources_all f ON f.valid_from <= i.at AND f.valid_to > i.at,
                customer.each_source(f.said) s WHERE s.since <= i.at""";
        assertThat(kehu.sql("(%s EXCEPT ALL TABLE customer.told) UNION ALL (TABLE customer.told EXCEPT ALL %s)"
                        .formatted(then, then)))
                .isEmpty();
        // Each row of the past ends where the next begins, with what ended it.
        assertThat(kehu.sql("""
                        SELECT p.* FROM customer.field_sources_past p
                        LEFT JOIN customer.field_sources_all n ON n.id = p.id AND n.version = p.version + 1
                        WHERE n.valid_from IS DISTINCT FROM p.valid_to OR p.valid_from >= p.valid_to""")).isEmpty();
        changed("""
                UPDATE customer.field_sources SET said = customer.last_word(said, '[{"fields": ["name"]}]') WHERE id = ?""", customers.get(1));
        assertThat(live())
                .isEqualTo(now.stream()
                        .filter(row -> !row.get("customer_id").equals(customers.get(1))
                                || !row.get("field").equals("name"))
                        .toList());
    }
}
