package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.blob.Blobs;
import io.kehu.blob.Pulled;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.bulk.CustomerChunks;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.time.OffsetDateTime;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Who may start, see and stop an import. */
final class ImportService {
    static final String PERMISSION = "customer:import";
    private static final String PURPOSE = "customer-import";
    private static final String SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    private static final int MAX_TEMPLATE_BYTES = 1 << 20;
    private static final List<Locale> LANGUAGES = List.of(Locale.ENGLISH, Locale.CHINESE);
    /** 50,000 lines of at most a hundred characters of a column's name and some three hundred of a text. */
    private static final long MAX_ERROR_BYTES = 64L << 20;

    private final Database database;
    private final Blobs blobs;
    private final Jobs jobs;
    private final CustomerChunks customers;
    private final ImportStore store;
    private final ImportTemplate template;

    ImportService(
            Database database,
            Blobs blobs,
            Jobs jobs,
            CustomerChunks customers,
            ImportStore store,
            ImportTemplate template) {
        this.database = database;
        this.blobs = blobs;
        this.jobs = jobs;
        this.customers = customers;
        this.store = store;
        this.template = template;
    }

    /** A workbook to fill in. */
    Future<Reply> template(Call call) {
        String kind = call.text("kind", "person");
        String name = "customers-" + kind + ".xlsx";
        Blobs.Draft draft = Blobs.Draft.of(
                call.principal().subject(), "customer-import-template", PERMISSION, name, MAX_TEMPLATE_BYTES);
        boolean finance = call.principal().may("customer:finance");
        return jobs.compute(() -> template.workbook(kind, finance))
                .compose(workbook -> {
                    Iterator<Buffer> pieces = List.of(workbook).iterator();
                    return blobs.write(
                            draft, new Pulled(() -> Future.succeededFuture(pieces.hasNext() ? pieces.next() : null)));
                })
                .map(file -> Reply.file(new Reply.Download(file.id(), name, SHEET)));
    }

    /**
     * Takes an upload over and asks for the job. Problems: blob.notClaimable, customer.fieldForbidden,
     * customer.sourceReserved, customer.branchUnknown, customer.managerUnknown.
     */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        ObjectNode mapping = (ObjectNode) body.required("mapping");
        Mapping read = Mapping.of(mapping);
        mustMayFill(call.principal(), read);
        CustomerChunks.Place place = place(call.principal(), mapping);
        if (place == null) {
            return Future.failedFuture(Problem.of("customer.branchUnknown"));
        }
        UUID upload = UUID.fromString(body.required("uploadId").textValue());
        return database.write(
                        call,
                        tx -> customers
                                .check(tx, place)
                                .compose(v ->
                                        Blobs.claim(tx, upload, tx.principal().subject(), PURPOSE))
                                .compose(v -> jobs.submit(tx, ImportStore.KIND, place.into(body)))
                                .compose(id -> {
                                    tx.event(Event.of("import.requested", id, 1, PERMISSION)
                                            .within(null, tx.principal().subject()));
                                    return store.find(tx, id);
                                })
                                .map(made -> Reply.accepted("/v1/imports/" + made.id(), write(made))))
                .onSuccess(reply -> jobs.hint());
    }

    /** Asked when an import is made and whenever it begins. Fails with {@code customer.fieldForbidden}. */
    static void mustMayFill(Principal who, Mapping mapping) {
        String forbidden = mapping.forbidden(who);
        if (forbidden != null) {
            throw Problem.of("customer.fieldForbidden", forbidden);
        }
    }

    /** Where the rows go, as for a customer who is entered by hand; null where nobody says. */
    static CustomerChunks.@Nullable Place place(Principal who, ObjectNode mapping) {
        UUID branch = mapping.has("branchId") ? id(mapping.get("branchId")) : who.branchId();
        UUID manager = mapping.has("managerId")
                ? id(mapping.get("managerId"))
                : who.scope() == Principal.Scope.OWN ? who.subject() : null;
        return branch == null ? null : new CustomerChunks.Place(branch, manager);
    }

    private static UUID id(JsonNode text) {
        return UUID.fromString(text.textValue());
    }

    /** Problems: import.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("importId")).map(found -> Reply.ok(write(found)));
    }

    /** The refused rows as a file that is gone after a while. Problems: import.notFound. */
    Future<Reply> errors(Call call) {
        boolean chinese = isChinese(call.text("Accept-Language"));
        return store.find(call, call.id("importId")).compose(found -> {
            String name = "import-" + found.id() + "-errors.csv";
            Blobs.Draft draft = Blobs.Draft.of(
                    call.principal().subject(), "customer-import-errors", PERMISSION, name, MAX_ERROR_BYTES);
            return blobs.write(draft, new ErrorFile(store, found.id(), chinese))
                    .map(file -> Reply.file(new Reply.Download(file.id(), name, "text/csv; charset=utf-8")));
        });
    }

    private static boolean isChinese(@Nullable String acceptLanguage) {
        try {
            return acceptLanguage != null
                    && Locale.CHINESE.equals(Locale.lookup(Locale.LanguageRange.parse(acceptLanguage), LANGUAGES));
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** Problems: import.notFound, job.ended. */
    Future<Reply> cancel(Call call) {
        UUID id = call.id("importId");
        return database.write(
                        call,
                        tx -> store.find(tx, id)
                                .compose(found -> Jobs.cancel(tx, id))
                                .compose(v -> store.find(tx, id))
                                .map(cancelled -> Reply.ok(write(cancelled))))
                .onSuccess(reply -> jobs.hint());
    }

    private static Json.Writer write(ImportStore.Import found) {
        return json -> {
            json.writeStartObject();
            json.writeStringField("id", found.id().toString());
            json.writeStringField("state", found.state());
            json.writeBooleanField("dryRun", found.dryRun());
            json.writeNumberField("read", found.read());
            json.writeNumberField("accepted", found.accepted());
            json.writeNumberField("rejected", found.rejected());
            for (String counter : List.of("created", "changed", "unchanged", "alike")) {
                json.writeNumberField(counter, found.position().path(counter).longValue());
            }
            json.writeFieldName("rowsPerSecond");
            json.writeObject(found.rate());
            json.writeFieldName("percent");
            json.writeObject(found.percent());
            json.writeBooleanField("cancelAsked", found.cancelAsked());
            json.writeStringField("errorCode", found.errorCode());
            Json.strings(json, "errorArgs", found.errorArgs());
            json.writeStringField("createdAt", instant(found.createdAt()));
            json.writeStringField("startedAt", instant(found.startedAt()));
            json.writeStringField("endedAt", instant(found.endedAt()));
            json.writeEndObject();
        };
    }

    private static @Nullable String instant(@Nullable OffsetDateTime time) {
        return time == null ? null : time.toInstant().toString();
    }
}
