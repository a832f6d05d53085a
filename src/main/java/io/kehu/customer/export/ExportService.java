package io.kehu.customer.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Vault;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.job.Jobs;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.time.ZoneId;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of who may take out whom, how many, and who may fetch the file. */
final class ExportService {
    /** What passwords of archives are sealed for. */
    static final String SEALED_FOR = "export-archive";

    private static final Set<String> FOR_READING = Set.of("docx", "pdf");
    private static final int READABLE_COLUMNS = 12;
    /** Of a password that somebody may have to type: 144 bits. */
    private static final int PASSWORD_LETTERS = 24;

    private final Database database;
    private final ExportStore store;
    private final Jobs jobs;
    private final Vault vault;
    private final Clock clock;
    private final ZoneId zone;
    private final Bounds bounds;
    private final UnaryOperator<byte[]> mac;

    /** What the settings say. */
    record Bounds(int rowsPerDay, int maxRows, int documentRows, int linkMinutes) {}

    ExportService(
            Database database,
            ExportStore store,
            Jobs jobs,
            Vault vault,
            Clock clock,
            ZoneId zone,
            Bounds bounds,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.jobs = jobs;
        this.vault = vault;
        this.clock = clock;
        this.zone = zone;
        this.bounds = bounds;
        this.mac = mac;
    }

    /**
     * Asks for a file. Problems: customer.fieldForbidden, customer.unmaskForbidden, export.tooManyRows, export.tooManyColumns,
     * export.quota.
     */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        ExportColumn.mustSee(call.principal(), Export.columns(body));
        boolean full = !Export.unmask(body).isEmpty();
        if (full && !call.principal().may("customer:unmask")) {
            throw Problem.of("customer.unmaskForbidden");
        }
        boolean readable = FOR_READING.contains(body.path("format").asText());
        if (readable && body.path("columns").size() > READABLE_COLUMNS) {
            throw Problem.of("export.tooManyColumns", Integer.toString(READABLE_COLUMNS));
        }
        return ask(call, Export.CUSTOMERS, full, readable ? bounds.documentRows : bounds.maxRows);
    }

    /**
     * Asks for a file that names nobody. Problems: customer.fieldForbidden, export.tooManyRows, export.quota.
     */
    Future<Reply> createAnalysis(Call call) {
        for (AnalysisColumn column : Export.classes(call.json())) {
            if (column.permission() != null && !call.principal().may(column.permission())) {
                throw Problem.of("customer.fieldForbidden", column.name());
            }
        }
        return ask(call, Export.ANALYSIS, false, bounds.maxRows);
    }

    private Future<Reply> ask(Call asked, String kind, boolean full, int maxRows) {
        ObjectNode request = asked.json().deepCopy();
        String purpose = request.remove("purpose").textValue();
        Filter filter = Export.filter(request);
        filter.mustBeOpenTo(asked.principal());
        String password =
                request.path("archive").asText().equals("zip") ? Ids.secret().substring(0, PASSWORD_LETTERS) : null;
        Moment moment = Moment.at(clock.now(), zone);
        Call call = forPurpose(asked, purpose);
        return database.write(
                        call,
                        tx -> store.count(tx, filter, moment, maxRows).compose(rows -> {
                            if (rows > maxRows) {
                                return Future.failedFuture(Problem.of("export.tooManyRows", Integer.toString(maxRows)));
                            }
                            // What is not said counts as more than every threshold.
                            tx.weighs(null, full ? null : Long.valueOf(rounded(rows)));
                            return store.charge(tx, rows, bounds.rowsPerDay)
                                    .compose(v -> keep(tx, kind, request, purpose, rows, password))
                                    .map(export -> Reply.accepted(
                                            "/v1/exports/" + export.id(), json -> export.toJson(json, password)));
                        }))
                .onSuccess(reply -> jobs.hint());
    }

    private Future<Export> keep(
            Tx tx, String kind, ObjectNode request, String purpose, long rows, @Nullable String password) {
        UUID id = Ids.next();
        tx.kind("export");
        tx.event(Event.of("export.requested", id, 1, Export.READ)
                .within(tx.principal().branchId(), tx.principal().subject())
                .with("kind", kind)
                .with("rows", rows));
        return store.newest(tx)
                .compose(newest -> jobs.submit(
                                tx, ExportStore.KIND, Json.object().put("exportId", id.toString()))
                        .compose(job -> store.insert(tx, id, job, kind, request, purpose, rows, newest)))
                .compose(export -> password == null
                        ? Future.succeededFuture(export)
                        : store.keepSecret(
                                        tx, id, vault.sealSystem(SEALED_FOR, password.getBytes(StandardCharsets.UTF_8)))
                                .map(export));
    }

    /** Up to two digits: the number is compared when an approved request is carried out, and customers come and go. */
    static long rounded(long rows) {
        long step = 1;
        while (rows / step >= 100) {
            step *= 10;
        }
        return (rows + step - 1) / step * step;
    }

    /** The purpose stands in the audit as that of a read in full does. */
    private static Call forPurpose(Call call, String purpose) {
        Call.Meta meta = call.meta();
        return new Call(
                call.operationId(),
                call.params(),
                call.body(),
                call.principal(),
                call.mode(),
                call.pool(),
                new Call.Meta(meta.requestId(), meta.idempotencyKey(), meta.ifMatch(), purpose, meta.address()),
                call.approval(),
                call.deadlineMillis());
    }

    /** Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getUUID("id").toString()),
                        (json, row) -> Export.from(row).toJson(json))));
    }

    /** Problems: export.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("exportId")).map(export -> Reply.ok(export::toJson));
    }

    /** Problems: export.notFound, job.ended. */
    Future<Reply> cancel(Call call) {
        UUID id = call.id("exportId");
        return database.write(
                        call,
                        tx -> store.own(tx, id)
                                .compose(export -> Jobs.cancel(tx, export.jobId()))
                                .compose(v -> store.own(tx, id))
                                .map(export -> Reply.ok(export::toJson)))
                .onSuccess(reply -> jobs.hint());
    }

    /** Problems: export.notFound, export.notReady, export.fileGone, export.rightsChanged. */
    Future<Reply> link(Call call) {
        return database.write(
                call,
                tx -> store.own(tx, call.id("exportId")).compose(export -> {
                    mustHaveFile(export, call);
                    String token = Ids.secret();
                    tx.object("export", export.id(), 1);
                    return store.link(tx, export.id(), Sha256.of(token), bounds.linkMinutes)
                            .map(expiresAt -> {
                                String url = "/v1/export-downloads/" + token;
                                return Reply.created(url, json -> {
                                    json.writeStartObject();
                                    json.writeStringField("url", url);
                                    json.writeStringField("expiresAt", Json.instant(expiresAt));
                                    json.writeEndObject();
                                });
                            });
                }));
    }

    private static UUID mustHaveFile(Export export, Call call) {
        UUID blob = export.blobId();
        if (blob == null) {
            throw Problem.of(export.hasFile() ? "export.fileGone" : "export.notReady");
        }
        export.mustBeOpenTo(call.principal());
        return blob;
    }

    /**
     * Uses a link up and hands the file out, in the audit before the first byte leaves. Problems: export.linkUnknown,
     * export.linkOver, export.fileGone, export.rightsChanged.
     */
    Future<Reply> download(Call call) {
        String token = call.params().required("token").textValue();
        Export[] found = new Export[1];
        return database.write(
                        call,
                        tx -> store.use(tx, Sha256.of(token))
                                .compose(id -> store.own(tx, id))
                                .map(export -> {
                                    mustHaveFile(export, call);
                                    tx.kind("export");
                                    tx.object("export", export.id(), 1);
                                    found[0] = export;
                                    return Reply.empty();
                                }))
                .map(audited -> {
                    Export export = found[0];
                    String name = export.fileName() + (export.isArchive() ? ".zip" : "");
                    return Reply.file(new Reply.Download(mustHaveFile(export, call), name, export.contentType()));
                });
    }
}
