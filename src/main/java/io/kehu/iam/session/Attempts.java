package io.kehu.iam.session;

import io.kehu.bus.Call;
import io.kehu.bus.Network;
import io.kehu.bus.Problem;
import io.kehu.bus.Problems;
import io.kehu.cache.RateLimit;
import io.kehu.crypto.Vault;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The counters against guessing, for every way in that looks at a secret which people choose: how often one address and all
 * together may try, and the ladder of locks (safety.md 4).
 */
public final class Attempts {
    private final SessionStore store;
    private final Vault vault;
    private final RateLimit rates;

    private Attempts(SessionStore store, Vault vault, RateLimit rates) {
        this.store = store;
        this.vault = vault;
        this.rates = rates;
    }

    public static Attempts of(Kernel kernel) {
        return new Attempts(new SessionStore(kernel.database(), kernel.vault()), kernel.vault(), kernel.rates());
    }

    /**
     * A look at the secret of one account.
     *
     * @param realm keeps accounts of the same name apart, e.g. of staff and of customers
     */
    public Guess guess(String realm, String name, String address) {
        // No name holds a NUL, so that a realm and a name cannot run together.
        return Guess.of(vault, realm + '\0' + name, address);
    }

    /** A look at the password of a member of staff, counted together with the sign-ins under that name. */
    public Guess guess(String username, String address) {
        return Guess.of(vault, username, address);
    }

    /** Refuses trial runs, and those who come too often. Problems: request.noDryRun, request.tooManyRequests. */
    public Future<Void> admit(Call call, Guess guess) {
        return admit(call, guess, Future::succeededFuture);
    }

    /** The same; what costs nothing is asked before all of them together are counted. */
    Future<Void> admit(Call call, Guess guess, Supplier<Future<Void>> first) {
        return call.mustBeReal()
                .compose(v -> rates.admit(RateLimit.LOGIN_PER_ADDRESS, guess.source()))
                .compose(v -> first.get())
                .compose(v -> rates.admit(RateLimit.LOGIN, ""));
    }

    /** The same for what nobody guesses: each kind of request has a count of its own per address, and none of all together. */
    public Future<Void> admit(Call call, String kind) {
        return call.mustBeReal()
                .compose(v -> rates.admit(
                        RateLimit.LOGIN_PER_ADDRESS,
                        kind + ' ' + Network.source(call.meta().address())));
    }

    /**
     * Books the look, then takes it. What fails on the way (no room, no connection) was no look and is not counted; what
     * ends well is settled by the caller with {@link #settle}, unless it was locked.
     *
     * @param taking does the same work whether it is told {@code true} (look) or {@code false} (locked: work in vain)
     */
    public <T> Future<T> look(Guess guess, Function<Boolean, Future<T>> taking) {
        return store.take(guess).compose(booked -> {
            if (booked.equals("busy")) {
                return Future.failedFuture(Problem.of("request.tooManyRequests", "1"));
            }
            boolean free = !booked.equals("locked");
            return taking.apply(free)
                    .recover(failure -> free ? givenBack(guess, failure) : Future.failedFuture(failure));
        });
    }

    private <T> Future<T> givenBack(Guess guess, Throwable failure) {
        return store.giveBack(guess)
                // Once more where the database did not do it: what stays booked counts as a failure half a minute
                // later.
                .recover(unsettled -> isUnwritten(unsettled) ? store.giveBack(guess) : Future.failedFuture(unsettled))
                .transform(v -> Future.failedFuture(failure));
    }

    /**
     * The command that a booked look is for. Where the look was right and the database could not do the rest, nobody has guessed.
     * What may have been written, {@code request.unknown}, stays as it is.
     *
     * @param right asked when the command has failed
     */
    public <T> Future<T> unlessUnwritten(Guess guess, BooleanSupplier right, Future<T> command) {
        return command.recover(failure -> right.getAsBoolean() && isUnwritten(failure)
                ? givenBack(guess, failure)
                : Future.failedFuture(failure));
    }

    private static boolean isUnwritten(Throwable failure) {
        return Problems.isUndone(Problem.in(failure));
    }

    /** Ends a booked look outside a transaction: the count stands whatever becomes of the command, also when it is only tried out. */
    public Future<Void> settle(Guess guess, boolean opened) {
        return store.settle(guess, opened);
    }

    /** Forgets the failures of an account, not those of where they came from: its owner has proved himself in another way. */
    public Future<Void> forgive(Tx tx, Guess guess) {
        return store.forgive(tx, guess);
    }

    /** Ends a booked look, in the transaction that says what it came to. */
    public Future<Void> settle(Tx tx, Guess guess, boolean opened) {
        return store.settle(tx, guess, opened);
    }
}
