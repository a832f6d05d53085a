package io.kehu.customer.consent;

import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** The rules of consents; what proves one, and which one counts, is in the database. */
final class ConsentService {
    private static final String READ = "consent:read";

    private final Database database;
    private final CustomerReach reach;
    private final ConsentStore store;
    private final UnaryOperator<byte[]> mac;

    ConsentService(Database database, CustomerReach reach, ConsentStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.reach = reach;
        this.store = store;
        this.mac = mac;
    }

    /** Every decision of a customer, newest first, now or as known then. Problems: customer.notFound, request.asOfTooLate, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return Past.instant(call, database)
                .compose(asOf -> reach.of(call, call.id("customerId"))
                        .compose(customer -> store.list(call, customer.id(), asOf, page)))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("at").toString(),
                                row.getUUID("id").toString()),
                        (json, row) -> Consent.from(row).toJson(json))));
    }

    /**
     * Records a decision. Problems: customer.notFound, consent.purposeUnknown, consent.notAsked, consent.proofMissing,
     * consent.proofForeign, consent.timeImpossible, consent.expiryImpossible.
     */
    Future<Reply> create(Call call) {
        return database.write(
                call,
                tx -> reach.held(tx, call.id("customerId"))
                        .compose(customer -> store.insert(
                                        tx, Consent.draft(Ids.next(), customer.side(), call.json(), tx.now()))
                                .map(made -> {
                                    tx.event(customer.event("consent." + made.state(), made.id(), 1, READ)
                                            .with("purpose", made.purpose())
                                            .with("channel", made.channel()));
                                    return Reply.created(
                                            "/v1/customers/" + customer.side() + "/consents", made::toJson);
                                })));
    }

    /** Whether he may be contacted now. Problems: customer.notFound, consent.purposeUnknown. */
    Future<Reply> check(Call call) {
        return store.mustBePurpose(call)
                .compose(v -> reach.of(call, call.id("customerId")))
                .compose(customer -> store.answer(call, customer.id()))
                .map(row -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeBooleanField("allowed", row.getBoolean("allowed"));
                    json.writeStringField("reason", row.getString("reason"));
                    UUID consent = row.getUUID("consent_id");
                    if (consent != null) {
                        json.writeStringField("consentId", consent.toString());
                    }
                    json.writeStringField("purpose", call.text("purpose"));
                    json.writeStringField("channel", call.text("channel"));
                    json.writeStringField("at", Json.instant(row.getOffsetDateTime("at")));
                    json.writeEndObject();
                }));
    }

    /** All purposes by code. */
    Future<Reply> purposes(Call call) {
        return store.purposes(call)
                .map(rows -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (Row row : rows) {
                        json.writeStartObject();
                        json.writeStringField("code", row.getString("code"));
                        json.writeStringField("nameEn", row.getString("name_en"));
                        json.writeStringField("nameZh", row.getString("name_zh"));
                        json.writeBooleanField("allowedWithout", row.getBoolean("allowed_without"));
                        json.writeBooleanField("always", row.getBoolean("always"));
                        json.writeEndObject();
                    }
                    json.writeEndArray();
                    json.writeEndObject();
                }));
    }
}
