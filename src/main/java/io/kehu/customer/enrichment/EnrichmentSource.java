package io.kehu.customer.enrichment;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A public page.
 *
 * @param path with {@code {creditCode}} or {@code {name}} in it
 * @param fields as in the contract
 */
record EnrichmentSource(
        UUID id,
        String code,
        String name,
        String host,
        String path,
        ArrayNode fields,
        boolean enabled,
        long version,
        OffsetDateTime since) {
    private static final String CODE = "{creditCode}";
    private static final String NAME = "{name}";

    static EnrichmentSource from(Row row) {
        return new EnrichmentSource(
                row.getUUID("id"),
                row.getString("code"),
                row.getString("name"),
                row.getString("host"),
                row.getString("path"),
                (ArrayNode) Json.parse(Buffer.buffer(row.getString("fields"))),
                row.getBoolean("enabled"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    static EnrichmentSource draft(UUID id, ObjectNode body) {
        return new EnrichmentSource(
                id,
                body.path("code").textValue(),
                body.path("name").textValue().strip(),
                body.path("host").textValue(),
                body.path("path").textValue(),
                distinct(body.path("fields")),
                body.path("enabled").asBoolean(true),
                1,
                OffsetDateTime.MIN);
    }

    EnrichmentSource patched(ObjectNode patch) {
        return new EnrichmentSource(
                id,
                code,
                patch.path("name").asText(name).strip(),
                patch.path("host").asText(host),
                patch.path("path").asText(path),
                patch.has("fields") ? distinct(patch.path("fields")) : fields,
                patch.path("enabled").asBoolean(enabled),
                version,
                since);
    }

    private static ArrayNode distinct(JsonNode fields) {
        Set<String> seen = new HashSet<>();
        int i = 0;
        for (JsonNode one : fields) {
            if (!seen.add(one.path("field").asText())) {
                throw Problem.at("/fields/" + i, "field.repeated");
            }
            i++;
        }
        return (ArrayNode) fields;
    }

    /**
     * The path for an organisation.
     *
     * @param organisation its fields as the contract names them
     * @return null where it has not what the path asks for
     */
    @Nullable
    String target(ObjectNode organisation) {
        String creditCode = null;
        for (JsonNode document : organisation.path("documents")) {
            if (document.path("type").asText().equals("credit_code")) {
                creditCode = document.path("number").textValue();
            }
        }
        String called = organisation.path("name").textValue();
        if ((path.contains(CODE) && creditCode == null) || (path.contains(NAME) && called == null)) {
            return null;
        }
        return path.replace(CODE, escaped(creditCode)).replace(NAME, escaped(called));
    }

    private static String escaped(@Nullable String value) {
        return value == null
                ? ""
                : URLEncoder.encode(value, StandardCharsets.UTF_8).replace("+", "%20");
    }

    Event event(String type) {
        return Event.of(type, id, version, EnrichmentService.READ);
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("code", code);
        json.writeStringField("name", name);
        json.writeStringField("host", host);
        json.writeStringField("path", path);
        json.writeFieldName("fields");
        json.writeTree(fields);
        json.writeBooleanField("enabled", enabled);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
