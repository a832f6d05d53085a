package io.kehu.customer.version;

import io.kehu.crypto.Vault;
import io.kehu.customer.SealedTextStore;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Why customers were changed, under their keys: a reason for the change that one transaction makes of one. */
public final class ReasonStore {
    private static final String SAY =
            "INSERT INTO customer.change_reason (audit_id, customer_id, reason) VALUES ($1, $2, $3)";

    private final SealedTextStore texts;

    public ReasonStore(Vault vault) {
        this.texts = new SealedTextStore(vault, "customer.change_reason");
    }

    /** Keeps why this transaction changes the customer. */
    public Future<Void> say(Tx tx, UUID customer, String reason) {
        return texts.seal(tx, customer, reason)
                .compose(bytes -> tx.query(SAY, Tuple.of(tx.auditId(), customer, bytes)))
                .mapEmpty();
    }

    /** Why the version behind a row was changed; null where nobody said, or where the key is gone. */
    @Nullable
    String reason(Row row) {
        return texts.open(row.getUUID("id"), row, "reason");
    }
}
