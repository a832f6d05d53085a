package io.kehu.customer.grading;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One rule.
 *
 * @param condition a filter of customers
 * @param priority the lowest number is the first; the first rule that fits decides
 * @param result the tier, stage or class; null for a tag
 * @param slot of the tag: of one slot a customer has one tag; empty where there is none
 * @param tagUsable whether the tag may hold now
 * @param handDays how long a value stays that somebody gave by hand
 */
record GradingRule(
        UUID id,
        Kind kind,
        String name,
        ObjectNode condition,
        int priority,
        @Nullable String result,
        @Nullable UUID tagId,
        @Nullable UUID tagBranch,
        String slot,
        boolean tagUsable,
        int handDays,
        boolean enabled,
        long version,
        OffsetDateTime since) {

    private static final Set<String> OF_PERSONS = Set.of("mass", "affluent", "private");

    enum Kind {
        TAG,
        TIER,
        LIFECYCLE,
        CLASS;

        String word() {
            return name().toLowerCase(java.util.Locale.ROOT);
        }

        static Kind of(String word) {
            return valueOf(word.toUpperCase(java.util.Locale.ROOT));
        }
    }

    static GradingRule from(Row row) {
        return new GradingRule(
                row.getUUID("id"),
                Kind.of(row.getString("kind")),
                row.getString("name"),
                Json.read(row.getString("condition")),
                row.getInteger("priority"),
                row.getString("result"),
                row.getUUID("tag_id"),
                row.getUUID("tag_branch"),
                row.getString("slot"),
                row.getBoolean("tag_usable"),
                row.getInteger("hand_days"),
                row.getBoolean("enabled"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    static GradingRule draft(UUID id, ObjectNode body) {
        return new GradingRule(
                id,
                Kind.of(body.required("kind").textValue()),
                body.required("name").textValue().strip(),
                (ObjectNode) body.required("condition"),
                body.path("priority").asInt(100),
                body.path("result").textValue(),
                body.has("tagId") ? UUID.fromString(body.get("tagId").textValue()) : null,
                null,
                "",
                true,
                body.path("handDays").asInt(90),
                body.path("enabled").asBoolean(false),
                1,
                OffsetDateTime.MIN);
    }

    /** This rule with a merge patch (RFC 7396) applied. */
    GradingRule patched(ObjectNode patch) {
        return new GradingRule(
                id,
                kind,
                patch.path("name").asText(name).strip(),
                patch.has("condition") ? (ObjectNode) patch.get("condition") : condition,
                patch.path("priority").asInt(priority),
                patch.path("result").asText(result),
                tagId,
                tagBranch,
                slot,
                tagUsable,
                patch.path("handDays").asInt(handDays),
                patch.path("enabled").asBoolean(enabled),
                version,
                since);
    }

    /** The kind of customers whose tier it can be; null for both. */
    @Nullable
    String customers() {
        return kind != Kind.TIER ? null : OF_PERSONS.contains(result) ? "person" : "organisation";
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("kind", kind.word());
        json.writeStringField("name", name);
        json.writeObjectField("condition", condition);
        json.writeNumberField("priority", priority);
        if (result != null) {
            json.writeStringField("result", result);
        }
        if (tagId != null) {
            json.writeStringField("tagId", tagId.toString());
        }
        json.writeNumberField("handDays", handDays);
        json.writeBooleanField("enabled", enabled);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
