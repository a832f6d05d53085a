package io.kehu.iam.factor;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Sha256;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Guess;
import io.kehu.iam.session.SignIn;
import io.kehu.iam.session.SignIn.Pending;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;

/**
 * What every second factor ends with, of whatever kind: the second step of a sign-in and fresh proof in a session. Looks at
 * codes count like looks at passwords, on the same ladder of locks.
 */
public final class Factors {
    private final Database database;
    private final FactorStore store;
    private final SignIn signIn;
    private final Attempts attempts;

    /** Whether this person proves a factor now; what it uses up stays used up, whatever it comes to. */
    @FunctionalInterface
    public interface Proof {
        Future<Boolean> check(Tx tx, UUID staff);
    }

    private Factors(Database database, FactorStore store, SignIn signIn, Attempts attempts) {
        this.database = database;
        this.store = store;
        this.signIn = signIn;
        this.attempts = attempts;
    }

    public static Factors of(Kernel kernel) {
        return new Factors(
                kernel.database(),
                new FactorStore(kernel.database(), kernel.vault()),
                SignIn.of(kernel),
                Attempts.of(kernel));
    }

    /**
     * Says that somebody has a factor more: he may be free to work now, and gets codes for recovery if he has none.
     *
     * @return the codes, to be shown once; none where he has some
     */
    public Future<List<String>> enrolled(Tx tx, UUID staff) {
        return store.tell(tx, staff)
                .compose(v -> store.standing(tx, staff))
                .compose(standing -> standing.recoveryCodes() > 0
                        ? Future.succeededFuture(List.of())
                        : store.renewRecovery(tx, staff));
    }

    /**
     * The second step of a sign-in: opens the session that the challenge is for. A challenge that is unknown, used or over, a
     * wrong proof and a locked account are one answer. Problems: auth.factorFailed, request.tooManyRequests,
     * request.noDryRun.
     */
    public Future<Reply> finishSignIn(Call call, String challenge, Proof proof) {
        return finishSignIn(call, challenge, staff -> Future.succeededFuture(proof));
    }

    /** The same where something has to be computed before the transaction, for whomever the challenge is for. */
    Future<Reply> finishSignIn(Call call, String challenge, Function<UUID, Future<Proof>> looking) {
        return attempts.admit(call, "factor")
                .compose(v -> signIn.take(challenge))
                .compose(pending -> {
                    // One that nobody was given counts for itself, and for where it comes from.
                    Guess guess = pending.isPresent()
                            ? attempts.guess(
                                    pending.get().username(), call.meta().address())
                            : attempts.guess(
                                    "challenge", hash(challenge), call.meta().address());
                    return attempts.look(guess, free -> looked(free, pending, looking))
                            .compose(looked -> attempts.unlessUnwritten(
                                    guess,
                                    looked.right::get,
                                    database.write(call, tx -> finish(tx, guess, looked, pending))));
                });
    }

    private static String hash(String challenge) {
        return HexFormat.of().formatHex(Sha256.of(challenge));
    }

    private static Future<Looked> looked(
            boolean free, Optional<Pending> pending, Function<UUID, Future<Proof>> looking) {
        return free && pending.isPresent()
                ? looking.apply(pending.get().staff()).map(proof -> Looked.of(true, proof))
                : Future.succeededFuture(Looked.of(free, (tx, staff) -> Future.succeededFuture(false)));
    }

    private Future<Reply> finish(Tx tx, Guess guess, Looked looked, Optional<Pending> pending) {
        UUID staff = pending.map(Pending::staff).orElse(Principal.NOBODY);
        tx.kind("sign-in");
        tx.actor(staff, pending.map(Pending::username).orElse("unknown"));
        tx.object("staff", staff, 0);
        return looked.check(tx, staff)
                .compose(proven -> proven
                        ? signIn.finish(tx, pending.orElseThrow())
                        : Future.succeededFuture(Optional.<Reply>empty()))
                .compose(opened -> settle(tx, guess, looked.free, opened.isPresent())
                        .compose(v -> opened.isPresent()
                                ? Future.succeededFuture(opened.get())
                                : tx.refuse(Problem.of("auth.factorFailed"))));
    }

    private Future<Void> settle(Tx tx, Guess guess, boolean free, boolean opened) {
        return free ? attempts.settle(tx, guess, opened) : Future.succeededFuture();
    }

    /**
     * Fresh proof in the caller's session, good on every node at once. Problems: factor.proofWrong (also while locked),
     * auth.required, request.tooManyRequests, request.noDryRun.
     */
    public Future<Reply> stepUp(Call call, Proof proof) {
        return stepUp(call, free -> Future.succeededFuture(proof));
    }

    /** The same where something has to be computed before the transaction; told {@code false}, it does so in vain. */
    Future<Reply> stepUp(Call call, Function<Boolean, Future<Proof>> looking) {
        Principal caller = call.principal();
        UUID session = caller.session();
        if (session == null) {
            return Future.failedFuture(Problem.of("auth.required"));
        }
        Guess guess = attempts.guess(caller.name(), call.meta().address());
        return attempts.admit(call, "step-up")
                .compose(v -> attempts.look(guess, free -> looking.apply(free).map(proof -> Looked.of(free, proof))))
                .compose(looked -> attempts.unlessUnwritten(guess, looked.right::get, database.write(call, tx -> {
                    tx.kind("sign-in");
                    tx.object("session", session, 1);
                    return (looked.free ? looked.check(tx, caller.subject()) : Future.succeededFuture(false))
                            .compose(proven -> proven
                                    ? store.proven(tx, session, caller.subject())
                                    : Future.succeededFuture(false))
                            .compose(proven -> settle(tx, guess, looked.free, proven)
                                    .compose(v -> proven
                                            ? Future.succeededFuture(Reply.empty())
                                            : tx.refuse(Problem.of("factor.proofWrong"))));
                })));
    }

    /** @param right what a check of the proof came to */
    private record Looked(boolean free, Proof proof, AtomicBoolean right) {
        static Looked of(boolean free, Proof proof) {
            return new Looked(free, proof, new AtomicBoolean());
        }

        Future<Boolean> check(Tx tx, UUID staff) {
            return proof.check(tx, staff).onSuccess(right::set);
        }
    }
}
