package io.kehu.http;

import io.kehu.bus.Call;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The revocations of the last token lifetime, as PostgreSQL has them: polled, never pushed, so a lost message cannot leave
 * somebody in. A poll reads back over the ones before it, because a transaction may commit after a later one.
 */
public final class Revocations {
    private static final Logger LOG = LoggerFactory.getLogger(Revocations.class);
    private static final String POLL = """
            SELECT one.now, r.subject_id, r.min_version, r.session_id, r.at
            FROM (SELECT kehu.now() AS now) one LEFT JOIN kehu.revocation r ON r.at > $1::timestamptz""";
    /** Longer than any writing transaction may live (statement and idle timeouts). */
    private static final long OVERLAP_MILLIS = 20_000;

    private final Vertx vertx;
    private final Database database;
    private final Clock clock;
    private final long tokenMillis;
    private final long blindMillis;
    private final Map<UUID, Long> sessions = new ConcurrentHashMap<>();
    private final Map<UUID, Version> subjects = new ConcurrentHashMap<>();
    private @Nullable Consumer<UUID> forgetter;
    private long timer = -1;
    private boolean polling;

    private record Version(long least, long at) {}

    /**
     * Watches with memory for one token lifetime.
     *
     * @param tokenMillis how long an access token lives
     * @param blindMillis after how long without a poll the memory of principals is not trusted any more
     */
    public Revocations(Vertx vertx, Database database, Clock clock, long tokenMillis, long blindMillis) {
        this.vertx = vertx;
        this.database = database;
        this.clock = clock;
        this.tokenMillis = tokenMillis;
        this.blindMillis = blindMillis;
    }

    /** Called with each session or subject that is revoked, so that what is remembered of it is dropped. */
    void onRevoked(Consumer<UUID> forget) {
        forgetter = forget;
    }

    /** The first poll must succeed; then one each {@code everyMillis}. */
    public Future<Void> start(long everyMillis) {
        return poll().onSuccess(v -> timer = vertx.setPeriodic(everyMillis, id -> {
            if (!polling) {
                polling = true;
                poll().onComplete(done -> {
                    polling = false;
                    if (done.failed()) {
                        LOG.warn(
                                "revocations could not be polled: {}",
                                done.cause().getMessage());
                    }
                });
            }
        }));
    }

    public void stop() {
        vertx.cancelTimer(timer);
    }

    private Future<Void> poll() {
        long since = clock.millis() - tokenMillis - OVERLAP_MILLIS;
        // Not in the lane of the callers: a node that is flooded must not go blind for want of a connection.
        return database.query(
                        Call.Lane.JOB,
                        POLL,
                        Tuple.of(java.time.Instant.ofEpochMilli(since).atOffset(java.time.ZoneOffset.UTC)))
                .map(rows -> {
                    for (Row row : rows) {
                        clock.heard(row.getOffsetDateTime(0));
                        OffsetDateTime at = row.getOffsetDateTime(4);
                        if (at != null) {
                            remember(row, at.toInstant().toEpochMilli());
                        }
                    }
                    long old = clock.millis() - tokenMillis - OVERLAP_MILLIS;
                    sessions.values().removeIf(at -> at < old);
                    subjects.values().removeIf(v -> v.at < old);
                    return null;
                });
    }

    private void remember(Row row, long at) {
        UUID session = row.getUUID(3);
        UUID subject = row.getUUID(1);
        boolean fresh;
        if (session != null) {
            fresh = sessions.put(session, at) == null;
        } else {
            long minVersion = row.getLong(2);
            // Polls overlap: the same row comes again and again.
            Version known = subjects.get(subject);
            fresh = known == null || known.at < at;
            if (fresh) {
                long least = known == null ? minVersion : Math.max(known.least, minVersion);
                subjects.put(subject, new Version(least, at));
            }
        }
        if (fresh && forgetter != null) {
            forgetter.accept(session != null ? session : subject);
        }
    }

    boolean isRevoked(UUID subject, long version, UUID session) {
        if (sessions.containsKey(session)) {
            return true;
        }
        Version least = subjects.get(subject);
        return least != null && version < least.least;
    }

    /** PostgreSQL has not been heard for too long: every request must ask it. */
    boolean isBlind() {
        return clock.silentMillis() > blindMillis;
    }
}
