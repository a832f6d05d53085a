package io.kehu.fault;

import io.kehu.TestKehu;
import io.kehu.app.Migrations;
import io.kehu.app.TestServers;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * A bad time for all that Kehu's connections do: gusts, in which PostgreSQL cancels their statements or ends the connections, and
 * between them moments in which work gets on.
 */
final class Storm implements AutoCloseable {
    /** What a gust does to a connection. */
    enum Kind {
        /** BEGIN, COMMIT and ROLLBACK too: whatever is under way. */
        CANCEL("pg_cancel_backend(pid)", "state = 'active'"),
        /** Also those that nobody uses at the moment. */
        TERMINATE("pg_terminate_backend(pid)", "true");

        private final String sql;

        Kind(String deed, String whom) {
            sql = "SELECT count(*) FILTER (WHERE " + deed + ") FROM pg_stat_activity"
                    + " WHERE datname = current_database() AND application_name LIKE 'kehu-%' AND " + whom
                    + " AND random() < ?";
        }
    }

    /** Of the connections that are there, at each look. */
    private static final double SHARE = 0.4;

    private static final int GUST_MILLIS = 150;
    private static final int CALM_MILLIS = 350;

    private final Connection connection;
    private final Thread thread;
    private final long seed = new Random().nextLong();
    private volatile boolean over;
    private volatile @Nullable SQLException broken;
    private volatile int hits;

    /** Begins at once; what it does in turn is taken from the kinds. */
    Storm(TestKehu kehu, Kind... kinds) {
        connection = Migrations.connect(
                TestServers.superuser(kehu.settings().postgresql().ownerUri()), 5_000);
        thread = new Thread(() -> blow(kinds), "storm");
        thread.setDaemon(true);
        thread.start();
    }

    private void blow(Kind... kinds) {
        Random random = new Random(seed);
        try (PreparedStatement calm = connection.prepareStatement("SELECT pg_sleep(?)")) {
            while (!over) {
                Kind kind = kinds[random.nextInt(kinds.length)];
                try (PreparedStatement gust = connection.prepareStatement(kind.sql)) {
                    gust.setDouble(1, SHARE);
                    long end = System.nanoTime()
                            + Duration.ofMillis(random.nextInt(GUST_MILLIS)).toNanos();
                    do {
                        try (ResultSet hit = gust.executeQuery()) {
                            hit.next();
                            hits += hit.getInt(1);
                        }
                        // A connection that has just been made is let live for a moment.
                        calm.setDouble(1, kind == Kind.TERMINATE ? 0.02 : 0.001);
                        calm.execute();
                    } while (System.nanoTime() < end);
                }
                calm.setDouble(1, (50 + random.nextInt(CALM_MILLIS)) / 1e3);
                calm.execute();
            }
        } catch (SQLException e) {
            broken = e;
        }
    }

    /** Waits while it blows. */
    void blowFor(Duration length) throws InterruptedException {
        thread.join(length.toMillis());
    }

    @Override
    public String toString() {
        return "storm " + seed + ": " + hits + " hits";
    }

    /** Lets it pass. */
    @Override
    public void close() throws SQLException {
        over = true;
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        connection.close();
        if (broken != null) {
            throw new IllegalStateException(broken);
        }
    }
}
