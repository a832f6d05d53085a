package io.kehu.iam.approval;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A rule of who has to approve what.
 *
 * @param inForce enabled, or following one that is
 * @param follows the policy with which it comes into force; {@code *} for any; null for none
 * @param branchRule any, sameOrAbove (the maker's branch and those above it) or headOffice
 */
record Policy(
        UUID id,
        String code,
        String aboutEn,
        String aboutZh,
        boolean enabled,
        boolean inForce,
        @Nullable String follows,
        List<Level> levels,
        String branchRule,
        int expiryMinutes,
        long version,
        OffsetDateTime since) {

    /**
     * One step of a decision.
     *
     * @param approvers how many have to agree
     * @param permission that each of them needs
     * @param fromAmount the level applies from this amount on (CNY, a decimal as text); null for no such threshold
     * @param fromCount the same for a number of things
     */
    record Level(
            int approvers,
            String permission,
            @Nullable String fromAmount,
            @Nullable Long fromCount) {

        /** Reads an array as the contract and the database have it. */
        static List<Level> list(String json) {
            List<Level> levels = new ArrayList<>();
            for (JsonNode node : Json.parse(Buffer.buffer(json))) {
                levels.add(new Level(
                        node.required("approvers").intValue(),
                        node.required("permission").textValue(),
                        node.path("fromAmount").textValue(),
                        node.has("fromCount") ? node.get("fromCount").longValue() : null));
            }
            return levels;
        }

        static String json(List<Level> levels) {
            return Json.write(json -> {
                        json.writeStartArray();
                        for (Level level : levels) {
                            level.toJson(json);
                        }
                        json.writeEndArray();
                    })
                    .toString();
        }

        void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeNumberField("approvers", approvers);
            json.writeStringField("permission", permission);
            if (fromAmount != null) {
                json.writeStringField("fromAmount", fromAmount);
            }
            if (fromCount != null) {
                json.writeNumberField("fromCount", fromCount);
            }
            json.writeEndObject();
        }
    }

    Policy {
        levels = List.copyOf(levels);
    }

    static Policy from(Row row) {
        return new Policy(
                row.getUUID("id"),
                row.getString("code"),
                row.getString("about_en"),
                row.getString("about_zh"),
                row.getBoolean("enabled"),
                row.getBoolean("in_force"),
                row.getString("follows"),
                Level.list(row.getString("levels")),
                row.getString("branch_rule"),
                row.getInteger("expiry_minutes"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** This policy with a merge patch (RFC 7396) applied. */
    Policy patched(ObjectNode patch) {
        return new Policy(
                id,
                code,
                aboutEn,
                aboutZh,
                patch.path("enabled").asBoolean(enabled),
                inForce,
                follows,
                patch.has("levels") ? Level.list(patch.get("levels").toString()) : levels,
                patch.path("branchRule").asText(branchRule),
                patch.path("expiryMinutes").asInt(expiryMinutes),
                version,
                since);
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("code", code);
        json.writeStringField("aboutEn", aboutEn);
        json.writeStringField("aboutZh", aboutZh);
        json.writeBooleanField("enabled", enabled);
        json.writeBooleanField("inForce", inForce);
        json.writeStringField("follows", follows);
        json.writeArrayFieldStart("levels");
        for (Level level : levels) {
            level.toJson(json);
        }
        json.writeEndArray();
        json.writeStringField("branchRule", branchRule);
        json.writeNumberField("expiryMinutes", expiryMinutes);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
