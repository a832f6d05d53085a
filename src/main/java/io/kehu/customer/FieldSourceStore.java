package io.kehu.customer;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * SQL of who said a field of a customer last: another system, or {@link #STAFF}. What one record says is written by {@link
 * CustomerStore} together with the record; a field that nobody is noted for may be changed by any source.
 */
public final class FieldSourceStore {
    /** What somebody entered or decided by hand; no other system may have this name. */
    public static final String STAFF = "staff";

    /** What says which customer it is, and so is of no source. */
    public static final Set<String> IDENTIFYING = Set.of("kind", "externalIds");

    /** The past keeps only what differs. Two at once wait for each other at the row, and the second adds to what the first said. */
    private static final String LAST_WORD = """
             ON CONFLICT (id) DO UPDATE SET said = customer.last_word(f.said, EXCLUDED.said)
            WHERE f.said <> customer.last_word(f.said, EXCLUDED.said)""";

    /** What one source says of an array of fields now. */
    private static String said(String source, String fields) {
        return "jsonb_build_object('source', %s, 'since', kehu.now(), 'fields', %s)".formatted(source, fields);
    }

    /** Part of a statement that writes one record: the fields at one place, their source at another. */
    static String saying(String customer, int fields, int source) {
        return """
                said AS (
                    INSERT INTO customer.field_sources AS f (id, said)
                    SELECT %s, jsonb_build_array(%s) WHERE cardinality($%d::text[]) > 0%s)""".formatted(customer, said("$" + source + "::text", "$" + fields + "::text[]"), fields, LAST_WORD);
    }

    private static final String SAID = """
            SELECT b.value, f.field, f.source FROM customer.blind b
            JOIN customer.customer c ON c.seq = b.seq JOIN customer.field_source f ON f.customer_id = c.id
            WHERE b.kind = 'external' AND b.value = ANY ($1)""";
    private static final String SAY = """
            INSERT INTO customer.field_sources AS f (id, said)
            SELECT c.id, jsonb_build_array(%s)
            FROM unnest($1::bytea[], $2::text[]) AS w(value, field)
            JOIN customer.blind b ON b.kind = 'external' AND b.value = w.value
            JOIN customer.customer c ON c.seq = b.seq
            GROUP BY c.id ORDER BY c.id""".formatted(said("$3::text", "array_agg(DISTINCT w.field)")) + LAST_WORD;
    /** What is chosen by hand is said by hand; what is lent by a rule brings its source along. */
    private static final String JOIN = """
            INSERT INTO customer.field_sources AS f (id, said)
            SELECT $1, jsonb_agg(%s)
            FROM (SELECT '%s' AS source, $4::text[] AS fields WHERE cardinality($4::text[]) > 0
                  UNION ALL
                  SELECT d.source, array_agg(d.field) FROM customer.field_source d
                  WHERE d.customer_id = $2 AND d.field = ANY ($3) AND d.field <> ALL ($4)
                  GROUP BY d.source) w
            HAVING count(*) > 0""".formatted(said("w.source", "w.fields"), STAFF) + LAST_WORD;
    /** Of fields that become again what they were at an instant. */
    private static final String PART = """
            WITH former AS (
                SELECT o.field, o.source
                FROM customer.field_sources_all p, customer.each_source(p.said) o
                WHERE p.id = $1 AND p.valid_from <= $2 AND p.valid_to > $2 AND o.since <= $2),
            due AS (
                SELECT o.source, array_agg(d.field) AS fields
                FROM customer.field_source d LEFT JOIN former o ON o.field = d.field
                WHERE d.customer_id = $1 AND d.field = ANY ($3)
                GROUP BY o.source),
            word AS (SELECT jsonb_agg(%s) AS said FROM due w)
            UPDATE customer.field_sources f SET said = customer.last_word(f.said, word.said) FROM word
            WHERE f.id = $1 AND f.said <> customer.last_word(f.said, word.said)""".formatted(said("w.source", "w.fields"));

    private final Database database;

    public FieldSourceStore(Database database) {
        this.database = database;
    }

    /** Which source said which field last, of the customers with these external ids. */
    public Future<Map<Buffer, Map<String, String>>> said(Call call, Collection<Buffer> externals) {
        return database.query(call, SAID, Tuple.tuple().addArrayOfBuffer(externals.toArray(Buffer[]::new)))
                .map(rows -> {
                    Map<Buffer, Map<String, String>> said = new HashMap<>();
                    rows.forEach(row -> said.computeIfAbsent(row.getBuffer("value"), v -> new HashMap<>())
                            .put(row.getString("field"), row.getString("source")));
                    return said;
                });
    }

    /** Notes who said the fields, the same as before or not; {@code externals} and {@code fields} go in pairs. */
    public Future<?> say(Tx tx, List<Buffer> externals, List<String> fields, String source) {
        return tx.query(
                SAY,
                Tuple.tuple()
                        .addArrayOfBuffer(externals.toArray(Buffer[]::new))
                        .addArrayOfString(fields.toArray(String[]::new))
                        .addString(source));
    }

    /** Two records become one: {@code lent} are the fields that come from the duplicate. */
    public static Future<?> join(
            Tx tx, UUID survivor, UUID duplicate, Collection<String> lent, Collection<String> chosen) {
        return tx.query(JOIN, Tuple.of(survivor, duplicate, array(lent), array(chosen)));
    }

    /** And two again: {@code back} are the fields that the survivor has as before. */
    public static Future<?> part(Tx tx, UUID survivor, OffsetDateTime joined, Collection<String> back) {
        return tx.query(PART, Tuple.of(survivor, joined, array(back)));
    }

    static String[] array(Collection<String> fields) {
        return fields.stream()
                .filter(field -> !IDENTIFYING.contains(field))
                .sorted()
                .toArray(String[]::new);
    }
}
