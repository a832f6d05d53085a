package io.kehu.contract;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What the schemas of a contract must say: requests are closed and bounded, references lead somewhere. */
final class Bounds {
    /** Those that the validator asserts; another one would be decoration. */
    private static final Set<String> FORMATS = Set.of("uuid", "date", "date-time");

    private final JsonNode document;
    private final List<String> defects;

    Bounds(JsonNode document, List<String> defects) {
        this.document = document;
        this.defects = defects;
    }

    /** The node, or what its reference leads to. */
    JsonNode resolve(JsonNode node) {
        String ref = node.path("$ref").textValue();
        return ref == null ? node : ref.startsWith("#/") ? document.at(ref.substring(1)) : document.path("");
    }

    /** Our own words stand in operations, where they are read, and nowhere else; references lead somewhere. */
    void words(JsonNode node, String at) {
        boolean operation = at.startsWith("/paths/") && node.has("operationId");
        for (Map.Entry<String, JsonNode> e : node.properties()) {
            if (e.getKey().startsWith("x-") && !operation && !at.endsWith("/properties")) {
                defects.add(at + ": unknown word " + e.getKey());
            }
            words(e.getValue(), at + "/" + e.getKey());
        }
        if (node.isArray()) {
            int i = 0;
            for (JsonNode item : node) {
                words(item, at + "/" + i++);
            }
        }
        if (node.path("$ref").isTextual() && resolve(node).isMissingNode()) {
            defects.add(at + ": " + node.get("$ref").textValue() + " leads nowhere");
        }
    }

    /** What may be shown of a command that waits for approval are top-level fields of its body, and of nothing else. */
    void shown(JsonNode operation, String word, String where) {
        JsonNode names = operation.path(word);
        JsonNode content = resolve(operation.path("requestBody")).path("content");
        JsonNode fields = content.isEmpty()
                ? content
                : resolve(content.elements().next().path("schema")).path("properties");
        if (operation.has(word) && !(names.isArray() && operation.has("x-approval"))) {
            defects.add(where + ": " + word + " is a list, beside x-approval");
        }
        names.forEach(name -> {
            if (!fields.has(name.asText())) {
                defects.add(where + ": " + word + " names " + name.asText() + ", which the body does not have");
            }
        });
    }

    /** Objects say what they take, strings, arrays and numbers how much. */
    void check(String where, JsonNode schema, String at, Set<String> seen) {
        if (schema.path("$ref").isTextual() && !seen.add(schema.get("$ref").textValue() + at)) {
            return;
        }
        if (at.length() > 1_000) {
            defects.add(where + ": " + at.substring(0, 60) + "... holds itself");
            return;
        }
        JsonNode resolved = resolve(schema);
        for (String word : List.of("anyOf", "oneOf", "allOf")) {
            int i = 0;
            for (JsonNode part : resolved.path(word)) {
                check(where, part, at + "/" + word + i++, seen);
            }
        }
        boolean listed = resolved.has("enum") || resolved.has("const");
        List<String> types = types(resolved.path("type"));
        if (types.isEmpty() && !listed && !resolved.has("anyOf") && !resolved.has("oneOf") && !resolved.has("allOf")) {
            defects.add(where + ": " + at + " has no type");
        }
        for (String type : types) {
            switch (type) {
                case "object" -> object(where, resolved, at, seen);
                case "array" -> {
                    if (!resolved.has("maxItems")) {
                        defects.add(where + ": " + at + " is an unbounded array");
                    }
                    check(where, resolved.path("items"), at + "/-", seen);
                }
                case "string" -> {
                    if (!resolved.has("maxLength") && !listed) {
                        defects.add(where + ": " + at + " is an unbounded string");
                    }
                    String format = resolved.path("format").asText("uuid");
                    if (!FORMATS.contains(format)) {
                        defects.add(where + ": " + at + " has a format nobody checks: " + format);
                    }
                }
                case "integer", "number" -> {
                    // Beyond 2^53 and 2^63 languages disagree about numbers.
                    if (!(resolved.has("minimum") && resolved.has("maximum")) && !listed) {
                        defects.add(where + ": " + at + " is an unbounded number");
                    }
                }
                case "boolean", "null" -> {}
                default -> defects.add(where + ": " + at + " has an unknown type: " + type);
            }
        }
    }

    private void object(String where, JsonNode schema, String at, Set<String> seen) {
        JsonNode others = schema.path("additionalProperties");
        if (others.isObject()) {
            if (!schema.has("maxProperties")) {
                defects.add(where + ": " + at + " is an unbounded map");
            }
            check(where, others, at + "/*", seen);
        } else if (!others.isBoolean() || others.booleanValue()) {
            defects.add(where + ": " + at + " must be closed (additionalProperties: false)");
        }
        for (Map.Entry<String, JsonNode> property : schema.path("properties").properties()) {
            check(where, property.getValue(), at + "/" + property.getKey(), seen);
        }
    }

    private static List<String> types(JsonNode type) {
        List<String> types = new ArrayList<>();
        if (type.isTextual()) {
            types.add(type.textValue());
        }
        type.forEach(t -> types.add(t.asText()));
        return types;
    }
}
