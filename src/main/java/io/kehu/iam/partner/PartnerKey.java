package io.kehu.iam.partner;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.crypto.Vault;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.security.MessageDigest;
import java.time.OffsetDateTime;
import java.util.UUID;

/**
 * One key of a partner. Its secret is 256 random bits, which nobody guesses: a fast keyed hash keeps it, and there is no lock
 * after failures, which would only let strangers shut a partner out.
 *
 * @param hash of the secret, with the version of the keyed hash first
 */
record PartnerKey(UUID id, UUID partnerId, Buffer hash, OffsetDateTime createdAt, OffsetDateTime expiresAt) {
    private static final String COLUMN = "partner.key";

    static PartnerKey from(Row row) {
        return new PartnerKey(
                row.getUUID("id"),
                row.getUUID("partner_id"),
                row.getBuffer("secret_hash"),
                row.getOffsetDateTime("valid_from"),
                row.getOffsetDateTime("expires_at"));
    }

    static Buffer hash(Vault vault, String secret) {
        return Buffer.buffer(vault.blind(COLUMN, secret));
    }

    /** Compares in constant time, by the version of the keyed hash that made this one. */
    boolean opens(Vault vault, String secret) {
        return MessageDigest.isEqual(vault.blind(COLUMN, secret, hash.getByte(0) & 255), hash.getBytes());
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("createdAt", createdAt.toInstant().toString());
        json.writeStringField("expiresAt", expiresAt.toInstant().toString());
        json.writeEndObject();
    }

    @Override
    public String toString() {
        return "PartnerKey[" + id + "]";
    }
}
