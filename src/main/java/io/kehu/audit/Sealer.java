package io.kehu.audit;

import io.kehu.crypto.Signer;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Pool;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.SqlConnection;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Seals the audit at a steady pace, as the role {@code kehu_seal} on a connection of its own. Every node tries; an advisory lock lets
 * one through at a time, and the table's constraints refuse a second seal of a range. The tail that is not sealed yet is about
 * as long as that pace, or as long as the longest transaction that is still running: a range ends below it, because what it will leave
 * belongs to its transaction id.
 */
public final class Sealer {
    private static final Logger LOG = LoggerFactory.getLogger(Sealer.class);
    /** Rows of one seal: a proof has to read as many leaves. What is more gets further seals at once. */
    private static final int MAX_ROWS = 10_000;

    /** Where a range of an incarnation that is over ends. */
    private static final String ENDLESS = Long.toString(Long.MAX_VALUE);

    private static final String LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('kehu.seal'))";
    private static final String STATE = """
            SELECT kehu.incarnation() AS here, pg_snapshot_xmin(pg_current_snapshot())::text AS bound, kehu.now() AS now,
                   s.number, s.incarnation, s.to_xid::text AS to_xid, s.hash,
                   CASE WHEN coalesce(s.incarnation, 0) < kehu.incarnation()
                        THEN (SELECT min(a.incarnation) FROM kehu.audit a WHERE a.incarnation > coalesce(s.incarnation, 0))
                   END AS following
            FROM (SELECT 1) one LEFT JOIN LATERAL (
                SELECT number, incarnation, to_xid, hash FROM kehu.audit_seal ORDER BY number DESC LIMIT 1) s ON true""";
    /** The order is that of numbers: a bare xid would name the text. */
    private static final String LEAVES = """
            SELECT a.xid::text AS xid, a.leaf FROM kehu.audit a
            WHERE a.incarnation = $1 AND a.xid >= $2::text::xid8 AND a.xid < $3::text::xid8 ORDER BY a.xid, a.ord LIMIT $4""";

    private static final String INSERT = """
            INSERT INTO kehu.audit_seal (number, incarnation, from_xid, to_xid, row_count, root, previous, hash, kid, signature, sealed_at)
            VALUES ($1, $2, $3::text::xid8, $4::text::xid8, $5, $6, $7, $8, $9, $10, $11)""";
    private static final String HASH = "SELECT hash, kehu.incarnation() AS here FROM kehu.audit_seal WHERE number = $1";
    private static final String NEWEST = """
            SELECT coalesce(max(number), 0) AS number, kehu.incarnation() AS here FROM kehu.audit_seal""";

    private final Vertx vertx;
    private final Pool pool;
    private final Signer signer;
    private final Checkpoints checkpoints;
    private final long everyMillis;
    private final WorkerExecutor worker;
    private long timer = -1;
    private Future<?> sealing = Future.succeededFuture();
    private volatile boolean failing;
    private volatile long newest;
    private volatile boolean intact = true;
    private volatile boolean noting = true;

    /**
     * Seals through this pool.
     *
     * @param pool one connection that works as kehu_seal; closed with the sealer
     * @param signer with the pair for what is kept
     * @param everyMillis ms between two seals
     */
    public Sealer(Vertx vertx, Pool pool, Signer signer, Checkpoints checkpoints, long everyMillis) {
        this.vertx = vertx;
        this.pool = pool;
        this.signer = signer;
        this.checkpoints = checkpoints;
        this.everyMillis = everyMillis;
        this.worker = vertx.createSharedWorkerExecutor("kehu-seal", 1);
    }

    /**
     * Compares the newest checkpoint with the database, then seals from now on.
     *
     * @return what is wrong, in one line; null where the chain in the database is the one that the checkpoint knows
     */
    public Future<@Nullable String> start() {
        return worker.executeBlocking(checkpoints::newest)
                .compose(this::compare)
                .onSuccess(wrong -> {
                    if (wrong != null) {
                        intact = false;
                        LOG.error("the audit chain is not what its checkpoints know: {}", wrong);
                    }
                    timer = vertx.setPeriodic(everyMillis, id -> tick());
                });
    }

    private Future<@Nullable String> compare(@Nullable Seal known) {
        if (known == null) {
            // Asked all the same: whoever may not work as kehu_seal learns it now.
            return pool.preparedQuery(NEWEST).execute().map(rows -> null);
        }
        return pool.preparedQuery(HASH).execute(Tuple.of(known.number())).compose(rows -> {
            if (rows.size() != 0) {
                Row row = rows.iterator().next();
                return Future.succeededFuture(
                        row.getBuffer("hash").equals(Buffer.buffer(known.hash()))
                                ? null
                                : known + " in the database has another hash than its checkpoint");
            }
            return pool.preparedQuery(NEWEST).execute().map(found -> shorter(known, found));
        });
    }

    private static @Nullable String shorter(Seal known, RowSet<Row> found) {
        Row row = found.iterator().next();
        String line = "it ends at seal " + row.getLong("number") + ", a checkpoint knows " + known;
        if (row.getInteger("here") > known.incarnation()) {
            // A restored copy says so by a new incarnation; what it lost is named and no surprise.
            LOG.warn("the database was restored, and with it the audit: {}", line);
            return null;
        }
        return line;
    }

    /** False when the chain in the database is not the one that this node or a checkpoint knew. */
    public boolean intact() {
        return intact;
    }

    /** False while nothing can be sealed, or seals cannot be noted outside the database. */
    public boolean working() {
        return noting && !failing;
    }

    /** The number of the newest seal that this node has seen; 0 for none. */
    public long newest() {
        return newest;
    }

    private void tick() {
        if (!sealing.isComplete()) {
            return;
        }
        // A COMMIT or ROLLBACK that was cancelled leaves the only connection in a transaction that refuses everything.
        sealing = seal().recover(e -> pool.query("ROLLBACK").execute().transform(v -> Future.failedFuture(e)))
                .onSuccess(v -> failing = false)
                .onFailure(e -> {
                    if (!failing) {
                        failing = true;
                        LOG.warn("the audit cannot be sealed: {}", e.getMessage());
                    }
                });
    }

    /** Seals all there is to seal, range by range. */
    private Future<Void> seal() {
        return pool.withTransaction(connection -> {
                    // The statement under way fails too; without a handler the client prints this past the log.
                    connection.exceptionHandler(e -> LOG.debug("the connection broke: {}", e.getMessage()));
                    Future<RowSet<Row>> alone = connection.query(LOCK).execute();
                    return alone.compose(rows -> rows.iterator().next().getBoolean(0)
                            ? connection
                                    .query(STATE)
                                    .execute()
                                    .compose(state ->
                                            next(connection, state.iterator().next()))
                            : Future.<@Nullable Seal>succeededFuture(null));
                })
                .compose(seal -> {
                    if (seal == null) {
                        return Future.succeededFuture();
                    }
                    newest = seal.number();
                    return note(seal).compose(v -> seal());
                });
    }

    private Future<@Nullable Seal> next(SqlConnection connection, Row state) {
        int here = state.getInteger("here");
        Integer following = state.getInteger("following");
        Long number = state.getLong("number");
        look(number == null ? 0 : number);
        if (number == null) {
            return beginning(connection, state, following == null ? here : following);
        }
        int sealed = state.getInteger("incarnation");
        if (sealed == here) {
            return range(connection, state, here, state.getString("to_xid"), state.getString("bound"));
        }
        // What the former incarnation left behind unsealed is complete: nothing writes there any more.
        return range(connection, state, sealed, state.getString("to_xid"), ENDLESS)
                .compose(rest -> rest != null || following == null
                        ? Future.succeededFuture(rest)
                        : beginning(connection, state, following));
    }

    /** The first seal of an incarnation. */
    private Future<@Nullable Seal> beginning(SqlConnection connection, Row state, int incarnation) {
        boolean here = incarnation == state.getInteger("here");
        return range(connection, state, incarnation, "0", here ? state.getString("bound") : ENDLESS);
    }

    /** A chain that grows never becomes shorter under a node that runs. */
    private void look(long number) {
        if (number < newest && intact) {
            intact = false;
            LOG.error("the audit chain was cut: it ends at seal {}, seal {} was there", number, newest);
        }
    }

    private Future<@Nullable Seal> range(
            SqlConnection connection, Row state, int incarnation, String from, String bound) {
        return connection
                .preparedQuery(LEAVES)
                .execute(Tuple.of(incarnation, from, bound, MAX_ROWS + 1))
                .compose(rows -> {
                    List<byte[]> leaves = new ArrayList<>(rows.size());
                    String last = "";
                    int whole = 0;
                    for (Row row : rows) {
                        if (!row.getString("xid").equals(last)) {
                            whole = leaves.size();
                            last = row.getString("xid");
                        }
                        leaves.add(row.getBuffer("leaf").getBytes());
                    }
                    if (leaves.isEmpty()) {
                        return Future.<@Nullable Seal>succeededFuture(null);
                    }
                    boolean cut = leaves.size() > MAX_ROWS;
                    if (cut && whole == 0) {
                        throw new IllegalStateException("one transaction left more than " + MAX_ROWS + " audit rows");
                    }
                    List<byte[]> sealed = cut ? leaves.subList(0, whole) : leaves;
                    return worker.executeBlocking(
                                    () -> draft(state, incarnation, from, cut ? last(rows) : bound, sealed)
                                            .sign(signer))
                            .compose(seal -> insert(connection, seal, state).map(seal));
                });
    }

    /** Of a range that was cut, the transaction that is left for the next one. */
    private static String last(RowSet<Row> rows) {
        String last = "";
        for (Row row : rows) {
            last = row.getString("xid");
        }
        return last;
    }

    private static Seal.Draft draft(Row state, int incarnation, String from, String to, List<byte[]> leaves) {
        Long number = state.getLong("number");
        return new Seal.Draft(
                number == null ? 1 : number + 1,
                incarnation,
                Long.parseUnsignedLong(from),
                Long.parseUnsignedLong(to),
                leaves.size(),
                Merkle.root(leaves),
                number == null ? new byte[32] : state.getBuffer("hash").getBytes(),
                ChronoUnit.MICROS.between(
                        OffsetDateTime.parse("1970-01-01T00:00:00Z"), state.getOffsetDateTime("now")));
    }

    private static Future<?> insert(SqlConnection connection, Seal seal, Row state) {
        return connection
                .preparedQuery(INSERT)
                .execute(Tuple.of(seal.number(), seal.incarnation())
                        .addString(Long.toUnsignedString(seal.from()))
                        .addString(Long.toUnsignedString(seal.to()))
                        .addInteger((int) seal.rows())
                        .addBuffer(Buffer.buffer(seal.root()))
                        .addBuffer(Buffer.buffer(seal.previous()))
                        .addBuffer(Buffer.buffer(seal.hash()))
                        .addString(seal.kid())
                        .addBuffer(Buffer.buffer(seal.signature()))
                        .addOffsetDateTime(state.getOffsetDateTime("now")));
    }

    /** A seal that could not be noted stands all the same: the next one that can stands for it too. */
    private Future<Void> note(Seal seal) {
        return worker.<Void>executeBlocking(() -> {
                    checkpoints.note(seal);
                    return null;
                })
                .onSuccess(v -> noting = true)
                .recover(failure -> {
                    if (noting) {
                        noting = false;
                        LOG.error("{} cannot be noted outside the database: {}", seal, failure.toString());
                    }
                    return Future.succeededFuture();
                });
    }

    /** Lets the seal under way end, then closes the pool. */
    public Future<Void> close() {
        vertx.cancelTimer(timer);
        return sealing.transform(v -> pool.close()).transform(v -> worker.close());
    }
}
