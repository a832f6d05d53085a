package io.kehu.customer.merge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The recipe of one record out of two, and what a change of the one they have become is to each of them. Records are drafts
 * of the contract with their place (branchId, managerId). Pure.
 */
final class MergeRules {
    /** What the survivor has at any rate. */
    private static final Set<String> OWN = Set.of("kind", "branchId", "managerId");
    /** As many as the contract allows of a list. */
    private static final int MAX_PARTS = 5;
    /** Lists of parts: what makes two parts the same. */
    private static final Map<String, List<String>> PARTS = Map.of(
            "documents", List.of("type", "number"),
            "externalIds", List.of("source", "id"),
            "phones", List.of("number"),
            "addresses", List.of("line"),
            "emails", List.of());
    /** Of these a record united from two keeps one: the first. */
    private static final Map<String, List<String>> ONE_OF =
            Map.of("documents", List.of("type"), "externalIds", List.of("source"));

    private MergeRules() {}

    /** Whose value of a field counts. */
    enum Side {
        SURVIVOR,
        DUPLICATE
    }

    /** Whose values count of the fields for which nobody was chosen; what one does not have comes from the other. */
    enum Rule {
        SURVIVOR,
        /** Those of the record that was changed last. */
        NEWEST,
        /** The survivor's, and of lists what both have. */
        FULLEST
    }

    /** The record that is to stand for both. */
    static ObjectNode combined(
            ObjectNode survivor, ObjectNode duplicate, Map<String, Side> choices, Rule rule, boolean isDuplicateNewer) {
        ObjectNode combined = Json.object();
        for (String field : fields(survivor, duplicate)) {
            JsonNode one = value(survivor, field);
            JsonNode other = value(duplicate, field);
            Side chosen = OWN.contains(field) ? Side.SURVIVOR : choices.get(field);
            JsonNode value;
            if (chosen != null) {
                value = chosen == Side.SURVIVOR ? one : other;
            } else if (rule == Rule.FULLEST && PARTS.containsKey(field)) {
                value = united(field, one, other);
            } else {
                boolean second = rule == Rule.NEWEST && isDuplicateNewer;
                JsonNode first = second ? other : one;
                value = first.isNull() ? (second ? one : other) : first;
            }
            put(combined, field, value);
        }
        return combined;
    }

    private static JsonNode united(String field, JsonNode one, JsonNode other) {
        List<String> key = ONE_OF.getOrDefault(field, keyOf(field));
        Map<List<String>, JsonNode> parts = new java.util.LinkedHashMap<>();
        one.forEach(part -> parts.putIfAbsent(key(part, key), part));
        other.forEach(part -> parts.putIfAbsent(key(part, key), part));
        return list(parts.values());
    }

    /** All fields that either has. */
    static Set<String> fields(ObjectNode one, ObjectNode other) {
        Set<String> fields = new LinkedHashSet<>();
        one.fieldNames().forEachRemaining(fields::add);
        other.fieldNames().forEachRemaining(fields::add);
        return fields;
    }

    /** Those in which they differ. */
    static Set<String> differing(ObjectNode one, ObjectNode other) {
        return fields(one, other).stream()
                .filter(field -> !value(one, field).equals(value(other, field)))
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /** Null where the record has no value. */
    static JsonNode value(ObjectNode record, String field) {
        JsonNode value = record.path(field);
        return value.isMissingNode() || (value.isArray() && value.isEmpty()) ? NullNode.getInstance() : value;
    }

    static void put(ObjectNode record, String field, JsonNode value) {
        if (value.isNull()) {
            record.remove(field);
        } else {
            record.set(field, value);
        }
    }

    static boolean isList(String field) {
        return PARTS.containsKey(field);
    }

    /**
     * What a change of the record that is shown makes of one that is only a part of it. A single value becomes the new one. Of a
     * list, parts that came are added and parts that went are taken away; what somebody else lent stays his.
     *
     * @param own the value of the one, before
     * @param before what was shown
     * @param after what is shown now
     */
    static JsonNode changed(String field, JsonNode own, JsonNode before, JsonNode after) {
        if (!PARTS.containsKey(field)) {
            return after;
        }
        Map<List<String>, JsonNode> owned = byKey(field, own);
        Map<List<String>, JsonNode> shown = byKey(field, before);
        Map<List<String>, JsonNode> next = new java.util.LinkedHashMap<>();
        byKey(field, after).forEach((key, part) -> {
            if (owned.containsKey(key) || !shown.containsKey(key)) {
                next.put(key, part);
            }
        });
        owned.forEach((key, part) -> {
            if (!shown.containsKey(key)) {
                next.putIfAbsent(key, part);
            }
        });
        return list(next.values());
    }

    /** The same record with what a change of the one that is shown makes of it. */
    static ObjectNode changed(ObjectNode own, ObjectNode before, ObjectNode after) {
        ObjectNode next = own.deepCopy();
        for (String field : differing(before, after)) {
            put(next, field, changed(field, value(own, field), value(before, field), value(after, field)));
        }
        return next;
    }

    /** What belongs to one at a time stays with whom it belongs to: the list without the parts that the other has. */
    static JsonNode without(String field, JsonNode list, JsonNode others) {
        Map<List<String>, JsonNode> rest = byKey(field, list);
        rest.keySet().removeAll(byKey(field, others).keySet());
        return list(rest.values());
    }

    private static Map<List<String>, JsonNode> byKey(String field, JsonNode list) {
        Map<List<String>, JsonNode> parts = new java.util.LinkedHashMap<>();
        list.forEach(part -> parts.putIfAbsent(key(part, keyOf(field)), part));
        return parts;
    }

    private static List<String> keyOf(String field) {
        return PARTS.getOrDefault(field, List.of());
    }

    private static List<String> key(JsonNode part, List<String> fields) {
        return fields.isEmpty()
                ? List.of(part.asText())
                : fields.stream().map(field -> part.path(field).asText()).toList();
    }

    private static JsonNode list(Iterable<JsonNode> parts) {
        ArrayNode list = Json.MAPPER.createArrayNode();
        for (JsonNode part : parts) {
            if (list.size() < MAX_PARTS) {
                list.add(part);
            }
        }
        return list.isEmpty() ? NullNode.getInstance() : list;
    }

    /** Choices as they stand in the contract and in the table. */
    static Map<String, Side> choices(JsonNode json) {
        Map<String, Side> choices = new HashMap<>();
        json.properties()
                .forEach(e -> choices.put(
                        e.getKey(), e.getValue().asText().equals("duplicate") ? Side.DUPLICATE : Side.SURVIVOR));
        return Collections.unmodifiableMap(choices);
    }
}
