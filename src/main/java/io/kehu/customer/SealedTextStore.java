package io.kehu.customer;

import io.kehu.crypto.Vault;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The texts of one table that may name people: a ciphertext each of class C2, under the key of the customer they are about and
 * bound to the table. With the key they are gone.
 */
public final class SealedTextStore {
    private static final String KEY = "SELECT epoch, wrapped FROM kehu.data_key WHERE subject_id = $1";
    private static final String CLASS = "C2";

    private final Vault vault;
    private final String table;

    /** @param table which a ciphertext is worth something in, with its schema */
    public SealedTextStore(Vault vault, String table) {
        this.vault = vault;
        this.table = table;
    }

    /** Fails with {@code customer.notFound} where the key is gone. */
    public Future<Buffer> seal(Tx tx, UUID customer, String text) {
        return tx.row(KEY, Tuple.of(customer), "customer.notFound").map(row -> seal(key(customer, row), text));
    }

    /** The same where the key was read with something else. */
    public Buffer seal(Vault.Key key, String text) {
        return Buffer.buffer(vault.seal(key, table, CLASS, text.getBytes(StandardCharsets.UTF_8)));
    }

    /** The key in the columns epoch and wrapped of a row. */
    public Vault.Key key(UUID customer, Row row) {
        return vault.key(
                customer, row.getInteger("epoch"), row.getBuffer("wrapped").getBytes());
    }

    /**
     * A text in a column of a row that has its key in epoch and wrapped.
     *
     * @return null where nothing was said, and where the key is gone
     */
    public @Nullable String open(UUID customer, Row row, String column) {
        return open(customer, row.getInteger("epoch"), row.getBuffer("wrapped"), row.getBuffer(column));
    }

    /** The same by its parts; a ciphertext that was wiped is empty. */
    public @Nullable String open(
            UUID customer, @Nullable Integer epoch, @Nullable Buffer wrapped, @Nullable Buffer sealed) {
        if (sealed == null || sealed.length() == 0 || epoch == null || wrapped == null) {
            return null;
        }
        Vault.Key key = vault.key(customer, epoch, wrapped.getBytes());
        return new String(vault.open(key, table, CLASS, sealed.getBytes()), StandardCharsets.UTF_8);
    }
}
