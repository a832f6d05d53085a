package io.kehu.customer.erasure;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One deletion of a customer.
 *
 * @param approvalId null only in the trial run that finds out who has to approve it
 * @param dueAt the end of the grace
 * @param state waiting, cancelled or erased
 * @param blockedBy what keeps him from being erased
 */
record Deletion(
        UUID id,
        UUID customerId,
        String reason,
        String state,
        UUID askedBy,
        OffsetDateTime askedAt,
        @Nullable UUID approvalId,
        OffsetDateTime dueAt,
        @Nullable OffsetDateTime endedAt,
        List<String> blockedBy,
        long version) {

    static Deletion from(Row row) {
        return new Deletion(
                row.getUUID("id"),
                row.getUUID("customer_id"),
                row.getString("reason"),
                row.getString("state"),
                row.getUUID("asked_by"),
                row.getOffsetDateTime("asked_at"),
                row.getUUID("approval_id"),
                row.getOffsetDateTime("due_at"),
                row.getOffsetDateTime("ended_at"),
                List.of(row.getArrayOfStrings("blocked_by")),
                row.getLong("version"));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("customerId", customerId.toString());
        json.writeStringField("reason", reason);
        json.writeStringField("state", state);
        json.writeStringField("askedBy", askedBy.toString());
        json.writeStringField("askedAt", Json.instant(askedAt));
        if (approvalId != null) {
            json.writeStringField("approvalId", approvalId.toString());
        }
        json.writeStringField("dueAt", Json.instant(dueAt));
        if (endedAt != null) {
            json.writeStringField("endedAt", Json.instant(endedAt));
        }
        if (!blockedBy.isEmpty()) {
            Json.strings(json, "blockedBy", blockedBy);
        }
        json.writeNumberField("version", version);
        json.writeEndObject();
    }
}
