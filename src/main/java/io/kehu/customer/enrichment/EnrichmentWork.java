package io.kehu.customer.enrichment;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerStore;
import io.kehu.job.JobRun;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.time.ZoneId;
import java.util.Map;
import java.util.UUID;

/** One look at one page about one organisation. What it says is proposed, and nothing is changed. */
final class EnrichmentWork {
    static final String KIND = "customer.enrichment";
    private static final String DONE = "done";

    private final EnrichmentStore store;
    private final PublicPages pages;
    private final CustomerStore customers;
    private final ProposalRules rules;
    private final Clock clock;
    private final ZoneId zone;

    EnrichmentWork(
            EnrichmentStore store,
            PublicPages pages,
            CustomerStore customers,
            ProposalRules rules,
            Clock clock,
            ZoneId zone) {
        this.store = store;
        this.pages = pages;
        this.customers = customers;
        this.rules = rules;
        this.clock = clock;
        this.zone = zone;
    }

    /**
     * Fails with {@code customer.notFound}, {@code enrichment.sourceOff}, {@code enrichment.organisationsOnly}, {@code
     * enrichment.keyMissing}, {@code request.malformed} and the codes of {@link PublicPages#get}.
     */
    Future<Void> run(JobRun run) {
        if (run.position().has(DONE)) {
            return Future.succeededFuture();
        }
        UUID side = UUID.fromString(run.params().required("customerId").textValue());
        UUID sourceId = UUID.fromString(run.params().required("sourceId").textValue());
        return customers
                .find(run.call(), side, null)
                .compose(found ->
                        store.source(run.call(), sourceId).compose(source -> look(run, side, found.value(), source)));
    }

    private Future<Void> look(JobRun run, UUID side, Customer customer, EnrichmentSource source) {
        ObjectNode fields = customer.toDraft();
        if (!source.enabled()) {
            return Future.failedFuture(Problem.of("enrichment.sourceOff"));
        }
        if (!fields.path("kind").asText().equals("organisation")) {
            return Future.failedFuture(Problem.of("enrichment.organisationsOnly"));
        }
        String target = source.target(fields);
        if (target == null) {
            return Future.failedFuture(Problem.of("enrichment.keyMissing"));
        }
        return pages.get(run, source.host(), target)
                .compose(body -> run.compute(() -> news(body, source, fields)))
                .compose(news -> run.chunk(tx -> store.propose(tx, customer.id(), side, source.id(), news)
                        .map(kept -> step(run, tx, customer, kept))));
    }

    private Map<String, String> news(Buffer body, EnrichmentSource source, ObjectNode customer) {
        JsonNode answer = Json.parse(body);
        return rules.news(
                answer,
                source.fields(),
                customer,
                clock.now().atZoneSameInstant(zone).toLocalDate());
    }

    private static JobRun.Step step(JobRun run, Tx tx, Customer customer, int kept) {
        String id = customer.id().toString();
        Event event = Event.of("enrichment.proposed", run.id(), run.fence(), EnrichmentService.READ)
                .within(customer.branchId(), customer.managerId())
                .with("customerId", id)
                .with("rows", kept);
        byte[] hash = Sha256.start().digest((id + ' ' + tx.auditId()).getBytes(StandardCharsets.UTF_8));
        return new JobRun.Step(
                new Database.Chunk("customer", kept, hash, id, id, event),
                Json.object().put(DONE, true),
                new JobRun.Progress(1, kept, 0, null));
    }
}
