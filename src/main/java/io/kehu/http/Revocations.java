package io.kehu.http;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
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
            SELECT one.now, r.subject_id, r.min_version, r.session_id, r.at, r.id
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
    private @Nullable Consumer<Set<UUID>> forgetter;
    /** Ids of the rows that the last poll read. */
    private Set<Long> known = Set.of();
    /** Counts polls that brought something new. */
    private volatile long heard;

    private long timer = -1;
    private boolean polling;

    private record Version(long least, long at, long heard) {}

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

    /** Called with the sessions and subjects that a poll found revoked, so that what is remembered of them is dropped. */
    void onRevoked(Consumer<Set<UUID>> forget) {
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
                    long number = heard + 1;
                    Set<UUID> news = new HashSet<>();
                    Set<Long> read = new HashSet<>();
                    for (Row row : rows) {
                        clock.heard(row.getOffsetDateTime(0));
                        OffsetDateTime at = row.getOffsetDateTime(4);
                        // Polls overlap: the same row comes again and again. Rows do not come in the order of their
                        // times.
                        if (at != null && read.add(row.getLong(5)) && !known.contains(row.getLong(5))) {
                            remember(row, at.toInstant().toEpochMilli(), number);
                            UUID session = row.getUUID(3);
                            news.add(session != null ? session : row.getUUID(1));
                        }
                    }
                    known = read;
                    if (!news.isEmpty()) {
                        heard = number;
                        if (forgetter != null) {
                            forgetter.accept(news);
                        }
                    }
                    long old = clock.millis() - tokenMillis - OVERLAP_MILLIS;
                    sessions.values().removeIf(at -> at < old);
                    subjects.values().removeIf(v -> v.at < old);
                    return null;
                });
    }

    private void remember(Row row, long at, long number) {
        UUID session = row.getUUID(3);
        if (session != null) {
            sessions.put(session, at);
            return;
        }
        UUID subject = row.getUUID(1);
        long least = row.getLong(2);
        Version before = subjects.get(subject);
        subjects.put(
                subject,
                before == null
                        ? new Version(least, at, number)
                        : new Version(Math.max(before.least, least), Math.max(before.at, at), number));
    }

    /** A number that grows with the news; what was read under an older one may be stale. */
    long heard() {
        return heard;
    }

    /** Whether the rights of a subject, or of many at once, have changed since. */
    boolean changedSince(UUID subject, long number) {
        Version one = subjects.get(subject);
        Version many = subjects.get(Principal.NOBODY);
        return (one != null && one.heard > number) || (many != null && many.heard > number);
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
