package io.kehu.ops.work;

import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A job as people see it.
 *
 * @param state waiting, running, done, failed or cancelled
 * @param owner who asked for it
 * @param percent of the work that is done, null where nobody knows
 * @param cancelAsked a running one ends before its next chunk
 * @param errorCode of a failed one
 */
record Job(
        UUID id,
        String kind,
        String state,
        UUID owner,
        long read,
        long accepted,
        long rejected,
        @Nullable Integer percent,
        boolean cancelAsked,
        @Nullable String errorCode,
        OffsetDateTime createdAt,
        @Nullable OffsetDateTime startedAt,
        @Nullable OffsetDateTime endedAt) {

    static Job from(Row row) {
        Long total = row.getLong("units_total");
        return new Job(
                row.getUUID("id"),
                row.getString("kind"),
                row.getString("state"),
                row.getUUID("owner_id"),
                row.getLong("rows_read"),
                row.getLong("rows_accepted"),
                row.getLong("rows_rejected"),
                total == null || total == 0 ? null : (int) Math.min(100, 100 * row.getLong("units_done") / total),
                row.getBoolean("cancel_asked"),
                row.getString("error_code"),
                row.getOffsetDateTime("created_at"),
                row.getOffsetDateTime("started_at"),
                row.getOffsetDateTime("ended_at"));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("kind", kind);
        json.writeStringField("state", state);
        json.writeStringField("ownerId", owner.toString());
        json.writeNumberField("read", read);
        json.writeNumberField("accepted", accepted);
        json.writeNumberField("rejected", rejected);
        json.writeFieldName("percent");
        if (percent == null) {
            json.writeNull();
        } else {
            json.writeNumber(percent);
        }
        json.writeBooleanField("cancelAsked", cancelAsked);
        json.writeStringField("errorCode", errorCode);
        json.writeStringField("createdAt", instant(createdAt));
        json.writeStringField("startedAt", instant(startedAt));
        json.writeStringField("endedAt", instant(endedAt));
        json.writeEndObject();
    }

    private static @Nullable String instant(@Nullable OffsetDateTime time) {
        return time == null ? null : time.toInstant().toString();
    }
}
