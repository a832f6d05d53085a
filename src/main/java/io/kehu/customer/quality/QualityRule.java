package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.kehu.sql.Where;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What a record should be, as data. The words of a rule choose among conditions that are the program's own.
 *
 * @param kind required, past, order, reference, contact or fresh
 * @param appliesTo person, organisation, or null for both
 * @param field of the customer, as the contract names it; null for contact and fresh
 * @param other of an order: the field that may not come after; of a reference: the dictionary
 * @param days of fresh: how long a record may stay as it is
 * @param weight how much of the score it takes, 1 to 100
 */
record QualityRule(
        UUID id,
        String code,
        String kind,
        @Nullable String appliesTo,
        @Nullable String field,
        @Nullable String other,
        @Nullable Integer days,
        int weight,
        boolean enabled,
        long version,
        OffsetDateTime since) {
    private static final Map<String, String> COLUMNS = Map.of(
            "birthDate", "c.birth_date",
            "foundedOn", "c.founded_on",
            "customerSince", "c.since",
            "regionCode", "c.region_code",
            "occupation", "c.occupation",
            "industry", "c.industry",
            "gender", "c.gender",
            "channel", "c.channel");

    static QualityRule from(Row row) {
        return new QualityRule(
                row.getUUID("id"),
                row.getString("code"),
                row.getString("kind"),
                row.getString("applies_to"),
                row.getString("field"),
                row.getString("other"),
                row.getInteger("days"),
                row.getInteger("weight"),
                row.getBoolean("enabled"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** SQL on {@code customer.customer c} that is true where a record fails; values are bound to {@code where}. */
    String failed(Where where) {
        String column = field == null ? "" : column(field);
        String condition = switch (kind) {
            case "required" -> column + " IS NULL";
            case "past" ->
                "coalesce(" + column + " > kehu.now()::date OR " + column
                        + " < kehu.now()::date - interval '150 years', false)";
            case "order" -> "coalesce(" + column + " < " + column(String.valueOf(other)) + ", false)";
            case "reference" ->
                "coalesce(NOT " + known(column) + " = ANY (" + where.bind(Dictionary.codes(String.valueOf(other)))
                        + "::text[]), false)";
            case "contact" ->
                "NOT EXISTS (SELECT FROM customer.blind b WHERE b.seq = c.seq" + " AND b.kind IN ('phone', 'email'))";
            case "fresh" ->
                "c.valid_from < kehu.now() - make_interval(days => " + where.bind(days == null ? 0 : days) + "::int)";
            default -> throw new IllegalStateException("a rule of the unknown kind " + kind);
        };
        return appliesTo == null
                ? "(" + condition + ")"
                : "(c.kind = '" + kindOfCustomer() + "' AND " + condition + ")";
    }

    private String kindOfCustomer() {
        return "person".equals(appliesTo) ? "person" : "organisation";
    }

    private static String column(String field) {
        String column = COLUMNS.get(field);
        if (column == null) {
            throw new IllegalStateException("a rule of the unknown field " + field);
        }
        return column;
    }

    /** As much of a code as the dictionary has: regions whole, divisions (or their section alone), sub-major groups. */
    private String known(String column) {
        return switch (String.valueOf(other)) {
            case "regions" -> column;
            case "industries" -> "left(" + column + ", 3)";
            default -> "rpad(left(" + column + ", 3), 5, '0')";
        };
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("code", code);
        json.writeStringField("kind", kind);
        text(json, "appliesTo", appliesTo);
        text(json, "field", field);
        text(json, "other", other);
        if (days != null) {
            json.writeNumberField("days", days);
        }
        json.writeNumberField("weight", weight);
        json.writeBooleanField("enabled", enabled);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }

    private static void text(JsonGenerator json, String name, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(name, value);
        }
    }
}
