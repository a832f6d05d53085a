package io.kehu.event;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Tuple;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Closes ranges of the event log, and keeps house: old idempotency keys go in small batches, the months of the partitioned
 * tables are made ahead. Runs on every node; in the database an advisory lock lets one through at a time, so there is no
 * leader to elect or lose. A node that writes nothing looks less often: what another writes, that one closes as soon.
 */
public final class Ticker {
    private static final Logger LOG = LoggerFactory.getLogger(Ticker.class);
    private static final String CLOSE = "SELECT kehu.close_range()";
    private static final String FORGET_KEYS = """
            DELETE FROM kehu.idempotency WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM kehu.idempotency WHERE created_at < kehu.now() - make_interval(hours => $1)
                LIMIT $2 FOR UPDATE SKIP LOCKED))""";
    private static final int BATCH = 1_000;
    private static final String FORGET_REVOCATIONS =
            "DELETE FROM kehu.revocation WHERE at < kehu.now() - interval '2 hours'";
    private static final String ADD_MONTHS = "SELECT kehu.add_months(3)";
    private static final long HOUSE_MILLIS = 60_000;
    /** Ticks after the last change or range of this node for which it goes on at full pace, and then between two looks. */
    private static final int RESTING = 5;

    /** On the event bus of the cluster: a range was closed, look now rather than at the next poll. */
    public static final String HINT = "kehu.events.closed";

    private final Vertx vertx;
    private final Database database;
    private final int idempotencyHours;
    private final long ticks;
    private final long house;
    private Future<?> closing = Future.succeededFuture();
    private long ended;
    private int quiet;
    private boolean failing;

    public Ticker(Vertx vertx, Database database, int everyMillis, int idempotencyHours) {
        this.vertx = vertx;
        this.database = database;
        this.idempotencyHours = idempotencyHours;
        this.ticks = vertx.setPeriodic(everyMillis, id -> tick());
        this.house = vertx.setPeriodic(HOUSE_MILLIS, id -> keepHouse());
    }

    private void tick() {
        if (!closing.isComplete()) {
            return;
        }
        long now = database.ended();
        quiet = now == ended ? quiet + 1 : 0;
        ended = now;
        if (quiet > RESTING && quiet % RESTING != 0) {
            return;
        }
        // In the lane of its own kind: callers who queue for a connection must not hold up what everybody follows.
        closing = database.query(Call.Lane.JOB, CLOSE, Tuple.tuple())
                .onSuccess(rows -> {
                    failing = false;
                    if (rows.iterator().next().getLong(0) != null) {
                        quiet = 0;
                        vertx.eventBus().publish(HINT, "");
                    }
                })
                .onFailure(e -> {
                    // Once, not ten times a second for as long as the database is away.
                    if (!failing) {
                        failing = true;
                        LOG.warn("no range of events can be closed: {}", e.getMessage());
                    }
                });
    }

    Future<?> keepHouse() {
        return forgetKeys()
                .compose(v -> database.query(Call.Lane.JOB, FORGET_REVOCATIONS, Tuple.tuple()))
                .compose(v -> database.query(Call.Lane.JOB, ADD_MONTHS, Tuple.tuple()))
                .onFailure(e -> LOG.warn("housekeeping was put off: {}", e.getMessage()));
    }

    /** Until none is old: where more are written than one batch each time, there would be ever more of them. */
    private Future<?> forgetKeys() {
        return database.query(Call.Lane.JOB, FORGET_KEYS, Tuple.of(idempotencyHours, BATCH))
                .compose(rows -> rows.rowCount() < BATCH ? Future.succeededFuture() : forgetKeys());
    }

    public void stop() {
        vertx.cancelTimer(ticks);
        vertx.cancelTimer(house);
    }
}
