package io.kehu.iam.member;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.PasswordRules;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.iam.member.MemberStore.Account;
import io.kehu.iam.member.MemberStore.Registration;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Guess;
import io.kehu.iam.session.Sessions;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.text.Normalizer;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/** The rules of the accounts of customers. */
final class MemberService {
    private static final String REALM = "member";
    /** What logs and audit pages call a customer: his sign-in name may be his own name. */
    private static final String NAME = "member";

    private final Database database;
    private final MemberStore store;
    private final Vault vault;
    private final Passwords passwords;
    private final PasswordRules rules;
    private final Sessions sessions;
    private final Attempts attempts;

    MemberService(
            Database database,
            MemberStore store,
            Vault vault,
            Passwords passwords,
            PasswordRules rules,
            Sessions sessions,
            Attempts attempts) {
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.passwords = passwords;
        this.rules = rules;
        this.sessions = sessions;
        this.attempts = attempts;
    }

    private static String username(ObjectNode body) {
        return Normalizer.normalize(body.get("username").textValue(), Normalizer.Form.NFKC)
                .strip()
                .toLowerCase(Locale.ROOT);
    }

    private Buffer blind(String username) {
        return Buffer.buffer(vault.blind("iam.member", username));
    }

    /**
     * Takes the code of a registration and makes the account. A wrong code counts although the caller is refused. Problems:
     * member.codeInvalid (wrong, expired, used, tried too often, of nobody), member.usernameTaken, request.invalid (a
     * password that will not do), request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> confirm(Call call) {
        ObjectNode body = call.json();
        String username = username(body);
        String password = body.get("password").textValue();
        List<Problem.FieldError> faults = rules.faults("/password", password, false, username);
        return faults.isEmpty()
                ? attempts.admit(call, "confirm")
                        .compose(v -> passwords.hash(password))
                        .compose(hash -> database.write(call, tx -> confirm(tx, blind(username), hash)))
                : Future.failedFuture(Problem.invalid(faults));
    }

    private Future<Reply> confirm(Tx tx, Buffer username, String passwordHash) {
        ObjectNode body = tx.call().json();
        UUID id = UUID.fromString(body.get("registrationId").textValue());
        byte[] given = vault.hmac("member.code", (id + body.get("code").textValue()).getBytes(StandardCharsets.UTF_8));
        tx.kind("sign-in");
        tx.object("registration", id, 1);
        return store.tryCode(tx, id).compose(tried -> {
            UUID customer = tried.filter(
                            code -> MessageDigest.isEqual(code.codeHash().getBytes(), given))
                    .map(Registration::customer)
                    .orElse(null);
            if (customer == null) {
                return tx.refuse(Problem.of("member.codeInvalid"));
            }
            tx.actor(customer, NAME);
            return store.put(tx, id, customer, username, passwordHash)
                    .compose(stored -> (stored.rights() == 1
                                    ? Future.<Void>succeededFuture()
                                    : sessions.endAll(tx, customer, stored.rights(), "password"))
                            .map(v -> {
                                tx.object("member", customer, stored.version());
                                return Reply.empty();
                            }));
        });
    }

    /** What a look at a password came to; a locked account's password was not looked at. */
    private record Seen(Optional<Account> known, boolean free, boolean right) {}

    /**
     * Signs a customer in. Unknown, locked, closed and wrong are one answer after the same work. Problems: auth.failed,
     * request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> login(Call call) {
        ObjectNode body = call.json();
        String username = username(body);
        String password = body.get("password").textValue();
        Guess guess = attempts.guess(REALM, username, call.meta().address());
        return attempts.admit(call, guess)
                .compose(v -> mustFindRoom())
                .compose(v -> attempts.look(
                        guess,
                        free -> store.account(call, blind(username))
                                .compose(known -> passwords
                                        .verify(
                                                password,
                                                free && known.isPresent()
                                                        ? known.get().passwordHash()
                                                        : passwords.absent())
                                        .map(right -> new Seen(known, free, free && right && known.isPresent())))))
                .compose(seen -> attempts.unlessUnwritten(
                        guess, () -> seen.right, database.write(call, tx -> enter(tx, guess, seen))));
    }

    /** What would be refused at its hash is refused before it costs the database anything. */
    private Future<Void> mustFindRoom() {
        return passwords.full()
                ? Future.failedFuture(Problem.of("request.tooManyRequests", "1"))
                : Future.succeededFuture();
    }

    private Future<Reply> enter(Tx tx, Guess guess, Seen seen) {
        tx.kind("sign-in");
        tx.actor(seen.known.map(Account::id).orElse(Principal.NOBODY), seen.known.isPresent() ? NAME : "unknown");
        tx.object("member", seen.known.map(Account::id).orElse(Principal.NOBODY), 0);
        return (seen.right ? store.unchanged(tx, seen.known.orElseThrow()) : none())
                .compose(account -> (seen.free
                                ? attempts.settle(tx, guess, account.isPresent())
                                : Future.<Void>succeededFuture())
                        .compose(v -> account.isPresent()
                                ? sessions.open(tx, bearer(account.get()), false, json -> {})
                                : tx.refuse(Problem.of("auth.failed"))));
    }

    private static Future<Optional<Account>> none() {
        return Future.succeededFuture(Optional.empty());
    }

    private static Sessions.Bearer bearer(Account account) {
        return new Sessions.Bearer(account.id(), NAME, Principal.Audience.CUSTOMER, account.rights());
    }

    /** Changes a refresh token into a new pair. Problems: auth.refreshInvalid, request.noDryRun, request.tooManyRequests. */
    Future<Reply> refresh(Call call) {
        String token = call.json().get("refreshToken").textValue();
        return attempts.admit(call, "refresh")
                .compose(v -> database.write(
                        call,
                        tx -> sessions.rotate(
                                tx,
                                token,
                                Principal.Audience.CUSTOMER,
                                false,
                                id -> store.byId(tx, id).map(known -> known.map(MemberService::bearer)))));
    }

    /** Ends the caller's session on every node within a second. Problems: auth.required. */
    Future<Reply> logout(Call call) {
        UUID session = call.principal().session();
        if (session == null) {
            return Future.failedFuture(Problem.of("auth.required"));
        }
        return database.write(call, tx -> {
            tx.kind("sign-in");
            tx.object("session", session, 1);
            return sessions.end(tx, session, "logout").map(Reply.empty());
        });
    }
}
