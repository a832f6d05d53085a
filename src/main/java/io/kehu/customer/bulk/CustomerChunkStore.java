package io.kehu.customer.bulk;

import io.kehu.bus.Call;
import io.kehu.customer.CustomerStore;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.util.Collection;
import java.util.UUID;

/** SQL of many customers that may be there already. Whose they are is for the caller to look at: the rows say it. */
final class CustomerChunkStore {
    private static final String READ = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped, b.value,
            (SELECT m.id FROM customer.customer m WHERE m.seq = b.side) AS side
            FROM customer.blind b
            JOIN customer.customer c ON c.seq = b.seq
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE b.kind = 'external' AND b.value = ANY ($1)""";
    private static final String OWNERS = """
            SELECT b.value, c.id FROM customer.blind b JOIN customer.customer c ON c.seq = b.seq
            WHERE b.kind = 'document' AND b.value = ANY ($1)""";
    private static final String LOCK = "SELECT " + CustomerStore.COLUMNS + """
            , s.personal, k.epoch, k.wrapped,""" + " " + CustomerStore.HAS_SIDES + """

            FROM customer.customer c
            JOIN customer.sealed s ON s.id = c.id
            JOIN kehu.data_key k ON k.subject_id = c.id
            WHERE c.id = $1 AND c.deleted_at IS NULL FOR UPDATE OF c""";

    private final Database database;

    CustomerChunkStore(Database database) {
        this.database = database;
    }

    /** The customers that have one of these external ids, each with the blind index it was found by; deleted ones too. */
    Future<RowSet<Row>> byExternal(Call call, Collection<Buffer> blinds) {
        return database.query(call, READ, array(blinds));
    }

    /** Which customer has which of these documents. */
    Future<RowSet<Row>> byDocument(Call call, Collection<Buffer> blinds) {
        return database.query(call, OWNERS, array(blinds));
    }

    private static Tuple array(Collection<Buffer> blinds) {
        return Tuple.tuple().addArrayOfBuffer(blinds.toArray(Buffer[]::new));
    }

    /** One customer, held until the end of the transaction. */
    Future<Row> locked(Tx tx, UUID id) {
        return tx.row(LOCK, Tuple.of(id), "customer.notFound");
    }
}
