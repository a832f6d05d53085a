package io.kehu.contract;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.ExecutionContext;
import com.networknt.schema.format.DateTimeFormat;
import com.networknt.schema.format.Format;
import io.kehu.bus.Json;
import io.kehu.bus.Problem.FieldError;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * One path, query, header or cookie parameter: text in, typed value or error out. Parameters are scalars or comma-separated
 * arrays of them, so a few checks compiled from the schema do, in well under a microsecond.
 *
 * @param type string, integer or boolean; of the items for arrays
 */
public record Parameter(
        String name,
        Place place,
        boolean required,
        String type,
        @Nullable String format,
        Set<String> values,
        @Nullable Pattern pattern,
        long least,
        long most,
        int maxItems) {

    public enum Place {
        PATH,
        QUERY,
        HEADER,
        COOKIE
    }

    /** RFC 3339 has leap seconds, and offsets that no zone has; what takes a moment does not. */
    static final Format INSTANT = new DateTimeFormat() {
        @Override
        public boolean matches(ExecutionContext context, String value) {
            return super.matches(context, value) && Parameter.hasFormat(getName(), value);
        }
    };

    private static final Set<String> FORMATS = Set.of("uuid", "date", "date-time");

    /** Compiles a parameter object of the contract whose references are resolved; defects go into the list. */
    static Parameter of(JsonNode node, List<String> defects) {
        String name = node.path("name").asText();
        JsonNode schema = node.path("schema");
        int maxItems = 0;
        if (schema.path("type").asText().equals("array")) {
            maxItems = schema.path("maxItems").asInt();
            if (maxItems == 0) {
                defects.add("parameter " + name + " is an array without maxItems");
            }
            if (node.path("explode").asBoolean(true)) {
                defects.add("parameter " + name + " must say explode: false");
            }
            schema = schema.path("items");
        }
        String type = schema.path("type").asText();
        boolean integer = type.equals("integer");
        Set<String> values = new LinkedHashSet<>();
        schema.path("enum").forEach(v -> values.add(v.asText()));
        String format = schema.path("format").textValue();
        if (format != null && !FORMATS.contains(format)) {
            defects.add("parameter " + name + " has a format the bridge does not know: " + format);
        }
        if (!Set.of("string", "integer", "boolean").contains(type)) {
            defects.add("parameter " + name + " must be a string, an integer, a boolean or an array of them");
        }
        if (type.equals("string") && values.isEmpty() && format == null && !schema.has("maxLength")) {
            defects.add("parameter " + name + " is an unbounded string");
        }
        if (integer && !(schema.has("minimum") && schema.has("maximum"))) {
            defects.add("parameter " + name + " is an unbounded integer");
        }
        String in = node.path("in").asText();
        if (!Set.of("path", "query", "header", "cookie").contains(in)) {
            defects.add("parameter " + name + " must be in path, query, header or cookie");
        }
        if (in.equals("path") && !node.path("required").asBoolean()) {
            defects.add("parameter " + name + " is part of the path and so required");
        }
        if (node.has("style") || node.has("content")) {
            defects.add("parameter " + name + " must have a schema and the usual style");
        }
        Pattern pattern = null;
        try {
            pattern = schema.has("pattern") ? pattern(schema.get("pattern").asText()) : null;
        } catch (PatternSyntaxException e) {
            defects.add("parameter " + name + " has a pattern that is none");
        }
        return new Parameter(
                name,
                switch (in) {
                    case "path" -> Place.PATH;
                    case "header" -> Place.HEADER;
                    case "cookie" -> Place.COOKIE;
                    default -> Place.QUERY;
                },
                node.path("required").asBoolean(),
                type,
                format,
                values,
                pattern,
                integer
                        ? schema.path("minimum").asLong(Long.MIN_VALUE)
                        : schema.path("minLength").asLong(0),
                integer
                        ? schema.path("maximum").asLong(Long.MAX_VALUE)
                        : schema.path("maxLength").asLong(200),
                maxItems);
    }

    /**
     * A pattern as ECMA-262, which OpenAPI writes in, means it: {@code $} is the end of the text and not also before a last line
     * feed, and {@code \\S} leaves out the spaces of all scripts, so that what it asks for is not gone when a text is stripped.
     */
    static Pattern pattern(String text) {
        boolean ends = text.endsWith("$") && !text.endsWith("\\$");
        return Pattern.compile(
                ends ? text.substring(0, text.length() - 1) + "\\z" : text, Pattern.UNICODE_CHARACTER_CLASS);
    }

    /** Puts the typed value into {@code target}, or an error into {@code errors}. */
    void read(String text, ObjectNode target, List<FieldError> errors) {
        if (maxItems == 0) {
            JsonNode value = value(text, errors);
            if (value != null) {
                target.set(name, value);
            }
            return;
        }
        ArrayNode array = target.putArray(name);
        String[] items = text.split(",", maxItems + 2);
        if (items.length > maxItems) {
            errors.add(new FieldError(name, "field.tooMany", List.of(Integer.toString(maxItems))));
            return;
        }
        for (String item : items) {
            JsonNode value = value(item, errors);
            if (value == null) {
                return;
            }
            array.add(value);
        }
    }

    private @Nullable JsonNode value(String text, List<FieldError> errors) {
        return switch (type) {
            case "integer" -> integer(text, errors);
            case "boolean" ->
                switch (text) {
                    case "true" -> Json.MAPPER.getNodeFactory().booleanNode(true);
                    case "false" -> Json.MAPPER.getNodeFactory().booleanNode(false);
                    default -> fail(errors, "field.type", "boolean");
                };
            default -> string(text, errors);
        };
    }

    private @Nullable JsonNode integer(String text, List<FieldError> errors) {
        // Exactly what JSON would accept as an integer: no plus sign, no leading zero, no exponent.
        if (text.isEmpty() || text.length() > 19 || !text.matches("-?(0|[1-9][0-9]*)") || text.equals("-0")) {
            return fail(errors, "field.type", "integer");
        }
        long value;
        try {
            value = Long.parseLong(text);
        } catch (NumberFormatException e) {
            return fail(errors, "field.type", "integer");
        }
        if (value < least) {
            return fail(errors, "field.tooSmall", Long.toString(least));
        }
        if (value > most) {
            return fail(errors, "field.tooLarge", Long.toString(most));
        }
        return Json.MAPPER.getNodeFactory().numberNode(value);
    }

    private @Nullable JsonNode string(String text, List<FieldError> errors) {
        if (!values.isEmpty()) {
            return values.contains(text)
                    ? Json.MAPPER.getNodeFactory().textNode(text)
                    : fail(errors, "field.notInList", String.join(", ", values));
        }
        if (format != null && !hasFormat(format, text)) {
            return fail(errors, "field.format", format);
        }
        int length = text.codePointCount(0, text.length());
        if (length < least) {
            return fail(errors, "field.tooShort", Long.toString(least));
        }
        if (length > most) {
            return fail(errors, "field.tooLong", Long.toString(most));
        }
        if (!Input.isClean(text)) {
            return fail(errors, "field.control");
        }
        if (pattern != null && !pattern.matcher(text).find()) {
            return fail(errors, "field.pattern");
        }
        return Json.MAPPER.getNodeFactory().textNode(text);
    }

    /** Whether a text is what we can read as that: no leap second, no year beyond 9999, no offset beyond 18 hours. */
    static boolean hasFormat(String format, String text) {
        try {
            switch (format) {
                case "uuid" -> {
                    return Input.isUuid(text);
                }
                case "date" -> {
                    LocalDate date = LocalDate.parse(text);
                    return date.getYear() >= 0 && date.getYear() <= 9999 && text.length() == 10;
                }
                default -> {
                    OffsetDateTime instant = OffsetDateTime.parse(text);
                    return instant.getYear() >= 0 && instant.getYear() <= 9999;
                }
            }
        } catch (DateTimeException e) {
            return false;
        }
    }

    private @Nullable JsonNode fail(List<FieldError> errors, String code, String... args) {
        errors.add(new FieldError(name, code, List.of(args)));
        return null;
    }
}
