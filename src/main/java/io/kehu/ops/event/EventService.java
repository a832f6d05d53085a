package io.kehu.ops.event;

import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Sha256;
import io.kehu.event.EventLog;
import io.kehu.event.EventLog.Entry;
import io.kehu.event.EventLog.Position;
import io.kehu.event.EventLog.Stretch;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/** Paging through the event log, and tickets for browsers. */
final class EventService {
    private static final int TICKET_SECONDS = 30;
    /** How many events one call looks at in search of some that the caller may see. */
    private static final int MAX_LOOKED_AT = 5_000;

    private final Database database;
    private final EventStore store;
    private final EventLog log;

    EventService(Database database, EventStore store, EventLog log) {
        this.database = database;
        this.store = store;
        this.log = log;
    }

    /**
     * The events after a position that the caller may see, oldest first. {@code next} is always a position to go on from, also
     * when nothing came. Problems: event.positionInvalid.
     */
    Future<Reply> list(Call call) {
        String after = call.text("after");
        Set<String> types = Set.copyOf(call.list("types"));
        int limit = call.integer("limit", 100);
        return gather(call, after == null ? Position.START : Position.of(after), types, limit, new ArrayList<>(), 0)
                .map(found -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (Entry entry : found.entries()) {
                        entry.toJson(json);
                    }
                    json.writeEndArray();
                    json.writeStringField("next", found.end().toString());
                    json.writeBooleanField("atEnd", found.atEnd());
                    json.writeEndObject();
                }));
    }

    private Future<Stretch> gather(
            Call call, Position after, Set<String> types, int limit, List<Entry> found, int lookedAt) {
        return log.read(after, Math.max(limit, 500)).compose(stretch -> {
            for (Entry entry : stretch.entries()) {
                if ((types.isEmpty() || types.contains(entry.type())) && entry.isVisibleTo(call.principal())) {
                    found.add(entry);
                    if (found.size() == limit) {
                        return Future.succeededFuture(new Stretch(found, entry.position(), false));
                    }
                }
            }
            int looked = lookedAt + stretch.entries().size();
            return stretch.atEnd() || looked >= MAX_LOOKED_AT
                    ? Future.succeededFuture(new Stretch(found, stretch.end(), stretch.atEnd()))
                    : gather(call, stretch.end(), types, limit, found, looked);
        });
    }

    /** A word that opens one stream within 30 seconds, in place of the token. Problems: auth.audience. */
    Future<Reply> createTicket(Call call) {
        UUID session = call.principal().session();
        if (session == null) {
            return Future.failedFuture(Problem.of("auth.audience"));
        }
        String ticket = Ids.secret();
        return database.write(
                call,
                tx -> store.insertTicket(tx, Sha256.of(ticket), session, TICKET_SECONDS)
                        .map(v -> {
                            tx.object("session", session, 1);
                            return Reply.created("/v1/events/stream", json -> {
                                json.writeStartObject();
                                json.writeStringField("ticket", ticket);
                                json.writeNumberField("goodForSeconds", TICKET_SECONDS);
                                json.writeEndObject();
                            });
                        }));
    }
}
