package io.kehu.customer.segment;

import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** SQL of keeping live segments in step with their customers. */
@SuppressWarnings("InlineFormatString") // a statement reads better in one piece
final class SegmentFollowStore {
    /** In place of the customer where it concerns so many that they are not named. */
    static final UUID EVERYBODY = new UUID(0, 0);

    /** Before and behind the ids of all customers. */
    private static final UUID FIRST = new UUID(0, 0);

    private static final UUID LAST = new UUID(-1, -1);
    /** Customers that a rebuild asks at a time, at least. */
    private static final int FEWEST = 10;

    /** No write is under way any more that began before the segment was there, and so noted nothing. */
    private static final String RIPE = "t.born < pg_snapshot_xmin(pg_current_snapshot())";

    /** What there is to do: changes that wait (counted to a bound), segments to be rebuilt, members of none. */
    private static final String LOOK = """
            SELECT (SELECT count(*) FROM (SELECT FROM customer.segment_due LIMIT $1) d) AS waiting,
                EXISTS (SELECT FROM customer.segment_state t WHERE t.catching_up AND %s) AS behind""".formatted(RIPE);

    private static final String ALONE =
            "SELECT pg_try_advisory_xact_lock(hashtextextended('customer.segment follow', 0)) AS alone";
    private static final String TAKE = """
            DELETE FROM customer.segment_due WHERE id = ANY (ARRAY(SELECT id FROM customer.segment_due ORDER BY id LIMIT $1))
            RETURNING customer_id, changed""";
    /** Those on their way through everybody too: whoever changes behind them is not asked again otherwise. */
    private static final String LIVE = """
            SELECT s.id, s.version, s.filter::text AS filter, s.reads, t.looked_at
            FROM customer.segment s JOIN customer.segment_state t ON t.segment_id = s.id
            WHERE s.place IS NOT NULL AND (NOT t.catching_up OR t.position IS NOT NULL) ORDER BY s.id""";

    private static final String BEHIND = """
            SELECT s.id, s.version, s.filter::text AS filter, s.reads, t.looked_at, t.born::text AS born, t.position, t.rows_at_once
            FROM customer.segment s JOIN customer.segment_state t ON t.segment_id = s.id
            WHERE t.catching_up AND s.id = $1""";
    private static final String NEXT = """
            UPDATE customer.segment_state SET tried_at = clock_timestamp() WHERE segment_id = (
                SELECT t.segment_id FROM customer.segment_state t WHERE t.catching_up AND %s
                ORDER BY t.tried_at, t.segment_id LIMIT 1) RETURNING segment_id""".formatted(RIPE);
    private static final String BEHIND_IN = """
            UPDATE customer.segment_state t SET catching_up = true, position = NULL FROM customer.segment s
            WHERE s.id = t.segment_id AND s.place IS NOT NULL AND s.reads && $1""";
    private static final String RELATIVE = """
            SELECT s.id, s.version, s.filter::text AS filter, s.reads, t.looked_at
            FROM customer.segment s JOIN customer.segment_state t ON t.segment_id = s.id
            WHERE s.place IS NOT NULL AND s.relative AND NOT t.catching_up ORDER BY s.id""";
    private static final String FORGET_ALL = "DELETE FROM customer.segment_due";
    private static final String ALL_BEHIND = """
            UPDATE customer.segment_state t SET catching_up = true, position = NULL FROM customer.segment s
            WHERE s.id = t.segment_id AND s.place IS NOT NULL""";
    /**
     * Where it is now, null at the end. Time is accounted for up to when the first were asked. Whoever changes the filter waits for
     * no rebuild: it is then another birth, and to be done again.
     */
    private static final String AT = """
            UPDATE customer.segment_state SET catching_up = $4::uuid IS NOT NULL, position = $4,
                looked_at = CASE WHEN position IS NULL THEN $2 ELSE looked_at END,
                rebuilt_at = CASE WHEN $4::uuid IS NULL THEN $2 ELSE rebuilt_at END
            WHERE segment_id = $1 AND born = $3::text::xid8""";

    /** The last of the next $2 customers; no row where there are not so many. */
    private static final String UNTIL =
            "SELECT id FROM customer.customer WHERE id > $1 ORDER BY id OFFSET $2 - 1 LIMIT 1";

    private static final String SLOWER = """
            UPDATE customer.segment_state SET rows_at_once = greatest($3, least($2, rows_at_once / 2))
            WHERE segment_id = $1 AND catching_up RETURNING rows_at_once""";

    /** From one segment to the next by the index: there are millions of rows and at most some hundreds of segments. */
    private static final String SWEEP = """
            WITH RECURSIVE has AS (
                (SELECT m.segment_id FROM customer.segment_member m ORDER BY m.segment_id LIMIT 1)
                UNION ALL
                SELECT n.segment_id FROM has CROSS JOIN LATERAL (
                    SELECT m.segment_id FROM customer.segment_member m WHERE m.segment_id > has.segment_id
                    ORDER BY m.segment_id LIMIT 1) n)
            DELETE FROM customer.segment_member WHERE ctid = ANY (ARRAY(
                SELECT m.ctid FROM customer.segment_member m WHERE m.segment_id = (
                    SELECT h.segment_id FROM has h
                    WHERE NOT EXISTS (SELECT FROM customer.segment s WHERE s.id = h.segment_id) LIMIT 1) LIMIT $1))""";

    /**
     * Some segments about some customers: who comes and who goes. $1 the customers, $2 the segments, whose filters follow. The
     * customers are read once for all of them, and what a statement costs by itself is shared. Who belongs already is read before,
     * so that those who stay, often nearly all, are tried no second time.
     */
    private static final String APPLY = """
            WITH asked AS MATERIALIZED (SELECT * FROM customer.customer WHERE id = ANY ($1) AND deleted_at IS NULL),
            fits AS MATERIALIZED (%s),
            has AS MATERIALIZED (
                SELECT m.ctid AS place, m.segment_id, m.customer_id FROM customer.segment_member m
                WHERE m.segment_id = ANY ($2) AND m.customer_id = ANY ($1)),
            gone AS (
                DELETE FROM customer.segment_member WHERE ctid = ANY (ARRAY(
                    SELECT h.place FROM has h
                    WHERE NOT EXISTS (SELECT FROM fits f WHERE f.id = h.customer_id AND f.segment_id = h.segment_id)))
                RETURNING segment_id, customer_id),
            come AS (
                INSERT INTO customer.segment_member (segment_id, customer_id, since)
                SELECT f.segment_id, f.id, (SELECT kehu.now()) FROM fits f
                WHERE NOT EXISTS (SELECT FROM has h WHERE h.customer_id = f.id AND h.segment_id = f.segment_id)
                ON CONFLICT DO NOTHING RETURNING segment_id, customer_id)
            SELECT true AS entered, m.segment_id, c.id, c.branch_id, c.manager_id FROM come m JOIN asked c ON c.id = m.customer_id
            UNION ALL
            SELECT false, m.segment_id, c.id, c.branch_id, c.manager_id
            FROM gone m JOIN customer.customer c ON c.id = m.customer_id""";

    private static final String FITS = "SELECT ($2::uuid[])[%d] AS segment_id, c.id FROM asked c WHERE %s";
    /** One segment about all between two ids. $1 the segment, $2 the id before the first, $3 the last. */
    private static final String REBUILD = """
            WITH fits AS MATERIALIZED (SELECT c.id FROM customer.customer c %s),
            gone AS (
                DELETE FROM customer.segment_member m WHERE m.segment_id = $1 AND m.customer_id > $2 AND m.customer_id <= $3
                    AND NOT EXISTS (SELECT FROM fits f WHERE f.id = m.customer_id))
            INSERT INTO customer.segment_member (segment_id, customer_id, since)
            SELECT $1, f.id, (SELECT kehu.now()) FROM fits f ON CONFLICT DO NOTHING""";
    /** Where nobody has crossed a bound nothing is written, and the next look begins where this one did. */
    private static final String CROSSED = """
            WITH noted AS (
                INSERT INTO customer.segment_due (customer_id, changed)
                SELECT c.id, $1::text[] FROM customer.customer c %s RETURNING 1)
            UPDATE customer.segment_state SET looked_at = $2 WHERE segment_id = $3 AND EXISTS (SELECT FROM noted)""";

    private final Database database;
    /** Parsed filters by segment, of the version they were parsed at; no more than there are places. */
    private final Map<UUID, Followed> known = new ConcurrentHashMap<>();

    SegmentFollowStore(Database database) {
        this.database = database;
    }

    /** A segment with its filter. */
    record Followed(UUID id, long version, Filter filter, Set<String> reads) {}

    /**
     * A segment to be asked about everybody.
     *
     * @param born the transaction that said so
     * @param after the last customer who was asked
     * @param rows to be asked at a time; null for all
     */
    record Behind(
            Followed segment,
            String born,
            UUID after,
            @Nullable Integer rows) {}

    /** What there is to do. */
    record Look(long waiting, boolean behind) {}

    /** Who came or went. */
    record Move(
            Followed segment,
            boolean entered,
            UUID customer,
            UUID branch,
            @Nullable UUID manager) {}

    Future<Look> look(int bound) {
        return database.query(Call.Lane.JOB, LOOK, Tuple.of(bound + 1)).map(rows -> {
            Row row = rows.iterator().next();
            return new Look(row.getLong("waiting"), row.getBoolean("behind"));
        });
    }

    /** Whether this transaction is the only one that follows; another node's may be under way. */
    Future<Boolean> alone(Tx tx) {
        return tx.row(ALONE, Tuple.tuple(), "server.failure").map(row -> row.getBoolean("alone"));
    }

    /**
     * Takes changes that wait, of one customer together.
     *
     * @return changed columns by customer, who may be {@link #EVERYBODY}; an empty set stands for all
     */
    Future<Map<UUID, Set<String>>> take(Tx tx, int batch) {
        return tx.query(TAKE, Tuple.of(batch)).map(rows -> {
            Map<UUID, Set<String>> changed = new LinkedHashMap<>();
            Set<UUID> whole = new HashSet<>();
            for (Row row : rows) {
                UUID customer = Objects.requireNonNullElse(row.getUUID("customer_id"), EVERYBODY);
                String[] columns = row.getArrayOfStrings("changed");
                Set<String> all = changed.computeIfAbsent(customer, id -> new HashSet<>());
                if (columns == null) {
                    whole.add(customer);
                } else {
                    all.addAll(List.of(columns));
                }
            }
            whole.forEach(customer -> changed.put(customer, Set.of()));
            return changed;
        });
    }

    Future<List<Followed>> live(Tx tx) {
        return tx.query(LIVE, Tuple.tuple()).map(rows -> {
            List<Followed> segments = new ArrayList<>();
            Set<UUID> there = new HashSet<>();
            for (Row row : rows) {
                segments.add(followed(row));
                there.add(row.getUUID("id"));
            }
            known.keySet().retainAll(there);
            return segments;
        });
    }

    private Followed followed(Row row) {
        UUID id = row.getUUID("id");
        Followed before = known.get(id);
        if (before != null && before.version == row.getLong("version")) {
            return before;
        }
        Followed now = new Followed(
                id,
                row.getLong("version"),
                Filter.parse(Json.read(row.getString("filter")), "/filter"),
                Set.of(row.getArrayOfStrings("reads")));
        known.put(id, now);
        return now;
    }

    /** Asks all of these segments about all of these customers, whichever of them each may concern: the answer is the same. */
    Future<List<Move>> apply(Tx tx, List<Followed> segments, Collection<UUID> customers, Moment moment) {
        Where where = Where.ofAll();
        Moment theirs = moment.among(where.bind(customers.toArray(UUID[]::new)) + "::uuid[]");
        where.bind(segments.stream().map(Followed::id).toArray(UUID[]::new));
        List<String> fits = new ArrayList<>();
        Map<UUID, Followed> byId = new HashMap<>();
        for (Followed segment : segments) {
            byId.put(segment.id, segment);
            fits.add(String.format(FITS, fits.size() + 1, segment.filter.column(where, theirs)));
        }
        return tx.query(String.format(APPLY, String.join(" UNION ALL ", fits)), where.values())
                .map(rows -> {
                    List<Move> moves = new ArrayList<>();
                    for (Row row : rows) {
                        moves.add(new Move(
                                Objects.requireNonNull(byId.get(row.getUUID("segment_id"))),
                                row.getBoolean("entered"),
                                row.getUUID("id"),
                                row.getUUID("branch_id"),
                                row.getUUID("manager_id")));
                    }
                    return moves;
                });
    }

    /** The segment that is behind and was not tried for the longest time; null where none is. */
    Future<@Nullable UUID> next() {
        return database.query(Call.Lane.JOB, NEXT, Tuple.tuple())
                .map(rows -> rows.size() == 0 ? null : rows.iterator().next().getUUID("segment_id"));
    }

    /** Segments that read one of these are to be asked about everybody. */
    Future<?> behind(Tx tx, Set<String> columns) {
        return tx.query(BEHIND_IN, Tuple.of((Object) columns.toArray(String[]::new)));
    }

    /** This segment, and which of its filters it is behind with; null where it is not behind any more. */
    Future<@Nullable Behind> behind(Tx tx, @Nullable UUID id) {
        return tx.query(BEHIND, Tuple.of(id)).map(rows -> {
            Row row = rows.size() == 0 ? null : rows.iterator().next();
            return row == null
                    ? null
                    : new Behind(
                            followed(row),
                            row.getString("born"),
                            Objects.requireNonNullElse(row.getUUID("position"), FIRST),
                            row.getInteger("rows_at_once"));
        });
    }

    /** Asks a segment about the next customers; whether these were the last. */
    Future<Boolean> rebuild(Tx tx, Behind behind, Moment moment) {
        return until(tx, behind).compose(until -> {
            Where where = Where.ofAll();
            where.bind(behind.segment.id);
            String after = where.bind(behind.after);
            String last = where.bind(until);
            where.and("c.deleted_at IS NULL");
            Moment theirs = moment;
            if (behind.rows != null) {
                where.and("c.id > " + after).and("c.id <= " + last);
                theirs = moment.among("ARRAY(SELECT o.id FROM customer.customer o WHERE o.id > " + after
                        + " AND o.id <= " + last + ")");
            }
            behind.segment.filter.into(where, theirs);
            boolean isEnd = until.equals(LAST);
            return tx.query(String.format(REBUILD, where.sql()), where.values())
                    .compose(v ->
                            tx.query(AT, Tuple.of(behind.segment.id, moment.now(), behind.born, isEnd ? null : until)))
                    .map(rows -> isEnd && rows.rowCount() == 1);
        });
    }

    private static Future<UUID> until(Tx tx, Behind behind) {
        return behind.rows == null
                ? Future.succeededFuture(LAST)
                : tx.query(UNTIL, Tuple.of(behind.after, behind.rows))
                        .map(rows ->
                                rows.size() == 0 ? LAST : rows.iterator().next().getUUID("id"));
    }

    /**
     * A rebuild took longer than a statement may: from now on fewer at a time.
     *
     * @param rows to begin with, halved each time
     * @return how many; null where it is not behind any more
     */
    Future<@Nullable Integer> slower(UUID segment, int rows) {
        return database.query(Call.Lane.JOB, SLOWER, Tuple.of(segment, rows, FEWEST))
                .map(done -> done.size() == 0 ? null : done.iterator().next().getInteger("rows_at_once"));
    }

    /** So much has changed that every live segment is asked about everybody. */
    Future<?> allBehind(Tx tx) {
        return tx.query(ALL_BEHIND, Tuple.tuple()).compose(v -> tx.query(FORGET_ALL, Tuple.tuple()));
    }

    /** Live segments that time may change, and up to when it has been accounted for. */
    Future<Map<Followed, OffsetDateTime>> relative() {
        return database.query(Call.Lane.JOB, RELATIVE, Tuple.tuple()).map(rows -> {
            Map<Followed, OffsetDateTime> segments = new LinkedHashMap<>();
            rows.forEach(row -> segments.put(followed(row), row.getOffsetDateTime("looked_at")));
            return segments;
        });
    }

    /** Notes all for whom a bound has moved past what they have. By itself: done twice it is the same. */
    Future<?> crossed(Followed segment, Moment before, Moment now) {
        List<String> ways = new ArrayList<>();
        List<Object> values = new ArrayList<>();
        Set<String> columns = new TreeSet<>();
        segment.filter.each(condition -> {
            String crossed = condition.crossed(before, now, values);
            if (crossed != null) {
                ways.add(crossed);
                columns.add(condition.field().reads());
            }
        });
        if (ways.isEmpty()) {
            return Future.succeededFuture();
        }
        Where where = Where.ofAll();
        where.bind(columns.toArray(String[]::new));
        where.bind(now.now());
        where.bind(segment.id);
        where.and("(" + String.join(" OR ", ways) + ")", values.toArray()).and("c.deleted_at IS NULL");
        return database.query(Call.Lane.JOB, String.format(CROSSED, where.sql()), where.values());
    }

    /** Members of a segment that is gone, a bounded number of them. */
    Future<Integer> sweep(int bound) {
        return database.query(Call.Lane.JOB, SWEEP, Tuple.of(bound)).map(RowSet::rowCount);
    }
}
