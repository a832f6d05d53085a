package io.kehu.contract;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Error;
import com.networknt.schema.Schema;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Problem.FieldError;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Step 4 of a request: parameters and body against the contract. What passes is of the contract's types and bounds. */
public final class Input {
    /** Of one answer; a body of a million faults gets no million lines. */
    private static final int MAX_ERRORS = 20;
    /** Of a longer body only the first fault is named: collecting 50,000 of them takes a second. */
    private static final int MAX_EXPLAINED_BYTES = 64 * 1024;

    private Input() {}

    /**
     * The parameters under their names.
     *
     * @param values of the path's parameters, in order
     * @param query the raw query string without the question mark, or null
     * @throws Problem {@code request.invalid}, {@code request.ifMatchMissing}
     */
    public static ObjectNode params(
            Operation operation, List<String> values, @Nullable String query, MultiMap headers) {
        ObjectNode params = Json.object();
        List<FieldError> errors = new ArrayList<>();
        int i = 0;
        for (String value : values) {
            Parameter parameter = operation.parameters().get(i++);
            String decoded = decode(value, false);
            if (decoded == null) {
                errors.add(new FieldError(parameter.name(), "field.encoding", List.of()));
            } else {
                parameter.read(decoded, params, errors);
            }
        }
        if (query != null && !query.isEmpty()) {
            query(operation, query, params, errors);
        }
        for (Parameter parameter : operation.parameters()) {
            if (parameter.place() == Parameter.Place.HEADER) {
                header(parameter, headers, params, errors);
            } else if (parameter.place() == Parameter.Place.COOKIE) {
                cookie(parameter, headers, params, errors);
            } else if (parameter.required() && !params.has(parameter.name()) && errors.isEmpty()) {
                errors.add(new FieldError(parameter.name(), "field.required", List.of()));
            }
        }
        if (!errors.isEmpty()) {
            throw Problem.invalid(errors);
        }
        return params;
    }

    private static void query(Operation operation, String query, ObjectNode params, List<FieldError> errors) {
        for (String pair : query.split("&", 102)) {
            if (errors.size() >= MAX_ERRORS) {
                return;
            }
            int equals = pair.indexOf('=');
            String name = decode(equals < 0 ? pair : pair.substring(0, equals), true);
            String value = equals < 0 ? "" : decode(pair.substring(equals + 1), true);
            if (name == null || value == null) {
                errors.add(new FieldError("?", "field.encoding", List.of()));
                continue;
            }
            Parameter parameter = null;
            for (Parameter candidate : operation.parameters()) {
                if (candidate.place() == Parameter.Place.QUERY
                        && candidate.name().equals(name)) {
                    parameter = candidate;
                }
            }
            if (parameter == null) {
                errors.add(new FieldError(harmless(name), "field.unknown", List.of()));
            } else if (params.has(name)) {
                errors.add(new FieldError(name, "field.repeated", List.of()));
            } else {
                parameter.read(value, params, errors);
            }
        }
    }

    private static void header(Parameter parameter, MultiMap headers, ObjectNode params, List<FieldError> errors) {
        List<String> given = headers.getAll(parameter.name());
        if (given.isEmpty()) {
            if (parameter.required()) {
                if (parameter.name().equals("If-Match")) {
                    throw Problem.of("request.ifMatchMissing");
                }
                errors.add(new FieldError(parameter.name(), "field.required", List.of()));
            }
        } else if (given.size() > 1) {
            errors.add(new FieldError(parameter.name(), "field.repeated", List.of()));
        } else {
            parameter.read(given.get(0), params, errors);
        }
    }

    /** RFC 6265, section 5.4: pairs parted by semicolons; cookies that the operation does not declare are not ours. */
    private static void cookie(Parameter parameter, MultiMap headers, ObjectNode params, List<FieldError> errors) {
        String start = parameter.name() + "=";
        for (String header : headers.getAll("Cookie")) {
            for (String pair : header.split(";", 102)) {
                String cookie = pair.trim();
                if (!cookie.startsWith(start)) {
                    continue;
                }
                if (params.has(parameter.name())) {
                    errors.add(new FieldError(parameter.name(), "field.repeated", List.of()));
                } else {
                    parameter.read(cookie.substring(start.length()), params, errors);
                }
            }
        }
    }

    /**
     * The JSON body.
     *
     * @return null where the operation takes none and none is given
     * @throws Problem {@code request.malformed}, {@code request.mediaType}, {@code request.bodyMissing}, {@code
     *     request.bodyUnexpected}, {@code request.invalid}
     */
    public static @Nullable ObjectNode body(Operation operation, Buffer bytes, @Nullable String contentType) {
        if (operation.body() == null) {
            if (bytes.length() > 0) {
                throw Problem.of("request.bodyUnexpected");
            }
            return null;
        }
        if (bytes.length() == 0) {
            if (operation.bodyRequired()) {
                throw Problem.of("request.bodyMissing");
            }
            return null;
        }
        if (!isType(contentType, String.valueOf(operation.bodyType()))) {
            throw Problem.of("request.mediaType", String.valueOf(operation.bodyType()));
        }
        JsonNode node = Json.parse(bytes);
        List<FieldError> errors = faults(operation.body(), node, bytes.length() > MAX_EXPLAINED_BYTES);
        if (!errors.isEmpty()) {
            throw Problem.invalid(errors);
        }
        if (!(node instanceof ObjectNode object)) {
            throw Problem.of("request.malformed");
        }
        return object;
    }

    /**
     * What is wrong with a document: also for those that did not come as the body of a request, e.g. a row of a file.
     *
     * @param onlyFirst for long documents
     */
    public static List<FieldError> faults(Schema schema, JsonNode node, boolean onlyFirst) {
        List<FieldError> errors = new ArrayList<>();
        if (!isClean(node)) {
            clean(node, "", errors);
        }
        if (errors.isEmpty()) {
            for (Error error : schema.validate(node, context -> context.setFailFast(onlyFirst))) {
                if (errors.size() < MAX_ERRORS) {
                    errors.add(fieldError(error));
                }
            }
        }
        return errors;
    }

    /** The same media type, with no parameters but {@code charset=utf-8}. */
    private static boolean isType(@Nullable String given, String wanted) {
        if (given == null) {
            return false;
        }
        String[] parts = given.toLowerCase(Locale.ROOT).split(";", 3);
        return parts[0].trim().equals(wanted)
                && (parts.length == 1
                        || (parts.length == 2
                                && parts[1].trim().replace("\"", "").equals("charset=utf-8")));
    }

    /** Without saying where: almost everything is clean, and to write all pointers costs more than to look. */
    private static boolean isClean(JsonNode node) {
        if (node.isTextual()) {
            return isClean(node.textValue());
        }
        if (node.isObject()) {
            for (Map.Entry<String, JsonNode> e : node.properties()) {
                if (!isClean(e.getKey()) || !isClean(e.getValue())) {
                    return false;
                }
            }
        } else if (node.isArray()) {
            for (JsonNode item : node) {
                if (!isClean(item)) {
                    return false;
                }
            }
        }
        return true;
    }

    private static void clean(JsonNode node, String pointer, List<FieldError> errors) {
        if (errors.size() >= MAX_ERRORS) {
            return;
        }
        if (node.isTextual()) {
            if (!isClean(node.textValue())) {
                errors.add(new FieldError(pointer, "field.control", List.of()));
            }
        } else if (node.isObject()) {
            for (Map.Entry<String, JsonNode> e : node.properties()) {
                if (!isClean(e.getKey())) {
                    errors.add(new FieldError(pointer + "/?", "field.control", List.of()));
                }
                clean(e.getValue(), pointer + "/" + harmless(e.getKey()), errors);
            }
        } else if (node.isArray()) {
            int i = 0;
            for (JsonNode item : node) {
                clean(item, pointer + "/" + i++, errors);
            }
        }
    }

    /** What the validator found, in the words of the catalogue. */
    static FieldError fieldError(Error error) {
        StringBuilder pointer = new StringBuilder();
        for (int i = 0; i < error.getInstanceLocation().getNameCount(); i++) {
            pointer.append('/').append(harmless(error.getInstanceLocation().getName(i)));
        }
        JsonNode schema = error.getSchemaNode();
        String bound = schema != null && schema.isNumber() ? schema.asText() : "";
        String keyword = String.valueOf(error.getKeyword());
        return switch (keyword) {
            case "required" ->
                new FieldError(pointer + "/" + harmless(error.getProperty()), "field.required", List.of());
            case "additionalProperties", "unevaluatedProperties" ->
                new FieldError(pointer + "/" + harmless(error.getProperty()), "field.unknown", List.of());
            case "type" ->
                new FieldError(
                        pointer.toString(),
                        "field.type",
                        List.of(schema == null ? "" : schema.isArray() ? schema.toString() : schema.asText()));
            case "enum", "const" ->
                new FieldError(pointer.toString(), "field.notInList", List.of(schema == null ? "" : words(schema)));
            case "minLength" -> new FieldError(pointer.toString(), "field.tooShort", List.of(bound));
            case "maxLength" -> new FieldError(pointer.toString(), "field.tooLong", List.of(bound));
            case "minimum", "exclusiveMinimum" -> new FieldError(pointer.toString(), "field.tooSmall", List.of(bound));
            case "maximum", "exclusiveMaximum" -> new FieldError(pointer.toString(), "field.tooLarge", List.of(bound));
            case "maxItems", "maxProperties" -> new FieldError(pointer.toString(), "field.tooMany", List.of(bound));
            case "minItems", "minProperties" -> new FieldError(pointer.toString(), "field.tooFew", List.of(bound));
            case "uniqueItems" -> new FieldError(pointer.toString(), "field.repeated", List.of());
            case "format" ->
                new FieldError(pointer.toString(), "field.format", List.of(schema == null ? "" : schema.asText()));
            case "pattern" -> new FieldError(pointer.toString(), "field.pattern", List.of());
            default -> new FieldError(pointer.toString(), "field.shape", List.of());
        };
    }

    private static String words(JsonNode schema) {
        List<String> words = new ArrayList<>();
        (schema.isArray() ? schema : Json.MAPPER.createArrayNode().add(schema)).forEach(v -> words.add(v.asText()));
        return String.join(", ", words);
    }

    /** A caller's name for a field may be shown back only where it looks like one. */
    private static String harmless(@Nullable String name) {
        return name != null && name.length() <= 64 && name.matches("[A-Za-z0-9_.-]+") ? name : "?";
    }

    /** Percent-decoding that accepts only valid UTF-8; null for anything else. */
    static @Nullable String decode(String text, boolean plusIsSpace) {
        if (isPlain(text)) {
            return text;
        }
        byte[] bytes = new byte[text.length() * 3];
        int n = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '%') {
                int high = i + 2 < text.length() ? Character.digit(text.charAt(i + 1), 16) : -1;
                int low = i + 2 < text.length() ? Character.digit(text.charAt(i + 2), 16) : -1;
                if (high < 0 || low < 0) {
                    return null;
                }
                bytes[n++] = (byte) (high << 4 | low);
                i += 2;
            } else if (c == '+' && plusIsSpace) {
                bytes[n++] = ' ';
            } else if (c > 0x20 && c < 0x7f) {
                bytes[n++] = (byte) c;
            } else {
                return null;
            }
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes, 0, n))
                    .toString();
        } catch (CharacterCodingException e) {
            return null;
        }
    }

    private static boolean isPlain(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c <= 0x20 || c >= 0x7f || c == '%' || c == '+') {
                return false;
            }
        }
        return true;
    }

    /**
     * Refuses what hides or disguises: control characters (line feed, tabulator and carriage return excepted), directional
     * overrides and isolates, zero-width space, word joiner and byte order mark, and halves of surrogate pairs. Joiners
     * stay: emoji and several scripts need them.
     */
    static boolean isClean(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < 0x20 ? c != '\n' && c != '\t' && c != '\r' : c >= 0x7f && isRefused(text, i, c)) {
                return false;
            }
            if (Character.isHighSurrogate(c)) {
                i++;
            }
        }
        return true;
    }

    private static boolean isRefused(String text, int i, char c) {
        if (Character.isHighSurrogate(c)) {
            return i + 1 >= text.length() || !Character.isLowSurrogate(text.charAt(i + 1));
        }
        return c <= 0x9f
                || Character.isLowSurrogate(c)
                || c == 0x200b
                || c == 0x2060
                || c == 0xfeff
                || (c >= 0x202a && c <= 0x202e)
                || (c >= 0x2066 && c <= 0x2069)
                || c == 0xfffe
                || c == 0xffff;
    }

    /** Exactly 8-4-4-4-12 hexadecimal digits; {@code UUID.fromString} would take shorter groups. */
    static boolean isUuid(String text) {
        if (text.length() != 36) {
            return false;
        }
        for (int i = 0; i < 36; i++) {
            char c = text.charAt(i);
            boolean dash = i == 8 || i == 13 || i == 18 || i == 23;
            if (dash ? c != '-' : Character.digit(c, 16) < 0 || c > 'f') {
                return false;
            }
        }
        return true;
    }
}
