package io.kehu.iam.grant;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.iam.role.Permissions;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What is asked for or given, and for how long.
 *
 * @param roles codes of iam.role; they bring their own scope where no place is named
 * @param permissions beyond those of the roles
 * @param branchIds places: branches, each with all below it
 * @param customerIds places: single customers
 * @param startsAt null for at once
 */
record Gift(
        List<String> roles,
        List<String> permissions,
        List<UUID> branchIds,
        List<UUID> customerIds,
        @Nullable OffsetDateTime startsAt,
        OffsetDateTime endsAt,
        String reason) {

    static Gift from(Row row) {
        return new Gift(
                List.of(row.getArrayOfStrings("roles")),
                List.of(row.getArrayOfStrings("permissions")),
                List.of(row.getArrayOfUUIDs("branch_ids")),
                List.of(row.getArrayOfUUIDs("customer_ids")),
                row.getOffsetDateTime("starts_at"),
                row.getOffsetDateTime("ends_at"),
                row.getString("reason"));
    }

    /** Of a body; fails with request.invalid for a permission that does not exist, or where nothing is asked for. */
    static Gift draft(ObjectNode body, Permissions catalogue) {
        catalogue.mustExist("/permissions", body.path("permissions"));
        String startsAt = body.path("startsAt").textValue();
        Gift gift = new Gift(
                list(body.path("roles"), JsonNode::textValue),
                list(body.path("permissions"), JsonNode::textValue),
                list(body.path("branchIds"), id -> UUID.fromString(id.textValue())),
                list(body.path("customerIds"), id -> UUID.fromString(id.textValue())),
                startsAt == null ? null : OffsetDateTime.parse(startsAt),
                OffsetDateTime.parse(body.get("endsAt").textValue()),
                body.get("reason").textValue().strip());
        if (gift.roles.isEmpty()
                && gift.permissions.isEmpty()
                && gift.branchIds.isEmpty()
                && gift.customerIds.isEmpty()) {
            throw Problem.at("/permissions", "field.required");
        }
        return gift;
    }

    private static <T> List<T> list(JsonNode array, Function<JsonNode, T> read) {
        List<T> list = new ArrayList<>();
        array.forEach(node -> list.add(read.apply(node)));
        return list;
    }

    boolean isPlaced() {
        return !branchIds.isEmpty() || !customerIds.isEmpty();
    }

    String[] roleArray() {
        return roles.toArray(String[]::new);
    }

    String[] permissionArray() {
        return permissions.toArray(String[]::new);
    }

    UUID[] branchArray() {
        return branchIds.toArray(UUID[]::new);
    }

    UUID[] customerArray() {
        return customerIds.toArray(UUID[]::new);
    }

    /** Writes the fields into an object begun by the caller. */
    void fields(JsonGenerator json) throws IOException {
        Json.strings(json, "roles", roles);
        Json.strings(json, "permissions", permissions);
        Json.strings(json, "branchIds", branchIds);
        Json.strings(json, "customerIds", customerIds);
        instant(json, "startsAt", startsAt);
        instant(json, "endsAt", endsAt);
        json.writeStringField("reason", reason);
    }

    static void instant(JsonGenerator json, String name, @Nullable OffsetDateTime time) throws IOException {
        json.writeStringField(name, time == null ? null : time.toInstant().toString());
    }

    static void id(JsonGenerator json, String name, @Nullable UUID id) throws IOException {
        json.writeStringField(name, id == null ? null : id.toString());
    }
}
