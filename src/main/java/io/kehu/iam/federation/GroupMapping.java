package io.kehu.iam.federation;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What those in a group elsewhere are here.
 *
 * @param roles codes of iam.role, in order; may be none, where the group only says the branch
 * @param branchId where they work; null where another group says so
 */
record GroupMapping(
        String source,
        String group,
        List<String> roles,
        @Nullable UUID branchId) {
    GroupMapping {
        roles = List.copyOf(roles);
    }

    static GroupMapping from(Row row) {
        return new GroupMapping(
                row.getString("source"),
                row.getString("group_name"),
                List.of(row.getArrayOfStrings("roles")),
                row.getUUID("branch_id"));
    }

    static GroupMapping of(JsonNode item) {
        List<String> roles = new ArrayList<>();
        item.path("roles").forEach(role -> roles.add(role.textValue()));
        roles.sort(null);
        String branch = item.path("branchId").textValue();
        return new GroupMapping(
                item.get("source").textValue(),
                item.get("group").textValue(),
                roles,
                branch == null ? null : UUID.fromString(branch));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("source", source);
        json.writeStringField("group", group);
        Json.strings(json, "roles", roles);
        if (branchId != null) {
            json.writeStringField("branchId", branchId.toString());
        }
        json.writeEndObject();
    }
}
