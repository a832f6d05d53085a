package io.kehu.customer.enrichment;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.SealedTextStore;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.kehu.outgoing.Outgoing;
import java.time.ZoneId;
import java.util.HashSet;
import java.util.Set;

/** The operations of the tag customer.enrichment, and the work behind them. */
public final class EnrichmentVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        ZoneId zone = ZoneId.of(kernel.text("zone"));
        CustomerStore customers = new CustomerStore(kernel.database(), CustomerSeals.of(kernel));
        EnrichmentStore store = new EnrichmentStore(
                kernel.database(), new SealedTextStore(kernel.vault(), "customer.enrichment_proposal"));
        PublicPages pages = pages(kernel);
        EnrichmentWork work = new EnrichmentWork(
                store,
                pages,
                customers,
                new ProposalRules(kernel.contract().body("changeCustomer")),
                kernel.clock(),
                zone);
        kernel.jobs().register(EnrichmentWork.KIND, EnrichmentService.REQUEST, work::run);
        EnrichmentService service = new EnrichmentService(
                kernel.database(),
                kernel.jobs(),
                store,
                pages,
                customers,
                new CustomerChanges(customers, kernel.clock(), zone),
                kernel::cursorMac);
        return Operations.at("customer.enrichment")
                .on("listEnrichmentSources", service::sources)
                .on("createEnrichmentSource", service::createSource)
                .on("getEnrichmentSource", service::source)
                .on("changeEnrichmentSource", service::changeSource)
                .on("startEnrichment", service::start)
                .on("listEnrichmentProposals", service::list)
                .on("getEnrichmentProposal", service::get)
                .on("acceptEnrichmentProposal", service::accept)
                .on("rejectEnrichmentProposal", service::reject);
    }

    private static PublicPages pages(Kernel kernel) {
        Set<String> hosts = new HashSet<>();
        kernel.settings().apply("enrichment.hosts").forEach(host -> hosts.add(host.asText()));
        return new PublicPages(
                kernel.vertx(),
                new Outgoing(kernel.vertx(), Outgoing.Options.of(kernel.settings())),
                new HostStore(kernel.database()),
                new PublicPages.Options(
                        Set.copyOf(hosts),
                        kernel.text("enrichment.userAgent"),
                        kernel.number("enrichment.perHostPerMinute"),
                        kernel.number("enrichment.waitMillis"),
                        kernel.number("enrichment.robotsMinutes")));
    }
}
