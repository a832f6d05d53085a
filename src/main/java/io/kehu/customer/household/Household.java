package io.kehu.customer.household;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.customer.CustomerBrief;
import java.io.IOException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A household, as far as one caller sees it.
 *
 * @param headId as it was named, under whose key the name is
 * @param head who that is today
 * @param name null where the key is gone
 * @param endsOn the first day on which there is none any more
 * @param branchId the head's, as managerId
 */
record Household(
        UUID id,
        UUID headId,
        CustomerBrief head,
        @Nullable String name,
        @Nullable LocalDate endsOn,
        OffsetDateTime madeAt,
        long version,
        OffsetDateTime since,
        UUID branchId,
        @Nullable UUID managerId) {

    /** @param role what he is to the head */
    record Member(
            String role,
            CustomerBrief customer,
            LocalDate startsOn,
            @Nullable LocalDate endsOn) {
        private void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("role", role);
            json.writeFieldName("customer");
            customer.toJson(json);
            json.writeStringField("startsOn", startsOn.toString());
            if (endsOn != null) {
                json.writeStringField("endsOn", endsOn.toString());
            }
            json.writeEndObject();
        }
    }

    Event event(String type) {
        return Event.of(type, id, version, "relation:read").within(branchId, managerId);
    }

    /** As {@code Household} of the contract. */
    void toJson(JsonGenerator json, List<Member> members) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeStringField("headId", head.id().toString());
        json.writeArrayFieldStart("members");
        for (Member member : members) {
            member.toJson(json);
        }
        json.writeEndArray();
        end(json);
    }

    /** As an item of {@code HouseholdPage}. */
    void toItem(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", id.toString());
        json.writeFieldName("head");
        head.toJson(json);
        end(json);
    }

    private void end(JsonGenerator json) throws IOException {
        if (name != null) {
            json.writeStringField("name", name);
        }
        if (endsOn != null) {
            json.writeStringField("endsOn", endsOn.toString());
        }
        json.writeNumberField("version", version);
        json.writeStringField("since", Json.instant(since));
        json.writeStringField("createdAt", Json.instant(madeAt));
        json.writeEndObject();
    }

    @Override
    public String toString() {
        return "Household[" + id + "]"; // the name is not for a log
    }
}
