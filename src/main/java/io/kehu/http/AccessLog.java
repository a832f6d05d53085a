package io.kehu.http;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Tuple;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Masked reads and what the gateway refused, written to {@code kehu.access_log} in batches each 500 ms: a crash loses at
 * most a second of it, and a flood beyond the bound is dropped and counted. What must not be lost is in the audit.
 */
public final class AccessLog {
    private static final Logger LOG = LoggerFactory.getLogger(AccessLog.class);
    private static final int BATCH = 5_000;
    private static final String INSERT = """
            INSERT INTO kehu.access_log (at, request_id, subject, session, address, operation, object_id, status, code, micros)
            SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[],
                                 $8::int[], $9::text[], $10::bigint[])
                AS e(at, request_id, subject, session, address, operation, object_id, status, code, micros)""";
    /** A batch that failed may be there all the same: only the answer was lost. */
    private static final String AGAIN = INSERT + """
             WHERE NOT EXISTS (SELECT FROM kehu.access_log l WHERE l.at = e.at AND l.request_id = e.request_id
                               AND l.operation = e.operation AND l.micros = e.micros)""";

    private final Vertx vertx;
    private final Database database;
    private final ArrayBlockingQueue<Entry> waiting;
    private final AtomicLong dropped = new AtomicLong();
    private final long timer;
    private Future<Void> writing = Future.succeededFuture();
    /** What could not be written the last time. */
    private volatile List<Entry> unwritten = List.of();

    /** One answered request; the time is {@code kehu.now()} of this node in epoch milliseconds. */
    record Entry(
            long atMillis,
            String requestId,
            UUID subject,
            @Nullable UUID session,
            String address,
            String operation,
            @Nullable UUID objectId,
            int status,
            @Nullable String code,
            long micros) {}

    public AccessLog(Vertx vertx, Database database, int everyMillis, int maxWaiting) {
        this.vertx = vertx;
        this.waiting = new ArrayBlockingQueue<>(maxWaiting);
        this.database = database;
        this.timer = vertx.setPeriodic(everyMillis, id -> {
            if (writing.isComplete()) {
                writing = flush();
            }
        });
    }

    void add(Entry entry) {
        if (!waiting.offer(entry)) {
            dropped.incrementAndGet();
        }
    }

    /** How many entries were dropped since the start because too many waited. */
    public long dropped() {
        return dropped.get();
    }

    private Future<Void> flush() {
        boolean again = !unwritten.isEmpty();
        List<Entry> batch = again ? unwritten : new ArrayList<>();
        if (!again) {
            waiting.drainTo(batch, BATCH);
        }
        int size = batch.size();
        if (size == 0) {
            return Future.succeededFuture();
        }
        OffsetDateTime[] at = new OffsetDateTime[size];
        String[] requestId = new String[size];
        UUID[] subject = new UUID[size];
        UUID[] session = new UUID[size];
        String[] address = new String[size];
        String[] operation = new String[size];
        UUID[] object = new UUID[size];
        Integer[] status = new Integer[size];
        String[] code = new String[size];
        Long[] micros = new Long[size];
        for (int i = 0; i < size; i++) {
            Entry entry = batch.get(i);
            at[i] = Instant.ofEpochMilli(entry.atMillis).atOffset(ZoneOffset.UTC);
            requestId[i] = entry.requestId;
            subject[i] = entry.subject;
            session[i] = entry.session;
            address[i] = entry.address;
            operation[i] = entry.operation;
            object[i] = entry.objectId;
            status[i] = entry.status;
            code[i] = entry.code;
            micros[i] = entry.micros;
        }
        return database.query(
                        Call.Lane.JOB,
                        again ? AGAIN : INSERT,
                        Tuple.tuple()
                                .addArrayOfOffsetDateTime(at)
                                .addArrayOfString(requestId)
                                .addArrayOfUUID(subject)
                                .addArrayOfUUID(session)
                                .addArrayOfString(address)
                                .addArrayOfString(operation)
                                .addArrayOfUUID(object)
                                .addArrayOfInteger(status)
                                .addArrayOfString(code)
                                .addArrayOfLong(micros))
                .transform(done -> {
                    // What the database cannot take now it can later, while no more wait than may.
                    boolean later = done.failed() && Problem.in(done.cause()) != null;
                    if (done.failed() && !later) {
                        drop(size, done.cause());
                    } else if (later && !again) {
                        LOG.warn(
                                "{} entries of the access log are written later: {}",
                                size,
                                done.cause().getMessage());
                    }
                    unwritten = later ? batch : List.of();
                    return !later && waiting.size() >= BATCH ? flush() : Future.succeededFuture();
                });
    }

    private void drop(int size, Throwable failure) {
        dropped.addAndGet(size);
        LOG.warn("{} entries of the access log could not be written: {}", size, failure.getMessage());
    }

    /** Writes what waits and ends. */
    public Future<Void> close() {
        vertx.cancelTimer(timer);
        return writing.compose(v -> flush()).compose(v -> flush()).onSuccess(v -> {
            int left = unwritten.size() + waiting.size();
            if (left > 0) {
                drop(left, Problem.of("server.unavailable"));
            }
        });
    }
}
