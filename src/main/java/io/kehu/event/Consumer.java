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
 * moving the cursor. A range whose effect fails is tried again at the next look; nothing behind it overtakes.
 */
public final class Consumer {
    private static final Logger LOG = LoggerFactory.getLogger(Consumer.class);
    private static final long EFFECT_MILLIS = 10_000;

    private static final String BEGIN = """
            INSERT INTO kehu.event_cursor (consumer, lane, range_id)
            SELECT $1, 0, CASE WHEN $2 THEN 0 ELSE coalesce(max(id), 0) END FROM kehu.event_range
            ON CONFLICT DO NOTHING""";
    private static final String NEXT = """
            SELECT c.range_id AS here, r.id, r.incarnation, r.from_xid::text AS first, r.to_xid::text AS bound
            FROM kehu.event_cursor c CROSS JOIN LATERAL (
                SELECT * FROM kehu.event_range n WHERE n.id > c.range_id ORDER BY n.id LIMIT 1) r
            WHERE c.consumer = $1 AND c.lane = 0""";
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

    /** One range after the other until there is none; one at a time, and once more if asked meanwhile. */
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
                LOG.atWarn()
                        .setCause(Problem.in(done.cause()) == null ? done.cause() : null)
                        .log(
                                "consumer {} will try its range again: {}",
                                name,
                                done.cause().getMessage());
            } else if (again) {
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

    private Future<Void> follow() {
        return database.query(Call.Lane.JOB, NEXT, Tuple.of(name)).compose(rows -> {
            if (rows.size() == 0) {
                return Future.succeededFuture();
            }
            Row range = rows.iterator().next();
            return events(range).compose(entries -> apply(range, entries)).compose(v -> follow());
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
