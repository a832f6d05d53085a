package io.kehu.customer.tag;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A place in the tree of tags.
 *
 * @param tree the codes from the top down, each followed by '!'
 * @param depth 0 at the top, 3 at the most
 */
record TagCategory(
        UUID id,
        @Nullable UUID parentId,
        String code,
        String nameEn,
        String nameZh,
        String tree,
        int depth,
        long version,
        OffsetDateTime since) {

    static TagCategory from(Row row) {
        return new TagCategory(
                row.getUUID("id"),
                row.getUUID("parent_id"),
                row.getString("code"),
                row.getString("name_en"),
                row.getString("name_zh"),
                row.getString("tree"),
                row.getInteger("depth"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("code", code);
        json.writeStringField("nameEn", nameEn);
        json.writeStringField("nameZh", nameZh);
        if (parentId != null) {
            json.writeStringField("parentId", parentId.toString());
        }
        json.writeNumberField("depth", depth);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
