package io.kehu.job;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One taking of one job: what its {@link JobKind} works with. Used from one Vert.x context; every future completes there.
 */
public final class JobRun {
    /** What makes this run the holder of the job stands in WHERE; a former holder changes no row. */
    private static final String MOVE = """
            UPDATE kehu.job SET position = $3::text::jsonb, rows_read = rows_read + $4, rows_accepted = rows_accepted + $5,
                rows_rejected = rows_rejected + $6, units_done = coalesce($7, units_done), attempts = 0,
                lease_until = kehu.now() + $8::int * interval '1 millisecond'
            WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING cancel_asked""";

    private static final String TELL = """
            UPDATE kehu.job SET units_total = coalesce($3, units_total), units_done = coalesce($4, units_done)
            WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING cancel_asked""";

    private final Jobs jobs;
    private final UUID id;
    private final long fence;
    private final ObjectNode params;
    private volatile Principal principal;
    private final Call.Meta meta;
    private final String operation;
    private ObjectNode position;
    private int attempts;
    private volatile @Nullable Why stopping;

    /** Why a run does not go on. */
    enum Why {
        /** Somebody asked for it. */
        CANCELLED,
        /** Another node holds the job now. */
        FENCED,
        /** This node stops. */
        STOPPED
    }

    /** Ends a run that is not to go on; not a problem of anybody's. */
    static final class Stop extends RuntimeException {
        final Why why;

        Stop(Why why) {
            super("this run of the job ends here: " + why, null, false, false);
            this.why = why;
        }
    }

    /**
     * What one chunk did.
     *
     * @param rows for audit and event, as for {@link Database#bulk}
     * @param position where to go on; replaces the whole position of the job
     */
    public record Step(Database.Chunk rows, ObjectNode position, Progress progress) {}

    /**
     * How far that brought the job.
     *
     * @param read rows more than before
     * @param accepted of these
     * @param rejected of these
     * @param unitsDone altogether, in the units of {@link JobRun#total}; null for no change
     */
    public record Progress(
            long read,
            long accepted,
            long rejected,
            @Nullable Long unitsDone) {}

    JobRun(
            Jobs jobs,
            UUID id,
            long fence,
            ObjectNode params,
            ObjectNode position,
            int attempts,
            Principal principal,
            String operation,
            Call.Meta meta) {
        this.jobs = jobs;
        this.id = id;
        this.fence = fence;
        this.params = params;
        this.position = position;
        this.attempts = attempts;
        this.principal = principal;
        this.operation = operation;
        this.meta = meta;
    }

    public UUID id() {
        return id;
    }

    /** Grows with each taking of the job. */
    public long fence() {
        return fence;
    }

    public ObjectNode params() {
        return params;
    }

    /** Where the last committed chunk left off; an empty object at first. */
    public ObjectNode position() {
        return position.deepCopy();
    }

    /** Who asked for the job, with the rights that he had when this run began. */
    public Principal principal() {
        return principal;
    }

    void actsAs(Principal now) {
        principal = now;
    }

    /** A call in the job's name, in the lane of jobs, for reading; each lasts 30 seconds. */
    public Call call() {
        return new Call(
                operation,
                io.kehu.bus.Json.object(),
                null,
                principal,
                Call.Mode.EXECUTE,
                Call.Lane.JOB,
                meta,
                null,
                Call.deadlineIn(Jobs.CALL_MILLIS));
    }

    /** True once the run has no more say: somebody cancelled the job, another node has it, or this node stops. */
    public boolean cancelled() {
        return stopping != null;
    }

    /**
     * Runs one transaction of rows through {@link Database#bulk} and moves position and counters in it. Fails, and leaves
     * nothing behind, where the job was cancelled or is another's; hand that failure on.
     */
    public Future<Void> chunk(Function<Tx, Future<Step>> work) {
        if (stopping != null) {
            return halted();
        }
        Step[] done = new Step[1];
        return jobs.database
                .bulk(
                        call(),
                        tx -> work.apply(tx).compose(step -> {
                            done[0] = step;
                            return tx.query(MOVE, moved(step.position, step.progress))
                                    .compose(rows -> held(rows))
                                    .map(step.rows);
                        }))
                .onSuccess(v -> arrived(done[0].position))
                .mapEmpty();
    }

    /** Moves position and counters alone, where a chunk of input changed no row. */
    public Future<Void> move(ObjectNode to, Progress progress) {
        if (stopping != null) {
            return halted();
        }
        return jobs.database
                .query(Call.Lane.JOB, MOVE, moved(to, progress))
                .compose(rows -> held(rows))
                .onSuccess(v -> arrived(to));
    }

    private void arrived(ObjectNode at) {
        position = at;
        attempts = 1;
    }

    private Tuple moved(ObjectNode to, Progress progress) {
        return Tuple.tuple()
                .addUUID(id)
                .addLong(fence)
                .addString(to.toString())
                .addLong(progress.read)
                .addLong(progress.accepted)
                .addLong(progress.rejected)
                .addLong(progress.unitsDone)
                .addInteger(jobs.options.leaseMillis());
    }

    /** Says how many units the whole is, e.g. the bytes of a file, for a progress in percent. */
    public Future<Void> total(long units) {
        return tell(units, null);
    }

    /**
     * Says how many units are done, where nothing of them would outlast this run: the position stays, and a run that comes after
     * a failure counts as one more attempt. Fails as {@link #chunk}.
     */
    public Future<Void> done(long units) {
        return stopping == null ? tell(null, units) : halted();
    }

    private Future<Void> tell(@Nullable Long total, @Nullable Long done) {
        return jobs.database
                .query(Call.Lane.JOB, TELL, Tuple.of(id, fence, total, done))
                .compose(rows -> held(rows));
    }

    /** The row tells whether we still hold the job, and whether this was to be its last chunk. */
    private Future<Void> held(RowSet<Row> rows) {
        if (rows.size() == 0) {
            stop(Why.FENCED);
            return Future.failedFuture(new Stop(Why.FENCED));
        }
        if (rows.iterator().next().getBoolean("cancel_asked")) {
            stop(Why.CANCELLED);
        }
        return Future.succeededFuture();
    }

    /** A stored file. Fails as {@link Blobs#open}. */
    public Future<Blobs.Content> readBlob(UUID blobId) {
        return jobs.blobs.open(Call.Lane.JOB, blobId);
    }

    /** Runs what computes long on the bounded pool; fails with {@code server.busy} when too much waits for it. */
    public <T> Future<T> compute(Callable<T> work) {
        return jobs.compute(work);
    }

    void stop(Why why) {
        if (stopping == null) {
            stopping = why;
        }
    }

    /** Takings since the position last moved, this one included. */
    int attempts() {
        return attempts;
    }

    Future<Void> halted() {
        Why why = stopping;
        return Future.failedFuture(new Stop(why == null ? Why.STOPPED : why));
    }
}
