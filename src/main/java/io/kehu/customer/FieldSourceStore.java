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

    /** The past keeps only what differs. */
    private static final String LAST_WORD =
            " ON CONFLICT (customer_id, field) DO UPDATE SET source = EXCLUDED.source WHERE f.source <> EXCLUDED.source";

    /** Part of a statement that writes one record: the fields at one place, their source at another. */
    static String saying(String customer, int fields, int source) {
        return """
                said AS (
                    INSERT INTO customer.field_source AS f (id, customer_id, field, source)
                    SELECT uuidv7(), %s, w.field, $%d::text FROM unnest($%d::text[]) AS w(field)%s)""".formatted(customer, source, fields, LAST_WORD);
    }

    private static final String SAID = """
            SELECT b.value, f.field, f.source FROM customer.blind b
            JOIN customer.customer c ON c.seq = b.seq JOIN customer.field_source f ON f.customer_id = c.id
            WHERE b.kind = 'external' AND b.value = ANY ($1)""";
    private static final String SAY = """
            INSERT INTO customer.field_source AS f (id, customer_id, field, source)
            SELECT uuidv7(), w.id, w.field, $3
            FROM (SELECT DISTINCT c.id, w.field FROM unnest($1::bytea[], $2::text[]) AS w(value, field)
                  JOIN customer.blind b ON b.kind = 'external' AND b.value = w.value
                  JOIN customer.customer c ON c.seq = b.seq) w
            ORDER BY w.id, w.field""" + LAST_WORD;
    /** What is chosen by hand is said by hand; what is lent by a rule brings its source along. */
    private static final String JOIN = """
            INSERT INTO customer.field_source AS f (id, customer_id, field, source)
            SELECT uuidv7(), $1, w.field, w.source
            FROM (SELECT c.field, '%s' AS source FROM unnest($4::text[]) AS c(field)
                  UNION ALL
                  SELECT d.field, d.source FROM customer.field_source d
                  WHERE d.customer_id = $2 AND d.field = ANY ($3) AND d.field <> ALL ($4)) w""".formatted(STAFF) + LAST_WORD;
    /** Of fields that become again what they were at an instant. */
    private static final String PART = """
            WITH due AS (
                SELECT f.id, f.field, f.source FROM customer.field_source f
                WHERE f.customer_id = $1 AND f.field = ANY ($3)),
            former AS (
                SELECT p.field, p.source FROM customer.field_source_all p
                WHERE p.id IN (SELECT d.id FROM due d) AND p.valid_from <= $2 AND p.valid_to > $2),
            gone AS (
                DELETE FROM customer.field_source f USING due d
                WHERE f.id = d.id AND d.field NOT IN (SELECT o.field FROM former o))
            UPDATE customer.field_source f SET source = o.source FROM due d JOIN former o ON o.field = d.field
            WHERE f.id = d.id AND f.source <> o.source""";

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
