package io.kehu.customer.connector;

import io.kehu.bus.Operations;
import io.kehu.customer.bulk.CustomerChunks;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;

/** The operations of the tag customer.connector. */
public final class ConnectorVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ConnectorStore store = new ConnectorStore(kernel.database(), kernel.vault());
        List<String> precedence = new ArrayList<>();
        kernel.settings().apply("connectors.precedence").forEach(line -> precedence.add(line.asText()));
        Deliveries deliveries = new Deliveries(
                kernel.jobs(),
                kernel.database(),
                store,
                new CustomerChunks(kernel),
                new PrecedenceRules(precedence),
                kernel.contract().body("createCustomer"),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
        ConnectorService service = new ConnectorService(kernel.database(), store, kernel::cursorMac);
        return Operations.at("customer.connector")
                .on("listConnectors", service::list)
                .on("createConnector", service::create)
                .on("getConnector", service::get)
                .on("changeConnector", service::change)
                .on("renewConnectorSecret", service::renewSecret)
                .on("deliver", deliveries::take)
                .on("listDeliveries", service::deliveries)
                .on("listConnectorErrors", service::errors);
    }
}
