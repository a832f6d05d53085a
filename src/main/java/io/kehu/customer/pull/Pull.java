package io.kehu.customer.pull;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What a source is asked, and where it stands.
 *
 * @param items JSON pointer of the rows; empty for the whole answer
 * @param parameter of the query, that takes the watermark; null where everything is asked each time
 * @param field of a row, that the watermark is the greatest of
 * @param hasSecret whether an Authorization header is sent
 */
record Pull(
        UUID id,
        String url,
        String format,
        String items,
        @Nullable String parameter,
        @Nullable String field,
        int minutes,
        boolean enabled,
        boolean hasSecret,
        long version,
        OffsetDateTime since,
        @Nullable State state) {

    /** Where it stands; null for one that is not kept yet. */
    record State(
            String state,
            @Nullable String watermark,
            OffsetDateTime dueAt,
            int attempts,
            @Nullable String errorCode,
            List<String> errorArgs) {}

    static Pull draft(UUID id, ObjectNode body) {
        String parameter = body.at("/watermark/parameter").textValue();
        return new Pull(
                id,
                body.required("url").textValue(),
                body.required("format").textValue(),
                body.path("items").asText(""),
                parameter,
                body.at("/watermark/field").textValue(),
                body.required("intervalMinutes").intValue(),
                body.path("enabled").asBoolean(true),
                body.has("authorization"),
                1,
                OffsetDateTime.MIN,
                null);
    }

    static Pull from(Row row) {
        return new Pull(
                row.getUUID("id"),
                row.getString("url"),
                row.getString("format"),
                row.getString("items"),
                row.getString("parameter"),
                row.getString("field"),
                row.getInteger("minutes"),
                row.getBoolean("enabled"),
                row.getBoolean("has_secret"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"),
                new State(
                        row.getString("state"),
                        row.getString("watermark"),
                        row.getOffsetDateTime("due_at"),
                        row.getInteger("attempts"),
                        row.getString("error_code"),
                        List.of(row.getArrayOfStrings("error_args"))));
    }

    /** Whether another answers, or answers differently: how far it got says nothing then. */
    boolean asksOtherwise(Pull other) {
        return !url.equals(other.url)
                || !String.valueOf(parameter).equals(String.valueOf(other.parameter))
                || !String.valueOf(field).equals(String.valueOf(other.field));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("connectorId", id.toString());
        json.writeStringField("url", url);
        json.writeStringField("format", format);
        json.writeStringField("items", items);
        if (parameter != null) {
            json.writeObjectFieldStart("watermark");
            json.writeStringField("parameter", parameter);
            json.writeStringField("field", field);
            json.writeEndObject();
        }
        json.writeNumberField("intervalMinutes", minutes);
        json.writeBooleanField("enabled", enabled);
        json.writeBooleanField("hasAuthorization", hasSecret);
        if (state != null) {
            json.writeStringField("state", state.state);
            json.writeStringField("reached", state.watermark);
            json.writeStringField("dueAt", Json.instant(state.dueAt));
            json.writeNumberField("attempts", state.attempts);
            json.writeStringField("errorCode", state.errorCode);
            Json.strings(json, "errorArgs", state.errorArgs);
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
