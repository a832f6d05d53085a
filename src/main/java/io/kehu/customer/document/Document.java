package io.kehu.customer.document;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A document and its newest version.
 *
 * @param customerId the side it was added to
 * @param title null where the customer's key is gone
 * @param branchId where the customer is today, and with whom
 */
record Document(
        UUID id,
        UUID customerId,
        String type,
        @Nullable String title,
        UUID branchId,
        @Nullable UUID managerId,
        Version newest,
        long version,
        OffsetDateTime since) {

    /**
     * One file of it.
     *
     * @param state quarantined, clean or infected
     * @param contentType by its bytes
     */
    record Version(
            UUID id,
            int number,
            UUID blobId,
            String state,
            @Nullable String scanner,
            @Nullable String finding,
            @Nullable OffsetDateTime scannedAt,
            long size,
            String sha256,
            String contentType,
            UUID madeBy,
            OffsetDateTime madeAt) {
        static Version from(Row row) {
            return new Version(
                    row.getUUID("version_id"),
                    row.getInteger("number"),
                    row.getUUID("blob_id"),
                    row.getString("state"),
                    row.getString("scanner"),
                    row.getString("finding"),
                    row.getOffsetDateTime("scanned_at"),
                    row.getLong("size"),
                    row.getString("sha256"),
                    row.getString("content_type"),
                    row.getUUID("added_by"),
                    row.getOffsetDateTime("added_at"));
        }

        void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeNumberField("number", number);
            json.writeStringField("state", state);
            if (scanner != null) {
                json.writeStringField("scanner", scanner);
            }
            if (finding != null) {
                json.writeStringField("finding", finding);
            }
            if (scannedAt != null) {
                json.writeStringField("scannedAt", Json.instant(scannedAt));
            }
            json.writeNumberField("size", size);
            json.writeStringField("sha256", sha256);
            json.writeStringField("contentType", contentType);
            json.writeStringField("madeBy", madeBy.toString());
            json.writeStringField("madeAt", Json.instant(madeAt));
            json.writeEndObject();
        }
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("customerId", customerId.toString());
        json.writeStringField("type", type);
        if (title != null) {
            json.writeStringField("title", title);
        }
        json.writeFieldName("newest");
        newest.toJson(json);
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }
}
