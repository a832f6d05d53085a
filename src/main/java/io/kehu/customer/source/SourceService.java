package io.kehu.customer.source;

import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerReach;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.util.ArrayList;
import java.util.List;

/** Who may be told which source said what, and who may let a field go. */
final class SourceService {
    private static final String READ = "customer:read";

    private final Database database;
    private final SourceStore store;
    private final CustomerReach reach;

    SourceService(Database database, SourceStore store, CustomerReach reach) {
        this.database = database;
        this.store = store;
        this.reach = reach;
    }

    /** Of the record that stands for the id today. Problems: customer.notFound. */
    Future<Reply> get(Call call) {
        boolean finance = call.principal().may("customer:finance");
        return reach.of(call, call.id("customerId"))
                .compose(reached -> store.list(call, reached.id()))
                .map(rows -> {
                    List<Row> shown = new ArrayList<>();
                    for (Row row : rows) {
                        if (finance || !Customer.FINANCE.contains(row.getString("field"))) {
                            shown.add(row);
                        }
                    }
                    return Reply.ok(json -> {
                        json.writeStartObject();
                        json.writeArrayFieldStart("items");
                        for (Row row : shown) {
                            json.writeStartObject();
                            json.writeStringField("field", row.getString("field"));
                            json.writeStringField("source", row.getString("source"));
                            json.writeStringField("since", Json.instant(row.getOffsetDateTime("valid_from")));
                            json.writeEndObject();
                        }
                        json.writeEndArray();
                        json.writeEndObject();
                    });
                });
    }

    /** Nothing is changed by it: the value stays until somebody says another. Problems: customer.notFound, customer.fieldForbidden. */
    Future<Reply> release(Call call) {
        String field = call.params().required("field").textValue();
        CustomerChanges.mustSeeFinance(call.principal(), Json.object().putNull(field), Customer.FINANCE);
        return database.write(
                call,
                tx -> reach.held(tx, call.id("customerId"))
                        .compose(reached -> store.release(tx, reached.id(), field)
                                .map(was -> {
                                    if (was) {
                                        tx.event(reached.event("source.released", reached.id(), 1, READ)
                                                .with("field", field));
                                    } else {
                                        tx.object("customer", reached.id(), 0); // of no version
                                    }
                                    return Reply.empty();
                                })));
    }
}
