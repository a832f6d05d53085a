package io.kehu.customer.filter;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Problem;
import java.math.BigDecimal;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** From JSON to {@link Filter}: what the schema cannot say. Collects all faults, so that one answer tells of them. */
final class FilterParser {
    private static final Set<String> GROUPS = Set.of("all", "any", "not");
    private static final int MAX_AGE = 150;

    private final List<Problem.FieldError> faults = new ArrayList<>();
    private int conditions;

    List<Problem.FieldError> faults() {
        return faults;
    }

    private void fault(String at, String code, String... args) {
        faults.add(new Problem.FieldError(at, code, List.of(args)));
    }

    Filter filter(JsonNode json, String at) {
        if (json.has("field")) {
            return condition(json, at);
        }
        if (json.size() != 1 || !GROUPS.contains(json.fieldNames().next())) {
            fault(at, "field.shape", "all, any, not, field");
            return Filter.everybody();
        }
        String group = json.fieldNames().next();
        JsonNode inner = json.get(group);
        if (group.equals("not")) {
            return new Filter.Not(filter(inner, at + "/not"));
        }
        List<Filter> parts = new ArrayList<>();
        for (int i = 0; i < inner.size(); i++) {
            parts.add(filter(inner.get(i), at + '/' + group + '/' + i));
        }
        return group.equals("all") ? new Filter.All(List.copyOf(parts)) : new Filter.Any(List.copyOf(parts));
    }

    private Filter condition(JsonNode json, String at) {
        FilterField field = FilterField.named(json.get("field").asText());
        if (++conditions == Filter.MAX_CONDITIONS + 1) {
            fault(at, "field.tooMany", Integer.toString(Filter.MAX_CONDITIONS));
        }
        if (field == null) {
            fault(at + "/field", "field.notInList");
            return Filter.everybody();
        }
        Set<String> questions = new TreeSet<>();
        json.fieldNames().forEachRemaining(questions::add);
        questions.remove("field");
        boolean range = questions.equals(Set.of("from", "to"));
        if ((questions.size() != 1 && !range) || !field.kind().questions.containsAll(questions)) {
            fault(at, "field.shape", String.join(", ", new TreeSet<>(field.kind().questions)));
            return Filter.everybody();
        }
        return new Condition(
                field,
                words(field, json, at),
                json.has("known") ? json.get("known").booleanValue() : null,
                bound(field, json, at, "from"),
                bound(field, json, at, "to"),
                json.has("within"));
    }

    private List<String> words(FilterField field, JsonNode json, String at) {
        List<String> words = new ArrayList<>();
        for (String question : List.of("is", "within")) {
            if (json.has(question)) {
                words.add(word(field, json.get(question).asText(), at + '/' + question));
            }
        }
        JsonNode in = json.path("in");
        for (int i = 0; i < in.size(); i++) {
            words.add(word(field, in.get(i).asText(), at + "/in/" + i));
        }
        return List.copyOf(words);
    }

    private String word(FilterField field, String word, String at) {
        switch (field.kind()) {
            case REGION -> {
                if (!word.matches("[0-9]{2}([0-9]{2}([0-9]{2})?)?")) {
                    fault(at, "field.format", "GB/T 2260");
                }
            }
            case BRANCH, STAFF -> {
                if (!isId(word)) {
                    fault(at, "field.format", "uuid");
                }
            }
            default -> {}
        }
        return word;
    }

    private static boolean isId(String text) {
        try {
            return UUID.fromString(text).toString().equalsIgnoreCase(text);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private Condition.@Nullable Bound bound(FilterField field, JsonNode json, String at, String end) {
        JsonNode value = json.path(end);
        String here = at + '/' + end;
        if (value.isMissingNode()) {
            return null;
        }
        boolean ofTime = field.kind() == FilterField.Kind.DATE || field.kind() == FilterField.Kind.INSTANT;
        if (value.isObject()) {
            if (!ofTime || value.size() != 1) {
                fault(here, "field.shape", ofTime ? "daysAgo, daysAhead" : end);
            }
            return new Condition.DaysAgo(
                    value.path("daysAgo").asInt() - value.path("daysAhead").asInt());
        }
        String fault = switch (field.kind()) {
            case AGE ->
                value.isInt() && value.intValue() >= 0 && value.intValue() <= MAX_AGE ? null : "field.type:integer";
            case AMOUNT -> isAmount(value) ? null : "field.format:decimal";
            case DATE -> value.isTextual() && reads(value.textValue(), LocalDate::parse) ? null : "field.date";
            case INSTANT ->
                value.isTextual() && reads(value.textValue(), OffsetDateTime::parse) ? null : "field.format:date-time";
            default -> null;
        };
        if (fault != null) {
            String[] parts = fault.split(":", 2);
            fault(here, parts[0], parts.length > 1 ? new String[] {parts[1]} : new String[0]);
        }
        return new Condition.Value(value.asText());
    }

    private static boolean isAmount(JsonNode value) {
        return value.isTextual()
                && value.textValue().matches("[0-9]{1,16}(\\.[0-9]{1,2})?")
                && new BigDecimal(value.textValue()).signum() >= 0;
    }

    private interface Reader {
        Object read(String text);
    }

    private static boolean reads(String text, Reader reader) {
        try {
            reader.read(text);
            return true;
        } catch (DateTimeException e) {
            return false;
        }
    }
}
