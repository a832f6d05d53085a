package io.kehu.bus;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Something that happened, as a change leaves it behind. Holds ids and codes, never personal data.
 *
 * @param type noun.pastTense, e.g. {@code branch.created}
 * @param aggregate what it happened to, e.g. {@code branch}
 * @param version the version of the aggregate after it
 * @param permission who has it may see the event; where it is several, with a space between them, who has all of them
 * @param branchId fact for scope: the branch it belongs to; null for all
 * @param ownerId fact for scope: the staff member whose customer it concerns; null for none
 */
public record Event(
        String type,
        String aggregate,
        UUID aggregateId,
        long version,
        String permission,
        @Nullable UUID branchId,
        @Nullable UUID ownerId,
        ObjectNode payload) {

    public static Event of(String type, UUID aggregateId, long version, String... permissions) {
        return new Event(
                type,
                type.substring(0, type.indexOf('.')),
                aggregateId,
                version,
                String.join(" ", permissions),
                null,
                null,
                Json.object());
    }

    /** The same event, seen only by those whose scope holds this branch or this owner. */
    public Event within(@Nullable UUID branch, @Nullable UUID owner) {
        return new Event(type, aggregate, aggregateId, version, permission, branch, owner, payload);
    }

    public Event with(String name, @Nullable String value) {
        payload.put(name, value);
        return this;
    }

    public Event with(String name, long value) {
        payload.put(name, value);
        return this;
    }

    private ObjectNode toJson(int ord) {
        ObjectNode node = Json.object()
                .put("ord", ord)
                .put("type", type)
                .put("aggregate", aggregate)
                .put("aggregate_id", aggregateId.toString())
                .put("version", version)
                .put("permission", permission)
                .put("branch_id", branchId == null ? null : branchId.toString())
                .put("owner_id", ownerId == null ? null : ownerId.toString());
        node.set("payload", payload);
        return node;
    }

    /** As the parameter of {@code kehu.leave()}, with the place of each event within its transaction. */
    public static String toJson(Iterable<Event> events) {
        var array = Json.MAPPER.createArrayNode();
        int ord = 0;
        for (Event event : events) {
            array.add(event.toJson(ord++));
        }
        return array.toString();
    }
}
