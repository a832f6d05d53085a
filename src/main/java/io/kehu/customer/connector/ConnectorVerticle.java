package io.kehu.customer.connector;

import io.kehu.bus.Operations;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag customer.connector. */
public final class ConnectorVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ConnectorStore store = new ConnectorStore(kernel.database(), kernel.vault());
        Deliveries deliveries = Deliveries.of(kernel);
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
