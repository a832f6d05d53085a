package io.kehu.customer.interaction;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One contact, as it is known or was.
 *
 * @param customerId the id it was recorded for
 * @param at when it took place
 * @param staffId who took part; null for nobody of the staff
 * @param subjectKind lead, case or campaign; null together with its id
 * @param text in plain; null for none, and where the customer's key is gone
 * @param madeAt when it was recorded
 */
record Interaction(
        UUID id,
        UUID customerId,
        OffsetDateTime at,
        String channel,
        String direction,
        @Nullable UUID staffId,
        @Nullable String subjectKind,
        @Nullable UUID subjectId,
        @Nullable String outcome,
        @Nullable String text,
        OffsetDateTime madeAt,
        long version,
        OffsetDateTime since) {
    private static final int EXCERPT_CODE_POINTS = 200;

    static Interaction from(Row row, @Nullable String text) {
        return new Interaction(
                row.getUUID("id"),
                row.getUUID("customer_id"),
                row.getOffsetDateTime("at"),
                row.getString("channel"),
                row.getString("direction"),
                row.getUUID("staff_id"),
                row.getString("subject_kind"),
                row.getUUID("subject_id"),
                row.getString("outcome"),
                text,
                row.getOffsetDateTime("made_at"),
                row.getLong("version"),
                row.getOffsetDateTime("since"));
    }

    /**
     * A contact that was just entered.
     *
     * @param staff who took part where the body does not say it
     * @param now where the body does not say when
     */
    static Interaction draft(ObjectNode body, UUID customer, UUID staff, OffsetDateTime now) {
        String at = body.path("at").textValue();
        String who = body.path("staffId").textValue();
        String subject = body.path("subject").path("id").textValue();
        return new Interaction(
                customer, // not known before the database has made it
                customer,
                at == null ? now : OffsetDateTime.parse(at),
                body.get("channel").textValue(),
                body.get("direction").textValue(),
                who == null ? staff : UUID.fromString(who),
                body.path("subject").path("kind").textValue(),
                subject == null ? null : UUID.fromString(subject),
                body.path("outcome").textValue(),
                body.path("text").textValue(),
                now,
                1,
                now);
    }

    /** What a patch makes of it. */
    Interaction with(ObjectNode patch) {
        return new Interaction(
                id,
                customerId,
                at,
                channel,
                direction,
                staffId,
                subjectKind,
                subjectId,
                patch.has("outcome") ? patch.get("outcome").textValue() : outcome,
                patch.has("text") ? patch.get("text").textValue() : text,
                madeAt,
                version + 1,
                since);
    }

    void toJson(JsonGenerator json) throws IOException {
        write(json, text);
    }

    /** In a list, where two hundred whole texts would be too much for one answer. */
    void toItem(JsonGenerator json) throws IOException {
        boolean fits = text == null || text.codePointCount(0, text.length()) <= EXCERPT_CODE_POINTS;
        write(json, text == null || fits ? text : text.substring(0, text.offsetByCodePoints(0, EXCERPT_CODE_POINTS)));
    }

    private void write(JsonGenerator json, @Nullable String shown) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("customerId", customerId.toString());
        json.writeStringField("at", Json.instant(at));
        json.writeStringField("channel", channel);
        json.writeStringField("direction", direction);
        if (staffId != null) {
            json.writeStringField("staffId", staffId.toString());
        }
        if (subjectId != null) {
            json.writeObjectFieldStart("subject");
            json.writeStringField("kind", subjectKind);
            json.writeStringField("id", subjectId.toString());
            json.writeEndObject();
        }
        if (outcome != null) {
            json.writeStringField("outcome", outcome);
        }
        if (shown != null) {
            json.writeStringField("text", shown);
        }
        json.writeStringField("recordedAt", Json.instant(madeAt));
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeEndObject();
    }

    @Override
    public String toString() {
        return "Interaction[" + id + "]"; // nothing of its text in a log
    }
}
