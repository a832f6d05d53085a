package io.kehu.sql;

import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.vertx.core.Future;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import org.jspecify.annotations.Nullable;

/** Versions and instants: reading what was, and changing only what the caller has seen. */
public final class Past {
    private static final String NOW = "SELECT kehu.now()";
    /** No writing transaction lives longer, so what was true before it cannot change any more. */
    private static final int SETTLED_SECONDS = 10;

    private Past() {}

    /** The instant of {@code asOf}, or null for now. Fails with {@code request.asOfTooLate} within the last 10 seconds. */
    public static Future<@Nullable OffsetDateTime> instant(Call call, Database database) {
        String text = call.text("asOf");
        if (text == null) {
            return Future.succeededFuture(null);
        }
        OffsetDateTime asOf = OffsetDateTime.parse(text);
        return database.query(call, NOW, Tuple.tuple()).compose(rows -> {
            OffsetDateTime now = rows.iterator().next().getOffsetDateTime(0);
            return asOf.isAfter(now.minusSeconds(SETTLED_SECONDS))
                    ? Future.failedFuture(Problem.of("request.asOfTooLate"))
                    : Future.succeededFuture(asOf);
        });
    }

    /** Fails with {@code request.stale} unless the caller's {@code If-Match} names this version. */
    public static Future<Void> mustMatch(Call call, long version) {
        return Long.toString(version).equals(call.meta().ifMatch())
                ? Future.succeededFuture()
                : Future.failedFuture(Problem.of("request.stale"));
    }
}
