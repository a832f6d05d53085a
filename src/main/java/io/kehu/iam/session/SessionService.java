package io.kehu.iam.session;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Passwords;
import io.kehu.iam.session.SessionStore.Account;
import io.kehu.iam.session.SessionStore.Entrant;
import io.kehu.iam.staff.Staff;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** The rules of signing in and out (safety.md 4). */
final class SessionService {
    private static final String MANAGE = "session:manage";

    private final Database database;
    private final SessionStore store;
    private final Sessions sessions;
    private final SignIn signIn;
    private final Passwords passwords;
    private final Passwords.Profile profile;
    private final Attempts attempts;
    private final UnaryOperator<byte[]> mac;

    SessionService(
            Database database,
            SessionStore store,
            Sessions sessions,
            SignIn signIn,
            Passwords passwords,
            Passwords.Profile profile,
            Attempts attempts,
            UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.sessions = sessions;
        this.signIn = signIn;
        this.passwords = passwords;
        this.profile = profile;
        this.attempts = attempts;
        this.mac = mac;
    }

    /**
     * Signs a member of staff in. Unknown, locked, suspended and wrong are one answer after the same work: a count, a
     * look-up, one hash, one audited transaction. Problems: auth.failed, auth.factorRequired, request.tooManyRequests,
     * request.noDryRun.
     */
    Future<Reply> login(Call call) {
        ObjectNode body = call.json();
        String username = Staff.username(body.get("username").textValue());
        String password = body.get("password").textValue();
        Guess guess = attempts.guess(username, call.meta().address());
        return attempts.admit(call, guess, this::mustFindRoom)
                .compose(v -> look(guess, store.account(call, username), password))
                .compose(seen -> seen.right ? enter(call, guess, seen.account()) : refuse(call, guess, seen));
    }

    /** What a look at a password came to; a locked account's password was not looked at. */
    private record Seen(Optional<Account> known, boolean locked, boolean right) {
        Account account() {
            return known.orElseThrow();
        }
    }

    /** What would be refused at its hash is refused before it costs the database anything. */
    private Future<Void> mustFindRoom() {
        return passwords.full()
                ? Future.failedFuture(Problem.of("request.tooManyRequests", "1"))
                : Future.succeededFuture();
    }

    /** One hash is computed in any case. */
    private Future<Seen> look(Guess guess, Future<Optional<Account>> account, String password) {
        return attempts.look(
                guess,
                free -> account.compose(known -> passwords
                        .verify(
                                password,
                                free && known.isPresent() ? known.get().passwordHash() : passwords.absent())
                        .map(right -> new Seen(
                                known, !free, right && free && known.get().active()))));
    }

    private Future<Reply> enter(Call call, Guess guess, Account account) {
        return attempts.unlessUnwritten(
                guess,
                () -> true,
                database.write(
                        call,
                        tx -> store.unchanged(tx, account)
                                .compose(entrant -> entrant.isPresent()
                                        ? open(tx, guess, entrant.get())
                                        : refused(tx, guess, Optional.of(account), true))));
    }

    private Future<Reply> refuse(Call call, Guess guess, Seen seen) {
        return database.write(call, tx -> refused(tx, guess, seen.known, !seen.locked));
    }

    /** Leaves the failure in the audit, under the name only where it is one of ours. */
    private Future<Reply> refused(Tx tx, Guess guess, Optional<Account> known, boolean booked) {
        tx.kind("sign-in");
        UUID id = known.map(Account::id).orElse(Principal.NOBODY);
        tx.actor(id, known.map(Account::username).orElse("unknown"));
        tx.object("staff", id, 0);
        return (booked ? store.settle(tx, guess, false) : Future.<Void>succeededFuture())
                .compose(v -> tx.refuse(Problem.of("auth.failed")));
    }

    private Future<Reply> open(Tx tx, Guess guess, Entrant entrant) {
        Staff staff = entrant.staff();
        boolean due = profile.rotationDue(
                entrant.passwordAt().toInstant().toEpochMilli(),
                tx.now().toInstant().toEpochMilli());
        tx.kind("sign-in");
        tx.actor(staff.id(), staff.username());
        boolean cookie = tx.call().json().path("cookie").asBoolean();
        SignIn.Entrant who = new SignIn.Entrant(staff, entrant.rights(), due || staff.mustChange(), false);
        return signIn.step(tx, staff.id())
                // Who has a second step before him has opened nothing: his failures stay.
                .compose(step -> (step.isDue(false) ? store.giveBack(tx, guess) : store.settle(tx, guess, true))
                        .compose(v -> due && !staff.mustChange()
                                ? store.demandChange(tx, staff.id())
                                : Future.<Void>succeededFuture())
                        .compose(v -> signIn.enter(tx, who, step, cookie)));
    }

    /**
     * Changes a refresh token into a new pair, by the rules of {@link Sessions#rotate}. Problems: auth.refreshInvalid,
     * request.noDryRun.
     */
    Future<Reply> refresh(Call call) {
        ObjectNode body = call.body();
        String given = body == null ? null : body.path("refreshToken").textValue();
        String cookie = call.text(Tokens.COOKIE);
        String token = given != null ? given : cookie;
        if (token == null) {
            return Future.failedFuture(Problem.of("auth.refreshInvalid"));
        }
        return call.mustBeReal()
                .compose(v -> database.write(
                        call,
                        tx -> sessions.rotate(
                                tx, token, Principal.Audience.STAFF, given == null, id -> store.bearer(tx, id))));
    }

    /** Ends the caller's session on every node within a second. */
    Future<Reply> logout(Call call) {
        UUID session = session(call);
        return database.write(call, tx -> {
            tx.kind("sign-in");
            tx.object("session", session, 1);
            return sessions.end(tx, session, "logout").map(Reply.empty().cookie(Tokens.noCookie()));
        });
    }

    private static UUID session(Call call) {
        UUID session = call.principal().session();
        if (session == null) {
            throw Problem.of("auth.required");
        }
        return session;
    }

    // Sessions that go on

    /**
     * The caller's own, or those of another member of staff. Problems: staff.notFound (also where the caller may not see
     * him), request.cursorInvalid.
     */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.running(call, whose(call, "session:read"), sessions.idle(), page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(
                                row.getOffsetDateTime("started_at").toString(),
                                row.getUUID("id").toString()),
                        (json, row) ->
                                Session.from(row).toJson(json, call.principal().session()))));
    }

    /** Of others it is not told that they exist to whoever may not ask. */
    private static UUID whose(Call call, String permission) {
        UUID wanted = call.optionalId("staffId");
        UUID own = call.principal().subject();
        if (wanted != null && !wanted.equals(own) && !call.principal().may(permission)) {
            throw Problem.of("staff.notFound");
        }
        return wanted == null ? own : wanted;
    }

    /** Ends one session. Problems: session.notFound (also where it is another's, and the caller may not end it). */
    Future<Reply> end(Call call) {
        UUID session = call.id("sessionId");
        Principal caller = call.principal();
        return database.write(call, tx -> {
            tx.kind("sign-in");
            tx.object("session", session, 1);
            return store.bearerOf(tx, session, sessions.idle())
                    .compose(bearer -> bearer.equals(caller.subject()) || caller.may(MANAGE)
                            ? sessions.end(tx, session, "ended")
                            : Future.failedFuture(Problem.of("session.notFound")))
                    .map(Reply.empty());
        });
    }

    /** Ends all sessions of the caller, or of another. Problems: staff.notFound (also where the caller may not). */
    Future<Reply> endAll(Call call) {
        UUID staff = whose(call, MANAGE);
        return database.write(call, tx -> {
            tx.kind("sign-in");
            tx.object("staff", staff, 0);
            // No version of rights is too old by this: what ends are the sessions.
            return sessions.endAll(tx, staff, 0, "ended")
                    .map(
                            staff.equals(call.principal().subject())
                                    ? Reply.empty().cookie(Tokens.noCookie())
                                    : Reply.empty());
        });
    }

    /** Who the caller is and what he may do. */
    Future<Reply> me(Call call) {
        Principal principal = call.principal();
        return store.me(call)
                .map(row -> Reply.ok(json -> {
                    json.writeStartObject();
                    store.staff(row).fields(json, true);
                    json.writeStringField("branchCode", row.getString("branch_code"));
                    json.writeStringField("branchName", row.getString("branch_name"));
                    Json.strings(json, "permissions", new TreeSet<>(principal.permissions()));
                    json.writeStringField("scope", principal.scope().name().toLowerCase(Locale.ROOT));
                    json.writeStringField(
                            "signedInAt",
                            row.getOffsetDateTime("started_at").toInstant().toString());
                    json.writeStringField(
                            "sessionEnds",
                            row.getOffsetDateTime("ends_at").toInstant().toString());
                    json.writeEndObject();
                }));
    }
}
