package io.kehu.customer.quality;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem.FieldError;
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
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What a record should be, as data. The words of a rule choose among conditions that are the program's own.
 *
 * @param kind required, past, order, reference, contact, fresh, filter or format
 * @param appliesTo person, organisation, or null for both
 * @param field of the customer, as the contract names it; null for contact and fresh
 * @param other of an order: the field that may not come after; of a reference: the dictionary; of the format of a document its type
 * @param days of fresh: how long a record may stay as it is
 * @param condition of a filter: what is wrong, as {@code CustomerFilter} of the contract
 * @param patterns of a format: one must fit what is there
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
        @Nullable List<String> patterns,
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

    /** Fields that only an opened record has. */
    private static final Set<String> SEALED = Set.of("name", "phone", "email", "address", "postCode", "document");

    /** A new one, of the kind filter or format. */
    static QualityRule draft(UUID id, ObjectNode body) {
        JsonNode format = body.path("format");
        List<String> patterns = new ArrayList<>();
        format.path("patterns").forEach(pattern -> patterns.add(pattern.textValue()));
        return new QualityRule(
                id,
                body.required("code").textValue(),
                format.isMissingNode() ? "filter" : "format",
                body.path("appliesTo").textValue(),
                format.path("field").textValue(),
                format.path("documentType").textValue(),
                null,
                (ObjectNode) body.get("condition"),
                format.isMissingNode() ? null : List.copyOf(patterns),
                body.required("weight").intValue(),
                true,
                1,
                OffsetDateTime.MIN);
    }

    static QualityRule from(Row row) {
        String condition = row.getString("condition");
        String[] patterns = row.getArrayOfStrings("patterns");
        return new QualityRule(
                row.getUUID("id"),
                row.getString("code"),
                row.getString("kind"),
                row.getString("applies_to"),
                row.getString("field"),
                row.getString("other"),
                row.getInteger("days"),
                condition == null ? null : Json.read(condition),
                patterns == null ? null : List.of(patterns),
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
            case "format" ->
                "coalesce(" + column + " COLLATE \"C\" !~ " + where.bind(TextPattern.regex(parsed()))
                        + "::text, false)";
            default -> throw new IllegalStateException("a rule of the unknown kind " + kind);
        };
        return appliesTo == null
                ? "(" + condition + ")"
                : "(c.kind = '" + kindOfCustomer() + "' AND " + condition + ")";
    }

    /** Whether it holds against what only an opened record has. */
    boolean isSealed() {
        return kind.equals("format") && SEALED.contains(String.valueOf(field));
    }

    /** Whether an opened record fails it; a part that is not there fails nothing. */
    boolean failed(String kindOfCustomer, JsonNode personal) {
        if (appliesTo != null && !appliesTo.equals(kindOfCustomer)) {
            return false;
        }
        List<TextPattern> allowed = parsed();
        return texts(personal).stream().anyMatch(text -> allowed.stream().noneMatch(pattern -> pattern.fits(text)));
    }

    private List<String> texts(JsonNode personal) {
        List<String> texts = new ArrayList<>();
        switch (String.valueOf(field)) {
            case "name" -> texts.add(personal.path("name").asText());
            case "phone" ->
                personal.path("phones")
                        .forEach(one -> texts.add(one.path("number").asText()));
            case "email" -> personal.path("emails").forEach(one -> texts.add(one.asText()));
            case "address" ->
                personal.path("addresses")
                        .forEach(one -> texts.add(one.path("line").asText()));
            case "postCode" ->
                personal.path("addresses")
                        .forEach(one -> texts.add(one.path("postCode").asText()));
            case "document" ->
                personal.path("documents").forEach(one -> {
                    if (one.path("type").asText().equals(other)) {
                        texts.add(one.path("number").asText());
                    }
                });
            default -> throw new IllegalStateException("a format of the unknown field " + field);
        }
        texts.removeIf(String::isEmpty);
        return texts;
    }

    private List<TextPattern> parsed() {
        List<TextPattern> read = new ArrayList<>();
        for (String pattern : Objects.requireNonNull(patterns)) {
            try {
                read.add(TextPattern.of(pattern));
            } catch (TextPattern.Fault e) {
                throw new IllegalStateException("the rule " + code + " has a pattern that is none", e);
            }
        }
        return read;
    }

    /** What is wrong with its patterns. */
    List<FieldError> faults() {
        List<FieldError> faults = new ArrayList<>();
        int i = 0;
        for (String pattern : Objects.requireNonNull(patterns)) {
            String at = "/format/patterns/" + i++;
            try {
                if (TextPattern.of(pattern).tells() && isSealed()) {
                    faults.add(new FieldError(at, "field.patternTells", List.of()));
                }
            } catch (TextPattern.Fault e) {
                faults.add(new FieldError(at, "field.noPattern", List.of(Integer.toString(e.at))));
            }
        }
        if ("document".equals(field) != (other != null)) {
            faults.add(new FieldError(
                    "/format/documentType", other == null ? "field.required" : "field.unknown", List.of()));
        }
        return faults;
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
        if (patterns != null) {
            Json.strings(json, "patterns", patterns);
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
