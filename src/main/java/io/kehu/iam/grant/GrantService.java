package io.kehu.iam.grant;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Reply;
import io.kehu.iam.role.Permissions;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** The rules of grants. */
final class GrantService {
    private static final String READ = "right:read";
    private static final String MANAGE = "grant:manage";

    private final Database database;
    private final GrantStore store;
    private final Permissions permissions;
    private final UnaryOperator<byte[]> mac;

    GrantService(Database database, GrantStore store, Permissions permissions, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.permissions = permissions;
        this.mac = mac;
    }

    private static boolean seesAll(Principal principal) {
        return principal.may(READ) || principal.may(MANAGE);
    }

    /** One's own grants, or everybody's, newest first. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page, seesAll(call.principal()))
                .map(rows -> Reply.ok(page.write(rows, GrantService::keys, GrantService::write)));
    }

    static List<String> keys(Row row) {
        return List.of(
                row.getOffsetDateTime("made_at").toString(), row.getUUID("id").toString());
    }

    /** One grant, now or as of an instant. Problems: grant.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, asOf, seesAll(call.principal())))
                .map(row -> reply(Reply.ok(json -> write(json, row)), row));
    }

    /**
     * Gives somebody else more rights for a while. Problems: request.invalid (a permission that does not exist, nothing
     * given, a period that is over, reversed or too long), grant.staffUnknown, grant.roleUnknown, grant.branchUnknown,
     * grant.own, grant.tooMany, duty.conflict.
     */
    Future<Reply> create(Call call) {
        UUID staff = UUID.fromString(call.json().get("staffId").textValue());
        Gift gift = Gift.draft(call.json(), permissions);
        return database.write(call, tx -> {
            OffsetDateTime from = GrantRules.start(gift, tx.now());
            GrantRules.mustLieAhead(from, gift.endsAt(), tx.now());
            return store.lock(tx)
                    .compose(v -> store.insert(tx, Ids.next(), staff, gift, from, null))
                    .map(row -> {
                        tx.kind("grant");
                        tx.event(event("grant.created", row));
                        return reply(Reply.created("/v1/grants/" + row.getUUID("id"), json -> write(json, row)), row);
                    });
        });
    }

    /** Ends a grant now, also one that has not begun. Problems: grant.notFound, grant.over. */
    Future<Reply> end(Call call) {
        return database.write(
                call,
                tx -> store.lock(tx).compose(v -> store.end(tx)).map(row -> {
                    tx.kind("grant");
                    tx.event(event("grant.ended", row));
                    return reply(Reply.ok(json -> write(json, row)), row);
                }));
    }

    private static Reply reply(Reply reply, Row row) {
        return reply.etag(row.getLong("version"));
    }

    /** Seen by whoever reads rights, and by the receiver himself when he asks for his grants. */
    static Event event(String type, Row row) {
        return Event.of(type, row.getUUID("id"), row.getLong("version"), READ)
                .with("staffId", row.getUUID("staff_id").toString());
    }

    private static void write(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("id", row.getUUID("id").toString());
        json.writeStringField("staffId", row.getUUID("staff_id").toString());
        Gift.from(row).fields(json);
        Gift.instant(json, "endedAt", row.getOffsetDateTime("ended_at"));
        json.writeStringField("state", row.getString("grant_state"));
        json.writeStringField("givenBy", row.getUUID("given_by").toString());
        Gift.id(json, "requestId", row.getUUID("request_id"));
        json.writeNumberField("version", row.getLong("version"));
        Gift.instant(json, "since", row.getOffsetDateTime("valid_from"));
        json.writeEndObject();
    }
}
