package io.kehu.customer.duplicate;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.job.JobRun;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.nio.ByteBuffer;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One scan, in steps that each leave a position behind: computes the keys of everybody, or of whoever has changed; gathers,
 * one part of the keys after the other, who shares one, and weighs those pairs; looks at open pairs of changed customers once
 * more. Memory holds one part, however many customers there are.
 */
final class ScanWork {
    private static final byte[] NO_HASH = new byte[32];
    private static final UUID FIRST = new UUID(0, 0);
    /** Customers opened at a time to compare them: some 10 MB. */
    private static final int SLICE = 4_000;
    /** As long as a transaction may last before its changes are seen. */
    private static final int SETTLED_SECONDS = 10;

    private final ScanStore store;
    private final Vault vault;
    private final Bounds bounds;

    /**
     * The bounds.
     *
     * @param chunkRows customers whose keys are computed in one transaction, and pairs kept in one
     * @param blockMax a key that more share says nothing and is left out
     * @param bucketRows customers for each part that the keys are taken in
     */
    record Bounds(int chunkRows, int blockMax, int bucketRows) {}

    ScanWork(ScanStore store, Vault vault, Bounds bounds) {
        this.store = store;
        this.vault = vault;
        this.bounds = bounds;
    }

    /** What a step did: where to go on, and whether there is more. */
    private interface Step {
        Future<Boolean> next();
    }

    /** Fails with {@code auth.forbidden} where whoever asked for it may not any more. */
    Future<Void> run(JobRun run) {
        Principal who = run.principal();
        if (!who.subject().equals(Principal.SYSTEM) && !who.may(DuplicateService.SCAN)) {
            return Future.failedFuture(Problem.of("auth.forbidden", DuplicateService.SCAN));
        }
        Promise<Void> done = Promise.promise();
        loop(() -> step(run), done);
        return done.future();
    }

    /** A promise and not a chain of futures, which would keep every step in memory. */
    private static void loop(Step step, Promise<Void> done) {
        step.next().onComplete(one -> {
            if (one.failed()) {
                done.fail(one.cause());
            } else if (one.result()) {
                loop(step, done);
            } else {
                done.complete();
            }
        });
    }

    private Future<Boolean> step(JobRun run) {
        ObjectNode at = run.position();
        return switch (at.path("phase").asText()) {
            case "keys" -> keys(run, at);
            case "pairs" -> pairs(run, at);
            case "open" -> open(run, at);
            case "end" -> Future.succeededFuture(false);
            default -> begin(run);
        };
    }

    private Future<Boolean> begin(JobRun run) {
        return store.state(run.call()).compose(state -> {
            OffsetDateTime seen = state.getOffsetDateTime("seen");
            boolean full = run.params().path("full").asBoolean()
                    || seen == null
                    || !Boolean.TRUE.equals(state.getBoolean("whole"));
            ObjectNode at = Json.object()
                    .put("phase", "keys")
                    .put("full", full)
                    .put("number", state.getLong("number"))
                    .put("from", state.getOffsetDateTime("now").toString())
                    .put("customers", state.getLong("customers"))
                    .put("after", 0);
            if (!full) {
                at.put("afterAt", seen.minusSeconds(SETTLED_SECONDS).toString());
            }
            return run.total(Math.max(1, 2 * state.getLong("customers")))
                    .compose(v -> run.move(at, new JobRun.Progress(0, 0, 0, 0L)))
                    .map(true);
        });
    }

    // ---- keys

    private record Keyed(List<Long> seqs, List<String> keys, List<Long> deleted, Row last) {}

    private Future<Boolean> keys(JobRun run, ObjectNode at) {
        boolean full = at.path("full").asBoolean();
        long after = at.path("after").longValue();
        Future<RowSet<Row>> read = full
                ? store.all(run.call(), after, bounds.chunkRows)
                : store.changed(
                        run.call(), OffsetDateTime.parse(at.path("afterAt").textValue()), after, bounds.chunkRows);
        return read.compose(rows -> {
            if (rows.size() == 0) {
                return keysEnd(run, at).map(true);
            }
            return run.compute(() -> keyed(rows)).compose(keyed -> {
                at.put("after", keyed.last.getLong("seq"));
                if (!full) {
                    at.put("afterAt", keyed.last.getOffsetDateTime("valid_from").toString());
                }
                long done = at.path("read").longValue() + rows.size();
                at.put("read", done);
                return run.chunk(tx -> store.keep(
                                        tx,
                                        at.path("number").longValue(),
                                        keyed.seqs.toArray(Long[]::new),
                                        keyed.keys.toArray(String[]::new),
                                        keyed.deleted.toArray(Long[]::new))
                                .map(v -> new JobRun.Step(
                                        said(run, "scan.keysComputed", rows.size()),
                                        at,
                                        new JobRun.Progress(rows.size(), 0, 0, full ? done : null))))
                        .map(true);
            });
        });
    }

    private Keyed keyed(RowSet<Row> rows) {
        Keyed keyed = null;
        List<Long> seqs = new ArrayList<>(rows.size());
        List<String> keys = new ArrayList<>(rows.size());
        List<Long> deleted = new ArrayList<>();
        for (Row row : rows) {
            if (row.getOffsetDateTime("deleted_at") != null) {
                deleted.add(row.getLong("seq"));
            } else {
                StringBuilder list = new StringBuilder("{");
                for (String key : BlockKeys.of(store.profile(row))) {
                    list.append(list.length() > 1 ? "," : "").append(hash(key));
                }
                seqs.add(row.getLong("seq"));
                keys.add(list.append('}').toString());
            }
            keyed = new Keyed(seqs, keys, deleted, row);
        }
        return java.util.Objects.requireNonNull(keyed);
    }

    /** The first 64 bits of a blind index, after its version. */
    private long hash(String key) {
        return ByteBuffer.wrap(vault.blind("customer.block", key)).getLong(1);
    }

    /** In parts of so many customers, a power of two, so that some bits of a key tell its part. */
    private Future<Void> keysEnd(JobRun run, ObjectNode at) {
        long number = at.path("number").longValue();
        return store.fresh(run.call(), number).compose(fresh -> {
            int parts = Integer.highestOneBit((int) Math.max(1, fresh / bounds.bucketRows * 2 - 1));
            at.put("phase", "pairs").put("fresh", fresh).put("parts", parts).put("part", 0);
            if (at.path("full").asBoolean()) {
                at.put("mark", number);
                return run.chunk(tx -> store.mark(tx, number)
                        .map(v -> new JobRun.Step(
                                said(run, "scan.keysEnded", fresh), at, new JobRun.Progress(0, 0, 0, null))));
            }
            return run.move(at, new JobRun.Progress(0, 0, 0, null));
        });
    }

    // ---- pairs

    /** Two orders of entry, the lesser first. */
    private record Two(long one, long other) {
        static Two of(long a, long b) {
            return a < b ? new Two(a, b) : new Two(b, a);
        }
    }

    private Future<Boolean> pairs(JobRun run, ObjectNode at) {
        int part = at.path("part").intValue();
        int parts = at.path("parts").intValue();
        if (part == parts || at.path("fresh").longValue() == 0) {
            at.put("phase", "open").put("openAfter", FIRST.toString());
            return run.move(at, new JobRun.Progress(0, 0, 0, null)).map(true);
        }
        boolean full = at.path("full").asBoolean();
        Future<Boolean> whole =
                full ? store.isWhole(run.call(), at.path("mark").longValue()) : Future.succeededFuture(true);
        return whole.compose(isWhole -> {
            if (!isWhole) {
                // The database has stopped and lost them.
                return run.move(Json.object(), new JobRun.Progress(0, 0, 0, 0L)).map(true);
            }
            return store.shared(run.call(), full, at.path("number").longValue(), parts - 1L, part, bounds.blockMax)
                    .compose(rows -> weighed(run, at, rows))
                    .compose(found -> kept(run, at, found));
        });
    }

    private static final class Found {
        final Map<Two, ScanStore.Pair> pairs = new HashMap<>();
        long compared;
    }

    private Future<Boolean> kept(JobRun run, ObjectNode at, Found found) {
        at.put("part", at.path("part").intValue() + 1);
        at.put("compared", at.path("compared").longValue() + found.compared);
        long customers = at.path("customers").longValue();
        long done = customers
                + customers * at.path("part").intValue() / at.path("parts").intValue();
        return put(run, at, List.copyOf(found.pairs.values()), done).map(true);
    }

    /** One transaction; where no units are given the job is no further than before. */
    private Future<?> put(JobRun run, ObjectNode at, List<ScanStore.Pair> pairs, @Nullable Long units) {
        return run.chunk(tx -> store.put(tx, pairs)
                .map(n -> new JobRun.Step(said(run, "scan.pairsWeighed", n), at, new JobRun.Progress(0, n, 0, units))));
    }

    /** Without moving on: whoever takes over weighs the part again, and finds these kept. */
    private Future<Void> keptMeanwhile(JobRun run, ObjectNode at, Found found) {
        if (found.pairs.size() < bounds.chunkRows) {
            return Future.succeededFuture();
        }
        Iterator<ScanStore.Pair> left = List.copyOf(found.pairs.values()).iterator();
        found.pairs.clear();
        Promise<Void> done = Promise.promise();
        loop(
                () -> {
                    List<ScanStore.Pair> some = new ArrayList<>();
                    while (left.hasNext() && some.size() < bounds.chunkRows) {
                        some.add(left.next());
                    }
                    return put(run, at, some, null).map(v -> left.hasNext());
                },
                done);
        return done.future();
    }

    /**
     * Slice by slice: customers are opened, compared and forgotten, and pairs kept when there are as many as one transaction may
     * have. Where everybody is entered fifty times there are half a million in one part.
     */
    private Future<Found> weighed(JobRun run, ObjectNode at, RowSet<Row> groups) {
        Found found = new Found();
        Iterator<Row> left = groups.iterator();
        Set<Two> looked = new HashSet<>();
        Promise<Void> done = Promise.promise();
        loop(
                () -> {
                    Set<Two> pairs = new LinkedHashSet<>();
                    Set<Long> seqs = new HashSet<>();
                    while (left.hasNext() && seqs.size() < SLICE) {
                        gather(left.next().getArrayOfLongs("seqs"), looked, pairs, seqs);
                    }
                    return pairs.isEmpty()
                            ? Future.succeededFuture(left.hasNext())
                            : weigh(run, pairs, seqs, found)
                                    .compose(v -> keptMeanwhile(run, at, found))
                                    .map(v -> left.hasNext());
                },
                done);
        return done.future().map(found);
    }

    private static void gather(Long[] group, Set<Two> looked, Set<Two> pairs, Set<Long> seqs) {
        for (int i = 0; i < group.length; i++) {
            for (int j = i + 1; j < group.length; j++) {
                if (group[i] > 0 || group[j] > 0) {
                    Two two = Two.of(Math.abs(group[i]), Math.abs(group[j]));
                    if (two.one != two.other && looked.add(two)) {
                        pairs.add(two);
                        seqs.add(two.one);
                        seqs.add(two.other);
                    }
                }
            }
        }
    }

    private record Opened(UUID id, Profile profile) {}

    private Future<Void> weigh(JobRun run, Set<Two> pairs, Set<Long> seqs, Found found) {
        return store.ofSeqs(run.call(), seqs)
                .compose(rows -> run.compute(() -> {
                    Map<Long, Opened> opened = opened(rows);
                    for (Two two : pairs) {
                        Opened one = opened.get(two.one);
                        Opened other = opened.get(two.other);
                        if (one != null && other != null) {
                            found.compared++;
                            MatchRules.Match match = MatchRules.compare(one.profile, other.profile);
                            if (match.isPossible()) {
                                found.pairs.put(two, ScanStore.Pair.of(one.id, other.id, match));
                            }
                        }
                    }
                    return null;
                }));
    }

    private Map<Long, Opened> opened(RowSet<Row> rows) {
        Map<Long, Opened> opened = new HashMap<>();
        rows.forEach(row -> opened.put(row.getLong("seq"), new Opened(row.getUUID("id"), store.profile(row))));
        return opened;
    }

    // ---- open pairs

    private Future<Boolean> open(JobRun run, ObjectNode at) {
        UUID after = UUID.fromString(at.path("openAfter").textValue());
        return store.open(run.call(), at.path("number").longValue(), after, bounds.chunkRows)
                .compose(rows -> {
                    if (rows.size() == 0) {
                        return end(run, at).map(false);
                    }
                    Set<Long> seqs = new HashSet<>();
                    rows.forEach(row -> {
                        seqs.add(row.getLong("a"));
                        seqs.add(row.getLong("b"));
                    });
                    return store.ofSeqs(run.call(), seqs)
                            .compose(customers -> run.compute(() -> gone(rows, opened(customers))))
                            .compose(gone -> {
                                rows.forEach(row ->
                                        at.put("openAfter", row.getUUID("id").toString()));
                                return run.chunk(tx -> store.gone(tx, gone)
                                        .map(v -> new JobRun.Step(
                                                said(run, "scan.pairsLookedAt", gone.size()),
                                                at,
                                                new JobRun.Progress(0, 0, 0, null))));
                            })
                            .map(true);
                });
    }

    private static List<UUID> gone(RowSet<Row> pairs, Map<Long, Opened> customers) {
        List<UUID> gone = new ArrayList<>();
        for (Row pair : pairs) {
            Opened a = customers.get(pair.getLong("a"));
            Opened b = customers.get(pair.getLong("b"));
            if (a == null
                    || b == null
                    || !MatchRules.compare(a.profile, b.profile).isPossible()) {
                gone.add(pair.getUUID("id"));
            }
        }
        return gone;
    }

    private Future<Void> end(JobRun run, ObjectNode at) {
        at.put("phase", "end");
        long customers = at.path("customers").longValue();
        OffsetDateTime from = OffsetDateTime.parse(at.path("from").textValue());
        return run.chunk(tx -> finished(tx, run, from)
                .map(rows -> new JobRun.Step(rows, at, new JobRun.Progress(0, 0, 0, Math.max(1, 2 * customers)))));
    }

    private Future<Database.Chunk> finished(Tx tx, JobRun run, OffsetDateTime from) {
        return store.finish(tx, run.id(), from).map(v -> said(run, "scan.ended", 0));
    }

    private static Database.Chunk said(JobRun run, String event, long rows) {
        String id = run.id().toString();
        return new Database.Chunk(
                "duplicate",
                rows,
                NO_HASH,
                id,
                id,
                Event.of(event, run.id(), run.fence(), DuplicateService.SCAN)
                        .within(null, run.principal().subject())
                        .with("rows", rows));
    }
}
