package io.kehu.iam.staff;

import com.fasterxml.jackson.core.JsonGenerator;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Json;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.cache.Cache;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of staff. */
final class StaffService {
    private static final String READ = "staff:read";
    /** Without characters that are mistaken for each other. */
    private static final String ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

    private static final int PASSWORD_GROUPS = 4;
    private static final int PASSWORD_GROUP = 5;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Database database;
    private final StaffStore store;
    private final Vault vault;
    private final Passwords passwords;
    private final Passwords.Profile profile;
    private final Cache cache;
    private final Duration rolesKept;
    private final UnaryOperator<byte[]> mac;

    /**
     * The rules with what they need.
     *
     * @param rolesKept how long an answer with the roles is given again
     * @param mac binds a cursor to its list
     */
    StaffService(
            Database database,
            StaffStore store,
            Vault vault,
            Passwords passwords,
            Passwords.Profile profile,
            Cache cache,
            Duration rolesKept,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.passwords = passwords;
        this.profile = profile;
        this.cache = cache;
        this.rolesKept = rolesKept;
        this.mac = mac;
    }

    /** Staff in scope by sign-in name. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("username")),
                        (json, row) -> Staff.from(row, vault).toJson(json))));
    }

    /** One member of staff, now or as of an instant. Problems: staff.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, call.id("staffId"), asOf))
                .map(found -> found.beside(
                        Reply.ok(found.value()::toJson), found.value().version()));
    }

    /**
     * All roles with what they may do: the same for everybody who may ask, and changed by migrations only, so it is kept
     * and nothing has to drop it.
     */
    Future<Reply> roles(Call call) {
        return cache.get("roles:all", rolesKept, () -> store.roles(call).map(StaffService::roles))
                .map(body -> new Reply(200, body, null, null, null, false));
    }

    private static Buffer roles(RowSet<Row> rows) {
        return Json.write(json -> {
            json.writeStartObject();
            json.writeArrayFieldStart("items");
            for (Row row : rows) {
                role(json, row);
            }
            json.writeEndArray();
            json.writeEndObject();
        });
    }

    private static void role(JsonGenerator json, Row row) throws IOException {
        json.writeStartObject();
        json.writeStringField("code", row.getString("code"));
        json.writeStringField("nameEn", row.getString("name_en"));
        json.writeStringField("nameZh", row.getString("name_zh"));
        json.writeStringField("scope", row.getString("scope").toLowerCase(java.util.Locale.ROOT));
        json.writeArrayFieldStart("permissions");
        for (String permission : row.getArrayOfStrings("permissions")) {
            json.writeString(permission);
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /**
     * Takes somebody on. Without a password in the body a random one is made and told once, in the answer; either must be
     * changed at the first sign-in. Problems: staff.usernameTaken, staff.branchUnknown, staff.branchClosed,
     * staff.roleUnknown, request.invalid (a password that will not do), request.tooManyRequests.
     */
    Future<Reply> create(Call call) {
        Staff draft = Staff.draft(Ids.next(), call.json());
        String given = call.json().path("password").textValue();
        if (given != null) {
            List<Problem.FieldError> faults =
                    Passwords.faults(profile, "/password", given, false, List.of(draft.username(), "kehu"));
            if (!faults.isEmpty()) {
                return Future.failedFuture(Problem.invalid(faults));
            }
        }
        String password = given == null ? randomPassword(profile) : given;
        return passwords
                .hash(password)
                .compose(hash -> database.write(
                        call,
                        tx -> store.mustBeOpen(tx, draft.branchId())
                                .compose(v -> store.insert(tx, draft, hash))
                                .compose(staff -> store.hold(tx, staff.id()).map(staff))
                                .map(staff -> {
                                    tx.weighs(null, 1L);
                                    tx.event(Event.of("staff.created", staff.id(), staff.version(), READ)
                                            .within(staff.branchId(), null));
                                    return created(staff, given == null ? password : null);
                                })));
    }

    private static Reply created(Staff staff, @Nullable String password) {
        return Reply.created("/v1/staff/" + staff.id(), json -> {
                    json.writeStartObject();
                    staff.fields(json, false);
                    if (password != null) {
                        json.writeStringField("initialPassword", password);
                    }
                    json.writeEndObject();
                })
                .etag(staff.version());
    }

    /**
     * Changes roles, branch, state, name or phone. Nobody changes his own rights, and one administrator always stays.
     * Problems: staff.notFound, request.stale, staff.ownRights, staff.lastAdministrator, staff.branchUnknown,
     * staff.branchClosed, staff.roleUnknown.
     */
    Future<Reply> change(Call call) {
        UUID id = call.id("staffId");
        return database.write(
                call,
                tx -> store.lockAdministrators(tx)
                        .compose(v -> store.locked(tx, id))
                        .compose(locked -> {
                            Staff before = Staff.from(locked, vault);
                            return Past.mustMatch(call, before.version()).compose(v -> apply(tx, locked, before));
                        })
                        .map(staff -> {
                            tx.event(Event.of("staff.changed", staff.id(), staff.version(), READ)
                                    .within(staff.branchId(), null));
                            return Reply.ok(staff::toJson).etag(staff.version());
                        }));
    }

    private Future<Staff> apply(Tx tx, Row locked, Staff before) {
        Staff after = before.patched(tx.call().json());
        if (!after.hasRightsOf(before) && before.id().equals(tx.principal().subject())) {
            return Future.failedFuture(Problem.of("staff.ownRights"));
        }
        tx.weighs(null, after.givesRightsBeyond(before) ? 1L : 0L);
        Future<Void> placed = after.branchId().equals(before.branchId())
                ? Future.succeededFuture()
                : store.mustBeOpen(tx, after.branchId());
        return placed.compose(v -> store.update(tx, locked, before, after))
                .compose(staff -> (tx.call().json().has("roles")
                                ? store.release(tx, staff.id())
                                : Future.<Void>succeededFuture())
                        .map(staff))
                .compose(staff -> store.mustHaveAdministrator(tx).map(staff));
    }

    /** About 116 bits, in groups that can be read out. */
    static String randomPassword(Passwords.Profile profile) {
        String password;
        do {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < PASSWORD_GROUPS * PASSWORD_GROUP; i++) {
                text.append(i > 0 && i % PASSWORD_GROUP == 0 ? "-" : "")
                        .append(ALPHABET.charAt(RANDOM.nextInt(ALPHABET.length())));
            }
            password = text.toString();
        } while (!Passwords.faults(profile, "", password, false, List.of()).isEmpty());
        return password;
    }
}
