package io.kehu.iam.grant;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.iam.role.Permissions;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of asking for more rights: request, review by another person, effect as a grant. */
final class RequestService {
    private static final String DECIDE = "permission-request:decide";
    private static final String READ = "right:read";

    private final Database database;
    private final RequestStore store;
    private final GrantStore grants;
    private final Permissions permissions;
    private final UnaryOperator<byte[]> mac;

    RequestService(
            Database database,
            RequestStore store,
            GrantStore grants,
            Permissions permissions,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.grants = grants;
        this.permissions = permissions;
        this.mac = mac;
    }

    /** One's own requests, or those to review, newest first. Problems: request.cursorInvalid, auth.forbidden. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        boolean review = call.text("view", "mine").equals("review");
        if (review && !call.principal().may(DECIDE)) {
            return Future.failedFuture(Problem.of("auth.forbidden", DECIDE));
        }
        return store.list(call, page, review)
                .map(rows -> Reply.ok(page.write(rows, GrantService::keys, RequestService::write)));
    }

    /** One's own request, one to review, or with right:read any. Problems: permission.requestNotFound. */
    Future<Reply> get(Call call) {
        return store.find(call, call.principal().may(READ), call.principal().may(DECIDE))
                .map(RequestService::reply);
    }

    /**
     * Asks for oneself. Problems: request.invalid (a permission that does not exist, nothing asked for, a period that is
     * over, reversed or too long), grant.roleUnknown, grant.branchUnknown, permission.tooManyRequests.
     */
    Future<Reply> create(Call call) {
        Gift gift = Gift.draft(call.json(), permissions);
        return database.write(call, tx -> {
            GrantRules.mustLieAhead(GrantRules.start(gift, tx.now()), gift.endsAt(), tx.now());
            return store.insert(tx, Ids.next(), gift).map(row -> {
                tx.kind("grant");
                tx.event(event("permission.requested", row));
                return Reply.created("/v1/permission-requests/" + row.getUUID("id"), json -> write(json, row))
                        .etag(row.getLong("version"));
            });
        });
    }

    /**
     * Approves; the grant is there in the same transaction or the request stays as it was. Problems:
     * permission.requestNotFound, permission.requestDecided, permission.requestLapsed, permission.ownRequest,
     * permission.beyondReviewer, grant.roleUnknown, grant.branchUnknown, grant.tooMany, duty.conflict.
     */
    Future<Reply> approve(Call call) {
        return database.write(
                call,
                tx -> grants.lock(tx)
                        .compose(v -> store.locked(tx))
                        .compose(RequestService::mustBePending)
                        // First of all, so that who decides about himself is told that.
                        .compose(row -> store.decide(tx, "approved", null).map(row))
                        .compose(row -> mustBeHisToLend(tx, row))
                        .compose(row -> give(tx, row))
                        .compose(v -> store.read(tx, call.id("permissionRequestId")))
                        .map(row -> changed(tx, "permission.approved", row)));
    }

    private Future<Row> mustBeHisToLend(Tx tx, Row row) {
        Gift gift = Gift.from(row);
        return grants.lasting(tx, gift.endsAt())
                .compose(reviewer -> grants.roles(tx, gift)
                        .compose(roles -> GrantRules.exceeds(reviewer, gift, roles, row.getUUID("branch_id"))
                                ? Future.failedFuture(Problem.of("permission.beyondReviewer"))
                                : seen(tx, reviewer, gift)))
                .compose(seen -> seen == gift.customerIds().size()
                        ? Future.succeededFuture(row)
                        : Future.failedFuture(Problem.of("permission.beyondReviewer")));
    }

    private Future<Long> seen(Tx tx, Principal reviewer, Gift gift) {
        return GrantRules.mustSeeCustomers(reviewer, gift)
                ? grants.seen(tx, reviewer, gift)
                : Future.succeededFuture((long) gift.customerIds().size());
    }

    private Future<Row> give(Tx tx, Row row) {
        Gift gift = Gift.from(row);
        OffsetDateTime from = GrantRules.start(gift, tx.now());
        return grants.insert(tx, Ids.next(), row.getUUID("staff_id"), gift, from, row.getUUID("id"));
    }

    /**
     * Problems: permission.requestNotFound, permission.requestDecided, permission.requestLapsed, permission.ownRequest.
     */
    Future<Reply> reject(Call call) {
        String reason = call.json().get("reason").textValue().strip();
        return decide(call, "rejected", reason, "permission.rejected", store::locked);
    }

    /** Problems: permission.requestNotFound, permission.requestDecided, permission.requestLapsed. */
    Future<Reply> withdraw(Call call) {
        return decide(call, "withdrawn", null, "permission.withdrawn", store::lockedOwn);
    }

    private Future<Reply> decide(
            Call call, String state, @Nullable String reason, String event, Function<Tx, Future<Row>> locked) {
        return database.write(
                call,
                tx -> locked.apply(tx)
                        .compose(RequestService::mustBePending)
                        .compose(v -> store.decide(tx, state, reason))
                        .compose(v -> store.read(tx, call.id("permissionRequestId")))
                        .map(row -> changed(tx, event, row)));
    }

    /** The row is held, so it stays what it is. */
    private static Future<Row> mustBePending(Row row) {
        return switch (row.getString("request_state")) {
            case "pending" -> Future.succeededFuture(row);
            case "lapsed" -> Future.failedFuture(Problem.of("permission.requestLapsed"));
            default -> Future.failedFuture(Problem.of("permission.requestDecided"));
        };
    }

    private static Reply changed(Tx tx, String type, Row row) {
        tx.kind("grant");
        tx.event(event(type, row));
        return reply(row);
    }

    /** For those who decide, in whose scope the one who asks works. */
    private static Event event(String type, Row row) {
        return Event.of(type, row.getUUID("id"), row.getLong("version"), DECIDE)
                .within(row.getUUID("branch_id"), row.getUUID("staff_id"))
                .with("staffId", row.getUUID("staff_id").toString());
    }

    private static Reply reply(Row row) {
        return Reply.ok(json -> write(json, row)).etag(row.getLong("version"));
    }

    private static void write(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", row.getUUID("id").toString());
        json.writeStringField("staffId", row.getUUID("staff_id").toString());
        Gift.from(row).fields(json);
        json.writeStringField("state", row.getString("request_state"));
        Gift.instant(json, "madeAt", row.getOffsetDateTime("made_at"));
        Gift.instant(json, "lapsesAt", row.getOffsetDateTime("lapses_at"));
        Gift.id(json, "decidedBy", row.getUUID("decided_by"));
        Gift.instant(json, "decidedAt", row.getOffsetDateTime("decided_at"));
        json.writeStringField("decisionReason", row.getString("decision_reason"));
        Gift.id(json, "grantId", row.getUUID("grant_id"));
        json.writeNumberField("version", row.getLong("version"));
        Gift.instant(json, "since", row.getOffsetDateTime("valid_from"));
        json.writeEndObject();
    }
}
