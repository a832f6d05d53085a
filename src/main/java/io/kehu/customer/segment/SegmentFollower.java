package io.kehu.customer.segment;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.filter.Moment;
import io.kehu.customer.segment.SegmentFollowStore.Followed;
import io.kehu.customer.segment.SegmentFollowStore.Look;
import io.kehu.event.Ticker;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.eventbus.MessageConsumer;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps live segments in step: takes who changed, in batches, asks the segments that read what changed about just these, and
 * says who entered and who left in the same transaction. One node at a time, by a lock of that transaction: another node finds
 * it taken and comes back. Where too many wait, all are asked about everybody instead, one segment after the other; one for which
 * that takes too long in parts, between which others go on.
 */
final class SegmentFollower {
    private static final Logger LOG = LoggerFactory.getLogger(SegmentFollower.class);
    private static final long STEP_MILLIS = 30_000;
    private static final int SWEPT = 10_000;
    /** Sweeping reads which segments have members at all, so not at every look. */
    private static final int LOOKS_BETWEEN_SWEEPS = 200;

    private static final int LOOKS_BETWEEN_CLOCKS = 8;
    /** Polls of which one looks where no change was heard of; divides the two above. */
    private static final int RESTING = 4;

    /** Segments that one statement asks. */
    private static final int AT_ONCE = 25;

    private final Database database;
    private final SegmentFollowStore store;
    private final Clock clock;
    private final ZoneId zone;
    private final Options options;
    private final AtomicBoolean hinted = new AtomicBoolean(true);
    private volatile int looks;

    /**
     * How it works.
     *
     * @param pollMillis between two looks when nothing waits but something was written; four times that where nothing was
     * @param batch changes of one transaction
     * @param answers changes of one transaction times live segments: each may be an event
     * @param rebuildAbove changes that may wait; more = all segments are rebuilt
     * @param rebuildRows customers asked at a time where asking all at once took too long
     */
    record Options(int pollMillis, int batch, int answers, int rebuildAbove, int rebuildRows) {}

    SegmentFollower(Database database, Clock clock, ZoneId zone, Options options) {
        this.database = database;
        this.store = new SegmentFollowStore(database);
        this.clock = clock;
        this.zone = zone;
        this.options = options;
    }

    /** Looks until the node stops: at each poll after a change, else at some. */
    void start(Kernel kernel) {
        MessageConsumer<?> hints = kernel.vertx().eventBus().consumer(Ticker.HINT, hint -> hinted.set(true));
        kernel.atStop().accept(hints::unregister);
        kernel.every(options.pollMillis, this::poll, failure -> {
            boolean expected = Problem.in(failure) != null;
            LOG.atLevel(expected ? org.slf4j.event.Level.DEBUG : org.slf4j.event.Level.WARN)
                    .setCause(expected ? null : failure)
                    .log("live segments are looked at again: {}", failure.getMessage());
        });
    }

    private Future<Void> poll() {
        if (hinted.getAndSet(false) || (looks + 1) % RESTING == 0) {
            return follow();
        }
        looks = (looks + 1) % LOOKS_BETWEEN_SWEEPS;
        return Future.succeededFuture();
    }

    /** One thing after the other until there is nothing to do. */
    private Future<Void> follow() {
        return sweep().compose(v -> time())
                .compose(v -> store.look(options.rebuildAbove))
                .compose(this::next)
                .compose(went -> went ? follow() : Future.succeededFuture());
    }

    private Future<?> sweep() {
        looks = (looks + 1) % LOOKS_BETWEEN_SWEEPS;
        return looks == 0 ? store.sweep(SWEPT) : Future.succeededFuture();
    }

    private Future<Boolean> next(Look look) {
        if (look.waiting() > options.rebuildAbove) {
            return step("markSegmentsBehind", this::allBehind);
        }
        // By turns: neither waits for the other to have nothing to do.
        Future<Boolean> followed =
                look.waiting() > 0 ? step("followSegments", this::batch) : Future.succeededFuture(false);
        return look.behind()
                ? followed.compose(went -> store.next())
                        .compose(id ->
                                step("rebuildSegment", tx -> rebuild(tx, id)).recover(failure -> slower(id, failure)))
                : followed;
    }

    private interface Work {
        Future<?> in(Tx tx);
    }

    /** Nothing, where another node is at it. */
    private Future<Boolean> step(String name, Work work) {
        return database.write(Call.internal(name, Call.Lane.JOB, STEP_MILLIS), tx -> {
                    tx.object("segments", Principal.SYSTEM, 0);
                    return store.alone(tx)
                            .compose(alone -> alone ? work.in(tx) : Future.failedFuture(Problem.of("server.contended")))
                            .map(v -> Reply.empty());
                })
                .map(true);
    }

    private Moment moment() {
        return Moment.at(clock.now(), zone);
    }

    /** Notes whom time has moved past a bound, now and then. */
    private Future<?> time() {
        if (looks % LOOKS_BETWEEN_CLOCKS != 0) {
            return Future.succeededFuture();
        }
        Moment now = moment();
        return store.relative().compose(segments -> {
            Future<?> done = Future.succeededFuture();
            for (Map.Entry<Followed, OffsetDateTime> one : segments.entrySet()) {
                done = done.compose(v -> store.crossed(one.getKey(), Moment.at(one.getValue(), zone), now));
            }
            return done;
        });
    }

    private Future<?> allBehind(Tx tx) {
        return store.allBehind(tx);
    }

    private Future<?> batch(Tx tx) {
        Moment now = moment();
        return store.live(tx)
                .compose(segments -> store.take(tx, atOnce(segments.size()))
                        .compose(changed -> {
                            Set<String> everybodys = changed.remove(SegmentFollowStore.EVERYBODY);
                            return (everybodys == null ? Future.succeededFuture() : store.behind(tx, everybodys))
                                    .map(changed);
                        })
                        .compose(changed -> {
                            Set<String> columns = new HashSet<>();
                            changed.values().forEach(columns::addAll);
                            // An empty set stands for all columns.
                            boolean all = changed.containsValue(Set.<String>of());
                            List<Followed> concerned = segments.stream()
                                    .filter(segment -> all || !Collections.disjoint(columns, segment.reads()))
                                    .toList();
                            Future<?> done = Future.succeededFuture();
                            for (int from = 0; from < concerned.size() && !changed.isEmpty(); from += AT_ONCE) {
                                List<Followed> some =
                                        concerned.subList(from, Math.min(concerned.size(), from + AT_ONCE));
                                done = done.compose(v -> apply(tx, some, changed.keySet(), now));
                            }
                            return done;
                        }));
    }

    private int atOnce(int segments) {
        return Math.min(options.batch, Math.max(1, options.answers / Math.max(1, segments)));
    }

    private Future<?> apply(Tx tx, List<Followed> segments, Set<UUID> customers, Moment now) {
        return store.apply(tx, segments, customers, now).map(moves -> {
            for (SegmentFollowStore.Move move : moves) {
                Followed segment = move.segment();
                tx.event(Event.of(
                                move.entered() ? "segment.entered" : "segment.left",
                                segment.id(),
                                segment.version(),
                                permissions(segment))
                        .within(move.branch(), move.manager())
                        .with("customerId", move.customer().toString()));
            }
            return null;
        });
    }

    /** Who belongs tells what the filter asks: the event is for those who may see segments and all of that. */
    private static String[] permissions(Followed segment) {
        List<String> permissions = new ArrayList<>(segment.filter().permissions());
        permissions.add(SegmentService.READ);
        return permissions.toArray(String[]::new);
    }

    private Future<?> rebuild(Tx tx, @Nullable UUID id) {
        return store.behind(tx, id)
                .compose(behind -> behind == null
                        ? Future.succeededFuture()
                        : store.rebuild(tx, behind, moment()).map(isDone -> {
                            if (isDone) {
                                Followed segment = behind.segment();
                                // Without the numbers: they are of the whole bank, and tell what the filter asks.
                                tx.event(Event.of(
                                        "segment.rebuilt", segment.id(), segment.version(), SegmentService.READ));
                            }
                            return null;
                        }));
    }

    /** What is cancelled as a whole is done in parts, and what is cancelled as a part in smaller ones. */
    private Future<Boolean> slower(@Nullable UUID id, Throwable failure) {
        Problem problem = Problem.in(failure);
        if (id == null || problem == null || !problem.code().equals("server.slow")) {
            return Future.failedFuture(failure);
        }
        return store.slower(id, options.rebuildRows).map(rows -> {
            LOG.info("segment {} took too long: it is asked about {} customers at a time", id, rows);
            return true;
        });
    }
}
