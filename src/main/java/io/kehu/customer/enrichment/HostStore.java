package io.kehu.customer.enrichment;

import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.util.Optional;

/** SQL of what all nodes together know of a server: whose turn it is, and what its robots.txt says. */
final class HostStore {
    /** Each takes the next place; whoever would wait too long takes none. */
    private static final String TURN = """
            INSERT INTO customer.enrichment_host AS h (host, next_at) VALUES ($1, kehu.now() + $2::int * interval '1 millisecond')
            ON CONFLICT (host) DO UPDATE SET next_at = greatest(h.next_at, kehu.now()) + $2::int * interval '1 millisecond'
            WHERE h.next_at <= kehu.now() + $3::int * interval '1 millisecond'
            RETURNING greatest(0, extract(epoch FROM h.next_at - kehu.now()) * 1000 - $2)::bigint AS wait""";

    private static final String ROBOTS =
            "SELECT robots::text AS robots FROM customer.enrichment_host WHERE host = $1 AND robots_until > kehu.now()";
    private static final String KEEP = """
            UPDATE customer.enrichment_host SET robots = $2::text::jsonb, robots_until = kehu.now() + $3::int * interval '1 second'
            WHERE host = $1""";

    private final Database database;

    HostStore(Database database) {
        this.database = database;
    }

    /** How many milliseconds until it is the caller's turn; empty where it would be too long. */
    Future<Optional<Long>> turn(Call call, String host, int gapMillis, int waitMillis) {
        return database.query(call, TURN, Tuple.of(host, gapMillis, waitMillis))
                .map(rows -> rows.size() == 0
                        ? Optional.empty()
                        : Optional.of(rows.iterator().next().getLong("wait")));
    }

    /** What counts now; empty where it has to be asked for. */
    Future<Optional<RobotsRules>> robots(Call call, String host) {
        return database.query(call, ROBOTS, Tuple.of(host)).map(rows -> {
            for (Row row : rows) {
                return Optional.of(
                        RobotsRules.from(Json.parse(io.vertx.core.buffer.Buffer.buffer(row.getString("robots")))));
            }
            return Optional.empty();
        });
    }

    Future<?> keep(Call call, String host, RobotsRules rules, int seconds) {
        return database.query(call, KEEP, Tuple.of(host, rules.toJson().toString(), seconds));
    }
}
