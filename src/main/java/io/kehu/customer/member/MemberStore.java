package io.kehu.customer.member;

import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of registrations, which belong to iam. */
final class MemberStore {
    private static final String BEGIN = "SELECT iam.begin_registration($1, $2, $3, $4)";

    /**
     * Begins a registration.
     *
     * @param customer whose; null for one that leads nowhere
     * @return whether the code is to be sent
     */
    Future<Boolean> begin(Tx tx, UUID id, @Nullable UUID customer, byte[] codeHash, OffsetDateTime end) {
        return tx.query(BEGIN, Tuple.of(id, customer, Buffer.buffer(codeHash), end))
                .map(rows -> rows.iterator().next().getBoolean(0));
    }
}
