package io.kehu.customer.segment;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.kehu.customer.filter.Filter;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A named group of customers.
 *
 * @param kind live or static
 * @param filter of the grammar, as JSON; null where the customers were listed
 * @param catchingUp whether who belongs is of before the last change of the filter or of many customers
 */
record Segment(
        UUID id,
        String name,
        String description,
        String kind,
        @Nullable String filter,
        boolean catchingUp,
        @Nullable OffsetDateTime rebuiltAt,
        long version,
        OffsetDateTime since) {

    static Segment from(Row row) {
        return new Segment(
                row.getUUID("id"),
                row.getString("name"),
                row.getString("description"),
                row.getString("kind"),
                row.getString("filter"),
                row.getBoolean("catching_up"),
                row.getOffsetDateTime("rebuilt_at"),
                row.getLong("version"),
                row.getOffsetDateTime("valid_from"));
    }

    boolean live() {
        return kind.equals("live");
    }

    /** Nobody where the customers were listed: they are members, whatever becomes of them. */
    @Nullable
    Filter parsed() {
        return filter == null ? null : Filter.parse(Json.read(filter), "/filter");
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("name", name);
        json.writeStringField("description", description);
        json.writeStringField("kind", kind);
        if (filter != null) {
            json.writeFieldName("filter");
            json.writeRawValue(filter);
        }
        json.writeBooleanField("catchingUp", catchingUp);
        if (rebuiltAt != null) {
            json.writeStringField("rebuiltAt", Json.instant(rebuiltAt));
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
