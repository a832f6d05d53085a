package io.kehu.customer.grading;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.kehu.customer.grading.GradeStore.Ask;
import io.kehu.customer.tag.RuleTagStore;
import io.kehu.event.EventLog.Entry;
import io.kehu.job.JobRun;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Holds customers against the rules: those that something happened to, at once, and all of them in a job, chunk by chunk. Both
 * write only what differs, so to do it twice changes nothing.
 */
final class GradingWork {
    static final String KIND = "customer.grading";
    static final List<String> EVENTS =
            List.of("customer.created", "customer.changed", "customer.manyCreated", "tag.assigned", "tag.removed");

    private static final String READ = "customer:read";
    private static final String TAG_READ = "tag:read";
    /** A rule may look at what another one gives; two that contradict each other do not go on for ever. */
    private static final int MAX_ROUNDS = 3;

    private final Database database;
    private final GradeStore store;
    private final RuleTagStore tags;
    private final int chunkRows;

    GradingWork(Database database, GradeStore store, RuleTagStore tags, int chunkRows) {
        this.database = database;
        this.store = store;
        this.tags = tags;
        this.chunkRows = chunkRows;
    }

    // ---- what something happened to

    /** The effect of a range of events. */
    Future<Void> follow(Tx tx, List<Entry> entries) {
        return tx.query(GradingRuleStore.ENABLED, Tuple.tuple())
                .map(GradingRuleStore::rules)
                .compose(rules -> rules.isEmpty() ? Future.succeededFuture() : follow(tx, entries, rules));
    }

    /** Customers by how many rounds of rules have led to what happened to them; what people do begins a new count. */
    private Future<Void> follow(Tx tx, List<Entry> entries, List<GradingRule> rules) {
        Map<UUID, Integer> rounds = new LinkedHashMap<>();
        Future<Void> done = Future.succeededFuture();
        for (Entry entry : entries) {
            ObjectNode payload = Json.read(entry.payload());
            if (entry.type().equals("customer.manyCreated")) {
                UUID first = UUID.fromString(payload.required("first").textValue());
                UUID last = UUID.fromString(payload.required("last").textValue());
                done = done.compose(v -> store.verdictsBetween(tx::query, rules, first, last))
                        .compose(rows -> grade(tx, rules, rows, 1));
            } else {
                UUID customer = payload.has("customerId")
                        ? UUID.fromString(payload.get("customerId").textValue())
                        : entry.aggregateId();
                rounds.merge(customer, payload.path("round").asInt(), Math::min);
            }
        }
        for (int round = 0; round < MAX_ROUNDS; round++) {
            int now = round;
            int next = round + 1;
            List<UUID> all = new ArrayList<>();
            rounds.forEach((customer, made) -> {
                if (made == now) {
                    all.add(customer);
                }
            });
            for (int from = 0; from < all.size(); from += chunkRows) {
                List<UUID> some = all.subList(from, Math.min(all.size(), from + chunkRows));
                done = done.compose(v -> store.verdictsOf(tx::query, rules, some))
                        .compose(rows -> grade(tx, rules, rows, next));
            }
        }
        return done;
    }

    private Future<Void> grade(Tx tx, List<GradingRule> rules, RowSet<Row> rows, int round) {
        return plan(tx::query, rules, rows)
                .compose(moves -> moves.isEmpty()
                        ? Future.succeededFuture()
                        : apply(tx, moves, round).mapEmpty());
    }

    // ---- all of them

    /** The job. Fails with {@code auth.forbidden} where whoever asked for it may not any more. */
    Future<Void> run(JobRun run) {
        Principal who = run.principal();
        if (!who.subject().equals(Principal.SYSTEM) && !GradingService.mayGrade(who)) {
            return Future.failedFuture(Problem.of("auth.forbidden", GradingService.MANAGE));
        }
        Ask ask = (sql, values) -> database.query(run.call(), sql, values);
        return ask.query(GradingRuleStore.ENABLED, Tuple.tuple())
                .map(GradingRuleStore::rules)
                .compose(rules -> {
                    Promise<Void> done = Promise.promise();
                    step(run, ask, rules, done);
                    return done.future();
                });
    }

    /** One chunk after the other. A promise and not a chain of futures, which would keep every chunk in memory. */
    private void step(JobRun run, Ask ask, List<GradingRule> rules, Promise<Void> done) {
        long after = run.position().path("seq").longValue();
        store.verdictsAfter(ask, rules, after, chunkRows)
                .compose(rows -> rows.size() == 0
                        ? Future.succeededFuture(false)
                        : chunk(run, ask, rules, rows).map(rows.size() == chunkRows))
                .onFailure(done::fail)
                .onSuccess(goesOn -> {
                    if (goesOn) {
                        step(run, ask, rules, done);
                    } else {
                        done.complete();
                    }
                });
    }

    private Future<Void> chunk(JobRun run, Ask ask, List<GradingRule> rules, RowSet<Row> rows) {
        long last = 0;
        for (Row row : rows) {
            last = row.getLong("seq");
        }
        ObjectNode position = run.position().put("seq", last);
        return plan(ask, rules, rows).compose(moves -> {
            if (moves.isEmpty()) {
                return run.move(position, new JobRun.Progress(rows.size(), 0, 0, null));
            }
            return run.chunk(tx -> apply(tx, moves, 1).map(touched -> {
                position.put("moved", position.path("moved").longValue() + touched.size());
                return new JobRun.Step(
                        summary(run, tx, touched), position, new JobRun.Progress(rows.size(), touched.size(), 0, null));
            }));
        });
    }

    private static Database.Chunk summary(JobRun run, Tx tx, List<UUID> touched) {
        MessageDigest digest = Sha256.start();
        touched.forEach(id -> digest.update(id.toString().getBytes(StandardCharsets.UTF_8)));
        String first = touched.isEmpty() ? run.id().toString() : touched.get(0).toString();
        String last =
                touched.isEmpty() ? first : touched.get(touched.size() - 1).toString();
        Event event = Event.of("grading.manyMoved", tx.auditId(), 1, GradingService.READ)
                .with("rows", touched.size());
        return new Database.Chunk("customer", touched.size(), digest.digest(), first, last, event);
    }

    // ---- both

    private static Future<Moves> plan(Ask ask, List<GradingRule> rules, RowSet<Row> rows) {
        UUID[] ids = new UUID[rows.size()];
        int i = 0;
        for (Row row : rows) {
            ids[i++] = row.getUUID("id");
        }
        return ask.query(RuleTagStore.HELD, Tuple.tuple().addArrayOfUUID(ids)).map(held -> Moves.of(rules, rows, held));
    }

    /** Writes what differs; yields the customers it wrote something of. */
    private Future<List<UUID>> apply(Tx tx, Moves moves, int round) {
        Set<UUID> touched = new LinkedHashSet<>();
        return store.moveFacts(tx, moves)
                .compose(rows -> {
                    rows.forEach(row -> {
                        UUID id = row.getUUID("id");
                        touched.add(id);
                        tx.event(Event.of("customer.changed", id, row.getLong("version"), READ)
                                .within(row.getUUID("branch_id"), row.getUUID("manager_id"))
                                .with("round", round));
                    });
                    return store.noteGrades(tx, moves, touched);
                })
                .compose(noted -> {
                    noted.forEach(row -> touched.add(row.getUUID("customer_id")));
                    return moves.take.isEmpty()
                            ? Future.succeededFuture()
                            : tags.take(tx, moves.take)
                                    .onSuccess(rows -> tell(tx, "tag.removed", moves, rows, touched, round));
                })
                .compose(v -> moves.give.isEmpty()
                        ? Future.succeededFuture()
                        : tags.give(tx, moves.give)
                                .onSuccess(rows -> tell(tx, "tag.assigned", moves, rows, touched, round)))
                .map(v -> List.copyOf(touched));
    }

    private static void tell(Tx tx, String type, Moves moves, RowSet<Row> rows, Set<UUID> touched, int round) {
        for (Row row : rows) {
            UUID customer = row.getUUID("customer_id");
            Moves.Place place = moves.place(customer);
            touched.add(customer);
            tx.event(Event.of(type, row.getUUID("id"), row.getLong("version"), TAG_READ)
                    .within(place.branch(), place.manager())
                    .with("customerId", customer.toString())
                    .with("tagId", row.getUUID("tag_id").toString())
                    .with("round", round));
        }
    }
}
