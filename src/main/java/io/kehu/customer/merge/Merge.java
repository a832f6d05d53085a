package io.kehu.customer.merge;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Two records made one, or that once were.
 *
 * @param choices by field: survivor or duplicate
 * @param survivorVersion before the merge, as duplicateVersion
 * @param undoneAt null while it is in force
 */
record Merge(
        UUID id,
        UUID survivorId,
        UUID duplicateId,
        String rule,
        ObjectNode choices,
        long survivorVersion,
        long duplicateVersion,
        UUID madeBy,
        OffsetDateTime madeAt,
        @Nullable UUID undoneBy,
        @Nullable OffsetDateTime undoneAt,
        long version,
        OffsetDateTime since) {

    static Merge from(Row row) {
        return new Merge(
                row.getUUID("id"),
                row.getUUID("survivor_id"),
                row.getUUID("duplicate_id"),
                row.getString("rule"),
                Json.read(row.getString("choices")),
                row.getLong("survivor_version"),
                row.getLong("duplicate_version"),
                row.getUUID("made_by"),
                row.getOffsetDateTime("made_at"),
                row.getUUID("undone_by"),
                row.getOffsetDateTime("undone_at"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    MergeRules.Rule recipe() {
        return MergeRules.Rule.valueOf(rule.toUpperCase(Locale.ROOT));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        fields(json);
        json.writeEndObject();
    }

    /** Into an object that is open. */
    void fields(JsonGenerator json) throws IOException {
        json.writeStringField("id", id.toString());
        json.writeStringField("survivorId", survivorId.toString());
        json.writeStringField("duplicateId", duplicateId.toString());
        json.writeStringField("rule", rule);
        json.writeObjectFieldStart("choice");
        for (var choice : choices.properties()) {
            json.writeStringField(choice.getKey(), choice.getValue().asText());
        }
        json.writeEndObject();
        json.writeNumberField("survivorVersion", survivorVersion);
        json.writeNumberField("duplicateVersion", duplicateVersion);
        json.writeStringField("madeBy", madeBy.toString());
        json.writeStringField("madeAt", Json.instant(madeAt));
        if (undoneBy != null && undoneAt != null) {
            json.writeStringField("undoneBy", undoneBy.toString());
            json.writeStringField("undoneAt", Json.instant(undoneAt));
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
    }
}
