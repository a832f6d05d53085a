package io.kehu.iam.passkey;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.iam.passkey.Passkeys.Ceremony;
import io.kehu.iam.passkey.Passkeys.Proof;
import io.kehu.iam.passkey.RelyingParty.Created;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.SignIn;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.Optional;
import java.util.UUID;

/** The rules of passkeys. */
final class PasskeyService {
    private static final String READ = "staff:read";

    private final Database database;
    private final PasskeyStore store;
    private final Passkeys passkeys;
    private final SignIn signIn;
    private final Attempts attempts;

    PasskeyService(Database database, PasskeyStore store, Passkeys passkeys, SignIn signIn, Attempts attempts) {
        this.database = database;
        this.store = store;
        this.passkeys = passkeys;
        this.signIn = signIn;
        this.attempts = attempts;
    }

    // One's own passkeys

    /** The caller's passkeys. */
    Future<Reply> list(Call call) {
        return store.list(call, call.principal().subject())
                .map(mine -> Reply.ok(json -> {
                    json.writeStartObject();
                    json.writeArrayFieldStart("items");
                    for (Passkey passkey : mine) {
                        passkey.toJson(json);
                    }
                    json.writeEndArray();
                    json.writeEndObject();
                }));
    }

    /** Begins to make a passkey. Problems: passkey.off, passkey.tooMany, passkey.passwordFirst. */
    Future<Reply> startRegistration(Call call) {
        Principal caller = call.principal();
        return database.write(call, tx -> {
            tx.object("ceremony", tx.auditId(), 1);
            return passkeys.beginRegistration(tx, caller.subject(), caller.name())
                    .map(Ceremony::reply);
        });
    }

    /**
     * Keeps a passkey that a device has made. Problems: passkey.off, passkey.invalid, passkey.taken, passkey.tooMany,
     * passkey.passwordFirst, request.tooManyRequests.
     */
    Future<Reply> create(Call call) {
        return passkeys.created(call.json().get("credential"))
                .compose(made -> made.isEmpty()
                        ? Future.failedFuture(Problem.of("passkey.invalid"))
                        : database.write(call, tx -> keep(tx, made.get())));
    }

    private Future<Reply> keep(Tx tx, Created made) {
        UUID person = tx.principal().subject();
        String name = tx.call().json().get("name").textValue().strip();
        return passkeys.isAsked(tx, made, person)
                .compose(asked -> asked
                        ? store.insert(tx, Ids.next(), person, name, made)
                        : Future.failedFuture(Problem.of("passkey.invalid")))
                .map(passkey -> {
                    tx.event(event("passkey.created", passkey, tx));
                    return Reply.created("/v1/auth/passkeys/" + passkey.id(), passkey::toJson);
                });
    }

    /** Takes back one of the caller's passkeys. Problems: passkey.notFound. */
    Future<Reply> delete(Call call) {
        return database.write(
                call,
                tx -> store.delete(tx, call.id("passkeyId"), call.principal().subject())
                        .map(passkey -> {
                            tx.event(event("passkey.deleted", passkey, tx));
                            return Reply.empty();
                        }));
    }

    private static Event event(String type, Passkey passkey, Tx tx) {
        return Event.of(type, passkey.id(), passkey.version(), READ)
                .within(tx.principal().branchId(), null);
    }

    // Coming in

    /** Begins a sign-in of whoever has a passkey. Problems: passkey.off, request.tooManyRequests, request.noDryRun. */
    Future<Reply> startSignIn(Call call) {
        return attempts.admit(call, "passkey-begin")
                .compose(v -> database.write(call, tx -> {
                    tx.kind("sign-in");
                    tx.object("ceremony", tx.auditId(), 1);
                    return passkeys.beginSignIn(tx).map(Ceremony::reply);
                }));
    }

    /**
     * Signs a member of staff in by a passkey, which is both factors in one: the device, and what opens it. A password that
     * is to be changed first still is; one that is merely old is asked for when it is used. Problems: passkey.off,
     * auth.passkeyInvalid, request.tooManyRequests, request.noDryRun.
     */
    Future<Reply> finishSignIn(Call call) {
        return attempts.admit(call, "passkey")
                .compose(v -> passkeys.verifySignIn(call.json().get("credential")))
                .compose(proof -> database.write(call, tx -> enter(tx, proof)));
    }

    private Future<Reply> enter(Tx tx, Optional<Proof> proof) {
        tx.kind("sign-in");
        if (proof.isEmpty()) {
            tx.actor(Principal.NOBODY, "unknown");
            tx.object("staff", Principal.NOBODY, 0);
            return tx.refuse(Problem.of("auth.passkeyInvalid"));
        }
        UUID person = proof.get().person();
        return store.owner(tx, person).compose(owner -> {
            tx.actor(person, owner.username());
            tx.object("staff", person, 0);
            return (owner.mayEnter() ? passkeys.accept(tx, proof.get()) : Future.succeededFuture(false))
                    .compose(accepted -> accepted
                            ? signIn.openProven(
                                    tx, person, tx.call().json().path("cookie").asBoolean())
                            : Future.succeededFuture(Optional.<Reply>empty()))
                    .compose(opened -> opened.isPresent()
                            ? Future.succeededFuture(opened.get())
                            : tx.refuse(Problem.of("auth.passkeyInvalid")));
        });
    }
}
