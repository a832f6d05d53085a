package io.kehu.iam.staff;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.PasswordRules;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.security.SecureRandom;
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
    private final PasswordRules rules;
    private final UnaryOperator<byte[]> mac;

    /**
     * The rules with what they need.
     *
     * @param mac binds a cursor to its list
     */
    StaffService(
            Database database,
            StaffStore store,
            Vault vault,
            Passwords passwords,
            PasswordRules rules,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.passwords = passwords;
        this.rules = rules;
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
     * Takes somebody on. Without a password in the body a random one is made and told once, in the answer; either must be
     * changed at the first sign-in. Problems: staff.usernameTaken, staff.branchUnknown, staff.branchClosed,
     * staff.roleUnknown, duty.conflict, request.invalid (a password that will not do), request.tooManyRequests.
     */
    Future<Reply> create(Call call) {
        Staff draft = Staff.draft(Ids.next(), call.json());
        String given = call.json().path("password").textValue();
        if (given != null) {
            List<Problem.FieldError> faults = rules.faults("/password", given, false, draft.username());
            if (!faults.isEmpty()) {
                return Future.failedFuture(Problem.invalid(faults));
            }
        }
        String password = given == null ? randomPassword(rules) : given;
        return passwords
                .hash(password)
                .compose(hash -> database.write(
                        call,
                        tx -> store.lockRights(tx)
                                .compose(v -> store.mustBeOpen(tx, draft.branchId()))
                                .compose(v -> store.insert(tx, draft, hash))
                                .compose(staff -> store.hold(tx, staff.id()).map(staff))
                                .map(staff -> {
                                    tx.kind("grant");
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
     * staff.branchClosed, staff.roleUnknown, duty.conflict.
     */
    Future<Reply> change(Call call) {
        UUID id = call.id("staffId");
        return database.write(
                call,
                tx -> store.lockRights(tx)
                        .compose(v -> store.lockAdministrators(tx))
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
        if (!after.hasRightsOf(before)) {
            tx.kind("grant");
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
    static String randomPassword(PasswordRules rules) {
        String password;
        do {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < PASSWORD_GROUPS * PASSWORD_GROUP; i++) {
                text.append(i > 0 && i % PASSWORD_GROUP == 0 ? "-" : "")
                        .append(ALPHABET.charAt(RANDOM.nextInt(ALPHABET.length())));
            }
            password = text.toString();
        } while (!rules.faults("", password, false, "").isEmpty());
        return password;
    }
}
