package io.kehu.ops.audit;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** One row of the audit, as people see it. */
record AuditEntry(Row row) {
    private static final HexFormat HEX = HexFormat.of();
    /** What stands for a value that is ciphertext, or that the reader may not see. */
    private static final String SEALED = "sealed";
    /** Columns of a customer's rows that say where he belongs, and nothing about him. */
    private static final Set<String> PLACE =
            Set.of("id", "seq", "branch_id", "manager_id", "sealed_version", "created_at", "deleted_at");

    static AuditEntry from(Row row) {
        return new AuditEntry(row);
    }

    /**
     * Writes the entry.
     *
     * @param finance whether facts of customers may be shown
     */
    void toJson(JsonGenerator json, boolean finance) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", row.getUUID("id").toString());
        json.writeStringField("at", Json.instant(row.getOffsetDateTime("at")));
        json.writeStringField("kind", row.getString("kind"));
        json.writeStringField("operation", row.getString("operation"));
        json.writeObjectFieldStart("actor");
        json.writeStringField("id", row.getUUID("actor").toString());
        json.writeStringField("name", row.getString("actor_name"));
        json.writeStringField("audience", row.getString("audience"));
        json.writeEndObject();
        id(json, "session", row.getUUID("session"));
        json.writeStringField("address", row.getString("address"));
        json.writeStringField("requestId", row.getString("request_id"));
        json.writeStringField("purpose", row.getString("purpose"));
        id(json, "approvalId", row.getUUID("approval_id"));
        json.writeStringField("objectType", row.getString("object_type"));
        id(json, "objectId", row.getUUID("object_id"));
        number(json, "objectVersion", row.getLong("object_version"));
        json.writeStringField("code", row.getString("code"));
        json.writeArrayFieldStart("args");
        String[] args = row.getArrayOfStrings("args");
        for (String arg : args == null ? new String[0] : args) {
            json.writeString(arg);
        }
        json.writeEndArray();
        number(json, "rowCount", row.getLong("row_count"));
        json.writeStringField(
                "rowsHash",
                row.getBuffer("rows_hash") == null
                        ? null
                        : HEX.formatHex(row.getBuffer("rows_hash").getBytes()));
        json.writeStringField("firstId", row.getString("first_id"));
        json.writeStringField("lastId", row.getString("last_id"));
        changes(json, row.getString("changes"), finance);
        json.writeStringField("transaction", row.getString("xid"));
        json.writeStringField("leaf", HEX.formatHex(row.getBuffer("leaf").getBytes()));
        json.writeEndObject();
    }

    private static void id(JsonGenerator json, String name, @Nullable UUID id) throws IOException {
        json.writeStringField(name, id == null ? null : id.toString());
    }

    private static void number(JsonGenerator json, String name, @Nullable Long number) throws IOException {
        if (number == null) {
            json.writeNullField(name);
        } else {
            json.writeNumberField(name, number);
        }
    }

    private static void changes(JsonGenerator json, @Nullable String text, boolean finance) throws IOException {
        json.writeArrayFieldStart("changes");
        if (text != null) {
            for (JsonNode change : Json.MAPPER.readTree(text)) {
                boolean hidden = change.path("table").asText().startsWith("customer.") && !finance;
                for (String side : List.of("before", "after")) {
                    if (change.path(side) instanceof ObjectNode values) {
                        seal(values, hidden);
                    }
                }
                json.writeTree(change);
            }
        }
        json.writeEndArray();
    }

    /** Binary columns, which PostgreSQL writes with a leading \x, are ciphertext or hashes: nothing anybody could read. */
    private static void seal(ObjectNode values, boolean hidden) {
        for (var field : values.properties()) {
            boolean binary =
                    field.getValue().isTextual() && field.getValue().textValue().startsWith("\\x");
            if (binary || (hidden && !PLACE.contains(field.getKey()))) {
                field.setValue(Json.MAPPER.getNodeFactory().textNode(SEALED));
            }
        }
    }

    /** Writes a month that lies in an archive. */
    static void archive(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("month", row.getLocalDate("month").toString().substring(0, 7));
        json.writeStringField("file", row.getString("file"));
        json.writeStringField("sha256", HEX.formatHex(row.getBuffer("sha256").getBytes()));
        json.writeNumberField("bytes", row.getLong("bytes"));
        json.writeNumberField("rows", row.getLong("row_count"));
        number(json, "firstSeal", row.getLong("first_seal"));
        number(json, "lastSeal", row.getLong("last_seal"));
        json.writeStringField("archivedAt", Json.instant(row.getOffsetDateTime("archived_at")));
        json.writeBooleanField("readable", row.getBoolean("readable"));
        json.writeEndObject();
    }
}
