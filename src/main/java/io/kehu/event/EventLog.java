package io.kehu.event;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.json.JsonObject;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.Tuple;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Reading the event log. Only closed ranges are read, where nothing can appear any more, so a position never skips an event
 * that commits late. The order is by transaction id, which is not the order of commits; events of one aggregate are in the
 * order of its versions, because a later change waits for the lock of the earlier one.
 */
public final class EventLog {
    private static final String BOUND = """
            SELECT incarnation, to_xid::text AS xid FROM kehu.event_range ORDER BY id DESC LIMIT 1""";
    /** What {@link Entry#from} reads. An order must name columns of {@code e}: see {@link #PAGE}. */
    static final String ENTRIES = """
            SELECT incarnation, xid::text AS xid, ord, at, type, aggregate, aggregate_id, version, permission, branch_id,
                   owner_id, actor, payload
            FROM kehu.event e
            """;

    /** The order names the columns of the table: a bare {@code xid} would be the text of the same name, and 1000 before 999. */
    private static final String PAGE = ENTRIES + """
            WHERE (incarnation, xid, ord) > ($1, $2::text::xid8, $3)
              AND (incarnation < $4 OR (incarnation = $4 AND xid < $5::text::xid8))
            ORDER BY e.incarnation, e.xid, e.ord LIMIT $6""";

    private final Database database;

    public EventLog(Database database) {
        this.database = database;
    }

    /** A place in the log: after this event, or (with the highest ord) after this transaction. Written {@code 1-7423-0}. */
    public record Position(int incarnation, long xid, int ord) implements Comparable<Position> {
        public static final Position START = new Position(0, 0, 0);
        private static final Pattern FORM = Pattern.compile("([0-9]{1,9})-([0-9]{1,18})-([0-9]{1,10})");

        /** Fails with {@code event.positionInvalid}. */
        public static Position of(String text) {
            Matcher matcher = FORM.matcher(text);
            if (!matcher.matches()) {
                throw Problem.of("event.positionInvalid");
            }
            return new Position(Integer.parseInt(matcher.group(1)), Long.parseLong(matcher.group(2)), (int)
                    Math.min(Integer.MAX_VALUE, Long.parseLong(matcher.group(3))));
        }

        @Override
        public int compareTo(Position other) {
            int byIncarnation = Integer.compare(incarnation, other.incarnation);
            int byXid = byIncarnation != 0 ? byIncarnation : Long.compare(xid, other.xid);
            return byXid != 0 ? byXid : Integer.compare(ord, other.ord);
        }

        @Override
        public String toString() {
            return incarnation + "-" + xid + "-" + ord;
        }
    }

    /** One event as it is stored. */
    public record Entry(
            Position position,
            OffsetDateTime at,
            String type,
            String aggregate,
            UUID aggregateId,
            long version,
            String permission,
            @Nullable UUID branchId,
            @Nullable UUID ownerId,
            UUID actor,
            String payload) {

        static Entry from(Row row) {
            return new Entry(
                    new Position(
                            row.getInteger("incarnation"), Long.parseLong(row.getString("xid")), row.getInteger("ord")),
                    row.getOffsetDateTime("at"),
                    row.getString("type"),
                    row.getString("aggregate"),
                    row.getUUID("aggregate_id"),
                    row.getLong("version"),
                    row.getString("permission"),
                    row.getUUID("branch_id"),
                    row.getUUID("owner_id"),
                    row.getUUID("actor"),
                    row.get(JsonObject.class, "payload").encode());
        }

        /** Permission and scope, decided on the facts stored in the event. */
        public boolean isVisibleTo(Principal principal) {
            if (!Stream.of(permission.split(" ", -1)).allMatch(principal::may)) {
                return false;
            }
            // What has an owner and no branch concerns one person, whatever customers he sees.
            boolean everybodys =
                    branchId == null && (ownerId == null || principal.subject().equals(ownerId));
            // Only a customer's id can be among those who were given one by one.
            return everybodys || (branchId != null && principal.sees(aggregateId, branchId, ownerId));
        }

        public void toJson(JsonGenerator json) throws IOException {
            json.writeStartObject();
            json.writeStringField("position", position.toString());
            json.writeStringField("at", at.toInstant().toString());
            json.writeStringField("type", type);
            json.writeStringField("aggregate", aggregate);
            json.writeStringField("aggregateId", aggregateId.toString());
            json.writeNumberField("version", version);
            json.writeStringField("actor", actor.toString());
            json.writeFieldName("payload");
            json.writeRawValue(payload);
            json.writeEndObject();
        }
    }

    /**
     * A stretch of the log.
     *
     * @param end where to go on: after the last entry, or after the last closed range when all was read
     * @param atEnd nothing more is closed at the moment
     */
    public record Stretch(List<Entry> entries, Position end, boolean atEnd) {}

    /** The end of what is closed. */
    public Future<Position> end() {
        return database.query(Call.Lane.POINT, BOUND, Tuple.tuple()).map(rows -> {
            if (rows.size() == 0) {
                return Position.START;
            }
            Row row = rows.iterator().next();
            // Just before the first transaction that is not closed.
            return new Position(
                    row.getInteger("incarnation"), Long.parseLong(row.getString("xid")) - 1, Integer.MAX_VALUE);
        });
    }

    /** Up to {@code limit} entries after a position, everybody's: the caller decides what may be seen. */
    public Future<Stretch> read(Position after, int limit) {
        return end().compose(end -> after.compareTo(end) >= 0
                ? Future.succeededFuture(new Stretch(List.of(), after, true))
                : database.query(
                                Call.Lane.POINT,
                                PAGE,
                                Tuple.of(
                                        after.incarnation,
                                        Long.toString(after.xid),
                                        after.ord,
                                        end.incarnation,
                                        Long.toString(end.xid + 1),
                                        limit))
                        .map(rows -> {
                            List<Entry> entries = new ArrayList<>(rows.size());
                            rows.forEach(row -> entries.add(Entry.from(row)));
                            boolean atEnd = entries.size() < limit;
                            return new Stretch(entries, atEnd ? end : entries.get(entries.size() - 1).position, atEnd);
                        }));
    }
}
