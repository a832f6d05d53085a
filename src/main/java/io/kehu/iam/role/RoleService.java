package io.kehu.iam.role;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;

/** The rules of roles. They are read from the database each time: every node must know at once what they have become. */
final class RoleService {
    private static final String READ = "role:read";

    private final Database database;
    private final RoleStore store;
    private final Permissions permissions;

    RoleService(Database database, RoleStore store, Permissions permissions) {
        this.database = database;
        this.store = store;
        this.permissions = permissions;
    }

    /** All roles by code; there are at most a hundred. */
    Future<Reply> list(Call call) {
        return store.list(call)
                .map(roles -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (Role role : roles) {
                        role.toJson(json);
                    }
                    json.writeEndArray();
                    json.writeEndObject();
                }));
    }

    /** One role, now or as of an instant. Problems: role.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, asOf))
                .map(role -> Reply.ok(role::toJson).etag(role.version()));
    }

    /** Makes a role. Problems: request.invalid (an unknown permission, no network), role.codeTaken, role.tooMany, duty.conflict. */
    Future<Reply> create(Call call) {
        permissions.mustExist("/permissions", call.json().get("permissions"));
        Role draft = Role.draft(Ids.next(), call.json());
        return database.write(
                call,
                tx -> store.lock(tx).compose(v -> store.insert(tx, draft)).map(role -> {
                    tx.kind("grant");
                    tx.event(event("role.created", role));
                    return Reply.created("/v1/roles/" + role.code(), role::toJson)
                            .etag(role.version());
                }));
    }

    /**
     * Changes name, scope, permissions, networks or second factor; tokens of those who hold the role are worthless within a
     * second, or where only its networks change hold in the new ones. Nobody adds to a role that he holds: that would be a way
     * to give oneself rights. Nor does anybody shut himself out, who might be the last one to let people in. Problems:
     * request.invalid (an unknown permission, no network), role.notFound, request.stale, role.ownRights, role.shutsOut,
     * role.administratorNeeds, duty.conflict.
     */
    Future<Reply> change(Call call) {
        permissions.mustExist("/permissions", call.json().path("permissions"));
        return database.write(
                call,
                tx -> store.lock(tx)
                        .compose(v -> store.locked(tx))
                        .compose(before -> Past.mustMatch(call, before.version())
                                .compose(v -> apply(tx, before, before.patched(call.json()))))
                        .map(role -> {
                            tx.kind("grant");
                            tx.event(event("role.changed", role));
                            return Reply.ok(role::toJson).etag(role.version());
                        }));
    }

    private Future<Role> apply(Tx tx, Role before, Role after) {
        Future<Role> updated = after.exceeds(before)
                ? store.holds(tx, before.code())
                        .compose(own ->
                                own ? Future.failedFuture(Problem.of("role.ownRights")) : store.update(tx, after))
                : store.update(tx, after);
        return after.networks().equals(before.networks())
                ? updated
                : updated.compose(role -> store.mayCall(tx)
                        .compose(may ->
                                may ? Future.succeededFuture(role) : Future.failedFuture(Problem.of("role.shutsOut"))));
    }

    /** Deletes a role that nobody holds or asks for. Problems: role.notFound, request.stale, role.builtIn, role.inUse. */
    Future<Reply> delete(Call call) {
        return database.write(
                call,
                tx -> store.lock(tx)
                        .compose(v -> store.locked(tx))
                        .compose(before -> Past.mustMatch(call, before.version())
                                .compose(v -> store.delete(tx, before))
                                .map(v -> {
                                    tx.kind("grant");
                                    tx.event(event("role.deleted", before));
                                    return Reply.empty();
                                })));
    }

    /** The catalogue. It changes with the program only. */
    Future<Reply> permissions(Call call) {
        return Future.succeededFuture(Reply.ok(json -> {
            json.writeStartObject();
            json.writeArrayFieldStart("items");
            for (Permissions.Permission permission : permissions.all()) {
                permission.toJson(json);
            }
            json.writeEndArray();
            json.writeEndObject();
        }));
    }

    private static Event event(String type, Role role) {
        return Event.of(type, role.id(), role.version(), READ).with("code", role.code());
    }
}
