package io.kehu.customer.document;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of documents: who adds, sees and downloads which. */
final class DocumentService {
    static final String READ = "document:read";
    private static final String PURPOSE = "customer-document";

    private final Database database;
    private final Blobs blobs;
    private final Jobs jobs;
    private final DocumentStore store;
    private final DocumentRules rules;
    private final Bounds bounds;
    private final CustomerReach reach;
    private final UnaryOperator<byte[]> mac;

    /**
     * What the settings say.
     *
     * @param documents of a customer
     * @param versions of a document
     * @param scans false where no scanner was named and none was waived: nothing is taken then
     */
    record Bounds(int documents, int versions, boolean scans) {}

    DocumentService(
            Database database,
            Blobs blobs,
            Jobs jobs,
            DocumentStore store,
            DocumentRules rules,
            Bounds bounds,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.blobs = blobs;
        this.jobs = jobs;
        this.store = store;
        this.rules = rules;
        this.bounds = bounds;
        this.reach = new CustomerReach(database);
        this.mac = mac;
    }

    /** The newest first. Problems: customer.notFound, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return reach.of(call, call.id("customerId"))
                .compose(customer -> store.list(call, customer, page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getUUID("id").toString()),
                        (json, row) -> store.opened(row).toJson(json))));
    }

    /** Problems: document.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call).map(DocumentService::reply);
    }

    private static Reply reply(Document document) {
        return Reply.ok(document::toJson).etag(document.version());
    }

    /**
     * Makes an upload a document. Problems: customer.notFound, blob.notClaimable, document.typeRefused, document.tooMany,
     * document.scannerMissing.
     */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        String type = body.required("type").textValue();
        return upload(call)
                .compose(file -> database.write(
                                call,
                                tx -> reach.held(tx, call.id("customerId"))
                                        .compose(customer -> store.insert(
                                                tx, customer, type, title(body), bounds.documents, bounds.versions))
                                        .compose(id -> add(tx, id, type, 1, file))
                                        .map(document -> {
                                            tx.event(event("document.added", document));
                                            return Reply.created("/v1/documents/" + document.id(), document::toJson)
                                                    .etag(document.version());
                                        }))
                        .onSuccess(reply -> jobs.hint()));
    }

    /**
     * Makes an upload the newest version. Problems: document.notFound, blob.notClaimable, document.typeRefused,
     * document.tooMany, document.scannerMissing.
     */
    Future<Reply> createVersion(Call call) {
        return upload(call)
                .compose(file -> database.write(
                                call,
                                tx -> store.held(tx).compose(document -> {
                                    int number = document.newest().number() + 1;
                                    if (number > bounds.versions) {
                                        return Future.failedFuture(Problem.of(
                                                "document.tooMany",
                                                Integer.toString(bounds.documents),
                                                Integer.toString(bounds.versions)));
                                    }
                                    return store.renew(tx, document.id(), number)
                                            .compose(v -> add(tx, document.id(), document.type(), number, file))
                                            .map(renewed -> {
                                                tx.event(event("document.renewed", renewed));
                                                return Reply.created("/v1/documents/" + renewed.id(), renewed::toJson)
                                                        .etag(renewed.version());
                                            });
                                }))
                        .onSuccess(reply -> jobs.hint()));
    }

    /** Its name never changes, so it may be read before the transaction that takes the file over. */
    private Future<Blobs.Facts> upload(Call call) {
        if (!bounds.scans) {
            return Future.failedFuture(Problem.of("document.scannerMissing"));
        }
        return blobs.facts(
                        call.pool(),
                        UUID.fromString(call.json().required("uploadId").textValue()))
                .recover(
                        failure -> Future.failedFuture(isMissing(failure) ? Problem.of("blob.notClaimable") : failure));
    }

    private Future<Document> add(Tx tx, UUID document, String type, int number, Blobs.Facts file) {
        String declared = tx.call().json().path("contentType").textValue();
        return Blobs.claim(tx, file.id(), tx.principal().subject(), PURPOSE)
                .compose(stored -> {
                    rules.mustFit(type, stored.contentType(), file.name(), declared);
                    return store.insertVersion(tx, document, number, file.id(), stored);
                })
                .compose(version -> jobs.submit(
                        tx,
                        DocumentScan.KIND,
                        Json.object()
                                .put("versionId", version.toString())
                                .put("blobId", file.id().toString())))
                .compose(job -> store.again(tx, document));
    }

    private static String title(ObjectNode body) {
        return body.required("title").textValue().strip();
    }

    /** Problems: document.notFound, request.stale. */
    Future<Reply> change(Call call) {
        return database.write(
                call,
                tx -> store.held(tx)
                        .compose(document -> Past.mustMatch(call, document.version())
                                .compose(v -> store.retitle(tx, document, title(call.json())))
                                .compose(v -> store.again(tx, document.id())))
                        .map(changed -> {
                            tx.event(event("document.changed", changed));
                            return reply(changed);
                        }));
    }

    /** Problems: document.notFound, request.stale. */
    Future<Reply> delete(Call call) {
        return database.write(
                call,
                tx -> store.held(tx)
                        .compose(document -> Past.mustMatch(call, document.version())
                                .compose(v -> store.delete(tx, document.id()))
                                .map(v -> {
                                    tx.event(Event.of("document.deleted", document.id(), document.version() + 1, READ)
                                            .within(document.branchId(), document.managerId())
                                            .with(
                                                    "customerId",
                                                    document.customerId().toString()));
                                    return Reply.empty();
                                })));
    }

    /** Problems: document.notFound, request.cursorInvalid. */
    Future<Reply> versions(Call call) {
        Page page = Page.of(call, mac);
        return store.find(call)
                .compose(document -> store.versions(call, document, page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(Integer.toString(row.getInteger("number"))),
                        (json, row) -> Document.Version.from(row).toJson(json))));
    }

    /**
     * The file of the newest version, or of the one that is named. Problems: document.notFound, document.versionNotFound,
     * document.quarantined, document.infected.
     */
    Future<Reply> content(Call call) {
        int number = call.integer("number", 0);
        return store.find(call)
                .compose(document -> (number == 0
                                ? Future.succeededFuture(document.newest())
                                : store.version(call, document, number))
                        .compose(version -> {
                            String hindrance = hindrance(version);
                            return hindrance == null
                                    ? download(call, document, version)
                                    : Future.<Reply>failedFuture(Problem.of(hindrance));
                        }));
    }

    private static @Nullable String hindrance(Document.Version version) {
        return switch (version.state()) {
            case "clean" -> null;
            case "quarantined" -> "document.quarantined";
            default -> "document.infected";
        };
    }

    /** A file shows what fields mask: the reading is in the audit before the first byte leaves. */
    private Future<Reply> download(Call call, Document document, Document.Version version) {
        return blobs.facts(call.pool(), version.blobId())
                .recover(failure -> Future.failedFuture(isMissing(failure) ? Problem.of("blob.missing") : failure))
                .compose(file -> database.write(call, tx -> {
                    tx.kind("unmask");
                    tx.object("document", document.id(), document.version());
                    return Future.succeededFuture(
                            Reply.file(new Reply.Download(file.id(), file.name(), version.contentType())));
                }));
    }

    private static boolean isMissing(Throwable failure) {
        Problem problem = Problem.in(failure);
        return problem != null && problem.code().equals("upload.notFound");
    }

    private static Event event(String type, Document document) {
        return Event.of(type, document.id(), document.version(), READ)
                .within(document.branchId(), document.managerId())
                .with("customerId", document.customerId().toString())
                .with("number", Integer.toString(document.newest().number()));
    }
}
