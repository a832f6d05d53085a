package io.kehu.ops.parameter;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One named value, as it is or was.
 *
 * @param kind number, text or flag; never changed
 * @param value as text; numbers are exact decimals
 * @param least bound of a number, in its unit; null for none
 */
record Parameter(
        UUID id,
        String name,
        String kind,
        String value,
        @Nullable String unit,
        @Nullable BigDecimal least,
        @Nullable BigDecimal most,
        String aboutEn,
        String aboutZh,
        long version,
        OffsetDateTime since) {

    static Parameter from(Row row) {
        return new Parameter(
                row.getUUID("id"),
                row.getString("name"),
                row.getString("kind"),
                row.getString("value"),
                row.getString("unit"),
                row.getBigDecimal("least"),
                row.getBigDecimal("most"),
                row.getString("about_en"),
                row.getString("about_zh"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** What a new parameter is made of. */
    static Parameter draft(UUID id, ObjectNode body) {
        return new Parameter(
                id,
                body.get("name").textValue(),
                body.get("kind").textValue(),
                body.get("value").textValue(),
                body.path("unit").textValue(),
                decimal(body.get("least")),
                decimal(body.get("most")),
                body.get("aboutEn").textValue(),
                body.get("aboutZh").textValue(),
                1,
                OffsetDateTime.MIN);
    }

    private static @Nullable BigDecimal decimal(@Nullable JsonNode node) {
        return node == null ? null : new BigDecimal(node.textValue());
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("name", name);
        json.writeStringField("kind", kind);
        json.writeStringField("value", value);
        json.writeStringField("unit", unit);
        json.writeStringField("least", least == null ? null : least.toPlainString());
        json.writeStringField("most", most == null ? null : most.toPlainString());
        json.writeStringField("aboutEn", aboutEn);
        json.writeStringField("aboutZh", aboutZh);
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
        json.writeEndObject();
    }
}
