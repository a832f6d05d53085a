package io.kehu.customer.tag;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A tag as it is, or was.
 *
 * @param madeBy hand or rule
 * @param group of the tags of its category with the same group a customer has one at a time; null for any number
 * @param defaultDays how long it holds where nothing else is said; null for as long as it is not taken away
 * @param usableFrom when it may hold at all
 * @param branchId seen and used there and below; null for the whole bank
 */
record Tag(
        UUID id,
        UUID categoryId,
        String code,
        String nameEn,
        String nameZh,
        String madeBy,
        @Nullable String group,
        @Nullable Integer defaultDays,
        @Nullable OffsetDateTime usableFrom,
        @Nullable OffsetDateTime usableUntil,
        @Nullable UUID branchId,
        long version,
        OffsetDateTime since) {

    static Tag from(Row row) {
        return new Tag(
                row.getUUID("id"),
                row.getUUID("category_id"),
                row.getString("code"),
                row.getString("name_en"),
                row.getString("name_zh"),
                row.getString("made_by"),
                row.getString("exclusive_group"),
                row.getInteger("default_days"),
                row.getOffsetDateTime("usable_from"),
                row.getOffsetDateTime("usable_until"),
                row.getUUID("branch_id"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    static Tag draft(UUID id, ObjectNode body) {
        return new Tag(
                id,
                UUID.fromString(body.required("categoryId").textValue()),
                body.required("code").textValue(),
                body.required("nameEn").textValue().strip(),
                body.required("nameZh").textValue().strip(),
                body.path("madeBy").asText("hand"),
                body.path("group").textValue(),
                days(body),
                instant(body, "validFrom"),
                instant(body, "validUntil"),
                body.has("branchId") ? UUID.fromString(body.get("branchId").textValue()) : null,
                1,
                OffsetDateTime.MIN);
    }

    /** This tag with a merge patch (RFC 7396) applied. */
    Tag patched(ObjectNode patch) {
        return new Tag(
                id,
                categoryId,
                code,
                patch.path("nameEn").asText(nameEn).strip(),
                patch.path("nameZh").asText(nameZh).strip(),
                madeBy,
                group,
                patch.has("defaultDays") ? days(patch) : defaultDays,
                patch.has("validFrom") ? instant(patch, "validFrom") : usableFrom,
                patch.has("validUntil") ? instant(patch, "validUntil") : usableUntil,
                branchId,
                version,
                since);
    }

    private static @Nullable Integer days(ObjectNode body) {
        JsonNode days = body.path("defaultDays");
        return days.isNumber() ? days.intValue() : null;
    }

    static @Nullable OffsetDateTime instant(ObjectNode body, String field) {
        String text = body.path(field).textValue();
        return text == null ? null : OffsetDateTime.parse(text);
    }

    boolean isUsableAt(OffsetDateTime instant) {
        return (usableFrom == null || !usableFrom.isAfter(instant))
                && (usableUntil == null || usableUntil.isAfter(instant));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("code", code);
        json.writeStringField("categoryId", categoryId.toString());
        json.writeStringField("nameEn", nameEn);
        json.writeStringField("nameZh", nameZh);
        json.writeStringField("madeBy", madeBy);
        if (group != null) {
            json.writeStringField("group", group);
        }
        if (defaultDays != null) {
            json.writeNumberField("defaultDays", defaultDays);
        }
        instant(json, "validFrom", usableFrom);
        instant(json, "validUntil", usableUntil);
        if (branchId != null) {
            json.writeStringField("branchId", branchId.toString());
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }

    static void instant(JsonGenerator json, String field, @Nullable OffsetDateTime value) throws IOException {
        if (value != null) {
            json.writeStringField(field, Json.instant(value));
        }
    }
}
