package io.kehu.iam.role;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Principal.Scope;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A role as it is, or was.
 *
 * @param code its name in requests, never changed
 * @param scope which customers its holders see
 * @param permissions codes of {@link Permissions}, sorted
 * @param networks where its holders may call from, in CIDR notation; none for everywhere
 * @param secondFactor whether its holders need one; null for what its permissions ask for
 * @param builtIn Kehu came with it: it can be changed but not deleted
 */
record Role(
        UUID id,
        String code,
        String nameEn,
        String nameZh,
        Scope scope,
        List<String> permissions,
        List<String> networks,
        @Nullable Boolean secondFactor,
        boolean builtIn,
        long version,
        OffsetDateTime since) {

    Role {
        permissions = permissions.stream().sorted().toList();
        networks = List.copyOf(networks);
    }

    static Role from(Row row) {
        return new Role(
                row.getUUID("id"),
                row.getString("code"),
                row.getString("name_en"),
                row.getString("name_zh"),
                Scope.valueOf(row.getString("scope")),
                List.of(row.getArrayOfStrings("permissions")),
                List.of(row.getArrayOfStrings("networks")),
                row.getBoolean("second_factor"),
                row.getBoolean("built_in"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** What a new role is made of. */
    static Role draft(UUID id, ObjectNode body) {
        return new Role(
                id,
                body.get("code").textValue(),
                body.get("nameEn").textValue().strip(),
                body.get("nameZh").textValue().strip(),
                scope(body.get("scope")),
                texts(body.get("permissions")),
                RoleRules.networks("/networks", body.path("networks")),
                secondFactor(body),
                false,
                1,
                OffsetDateTime.MIN);
    }

    /** This role with a merge patch (RFC 7396) applied; the second factor only where the patch says so. */
    Role patched(ObjectNode patch) {
        return new Role(
                id,
                code,
                patch.path("nameEn").asText(nameEn).strip(),
                patch.path("nameZh").asText(nameZh).strip(),
                patch.has("scope") ? scope(patch.get("scope")) : scope,
                patch.has("permissions") ? texts(patch.get("permissions")) : permissions,
                patch.has("networks") ? RoleRules.networks("/networks", patch.get("networks")) : networks,
                secondFactor(patch),
                builtIn,
                version,
                since);
    }

    private static @Nullable Boolean secondFactor(ObjectNode body) {
        String word = body.path("secondFactor").textValue();
        return word == null ? null : word.equals("required");
    }

    private static Scope scope(JsonNode word) {
        return Scope.valueOf(word.textValue().toUpperCase(Locale.ROOT));
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(text -> texts.add(text.textValue()));
        return texts;
    }

    /**
     * Whether this role lets its holders do or see anything, or call from anywhere, that the other does not, or no longer asks
     * them for a factor.
     */
    boolean exceeds(Role other) {
        return scope.compareTo(other.scope) > 0
                || !other.permissions.containsAll(permissions)
                || RoleRules.reachFurther(networks, other.networks)
                || (Boolean.TRUE.equals(other.secondFactor) && Boolean.FALSE.equals(secondFactor));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("code", code);
        json.writeStringField("nameEn", nameEn);
        json.writeStringField("nameZh", nameZh);
        json.writeStringField("scope", scope.name().toLowerCase(Locale.ROOT));
        Json.strings(json, "permissions", permissions);
        Json.strings(json, "networks", networks);
        json.writeStringField("secondFactor", Boolean.TRUE.equals(secondFactor) ? "required" : "optional");
        json.writeBooleanField("builtIn", builtIn);
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
        json.writeEndObject();
    }
}
