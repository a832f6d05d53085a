package io.kehu.customer.relation;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.customer.CustomerBrief;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A relation between two customers.
 *
 * @param fromId as it was named when the relation was entered, as toId
 * @param ends who they are today, each with what he is to the other; of an item of a list only the other one
 */
record Relation(
        UUID id,
        String kind,
        UUID fromId,
        UUID toId,
        Terms terms,
        OffsetDateTime madeAt,
        long version,
        OffsetDateTime since,
        List<End> ends) {

    /** @param role what the customer is to the other one */
    record End(String role, CustomerBrief customer) {}

    /**
     * What can be said of a relation and changed later.
     *
     * @param startsOn the first day on which it holds
     * @param endsOn the first day on which it no longer does
     * @param share in per cent
     * @param amount in CNY
     */
    record Terms(
            @Nullable LocalDate startsOn,
            @Nullable LocalDate endsOn,
            @Nullable BigDecimal share,
            @Nullable BigDecimal amount,
            @Nullable String note) {
        static Terms of(ObjectNode body) {
            return new Terms(null, null, null, null, null).patched(body);
        }

        static Terms from(Row row, @Nullable String note) {
            return new Terms(
                    row.getLocalDate("starts_on"),
                    row.getLocalDate("ends_on"),
                    row.getBigDecimal("share"),
                    row.getBigDecimal("amount"),
                    note);
        }

        /** These with a merge patch (RFC 7396) applied. */
        Terms patched(ObjectNode patch) {
            return new Terms(
                    patch.has("startsOn") ? date(patch.get("startsOn")) : startsOn,
                    patch.has("endsOn") ? date(patch.get("endsOn")) : endsOn,
                    patch.has("share") ? number(patch.get("share")) : share,
                    patch.has("amount") ? number(patch.get("amount")) : amount,
                    patch.has("note") ? text(patch.get("note")) : note);
        }

        private static @Nullable LocalDate date(JsonNode value) {
            return value.isNull() ? null : LocalDate.parse(value.textValue());
        }

        private static @Nullable BigDecimal number(JsonNode value) {
            return value.isNull() ? null : new BigDecimal(value.textValue());
        }

        private static @Nullable String text(JsonNode value) {
            return value.isNull() ? null : value.textValue().strip();
        }

        /** All but the note, into an object that is open. */
        void write(JsonGenerator json) throws IOException {
            field(json, "startsOn", startsOn);
            field(json, "endsOn", endsOn);
            field(
                    json,
                    "share",
                    share == null ? null : share.stripTrailingZeros().toPlainString());
            field(json, "amount", amount == null ? null : amount.toPlainString());
        }

        private static void field(JsonGenerator json, String name, @Nullable Object value) throws IOException {
            if (value != null) {
                json.writeStringField(name, value.toString());
            }
        }

        @Override
        public String toString() {
            return "Terms"; // the note is not for a log
        }
    }

    static Relation from(Row row, @Nullable String note, List<End> ends) {
        return new Relation(
                row.getUUID("id"),
                row.getString("kind"),
                row.getUUID("from_id"),
                row.getUUID("to_id"),
                Terms.from(row, note),
                row.getOffsetDateTime("made_at"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"),
                ends);
    }

    /** As {@code Relation} of the contract. */
    void toJson(JsonGenerator json) throws IOException {
        begin(json);
        json.writeArrayFieldStart("ends");
        for (End end : ends) {
            json.writeStartObject();
            json.writeStringField("role", end.role);
            json.writeFieldName("customer");
            end.customer.toJson(json);
            json.writeEndObject();
        }
        json.writeEndArray();
        end(json);
    }

    /** As {@code RelationItem} of the contract: from where the other end is looked at. */
    void toItem(JsonGenerator json) throws IOException {
        begin(json);
        json.writeStringField("role", ends.get(0).role);
        json.writeFieldName("customer");
        ends.get(0).customer.toJson(json);
        end(json);
    }

    private void begin(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("kind", kind);
    }

    private void end(JsonGenerator json) throws IOException {
        terms.write(json);
        Terms.field(json, "note", terms.note);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeStringField("createdAt", Json.instant(madeAt));
        json.writeEndObject();
    }
}
