package io.kehu.ops.parameter;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import java.util.List;
import java.util.function.UnaryOperator;

/** The rules of parameters; bounds and kinds are constraints of the table. */
final class ParameterService {
    private static final String READ = "parameter:read";

    private final Database database;
    private final ParameterStore store;
    private final UnaryOperator<byte[]> mac;

    ParameterService(Database database, ParameterStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.mac = mac;
    }

    /** All parameters by name. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("name")),
                        (json, row) -> Parameter.from(row).toJson(json))));
    }

    /** The value in force, or as of an instant. Problems: parameter.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, asOf))
                .map(found -> found.beside(
                        Reply.ok(found.value()::toJson), found.value().version()));
    }

    /** Problems: parameter.nameTaken, parameter.kindMismatch, parameter.outOfBounds, parameter.boundsCrossed. */
    Future<Reply> create(Call call) {
        Parameter draft = Parameter.draft(Ids.next(), call.json());
        return database.write(
                call,
                tx -> store.insert(tx, draft).map(parameter -> {
                    tx.kind("setting");
                    tx.event(event("parameter.created", parameter));
                    return Reply.created("/v1/parameters/" + parameter.name(), parameter::toJson)
                            .etag(parameter.version());
                }));
    }

    /** Problems: parameter.notFound, request.stale, parameter.kindMismatch, parameter.outOfBounds. */
    Future<Reply> change(Call call) {
        return database.write(
                call,
                tx -> store.locked(tx)
                        .compose(
                                before -> Past.mustMatch(call, before.version()).map(before))
                        .compose(before -> store.update(
                                tx, before.id(), call.json().get("value").textValue()))
                        .map(parameter -> {
                            tx.kind("setting");
                            tx.event(event("parameter.changed", parameter));
                            return Reply.ok(parameter::toJson).etag(parameter.version());
                        }));
    }

    /** Every value there was, newest first. Problems: parameter.notFound, request.cursorInvalid. */
    Future<Reply> versions(Call call) {
        Page page = Page.of(call, mac);
        return store.find(call, null)
                .compose(found -> store.versions(call, found.value().id(), page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getLong("version").toString()),
                        (json, row) -> Parameter.from(row).toJson(json))));
    }

    private static Event event(String type, Parameter parameter) {
        return Event.of(type, parameter.id(), parameter.version(), READ).with("name", parameter.name());
    }
}
