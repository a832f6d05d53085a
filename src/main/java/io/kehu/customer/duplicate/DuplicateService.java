package io.kehu.customer.duplicate;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Who may see which pairs, decide them, and ask for scans. */
final class DuplicateService {
    static final String READ = "duplicate:read";
    static final String SCAN = "duplicate:scan";

    private final Database database;
    private final Jobs jobs;
    private final DuplicateStore store;
    private final ScanStore scans;
    private final UnaryOperator<byte[]> mac;

    DuplicateService(Database database, Jobs jobs, DuplicateStore store, ScanStore scans, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.jobs = jobs;
        this.store = store;
        this.scans = scans;
        this.mac = mac;
    }

    /** The queue, the surest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .compose(rows -> store.customers(call, rows)
                        .map(customers -> Reply.ok(page.write(
                                rows,
                                row -> List.of(
                                        row.getBigDecimal("score").toPlainString(),
                                        row.getUUID("id").toString()),
                                (json, row) -> write(json, row, customers)))));
    }

    /** Problems: duplicate.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("duplicateId"))
                .compose(row -> store.customers(call, List.of(row)).map(customers -> reply(row, customers)));
    }

    private Reply reply(Row row, Map<UUID, Customer> customers) {
        return Reply.ok(json -> write(json, row, customers)).etag(row.getLong("version"));
    }

    /** Problems: duplicate.notFound, duplicate.decided. */
    Future<Reply> dismiss(Call call) {
        String why = call.json().required("why").textValue().strip();
        return database.write(
                call,
                tx -> store.locked(tx, call.id("duplicateId")).compose(row -> {
                    if (!row.getString("state").equals("open")) {
                        return Future.failedFuture(Problem.of("duplicate.decided"));
                    }
                    return store.dismiss(tx, row, why)
                            .compose(done -> store.customers(tx, List.of(done)).map(customers -> {
                                Customer first = customers.get(done.getUUID("a_id"));
                                Event event = Event.of(
                                        "duplicate.dismissed", done.getUUID("id"), done.getLong("version"), READ);
                                tx.event(
                                        first == null
                                                ? event.within(
                                                        null, tx.principal().subject())
                                                : event.within(first.branchId(), first.managerId()));
                                return reply(done, customers);
                            }));
                }));
    }

    private void write(JsonGenerator json, Row row, Map<UUID, Customer> customers) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", row.getUUID("id").toString());
        json.writeStringField("state", row.getString("state"));
        json.writeStringField("level", row.getString("level"));
        json.writeNumberField("score", row.getBigDecimal("score"));
        json.writeFieldName("reasons");
        json.writeRawValue(row.getString("reasons"));
        json.writeArrayFieldStart("customers");
        for (String side : List.of("a_id", "b_id")) {
            Customer customer = customers.get(row.getUUID(side));
            if (customer != null) {
                json.writeStartObject();
                customer.head(json);
                json.writeEndObject();
            }
        }
        json.writeEndArray();
        json.writeStringField("foundAt", Json.instant(row.getOffsetDateTime("found_at")));
        UUID decider = row.getUUID("decided_by");
        if (decider != null) {
            json.writeStringField("decidedBy", decider.toString());
        }
        OffsetDateTime decided = row.getOffsetDateTime("decided_at");
        if (decided != null) {
            json.writeStringField("decidedAt", Json.instant(decided));
        }
        String why = store.why(row);
        if (why != null) {
            json.writeStringField("why", why);
        }
        json.writeNumberField("version", row.getLong("version"));
        json.writeStringField("since", Json.instant(row.getOffsetDateTime("valid_from")));
        json.writeEndObject();
    }

    // ---- scans

    /** Problems: duplicate.scanRunning. */
    Future<Reply> scan(Call call) {
        return database.write(
                        call,
                        tx -> jobs.submit(tx, ScanStore.KIND, call.json())
                                .compose(id -> scans.begin(tx, id).compose(v -> {
                                    tx.event(Event.of("scan.requested", id, 1, SCAN)
                                            .within(null, tx.principal().subject()));
                                    return scans.find(tx, id);
                                }))
                                .map(row -> Reply.accepted("/v1/duplicates/scans/" + row.getUUID("id"), write(row))))
                .onSuccess(reply -> jobs.hint());
    }

    /** Problems: duplicate.scanNotFound. */
    Future<Reply> getScan(Call call) {
        return scans.find(call, call.id("scanId")).map(row -> Reply.ok(write(row)));
    }

    /** Problems: duplicate.scanNotFound, job.ended. */
    Future<Reply> cancelScan(Call call) {
        UUID id = call.id("scanId");
        return database.write(
                        call,
                        tx -> scans.find(tx, id)
                                .compose(found -> Jobs.cancel(tx, id))
                                .compose(v -> scans.find(tx, id))
                                .map(row -> Reply.ok(write(row))))
                .onSuccess(reply -> jobs.hint());
    }

    private static Json.Writer write(Row row) {
        Long total = row.getLong("units_total");
        return json -> {
            json.writeStartObject();
            json.writeStringField("id", row.getUUID("id").toString());
            json.writeStringField("state", row.getString("state"));
            json.writeBooleanField("full", Boolean.TRUE.equals(row.getBoolean("whole")));
            json.writeNumberField("read", row.getLong("rows_read"));
            json.writeNumberField("compared", row.getLong("compared"));
            json.writeNumberField("found", row.getLong("rows_accepted"));
            json.writeFieldName("percent");
            json.writeObject(
                    total == null || total == 0 ? null : (int) Math.min(100, 100 * row.getLong("units_done") / total));
            json.writeBooleanField("cancelAsked", row.getBoolean("cancel_asked"));
            json.writeStringField("errorCode", row.getString("error_code"));
            json.writeStringField("createdAt", instant(row.getOffsetDateTime("created_at")));
            json.writeStringField("startedAt", instant(row.getOffsetDateTime("started_at")));
            json.writeStringField("endedAt", instant(row.getOffsetDateTime("ended_at")));
            json.writeEndObject();
        };
    }

    private static @Nullable String instant(@Nullable OffsetDateTime time) {
        return time == null ? null : Json.instant(time);
    }
}
