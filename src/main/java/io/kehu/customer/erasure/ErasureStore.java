package io.kehu.customer.erasure;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of deletions and erasures. */
final class ErasureStore {
    private static final String DELETION = """
            d.id, d.customer_id, d.reason, d.state, d.asked_by, d.asked_at, d.approval_id, d.due_at, d.ended_at, d.version,
            CASE WHEN d.state = 'waiting' THEN ARRAY(SELECT customer.deletion_blocked(d.customer_id)) ELSE '{}' END AS blocked_by""";
    /** Whether he is deleted or not: who was in reach stays in reach for this. */
    private static final String FIND = "SELECT " + DELETION + """
            , c.branch_id, c.manager_id
            FROM customer.deletion d JOIN customer.customer c ON c.id = d.customer_id
            """;

    private static final String NUMBERED =
            "SELECT seq, ARRAY(SELECT customer.deletion_blocked(id)) AS blocked_by FROM customer.customer WHERE id = $1";
    private static final String INSERT = """
            INSERT INTO customer.deletion AS d (id, customer_id, reason, asked_by, asked_at, approval_id, due_at)
            VALUES ($1, $2, $3, $4, kehu.now(), $5, kehu.now() + make_interval(days => $6)) RETURNING\s""" + DELETION;
    private static final String HIDE =
            "UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = $1 AND deleted_at IS NULL RETURNING version";
    private static final String SHOW = "UPDATE customer.customer SET deleted_at = NULL WHERE id = $1 RETURNING version";
    /** Guarded: whoever comes after the grace, or after the erasure, finds nothing to take back. */
    private static final String CANCEL = """
            UPDATE customer.deletion d SET state = 'cancelled', ended_at = kehu.now()
            WHERE d.id = $1 AND d.state = 'waiting' AND d.due_at > kehu.now() RETURNING\s""" + DELETION;

    private static final String DUE = """
            SELECT d.id FROM customer.deletion d
            WHERE d.state = 'waiting' AND d.due_at <= kehu.now() AND NOT EXISTS (SELECT FROM customer.deletion_blocked(d.customer_id))
            ORDER BY d.due_at LIMIT 20""";
    /** No row where another node is at it. */
    private static final String TAKE = """
            SELECT d.id, d.customer_id, d.reason, d.asked_at, d.approval_id, c.branch_id, c.manager_id, c.version,
                   ARRAY(SELECT s FROM customer.sides(d.customer_id) s ORDER BY s) AS sides,
                   ARRAY(SELECT DISTINCT k.epoch FROM kehu.data_key k WHERE k.subject_id IN (SELECT customer.sides(d.customer_id))
                         ORDER BY k.epoch) AS epochs
            FROM customer.deletion d JOIN customer.customer c ON c.id = d.customer_id
            WHERE d.id = $1 AND d.state = 'waiting' AND d.due_at <= kehu.now() FOR UPDATE OF d SKIP LOCKED""";

    private static final String ERASE = "SELECT customer.erase($1, $2::text::jsonb, $2)";
    private static final String REPLAY = "SELECT customer.replay_erasure($1::text::jsonb, $1)";
    /** Of these, whom this database does not know to be erased, or has a key of all the same. */
    private static final String FORGOTTEN = """
            SELECT DISTINCT p.id FROM unnest($1::uuid[], $2::uuid[]) p(id, customer)
            WHERE NOT EXISTS (SELECT FROM customer.erasure e WHERE e.id = p.id)
               OR EXISTS (SELECT FROM kehu.data_key k WHERE k.subject_id = p.customer)""";

    private static final String MISSING = "SELECT line FROM customer.erasure WHERE id <> ALL ($1)";

    private static final String CERTIFICATE = """
            SELECT e.line, e.replayed_at, e.final_at <= kehu.now() AS final,
                   ARRAY(SELECT n.number FROM unnest(e.epochs) n(number) JOIN kehu.key_epoch k ON k.number = n.number
                         WHERE k.retired_at IS NOT NULL) AS retired
            FROM customer.erasure e LEFT JOIN customer.customer c ON c.id = e.customer_id
            """;

    private final Database database;

    ErasureStore(Database database) {
        this.database = database;
    }

    // ---- asked and taken back

    /** The customer, locked: its number, and what keeps it. Fails with {@code customer.notFound}. */
    Future<Row> numbered(Tx tx, UUID customer) {
        return tx.row(NUMBERED, Tuple.of(customer), "customer.notFound");
    }

    Future<Deletion> insert(Tx tx, UUID id, UUID customer, String reason, @Nullable UUID approval, int graceDays) {
        return tx.row(
                        INSERT,
                        Tuple.of(id, customer, reason, tx.principal().subject(), approval, graceDays),
                        "server.failure")
                .map(Deletion::from);
    }

    /** @return the customer's version after it */
    Future<Long> hide(Tx tx, UUID customer) {
        return tx.row(HIDE, Tuple.of(customer), "customer.notFound").map(row -> row.getLong("version"));
    }

    Future<Long> show(Tx tx, UUID customer) {
        return tx.row(SHOW, Tuple.of(customer), "customer.notFound").map(row -> row.getLong("version"));
    }

    /** Fails with {@code deletion.graceOver}. */
    Future<Deletion> cancel(Tx tx, UUID id) {
        return tx.row(CANCEL, Tuple.of(id), "deletion.graceOver").map(Deletion::from);
    }

    /** The last one, as {@link Deletion#from} reads it, with the place of the customer. Fails with {@code deletion.notFound}. */
    Future<Row> find(Call call) {
        Where where = within(call);
        return database.row(call, last(where), where.values(), "deletion.notFound");
    }

    Future<Row> find(Tx tx) {
        Where where = within(tx.call());
        return tx.row(last(where), where.values(), "deletion.notFound");
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = scope(call.principal()).andIf("d.state = ?", call.text("state"));
        if (!page.after().isEmpty()) {
            where.and(
                    "(d.asked_at, d.id) < (?, ?)",
                    OffsetDateTime.parse(page.after().get(0)),
                    UUID.fromString(page.after().get(1)));
        }
        String sql = FIND + where.sql() + " ORDER BY d.asked_at DESC, d.id DESC LIMIT " + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    private static String last(Where where) {
        return FIND + where.sql() + " ORDER BY d.asked_at DESC LIMIT 1";
    }

    private static Where within(Call call) {
        return scope(call.principal()).and("d.customer_id = customer.root(?)", call.id("customerId"));
    }

    private static Where scope(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id");
    }

    // ---- erasing

    Future<List<UUID>> due() {
        return database.query(Call.Lane.JOB, DUE, Tuple.tuple()).map(rows -> {
            List<UUID> ids = new ArrayList<>();
            rows.forEach(row -> ids.add(row.getUUID("id")));
            return ids;
        });
    }

    /** Fails with {@code request.stale} where there is nothing to erase any more, or another node is at it. */
    Future<Row> take(Tx tx, UUID deletion) {
        return tx.row(TAKE, Tuple.of(deletion), "request.stale");
    }

    Future<Void> erase(Tx tx, Erasure erasure) {
        return tx.query(ERASE, Tuple.of(erasure.id(), erasure.line())).mapEmpty();
    }

    Future<Void> replay(Tx tx, Erasure erasure) {
        return tx.query(REPLAY, Tuple.of(erasure.line())).mapEmpty();
    }

    /** Which of these have to be replayed. */
    Future<List<UUID>> forgotten(List<Erasure> erasures) {
        List<UUID> ids = new ArrayList<>();
        List<UUID> customers = new ArrayList<>();
        erasures.forEach(erasure -> erasure.customerIds().forEach(customer -> {
            ids.add(erasure.id());
            customers.add(customer);
        }));
        Tuple values =
                Tuple.tuple().addArrayOfUUID(ids.toArray(UUID[]::new)).addArrayOfUUID(customers.toArray(UUID[]::new));
        return database.query(Call.Lane.JOB, FORGOTTEN, values).map(rows -> {
            List<UUID> found = new ArrayList<>();
            rows.forEach(row -> found.add(row.getUUID("id")));
            return found;
        });
    }

    /** Entries that stand here and not among these. */
    Future<List<Erasure>> missing(List<Erasure> noted) {
        UUID[] ids = noted.stream().map(Erasure::id).toArray(UUID[]::new);
        return database.query(Call.Lane.JOB, MISSING, Tuple.tuple().addArrayOfUUID(ids))
                .map(rows -> {
                    List<Erasure> found = new ArrayList<>();
                    rows.forEach(row -> found.add(Erasure.read(row.getString("line"))));
                    return found;
                });
    }

    static List<UUID> sides(Row row) {
        return Arrays.asList(row.getArrayOfUUIDs("sides"));
    }

    static List<Integer> epochs(Row row) {
        return Arrays.asList(row.getArrayOfIntegers("epochs"));
    }

    /** Fails with {@code erasure.notFound}, also out of scope. */
    Future<Row> certificate(Call call) {
        Where where = scope(call.principal()).and("e.id = ?", call.id("erasureId"));
        return database.row(call, CERTIFICATE + where.sql(), where.values(), "erasure.notFound");
    }
}
