package io.kehu.sql;

import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;

/**
 * {@code kehu.now()} as this node last heard it, carried on by the monotonic timer: so a node whose own clock is wrong still
 * follows the database's, and the test clock moves every node. Good for expiry checks between polls; what is stored takes
 * its time from the database itself.
 */
public final class Clock {
    /** Database milliseconds minus monotonic milliseconds. */
    private volatile long ahead = System.currentTimeMillis() - monotonicMillis();

    private volatile long heardAt = Long.MIN_VALUE / 2;

    /** The timer of this process: no clock that is set anew moves it. */
    public static long monotonicMillis() {
        return System.nanoTime() / 1_000_000;
    }

    public void heard(OffsetDateTime databaseNow) {
        ahead = databaseNow.toInstant().toEpochMilli() - monotonicMillis();
        heardAt = monotonicMillis();
    }

    /** Epoch milliseconds. */
    public long millis() {
        return ahead + monotonicMillis();
    }

    public OffsetDateTime now() {
        return Instant.ofEpochMilli(millis()).atOffset(ZoneOffset.UTC);
    }

    /** How long the database has not been heard. */
    public long silentMillis() {
        return monotonicMillis() - heardAt;
    }
}
