package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Where;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What a record should be, as data. The words of a rule choose among conditions that are the program's own.
 *
 * @param kind required, past, order, reference, contact, fresh or filter
 * @param appliesTo person, organisation, or null for both
 * @param field of the customer, as the contract names it; null for contact and fresh
 * @param other of an order: the field that may not come after; of a reference: the dictionary
 * @param days of fresh: how long a record may stay as it is
 * @param condition of a filter: what is wrong, as {@code CustomerFilter} of the contract
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
        @Nullable ObjectNode condition,
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

    /** A new one, of the kind filter. */
    static QualityRule draft(UUID id, ObjectNode body) {
        return new QualityRule(
                id,
                body.required("code").textValue(),
                "filter",
                body.path("appliesTo").textValue(),
                null,
                null,
                null,
                (ObjectNode) body.required("condition"),
                body.required("weight").intValue(),
                true,
                1,
                OffsetDateTime.MIN);
    }

    static QualityRule from(Row row) {
        String condition = row.getString("condition");
        return new QualityRule(
                row.getUUID("id"),
                row.getString("code"),
                row.getString("kind"),
                row.getString("applies_to"),
                row.getString("field"),
                row.getString("other"),
                row.getInteger("days"),
                condition == null ? null : Json.read(condition),
                row.getInteger("weight"),
                row.getBoolean("enabled"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** SQL on {@code customer.customer c} that is true where a record fails; values are bound to {@code where}. */
    String failed(Where where, Moment moment) {
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
            case "filter" -> filter(where, moment);
            default -> throw new IllegalStateException("a rule of the unknown kind " + kind);
        };
        return appliesTo == null
                ? "(" + condition + ")"
                : "(c.kind = '" + kindOfCustomer() + "' AND " + condition + ")";
    }

    /** Filters bind by question marks, which here are placed one by one. */
    private String filter(Where where, Moment moment) {
        List<Object> values = new ArrayList<>();
        String text = "("
                + Filter.parse(Objects.requireNonNull(condition), "/condition").sql(moment, values) + ")";
        StringBuilder bound = new StringBuilder();
        int next = 0;
        for (int at = 0; at < text.length(); at++) {
            if (text.charAt(at) == '?') {
                bound.append(where.bind(values.get(next++)));
            } else {
                bound.append(text.charAt(at));
            }
        }
        return bound.toString();
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

    /** As much of a code as the dictionary has: of occupations sub-major groups, of others the whole. */
    private String known(String column) {
        return "occupations".equals(other) ? "rpad(left(" + column + ", 3), 5, '0')" : column;
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
        if (condition != null) {
            json.writeFieldName("condition");
            json.writeTree(condition);
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
