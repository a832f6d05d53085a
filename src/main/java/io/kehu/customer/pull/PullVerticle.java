package io.kehu.customer.pull;

import io.kehu.bus.Operations;
import io.kehu.customer.connector.ConnectorStore;
import io.kehu.customer.connector.Deliveries;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.kehu.outgoing.Outgoing;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;

/** The operations of the tag customer.pull, and the work behind them. */
public final class PullVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        PullStore store = new PullStore(kernel.database(), kernel.vault());
        ConnectorStore connectors = new ConnectorStore(kernel.database(), kernel.vault());
        Set<String> hosts = new HashSet<>();
        kernel.settings()
                .apply("connectors.hosts")
                .forEach(host -> hosts.add(host.asText().toLowerCase(Locale.ROOT)));
        new PullWork(
                        kernel.database(),
                        kernel.jobs(),
                        new Outgoing(kernel.vertx(), Outgoing.Options.of(kernel.settings())),
                        store,
                        Deliveries.of(kernel),
                        kernel::cursorMac,
                        new PullWork.Options(
                                hosts,
                                kernel.number("connectors.pollMillis"),
                                kernel.number("connectors.leaseMillis"),
                                kernel.number("connectors.rowsPerAnswer"),
                                kernel.number("connectors.answersPerRun"),
                                kernel.number("connectors.attempts"),
                                kernel.number("connectors.retryMillis"),
                                kernel.number("connectors.maxRetryMillis"),
                                kernel.number("connectors.keepDays")))
                .keep(kernel);
        PullService service = new PullService(kernel.database(), connectors, store, hosts, kernel::cursorMac);
        return Operations.at("customer.pull")
                .on("getConnectorPull", service::get)
                .on("putConnectorPull", service::put)
                .on("removeConnectorPull", service::remove)
                .on("startConnectorPull", service::start)
                .on("listPullRuns", service::runs);
    }
}
