package io.kehu.customer.erasure;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerReach.Reached;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** The rules of deletions: the number typed again, a second person, a time of grace, nothing that keeps the customer. */
final class ErasureService {
    static final String SEEN_BY = "customer:read";

    private final Database database;
    private final CustomerReach reach;
    private final ErasureStore store;
    private final int graceDays;
    private final UnaryOperator<byte[]> mac;

    ErasureService(
            Database database, CustomerReach reach, ErasureStore store, int graceDays, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.reach = reach;
        this.store = store;
        this.graceDays = graceDays;
        this.mac = mac;
    }

    /** Begins the grace, once it is approved. Problems: customer.notFound, deletion.numberWrong, deletion.blocked, deletion.waiting. */
    Future<Reply> delete(Call call) {
        UUID approval = call.approval() == null ? null : call.approval().id();
        return database.write(
                call,
                tx -> reach.heldAlone(tx, call.id("customerId"))
                        .compose(customer -> store.numbered(tx, customer.id())
                                .compose(row -> mustBeMeant(call, row))
                                .compose(v -> store.insert(
                                        tx,
                                        Ids.next(),
                                        customer.id(),
                                        call.json().get("reason").textValue(),
                                        approval,
                                        graceDays))
                                .compose(deletion -> store.hide(tx, customer.id())
                                        .map(version -> told(tx, customer, deletion, version)))));
    }

    private static Future<Void> mustBeMeant(Call call, Row row) {
        String[] keepers = row.getArrayOfStrings("blocked_by");
        if (!Customer.number(row.getLong("seq"))
                .equals(call.json().get("confirmNumber").textValue())) {
            return Future.failedFuture(Problem.of("deletion.numberWrong"));
        }
        return keepers.length == 0
                ? Future.succeededFuture()
                : Future.failedFuture(Problem.of("deletion.blocked", String.join(", ", keepers)));
    }

    private static Reply told(Tx tx, Reached customer, Deletion deletion, long version) {
        tx.event(Event.of("customer.deleted", customer.id(), version, SEEN_BY)
                .within(customer.branchId(), customer.managerId())
                .with("deletionId", deletion.id().toString())
                .with("dueAt", Json.instant(deletion.dueAt())));
        return Reply.ok(deletion::toJson).etag(deletion.version());
    }

    /** Deletions of customers in scope, newest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("asked_at").toString(),
                                row.getUUID("id").toString()),
                        (json, row) -> Deletion.from(row).toJson(json))));
    }

    /** The last deletion of a customer. Problems: deletion.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call).map(row -> Reply.ok(Deletion.from(row)::toJson));
    }

    /** Restores the customer. Problems: deletion.notFound, deletion.graceOver. */
    Future<Reply> cancel(Call call) {
        return database.write(
                call,
                tx -> store.find(tx)
                        .compose(row -> store.cancel(tx, row.getUUID("id"))
                                .compose(deletion -> store.show(tx, deletion.customerId())
                                        .map(version -> {
                                            tx.event(Event.of(
                                                            "customer.restored",
                                                            deletion.customerId(),
                                                            version,
                                                            SEEN_BY)
                                                    .within(row.getUUID("branch_id"), row.getUUID("manager_id"))
                                                    .with(
                                                            "deletionId",
                                                            deletion.id().toString()));
                                            return Reply.ok(deletion::toJson).etag(deletion.version());
                                        }))));
    }

    /** The certificate. Problems: erasure.notFound. */
    Future<Reply> certificate(Call call) {
        return store.certificate(call).map(row -> {
            Erasure erasure = Erasure.read(row.getString("line"));
            List<Integer> retired = List.of(row.getArrayOfIntegers("retired"));
            return Reply.ok(json -> {
                json.writeStartObject();
                json.writeStringField("id", erasure.id().toString());
                json.writeStringField("customerId", erasure.customerId().toString());
                Json.strings(json, "customerIds", erasure.customerIds());
                json.writeStringField("reason", erasure.reason());
                json.writeStringField("askedAt", Json.instant(erasure.askedAt()));
                json.writeStringField("approvalId", erasure.approvalId().toString());
                json.writeStringField("erasedAt", Json.instant(erasure.erasedAt()));
                json.writeStringField("finalAt", Json.instant(erasure.finalAt()));
                json.writeStringField("state", row.getBoolean("final") ? "final" : "erased");
                json.writeArrayFieldStart("epochs");
                for (int epoch : erasure.epochs()) {
                    json.writeStartObject();
                    json.writeNumberField("number", epoch);
                    json.writeBooleanField("retired", retired.contains(epoch));
                    json.writeEndObject();
                }
                json.writeEndArray();
                if (row.getOffsetDateTime("replayed_at") != null) {
                    json.writeStringField("replayedAt", Json.instant(row.getOffsetDateTime("replayed_at")));
                }
                json.writeStringField("statement", erasure.statement());
                json.writeStringField("kid", erasure.kid());
                json.writeStringField("signature", erasure.signature());
                json.writeEndObject();
            });
        });
    }
}
