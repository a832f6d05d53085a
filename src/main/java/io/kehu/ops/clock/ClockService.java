package io.kehu.ops.clock;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.time.OffsetDateTime;

/** The rules of the clock. */
final class ClockService {
    /** Ten years: farther than any rule of the bank looks. */
    private static final long MAX_AHEAD_SECONDS = 315_360_000;

    private final Database database;
    private final ClockStore store;
    private final Clock clock;
    private final boolean movable;

    /**
     * Reads and moves the clock.
     *
     * @param clock of this node, told at once what the others hear with their next poll
     */
    ClockService(Database database, ClockStore store, Clock clock, boolean movable) {
        this.database = database;
        this.store = store;
        this.clock = clock;
        this.movable = movable;
    }

    /** What time it is for Kehu. */
    Future<Reply> get(Call call) {
        return store.read(call).map(this::reply);
    }

    /** Moves the clock of all nodes. Problems: clock.fixed, request.invalid (more than ten years away). */
    Future<Reply> move(Call call) {
        if (!movable) {
            return Future.failedFuture(Problem.of("clock.fixed"));
        }
        return database.write(
                        call,
                        tx -> aheadSeconds(tx, call.json())
                                .compose(seconds -> store.move(tx, seconds))
                                .map(row -> {
                                    tx.kind("setting");
                                    tx.object("clock", Principal.SYSTEM, 1);
                                    return reply(row);
                                }))
                .compose(reply -> hear(call).map(reply));
    }

    private Future<Long> aheadSeconds(Tx tx, ObjectNode body) {
        if (body.has("aheadSeconds")) {
            return Future.succeededFuture(body.get("aheadSeconds").longValue());
        }
        OffsetDateTime wanted = OffsetDateTime.parse(body.get("now").textValue());
        return store.secondsTo(tx, wanted)
                .compose(seconds -> Math.abs(seconds) > MAX_AHEAD_SECONDS
                        ? Future.failedFuture(Problem.at("/now", "field.tooLarge", "10 years away"))
                        : Future.succeededFuture(seconds));
    }

    /** This node follows before it answers; the others with their next poll. */
    private Future<Void> hear(Call call) {
        return call.mode() != Call.Mode.EXECUTE
                ? Future.succeededFuture()
                : store.read(call)
                        .onSuccess(row -> clock.heard(row.getOffsetDateTime("now")))
                        .<Void>mapEmpty()
                        .otherwiseEmpty();
    }

    private Reply reply(Row row) {
        return Reply.ok(json -> {
            json.writeStartObject();
            json.writeStringField(
                    "now", row.getOffsetDateTime("now").toInstant().toString());
            json.writeNumberField("aheadSeconds", row.getLong("ahead"));
            json.writeBooleanField("movable", movable);
            json.writeEndObject();
        });
    }
}
