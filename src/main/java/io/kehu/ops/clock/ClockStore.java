package io.kehu.ops.clock;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;

/** SQL of the clock, which is one row: {@code now} and the whole seconds it is {@code ahead}. */
final class ClockStore {
    private static final String READ =
            "SELECT kehu.now() AS now, round(extract(epoch FROM ahead))::bigint AS ahead FROM kehu.clock";
    private static final String MOVE = "UPDATE kehu.clock SET ahead = make_interval(secs => $1::float8)";
    private static final String DISTANCE =
            "SELECT round(extract(epoch FROM $1::timestamptz - clock_timestamp()))::bigint";

    private final Database database;

    ClockStore(Database database) {
        this.database = database;
    }

    Future<Row> read(Call call) {
        return database.row(call, READ, Tuple.tuple(), "server.failure");
    }

    Future<Row> move(Tx tx, long aheadSeconds) {
        return tx.query(MOVE, Tuple.of((double) aheadSeconds))
                .compose(v -> tx.row(READ, Tuple.tuple(), "server.failure"));
    }

    /** From the true time of the database to the wanted one. */
    Future<Long> secondsTo(Tx tx, OffsetDateTime wanted) {
        return tx.row(DISTANCE, Tuple.of(wanted), "server.failure").map(row -> row.getLong(0));
    }
}
