package io.kehu.customer.tag;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.tag.CustomerTagStore.Holder;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of who has which tag, and for how long. */
final class CustomerTagService {
    private final Database database;
    private final TagStore tags;
    private final CustomerTagStore store;
    private final CustomerReach reach;
    private final UnaryOperator<byte[]> mac;

    CustomerTagService(Database database, TagStore tags, CustomerTagStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.tags = tags;
        this.store = store;
        this.reach = new CustomerReach(database);
        this.mac = mac;
    }

    /** When a tag holds; {@code from} is null where it was not said. */
    private record Period(
            @Nullable OffsetDateTime from,
            OffsetDateTime start,
            @Nullable OffsetDateTime end) {
        /** Fails with {@code tag.periodInvalid}, {@code tag.notUsable}, {@code tag.byRule}. */
        static Period of(Tag tag, ObjectNode body, OffsetDateTime now) {
            OffsetDateTime from = Tag.instant(body, "from");
            OffsetDateTime start = from == null ? now : from;
            OffsetDateTime end = Tag.instant(body, "until");
            if (end == null && tag.defaultDays() != null) {
                end = start.plusDays(tag.defaultDays());
            }
            if (end != null && (!end.isAfter(start) || !end.isAfter(now))) {
                throw Problem.of("tag.periodInvalid");
            }
            if (tag.madeBy().equals("rule")) {
                throw Problem.of("tag.byRule");
            }
            if (!tag.isUsableAt(start.isAfter(now) ? start : now)) {
                throw Problem.of("tag.notUsable");
            }
            return new Period(from, start, end);
        }
    }

    /** The tags that hold, now or as of an instant. Problems: customer.notFound, request.asOfTooLate, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return reach.of(call, call.id("customerId"))
                .compose(customer ->
                        Past.instant(call, database).compose(asOf -> store.list(call, customer, page, asOf)))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("starts_at").toString(),
                                row.getUUID("id").toString()),
                        store::write)));
    }

    /** One tag that holds or will. Problems: customer.notFound, tag.notAssigned. */
    Future<Reply> get(Call call) {
        return reach.of(call, call.id("customerId"))
                .compose(customer -> store.find(call, customer, call.id("tagId")))
                .map(this::reply);
    }

    private Reply reply(Row row) {
        return Reply.ok(json -> store.write(json, row)).etag(row.getLong("version"));
    }

    /**
     * Gives a tag, or changes its reason and time. Problems: tag.notFound, customer.notFound, tag.periodInvalid,
     * tag.notUsable, tag.byRule, tag.notForCustomer.
     */
    Future<Reply> put(Call call) {
        List<UUID> one = List.of(call.id("customerId"));
        return database.write(
                call,
                tx -> give(tx, one)
                        .compose(given -> store.given(tx, given.get(0)))
                        .map(this::reply));
    }

    /** The same for many; all or none. */
    Future<Reply> assign(Call call) {
        List<UUID> customers = new ArrayList<>();
        call.json().path("customerIds").forEach(id -> customers.add(UUID.fromString(id.textValue())));
        return database.write(
                call,
                tx -> give(tx, customers)
                        .map(given -> Reply.ok(json -> {
                            json.writeStartObject();
                            json.writeNumberField("assigned", given.size());
                            json.writeEndObject();
                        })));
    }

    private Future<List<UUID>> give(Tx tx, List<UUID> customers) {
        ObjectNode body = tx.call().json();
        String reason = body.required("reason").textValue().strip();
        return tags.held(tx, tx.call().id("tagId"), "FOR SHARE").compose(tag -> {
            Period period = Period.of(tag, body, tx.now());
            return store.held(tx, customers, tag.branchId())
                    .compose(holders -> mustFit(holders, customers.size()))
                    .compose(holders -> store.give(tx, tag, holders, reason, period.from, period.start, period.end)
                            .map(rows -> tell(tx, tag, holders, rows)));
        });
    }

    private static Future<List<Holder>> mustFit(List<Holder> holders, int wanted) {
        if (holders.size() != wanted) {
            return Future.failedFuture(Problem.of("customer.notFound"));
        }
        return holders.stream().allMatch(Holder::fits)
                ? Future.succeededFuture(holders)
                : Future.failedFuture(Problem.of("tag.notForCustomer"));
    }

    private static List<UUID> tell(Tx tx, Tag tag, List<Holder> holders, RowSet<Row> rows) {
        Map<UUID, Holder> bySide = new HashMap<>();
        holders.forEach(holder -> bySide.put(holder.side(), holder));
        List<UUID> ids = new ArrayList<>(rows.size());
        for (Row row : rows) {
            Holder holder = bySide.get(row.getUUID("customer_id"));
            if (holder != null) {
                tx.event(event("tag.assigned", tag.id(), row, holder));
            }
            ids.add(row.getUUID("id"));
        }
        return ids;
    }

    /** Takes a tag away. Problems: customer.notFound, tag.notAssigned, tag.byRule. */
    Future<Reply> remove(Call call) {
        UUID id = call.id("customerId");
        UUID tag = call.id("tagId");
        return database.write(
                call,
                tx -> store.held(tx, List.of(id), null)
                        .compose(holders -> mustFit(holders, 1))
                        .compose(holders -> store.take(tx, holders.get(0).id(), tag)
                                .compose(rows -> taken(tx, tag, holders.get(0), rows))));
    }

    private static Future<Reply> taken(Tx tx, UUID tag, Holder holder, RowSet<Row> rows) {
        if (rows.size() == 0) {
            return Future.failedFuture(Problem.of("tag.notAssigned"));
        }
        for (Row row : rows) {
            if (row.getUUID("rule_id") != null) {
                return Future.failedFuture(Problem.of("tag.byRule"));
            }
            tx.event(event("tag.removed", tag, row, holder));
        }
        return Future.succeededFuture(Reply.empty());
    }

    private static Event event(String type, UUID tag, Row row, Holder holder) {
        return Event.of(type, row.getUUID("id"), row.getLong("version"), TagService.READ)
                .within(holder.branchId(), holder.managerId())
                .with("customerId", holder.id().toString())
                .with("tagId", tag.toString());
    }
}
