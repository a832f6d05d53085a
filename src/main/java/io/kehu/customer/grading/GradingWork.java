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
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.OffsetDateTime;
import java.util.LinkedHashSet;
import java.util.List;
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
    /** Two rules that contradict each other do not go on for ever. */
    private static final int MAX_ROUNDS = 3;
    /** More customers than this are not held up an event for: a job looks at them. */
    private static final int AT_ONCE = 200;
    /** No transaction lives longer: a change has happened at most so long before its event. */
    private static final int SETTLED_SECONDS = 10;
    /** Marks events of what a rule did, which are no reason to look again. */
    private static final String BY_RULE = "byRule";

    private static final String SINCE = "since";
    private static final String UNTIL = "until";

    private final Database database;
    private final Jobs jobs;
    private final GradeStore store;
    private final RuleTagStore tags;
    private final int chunkRows;

    GradingWork(Database database, Jobs jobs, GradeStore store, RuleTagStore tags, int chunkRows) {
        this.database = database;
        this.jobs = jobs;
        this.store = store;
        this.tags = tags;
        this.chunkRows = chunkRows;
    }

    // ---- what something happened to

    /** The effect of a range of events: at once where they are about few, by a job where they are about many. */
    Future<Void> follow(Tx tx, List<Entry> entries) {
        Set<UUID> ids = new LinkedHashSet<>();
        boolean many = false;
        OffsetDateTime first = tx.now();
        for (Entry entry : entries) {
            ObjectNode payload = Json.read(entry.payload());
            if (!payload.has(BY_RULE)) {
                many |= entry.type().equals("customer.manyCreated");
                first = entry.at().isBefore(first) ? entry.at() : first;
                ids.add(
                        payload.has("customerId")
                                ? UUID.fromString(payload.get("customerId").textValue())
                                : entry.aggregateId());
            }
        }
        if (ids.isEmpty()) {
            return Future.succeededFuture();
        }
        boolean waits = many || ids.size() > AT_ONCE;
        OffsetDateTime since = first.minusSeconds(SETTLED_SECONDS);
        return tx.query(GradingRuleStore.ENABLED, Tuple.tuple())
                .map(GradingRuleStore::rules)
                .compose(rules -> rules.isEmpty()
                        ? Future.succeededFuture()
                        : waits
                                ? later(tx, since)
                                : settle(tx, rules, List.copyOf(ids)).mapEmpty());
    }

    /** One job that waits is enough: it looks at all that has happened until it begins. */
    private Future<Void> later(Tx tx, OffsetDateTime since) {
        return tx.query(GradingRuleStore.WAITING, Tuple.of(KIND, since))
                .compose(rows -> rows.size() > 0
                        ? Future.succeededFuture()
                        : jobs.submit(tx, KIND, Json.object().put(SINCE, since.toString()))
                                .mapEmpty());
    }

    // ---- many of them

    /** The job. Fails with {@code auth.forbidden} where whoever asked for it may not any more. */
    Future<Void> run(JobRun run) {
        Principal who = run.principal();
        if (!who.subject().equals(Principal.SYSTEM) && !GradingService.mayGrade(who)) {
            return Future.failedFuture(Problem.of("auth.forbidden", GradingService.MANAGE));
        }
        Ask ask = (sql, values) -> database.query(run.call(), sql, values);
        return ask.query(GradingRuleStore.ENABLED, Tuple.tuple())
                .map(GradingRuleStore::rules)
                .compose(rules -> GradeStore.now(ask).compose(now -> {
                    ObjectNode position = run.position();
                    if (!position.has(UNTIL)) {
                        // What changes from here on has events of its own.
                        position.put(UNTIL, now.toString());
                    }
                    Promise<Void> done = Promise.promise();
                    step(run, ask, rules, position, done);
                    return done.future();
                }));
    }

    /** One chunk after the other. A promise and not a chain of futures, which would keep every chunk in memory. */
    private void step(JobRun run, Ask ask, List<GradingRule> rules, ObjectNode position, Promise<Void> done) {
        next(run, ask, rules, position)
                .compose(rows -> rows.size() == 0
                        ? Future.succeededFuture(false)
                        : chunk(run, ask, rules, rows, position).map(rows.size() == chunkRows))
                .onFailure(done::fail)
                .onSuccess(goesOn -> {
                    if (goesOn) {
                        step(run, ask, rules, run.position(), done);
                    } else {
                        done.complete();
                    }
                });
    }

    /** All customers in the order of entry, or those of a time in the order of their changes. */
    private Future<RowSet<Row>> next(JobRun run, Ask ask, List<GradingRule> rules, ObjectNode position) {
        String since = run.params().path(SINCE).textValue();
        long seq = position.path("seq").longValue();
        return since == null
                ? store.verdictsAfter(ask, rules, seq, chunkRows)
                : store.verdictsSince(
                        ask,
                        rules,
                        OffsetDateTime.parse(position.path(SINCE).asText(since)),
                        seq,
                        OffsetDateTime.parse(position.required(UNTIL).textValue()),
                        chunkRows);
    }

    private Future<Void> chunk(JobRun run, Ask ask, List<GradingRule> rules, RowSet<Row> rows, ObjectNode position) {
        for (Row row : rows) {
            position.put("seq", row.getLong("seq"))
                    .put(SINCE, row.getOffsetDateTime("valid_from").toString());
        }
        return plan(ask, rules, rows).compose(moves -> {
            if (moves.isEmpty()) {
                return run.move(position, new JobRun.Progress(rows.size(), 0, 0, null));
            }
            return run.chunk(tx -> apply(tx, moves)
                    .compose(touched -> settle(tx, rules, touched, 2))
                    .map(touched -> new JobRun.Step(
                            summary(run, tx, touched),
                            position,
                            new JobRun.Progress(rows.size(), touched.size(), 0, null))));
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

    /** Until nothing differs any more: a rule may look at what another one gives. Yields the same customers. */
    private Future<List<UUID>> settle(Tx tx, List<GradingRule> rules, List<UUID> customers) {
        return settle(tx, rules, customers, 1);
    }

    private Future<List<UUID>> settle(Tx tx, List<GradingRule> rules, List<UUID> customers, int round) {
        return round > MAX_ROUNDS || customers.isEmpty()
                ? Future.succeededFuture(customers)
                : store.verdictsOf(tx::query, rules, customers)
                        .compose(rows -> plan(tx::query, rules, rows))
                        .compose(moves -> moves.isEmpty()
                                ? Future.succeededFuture(customers)
                                : apply(tx, moves)
                                        .compose(touched -> settle(tx, rules, touched, round + 1))
                                        .map(customers));
    }

    /** Writes what differs; yields the customers it wrote something of. */
    private Future<List<UUID>> apply(Tx tx, Moves moves) {
        Set<UUID> touched = new LinkedHashSet<>();
        return store.moveFacts(tx, moves)
                .compose(moved -> {
                    moved.forEach(one -> {
                        touched.add(one.customer());
                        tx.event(Event.of("customer.changed", one.customer(), one.version(), READ)
                                .within(one.branch(), one.manager())
                                .with(BY_RULE, 1));
                    });
                    return store.noteGrades(tx, moves, touched);
                })
                .compose(noted -> {
                    noted.forEach(row -> touched.add(row.getUUID("customer_id")));
                    return moves.take.isEmpty()
                            ? Future.succeededFuture()
                            : tags.take(tx, moves.take)
                                    .onSuccess(rows -> tell(tx, "tag.removed", moves, rows, touched));
                })
                .compose(v -> moves.give.isEmpty()
                        ? Future.succeededFuture()
                        : tags.give(tx, moves.give).onSuccess(rows -> tell(tx, "tag.assigned", moves, rows, touched)))
                .map(v -> List.copyOf(touched));
    }

    private static void tell(Tx tx, String type, Moves moves, RowSet<Row> rows, Set<UUID> touched) {
        for (Row row : rows) {
            UUID customer = row.getUUID("customer_id");
            Moves.Place place = moves.place(customer);
            touched.add(customer);
            tx.event(Event.of(type, row.getUUID("id"), row.getLong("version"), TAG_READ)
                    .within(place.branch(), place.manager())
                    .with("customerId", customer.toString())
                    .with("tagId", row.getUUID("tag_id").toString())
                    .with(BY_RULE, 1));
        }
    }
}
