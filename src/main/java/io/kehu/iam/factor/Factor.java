package io.kehu.iam.factor;

import com.fasterxml.jackson.core.JsonGenerator;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;

/**
 * A second factor as its owner sees it.
 *
 * @param kind totp, sms, or what another room adds
 * @param label what tells it from others, e.g. a masked phone number
 * @param state pending or active
 */
record Factor(UUID id, String kind, String label, String state, OffsetDateTime madeAt, long version) {
    static final String COLUMNS = "f.id, f.kind, f.label, f.state, f.made_at, f.version";

    static Factor from(Row row) {
        return new Factor(
                row.getUUID("id"),
                row.getString("kind"),
                row.getString("label"),
                row.getString("state"),
                row.getOffsetDateTime("made_at"),
                row.getLong("version"));
    }

    void toJson(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("kind", kind);
        json.writeStringField("label", label);
        json.writeStringField("state", state);
        json.writeStringField("madeAt", madeAt.toInstant().toString());
        json.writeEndObject();
    }
}
