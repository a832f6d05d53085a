package io.kehu.iam.password;

import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Sha256;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.staff.StaffEntry;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.UUID;

/**
 * The rules of resets. An administrator closes an account and hands a token over to its owner, who sets a password with it;
 * the administrator never knows a password. He had the token in his hands all the same, so that until another person has
 * approved what the account may do it counts as his (iam.held_account), beside those it counted as before.
 */
final class ResetService {
    private final Database database;
    private final PasswordStore store;
    private final StaffEntry staff;
    private final PasswordService rules;
    private final Passwords passwords;
    private final Attempts attempts;
    private final Duration life;

    /**
     * The rules with what they need.
     *
     * @param life of a token
     */
    ResetService(
            Database database,
            PasswordStore store,
            StaffEntry staff,
            PasswordService rules,
            Passwords passwords,
            Attempts attempts,
            Duration life) {
        this.database = database;
        this.store = store;
        this.staff = staff;
        this.rules = rules;
        this.passwords = passwords;
        this.attempts = attempts;
        this.life = life;
    }

    /**
     * Makes a token for somebody else, told once; from now on the old password and every session are worth nothing. An older
     * token of that person is worthless too. Problems: staff.notFound, staff.ownReset, staff.notActive,
     * staff.passwordElsewhere.
     */
    Future<Reply> make(Call call) {
        UUID id = call.id("staffId");
        String token = Ids.secret();
        return database.write(
                call,
                tx -> store.locked(tx, id)
                        .compose(row -> mayBeReset(tx, id, row))
                        .compose(v -> staff.hold(tx, id))
                        .compose(v -> {
                            OffsetDateTime end = tx.now().plus(life);
                            tx.kind("key");
                            tx.weighs(null, 1L);
                            return store.close(tx, id, passwords.absent(), hash(token), end)
                                    .map(row -> {
                                        PasswordService.told(tx, row);
                                        return Reply.ok(json -> {
                                            json.writeStartObject();
                                            json.writeStringField("token", token);
                                            json.writeStringField(
                                                    "expiresAt", end.toInstant().toString());
                                            json.writeEndObject();
                                        });
                                    });
                        }));
    }

    /**
     * Takes somebody else's second factors, for whoever has lost the device; his sessions end, and where a role needs one he
     * enrols anew. Problems: staff.notFound, staff.ownReset, staff.notActive.
     */
    Future<Reply> factors(Call call) {
        UUID id = call.id("staffId");
        return database.write(
                call,
                tx -> store.locked(tx, id)
                        .compose(row -> mayBeHelped(tx, id, row))
                        .compose(v -> staff.hold(tx, id))
                        .compose(v -> {
                            tx.kind("key");
                            tx.weighs(null, 1L);
                            return store.forgetFactors(tx, id).map(row -> PasswordService.told(tx, row));
                        }));
    }

    private static Future<Void> mayBeReset(Tx tx, UUID id, Row row) {
        return mayBeHelped(tx, id, row)
                .compose(v -> row.getBoolean("elsewhere")
                        ? Future.failedFuture(Problem.of("staff.passwordElsewhere"))
                        : Future.succeededFuture());
    }

    private static Future<Void> mayBeHelped(Tx tx, UUID id, Row row) {
        if (id.equals(tx.principal().subject())) {
            return Future.failedFuture(Problem.of("staff.ownReset"));
        }
        return row.getString("state").equals("active")
                ? Future.succeededFuture()
                : Future.failedFuture(Problem.of("staff.notActive"));
    }

    private static Buffer hash(String token) {
        return Buffer.buffer(Sha256.of(token));
    }

    /**
     * Sets a password by a token, once. Unknown, used, expired and of somebody who may not come in any more are one answer;
     * whoever has a good token may try other passwords with it. Problems: auth.resetInvalid, request.invalid (a password
     * that will not do), request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> redeem(Call call) {
        Buffer tokenHash = hash(call.json().get("token").textValue());
        String wanted = call.json().get("newPassword").textValue();
        return attempts.admit(call, "password-reset")
                .compose(v -> store.opened(tokenHash))
                .compose(opened -> opened.isEmpty()
                        ? database.write(call, ResetService::refused)
                        : rules.newHash(opened.get(), wanted)
                                .compose(hash -> database.write(call, tx -> renew(tx, opened.get(), tokenHash, hash))));
    }

    private Future<Reply> renew(Tx tx, Account account, Buffer tokenHash, String hash) {
        return store.use(tx, account, tokenHash).compose(used -> {
            if (!used) {
                return refused(tx);
            }
            tx.kind("key");
            tx.actor(account.id(), account.username());
            return store.renew(tx, account, hash)
                    // Who comes with a token has often guessed before.
                    .compose(row -> attempts.forgive(
                                    tx,
                                    attempts.guess(
                                            account.username(), tx.call().meta().address()))
                            .map(v -> PasswordService.told(tx, row)));
        });
    }

    private static Future<Reply> refused(Tx tx) {
        tx.kind("key");
        tx.actor(Principal.NOBODY, "unknown");
        tx.object("staff", Principal.NOBODY, 0);
        return tx.refuse(Problem.of("auth.resetInvalid"));
    }
}
