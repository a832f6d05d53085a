package io.kehu.customer.pull;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Json;
import io.kehu.bus.Reply;
import io.kehu.customer.connector.ConnectorRules;
import io.kehu.customer.connector.ConnectorStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of what is asked of which source. */
final class PullService {
    static final String READ = "connector:read";

    private final Database database;
    private final ConnectorStore connectors;
    private final PullStore store;
    private final Set<String> hosts;
    private final UnaryOperator<byte[]> mac;

    PullService(
            Database database,
            ConnectorStore connectors,
            PullStore store,
            Set<String> hosts,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.connectors = connectors;
        this.store = store;
        this.hosts = hosts;
        this.mac = mac;
    }

    /** Problems: pull.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call).map(found -> Reply.ok(found::toJson).etag(found.version()));
    }

    /**
     * Whoever says what is asked answers for what is entered. A secret is never sent to another server than it was given for.
     * Problems: connector.notFound, customer.fieldForbidden, pull.urlForbidden.
     */
    Future<Reply> put(Call call) {
        ObjectNode body = call.json();
        UUID id = call.id("connectorId");
        Pull draft = Pull.draft(id, body);
        PullRules.allowed(draft.url(), hosts);
        String secret = body.path("authorization").textValue();
        return database.write(
                call,
                tx -> connectors
                        .held(tx)
                        .compose(connector -> {
                            ConnectorRules.source(connector.mapping(), call.principal());
                            return connectors.own(tx, id, call.principal().subject());
                        })
                        .compose(v -> store.held(tx, id))
                        .compose(before -> store.put(
                                tx,
                                draft,
                                secret,
                                secret == null
                                        && before.filter(pull -> PullRules.isSameOrigin(pull.url(), draft.url()))
                                                .isPresent(),
                                body.path("fromStart").asBoolean()
                                        || before.filter(pull -> pull.asksOtherwise(draft))
                                                .isPresent()))
                        .map(put -> {
                            tx.event(Event.of("connector.pullSet", id, put.version(), READ));
                            return Reply.ok(put::toJson).etag(put.version());
                        }));
    }

    /** Problems: pull.notFound. */
    Future<Reply> remove(Call call) {
        UUID id = call.id("connectorId");
        return database.write(
                call,
                tx -> store.remove(tx, id).map(row -> {
                    tx.event(Event.of("connector.pullRemoved", id, row.getLong("version"), READ));
                    return Reply.empty();
                }));
    }

    /** Also one that has stopped. Problems: pull.notFound. */
    Future<Reply> start(Call call) {
        UUID id = call.id("connectorId");
        return database.write(
                call,
                tx -> store.ask(tx, id).map(asked -> {
                    tx.event(Event.of("connector.pullAsked", id, asked.version(), READ));
                    return Reply.accepted("/v1/connectors/" + id + "/pull/runs", asked::toJson);
                }));
    }

    /** Problems: request.cursorInvalid. */
    Future<Reply> runs(Call call) {
        Page page = Page.of(call, mac);
        return store.runs(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows, row -> List.of(row.getUUID("id").toString()), (json, row) -> {
                            json.writeStartObject();
                            json.writeStringField("id", row.getUUID("id").toString());
                            json.writeNumberField("attempt", row.getInteger("attempt"));
                            json.writeStringField("outcome", row.getString("outcome"));
                            json.writeStringField("startedAt", instant(row, "started_at"));
                            json.writeStringField("endedAt", instant(row, "ended_at"));
                            json.writeStringField("errorCode", row.getString("error_code"));
                            Json.strings(json, "errorArgs", List.of(row.getArrayOfStrings("error_args")));
                            for (String count : List.of("rows", "created", "changed", "unchanged", "refused", "kept")) {
                                json.writeNumberField(count, row.getInteger(count));
                            }
                            json.writeEndObject();
                        })));
    }

    private static @Nullable String instant(Row row, String column) {
        OffsetDateTime time = row.getOffsetDateTime(column);
        return time == null ? null : Json.instant(time);
    }
}
