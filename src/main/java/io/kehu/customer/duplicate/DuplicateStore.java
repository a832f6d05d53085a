package io.kehu.customer.duplicate;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.SealedTextStore;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of pairs. Nobody reads a pair of which one customer is out of his scope: the other would tell of him. */
final class DuplicateStore {

    private static final String READ = """
            SELECT d.id, d.a_id, d.b_id, d.score, d.level, d.reasons::text AS reasons, d.state, d.found_at, d.decided_by,
                d.decided_at, d.why, d.version, d.valid_from, k.epoch, k.wrapped
            FROM customer.duplicate d
            JOIN customer.customer a ON a.id = d.a_id
            JOIN customer.customer b ON b.id = d.b_id
            LEFT JOIN kehu.data_key k ON k.subject_id = d.a_id
            """;
    /** A confirmed pair is of one that is there and one that was merged into it. */
    private static final String LIVE = "(d.state = 'confirmed' OR (a.deleted_at IS NULL AND b.deleted_at IS NULL))";

    private static final String DISMISS = """
            UPDATE customer.duplicate SET state = 'dismissed', decided_by = $2, decided_at = kehu.now(), why = $3 WHERE id = $1""";

    private static final String CUSTOMERS = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.id = ANY ($1)""";

    private final Database database;
    private final SealedTextStore texts;
    private final CustomerStore customers;

    DuplicateStore(Kernel kernel) {
        this.database = kernel.database();
        this.texts = new SealedTextStore(kernel.vault(), "customer.duplicate");
        this.customers = new CustomerStore(database, CustomerSeals.of(kernel));
    }

    /** Both in scope: the same conditions, with the same bound values, for the one and the other. */
    private static String within(Where one) {
        String sql = one.sql();
        return sql.isEmpty()
                ? "WHERE true"
                : sql + " AND " + sql.substring("WHERE ".length()).replace("a.", "b.");
    }

    private static Where scope(Principal who) {
        return Where.inScopeOf(who, "a.branch_id", "a.manager_id", "a.id");
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = scope(call.principal());
        StringBuilder sql =
                new StringBuilder(READ).append(within(where)).append(" AND ").append(LIVE);
        String state = call.text("state");
        sql.append(" AND d.state = ").append(where.bind(state == null ? "open" : state));
        String level = call.text("level");
        if (level != null) {
            sql.append(" AND d.level = ").append(where.bind(level));
        }
        String customer = call.text("customerId");
        if (customer != null) {
            String id = where.bind(UUID.fromString(customer));
            // As a list of ids: the planner would else walk through the pairs of everybody, in the order of the list.
            sql.append(" AND d.id = ANY (ARRAY(SELECT o.id FROM customer.duplicate o WHERE o.a_id = ")
                    .append(id)
                    .append(" UNION ALL SELECT o.id FROM customer.duplicate o WHERE o.b_id = ")
                    .append(id)
                    .append("))");
        }
        if (!page.after().isEmpty()) {
            String score = where.bind(new BigDecimal(page.after().get(0)));
            sql.append(" AND d.score <= ")
                    .append(score)
                    .append(" AND (d.score < ")
                    .append(score)
                    .append(" OR d.id > ")
                    .append(where.bind(UUID.fromString(page.after().get(1))))
                    .append(')');
        }
        sql.append(" ORDER BY d.score DESC, d.id LIMIT ").append(where.bind(page.fetch()));
        return database.query(call, sql.toString(), where.values());
    }

    /** Fails with {@code duplicate.notFound}. */
    Future<Row> find(Call call, UUID id) {
        Where where = scope(call.principal());
        String sql = READ + within(where) + " AND " + LIVE + " AND d.id = " + where.bind(id);
        return database.row(call, sql, where.values(), "duplicate.notFound");
    }

    Future<Row> locked(Tx tx, UUID id) {
        Where where = scope(tx.principal());
        String sql = READ + within(where) + " AND " + LIVE + " AND d.id = " + where.bind(id) + " FOR UPDATE OF d";
        return tx.row(sql, where.values(), "duplicate.notFound");
    }

    /** @param row as {@link #locked} read it */
    Future<Row> dismiss(Tx tx, Row row, String why) {
        UUID id = row.getUUID("id");
        Buffer sealed = texts.seal(texts.key(row.getUUID("a_id"), row), why);
        return tx.query(DISMISS, Tuple.of(id, tx.principal().subject(), sealed))
                .compose(v -> tx.row(READ + "WHERE d.id = $1", Tuple.of(id), "duplicate.notFound"));
    }

    /** Null where nothing was said, and where the key is gone. */
    @Nullable
    String why(Row row) {
        return texts.open(row.getUUID("a_id"), row, "why");
    }

    /** Those of some pairs; whether the caller may see them the pairs' query has asked. */
    Future<Map<UUID, Customer>> customers(Call call, Iterable<Row> pairs) {
        return database.query(call, CUSTOMERS, ids(pairs)).map(this::opened);
    }

    Future<Map<UUID, Customer>> customers(Tx tx, Iterable<Row> pairs) {
        return tx.query(CUSTOMERS, ids(pairs)).map(this::opened);
    }

    private Map<UUID, Customer> opened(RowSet<Row> rows) {
        Map<UUID, Customer> found = new HashMap<>();
        rows.forEach(row -> found.put(row.getUUID("id"), customers.opened(row)));
        return found;
    }

    private static Tuple ids(Iterable<Row> pairs) {
        Set<UUID> ids = new LinkedHashSet<>();
        pairs.forEach(pair -> {
            ids.add(pair.getUUID("a_id"));
            ids.add(pair.getUUID("b_id"));
        });
        return Tuple.tuple().addArrayOfUUID(ids.toArray(UUID[]::new));
    }
}
