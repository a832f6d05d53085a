package io.kehu.customer.cleaning;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.FieldSourceStore;
import io.kehu.customer.cleaning.CleaningRules.Action;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.job.JobRun;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Does one cleaning: reads customers in the order of entry, says of each what it would become, and writes those that become
 * something else, each as it is found when it is held. A dry run notes the first of them by id and writes nothing.
 */
final class CleaningWork {
    static final int MAX_SAMPLES = 20;
    private static final String READ = "customer:read";
    /** A customer that is changed takes several statements. */
    private static final int MAX_ROWS = 250;
    /** Another record has this by now; that one row is left out. */
    private static final Set<String> TAKEN = Set.of("customer.idTaken", "customer.externalIdTaken");

    private final CustomerStore customers;
    private final CleaningStore store;
    private final Clock clock;
    private final ZoneId zone;
    private final int chunkRows;

    CleaningWork(CustomerStore customers, CleaningStore store, Clock clock, ZoneId zone, int chunkRows) {
        this.customers = customers;
        this.store = store;
        this.clock = clock;
        this.zone = zone;
        this.chunkRows = Math.min(chunkRows, MAX_ROWS);
    }

    /** What belongs to one taking of one cleaning. */
    private record Task(JobRun run, Action action, Filter filter, Moment moment, boolean dryRun) {}

    /** A customer to be changed, and the rows of the chunk up to him, with how many of those were refused. */
    private record Due(UUID id, long seq, int rows, int refused) {}

    /** A chunk that was looked at. */
    private record Looked(int rows, int refused, List<Due> due, long last) {}

    /** Fails with {@code auth.forbidden}, {@code customer.fieldForbidden} where the owner has lost a right. */
    Future<Void> run(JobRun run) {
        CleaningService.mustMayClean(run.principal());
        ObjectNode params = run.params();
        Filter filter = params.has("filter") ? Filter.parse(params.get("filter"), "/filter") : Filter.everybody();
        filter.mustBeOpenTo(run.principal());
        Task task = new Task(
                run,
                Action.of(params.required("action").textValue()),
                filter,
                Moment.at(clock.now(), zone),
                params.path("dryRun").asBoolean());
        return store.count(
                        run.call(),
                        filter,
                        task.moment,
                        run.position().path("seq").longValue())
                .compose(left -> run.total(run.position().path("done").longValue() + left))
                .compose(v -> {
                    Promise<Void> done = Promise.promise();
                    step(task, done);
                    return done.future();
                });
    }

    /** One chunk after the other. A promise and not a chain of futures, which would keep every chunk in memory. */
    private void step(Task task, Promise<Void> done) {
        long after = task.run.position().path("seq").longValue();
        store.next(task.run.call(), task.filter, task.moment, after, chunkRows)
                .compose(rows -> rows.size() == 0
                        ? Future.succeededFuture(false)
                        : look(task, rows)
                                .compose(looked -> enter(task, looked))
                                .map(rows.size() == chunkRows))
                .onFailure(done::fail)
                .onSuccess(goesOn -> {
                    if (goesOn) {
                        step(task, done);
                    } else {
                        done.complete();
                    }
                });
    }

    private Future<Looked> look(Task task, RowSet<Row> rows) {
        return task.run.compute(() -> {
            List<Due> due = new ArrayList<>();
            int refused = 0;
            int count = 0;
            long last = 0;
            for (Row row : rows) {
                count++;
                Customer there = customers.opened(row);
                last = row.getLong("seq");
                try {
                    if (CleaningRules.cleaned(task.action, there.toDraft(), task.moment.today()) != null) {
                        due.add(new Due(there.id(), last, count, refused));
                    }
                } catch (Problem problem) {
                    refused++;
                }
            }
            return new Looked(rows.size(), refused, due, last);
        });
    }

    private Future<Void> enter(Task task, Looked looked) {
        ObjectNode position = task.run.position();
        long done = position.path("done").longValue() + looked.rows;
        if (task.dryRun) {
            ArrayNode samples = position.withArray("samples");
            for (Due due : looked.due) {
                if (samples.size() < MAX_SAMPLES) {
                    samples.add(due.id.toString());
                }
            }
        }
        JobRun.Progress progress = new JobRun.Progress(looked.rows, looked.due.size(), looked.refused, done);
        ObjectNode there = position.deepCopy().put("seq", looked.last).put("done", done);
        if (task.dryRun || looked.due.isEmpty()) {
            return task.run.move(there, progress);
        }
        return chunk(task, looked.due, there, progress).recover(failure -> {
            if (!isTaken(failure)) {
                return Future.failedFuture(failure);
            }
            Singly singly = new Singly();
            Future<Void> each = Future.succeededFuture();
            for (Due due : looked.due) {
                each = each.compose(v -> single(task, due, position, singly));
            }
            return each.compose(v -> task.run.move(there, singly.upTo(looked.rows, looked.refused, 0, done)));
        });
    }

    /** What of a chunk is counted already: each is counted with the one that is written next, so that a run may end between them. */
    private static final class Singly {
        private int rows;
        private int refused;
        private int taken;

        JobRun.Progress upTo(int rowsNow, int refusedNow, int written, long done) {
            return new JobRun.Progress(rowsNow - rows, written, refusedNow - refused + taken, done);
        }

        void counted(Due due) {
            rows = due.rows;
            refused = due.refused;
            taken = 0;
        }
    }

    private Future<Void> single(Task task, Due due, ObjectNode before, Singly singly) {
        long done = before.path("done").longValue() + due.rows;
        ObjectNode position = before.deepCopy().put("seq", due.seq).put("done", done);
        return chunk(task, List.of(due), position, singly.upTo(due.rows, due.refused, 1, done))
                .onSuccess(v -> singly.counted(due))
                .recover(failure -> {
                    if (!isTaken(failure)) {
                        return Future.failedFuture(failure);
                    }
                    singly.taken++;
                    return Future.succeededFuture();
                });
    }

    private static boolean isTaken(Throwable failure) {
        Problem problem = Problem.in(failure);
        return problem != null && TAKEN.contains(problem.code());
    }

    private Future<Void> chunk(Task task, List<Due> due, ObjectNode position, JobRun.Progress progress) {
        return task.run.chunk(tx -> {
            Future<Integer> all = Future.succeededFuture(0);
            for (Due one : due) {
                all = all.compose(written -> clean(tx, task, one.id).map(more -> written + more));
            }
            return all.map(written -> new JobRun.Step(
                    summary(tx, task, due),
                    position,
                    new JobRun.Progress(progress.read(), written, progress.rejected(), progress.unitsDone())));
        });
    }

    /** Anew from the row that is held: somebody may have changed it since, or taken it out of scope. Yields how many it wrote. */
    private Future<Integer> clean(Tx tx, Task task, UUID id) {
        return customers
                .locked(tx, id)
                .compose(row -> {
                    Customer there = customers.opened(row);
                    ObjectNode draft = cleaned(task, there);
                    return draft == null || !there.id().equals(id)
                            ? Future.succeededFuture(0)
                            : customers
                                    .update(
                                            tx,
                                            row,
                                            there,
                                            there.with(draft, there.branchId(), there.managerId()),
                                            id,
                                            FieldSourceStore.STAFF)
                                    .map(changed -> {
                                        tx.event(Event.of("customer.changed", id, changed.version(), READ)
                                                .within(changed.branchId(), changed.managerId()));
                                        return 1;
                                    });
                })
                .recover(failure -> {
                    Problem problem = Problem.in(failure);
                    return problem != null && problem.code().equals("customer.notFound")
                            ? Future.succeededFuture(0)
                            : Future.failedFuture(failure);
                });
    }

    private static @Nullable ObjectNode cleaned(Task task, Customer there) {
        try {
            return CleaningRules.cleaned(task.action, there.toDraft(), task.moment.today());
        } catch (Problem problem) {
            return null;
        }
    }

    private static Database.Chunk summary(Tx tx, Task task, List<Due> due) {
        MessageDigest digest = Sha256.start();
        due.forEach(one -> digest.update(one.id.toString().getBytes(StandardCharsets.UTF_8)));
        return new Database.Chunk(
                "customer",
                due.size(),
                digest.digest(),
                due.get(0).id.toString(),
                due.get(due.size() - 1).id.toString(),
                Event.of("cleaning.chunkDone", tx.auditId(), 1, CleaningService.CLEAN)
                        .within(null, task.run.principal().subject())
                        .with("rows", due.size()));
    }
}
