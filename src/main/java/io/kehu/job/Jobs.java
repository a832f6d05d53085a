package io.kehu.job;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.job.JobRun.Why;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Long work: asked for in a command's transaction, done by whichever node takes it. A node holds a job by a lease that it
 * renews; each taking raises the fence, a number that every change of the job must name, so a node that was thought dead and
 * wakes up again can change nothing. Position and rows move in one transaction, so a job goes on where it was, without
 * doubles, whenever and however its node stopped.
 */
public final class Jobs {
    private static final Logger LOG = LoggerFactory.getLogger(Jobs.class);
    /** On the event bus of the cluster: something was submitted or cancelled, look now rather than at the next poll. */
    private static final String HINT = "kehu.jobs.hint";

    static final int CALL_MILLIS = 30_000;
    /** Takings in a row that move nothing; a job that kills its node must not go round for ever. */
    private static final int MAX_ATTEMPTS = 8;
    /** Failures of what jobs rest on: put off as often as it takes. */
    private static final Set<String> ELSEWHERE =
            Set.of("server.unavailable", "server.busy", "request.unknown", "request.unavailable", "blob.unavailable");
    /** Those that may be of the job's own making when they come again and again: taken again a bounded number of times. */
    private static final Set<String> PASSING = Set.of("server.contended", "server.slow");

    /** Lists of jobs are in the order of their ids, so one clock makes them: the database's. */
    private static final String INSERT = """
            INSERT INTO kehu.job (id, kind, params, owner_id, principal, operation, request_id, address)
            VALUES (uuidv7(), $1, $2::text::jsonb, $3, $4::text::jsonb, $5, $6, $7) RETURNING id""";

    private static final String TAKE = """
            UPDATE kehu.job SET state = 'running', fence = fence + 1, attempts = attempts + 1, lease_owner = $1,
                lease_until = kehu.now() + $2::int * interval '1 millisecond', started_at = coalesce(started_at, kehu.now())
            WHERE id = (
                SELECT id FROM kehu.job
                WHERE kind = ANY ($3) AND (state = 'waiting' AND (not_before IS NULL OR not_before <= kehu.now())
                                           OR state = 'running' AND lease_until < kehu.now())
                ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, kind, fence, attempts, params::text AS params, position::text AS position,
                principal::text AS principal, operation, request_id, address, cancel_asked""";
    private static final String BEAT = """
            UPDATE kehu.job SET lease_until = kehu.now() + $3::int * interval '1 millisecond'
            WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING cancel_asked""";
    private static final String PUT_BACK = """
            UPDATE kehu.job SET state = 'waiting', lease_owner = NULL, lease_until = NULL, attempts = greatest(0, attempts - $4::int),
                not_before = kehu.now() + $3::int * interval '1 second'
            WHERE id = $1 AND fence = $2 AND state = 'running'""";
    private static final String END = """
            UPDATE kehu.job SET state = $3, ended_at = kehu.now(), lease_owner = NULL, lease_until = NULL,
                error_code = $4, error_args = $5
            WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING id""";
    private static final String LOCK = "SELECT state, fence, owner_id FROM kehu.job WHERE id = $1 FOR UPDATE";
    private static final String CANCEL = """
            UPDATE kehu.job SET cancel_asked = true, state = CASE state WHEN 'waiting' THEN 'cancelled' ELSE state END,
                ended_at = CASE state WHEN 'waiting' THEN kehu.now() END
            WHERE id = $1""";

    final Database database;
    final Blobs blobs;
    final Options options;
    private final Vertx vertx;
    private final Standing standing;
    private final WorkerExecutor workers;
    private final AtomicInteger computing = new AtomicInteger();
    private final Map<String, Kind> kinds = new ConcurrentHashMap<>();
    private final Map<UUID, JobRun> runs = new ConcurrentHashMap<>();
    private final AtomicInteger free;
    private final String owner;
    private long timer = -1;
    private volatile boolean stopped;
    private Future<Void> taking = Future.succeededFuture();

    /**
     * The bounds.
     *
     * @param node a name for leases
     * @param workers jobs at the same time
     * @param leaseMillis until a job of a dead node is taken over
     * @param heartbeatMillis between two renewals
     * @param pollMillis between two looks for waiting jobs
     * @param computeWorkers threads that parse and render
     * @param computeQueue pieces of such work that may be under way or wait
     */
    public record Options(
            String node,
            int workers,
            int leaseMillis,
            int heartbeatMillis,
            int pollMillis,
            int computeWorkers,
            int computeQueue) {}

    public Jobs(Vertx vertx, Database database, Blobs blobs, Options options) {
        this.vertx = vertx;
        this.database = database;
        this.blobs = blobs;
        this.standing = new Standing(database);
        this.options = options;
        this.free = new AtomicInteger(options.workers);
        this.owner = options.node + "/" + Ids.next();
        this.workers = vertx.createSharedWorkerExecutor("kehu-compute", options.computeWorkers);
    }

    /** What is known of a kind of jobs. */
    private record Kind(@Nullable String permission, JobKind how) {}

    /**
     * Says who does jobs of a kind on this node.
     *
     * @param kind domain and noun, e.g. {@code customer.import}
     * @param permission without which its owner's jobs do not run, also where he had it when he asked; null for Kehu's own work
     */
    public void register(String kind, @Nullable String permission, JobKind how) {
        if (kinds.put(kind, new Kind(permission, how)) != null) {
            throw new IllegalStateException("jobs of kind " + kind + " are registered twice");
        }
    }

    /**
     * Begins to take jobs, every domain having registered its kinds.
     *
     * @param domains which this node runs; jobs of others are left to other nodes
     */
    public void start(Predicate<String> domains) {
        kinds.keySet().removeIf(kind -> !domains.test(kind.substring(0, kind.indexOf('.'))));
        timer = vertx.setPeriodic(options.pollMillis, t -> look());
        vertx.eventBus().consumer(HINT, message -> look());
    }

    /**
     * Asks for a job in the transaction of a command; it begins after the commit. The transaction must name its object or an
     * event all the same. Call {@link #hint} when it has committed.
     */
    public Future<UUID> submit(Tx tx, String kind, ObjectNode params) {
        Call call = tx.call();
        return tx.query(
                        INSERT,
                        Tuple.of(
                                kind,
                                params.toString(),
                                call.principal().subject(),
                                new String(Json.bytes(call.principal()), StandardCharsets.UTF_8),
                                call.operationId(),
                                call.meta().requestId(),
                                call.meta().address()))
                .map(rows -> rows.iterator().next().getUUID("id"));
    }

    /** Lets every node look for work at once; without it the next poll does. */
    public void hint() {
        vertx.eventBus().publish(HINT, "");
    }

    /**
     * Cancels a job in the transaction of a command. A waiting one has ended with it, a running one ends before its next
     * chunk. Fails with {@code job.notFound}, {@code job.ended}.
     */
    public static Future<Void> cancel(Tx tx, UUID id) {
        return tx.row(LOCK, Tuple.of(id), "job.notFound").compose(row -> {
            String state = row.getString("state");
            if (!state.equals("waiting") && !state.equals("running")) {
                return Future.failedFuture(Problem.of("job.ended"));
            }
            tx.object("job", id, row.getLong("fence"));
            return tx.query(CANCEL, Tuple.of(id)).mapEmpty();
        });
    }

    /** Stops taking jobs, lets each run end with the chunk it is at, and puts the jobs back for other nodes. */
    public Future<Void> close() {
        stopped = true;
        vertx.cancelTimer(timer);
        runs.values().forEach(run -> run.stop(Why.STOPPED));
        return taking.transform(v -> idle()).eventually(workers::close);
    }

    private Future<Void> idle() {
        return runs.isEmpty()
                ? Future.succeededFuture()
                : vertx.timer(20).compose(t -> idle(), e -> Future.<Void>succeededFuture());
    }

    /** Runs what computes long on the bounded pool; fails with {@code server.busy} when too much waits for it. */
    public <T> Future<T> compute(Callable<T> work) {
        if (computing.incrementAndGet() > options.computeQueue) {
            computing.decrementAndGet();
            return Future.failedFuture(Problem.of("server.busy"));
        }
        return workers.executeBlocking(work, false).onComplete(done -> computing.decrementAndGet());
    }

    // ---- the runner

    /** Takes jobs until there is none or no place. One look at a time. */
    private synchronized void look() {
        if (taking.isComplete() && !stopped) {
            taking = takeAll().onFailure(e -> LOG.warn("no job could be taken: {}", e.getMessage()));
        }
    }

    private Future<Void> takeAll() {
        if (stopped || kinds.isEmpty() || free.get() == 0) {
            return Future.succeededFuture();
        }
        return database.query(
                        Call.Lane.JOB,
                        TAKE,
                        Tuple.of(owner, options.leaseMillis, kinds.keySet().toArray(String[]::new)))
                .compose(rows -> {
                    if (rows.size() == 0) {
                        return Future.succeededFuture();
                    }
                    begin(rows.iterator().next());
                    return takeAll();
                });
    }

    private void begin(Row row) {
        UUID id = row.getUUID("id");
        long fence = row.getLong("fence");
        Principal principal = Json.read(row.getString("principal").getBytes(StandardCharsets.UTF_8), Principal.class);
        JobRun run = new JobRun(
                this,
                id,
                fence,
                Json.read(row.getString("params")),
                Json.read(row.getString("position")),
                row.getInteger("attempts"),
                principal,
                row.getString("operation"),
                new Call.Meta(row.getString("request_id"), null, null, null, row.getString("address")));
        free.decrementAndGet();
        JobRun former = runs.put(id, run);
        if (former != null) {
            // Our own lease has run out without our noticing; the former run is fenced off like anybody's.
            former.stop(Why.FENCED);
        }
        if (row.getBoolean("cancel_asked")) {
            run.stop(Why.CANCELLED);
        } else if (stopped) {
            run.stop(Why.STOPPED);
        }
        long[] heard = {System.nanoTime()};
        long beat = vertx.setPeriodic(options.heartbeatMillis, t -> beat(run, heard));
        work(run, row.getString("kind"))
                .transform(done -> conclude(run, done.cause()))
                .onComplete(done -> {
                    vertx.cancelTimer(beat);
                    runs.remove(id, run);
                    free.incrementAndGet();
                    if (done.failed()) {
                        // Nobody hears us now: the lease runs out, and the job is taken again.
                        LOG.warn("a run of job {} could not be concluded: {}", id, String.valueOf(done.cause()));
                    }
                    look();
                });
    }

    private Future<Void> work(JobRun run, String kind) {
        Kind known = kinds.get(kind);
        if (known == null || run.cancelled()) {
            return run.halted();
        }
        if (run.attempts() > MAX_ATTEMPTS) {
            return Future.failedFuture(Problem.of("job.gaveUp", Integer.toString(MAX_ATTEMPTS)));
        }
        return standing.of(run.principal()).compose(now -> {
            run.actsAs(now);
            return known.permission == null || now.may(known.permission)
                    ? known.how.run(run)
                    : Future.failedFuture(Problem.of("auth.forbidden", known.permission));
        });
    }

    private void beat(JobRun run, long[] heard) {
        database.query(Call.Lane.JOB, BEAT, Tuple.of(run.id(), run.fence(), options.leaseMillis))
                .onComplete(done -> {
                    long now = System.nanoTime();
                    if (done.succeeded()) {
                        heard[0] = now;
                        if (done.result().size() == 0) {
                            run.stop(Why.FENCED);
                        } else if (done.result().iterator().next().getBoolean(0)) {
                            run.stop(Why.CANCELLED);
                        }
                    } else if (now - heard[0] > options.leaseMillis * 1_000_000L) {
                        run.stop(Why.FENCED);
                    }
                });
    }

    private Future<Void> conclude(JobRun run, @Nullable Throwable failure) {
        if (failure == null) {
            return end(run, "done", null);
        }
        if (failure instanceof JobRun.Stop stop) {
            return switch (stop.why) {
                case CANCELLED -> end(run, "cancelled", null);
                // Its new holder does the rest.
                case FENCED -> Future.succeededFuture();
                case STOPPED -> putBack(run, 0, 1);
            };
        }
        Problem problem = Problem.in(failure);
        boolean elsewhere = problem != null && ELSEWHERE.contains(problem.code());
        boolean last = run.attempts() >= MAX_ATTEMPTS;
        if (elsewhere || (problem != null && PASSING.contains(problem.code()) && !last)) {
            LOG.info("job {} is put off: {}", run.id(), failure.getMessage());
            return putBack(run, Math.min(60, 1 << (run.attempts() - 1)), last ? 1 : 0);
        }
        if (problem == null) {
            LOG.error("job {} failed unexpectedly", run.id(), failure);
            problem = Problem.of("server.failure");
        }
        return end(run, "failed", problem);
    }

    private Future<Void> putBack(JobRun run, int seconds, int attempts) {
        return database.query(Call.Lane.JOB, PUT_BACK, Tuple.of(run.id(), run.fence(), seconds, attempts))
                .onSuccess(v -> {
                    if (seconds == 0) {
                        hint();
                    }
                })
                .mapEmpty();
    }

    /** The end of a job is a write like any other: audited, with an event. */
    private Future<Void> end(JobRun run, String state, @Nullable Problem problem) {
        String code = problem == null ? null : problem.code();
        String[] args = problem == null ? null : problem.args().toArray(String[]::new);
        return database.write(
                        run.call(),
                        tx -> tx.query(END, Tuple.of(run.id(), run.fence(), state, code, args))
                                .compose(rows -> {
                                    if (rows.size() == 0) {
                                        return Future.failedFuture(new JobRun.Stop(Why.FENCED));
                                    }
                                    tx.event(Event.of("job.ended", run.id(), run.fence(), "job:read")
                                            .within(null, run.principal().subject())
                                            .with("state", state)
                                            .with("code", code));
                                    return Future.succeededFuture(Reply.empty());
                                }))
                .<Void>mapEmpty()
                .recover(failure ->
                        failure instanceof JobRun.Stop ? Future.succeededFuture() : Future.failedFuture(failure));
    }
}
