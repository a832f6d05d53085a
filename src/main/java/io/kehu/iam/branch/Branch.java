package io.kehu.iam.branch;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A branch as it is, or was.
 *
 * @param parentId the branch above; null for the head office
 * @param code the bank's own number, never changed
 * @param state open or closed
 * @param tree the codes from the head office down, each followed by '!'
 * @param depth 0 for the head office
 */
record Branch(
        UUID id,
        @Nullable UUID parentId,
        String code,
        String name,
        String state,
        String tree,
        int depth,
        long version,
        OffsetDateTime since) {

    static Branch from(Row row) {
        return new Branch(
                row.getUUID("id"),
                row.getUUID("parent_id"),
                row.getString("code"),
                row.getString("name"),
                row.getString("state"),
                row.getString("tree"),
                row.getInteger("depth"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    /** What a new branch is made of. */
    static Branch draft(UUID id, ObjectNode body) {
        return new Branch(
                id,
                UUID.fromString(body.get("parentId").textValue()),
                body.get("code").textValue(),
                body.get("name").textValue().strip(),
                "open",
                "",
                0,
                1,
                OffsetDateTime.MIN);
    }

    /** This branch with a merge patch (RFC 7396) applied. */
    Branch patched(ObjectNode patch) {
        return new Branch(
                id,
                patch.has("parentId") ? UUID.fromString(patch.get("parentId").textValue()) : parentId,
                code,
                patch.path("name").asText(name).strip(),
                patch.path("state").asText(state),
                tree,
                depth,
                version,
                since);
    }

    /** This branch as a child of another. */
    Branch below(Branch parent) {
        return new Branch(id, parent.id, code, name, state, parent.tree + code + "!", parent.depth + 1, version, since);
    }

    /** True for itself too. */
    boolean isAbove(Branch other) {
        return other.tree.startsWith(tree);
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("parentId", parentId == null ? null : parentId.toString());
        json.writeStringField("code", code);
        json.writeStringField("name", name);
        json.writeStringField("state", state);
        json.writeNumberField("depth", depth);
        json.writeNumberField("version", version);
        json.writeStringField("since", since.toInstant().toString());
        json.writeEndObject();
    }
}
