package io.kehu.customer.source;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;

/** SQL of who said the fields of one customer. */
final class SourceStore {
    private static final String LIST =
            "SELECT f.field, f.source, f.valid_from FROM customer.field_source f WHERE f.customer_id = $1 ORDER BY f.field";
    private static final String RELEASE = """
            WITH word AS (SELECT jsonb_build_array(jsonb_build_object('fields', ARRAY[$2::text])) AS said)
            UPDATE customer.field_sources f SET said = customer.last_word(f.said, word.said) FROM word
            WHERE f.id = $1 AND f.said <> customer.last_word(f.said, word.said)""";

    private final Database database;

    SourceStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, UUID customer) {
        return database.query(call, LIST, Tuple.of(customer));
    }

    /** Yields whether somebody was noted. */
    Future<Boolean> release(Tx tx, UUID customer, String field) {
        return tx.query(RELEASE, Tuple.of(customer, field)).map(rows -> rows.rowCount() > 0);
    }
}
