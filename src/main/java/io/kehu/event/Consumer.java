package io.kehu.event;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.event.EventLog.Entry;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.eventbus.MessageConsumer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.BiFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One follower of the event log. It takes whole closed ranges, sorted by aggregate and version, and applies the effect and
 * moves its cursor in one transaction: exactly one effect however many nodes run it, order per aggregate kept. Replay is
 * moving the cursor. One that is behind takes many small ranges at once, as far as they hold few events together. A range whose
 * effect fails is tried again at the next look, by itself; nothing behind it overtakes.
 */
public final class Consumer {
    private static final Logger LOG = LoggerFactory.getLogger(Consumer.class);
    private static final long EFFECT_MILLIS = 10_000;

    private static final String BEGIN = """
            INSERT INTO kehu.event_cursor (consumer, lane, range_id)
            SELECT $1, 0, CASE WHEN $2 THEN 0 ELSE coalesce(max(id), 0) END FROM kehu.event_range
            ON CONFLICT DO NOTHING""";
    /** Ranges taken at once, and the events of them together, where the first of them does not hold more. */
    private static final int RANGES = 1_000;

    private static final int EVENTS_AT_ONCE = 50;
    /**
     * From the next range to the last that is taken with it: of one incarnation, where a range begins at the end of the one before,
     * and ended at the first event that is too many.
     */
    private static final String NEXT = """
            WITH ahead AS MATERIALIZED (
                SELECT c.range_id AS here, n.id, n.incarnation, n.from_xid, n.to_xid
                FROM kehu.event_cursor c CROSS JOIN LATERAL (
                    SELECT * FROM kehu.event_range n WHERE n.id > c.range_id ORDER BY n.id LIMIT $2) n
                WHERE c.consumer = $1 AND c.lane = 0),
            first AS MATERIALIZED (SELECT * FROM ahead ORDER BY id LIMIT 1),
            alike AS (SELECT a.id, a.to_xid FROM ahead a JOIN first f USING (incarnation)),
            over AS MATERIALIZED (
                SELECT e.xid FROM kehu.event e
                WHERE e.incarnation = (SELECT f.incarnation FROM first f) AND e.xid >= (SELECT f.from_xid FROM first f)
                  AND e.xid < (SELECT max(a.to_xid) FROM alike a) AND e.type = ANY ($3)
                ORDER BY e.xid OFFSET $4 LIMIT 1)
            SELECT f.here, l.id, f.incarnation, f.from_xid::text AS first, l.to_xid::text AS bound
            FROM first f CROSS JOIN LATERAL (
                SELECT a.id, a.to_xid FROM alike a
                WHERE a.id = f.id OR (a.to_xid <= (SELECT o.xid FROM over o)) IS NOT FALSE ORDER BY a.id DESC LIMIT 1) l""";

    private static final String EVENTS = EventLog.ENTRIES + """
            WHERE incarnation = $1 AND xid >= $2::text::xid8 AND xid < $3::text::xid8 AND type = ANY($4)
            ORDER BY e.aggregate, e.aggregate_id, e.version, e.xid, e.ord""";
    /** Guarded by where the cursor was: of two nodes at the same range one finds it moved. */
    private static final String MOVE = """
            UPDATE kehu.event_cursor SET range_id = $3, moved_at = clock_timestamp()
            WHERE consumer = $1 AND lane = 0 AND range_id = $2""";

    private final Vertx vertx;
    private final Database database;
    private final String name;
    private final String[] types;
    private final BiFunction<Tx, List<Entry>, Future<Void>> effect;
    private final long timer;
    private final MessageConsumer<?> hints;
    private final Tuple beginning;
    private boolean begun;
    private boolean looking;
    private boolean again;
    /** Ranges of the next step; one after a failure, so that it shows which one fails. */
    private int ranges = RANGES;

    private long here;
    private int failures;

    /**
     * Follows from now on.
     *
     * @param name of the cursor, unique in the whole bank
     * @param types of events that have an effect
     * @param fromTheBeginning where a cursor that does not exist yet starts: at the first event, or at the present
     * @param pollMillis between two looks when no hint comes
     * @param effect changes what it owns through the transaction; must not do anything outside it
     */
    public Consumer(
            Vertx vertx,
            Database database,
            String name,
            List<String> types,
            boolean fromTheBeginning,
            int pollMillis,
            BiFunction<Tx, List<Entry>, Future<Void>> effect) {
        this.vertx = vertx;
        this.database = database;
        this.name = name;
        this.types = types.toArray(String[]::new);
        this.effect = effect;
        var context = vertx.getOrCreateContext();
        this.beginning = Tuple.of(name, fromTheBeginning);
        context.runOnContext(v -> look());
        this.timer = vertx.setPeriodic(pollMillis, id -> context.runOnContext(v -> look()));
        this.hints = vertx.eventBus().consumer(Ticker.HINT, hint -> context.runOnContext(v -> look()));
    }

    public void stop() {
        vertx.cancelTimer(timer);
        hints.unregister();
    }

    /** One step after the other until there is nothing to take; one at a time, and once more if asked meanwhile. */
    private void look() {
        if (looking) {
            again = true;
            return;
        }
        looking = true;
        again = false;
        begin().compose(v -> follow()).onComplete(done -> {
            looking = false;
            if (done.failed()) {
                failures++;
                ranges = 1;
                LOG.atWarn()
                        .setCause(Problem.in(done.cause()) == null ? done.cause() : null)
                        .log(
                                "consumer {} stands still behind range {}, failure {} in a row, and will try again: {}",
                                name,
                                here,
                                failures,
                                done.cause().getMessage());
                return;
            }
            failures = 0;
            // Each step anew and not one chain of futures, which would keep a day of them in memory.
            if (done.result() || again) {
                ranges = Math.min(RANGES, 2 * ranges);
                look();
            }
        });
    }

    /** Until it has succeeded once: a cursor that is not there follows nothing, and nobody would see it. */
    private Future<Void> begin() {
        return begun
                ? Future.succeededFuture()
                : database.query(Call.Lane.JOB, BEGIN, beginning)
                        .onSuccess(v -> begun = true)
                        .mapEmpty();
    }

    /** One step; whether there was something to take. */
    private Future<Boolean> follow() {
        Tuple next = Tuple.of(name, ranges, types, EVENTS_AT_ONCE);
        return database.query(Call.Lane.JOB, NEXT, next).compose(rows -> {
            if (rows.size() == 0) {
                return Future.succeededFuture(false);
            }
            Row range = rows.iterator().next();
            here = range.getLong("here");
            return events(range).compose(entries -> apply(range, entries)).map(true);
        });
    }

    private Future<List<Entry>> events(Row range) {
        return database.query(
                        Call.Lane.JOB,
                        EVENTS,
                        Tuple.of(
                                range.getInteger("incarnation"),
                                range.getString("first"),
                                range.getString("bound"),
                                types))
                .map(rows -> {
                    List<Entry> entries = new ArrayList<>(rows.size());
                    rows.forEach(row -> entries.add(Entry.from(row)));
                    return entries;
                });
    }

    private Future<Void> apply(Row range, List<Entry> entries) {
        Tuple move = Tuple.of(name, range.getLong("here"), range.getLong("id"));
        if (entries.isEmpty()) {
            return database.query(Call.Lane.JOB, MOVE, move).mapEmpty();
        }
        Call call = Call.internal("consume-" + name, Call.Lane.JOB, EFFECT_MILLIS);
        return database.write(
                        call,
                        tx -> tx.query(MOVE, move)
                                .compose(moved -> moved.rowCount() == 1
                                        ? effect.apply(tx, entries)
                                        : Future.failedFuture(Problem.of("request.stale")))
                                .map(v -> {
                                    tx.object("event-range", id(), range.getLong("id"));
                                    return Reply.empty();
                                }))
                .<Void>mapEmpty()
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    // Another node was faster: its effect stands, and the next look goes on behind it.
                    return problem != null && problem.code().equals("request.stale")
                            ? Future.succeededFuture()
                            : Future.failedFuture(failure);
                });
    }

    private UUID id() {
        return UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8));
    }
}
