package io.kehu.customer.seed;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of seeding: how far it came, and where customers can be put. */
final class SeedStore {
    private static final String POSITION = "SELECT reference, position FROM customer.seeding WHERE seed = $1";
    private static final String MOVE = """
            INSERT INTO customer.seeding (seed, reference, position) VALUES ($1, $2, $3)
            ON CONFLICT (seed) DO UPDATE SET position = $3 WHERE customer.seeding.position = $4
            RETURNING position""";
    private static final String PLACES = """
            SELECT branch_id, id AS manager_id FROM iam.active_staff WHERE 'customer-manager' = ANY (roles)
            UNION ALL
            SELECT id, NULL FROM iam.open_branch
            WHERE NOT EXISTS (SELECT FROM iam.active_staff WHERE 'customer-manager' = ANY (roles))
            ORDER BY 1, 2""";
    private static final List<String> TABLES =
            List.of("customer.customer", "customer.sealed", "customer.search_token", "customer.blind");

    private final Database database;

    SeedStore(Database database) {
        this.database = database;
    }

    record Place(UUID branch, @Nullable UUID manager) {}

    /**
     * How far an earlier run came.
     *
     * @param reference the day as of which its people were invented
     */
    record Stand(LocalDate reference, long position) {}

    /** Null where no run began. */
    Future<@Nullable Stand> stand(long seed) {
        return database.query(Call.Lane.JOB, POSITION, Tuple.of(seed)).map(rows -> {
            if (rows.size() == 0) {
                return null;
            }
            Row row = rows.iterator().next();
            return new Stand(row.getLocalDate("reference"), row.getLong("position"));
        });
    }

    /** The customer managers at their branches; where there are none, the open branches. */
    Future<List<Place>> places() {
        return database.query(Call.Lane.JOB, PLACES, Tuple.tuple()).map(rows -> {
            List<Place> places = new ArrayList<>();
            for (Row row : rows) {
                places.add(new Place(row.getUUID("branch_id"), row.getUUID("manager_id")));
            }
            return places;
        });
    }

    /** Two runs at once would enter the same people: the second finds the position moved. */
    Future<Void> move(Tx tx, long seed, LocalDate reference, long from, long next) {
        return tx.row(MOVE, Tuple.of(seed, reference, next, from), "server.contended")
                .mapEmpty();
    }

    /** Statistics for the planner and the visibility map; autovacuum would come to it, only later. */
    Future<Void> tidy() {
        Future<?> done = Future.succeededFuture();
        for (String table : TABLES) {
            done = done.transform(before -> database.query(Call.Lane.JOB, "VACUUM (ANALYZE) " + table, Tuple.tuple()));
        }
        return done.transform(last -> Future.succeededFuture());
    }
}
