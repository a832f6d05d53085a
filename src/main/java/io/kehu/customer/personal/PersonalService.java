package io.kehu.customer.personal;

import io.kehu.blob.Blobs;
import io.kehu.blob.Pulled;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import java.util.UUID;

/** The rules of who may have everything about a customer: audited and counted before anything of it is read. */
final class PersonalService {
    private static final String PERMISSION = "personal-data:export";
    /** Years of contacts with texts are some megabytes. */
    private static final long MAX_BYTES = 256L << 20;

    private final Database database;
    private final CustomerReach reach;
    private final PersonalStore store;
    private final Blobs blobs;
    private final int perDay;

    PersonalService(Database database, CustomerReach reach, PersonalStore store, Blobs blobs, int perDay) {
        this.database = database;
        this.reach = reach;
        this.store = store;
        this.blobs = blobs;
        this.perDay = perDay;
    }

    /** Problems: customer.notFound, personal.quota. */
    Future<Reply> export(Call call) {
        return reach.of(call, call.id("customerId")).compose(customer -> file(call, customer.id(), false));
    }

    /** Of the customer who asks. Problems: customer.notFound, personal.quota. */
    Future<Reply> exportOwn(Call call) {
        return store.root(call, call.principal().subject()).compose(customer -> file(call, customer, true));
    }

    private Future<Reply> file(Call call, UUID customer, boolean own) {
        return database.write(call, tx -> {
                    tx.kind("export");
                    return store.count(tx, perDay)
                            .compose(v -> store.version(tx, customer))
                            .map(version -> {
                                tx.object("customer", customer, version);
                                return Reply.empty();
                            });
                })
                .compose(audited -> store.begin(call, customer, own))
                .compose(reading -> {
                    String name = "personal-data-" + Json.instant(reading.at()).substring(0, 10) + ".json";
                    Blobs.Draft draft = Blobs.Draft.of(
                            call.principal().subject(), "customer-personal-data", PERMISSION, name, MAX_BYTES);
                    return blobs.write(draft, new Pulled(reading::next))
                            .map(file -> Reply.file(new Reply.Download(file.id(), name, "application/json")));
                });
    }
}
