package io.kehu.customer.interaction;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Reply;
import io.kehu.crypto.Screen;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerReach.Reached;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.List;
import java.util.function.UnaryOperator;

/** The rules of contacts: of customers in scope, and without numbers in their text that must not be kept there. */
final class InteractionService {
    private static final String READ = "interaction:read";

    private final Database database;
    private final CustomerReach reach;
    private final InteractionStore store;
    private final UnaryOperator<byte[]> mac;

    InteractionService(Database database, CustomerReach reach, InteractionStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.reach = reach;
        this.store = store;
        this.mac = mac;
    }

    /** The contacts with a customer and with all records merged into his, newest first. Problems: customer.notFound, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return reach.of(call, call.id("customerId"))
                .compose(customer -> store.list(call, customer.id(), page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("at").toString(),
                                row.getUUID("id").toString()),
                        (json, row) -> store.opened(row).toItem(json))));
    }

    /** Problems: customer.notFound, request.invalid, interaction.timeImpossible, interaction.staffUnknown. */
    Future<Reply> create(Call call) {
        screen(call.json());
        return database.write(
                call,
                tx -> reach.held(tx, call.id("customerId"))
                        .compose(customer -> store.insert(
                                        tx,
                                        Interaction.draft(
                                                call.json(),
                                                customer.side(),
                                                tx.principal().subject(),
                                                tx.now()))
                                .map(made -> {
                                    tell(tx, "interaction.added", customer, made);
                                    return Reply.created("/v1/interactions/" + made.id(), made::toJson)
                                            .etag(made.version());
                                })));
    }

    /** Before anything of it is kept, also by the key of the command. */
    private static void screen(ObjectNode body) {
        Screen.mustPass("/text", body.path("text").textValue());
    }

    /** One contact, now or as it was known. Problems: interaction.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, asOf))
                .map(found -> Reply.ok(found::toJson).etag(found.version()));
    }

    /** Problems: interaction.notFound, request.stale, request.invalid. */
    Future<Reply> change(Call call) {
        screen(call.json());
        return database.write(
                call,
                tx -> store.found(tx)
                        .compose(before -> Past.mustMatch(call, before.version())
                                .compose(v -> reach.held(tx, before.customerId()))
                                .compose(customer -> store.revise(tx, before, before.with(call.json()))
                                        .map(after -> {
                                            tell(tx, "interaction.changed", customer, after);
                                            return Reply.ok(after::toJson).etag(after.version());
                                        }))));
    }

    private static void tell(Tx tx, String type, Reached customer, Interaction interaction) {
        tx.event(customer.event(type, interaction.id(), interaction.version(), READ)
                .with("channel", interaction.channel())
                .with("direction", interaction.direction())
                .with("outcome", interaction.outcome()));
    }

    /** By which channel and when a customer is best reached. Problems: customer.notFound. */
    Future<Reply> preference(Call call) {
        return reach.of(call, call.id("customerId"))
                .compose(customer -> store.preference(call, customer.id()))
                .map(row -> Reply.ok(json -> {
                    json.writeStartObject();
                    if (row.getString("channel") != null) {
                        json.writeStringField("channel", row.getString("channel"));
                        json.writeStringField("channelFrom", row.getString("channel_from"));
                    }
                    if (row.getInteger("hour") != null) {
                        json.writeNumberField("hourFrom", row.getInteger("hour"));
                        json.writeNumberField("hourTo", row.getInteger("hour") + 3);
                    }
                    json.writeNumberField("contacts", row.getLong("contacts"));
                    json.writeEndObject();
                }));
    }
}
