package io.kehu.customer.enrichment;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerStore;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** Who may name public pages, ask them, and decide about what they say. */
final class EnrichmentService {
    static final String READ = "enrichment:read";
    static final String REQUEST = "enrichment:request";
    private static final String CHANGE = "customer:update";

    private final Database database;
    private final Jobs jobs;
    private final EnrichmentStore store;
    private final PublicPages pages;
    private final CustomerStore customers;
    private final CustomerChanges changes;
    private final CustomerReach reach;
    private final UnaryOperator<byte[]> mac;

    EnrichmentService(
            Database database,
            Jobs jobs,
            EnrichmentStore store,
            PublicPages pages,
            CustomerStore customers,
            CustomerChanges changes,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.jobs = jobs;
        this.store = store;
        this.pages = pages;
        this.customers = customers;
        this.changes = changes;
        this.reach = new CustomerReach(database);
        this.mac = mac;
    }

    // ---- sources

    /** By code. Problems: request.cursorInvalid. */
    Future<Reply> sources(Call call) {
        Page page = Page.of(call, mac);
        return store.sources(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("code")),
                        (json, row) -> EnrichmentSource.from(row).toJson(json))));
    }

    /** Problems: enrichment.sourceNotFound. */
    Future<Reply> source(Call call) {
        return store.source(call, call.id("sourceId"))
                .map(source -> Reply.ok(source::toJson).etag(source.version()));
    }

    /** Problems: enrichment.hostNotAllowed, enrichment.codeTaken, enrichment.pathUnnamed, request.invalid. */
    Future<Reply> createSource(Call call) {
        EnrichmentSource draft = EnrichmentSource.draft(Ids.next(), call.json());
        pages.mustBeAllowed(draft.host());
        return database.write(
                call,
                tx -> store.add(tx, draft).map(source -> {
                    tx.event(source.event("enrichment.sourceCreated"));
                    return Reply.created("/v1/enrichment-sources/" + source.id(), source::toJson)
                            .etag(source.version());
                }));
    }

    /**
     * Problems: enrichment.sourceNotFound, request.stale, enrichment.hostNotAllowed, enrichment.pathUnnamed,
     * request.invalid.
     */
    Future<Reply> changeSource(Call call) {
        return database.write(
                call,
                tx -> store.heldSource(tx, call.id("sourceId"))
                        .compose(
                                before -> Past.mustMatch(call, before.version()).map(before.patched(call.json())))
                        .compose(after -> {
                            pages.mustBeAllowed(after.host());
                            return store.update(tx, after);
                        })
                        .map(source -> {
                            tx.event(source.event("enrichment.sourceChanged"));
                            return Reply.ok(source::toJson).etag(source.version());
                        }));
    }

    // ---- asking

    /** Problems: customer.notFound, enrichment.organisationsOnly, enrichment.sourceNotFound, enrichment.sourceOff. */
    Future<Reply> start(Call call) {
        UUID sourceId = UUID.fromString(call.json().required("sourceId").textValue());
        return database.write(
                        call,
                        tx -> reach.held(tx, call.id("customerId")).compose(customer -> {
                            if (!customer.kind().equals("organisation")) {
                                return Future.failedFuture(Problem.of("enrichment.organisationsOnly"));
                            }
                            return store.source(tx, sourceId).compose(source -> {
                                if (!source.enabled()) {
                                    return Future.failedFuture(Problem.of("enrichment.sourceOff"));
                                }
                                ObjectNode params = Json.object()
                                        .put("customerId", customer.side().toString())
                                        .put("sourceId", source.id().toString());
                                return jobs.submit(tx, EnrichmentWork.KIND, params)
                                        .map(job -> {
                                            tx.event(customer.event("enrichment.requested", job, 1, READ));
                                            return Reply.accepted("/v1/jobs/" + job, json -> {
                                                json.writeStartObject();
                                                json.writeStringField("jobId", job.toString());
                                                json.writeStringField(
                                                        "customerId",
                                                        customer.id().toString());
                                                json.writeStringField(
                                                        "sourceId", source.id().toString());
                                                json.writeEndObject();
                                            });
                                        });
                            });
                        }))
                .onSuccess(reply -> jobs.hint());
    }

    // ---- proposals

    /** Newest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("fetched_at").toString(),
                                row.getUUID("id").toString()),
                        this::write)));
    }

    /** Problems: enrichment.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("proposalId")).map(this::reply);
    }

    /**
     * Changes the customer, of the version that If-Match names. Problems: auth.forbidden, enrichment.notFound, enrichment.decided,
     * enrichment.notNew, and those of {@link CustomerChanges#apply}.
     */
    Future<Reply> accept(Call call) {
        if (!call.principal().may(CHANGE)) {
            return Future.failedFuture(Problem.of("auth.forbidden", CHANGE));
        }
        return database.write(
                call,
                tx -> open(tx).compose(row -> changes.apply(tx, row.getUUID("side"), () -> patch(tx, row))
                        .compose(customer -> store.decide(tx, row, "accepted", null))
                        .map(done -> told(tx, done, "enrichment.accepted"))));
    }

    private Future<ObjectNode> patch(Tx tx, Row row) {
        String value = store.text(row, "value");
        return customers.locked(tx, row.getUUID("side")).compose(held -> {
            ObjectNode patch = value == null
                    ? null
                    : ProposalRules.patch(customers.opened(held).toDraft(), row.getString("field"), value);
            return patch == null ? Future.failedFuture(Problem.of("enrichment.notNew")) : Future.succeededFuture(patch);
        });
    }

    /** Problems: enrichment.notFound, enrichment.decided. */
    Future<Reply> reject(Call call) {
        String why = call.json().required("why").textValue().strip();
        return database.write(
                call,
                tx -> open(tx).compose(row -> store.decide(tx, row, "rejected", why))
                        .map(done -> told(tx, done, "enrichment.rejected")));
    }

    private Future<Row> open(Tx tx) {
        return store.locked(tx, tx.call().id("proposalId"))
                .compose(row -> row.getString("state").equals("open")
                        ? Future.succeededFuture(row)
                        : Future.failedFuture(Problem.of("enrichment.decided")));
    }

    private Reply told(Tx tx, Row row, String type) {
        tx.event(Event.of(type, row.getUUID("id"), row.getLong("version"), READ)
                .within(row.getUUID("branch_id"), row.getUUID("manager_id"))
                .with("customerId", row.getUUID("customer_id").toString())
                .with("field", row.getString("field")));
        return reply(row);
    }

    private Reply reply(Row row) {
        return Reply.ok(json -> write(json, row)).etag(row.getLong("version"));
    }

    private void write(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", row.getUUID("id").toString());
        json.writeStringField("customerId", row.getUUID("customer_id").toString());
        json.writeStringField("sourceId", row.getUUID("source_id").toString());
        json.writeStringField("source", row.getString("source"));
        json.writeStringField("field", row.getString("field"));
        String value = store.text(row, "value");
        if (value != null) {
            json.writeStringField("value", value);
        }
        json.writeStringField("state", row.getString("state"));
        json.writeStringField("fetchedAt", Json.instant(row.getOffsetDateTime("fetched_at")));
        UUID decider = row.getUUID("decided_by");
        if (decider != null) {
            json.writeStringField("decidedBy", decider.toString());
        }
        OffsetDateTime decided = row.getOffsetDateTime("decided_at");
        if (decided != null) {
            json.writeStringField("decidedAt", Json.instant(decided));
        }
        String why = store.text(row, "why");
        if (why != null) {
            json.writeStringField("why", why);
        }
        json.writeNumberField("version", row.getLong("version"));
        json.writeStringField("since", Json.instant(row.getOffsetDateTime("valid_from")));
        json.writeEndObject();
    }
}
