package io.kehu.iam.partner;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A system that may call.
 *
 * @param name of the system, in small letters, never changed
 * @param purpose what it is let in for
 * @param state active or suspended
 * @param permissions what it may ask scopes for, in order
 * @param networks in CIDR notation; empty for everywhere
 * @param branchId whose rows, and those of the branches below, it sees; null for none of any branch
 * @param requestKey by which it has to sign its requests, base64url of an Ed25519 public key; null for unsigned ones
 * @param rights counts every change of what it may
 */
record Partner(
        UUID id,
        String name,
        String purpose,
        String state,
        List<String> permissions,
        List<String> networks,
        @Nullable UUID branchId,
        @Nullable String requestKey,
        long rights,
        long version,
        OffsetDateTime since) {

    Partner {
        permissions = List.copyOf(permissions);
        networks = List.copyOf(networks);
    }

    static Partner from(Row row) {
        return new Partner(
                row.getUUID("id"),
                row.getString("name"),
                row.getString("purpose"),
                row.getString("state"),
                List.of(row.getArrayOfStrings("permissions")),
                List.of(row.getArrayOfStrings("networks")),
                row.getUUID("branch_id"),
                row.getString("request_key"),
                row.getLong("rights"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** What a new partner is made of. */
    static Partner draft(UUID id, ObjectNode body) {
        return new Partner(
                id,
                body.get("name").textValue(),
                body.get("purpose").textValue().strip(),
                "active",
                texts(body.path("permissions")),
                texts(body.path("networks")),
                id(body.path("branchId")),
                body.path("requestKey").textValue(),
                1,
                1,
                OffsetDateTime.MIN);
    }

    /** This partner with a merge patch (RFC 7396) applied. */
    Partner patched(ObjectNode patch) {
        return new Partner(
                id,
                name,
                patch.path("purpose").asText(purpose).strip(),
                patch.path("state").asText(state),
                patch.has("permissions") ? texts(patch.get("permissions")) : permissions,
                patch.has("networks") ? texts(patch.get("networks")) : networks,
                patch.has("branchId") ? id(patch.get("branchId")) : branchId,
                patch.has("requestKey") ? patch.get("requestKey").textValue() : requestKey,
                rights,
                version,
                since);
    }

    /** Whether the other state of this partner may do the same. */
    boolean hasRightsOf(Partner other) {
        return state.equals(other.state)
                && permissions.equals(other.permissions)
                && networks.equals(other.networks)
                && Objects.equals(branchId, other.branchId)
                && Objects.equals(requestKey, other.requestKey);
    }

    boolean active() {
        return state.equals("active");
    }

    private static @Nullable UUID id(JsonNode node) {
        return node.isTextual() ? UUID.fromString(node.textValue()) : null;
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(text -> texts.add(text.textValue()));
        texts.sort(null);
        return texts;
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        fields(json);
        json.writeEndObject();
    }

    void toJson(JsonGenerator json, List<PartnerKey> keys) throws IOException {
        json.writeStartObject();
        fields(json);
        json.writeArrayFieldStart("keys");
        for (PartnerKey key : keys) {
            key.toJson(json);
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private void fields(JsonGenerator json) throws IOException {
        json.writeStringField("id", id.toString());
        json.writeStringField("name", name);
        json.writeStringField("purpose", purpose);
        json.writeStringField("state", state);
        Json.strings(json, "permissions", permissions);
        Json.strings(json, "networks", networks);
        if (branchId != null) {
            json.writeStringField("branchId", branchId.toString());
        }
        if (requestKey != null) {
            json.writeStringField("requestKey", requestKey);
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
    }
}
