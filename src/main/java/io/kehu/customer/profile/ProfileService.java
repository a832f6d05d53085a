package io.kehu.customer.profile;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.profile.ProfileStore.Profile;
import io.kehu.sql.Database;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import java.util.UUID;

/** Profiles of customers in scope. */
final class ProfileService {
    private static final String READ = "profile:read";

    private final Database database;
    private final CustomerReach reach;
    private final ProfileStore store;

    ProfileService(Database database, CustomerReach reach, ProfileStore store) {
        this.database = database;
        this.reach = reach;
        this.store = store;
    }

    /** Problems: customer.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> reach.of(call, call.id("customerId"))
                        .compose(customer ->
                                store.find(call, customer.id(), asOf).map(found -> reply(customer.id(), found))));
    }

    /** Problems: customer.notFound, request.stale, request.invalid. */
    Future<Reply> change(Call call) {
        return database.write(
                call,
                tx -> reach.held(tx, call.id("customerId")).compose(customer -> {
                    ProfileRules.belongs(call.json(), customer.kind());
                    return store.find(tx, customer.id(), customer.side())
                            .compose(before -> Past.mustMatch(call, before.version())
                                    .compose(v -> store.save(
                                            tx, before, ProfileRules.patched(before.content(), call.json()))))
                            .map(after -> {
                                tx.event(customer.event("profile.changed", after.customerId(), after.version(), READ));
                                return reply(customer.id(), after);
                            });
                }));
    }

    private static Reply reply(UUID customer, Profile profile) {
        ObjectNode body = Json.object().put("customerId", customer.toString());
        body.setAll(profile.content().deepCopy());
        ProfileRules.derive(body);
        if (profile.at() != null) {
            body.put("changedAt", Json.instant(profile.at()));
        }
        return Reply.ok(json -> json.writeTree(body)).etag(profile.version());
    }
}
