package io.kehu.iam.duty;

import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;

/**
 * Two permissions that nobody may hold together.
 *
 * @param first the one that comes first in the alphabet
 * @param builtIn Kehu came with it: it stays
 */
record DutyConflict(
        UUID id, String first, String second, String reason, boolean builtIn, long version, OffsetDateTime since) {

    static DutyConflict from(Row row) {
        return new DutyConflict(
                row.getUUID("id"),
                row.getString("first"),
                row.getString("second"),
                row.getString("reason"),
                row.getBoolean("built_in"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** Of two permissions in any order. */
    static DutyConflict draft(UUID id, String one, String other, String reason) {
        boolean ordered = one.compareTo(other) < 0;
        return new DutyConflict(id, ordered ? one : other, ordered ? other : one, reason, false, 1, OffsetDateTime.MIN);
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("first", first);
        json.writeStringField("second", second);
        json.writeStringField("reason", reason);
        json.writeBooleanField("builtIn", builtIn);
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
        json.writeEndObject();
    }
}
