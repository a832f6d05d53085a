package io.kehu.iam.password;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.PasswordRules;
import io.kehu.crypto.Passwords;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Guess;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** The rules of new passwords (NIST SP 800-63B-4, 3.1.1; GB/T 22239-2019, 8.1.4.1). */
final class PasswordService {
    private static final String POINTER = "/newPassword";

    private final Database database;
    private final PasswordStore store;
    private final Passwords passwords;
    private final PasswordRules rules;
    private final Attempts attempts;

    PasswordService(
            Database database, PasswordStore store, Passwords passwords, PasswordRules rules, Attempts attempts) {
        this.database = database;
        this.store = store;
        this.passwords = passwords;
        this.rules = rules;
        this.attempts = attempts;
    }

    /** What a look at the current password came to; a locked account's password was not looked at. */
    private record Seen(boolean free, boolean right) {}

    /**
     * Changes the caller's own password: guesses at the old one count like sign-ins, every other session ends, and this
     * one goes on after a refresh. Former passwords are told only to who knows the current one. Problems:
     * auth.passwordWrong (also while locked), request.invalid, request.tooManyRequests.
     */
    Future<Reply> change(Call call) {
        Principal who = call.principal();
        UUID session = who.session();
        if (session == null) {
            return Future.failedFuture(Problem.of("auth.required"));
        }
        String current = call.json().get("currentPassword").textValue();
        String wanted = call.json().get("newPassword").textValue();
        return store.account(call, who.subject()).compose(account -> {
            mustDo(account, wanted, current);
            return look(call, account, current)
                    .compose(right -> right
                            ? newHash(account, wanted, true)
                                    .compose(hash -> database.write(call, tx -> change(tx, account, hash, session)))
                            : database.write(call, tx -> Future.failedFuture(Problem.of("auth.passwordWrong"))));
        });
    }

    private void mustDo(Account account, String wanted, String current) {
        mustDo(account, wanted);
        if (wanted.equals(current)) {
            throw Problem.at(POINTER, "field.passwordSame");
        }
    }

    private void mustDo(Account account, String wanted) {
        List<Problem.FieldError> faults = rules.faults(POINTER, wanted, account.secondFactor(), account.username());
        if (!faults.isEmpty()) {
            throw Problem.invalid(faults);
        }
    }

    /** Whether the password is the current one. The count stands whatever becomes of the command. */
    private Future<Boolean> look(Call call, Account account, String current) {
        Guess guess = attempts.guess(account.username(), call.meta().address());
        return attempts.look(
                        guess,
                        free -> passwords
                                .verify(current, free && account.active() ? account.hash() : passwords.absent())
                                .map(right -> new Seen(free, free && right && account.active())))
                .compose(seen -> (seen.free ? attempts.settle(guess, seen.right) : Future.<Void>succeededFuture())
                        .map(seen.right));
    }

    private Future<Reply> change(Tx tx, Account account, String hash, UUID session) {
        tx.kind("key");
        return store.change(tx, account, hash, session).map(row -> told(tx, row));
    }

    /** Hashes a password that meets the rules for an account without its current one: after a reset. */
    Future<String> newHash(Account account, String wanted) {
        mustDo(account, wanted);
        return newHash(account, wanted, false);
    }

    /** One look after the other, so that a change takes one place of the queue and never more. */
    private Future<String> newHash(Account account, String wanted, boolean currentKnown) {
        int most = rules.former() + 1;
        return store.former(account.id(), most)
                .compose(hashes -> {
                    List<String> former = new ArrayList<>(hashes);
                    if (currentKnown) {
                        former.remove(account.hash());
                    }
                    return mustNotBeOneOf(former, wanted, most);
                })
                .compose(v -> passwords.hash(wanted));
    }

    private Future<Void> mustNotBeOneOf(List<String> hashes, String wanted, int most) {
        Future<Boolean> met = Future.succeededFuture(false);
        for (String hash : hashes) {
            met = met.compose(hit -> hit ? Future.succeededFuture(true) : passwords.verify(wanted, hash));
        }
        return met.compose(hit -> hit
                ? Future.failedFuture(Problem.at(POINTER, "field.passwordUsed", Integer.toString(most)))
                : Future.succeededFuture());
    }

    /** The answer to a change of a member of staff, which others hear of. */
    static Reply told(Tx tx, Row row) {
        tx.event(Event.of("staff.changed", row.getUUID("id"), row.getLong("version"), "staff:read")
                .within(row.getUUID("branch_id"), null));
        return Reply.empty();
    }
}
