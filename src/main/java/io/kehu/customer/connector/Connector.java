package io.kehu.customer.connector;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One system that may send customers.
 *
 * @param source its name in external ids
 * @param owner with whose rights what it sends is entered
 * @param duplicates what becomes of new customers who are like others: create, skip or report
 */
public record Connector(
        UUID id,
        String name,
        boolean enabled,
        UUID owner,
        String source,
        ObjectNode mapping,
        String duplicates,
        @Nullable OffsetDateTime formerUntil,
        long version,
        OffsetDateTime since) {
    public static Connector from(Row row) {
        return new Connector(
                row.getUUID("id"),
                row.getString("name"),
                row.getBoolean("enabled"),
                row.getUUID("owner_id"),
                row.getString("source"),
                Json.read(row.getString("mapping")),
                row.getString("duplicates"),
                row.getOffsetDateTime("former_until"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    void toJson(JsonGenerator json) throws IOException {
        toJson(json, null);
    }

    void toJson(JsonGenerator json, @Nullable String secret) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("name", name);
        json.writeBooleanField("enabled", enabled);
        json.writeStringField("source", source);
        json.writeStringField("ownerId", owner.toString());
        json.writeFieldName("mapping");
        json.writeTree(mapping);
        json.writeStringField("duplicates", duplicates);
        if (formerUntil != null) {
            json.writeStringField("formerSecretUntil", Json.instant(formerUntil));
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        if (secret != null) {
            json.writeStringField("secret", secret);
        }
        json.writeEndObject();
    }
}
