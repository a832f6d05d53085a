package io.kehu.iam.factor;

import io.kehu.bus.Call;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.crypto.Vault;
import io.kehu.outgoing.CodeChannel;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Locale;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Codes of six digits that are sent to a phone and opened with once: five tries each, so many an hour. */
final class SmsCodes {
    private static final Logger LOG = LoggerFactory.getLogger(SmsCodes.class);
    private static final int CODES = 1_000_000;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final Database database;
    private final FactorStore store;
    private final Vault vault;
    private final CodeChannel channel;
    private final Duration life;
    private final int perHour;

    /** Where a code goes. */
    record Target(UUID factor, String phone) {
        @Override
        public String toString() {
            return "Target[" + factor + "]";
        }
    }

    SmsCodes(Database database, FactorStore store, Vault vault, CodeChannel channel, Duration life, int perHour) {
        this.database = database;
        this.store = store;
        this.vault = vault;
        this.channel = channel;
        this.life = life;
        this.perHour = perHour;
    }

    /** Fails with {@code code.channelMissing} where no code could be sent. */
    Future<Void> ready() {
        return channel.ready();
    }

    /**
     * Begins a code in a transaction of its own and sends it once that stands. Problems: code.tooMany.
     *
     * @param to says where, and what the audit is to know
     * @param answer told when the code ends
     */
    Future<Reply> send(Call call, Function<Tx, Future<Target>> to, Function<OffsetDateTime, Reply> answer) {
        UUID id = Ids.next();
        String code = String.format(Locale.ROOT, "%06d", RANDOM.nextInt(CODES));
        AtomicReference<String> phone = new AtomicReference<>("");
        return database.write(
                        call,
                        tx -> to.apply(tx).compose(target -> {
                            phone.set(target.phone);
                            return begin(tx, id, target, code).map(answer);
                        }))
                .onSuccess(reply -> channel.send("factor", id, Objects.requireNonNull(phone.get()), code)
                        .onFailure(e -> LOG.warn("a code could not be sent: {}", e.getMessage())));
    }

    private Future<OffsetDateTime> begin(Tx tx, UUID id, Target target, String code) {
        OffsetDateTime end = tx.now().plus(life);
        return store.beginCode(tx, id, target.factor, hash(id, code), end, perHour)
                .compose(wait -> wait.isPresent()
                        ? Future.failedFuture(
                                Problem.of("code.tooMany", wait.get().toString()))
                        : Future.succeededFuture(end));
    }

    private byte[] hash(UUID id, String code) {
        return vault.hmac("factor.code", (id + code).getBytes(StandardCharsets.UTF_8));
    }

    /** Tries the code that is under way; a right one is used up. */
    Future<Boolean> check(Tx tx, UUID factor, String code) {
        return store.tryCode(tx, factor)
                .compose(sent -> sent.isPresent()
                                && MessageDigest.isEqual(
                                        sent.get().hash().getBytes(),
                                        hash(sent.get().id(), code))
                        ? store.useCode(tx, sent.get().id()).map(true)
                        : Future.succeededFuture(false));
    }
}
