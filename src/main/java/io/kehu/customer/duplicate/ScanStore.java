package io.kehu.customer.duplicate;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.Collection;
import java.util.List;
import java.util.UUID;

/** SQL of scans: keys of customers, who shares them, and what is kept of it. */
final class ScanStore {
    static final String KIND = "customer.duplicates";

    /** How much more evidence brings a dismissed pair back. */
    private static final BigDecimal MORE = new BigDecimal("3");

    /** By itself, so that what follows sees what another transaction did with it. */
    private static final String HOLD = "SELECT wanted_last FROM customer.scan_state FOR UPDATE";

    private static final String BEGIN = """
            UPDATE customer.scan_state s SET scan_id = $1, number = number + 1, wanted_first = NULL, wanted_last = NULL
            WHERE NOT EXISTS (SELECT FROM kehu.job j WHERE j.id = s.scan_id AND j.state IN ('waiting', 'running'))""";
    private static final String WANT =
            "UPDATE customer.scan_state SET wanted_first = coalesce(wanted_first, kehu.now()), wanted_last = kehu.now()";
    /**
     * Where nobody has scanned yet, or the keys are lost, all customers have their turn: of a great bank
     * somebody asks for that. What the planner believes there are saves counting them at each look.
     */
    private static final String DUE = """
            SELECT (s.wanted_last <= kehu.now() - $2::int * interval '1 millisecond'
                    OR s.wanted_first <= kehu.now() - 20 * $2::int * interval '1 millisecond')
                AND NOT EXISTS (SELECT FROM kehu.job j WHERE j.id = s.scan_id AND j.state IN ('waiting', 'running'))
                AND ((s.seen IS NOT NULL AND s.mark = (SELECT b.keys[1] FROM customer.block b WHERE b.seq = 0))
                     OR ((SELECT p.reltuples <= 2 * $1::int FROM pg_class p WHERE p.oid = 'customer.customer'::regclass)
                         AND (SELECT count(*) FROM (SELECT 1 FROM customer.customer LIMIT $1::int + 1) few) <= $1)) AS due
            FROM customer.scan_state s""";

    private static final String FIND = """
            SELECT id, state, rows_read, rows_accepted, units_done, units_total, cancel_asked, error_code, created_at,
                started_at, ended_at, coalesce((position ->> 'compared')::bigint, 0) AS compared,
                coalesce((position ->> 'full')::boolean, (params ->> 'full')::boolean, false) AS whole
            FROM kehu.job WHERE id = $1 AND owner_id = $2 AND kind = 'customer.duplicates'""";

    private static final String STATE = """
            SELECT s.number, s.seen, kehu.now() AS now, (SELECT count(*) FROM customer.customer WHERE deleted_at IS NULL) AS customers,
                s.mark IS NOT NULL AND s.mark = (SELECT b.keys[1] FROM customer.block b WHERE b.seq = 0) AS whole
            FROM customer.scan_state s""";
    private static final String WHOLE = "SELECT keys[1] AS mark FROM customer.block WHERE seq = 0";
    private static final String MARK = """
            INSERT INTO customer.block (seq, scan, keys) VALUES (0, 0, ARRAY[$1::bigint])
            ON CONFLICT (seq) DO UPDATE SET keys = EXCLUDED.keys""";
    private static final String FINISH = """
            UPDATE customer.scan_state SET seen = $2, mark = (SELECT b.keys[1] FROM customer.block b WHERE b.seq = 0)
            WHERE scan_id = $1""";

    private static final String FROM = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped
            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            """;
    private static final String ALL = FROM + "WHERE c.seq > $1 AND c.deleted_at IS NULL ORDER BY c.seq LIMIT $2";
    /** A change becomes visible a moment after its instant, so they look back that far. Deleted ones too. */
    private static final String CHANGED =
            FROM + "WHERE (c.valid_from, c.seq) > ($1, $2) ORDER BY c.valid_from, c.seq LIMIT $3";

    private static final String OF_SEQS = FROM + "WHERE c.seq = ANY ($1) AND c.deleted_at IS NULL";

    private static final String KEEP = """
            INSERT INTO customer.block AS b (seq, scan, keys)
            SELECT g.seq, $1, g.keys::bigint[] FROM unnest($2::bigint[], $3::text[]) AS g(seq, keys)
            ON CONFLICT (seq) DO UPDATE SET scan = EXCLUDED.scan, keys = EXCLUDED.keys""";
    private static final String FORGET = "DELETE FROM customer.block WHERE seq = ANY ($1)";
    private static final String FRESH = "SELECT count(*) FROM customer.block WHERE scan = $1";

    /** Whoever shares a key of one part of the keys; who was not computed in this scan is negative. */
    private static final String SHARED = """
            SELECT array_agg(CASE WHEN b.scan = $1 THEN b.seq ELSE -b.seq END) AS seqs
            FROM customer.block b CROSS JOIN unnest(b.keys) AS k(key)
            WHERE b.seq > 0 AND k.key & $2 = $3 %s
            GROUP BY k.key HAVING count(*) BETWEEN 2 AND $4""";

    private static final String SHARED_BY_ALL = SHARED.formatted("");
    private static final String SHARED_BY_FRESH = SHARED.formatted("""
            AND k.key IN (SELECT f.key FROM customer.block n CROSS JOIN unnest(n.keys) AS f(key)
                          WHERE n.scan = $1 AND n.seq > 0 AND f.key & $2 = $3)""");

    private static final String PUT = """
            INSERT INTO customer.duplicate AS d (id, a_id, b_id, score, level, reasons, state)
            SELECT uuidv7(), g.a, g.b, g.score, g.level, g.reasons::jsonb, 'open'
            FROM unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::text[], $5::text[]) AS g(a, b, score, level, reasons)
            ORDER BY g.a, g.b
            ON CONFLICT (a_id, b_id) DO UPDATE SET score = EXCLUDED.score, level = EXCLUDED.level, reasons = EXCLUDED.reasons,
                state = 'open', decided_by = NULL, decided_at = NULL, why = NULL
            WHERE (d.state = 'open' AND (d.score, d.reasons) IS DISTINCT FROM (EXCLUDED.score, EXCLUDED.reasons))
               OR d.state = 'gone' OR (d.state = 'dismissed' AND EXCLUDED.score >= d.score + $6)""";

    /** Open pairs of which one was computed in this scan: they may no longer be alike. */
    private static final String REOPENED = """
            SELECT d.id, a.seq AS a, b.seq AS b
            FROM customer.duplicate d
            JOIN customer.customer a ON a.id = d.a_id
            JOIN customer.customer b ON b.id = d.b_id
            WHERE d.state = 'open' AND d.id > $2 AND EXISTS (
                SELECT FROM customer.block k WHERE k.seq IN (a.seq, b.seq) AND k.scan = $1)
            ORDER BY d.id LIMIT $3""";

    private static final String GONE =
            "UPDATE customer.duplicate SET state = 'gone' WHERE id = ANY ($1) AND state = 'open'";

    private final Database database;
    private final CustomerStore customers;

    ScanStore(Kernel kernel) {
        this.database = kernel.database();
        this.customers = new CustomerStore(database, CustomerSeals.of(kernel));
    }

    /** Makes it the one scan. Fails with {@code duplicate.scanRunning}. */
    Future<Void> begin(Tx tx, UUID id) {
        return tx.query(HOLD, Tuple.tuple())
                .compose(v -> tx.query(BEGIN, Tuple.of(id)))
                .compose(rows -> rows.rowCount() == 1
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of("duplicate.scanRunning")));
    }

    /** The same, where one is still wanted. */
    Future<Void> beginWanted(Tx tx, UUID id) {
        return tx.query(HOLD, Tuple.tuple())
                .compose(rows -> rows.iterator().next().getOffsetDateTime("wanted_last") != null
                        ? begin(tx, id)
                        : Future.failedFuture(Problem.of("duplicate.scanRunning")));
    }

    /** A scan is to begin as soon as none runs. */
    Future<?> want(Tx tx) {
        return tx.query(WANT, Tuple.tuple());
    }

    /**
     * Whether one is wanted and may begin.
     *
     * @param unasked for all customers only where there are at most so many
     * @param calmMillis without more of them; after twenty times as long at any rate
     */
    Future<Boolean> isDue(int unasked, int calmMillis) {
        return database.query(Call.Lane.JOB, DUE, Tuple.of(unasked, calmMillis))
                .map(rows -> Boolean.TRUE.equals(rows.iterator().next().getBoolean("due")));
    }

    Future<Row> find(Call call, UUID id) {
        return database.row(call, FIND, Tuple.of(id, call.principal().subject()), "duplicate.scanNotFound");
    }

    Future<Row> find(Tx tx, UUID id) {
        return tx.row(FIND, Tuple.of(id, tx.principal().subject()), "duplicate.scanNotFound");
    }

    Future<Row> state(Call call) {
        return database.row(call, STATE, Tuple.tuple(), "server.failure");
    }

    /** Whether the keys are those that this mark was set for. */
    Future<Boolean> isWhole(Call call, long mark) {
        return database.query(call, WHOLE, Tuple.tuple())
                .map(rows -> rows.size() == 1 && rows.iterator().next().getLong("mark") == mark);
    }

    Future<?> mark(Tx tx, long mark) {
        return tx.query(MARK, Tuple.of(mark));
    }

    Future<?> finish(Tx tx, UUID scan, OffsetDateTime seen) {
        return tx.query(FINISH, Tuple.of(scan, seen));
    }

    Future<RowSet<Row>> all(Call call, long after, int limit) {
        return database.query(call, ALL, Tuple.of(after, limit));
    }

    Future<RowSet<Row>> changed(Call call, OffsetDateTime after, long seq, int limit) {
        return database.query(call, CHANGED, Tuple.of(after, seq, limit));
    }

    Future<RowSet<Row>> ofSeqs(Call call, Collection<Long> seqs) {
        return database.query(call, OF_SEQS, Tuple.tuple().addArrayOfLong(seqs.toArray(Long[]::new)));
    }

    /** What of a row of these is compared; opens a ciphertext, so call it from a worker. */
    Profile profile(Row row) {
        return Profile.of(customers.opened(row).toDraft());
    }

    Future<?> keep(Tx tx, long scan, Long[] seqs, String[] keys, Long[] deleted) {
        return tx.query(KEEP, Tuple.of(scan, seqs, keys))
                .compose(v -> deleted.length == 0
                        ? Future.succeededFuture()
                        : tx.query(FORGET, Tuple.tuple().addArrayOfLong(deleted)));
    }

    Future<Long> fresh(Call call, long scan) {
        return database.query(call, FRESH, Tuple.of(scan))
                .map(rows -> rows.iterator().next().getLong(0));
    }

    Future<RowSet<Row>> shared(Call call, boolean full, long scan, long mask, long part, int blockMax) {
        return database.query(
                call, full ? SHARED_BY_ALL : SHARED_BY_FRESH, Tuple.of(scan, mask, part, (long) blockMax));
    }

    /** A pair that may be of one customer, the lesser id first. */
    record Pair(UUID a, UUID b, MatchRules.Match match) {
        /** In the order of the database, which compares ids as bytes. */
        static Pair of(UUID one, UUID other, MatchRules.Match match) {
            return one.toString().compareTo(other.toString()) < 0
                    ? new Pair(one, other, match)
                    : new Pair(other, one, match);
        }
    }

    /** How many of them were new or had changed. */
    Future<Integer> put(Tx tx, List<Pair> pairs) {
        if (pairs.isEmpty()) {
            return Future.succeededFuture(0);
        }
        Tuple values = Tuple.tuple()
                .addArrayOfUUID(pairs.stream().map(Pair::a).toArray(UUID[]::new))
                .addArrayOfUUID(pairs.stream().map(Pair::b).toArray(UUID[]::new));
        values.addValue(pairs.stream()
                .map(pair -> BigDecimal.valueOf(pair.match.score()))
                .toArray(BigDecimal[]::new));
        values.addArrayOfString(pairs.stream().map(pair -> pair.match.level()).toArray(String[]::new))
                .addArrayOfString(pairs.stream().map(pair -> pair.match.json()).toArray(String[]::new))
                .addValue(MORE);
        return tx.query(PUT, values).map(RowSet::rowCount);
    }

    Future<RowSet<Row>> open(Call call, long scan, UUID after, int limit) {
        return database.query(call, REOPENED, Tuple.of(scan, after, limit));
    }

    Future<?> gone(Tx tx, List<UUID> ids) {
        return ids.isEmpty()
                ? Future.succeededFuture()
                : tx.query(GONE, Tuple.tuple().addArrayOfUUID(ids.toArray(UUID[]::new)));
    }
}
