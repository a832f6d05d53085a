package io.kehu.iam.approval;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A change that waits, or how it ended.
 *
 * @param policyVersion the version of the policy that it was weighed by
 * @param level how many levels have agreed
 * @param agreed how many have agreed on the level that decides now
 * @param objectId what it changes; null for what is not there yet
 * @param makerBranch where the maker worked, and {@code makerScope} which customers he saw, when he made it
 * @param state as it is now: what is past its time reads expired
 * @param within whether the reader works where it may be decided
 * @param code why it was refused; null otherwise
 */
record Approval(
        UUID id,
        String policy,
        long policyVersion,
        List<Policy.Level> levels,
        int level,
        int agreed,
        String operation,
        @Nullable String objectType,
        @Nullable UUID objectId,
        @Nullable BigDecimal amount,
        @Nullable Long count,
        UUID makerId,
        String makerName,
        @Nullable UUID sessionId,
        UUID makerBranch,
        String makerScope,
        String hash,
        String state,
        boolean within,
        OffsetDateTime madeAt,
        OffsetDateTime expiresAt,
        @Nullable OffsetDateTime endedAt,
        @Nullable Integer status,
        @Nullable String location,
        @Nullable String code,
        List<String> args,
        long version) {

    Approval {
        levels = List.copyOf(levels);
        args = List.copyOf(args);
    }

    /** What one person said to it. */
    record Decision(
            UUID by,
            String byName,
            int level,
            String verdict,
            @Nullable String reason,
            OffsetDateTime at) {
        static Decision from(Row row) {
            return new Decision(
                    row.getUUID("decider_id"),
                    row.getString("decider_name"),
                    row.getInteger("level"),
                    row.getString("verdict"),
                    row.getString("reason"),
                    row.getOffsetDateTime("valid_from"));
        }

        private void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("by", by.toString());
            json.writeStringField("byName", byName);
            json.writeNumberField("level", level);
            json.writeStringField("verdict", verdict);
            json.writeStringField("reason", reason);
            json.writeStringField("at", Json.instant(at));
            json.writeEndObject();
        }
    }

    static Approval from(Row row) {
        String[] args = row.getArrayOfStrings("args");
        return new Approval(
                row.getUUID("id"),
                row.getString("policy"),
                row.getLong("policy_version"),
                Policy.Level.list(row.getString("levels")),
                row.getInteger("level"),
                row.getInteger("agreed"),
                row.getString("operation"),
                row.getString("object_type"),
                row.getUUID("object_id"),
                row.getBigDecimal("amount"),
                row.getLong("count"),
                row.getUUID("maker_id"),
                row.getString("maker_name"),
                row.getUUID("session_id"),
                row.getUUID("branch_id"),
                row.getString("scope"),
                HexFormat.of().formatHex(row.getBuffer("command_hash").getBytes()),
                row.getString("state"),
                row.getBoolean("within"),
                row.getOffsetDateTime("made_at"),
                row.getOffsetDateTime("expires_at"),
                row.getOffsetDateTime("ended_at"),
                row.getInteger("status"),
                row.getString("location"),
                row.getString("code"),
                args == null ? List.of() : List.of(args),
                row.getLong("version"));
    }

    /** The level that decides now, or decided last. */
    Policy.Level deciding() {
        return levels.get(Math.min(level, levels.size() - 1));
    }

    void item(JsonGenerator json) throws IOException {
        json.writeStartObject();
        head(json);
        json.writeEndObject();
    }

    private void head(JsonGenerator json) throws IOException {
        json.writeStringField("id", id.toString());
        json.writeStringField("policy", policy);
        json.writeStringField("operationId", operation);
        json.writeStringField("objectType", objectType);
        json.writeStringField("objectId", objectId == null ? null : objectId.toString());
        json.writeStringField("madeBy", makerId.toString());
        json.writeStringField("madeByName", makerName);
        json.writeStringField("branchId", makerBranch.toString());
        json.writeStringField("madeAt", Json.instant(madeAt));
        json.writeStringField("expiresAt", Json.instant(expiresAt));
        json.writeStringField("state", state);
        json.writeNumberField("version", version);
    }

    /**
     * The whole of it.
     *
     * @param command its fields as the reader may see them
     * @param answer what the executed command answered; null where the reader is not to see it
     */
    void toJson(
            JsonGenerator json, List<Decision> decisions, List<ApprovalRules.Field> command, @Nullable Buffer answer)
            throws IOException {
        json.writeStartObject();
        head(json);
        json.writeStringField("amount", amount == null ? null : amount.toPlainString());
        if (count == null) {
            json.writeNullField("count");
        } else {
            json.writeNumberField("count", count);
        }
        json.writeNumberField("level", level);
        json.writeArrayFieldStart("levels");
        for (Policy.Level one : levels) {
            one.toJson(json);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("decisions");
        for (Decision decision : decisions) {
            decision.toJson(json);
        }
        json.writeEndArray();
        json.writeStringField("commandHash", hash);
        json.writeArrayFieldStart("command");
        for (ApprovalRules.Field field : command) {
            json.writeStartObject();
            json.writeStringField("pointer", field.pointer());
            json.writeStringField("value", field.value());
            json.writeEndObject();
        }
        json.writeEndArray();
        result(json, answer);
        json.writeEndObject();
    }

    private void result(JsonGenerator json, @Nullable Buffer answer) throws IOException {
        if (endedAt != null) {
            json.writeStringField("endedAt", Json.instant(endedAt));
        }
        if (status != null) {
            json.writeNumberField("status", status);
        }
        if (location != null) {
            json.writeStringField("location", location);
        }
        if (answer != null) {
            json.writeFieldName("answer");
            json.writeRawValue(answer.toString());
        }
        if (code != null) {
            json.writeStringField("code", code);
            Json.strings(json, "args", args);
        }
    }
}
