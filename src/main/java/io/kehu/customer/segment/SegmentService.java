package io.kehu.customer.segment;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.filter.Condition;
import io.kehu.customer.filter.Filter;
import io.kehu.customer.filter.Moment;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.io.IOException;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of segments: who makes them, and who may be told who belongs. */
final class SegmentService {
    static final String READ = "segment:read";
    /** Who may not read customers is told whether a condition holds, and not what they have. */
    private static final String CUSTOMERS = "customer:read";

    /** Exact up to here: what is more is no decision of a person any more. */
    private static final int COUNTED = 10_000;

    private final Database database;
    private final SegmentStore store;
    private final Clock clock;
    private final ZoneId zone;
    private final UnaryOperator<byte[]> mac;

    SegmentService(Database database, SegmentStore store, Clock clock, ZoneId zone, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.clock = clock;
        this.zone = zone;
        this.mac = mac;
    }

    /** By name. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("name")),
                        (json, row) -> Segment.from(row).toJson(json))));
    }

    /** Problems: segment.notFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.id("segmentId"))
                .map(segment -> Reply.ok(segment::toJson).etag(segment.version()));
    }

    /**
     * A live one follows its filter; a static one is what its filter says once, or who is listed. Problems: segment.nameTaken,
     * segment.tooMany, segment.shape, customer.notFound (one of the listed is not in scope), customer.fieldForbidden.
     */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        boolean live = body.required("kind").textValue().equals("live");
        if (body.has("filter") == body.has("customerIds") || (live && body.has("customerIds"))) {
            throw Problem.of("segment.shape");
        }
        Filter filter = filter(call, body);
        List<UUID> listed = new ArrayList<>();
        body.path("customerIds").forEach(id -> listed.add(UUID.fromString(id.textValue())));
        return database.write(
                call,
                tx -> store.insert(
                                tx,
                                Ids.next(),
                                body.required("name").textValue().strip(),
                                body.path("description").asText("").strip(),
                                live,
                                filter == null ? null : body.get("filter").toString(),
                                filter)
                        .compose(made -> enlist(tx, made, listed))
                        .map(made -> {
                            tx.event(event("segment.created", made));
                            return Reply.created("/v1/segments/" + made.id(), made::toJson)
                                    .etag(made.version());
                        }));
    }

    private Future<Segment> enlist(Tx tx, Segment made, List<UUID> listed) {
        return listed.isEmpty()
                ? Future.succeededFuture(made)
                : store.enlist(tx, made.id(), listed)
                        .compose(many -> many == listed.size()
                                ? Future.succeededFuture(made)
                                : Future.failedFuture(Problem.of("customer.notFound")));
    }

    private static @Nullable Filter filter(Call call, ObjectNode body) {
        if (!body.has("filter")) {
            return null;
        }
        Filter filter = Filter.parse(body.get("filter"), "/filter");
        filter.mustBeOpenTo(call.principal());
        return filter;
    }

    /**
     * Another filter is asked about everybody anew. Problems: segment.notFound, segment.nameTaken, segment.shape,
     * customer.fieldForbidden, request.stale.
     */
    Future<Reply> change(Call call) {
        ObjectNode patch = call.json();
        Filter filter = filter(call, patch);
        return database.write(
                call,
                tx -> store.locked(tx, call.id("segmentId"))
                        .compose(
                                before -> Past.mustMatch(call, before.version()).map(before))
                        .compose(before -> {
                            if (patch.has("filter") && !before.live()) {
                                return Future.failedFuture(Problem.of("segment.shape"));
                            }
                            return store.update(
                                    tx,
                                    before,
                                    patch.path("name").asText(before.name()).strip(),
                                    patch.path("description")
                                            .asText(before.description())
                                            .strip(),
                                    filter == null
                                            ? before.filter()
                                            : patch.get("filter").toString(),
                                    filter);
                        })
                        .map(after -> {
                            tx.event(event("segment.changed", after));
                            return Reply.ok(after::toJson).etag(after.version());
                        }));
    }

    /** Problems: segment.notFound, request.stale. */
    Future<Reply> delete(Call call) {
        return database.write(
                call,
                tx -> store.locked(tx, call.id("segmentId"))
                        .compose(
                                before -> Past.mustMatch(call, before.version()).map(before))
                        .compose(before -> store.delete(tx, before.id()).map(v -> {
                            tx.event(event("segment.deleted", before));
                            return Reply.empty();
                        })));
    }

    /** Those in the caller's scope. Problems: segment.notFound, customer.fieldForbidden, request.cursorInvalid. */
    Future<Reply> members(Call call) {
        Page page = Page.of(call, mac);
        return open(call)
                .compose(segment -> store.members(call, segment.id(), page))
                .map(rows -> Reply.ok(page.write(
                        rows, row -> List.of(row.getUUID("customer_id").toString()), (json, row) -> {
                            json.writeStartObject();
                            json.writeStringField(
                                    "customerId", row.getUUID("customer_id").toString());
                            json.writeStringField("kind", row.getString("kind"));
                            json.writeStringField("tier", row.getString("tier"));
                            json.writeStringField("lifecycle", row.getString("lifecycle"));
                            json.writeStringField(
                                    "branchId", row.getUUID("branch_id").toString());
                            if (row.getUUID("manager_id") != null) {
                                json.writeStringField(
                                        "managerId", row.getUUID("manager_id").toString());
                            }
                            json.writeStringField("memberSince", Json.instant(row.getOffsetDateTime("since")));
                            json.writeEndObject();
                        })));
    }

    /** Within the caller's scope, exact up to 10,000. Problems: segment.notFound, customer.fieldForbidden. */
    Future<Reply> count(Call call) {
        return open(call)
                .compose(segment -> store.count(call, segment.id(), COUNTED)
                        .map(many -> Reply.ok(json -> {
                            json.writeStartObject();
                            json.writeNumberField("count", Math.min(many, COUNTED));
                            json.writeBooleanField("more", many > COUNTED);
                            json.writeBooleanField("catchingUp", segment.catchingUp());
                            json.writeEndObject();
                        })));
    }

    /**
     * Why a customer is in or out: each group and condition of the filter, and whether it holds now. Problems:
     * segment.notFound, customer.notFound, customer.fieldForbidden.
     */
    Future<Reply> explain(Call call) {
        UUID customer = UUID.fromString(String.valueOf(call.text("customerId")));
        return open(call).compose(segment -> {
            Filter filter = segment.parsed();
            return store.explain(
                            call,
                            segment.id(),
                            filter,
                            customer,
                            Moment.at(clock.now(), zone),
                            call.principal().may(CUSTOMERS))
                    .map(explained -> Reply.ok(json -> {
                        json.writeStartObject();
                        json.writeBooleanField("member", explained.member());
                        json.writeBooleanField("fits", explained.fits());
                        if (segment.filter() != null && filter != null) {
                            json.writeFieldName("because");
                            explain(json, filter, explained.conditions().iterator());
                        }
                        json.writeEndObject();
                    }));
        });
    }

    /** Writes a part of the filter, and yields whether it holds. */
    private static boolean explain(JsonGenerator json, Filter part, Iterator<SegmentStore.Answered> answers)
            throws IOException {
        json.writeStartObject();
        boolean result;
        if (part instanceof Condition condition) {
            SegmentStore.Answered answer = answers.next();
            result = answer.holds();
            json.writeStringField("field", condition.field().name());
            if (answer.values() != null) {
                Json.strings(json, "values", answer.values());
            }
        } else if (part instanceof Filter.Not not) {
            json.writeFieldName("not");
            result = !explain(json, not.part(), answers);
        } else {
            boolean all = part instanceof Filter.All;
            result = all;
            json.writeArrayFieldStart(all ? "all" : "any");
            for (Filter inner : part instanceof Filter.All group ? group.parts() : ((Filter.Any) part).parts()) {
                boolean one = explain(json, inner, answers);
                result = all ? result && one : result || one;
            }
            json.writeEndArray();
        }
        json.writeBooleanField("holds", result);
        json.writeEndObject();
        return result;
    }

    /** Whom a segment fits tells what its filter asks: who may not see that field may not see them. */
    private Future<Segment> open(Call call) {
        return store.find(call, call.id("segmentId")).map(segment -> {
            Filter filter = segment.parsed();
            if (filter != null) {
                filter.mustBeOpenTo(call.principal());
            }
            return segment;
        });
    }

    private static Event event(String type, Segment segment) {
        return Event.of(type, segment.id(), segment.version(), READ);
    }
}
