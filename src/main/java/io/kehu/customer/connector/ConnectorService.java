package io.kehu.customer.connector;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.function.UnaryOperator;

/** The rules of connectors; what they deliver is {@link Deliveries}' part. */
final class ConnectorService {
    static final String READ = "connector:read";

    private final Database database;
    private final ConnectorStore store;
    private final UnaryOperator<byte[]> mac;

    ConnectorService(Database database, ConnectorStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.mac = mac;
    }

    /** Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("name")),
                        (json, row) -> Connector.from(row).toJson(json))));
    }

    /** Problems: connector.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call).map(found -> Reply.ok(found::toJson).etag(found.version()));
    }

    /** Problems: connector.mappingInvalid, customer.sourceReserved, customer.fieldForbidden, connector.nameTaken. */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        ObjectNode mapping = (ObjectNode) body.required("mapping");
        Connector draft = new Connector(
                Ids.next(),
                body.required("name").textValue().strip(),
                true,
                call.principal().subject(),
                ConnectorRules.source(mapping, call.principal()),
                mapping,
                body.path("duplicates").asText("create"),
                null,
                1,
                OffsetDateTime.MIN);
        String secret = Ids.secret();
        return database.write(
                call,
                tx -> store.insert(tx, draft, secret).map(made -> {
                    tx.event(Event.of("connector.created", made.id(), made.version(), READ));
                    return Reply.created("/v1/connectors/" + made.id(), json -> made.toJson(json, secret))
                            .etag(made.version());
                }));
    }

    /**
     * Whoever says what a connector does answers for it from then on: nobody works with the rights of another. Problems:
     * connector.notFound, connector.mappingInvalid, customer.sourceReserved, customer.fieldForbidden, connector.nameTaken,
     * request.stale.
     */
    Future<Reply> change(Call call) {
        ObjectNode patch = call.json();
        return database.write(
                call,
                tx -> store.held(tx)
                        .compose(before -> Past.mustMatch(call, before.version())
                                .compose(v -> {
                                    ObjectNode mapping =
                                            patch.has("mapping") ? (ObjectNode) patch.get("mapping") : before.mapping();
                                    return store.update(
                                            tx,
                                            new Connector(
                                                    before.id(),
                                                    patch.path("name")
                                                            .asText(before.name())
                                                            .strip(),
                                                    patch.path("enabled").asBoolean(before.enabled()),
                                                    call.principal().subject(),
                                                    ConnectorRules.source(mapping, call.principal()),
                                                    mapping,
                                                    patch.path("duplicates").asText(before.duplicates()),
                                                    before.formerUntil(),
                                                    before.version(),
                                                    before.since()));
                                }))
                        .map(changed -> {
                            tx.event(Event.of("connector.changed", changed.id(), changed.version(), READ));
                            return Reply.ok(changed::toJson).etag(changed.version());
                        }));
    }

    /** Whoever learns the secret answers for what is sent with it. Problems: connector.notFound, customer.fieldForbidden. */
    Future<Reply> renewSecret(Call call) {
        String secret = Ids.secret();
        return database.write(
                call,
                tx -> store.held(tx)
                        .compose(held -> {
                            ConnectorRules.source(held.mapping(), call.principal());
                            return store.renew(tx, held.id(), call.principal().subject(), secret);
                        })
                        .map(renewed -> {
                            tx.event(Event.of("connector.secretRenewed", renewed.id(), renewed.version(), READ));
                            return Reply.ok(json -> renewed.toJson(json, secret))
                                    .etag(renewed.version());
                        }));
    }

    /** Problems: connector.notFound, request.cursorInvalid. */
    Future<Reply> deliveries(Call call) {
        Page page = Page.of(call, mac);
        return store.find(call)
                .compose(found -> store.deliveries(call, page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("at").toString(),
                                row.getUUID("id").toString()),
                        (json, row) -> {
                            json.writeStartObject();
                            json.writeStringField("id", row.getUUID("id").toString());
                            json.writeStringField("at", Json.instant(row.getOffsetDateTime("at")));
                            for (String count : List.of("rows", "created", "changed", "unchanged", "refused", "kept")) {
                                json.writeNumberField(count, row.getInteger(count));
                            }
                            json.writeEndObject();
                        })));
    }

    /** Problems: connector.notFound, request.cursorInvalid. */
    Future<Reply> errors(Call call) {
        Page page = Page.of(call, mac);
        return store.find(call)
                .compose(found -> store.errors(call, page))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("at").toString(),
                                row.getUUID("delivery_id").toString(),
                                row.getInteger("place").toString()),
                        (json, row) -> {
                            json.writeStartObject();
                            json.writeStringField(
                                    "deliveryId", row.getUUID("delivery_id").toString());
                            json.writeStringField("at", Json.instant(row.getOffsetDateTime("at")));
                            json.writeNumberField("row", row.getInteger("row"));
                            json.writeStringField("field", row.getString("field"));
                            json.writeStringField("code", row.getString("code"));
                            Json.strings(json, "args", List.of(row.getArrayOfStrings("args")));
                            json.writeEndObject();
                        })));
    }
}
