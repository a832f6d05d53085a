package io.kehu.customer.access;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One look at a customer's record.
 *
 * @param customerId the id it was a look at, perhaps one that is merged into another today
 * @param how viewed (masked), viewed-in-full or exported
 * @param purpose why, where it had to be said
 * @param username of the member of staff; null where it was not one
 */
record Access(
        OffsetDateTime at,
        UUID customerId,
        String how,
        String operation,
        @Nullable String purpose,
        UUID subject,
        @Nullable String username,
        @Nullable String branchCode,
        @Nullable String branchName) {

    static Access from(Row row) {
        return new Access(
                row.getOffsetDateTime("at"),
                row.getUUID("object_id"),
                row.getString("how"),
                row.getString("operation"),
                row.getString("purpose"),
                row.getUUID("subject"),
                row.getString("username"),
                row.getString("branch_code"),
                row.getString("branch_name"));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("at", Json.instant(at));
        json.writeStringField("customerId", customerId.toString());
        json.writeStringField("how", how);
        json.writeStringField("operation", operation);
        json.writeStringField("purpose", purpose);
        json.writeObjectFieldStart("by");
        json.writeStringField("id", subject.toString());
        json.writeStringField("username", username);
        json.writeStringField("branchCode", branchCode);
        json.writeStringField("branchName", branchName);
        json.writeEndObject();
        json.writeEndObject();
    }
}
