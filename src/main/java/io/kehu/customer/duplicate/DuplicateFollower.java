package io.kehu.customer.duplicate;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.event.EventLog.Entry;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Puts whoever was entered or changed beside those who are like him, a moment later and whoever entered them: so two who were
 * entered at once, or by people who may not see each other's customers, come before somebody who may. A few are looked at in
 * the transaction that moves the cursor; for many a scan is wanted, which begins when no more come and no other runs. What is done twice
 * changes nothing.
 */
final class DuplicateFollower {
    static final String CONSUMER = "customer.duplicates";
    static final List<String> EVENTS =
            List.of("customer.created", "customer.changed", "customer.manyCreated", "customer.manyChanged");

    private static final Logger LOG = LoggerFactory.getLogger(DuplicateFollower.class);
    /** Marks events of what a rule did, which touches nothing that is compared. */
    private static final String BY_RULE = "byRule";
    /** Customers looked up in one query; of each at most fifty others are opened, on the event loop. */
    private static final int SLICE = 10;

    private static final long START_MILLIS = 10_000;

    private final Database database;
    private final Jobs jobs;
    private final EntryStore store;
    private final ScanStore scans;
    private final int atOnce;
    private final int unasked;
    private final int calmMillis;

    /**
     * How much it does.
     *
     * @param atOnce customers of one range of events that are looked at one by one; for more a scan is wanted
     * @param unasked customers up to which a scan of all of them begins without anybody asking
     * @param calmMillis without more changes, until a wanted scan begins
     */
    DuplicateFollower(
            Database database, Jobs jobs, EntryStore store, ScanStore scans, int atOnce, int unasked, int calmMillis) {
        this.database = database;
        this.jobs = jobs;
        this.store = store;
        this.scans = scans;
        this.atOnce = atOnce;
        this.unasked = unasked;
        this.calmMillis = calmMillis;
    }

    /** The effect of a range of events. */
    Future<Void> follow(Tx tx, List<Entry> entries) {
        Set<UUID> ids = new LinkedHashSet<>();
        boolean many = false;
        for (Entry entry : entries) {
            boolean one =
                    entry.type().equals("customer.created") || entry.type().equals("customer.changed");
            many |= !one;
            if (one && !Json.read(entry.payload()).has(BY_RULE)) {
                ids.add(entry.aggregateId());
            }
        }
        if (many || ids.size() > atOnce) {
            return scans.want(tx).mapEmpty();
        }
        List<UUID> list = List.copyOf(ids);
        Future<Void> done = Future.succeededFuture();
        for (int from = 0; from < list.size(); from += SLICE) {
            List<UUID> slice = list.subList(from, Math.min(list.size(), from + SLICE));
            done = done.compose(v -> look(tx, slice));
        }
        return done;
    }

    private record Known(UUID id, EntryStore.Look look, Profile profile) {}

    private Future<Void> look(Tx tx, List<UUID> ids) {
        return store.ofIds(tx, ids).compose(rows -> {
            List<Known> mine = new ArrayList<>();
            for (Row row : rows) {
                Customer customer = store.opened(row);
                mine.add(new Known(customer.id(), store.look(customer.toDraft()), Profile.of(customer.toDraft())));
            }
            return mine.isEmpty()
                    ? Future.succeededFuture()
                    : store.alike(
                                    tx::query,
                                    Where.ofAll(),
                                    mine.stream().map(Known::look).toList())
                            .compose(found -> judge(tx, mine, found));
        });
    }

    private Future<Void> judge(Tx tx, List<Known> mine, RowSet<Row> found) {
        Map<UUID, Profile> profiles = new HashMap<>();
        Map<Set<UUID>, ScanStore.Pair> pairs = new HashMap<>();
        mine.forEach(one -> profiles.put(one.id, one.profile));
        for (Row row : found) {
            Known one = mine.get(row.getInteger("n"));
            UUID other = row.getUUID("id");
            if (!other.equals(one.id)) {
                Profile his = profiles.computeIfAbsent(
                        other, id -> Profile.of(store.opened(row).toDraft()));
                MatchRules.Match match = MatchRules.compare(one.profile, his);
                if (match.isPossible()) {
                    pairs.put(Set.of(one.id, other), ScanStore.Pair.of(one.id, other, match));
                }
            }
        }
        return store.open(tx, mine.stream().map(Known::id).toList())
                .compose(open -> missing(tx, open, profiles).map(v -> gone(open, profiles, pairs)))
                .compose(gone -> scans.gone(tx, gone))
                .compose(v -> scans.put(tx, List.copyOf(pairs.values())))
                .mapEmpty();
    }

    private Future<?> missing(Tx tx, RowSet<Row> open, Map<UUID, Profile> profiles) {
        Set<UUID> others = new LinkedHashSet<>();
        open.forEach(row -> {
            others.add(row.getUUID("a_id"));
            others.add(row.getUUID("b_id"));
        });
        others.removeAll(profiles.keySet());
        return others.isEmpty()
                ? Future.succeededFuture()
                : store.ofIds(tx, others).onSuccess(rows -> {
                    for (Row row : rows) {
                        profiles.put(
                                row.getUUID("id"), Profile.of(store.opened(row).toDraft()));
                    }
                });
    }

    /** Open pairs that are no longer alike; those that still are get what is now to be said for it. */
    private static List<UUID> gone(
            RowSet<Row> open, Map<UUID, Profile> profiles, Map<Set<UUID>, ScanStore.Pair> pairs) {
        List<UUID> gone = new ArrayList<>();
        for (Row row : open) {
            UUID a = row.getUUID("a_id");
            UUID b = row.getUUID("b_id");
            Profile one = profiles.get(a);
            Profile other = profiles.get(b);
            if (one != null && other != null) {
                MatchRules.Match match = MatchRules.compare(one, other);
                if (match.isPossible()) {
                    pairs.put(Set.of(a, b), ScanStore.Pair.of(a, b, match));
                } else {
                    gone.add(row.getUUID("id"));
                }
            }
        }
        return gone;
    }

    // ---- many

    /** Begins the scan that is wanted, where none runs. Of two nodes one does. */
    Future<?> start() {
        return scans.isDue(unasked, calmMillis)
                .compose(due -> due
                        ? database.write(
                                Call.internal("startDuplicateScan", Call.Lane.JOB, START_MILLIS), this::submitted)
                        : Future.succeededFuture())
                .onSuccess(reply -> {
                    if (reply != null) {
                        jobs.hint();
                    }
                });
    }

    static void later(Throwable failure) {
        LOG.atLevel(Problem.in(failure) == null ? org.slf4j.event.Level.WARN : org.slf4j.event.Level.DEBUG)
                .log("the scan for duplicates that is wanted has not begun: {}", failure.getMessage());
    }

    private Future<Reply> submitted(Tx tx) {
        return jobs.submit(tx, ScanStore.KIND, Json.object())
                .compose(id -> scans.beginWanted(tx, id).map(v -> {
                    tx.event(Event.of("scan.requested", id, 1, DuplicateService.SCAN)
                            .within(null, tx.principal().subject()));
                    return Reply.empty();
                }));
    }
}
