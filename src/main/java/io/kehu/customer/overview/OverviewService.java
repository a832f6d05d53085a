package io.kehu.customer.overview;

import io.kehu.bus.Call;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.overview.OverviewStore.Sections;
import io.kehu.customer.overview.OverviewStore.Shown;
import io.kehu.sql.FourEyes;
import io.vertx.core.Future;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/** The rules of who sees which section. */
final class OverviewService {
    private final CustomerStore customers;
    private final OverviewStore store;

    OverviewService(CustomerStore customers, OverviewStore store) {
        this.customers = customers;
        this.store = store;
    }

    /** A customer and what there is about him, in one round of two reads side by side. Problems: customer.notFound. */
    Future<Reply> get(Call call) {
        UUID id = call.id("customerId");
        Future<FourEyes.Found<Customer>> customer = customers.find(call, id, null);
        return store.sections(call, id).compose(sections -> {
            UUID root = sections.root();
            // An id that was merged into another stands for that one: the sections have found it out.
            return (root == null || root.equals(id) ? customer : customers.find(call, root, null))
                    .map(found -> reply(call, found, sections));
        });
    }

    private static Reply reply(Call call, FourEyes.Found<Customer> found, Sections sections) {
        Customer customer = found.value();
        Customer.View view = new Customer.View(call.principal().may("customer:finance"), Set.of());
        Reply shown = found.beside(Reply.ok(json -> customer.toJson(json, view)), customer.version());
        return Reply.ok(json -> {
            json.writeStartObject();
            json.writeFieldName("customer");
            json.writeRawValue(String.valueOf(shown.body()));
            json.writeObjectFieldStart("sections");
            for (Map.Entry<Section, Shown> section : sections.shown().entrySet()) {
                json.writeFieldName(section.getKey().field());
                section.getValue().toJson(json);
            }
            json.writeEndObject();
            json.writeEndObject();
        });
    }
}
