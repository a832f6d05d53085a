package io.kehu.iam.role;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * The catalogue of what can be permitted: what the operations of the contract ask for, and what {@code permissions.yaml} adds to
 * it (names in both languages, and permissions that show fields).
 */
public final class Permissions {
    private static final YAMLMapper YAML = new YAMLMapper();

    private final Map<String, Permission> all;

    /** What a permission is about. */
    public enum Kind {
        /** Calling operations. */
        OPERATION,
        /** Showing fields, filtering and sorting by them, entering them. */
        FIELD
    }

    /**
     * One entry.
     *
     * @param operations ids of the operations that ask for it
     * @param fields what it shows, under their names in the contract
     */
    public record Permission(
            String code, Kind kind, String nameEn, String nameZh, List<String> operations, List<String> fields) {
        void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("code", code);
            json.writeStringField("kind", kind == Kind.FIELD ? "field" : "operation");
            json.writeStringField("nameEn", nameEn);
            json.writeStringField("nameZh", nameZh);
            Json.strings(json, "operations", operations);
            Json.strings(json, "fields", fields);
            json.writeEndObject();
        }
    }

    private Permissions(Map<String, Permission> all) {
        this.all = all;
    }

    public static Permissions of(Contract contract) {
        Map<String, List<String>> asked = new TreeMap<>();
        for (Operation operation : contract.operations()) {
            String permission = operation.permission();
            if (permission != null) {
                asked.computeIfAbsent(permission, p -> new ArrayList<>()).add(operation.id());
            }
        }
        JsonNode named = named();
        named.fieldNames().forEachRemaining(code -> asked.putIfAbsent(code, List.of()));
        Map<String, Permission> all = new TreeMap<>();
        asked.forEach((code, operations) -> {
            JsonNode entry = named.path(code);
            List<String> fields = new ArrayList<>();
            entry.path("fields").forEach(field -> fields.add(field.textValue()));
            all.put(
                    code,
                    new Permission(
                            code,
                            entry.path("kind").asText().equals("field") ? Kind.FIELD : Kind.OPERATION,
                            entry.path("en").asText(code),
                            entry.path("zh").asText(code),
                            operations,
                            fields));
        });
        return new Permissions(all);
    }

    private static JsonNode named() {
        try (InputStream in =
                Objects.requireNonNull(Permissions.class.getResourceAsStream("/permissions.yaml"), "permissions")) {
            return YAML.readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** By code. */
    public List<Permission> all() {
        return List.copyOf(all.values());
    }

    /** Fails with request.invalid that points at each one that does not exist. */
    public void mustExist(String pointer, JsonNode codes) {
        List<Problem.FieldError> faults = new ArrayList<>();
        int i = 0;
        for (JsonNode code : codes) {
            if (!all.containsKey(code.textValue())) {
                faults.add(new Problem.FieldError(pointer + "/" + i, "field.permissionUnknown", List.of()));
            }
            i++;
        }
        if (!faults.isEmpty()) {
            throw Problem.invalid(faults);
        }
    }

    /** The same for a single one. */
    public void mustExist(String pointer, String code) {
        if (!all.containsKey(code)) {
            throw Problem.at(pointer, "field.permissionUnknown");
        }
    }
}
