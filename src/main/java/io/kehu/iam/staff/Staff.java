package io.kehu.iam.staff;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.Mask;
import io.kehu.crypto.Vault;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A member of staff as the bank knows it, or knew it.
 *
 * @param username the name to sign in with, in small letters, never changed
 * @param name of the person; class C2
 * @param phone in E.164, or null; class C2
 * @param roles codes of iam.role, 1 to 5
 * @param state active, suspended or left; only the active can sign in
 * @param mustChange whether the password is to be changed before anything else
 */
public record Staff(
        UUID id,
        String username,
        String name,
        @Nullable String phone,
        UUID branchId,
        List<String> roles,
        String state,
        boolean mustChange,
        long version,
        OffsetDateTime since) {

    /** What {@link #from} reads, of {@link #TABLES}. */
    public static final String COLUMNS = "s.id, s.username, s.branch_id, s.roles, s.state, s.must_change, s.sealed,"
            + " s.version, s.valid_from, k.epoch, k.wrapped";

    public static final String TABLES = "iam.staff s JOIN kehu.data_key k ON k.subject_id = s.id";
    private static final String TABLE = "iam.staff";
    private static final String CLASS = "C2";

    public Staff {
        roles = List.copyOf(roles);
    }

    public static Staff from(Row row, Vault vault) {
        UUID id = row.getUUID("id");
        Vault.Key key =
                vault.key(id, row.getInteger("epoch"), row.getBuffer("wrapped").getBytes());
        ObjectNode personal = Json.read(
                new String(vault.open(key, TABLE, CLASS, row.getBuffer("sealed").getBytes()), StandardCharsets.UTF_8));
        return new Staff(
                id,
                row.getString("username"),
                personal.path("name").asText(),
                personal.path("phone").textValue(),
                row.getUUID("branch_id"),
                List.of(row.getArrayOfStrings("roles")),
                row.getString("state"),
                row.getBoolean("must_change"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** What a new member of staff is made of. */
    static Staff draft(UUID id, ObjectNode body) {
        return new Staff(
                id,
                username(body.get("username").textValue()),
                body.get("name").textValue().strip(),
                body.path("phone").textValue(),
                UUID.fromString(body.get("branchId").textValue()),
                roles(body.get("roles")),
                "active",
                true,
                1,
                OffsetDateTime.MIN);
    }

    /** The one spelling of a sign-in name. */
    public static String username(String text) {
        return text.strip().toLowerCase(Locale.ROOT);
    }

    /** This member of staff with a merge patch (RFC 7396) applied. */
    Staff patched(ObjectNode patch) {
        return new Staff(
                id,
                username,
                patch.path("name").asText(name).strip(),
                patch.has("phone") ? patch.get("phone").textValue() : phone,
                patch.has("branchId") ? UUID.fromString(patch.get("branchId").textValue()) : branchId,
                patch.has("roles") ? roles(patch.get("roles")) : roles,
                patch.path("state").asText(state),
                mustChange,
                version,
                since);
    }

    /** This member of staff in other roles and at another branch. */
    Staff at(StaffPlace place) {
        return new Staff(id, username, name, phone, place.branchId(), place.roles(), state, mustChange, version, since);
    }

    private static List<String> roles(JsonNode array) {
        List<String> roles = new ArrayList<>();
        array.forEach(role -> roles.add(role.textValue()));
        roles.sort(null);
        return roles;
    }

    /** Whether the other state of this person may do the same. */
    boolean hasRightsOf(Staff other) {
        return branchId.equals(other.branchId) && roles.equals(other.roles) && state.equals(other.state);
    }

    /** Whether this state of a person allows anything that the other did not: roles, a place, or to work at all. */
    boolean givesRightsBeyond(Staff other) {
        return !branchId.equals(other.branchId)
                || !other.roles.containsAll(roles)
                || (state.equals("active") && !other.state.equals("active"));
    }

    Buffer sealed(Vault vault, Vault.Key key) {
        byte[] personal =
                Json.object().put("name", name).put("phone", phone).toString().getBytes(StandardCharsets.UTF_8);
        return Buffer.buffer(vault.seal(key, TABLE, CLASS, personal));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        fields(json, false);
        json.writeEndObject();
    }

    /** Writes the fields into an object begun by the caller; the whole phone number only for its owner. */
    public void fields(JsonGenerator json, boolean own) throws IOException {
        json.writeStringField("id", id.toString());
        json.writeStringField("username", username);
        json.writeStringField("name", name);
        json.writeStringField("phone", phone == null || own ? phone : Mask.phone(phone));
        json.writeStringField("branchId", branchId.toString());
        Json.strings(json, "roles", roles);
        json.writeStringField("state", state);
        json.writeBooleanField("mustChangePassword", mustChange);
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
    }
}
