package io.kehu.iam.duty;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.iam.role.Permissions;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import java.util.List;
import java.util.function.UnaryOperator;

/** The rules of duties that are kept apart. */
final class DutyService {
    private static final String READ = "role:read";

    private final Database database;
    private final DutyStore store;
    private final Permissions permissions;
    private final UnaryOperator<byte[]> mac;

    DutyService(Database database, DutyStore store, Permissions permissions, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.permissions = permissions;
        this.mac = mac;
    }

    /** The pairs, by their names. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("first"), row.getString("second")),
                        (json, row) -> DutyConflict.from(row).toJson(json))));
    }

    /**
     * Keeps two permissions apart from now on. Problems: request.invalid (an unknown permission, or twice the same),
     * duty.taken, duty.tooMany, duty.conflict (somebody, or a role, has both).
     */
    Future<Reply> create(Call call) {
        String first = call.json().get("first").textValue();
        String second = call.json().get("second").textValue();
        permissions.mustExist("/first", first);
        permissions.mustExist("/second", second);
        if (first.equals(second)) {
            return Future.failedFuture(Problem.at("/second", "field.same"));
        }
        DutyConflict draft = DutyConflict.draft(
                Ids.next(), first, second, call.json().get("reason").textValue().strip());
        return database.write(
                call,
                tx -> store.insert(tx, draft).map(pair -> {
                    tx.kind("grant");
                    tx.event(event("duty.created", pair));
                    return Reply.created("/v1/duty-conflicts/" + pair.id(), pair::toJson);
                }));
    }

    /** Problems: duty.notFound, duty.builtIn. */
    Future<Reply> delete(Call call) {
        return database.write(
                call,
                tx -> store.delete(tx, call.id("dutyConflictId")).map(pair -> {
                    tx.kind("grant");
                    tx.event(event("duty.deleted", pair));
                    return Reply.empty();
                }));
    }

    private static Event event(String type, DutyConflict pair) {
        return Event.of(type, pair.id(), pair.version(), READ)
                .with("first", pair.first())
                .with("second", pair.second());
    }
}
