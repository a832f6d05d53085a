package io.kehu.customer.version;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Reply;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerChanges;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerStore;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** How the versions of a customer are told, and how a former one's values come back. */
final class VersionService {
    private final Database database;
    private final CustomerStore customers;
    private final CustomerChanges changes;
    private final VersionStore store;
    private final ReasonStore reasons;
    private final CustomerReach reach;
    private final UnaryOperator<byte[]> mac;

    VersionService(
            Database database,
            CustomerStore customers,
            CustomerChanges changes,
            VersionStore store,
            ReasonStore reasons,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.customers = customers;
        this.changes = changes;
        this.store = store;
        this.reasons = reasons;
        this.reach = new CustomerReach(database);
        this.mac = mac;
    }

    /** Every version, the newest first. Problems: customer.notFound, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return reach.of(call, call.id("customerId"))
                .compose(customer -> store.list(call, customer.id(), page))
                .map(rows -> page(call, page, rows));
    }

    private Reply page(Call call, Page page, RowSet<Row> rows) {
        Map<Long, Row> byVersion = new HashMap<>();
        rows.forEach(row -> byVersion.put(row.getLong("version"), row));
        return Reply.ok(page.write(
                rows,
                row -> List.of(row.getLong("version").toString()),
                (json, row) -> write(json, call.principal(), row, byVersion.get(row.getLong("version") - 1))));
    }

    private void write(JsonGenerator json, Principal who, Row row, @Nullable Row older) throws IOException {
        json.writeStartObject();
        json.writeNumberField("version", row.getLong("version"));
        json.writeStringField("since", Json.instant(row.getOffsetDateTime("valid_from")));
        if (row.getOffsetDateTime("until") != null) {
            json.writeStringField("until", Json.instant(row.getOffsetDateTime("until")));
        }
        if (older == null) {
            audit(json, row, "b_");
        } else {
            audit(json, older, "e_");
            text(json, "reason", reasons.reason(older));
        }
        difference(json, who, customers.opened(row), older == null ? null : customers.opened(older));
        json.writeEndObject();
    }

    private static void audit(JsonGenerator json, Row row, String of) throws IOException {
        UUID id = row.getUUID(of + "id");
        if (id == null) {
            return;
        }
        json.writeObjectFieldStart("by");
        json.writeStringField("id", row.getUUID(of + "actor").toString());
        json.writeStringField("name", row.getString(of + "name"));
        json.writeEndObject();
        text(json, "operation", row.getString(of + "operation"));
        text(json, "purpose", row.getString(of + "purpose"));
        UUID approval = row.getUUID(of + "approval");
        text(json, "approvalId", approval == null ? null : approval.toString());
        text(json, "requestId", row.getString(of + "request"));
        json.writeStringField("auditId", id.toString());
    }

    /** Compared as they are, shown as the reader sees them: two numbers may look alike when they are masked. */
    private static void difference(JsonGenerator json, Principal who, Customer now, @Nullable Customer before)
            throws IOException {
        ObjectNode after = values(now);
        ObjectNode former = before == null ? Json.object() : values(before);
        Set<String> changed = new TreeSet<>();
        after.fieldNames().forEachRemaining(changed::add);
        former.fieldNames().forEachRemaining(changed::add);
        changed.removeIf(field -> after.path(field).equals(former.path(field))
                || (Customer.FINANCE.contains(field) && !who.may("customer:finance")));
        Json.strings(json, "changed", changed);
        json.writeObjectField("before", before == null ? former : shown(who, before, former, changed));
        json.writeObjectField("after", shown(who, now, after, changed));
    }

    private static ObjectNode values(Customer customer) {
        ObjectNode values =
                customer.toDraft().put("branchId", customer.branchId().toString());
        UUID manager = customer.managerId();
        return manager == null ? values : values.put("managerId", manager.toString());
    }

    /** Those fields that it has, masked. */
    private static ObjectNode shown(Principal who, Customer customer, ObjectNode there, Set<String> fields) {
        Customer.View view = new Customer.View(who.may("customer:finance"), Set.of());
        ObjectNode all =
                Json.read(Json.write(json -> customer.toJson(json, view)).toString(StandardCharsets.UTF_8));
        ObjectNode shown = Json.object();
        fields.stream().filter(there::has).forEach(field -> shown.set(field, all.path(field)));
        return shown;
    }

    private static void text(JsonGenerator json, String field, @Nullable String value) throws IOException {
        if (value != null) {
            json.writeStringField(field, value);
        }
    }

    /**
     * Gives fields their former values, as a change of today. Problems: customer.versionUnknown and those of
     * {@link CustomerChanges#apply}.
     */
    Future<Reply> restore(Call call) {
        ObjectNode body = call.json();
        Principal who = call.principal();
        ObjectNode wanted = Json.object();
        body.path("fields").forEach(field -> wanted.putNull(field.textValue()));
        CustomerChanges.mustSeeFinance(who, wanted, Customer.FINANCE);
        UUID id = call.id("customerId");
        long version = call.params().required("version").longValue();
        return database.write(
                call,
                tx -> changes.apply(
                                tx,
                                id,
                                () -> store.former(tx, id, version)
                                        .map(former -> patch(wanted, customers.opened(former))))
                        .compose(customer -> reasons.say(
                                        tx,
                                        id,
                                        body.required("reason").textValue().strip())
                                .map(v -> Reply.ok(json -> customer.toJson(
                                                json, new Customer.View(who.may("customer:finance"), Set.of())))
                                        .etag(customer.version()))));
    }

    private static ObjectNode patch(ObjectNode wanted, Customer former) {
        ObjectNode values = values(former);
        ObjectNode patch = wanted.deepCopy();
        wanted.fieldNames().forEachRemaining(field -> {
            JsonNode value = values.path(field);
            if (!value.isMissingNode()) {
                patch.set(field, value);
            }
        });
        return patch;
    }
}
