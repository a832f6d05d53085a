package io.kehu.iam.passkey;

import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A passkey as its owner sees it.
 *
 * @param name what the owner calls it
 * @param backedUp whether it has been copied to other devices of the owner
 * @param usedAt when it last proved somebody; null for never
 * @param locked whether its counter once went back: it proves nobody any more
 */
record Passkey(
        UUID id,
        String name,
        boolean backedUp,
        OffsetDateTime createdAt,
        @Nullable OffsetDateTime usedAt,
        boolean locked,
        long version) {
    static final String COLUMNS = "id, name, backed_up, created_at, last_used_at, locked_at, version";

    static Passkey from(Row row) {
        return new Passkey(
                row.getUUID("id"),
                row.getString("name"),
                row.getBoolean("backed_up"),
                row.getOffsetDateTime("created_at"),
                row.getOffsetDateTime("last_used_at"),
                row.getOffsetDateTime("locked_at") != null,
                row.getLong("version"));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("name", name);
        json.writeBooleanField("backedUp", backedUp);
        json.writeStringField("createdAt", createdAt.toInstant().toString());
        json.writeStringField(
                "lastUsedAt", usedAt == null ? null : usedAt.toInstant().toString());
        json.writeBooleanField("locked", locked);
        json.writeEndObject();
    }

    /** What a passkey is to browsers and to signatures. */
    record Credential(
            UUID passkey, UUID person, byte[] id, byte[] publicKey, boolean backupEligible, List<String> transports) {
        static final String COLUMNS = "id, staff_id, credential_id, public_key, backup_eligible, transports";

        static Credential from(Row row) {
            return new Credential(
                    row.getUUID("id"),
                    row.getUUID("staff_id"),
                    row.getBuffer("credential_id").getBytes(),
                    row.getBuffer("public_key").getBytes(),
                    row.getBoolean("backup_eligible"),
                    List.of(row.getArrayOfStrings("transports")));
        }
    }
}
