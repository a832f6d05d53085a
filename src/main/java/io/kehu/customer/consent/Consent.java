package io.kehu.customer.consent;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One decision of a customer.
 *
 * @param customerId the id it was recorded for
 * @param channel any for all of them
 * @param at when the customer decided
 * @param expiresAt null for never
 * @param textHash SHA-256 of the text agreed to, in hexadecimal
 * @param since when the bank came to know it
 */
record Consent(
        UUID id,
        UUID customerId,
        String purpose,
        String channel,
        String state,
        String source,
        OffsetDateTime at,
        @Nullable OffsetDateTime expiresAt,
        @Nullable UUID documentId,
        @Nullable UUID interactionId,
        @Nullable String textHash,
        long version,
        OffsetDateTime since) {

    static Consent from(Row row) {
        Buffer hash = row.getBuffer("text_hash");
        return new Consent(
                row.getUUID("id"),
                row.getUUID("customer_id"),
                row.getString("purpose"),
                row.getString("channel"),
                row.getString("state"),
                row.getString("source"),
                row.getOffsetDateTime("at"),
                row.getOffsetDateTime("expires_at"),
                row.getUUID("document_id"),
                row.getUUID("interaction_id"),
                hash == null ? null : HexFormat.of().formatHex(hash.getBytes()),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** @param now where the body does not say when the customer decided */
    static Consent draft(UUID id, UUID customer, ObjectNode body, OffsetDateTime now) {
        JsonNode proof = body.path("proof");
        OffsetDateTime at = instant(body, "at");
        return new Consent(
                id,
                customer,
                body.get("purpose").textValue(),
                body.get("channel").textValue(),
                body.get("state").textValue(),
                body.get("source").textValue(),
                at == null ? now : at,
                instant(body, "expiresAt"),
                id(proof, "documentId"),
                id(proof, "interactionId"),
                proof.path("textHash").textValue(),
                1,
                now);
    }

    private static @Nullable OffsetDateTime instant(JsonNode node, String name) {
        String text = node.path(name).textValue();
        return text == null ? null : OffsetDateTime.parse(text);
    }

    private static @Nullable UUID id(JsonNode node, String name) {
        String text = node.path(name).textValue();
        return text == null ? null : UUID.fromString(text);
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("customerId", customerId.toString());
        json.writeStringField("purpose", purpose);
        json.writeStringField("channel", channel);
        json.writeStringField("state", state);
        json.writeStringField("source", source);
        json.writeStringField("at", Json.instant(at));
        if (expiresAt != null) {
            json.writeStringField("expiresAt", Json.instant(expiresAt));
        }
        if (documentId != null || interactionId != null || textHash != null) {
            json.writeObjectFieldStart("proof");
            text(json, "documentId", documentId);
            text(json, "interactionId", interactionId);
            text(json, "textHash", textHash);
            json.writeEndObject();
        }
        json.writeStringField("recordedAt", Json.instant(since));
        json.writeEndObject();
    }

    private static void text(JsonGenerator json, String name, @Nullable Object value) throws IOException {
        if (value != null) {
            json.writeStringField(name, value.toString());
        }
    }
}
