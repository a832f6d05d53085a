package io.kehu.iam.session;

import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A session that goes on.
 *
 * @param audience in capital letters
 * @param seenAt when it began or was last refreshed
 * @param factorAt when its bearer last proved himself
 */
record Session(
        UUID id,
        String audience,
        OffsetDateTime startedAt,
        OffsetDateTime seenAt,
        OffsetDateTime endsAt,
        OffsetDateTime factorAt,
        String address) {
    static final String COLUMNS = "id, audience, started_at, seen_at, ends_at, factor_at, address";

    static Session from(Row row) {
        return new Session(
                row.getUUID("id"),
                row.getString("audience"),
                row.getOffsetDateTime("started_at"),
                row.getOffsetDateTime("seen_at"),
                row.getOffsetDateTime("ends_at"),
                row.getOffsetDateTime("factor_at"),
                row.getString("address"));
    }

    void toJson(JsonGenerator json, @Nullable UUID current) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("audience", audience.toLowerCase(Locale.ROOT));
        json.writeStringField("startedAt", startedAt.toInstant().toString());
        json.writeStringField("seenAt", seenAt.toInstant().toString());
        json.writeStringField("endsAt", endsAt.toInstant().toString());
        json.writeStringField("factorAt", factorAt.toInstant().toString());
        json.writeStringField("address", address);
        json.writeBooleanField("current", id.equals(current));
        json.writeEndObject();
    }
}
