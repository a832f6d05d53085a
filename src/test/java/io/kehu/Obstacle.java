package io.kehu;

import static org.awaitility.Awaitility.await;

import io.kehu.app.Migrations;
import io.kehu.app.TestServers;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** Something in the database that is held, so that whoever wants it waits there, and is cancelled or loses his connection meanwhile. */
public final class Obstacle implements AutoCloseable {
    private static final Duration SOON = Duration.ofSeconds(10);
    private static final String CANCEL = "pg_cancel_backend(pid)";
    private static final String TERMINATE = "pg_terminate_backend(pid)";

    private final Connection holder;
    private final Connection superuser;

    /**
     * Takes it.
     *
     * @param lock e.g. {@code LOCK TABLE kehu.blob IN ACCESS EXCLUSIVE MODE}
     */
    public Obstacle(TestKehu kehu, String lock) throws SQLException {
        String uri = kehu.settings().postgresql().ownerUri();
        this.superuser = Migrations.connect(TestServers.superuser(uri), 5_000);
        this.holder = Migrations.connect(uri, 5_000);
        holder.setAutoCommit(false);
        try (Statement sql = holder.createStatement()) {
            sql.execute(lock);
        }
    }

    /** Waits until a statement that begins so waits for it, and cancels it. */
    public void cancel(String statement) {
        await().atMost(SOON)
                .pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(5))
                .until(() -> hit(CANCEL, statement) > 0);
    }

    /** What came of something whose statements were cancelled whenever they waited. */
    public <T> T cancelled(String statement, Supplier<T> asked) {
        return hit(CANCEL, statement, asked);
    }

    /** What came of something whose connections were ended whenever they waited. */
    public <T> T ended(String statement, Supplier<T> asked) {
        return hit(TERMINATE, statement, asked);
    }

    private <T> T hit(String deed, String statement, Supplier<T> asked) {
        CompletableFuture<T> answer = CompletableFuture.supplyAsync(asked);
        await().atMost(SOON)
                .pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(5))
                .until(() -> {
                    hit(deed, statement);
                    return answer.isDone();
                });
        return answer.join();
    }

    private long hit(String deed, String statement) throws SQLException {
        try (PreparedStatement sql = superuser.prepareStatement("SELECT count(*) FILTER (WHERE " + deed + """
                ) FROM pg_stat_activity
                WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
                    AND starts_with(ltrim(query), ?)""")) {
            sql.setString(1, statement);
            try (ResultSet hit = sql.executeQuery()) {
                hit.next();
                return hit.getLong(1);
            }
        }
    }

    /** Lets go of it. */
    @Override
    public void close() throws SQLException {
        holder.rollback();
        holder.close();
        superuser.close();
    }
}
