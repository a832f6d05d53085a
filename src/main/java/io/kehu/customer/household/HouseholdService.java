package io.kehu.customer.household;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.customer.CustomerReach;
import io.kehu.customer.CustomerTotals;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of households. */
final class HouseholdService {
    private final Database database;
    private final HouseholdStore store;
    private final CustomerReach reach;
    private final UnaryOperator<byte[]> mac;
    private final Clock clock;
    private final ZoneId zone;

    HouseholdService(Database database, HouseholdStore store, UnaryOperator<byte[]> mac, Clock clock, ZoneId zone) {
        this.database = database;
        this.store = store;
        this.reach = new CustomerReach(database);
        this.mac = mac;
        this.clock = clock;
        this.zone = zone;
    }

    /** Newest first. Problems: customer.notFound, request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        UUID member = call.optionalId("customerId");
        return (member == null ? Future.<CustomerReach.@Nullable Reached>succeededFuture(null) : reach.of(call, member))
                .compose(reached -> store.list(call, page, reached))
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("made_at").toString(),
                                row.getUUID("id").toString()),
                        (json, row) -> store.from(row).toItem(json))));
    }

    /** One with its members on a day. Problems: household.notFound. */
    Future<Reply> get(Call call) {
        UUID id = call.id("householdId");
        return store.find(call, id)
                .compose(household -> store.members(call, id, on(call))
                        .map(members -> Reply.ok(json -> household.toJson(json, members))
                                .etag(household.version())));
    }

    /** Problems: customer.notFound, household.memberTaken, household.personsOnly. */
    Future<Reply> create(Call call) {
        ObjectNode body = call.json();
        UUID id = Ids.next();
        return database.write(
                call,
                tx -> reach.held(tx, id(body, "headId"))
                        .compose(head -> store.insert(
                                tx,
                                id,
                                head.side(),
                                body.get("name").textValue().strip(),
                                date(body, "startsOn")))
                        .compose(v -> shown(tx, id, "household.created"))
                        .map(made -> new Reply(201, made.body(), made.etag(), "/v1/households/" + id, null, false)));
    }

    /**
     * Renames, names another head, or ends it. Problems: household.notFound, request.stale, household.ended,
     * customer.notFound, household.notMember, household.periodInvalid.
     */
    Future<Reply> change(Call call) {
        UUID id = call.id("householdId");
        return database.write(
                call,
                tx -> store.locked(tx, id)
                        .compose(
                                before -> Past.mustMatch(call, before.version()).compose(v -> apply(tx, before)))
                        .compose(v -> shown(tx, id, "household.changed")));
    }

    private Future<?> apply(Tx tx, Household before) {
        ObjectNode patch = tx.call().json();
        boolean ends = patch.has("endsOn");
        if (before.endsOn() != null && (ends || patch.has("headId"))) {
            return Future.failedFuture(Problem.of("household.ended"));
        }
        String given = patch.has("name") ? patch.get("name").textValue().strip() : null;
        LocalDate endsOn = ends ? date(patch, "endsOn") : before.endsOn();
        if (!patch.has("headId")) {
            return end(tx, before, endsOn, ends)
                    .compose(v -> store.update(tx, before.id(), before.headId(), given, endsOn));
        }
        // The name is under the key of the head: another one needs it anew.
        String name = given == null ? before.name() : given;
        return reach.held(tx, id(patch, "headId"))
                .compose(head -> store.head(tx, before.id(), head.id()))
                .compose(head ->
                        end(tx, before, endsOn, ends).compose(v -> store.update(tx, before.id(), head, name, endsOn)));
    }

    private Future<?> end(Tx tx, Household household, @Nullable LocalDate on, boolean ends) {
        return ends && on != null ? store.end(tx, household.id(), on) : Future.succeededFuture();
    }

    /**
     * Adds a person. Problems: household.notFound, household.ended, customer.notFound, household.memberTaken,
     * household.personsOnly, household.full.
     */
    Future<Reply> add(Call call) {
        ObjectNode body = call.json();
        UUID id = call.id("householdId");
        return database.write(
                call,
                tx -> store.locked(tx, id)
                        .compose(HouseholdService::mustGoOn)
                        .compose(household -> reach.held(tx, id(body, "customerId"))
                                .compose(customer -> store.add(
                                        tx,
                                        id,
                                        customer.side(),
                                        body.get("role").textValue(),
                                        date(body, "startsOn")))
                                .compose(v -> store.update(tx, id, household.headId(), null, null)))
                        .compose(v -> shown(tx, id, "household.changed")));
    }

    /**
     * Lets a member leave. Problems: household.notFound, household.ended, customer.notFound, household.notMember,
     * household.headStays, household.periodInvalid.
     */
    Future<Reply> remove(Call call) {
        UUID id = call.id("householdId");
        return database.write(
                call,
                tx -> store.locked(tx, id)
                        .compose(HouseholdService::mustGoOn)
                        .compose(household -> reach.held(tx, call.id("memberId"))
                                .compose(customer -> store.remove(tx, id, customer.id(), on(call)))
                                .compose(v -> store.update(tx, id, household.headId(), null, null)))
                        .compose(v -> shown(tx, id, "household.changed")));
    }

    /** The finances of its members together. Problems: household.notFound, customer.fieldForbidden. */
    Future<Reply> finances(Call call) {
        CustomerTotals.mustSee(call.principal());
        UUID id = call.id("householdId");
        boolean complete = call.principal().scope() == Principal.Scope.ALL;
        return store.find(call, id)
                .compose(household -> store.totals(call, id, on(call)))
                .map(totals -> Reply.ok(json -> totals.toJson(json, complete)));
    }

    /** As it is after the change, with the members of today. */
    private Future<Reply> shown(Tx tx, UUID id, String event) {
        return store.locked(tx, id)
                .compose(household -> store.members(tx, id, today()).map(members -> {
                    tx.event(household.event(event));
                    return Reply.ok(json -> household.toJson(json, members)).etag(household.version());
                }));
    }

    private static Future<Household> mustGoOn(Household household) {
        return household.endsOn() == null
                ? Future.succeededFuture(household)
                : Future.failedFuture(Problem.of("household.ended"));
    }

    private static UUID id(ObjectNode body, String field) {
        return UUID.fromString(body.get(field).textValue());
    }

    private LocalDate date(ObjectNode body, String field) {
        return body.has(field) ? LocalDate.parse(body.get(field).textValue()) : today();
    }

    private LocalDate on(Call call) {
        String day = call.text("on");
        return day == null ? today() : LocalDate.parse(day);
    }

    private LocalDate today() {
        return clock.now().atZoneSameInstant(zone).toLocalDate();
    }
}
