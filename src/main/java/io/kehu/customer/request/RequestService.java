package io.kehu.customer.request;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.version.ReasonStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Who may ask for a change, and who decides about it. */
final class RequestService {
    private static final String READ = "change-request:read";
    private static final String DECIDE = "change-request:decide";
    private static final String CHANGE = "customer:update";

    private final Database database;
    private final RequestStore store;
    private final CustomerStore customers;
    private final CustomerChanges changes;
    private final RequestRules rules;
    private final ReasonStore reasons;
    private final int perDay;
    private final ZoneId zone;
    private final UnaryOperator<byte[]> mac;

    RequestService(
            Database database,
            RequestStore store,
            CustomerStore customers,
            CustomerChanges changes,
            ReasonStore reasons,
            int perDay,
            ZoneId zone,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.customers = customers;
        this.changes = changes;
        this.rules = new RequestRules(changes);
        this.reasons = reasons;
        this.perDay = perDay;
        this.zone = zone;
        this.mac = mac;
    }

    // ---- the customer

    /** Problems: customer.notFound, request.invalid, change.notNew, change.quota. */
    Future<Reply> create(Call call) {
        String note = RequestRules.screened("/note", call.json().path("note"));
        ObjectNode change = (ObjectNode) call.json().required("change");
        return database.write(
                call,
                tx -> customers.ownLocked(tx).compose(customer -> {
                    ObjectNode wanted = rules.wanted(customer, change);
                    ObjectNode asked = Json.object().set("change", wanted);
                    if (note != null) {
                        asked.put("note", note);
                    }
                    List<String> fields = new ArrayList<>();
                    wanted.fieldNames().forEachRemaining(fields::add);
                    return store.add(tx, Ids.next(), customer.id(), fields.toArray(String[]::new), asked, perDay)
                            .map(row -> {
                                tell(tx, row, "change-request.made");
                                return Reply.created(
                                        "/v1/members/me/change-requests/" + row.getUUID("id"),
                                        json -> writeOwn(json, row));
                            });
                }));
    }

    /** Newest first. Problems: request.cursorInvalid. */
    Future<Reply> listOwn(Call call) {
        Page page = Page.of(call, mac);
        return store.listOwn(call, page).map(rows -> reply(page, rows, this::writeOwn));
    }

    /** Problems: change.notFound, change.decided. */
    Future<Reply> withdraw(Call call) {
        return database.write(
                call,
                tx -> store.ownLocked(tx, call.id("requestId"))
                        .compose(RequestService::mustBeOpen)
                        .compose(row -> store.withdraw(tx, row))
                        .map(row -> {
                            tell(tx, row, "change-request.withdrawn");
                            return Reply.empty();
                        }));
    }

    // ---- staff

    /** Newest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page).map(rows -> reply(page, rows, this::write));
    }

    /** What is shown in full is in the audit, and in the day's quota, before it leaves. Problems: change.notFound, customer.unmaskQuota. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("requestId"))
                .compose(row -> customers
                        .find(call, row.getUUID("customer_id"), null)
                        .compose(found -> {
                            Customer customer = found.value();
                            ObjectNode asked = store.asked(row);
                            ObjectNode wanted = asked.path("change") instanceof ObjectNode o ? o : Json.object();
                            boolean inFull = row.getString("state").equals("open")
                                    && call.principal().may(DECIDE)
                                    && RequestRules.isMasked(wanted);
                            Reply reply = detail(row, customer, asked, wanted, inFull);
                            return inFull ? inFull(call, customer, reply) : Future.succeededFuture(reply);
                        }));
    }

    private Future<Reply> inFull(Call call, Customer customer, Reply reply) {
        return database.write(
                call, tx -> customers.readInFull(tx, customer, zone).map(v -> reply));
    }

    private Reply detail(Row row, Customer customer, ObjectNode asked, ObjectNode wanted, boolean inFull) {
        Customer after = RequestRules.after(customer, wanted);
        return Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeFieldName("request");
                    write(json, row);
                    json.writeObjectField("change", RequestRules.shown(customer, masked(after), wanted, inFull));
                    json.writeObjectField("current", RequestRules.current(masked(customer), wanted));
                    text(json, "note", asked.path("note").textValue());
                    json.writeNumberField("customerVersion", customer.version());
                    json.writeEndObject();
                })
                .etag(row.getLong("version") + "." + customer.version());
    }

    /**
     * Changes the customer, of the version that If-Match names. Problems: auth.forbidden, change.notFound,
     * change.decided, request.invalid, and those of {@link CustomerChanges#apply}.
     */
    Future<Reply> accept(Call call) {
        if (!call.principal().may(CHANGE)) {
            return Future.failedFuture(Problem.of("auth.forbidden", CHANGE));
        }
        UUID id = call.id("requestId");
        JsonNode identity = call.json().required("identity");
        String method = identity.required("method").textValue();
        String note = RequestRules.screened("/identity/note", identity.path("note"));
        return database.write(
                call,
                tx -> store.seen(tx, id)
                        .compose(seen -> customers.locked(tx, seen.getUUID("side")))
                        .compose(held -> store.locked(tx, id))
                        .compose(RequestService::mustBeOpen)
                        .compose(row -> changes.apply(tx, row.getUUID("side"), (ObjectNode)
                                        store.asked(row).required("change"))
                                .compose(customer -> reasons.say(tx, customer.id(), reason(id, method, note)))
                                .compose(v -> store.decide(tx, row, "accepted", method, null)))
                        .map(row -> told(tx, row, "change-request.accepted")));
    }

    private static String reason(UUID id, String method, @Nullable String note) {
        return "Asked for by the customer (change request " + id + "), identity verified by " + method
                + (note == null ? "." : ": " + note);
    }

    /** Problems: change.notFound, change.decided, request.invalid. */
    Future<Reply> reject(Call call) {
        String why = RequestRules.screened("/why", call.json().required("why"));
        return database.write(
                call,
                tx -> store.locked(tx, call.id("requestId"))
                        .compose(RequestService::mustBeOpen)
                        .compose(row -> store.decide(tx, row, "rejected", null, why))
                        .map(row -> told(tx, row, "change-request.rejected")));
    }

    private static Future<Row> mustBeOpen(Row row) {
        return row.getString("state").equals("open")
                ? Future.succeededFuture(row)
                : Future.failedFuture(Problem.of("change.decided"));
    }

    private static void tell(Tx tx, Row row, String type) {
        tx.event(Event.of(type, row.getUUID("id"), row.getLong("version"), READ)
                .within(row.getUUID("branch_id"), row.getUUID("manager_id"))
                .with("customerId", row.getUUID("customer_id").toString()));
    }

    private Reply told(Tx tx, Row row, String type) {
        tell(tx, row, type);
        return Reply.ok(json -> write(json, row)).etag(row.getLong("version"));
    }

    // ---- answers

    private static ObjectNode masked(Customer customer) {
        Customer.View view = new Customer.View(false, Set.of());
        return Json.read(Json.write(json -> customer.toJson(json, view)).toString(StandardCharsets.UTF_8));
    }

    private static Reply reply(Page page, RowSet<Row> rows, Page.Item<Row> item) {
        return Reply.ok(page.write(
                rows,
                row -> List.of(
                        row.getOffsetDateTime("made_at").toString(),
                        row.getUUID("id").toString()),
                item));
    }

    private void writeOwn(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        head(json, row);
        text(json, "note", store.asked(row).path("note").textValue());
        json.writeEndObject();
    }

    private void write(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        head(json, row);
        json.writeStringField("customerId", row.getUUID("customer_id").toString());
        text(json, "identity", row.getString("identity"));
        UUID decider = row.getUUID("decided_by");
        text(json, "decidedBy", decider == null ? null : decider.toString());
        json.writeNumberField("version", row.getLong("version"));
        json.writeStringField("since", Json.instant(row.getOffsetDateTime("valid_from")));
        json.writeEndObject();
    }

    private void head(JsonGenerator json, Row row) throws IOException {
        json.writeStringField("id", row.getUUID("id").toString());
        Json.strings(json, "fields", List.of(row.getArrayOfStrings("fields")));
        json.writeStringField("state", row.getString("state"));
        json.writeStringField("madeAt", Json.instant(row.getOffsetDateTime("made_at")));
        OffsetDateTime decided = row.getOffsetDateTime("decided_at");
        text(json, "decidedAt", decided == null ? null : Json.instant(decided));
        text(json, "why", store.why(row));
    }

    private static void text(JsonGenerator json, String field, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(field, value);
        }
    }
}
