package io.kehu.job;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Rotates keys while everybody works. A new master key wraps the keys of the folder anew. A new epoch goes this way, and a
 * process that dies leaves the next step to whoever asks again or takes the job over:
 *
 * <pre>
 * announced   the database names the epoch that is to be, with an audit row
 * begun       the key file has it, new data keys are wrapped by it; the job keys.rewrap wraps the old ones anew, in chunks
 * closed      no data key may be wrapped by an older epoch any more; begun long enough ago that every node knows the new one
 * retired     no data key is wrapped by an older epoch; their keys stay in the file, because backups and stored answers need
 *             them
 * </pre>
 *
 * <p>Data keys stay what they are, so no personal data is read or written by any of this.
 */
public final class KeyRotation {
    private static final Logger LOG = LoggerFactory.getLogger(KeyRotation.class);
    /** What a node runs that runs any domain at all. */
    public static final String ROOM = "keys";

    private static final String KIND = ROOM + ".rewrap";
    private static final String PERMISSION = "job:read";
    private static final UUID FIRST = new UUID(0, 0);
    private static final int CALL_MILLIS = 30_000;
    /** Looks of a node at the key folder that the slowest one is given before old epochs are closed. */
    private static final int LOOKS = 5;
    /** Until whatever began before an epoch was closed has ended: longer than any statement may run. */
    private static final int HORIZON_POLLS = 600;

    private static final int HORIZON_POLL_MILLIS = 100;

    private static final String EPOCHS = """
            SELECT max(number) AS latest, max(number) FILTER (WHERE begun_at IS NOT NULL) AS begun,
                   count(*) FILTER (WHERE retired_at IS NULL) - 1 AS older,
                   (SELECT id FROM kehu.job WHERE kind = $1 AND state IN ('waiting', 'running') ORDER BY id LIMIT 1) AS job
            FROM kehu.key_epoch""";
    private static final String ANNOUNCE = "INSERT INTO kehu.key_epoch (number) VALUES ($1) ON CONFLICT DO NOTHING";
    private static final String BEGIN =
            "UPDATE kehu.key_epoch SET begun_at = coalesce(begun_at, kehu.now()) WHERE number = $1";
    private static final String CLOSE =
            "UPDATE kehu.key_epoch SET closed_at = kehu.now() WHERE number < $1 AND begun_at IS NOT NULL AND closed_at IS NULL";
    private static final String RETIRE = """
            UPDATE kehu.key_epoch SET retired_at = kehu.now() WHERE number < $1 AND closed_at IS NOT NULL AND retired_at IS NULL
            AND NOT EXISTS (SELECT FROM kehu.data_key WHERE epoch < $1)""";
    private static final String OLDER = "SELECT count(*) FROM kehu.data_key WHERE epoch < $1";
    private static final String NEXT = """
            SELECT subject_id, epoch, wrapped FROM kehu.data_key WHERE epoch < $1 AND (epoch, subject_id) > ($2, $3)
            ORDER BY epoch, subject_id LIMIT $4""";
    /** A key that was erased or wrapped anew since it was read is left alone. */
    private static final String PUT = """
            UPDATE kehu.data_key k SET epoch = $1, wrapped = n.wrapped
            FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n (subject_id, old, wrapped)
            WHERE k.subject_id = n.subject_id AND k.wrapped = n.old""";

    private static final String UNKNOWN_MILLIS = """
            SELECT ceil(extract(epoch FROM begun_at - kehu.now()) * 1000)::bigint + $2::int FROM kehu.key_epoch WHERE number = $1""";
    private static final String NOW_RUNNING = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
    private static final String ENDED = "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8";
    private static final String PROGRESS =
            "SELECT state, rows_accepted, units_total, error_code, error_args FROM kehu.job WHERE id = $1";

    private final Vertx vertx;
    private final Database database;
    private final KeyStore keys;
    private final Vault vault;
    private final Jobs jobs;
    private final Options options;
    private final AtomicLong rewrapped = new AtomicLong();
    private long timer = -1;

    /**
     * The bounds.
     *
     * @param chunkRows data keys wrapped anew in one transaction; 5,000 take less than a second
     * @param reloadMillis between two looks at the key folder
     */
    public record Options(int chunkRows, int reloadMillis) {}

    /**
     * How far a rotation is.
     *
     * @param state of the job: waiting, running, done, failed or cancelled
     * @param total data keys that were to be wrapped anew when it began; null as long as nobody has begun
     * @param problem why it failed
     */
    public record Progress(
            String state,
            long rewrapped,
            @Nullable Long total,
            @Nullable Problem problem) {
        public boolean ended() {
            return !state.equals("waiting") && !state.equals("running");
        }
    }

    /** A rotation to an epoch and the job that ends it. */
    public record Rotation(int epoch, UUID job) {}

    public KeyRotation(Vertx vertx, Database database, KeyStore keys, Vault vault, Jobs jobs, Options options) {
        this.vertx = vertx;
        this.database = database;
        this.keys = keys;
        this.vault = vault;
        this.jobs = jobs;
        this.options = options;
        jobs.register(KIND, null, this::rewrap);
    }

    /** Looks at the key folder from now on: what another process changed there is known here without a restart. */
    public void watch() {
        timer = vertx.setPeriodic(
                options.reloadMillis,
                t -> inFiles(keys::reload)
                        .onFailure(e -> LOG.warn("the keys could not be read again: {}", e.getMessage())));
    }

    public Future<Void> close() {
        vertx.cancelTimer(timer);
        return Future.succeededFuture();
    }

    /** Data keys that this node has wrapped anew. */
    public long rewrapped() {
        return rewrapped.get();
    }

    /** Makes a new master key, or ends a change of it that died. Audited before and after. */
    public Future<Void> master() {
        Call call = Call.internal("rotateMasterKey", Call.Lane.POINT, CALL_MILLIS);
        return database.write(call, tx -> said(tx, masterEvent("key.announced")))
                .compose(v -> inFiles(keys::rotateMaster))
                .compose(v -> database.write(call, tx -> said(tx, masterEvent("key.rotated"))))
                .mapEmpty();
    }

    /**
     * Begins a new epoch, or takes an earlier rotation up where it was: a new one begins only when all older ones are
     * retired. Fails with {@link KeyStore.Refused} where the key folder is older than the database.
     */
    public Future<Rotation> epoch() {
        return database.query(Call.Lane.POINT, EPOCHS, Tuple.of(KIND)).compose(rows -> {
            Row row = rows.iterator().next();
            int latest = row.getInteger("latest");
            if (row.getUUID("job") != null) {
                return Future.succeededFuture(new Rotation(latest, row.getUUID("job")));
            }
            boolean unended = row.getLong("older") > 0;
            int wanted = Math.max(keys.current(KeyStore.Kind.EPOCHS), unended ? latest : latest + 1);
            return announce(wanted)
                    .compose(v -> inFiles(() -> keys.rotateTo(KeyStore.Kind.EPOCHS, wanted, row.getInteger("begun"))))
                    .compose(v -> begin(wanted));
        });
    }

    private Future<Void> announce(int epoch) {
        return database.write(
                        Call.internal("rotateEpochKey", Call.Lane.POINT, CALL_MILLIS),
                        tx -> tx.query(ANNOUNCE, Tuple.of(epoch))
                                .compose(v -> said(tx, epochEvent("key.announced", epoch))))
                .mapEmpty();
    }

    private Future<Rotation> begin(int epoch) {
        UUID[] job = new UUID[1];
        return database.write(
                        Call.internal("rotateEpochKey", Call.Lane.POINT, CALL_MILLIS),
                        tx -> tx.query(BEGIN, Tuple.of(epoch))
                                .compose(
                                        v -> jobs.submit(tx, KIND, Json.object().put("epoch", epoch)))
                                .compose(id -> {
                                    job[0] = id;
                                    return said(tx, epochEvent("key.rotated", epoch));
                                }))
                .map(v -> {
                    jobs.hint();
                    return new Rotation(epoch, job[0]);
                });
    }

    public Future<Progress> progress(UUID job) {
        return database.query(Call.Lane.POINT, PROGRESS, Tuple.of(job)).map(rows -> {
            Row row = rows.iterator().next();
            String code = row.getString("error_code");
            return new Progress(
                    row.getString("state"),
                    row.getLong("rows_accepted"),
                    row.getLong("units_total"),
                    code == null ? null : Problem.of(code, row.getArrayOfStrings("error_args")));
        });
    }

    // ---- the job

    private Future<Void> rewrap(JobRun run) {
        int epoch = run.params().required("epoch").intValue();
        return inFiles(keys::reload)
                .compose(v -> keys.current(KeyStore.Kind.EPOCHS) < epoch
                        ? Future.failedFuture(Problem.of("server.unavailable"))
                        : total(run, epoch))
                .compose(v -> sweep(run, epoch))
                .compose(v -> everyNodeKnows(epoch))
                .compose(v -> step(run, epoch, CLOSE, "key.closed"))
                .compose(v -> whatBeganBeforeHasEnded())
                // Once more from the beginning: what a node wrapped by an old epoch behind the sweep.
                .compose(v -> run.move(
                        Json.object().put("done", run.position().path("done").longValue()),
                        new JobRun.Progress(0, 0, 0, null)))
                .compose(v -> sweep(run, epoch))
                .compose(v -> step(run, epoch, RETIRE, "key.retired"))
                .compose(v -> database.query(run.call(), OLDER, Tuple.of(epoch)))
                .compose(rows -> {
                    long left = rows.iterator().next().getLong(0);
                    return left == 0
                            ? Future.succeededFuture()
                            : Future.failedFuture(Problem.of("key.unopened", Long.toString(left)));
                });
    }

    private Future<Void> total(JobRun run, int epoch) {
        return run.position().isEmpty()
                ? database.query(run.call(), OLDER, Tuple.of(epoch))
                        .compose(rows -> run.total(rows.iterator().next().getLong(0)))
                : Future.succeededFuture();
    }

    private Future<Void> sweep(JobRun run, int epoch) {
        Promise<Void> swept = Promise.promise();
        sweepOn(run, epoch, swept);
        return swept.future();
    }

    private void sweepOn(JobRun run, int epoch, Promise<Void> swept) {
        chunk(run, epoch).onComplete(done -> {
            if (done.failed()) {
                swept.fail(done.cause());
            } else if (done.result()) {
                sweepOn(run, epoch, swept);
            } else {
                swept.complete();
            }
        });
    }

    /** The next data keys of older epochs; false when there are none. */
    private Future<Boolean> chunk(JobRun run, int epoch) {
        var position = run.position();
        UUID after =
                position.has("after") ? UUID.fromString(position.get("after").textValue()) : FIRST;
        return database.query(
                        run.call(), NEXT, Tuple.of(epoch, position.path("epoch").intValue(), after, options.chunkRows))
                .compose(rows -> rows.size() == 0
                        ? Future.succeededFuture(false)
                        : run.compute(() -> wrapped(rows))
                                .compose(chunk -> run.chunk(tx -> put(
                                        tx, epoch, chunk, position.path("done").longValue())))
                                .map(true));
    }

    /** One chunk, read and wrapped anew. */
    @SuppressWarnings("ArrayRecordComponent") // bytes for the audit, never compared as records
    private record Wrapped(
            List<UUID> ids, List<Buffer> old, List<Buffer> fresh, int unopened, Row first, Row last, byte[] hash) {}

    private Wrapped wrapped(RowSet<Row> rows) {
        List<UUID> ids = new ArrayList<>();
        List<Buffer> old = new ArrayList<>();
        List<Buffer> fresh = new ArrayList<>();
        MessageDigest digest = Sha256.start();
        int unopened = 0;
        Row first = rows.iterator().next();
        Row last = first;
        for (Row row : rows) {
            last = row;
            UUID subject = row.getUUID("subject_id");
            try {
                Vault.NewKey made = vault.rewrap(
                        subject,
                        row.getInteger("epoch"),
                        row.getBuffer("wrapped").getBytes());
                ids.add(subject);
                old.add(row.getBuffer("wrapped"));
                fresh.add(Buffer.buffer(made.wrapped()));
                digest.update(subject.toString().getBytes(StandardCharsets.US_ASCII));
                digest.update(made.wrapped());
            } catch (Vault.Tampered e) {
                unopened++;
            }
        }
        return new Wrapped(ids, old, fresh, unopened, first, last, digest.digest());
    }

    private Future<JobRun.Step> put(Tx tx, int epoch, Wrapped chunk, long before) {
        return tx.query(
                        PUT,
                        Tuple.tuple()
                                .addInteger(epoch)
                                .addArrayOfUUID(chunk.ids.toArray(UUID[]::new))
                                .addArrayOfBuffer(chunk.old.toArray(Buffer[]::new))
                                .addArrayOfBuffer(chunk.fresh.toArray(Buffer[]::new)))
                .map(rows -> {
                    long done = rows.rowCount();
                    long altogether = before + chunk.ids.size() + chunk.unopened;
                    rewrapped.addAndGet(done);
                    return new JobRun.Step(
                            new Database.Chunk(
                                    "data-key",
                                    done,
                                    chunk.hash,
                                    chunk.first.getUUID("subject_id").toString(),
                                    chunk.last.getUUID("subject_id").toString(),
                                    epochEvent("key.rewrapped", epoch).with("rows", done)),
                            Json.object()
                                    .put("epoch", chunk.last.getInteger("epoch"))
                                    .put(
                                            "after",
                                            chunk.last.getUUID("subject_id").toString())
                                    .put("done", altogether),
                            new JobRun.Progress(altogether - before, done, chunk.unopened, altogether));
                });
    }

    private Future<Void> everyNodeKnows(int epoch) {
        return database.query(Call.Lane.JOB, UNKNOWN_MILLIS, Tuple.of(epoch, LOOKS * options.reloadMillis))
                .compose(rows -> {
                    long millis = rows.iterator().next().getLong(0);
                    return millis <= 0
                            ? Future.succeededFuture()
                            : vertx.timer(millis).mapEmpty();
                });
    }

    /** A data key that was wrapped before its epoch was closed may still be on its way: until then nothing is counted. */
    private Future<Void> whatBeganBeforeHasEnded() {
        return database.query(Call.Lane.JOB, NOW_RUNNING, Tuple.tuple())
                .compose(rows -> ended(rows.iterator().next().getString(0), HORIZON_POLLS));
    }

    private Future<Void> ended(String xid, int polls) {
        return database.query(Call.Lane.JOB, ENDED, Tuple.of(xid)).compose(rows -> {
            if (rows.iterator().next().getBoolean(0)) {
                return Future.succeededFuture();
            }
            return polls == 0
                    ? Future.failedFuture(Problem.of("server.contended"))
                    : vertx.timer(HORIZON_POLL_MILLIS).compose(t -> ended(xid, polls - 1));
        });
    }

    private Future<Void> step(JobRun run, int epoch, String sql, String event) {
        return run.cancelled()
                ? run.halted()
                : database.write(
                                run.call(),
                                tx -> tx.query(sql, Tuple.of(epoch)).compose(v -> said(tx, epochEvent(event, epoch))))
                        .mapEmpty();
    }

    // ---- what is said of it

    static Future<Reply> said(Tx tx, Event event) {
        tx.kind("key");
        tx.event(event);
        return Future.succeededFuture(Reply.empty());
    }

    private static Event epochEvent(String type, int epoch) {
        return event(type, "epoch." + epoch, epoch).with("key", "epoch").with("number", epoch);
    }

    private Event masterEvent(String type) {
        return event(type, "master." + keys.masterId(), 1).with("key", "master");
    }

    /** Audit and events name things by UUID. */
    static Event event(String type, String key, int version) {
        UUID id = UUID.nameUUIDFromBytes(("kehu.key." + key).getBytes(StandardCharsets.UTF_8));
        return Event.of(type, id, version, PERMISSION);
    }

    private Future<Void> inFiles(Runnable work) {
        return vertx.executeBlocking(
                () -> {
                    work.run();
                    return null;
                },
                false);
    }
}
