package io.kehu.customer.segment;

import io.kehu.bus.Call;
import io.kehu.customer.filter.Condition;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of segments, and of who belongs to them. */
final class SegmentStore {
    private static final String READ = """
            SELECT s.id, s.name, s.description, s.kind, s.filter::text AS filter, t.catching_up, t.rebuilt_at, s.version, s.valid_from
            FROM customer.segment s JOIN customer.segment_state t ON t.segment_id = s.id
            """;
    private static final String ONE = READ + "WHERE s.id = $1";

    /** One at a time: which places are free is then known. */
    private static final String ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('customer.segment place', 0))";

    private static final String INSERT = """
            INSERT INTO customer.segment (id, name, description, kind, filter, reads, relative, place)
            SELECT $1, $2, $3, $4, $5::text::jsonb, $6, $7, CASE WHEN $4 = 'live' THEN
                (SELECT min(p) FROM generate_series(1, 500) p WHERE NOT EXISTS (SELECT FROM customer.segment o WHERE o.place = p)) END""";
    private static final String BEGIN = "INSERT INTO customer.segment_state (segment_id, catching_up) VALUES ($1, $2)";
    private static final String UPDATE = """
            UPDATE customer.segment SET name = $2, description = $3, filter = $4::text::jsonb, reads = $5, relative = $6 WHERE id = $1""";
    private static final String ANEW = """
            UPDATE customer.segment_state
            SET catching_up = true, born = pg_current_xact_id(), position = NULL, rows_at_once = NULL WHERE segment_id = $1""";
    private static final String DELETE = "DELETE FROM customer.segment WHERE id = $1";
    private static final String LIST = """
            INSERT INTO customer.segment_member (segment_id, customer_id, since)
            SELECT $1, c.id, kehu.now() FROM customer.customer c\s""";

    private static final String MEMBERS = """
            SELECT m.customer_id, m.since, c.branch_id, c.manager_id, c.kind, c.tier, c.lifecycle
            FROM customer.segment_member m JOIN customer.customer c ON c.id = m.customer_id
            """;
    private final Database database;

    SegmentStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll().andIf("s.kind = ?", call.text("kind"));
        if (!page.after().isEmpty()) {
            where.and("s.name > ?", page.after().get(0));
        }
        return database.query(
                call, READ + where.sql() + " ORDER BY s.name LIMIT " + where.bind(page.fetch()), where.values());
    }

    Future<Segment> find(Call call, UUID id) {
        return database.row(call, ONE, Tuple.of(id), "segment.notFound").map(Segment::from);
    }

    Future<Segment> locked(Tx tx, UUID id) {
        return tx.row(ONE + " FOR UPDATE OF s", Tuple.of(id), "segment.notFound")
                .map(Segment::from);
    }

    /** Problems: segment.nameTaken, segment.tooMany. */
    Future<Segment> insert(
            Tx tx,
            UUID id,
            String name,
            String description,
            boolean live,
            @Nullable String json,
            @Nullable Filter filter) {
        return tx.query(ALONE, Tuple.tuple())
                .compose(v -> tx.query(
                        INSERT,
                        Tuple.of(id, name, description, live ? "live" : "static", json)
                                .addArrayOfString(reads(filter))
                                .addBoolean(filter != null && filter.isRelative())))
                .compose(v -> tx.query(BEGIN, Tuple.of(id, filter != null)))
                .compose(v -> tx.row(ONE, Tuple.of(id), "segment.notFound"))
                .map(Segment::from);
    }

    /** @param changed the filter in json where it is another one; null where it stays */
    Future<Segment> update(
            Tx tx, Segment before, String name, String description, @Nullable String json, @Nullable Filter changed) {
        Filter filter = changed == null ? before.parsed() : changed;
        boolean anew = json != null && !json.equals(before.filter());
        return tx.query(
                        UPDATE,
                        Tuple.of(before.id(), name, description, json)
                                .addArrayOfString(reads(filter))
                                .addBoolean(filter != null && filter.isRelative()))
                .compose(v -> anew ? tx.query(ANEW, Tuple.of(before.id())) : Future.succeededFuture())
                .compose(v -> tx.row(ONE, Tuple.of(before.id()), "segment.notFound"))
                .map(Segment::from);
    }

    private static String[] reads(@Nullable Filter filter) {
        return filter == null ? new String[0] : filter.reads().toArray(String[]::new);
    }

    Future<?> delete(Tx tx, UUID id) {
        return tx.query(DELETE, Tuple.of(id));
    }

    /**
     * Makes these customers the members of a new segment.
     *
     * @return how many of them are in the caller's scope
     */
    Future<Integer> enlist(Tx tx, UUID segment, List<UUID> customers) {
        Where where = Where.inScopeOf(tx.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.id = ANY (?)", (Object) customers.toArray(UUID[]::new))
                .and("c.deleted_at IS NULL");
        String sql = LIST.replace("$1", where.bind(segment) + "::uuid") + where.sql();
        return tx.query(sql, where.values()).map(RowSet::rowCount);
    }

    private static Where membersOf(Call call, UUID segment) {
        return Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("m.segment_id = ?", segment)
                .and("c.deleted_at IS NULL");
    }

    Future<RowSet<Row>> members(Call call, UUID segment, Page page) {
        Where where = membersOf(call, segment);
        if (!page.after().isEmpty()) {
            where.and("m.customer_id > ?", UUID.fromString(page.after().get(0)));
        }
        return database.query(
                call,
                MEMBERS + where.sql() + " ORDER BY m.customer_id LIMIT " + where.bind(page.fetch()),
                where.values());
    }

    /** How many members the caller sees, counted no further than the bound and one. */
    Future<Integer> count(Call call, UUID segment, int bound) {
        Where where = membersOf(call, segment);
        String sql = """
                SELECT count(*) FROM (
                    SELECT FROM customer.segment_member m JOIN customer.customer c ON c.id = m.customer_id %s LIMIT %d) n""".formatted(where.sql(), bound + 1);
        return database.row(call, sql, where.values(), "server.failure")
                .map(row -> row.getLong(0).intValue());
    }

    /** One condition for one customer: whether it holds, and what he has there; null where that is not shown. */
    record Answered(boolean holds, @Nullable List<String> values) {}

    /** A member, whether the filter fits him now, and each of its conditions, in order. */
    record Explained(boolean member, boolean fits, List<Answered> conditions) {}

    /** @param shows whether values are told. Fails with {@code customer.notFound}, also out of scope. */
    Future<Explained> explain(
            Call call, UUID segment, @Nullable Filter filter, UUID customer, Moment moment, boolean shows) {
        Where where = Where.inScopeOf(call.principal(), "c.branch_id", "c.manager_id", "c.id")
                .and("c.deleted_at IS NULL");
        String his = "customer.root(" + where.bind(customer) + ")";
        where.and("c.id = " + his);
        Moment about = moment.among("ARRAY[" + his + "]");
        List<Condition> conditions = new ArrayList<>();
        StringBuilder columns = new StringBuilder(
                        "EXISTS (SELECT FROM customer.segment_member m WHERE m.customer_id = c.id")
                .append(" AND m.segment_id = ")
                .append(where.bind(segment))
                .append(")");
        if (filter != null) {
            columns.append(", ").append(filter.column(where, about));
            filter.each(conditions::add);
            conditions.forEach(condition -> columns.append(", ")
                    .append(condition.column(where, about))
                    .append(", ")
                    .append(shows ? condition.field().values(where, about) : "NULL::text[]"));
        }
        String sql = "SELECT " + columns + " FROM customer.customer c " + where.sql();
        return database.row(call, sql, where.values(), "customer.notFound").map(row -> {
            List<Answered> answers = new ArrayList<>();
            for (int i = 0; i < conditions.size(); i++) {
                String[] values = row.getArrayOfStrings(2 * i + 3);
                answers.add(new Answered(row.getBoolean(2 * i + 2), values == null ? null : List.of(values)));
            }
            boolean member = row.getBoolean(0);
            return new Explained(member, filter == null ? member : row.getBoolean(1), answers);
        });
    }
}
