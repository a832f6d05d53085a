package io.kehu.sql;

import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.vertx.core.Future;
import io.vertx.pgclient.PgException;
import java.io.IOException;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What the database's failures mean. SQL states: PostgreSQL documentation, appendix A. */
final class Failures {
    private static final String UNIQUE_VIOLATION = "23505";
    private static final String LOCK_NOT_AVAILABLE = "55P03";
    private static final String QUERY_CANCELED = "57014";
    private static final String DEADLOCK_DETECTED = "40P01";
    /** A reading replica took back what a query was reading. */
    private static final String SERIALIZATION_FAILURE = "40001";

    private Failures() {}

    /** The failure as a problem where it is an expected one, else unchanged. */
    static <T> Future<T> translated(Throwable failure) {
        return Future.failedFuture(translate(failure));
    }

    static Throwable translate(Throwable failure) {
        if (failure instanceof PgException database) {
            Problem named = Problems.ofConstraint(database.getConstraint());
            if (named != null) {
                // A rule that is a trigger says in its hint, part by part, what the texts of the problem speak of.
                String hint = database.getHint();
                return hint == null ? named : Problem.of(named.code(), hint.split("\\|", -1));
            }
            return switch (database.getSqlState()) {
                case LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED, SERIALIZATION_FAILURE -> Problem.of("server.contended");
                case QUERY_CANCELED -> Problem.of("server.slow");
                case "25P03", "25006" -> Problem.of("server.unavailable");
                default -> isServersTrouble(database) ? Problem.of("server.unavailable") : failure;
            };
        }
        return isConnection(failure) ? Problem.of("server.unavailable") : failure;
    }

    /** Why no connection was given: too many wait, or the server is not there. */
    static Throwable noConnection(Throwable failure) {
        String message = String.valueOf(failure.getMessage());
        return message.contains("queue size") || message.contains("Timeout")
                ? Problem.of("server.busy")
                : translate(failure);
    }

    static boolean isKeyTaken(Throwable failure) {
        return failure instanceof PgException database
                && UNIQUE_VIOLATION.equals(database.getSqlState())
                && "idempotency_key_once".equals(database.getConstraint());
    }

    static boolean isLockTimeout(Throwable failure) {
        return failure instanceof PgException database && LOCK_NOT_AVAILABLE.equals(database.getSqlState());
    }

    /** The statement was not carried out because its time was over or somebody cancelled it. */
    static boolean isCancelled(Throwable failure) {
        return failure instanceof PgException database && QUERY_CANCELED.equals(database.getSqlState());
    }

    /**
     * The database said no to this statement, so we know that the transaction did not commit. A server in trouble says no
     * such thing: one that panics while it writes its log may find the transaction there when it comes back.
     */
    static boolean isCertain(Throwable failure) {
        return failure instanceof PgException database && !isServersTrouble(database);
    }

    /** Nothing that the statement can be blamed for: a lost line, a full disk or memory, an operator, a fault of the disk. */
    private static boolean isServersTrouble(PgException failure) {
        String state = failure.getSqlState();
        return Stream.of("08", "53", "57P", "58").anyMatch(state::startsWith);
    }

    private static boolean isConnection(@Nullable Throwable failure) {
        return failure instanceof IOException
                || failure instanceof TimeoutException
                || failure instanceof io.vertx.core.VertxException
                || failure instanceof io.vertx.sqlclient.ClosedConnectionException
                || (failure instanceof IllegalStateException && "Connection is closed".equals(failure.getMessage()));
    }
}
