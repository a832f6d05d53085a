package io.kehu.customer.profile;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.crypto.Vault;
import io.kehu.customer.SealedTextStore;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of profiles, each under the key of the customer it was entered for. */
final class ProfileStore {
    private static final String COLUMNS = """
            SELECT p.id, p.customer_id, p.sealed, p.version, p.valid_from, k.epoch, k.wrapped
            """;
    /** The surviving side's own goes before those of sides that were merged into it. */
    private static final String ORDER = " ORDER BY (p.customer_id = $1) DESC, p.valid_from DESC, p.id LIMIT 1";

    private static final String FIND = COLUMNS + """
            FROM customer.profile p LEFT JOIN kehu.data_key k ON k.subject_id = p.customer_id
            WHERE p.customer_id IN (SELECT customer.sides($1))""" + ORDER;
    private static final String FIND_AS_OF = COLUMNS + """
            FROM customer.profile_all p LEFT JOIN kehu.data_key k ON k.subject_id = p.customer_id
            WHERE p.customer_id IN (SELECT customer.sides($1)) AND p.valid_from <= $2 AND p.valid_to > $2""" + ORDER;

    /** Of two first ones at once the second is refused. */
    private static final String INSERT = """
            INSERT INTO customer.profile (id, customer_id, sealed) VALUES ($1, $2, $3)
            ON CONFLICT (customer_id) DO NOTHING RETURNING version, valid_from""";
    /** Guarded by the version that was read: of two changes at once the second is refused. */
    private static final String UPDATE =
            "UPDATE customer.profile SET sealed = $2 WHERE id = $1 AND version = $3 RETURNING version, valid_from";

    private final Database database;
    private final SealedTextStore texts;

    ProfileStore(Database database, Vault vault) {
        this.database = database;
        this.texts = new SealedTextStore(vault, "customer.profile");
    }

    /**
     * What is known.
     *
     * @param id null where nothing is known; then the version is 0
     * @param customerId the side it is kept for
     */
    record Profile(
            @Nullable UUID id,
            UUID customerId,
            ObjectNode content,
            long version,
            @Nullable OffsetDateTime at) {}

    /** @param customer the record that stands for all its sides, in scope */
    Future<Profile> find(Call call, UUID customer, @Nullable OffsetDateTime asOf) {
        return (asOf == null
                        ? database.query(call, FIND, Tuple.of(customer))
                        : database.query(call, FIND_AS_OF, Tuple.of(customer, asOf)))
                .map(rows -> found(rows, customer));
    }

    /** @param side what a first one is kept for */
    Future<Profile> find(Tx tx, UUID customer, UUID side) {
        return tx.query(FIND, Tuple.of(customer)).map(rows -> found(rows, side));
    }

    private Profile found(RowSet<Row> rows, UUID side) {
        if (rows.size() == 0) {
            return new Profile(null, side, Json.object(), 0, null);
        }
        Row row = rows.iterator().next();
        UUID of = row.getUUID("customer_id");
        String text = texts.open(of, row, "sealed");
        return new Profile(
                row.getUUID("id"),
                of,
                text == null ? Json.object() : Json.read(text),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** Fails with {@code request.stale} where somebody was faster. */
    Future<Profile> save(Tx tx, Profile before, ObjectNode content) {
        UUID id = before.id == null ? Ids.next() : before.id;
        return texts.seal(tx, before.customerId, content.toString())
                .compose(text -> before.id == null
                        ? tx.query(INSERT, Tuple.of(id, before.customerId, text))
                        : tx.query(UPDATE, Tuple.of(id, text, before.version)))
                .compose(rows -> {
                    if (rows.size() == 0) {
                        return Future.failedFuture(Problem.of("request.stale"));
                    }
                    Row row = rows.iterator().next();
                    return Future.succeededFuture(new Profile(
                            id,
                            before.customerId,
                            content,
                            row.getLong("version"),
                            row.getOffsetDateTime("valid_from")));
                });
    }
}
