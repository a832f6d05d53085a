package io.kehu.kernel;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.blob.Blobs;
import io.kehu.cache.Cache;
import io.kehu.cache.RateLimit;
import io.kehu.contract.Contract;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.event.EventLog;
import io.kehu.job.Jobs;
import io.kehu.outgoing.CodeChannel;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * What a domain may use: the parts of one running node.
 *
 * @param settings the value of a setting by its path in {@code conf/kehu.yaml}, checked at the start
 * @param atStop takes what is to be done when the node stops, before any of its parts is closed
 */
public record Kernel(
        Vertx vertx,
        Contract contract,
        Database database,
        Clock clock,
        KeyStore keys,
        Vault vault,
        Passwords passwords,
        RateLimit rates,
        Cache cache,
        EventLog events,
        Blobs blobs,
        Jobs jobs,
        CodeChannel codes,
        Function<String, JsonNode> settings,
        Consumer<Runnable> atStop) {

    /**
     * Does this again and again, until the node stops; not while the time before is still under way.
     *
     * @param failed is told why one time failed; the next comes all the same
     */
    public void every(long millis, Supplier<? extends Future<?>> work, Consumer<Throwable> failed) {
        AtomicBoolean underWay = new AtomicBoolean();
        long timer = vertx.setPeriodic(millis, id -> {
            if (underWay.compareAndSet(false, true)) {
                Future.succeededFuture()
                        .<Void>compose(v -> work.get().mapEmpty())
                        .onComplete(done -> underWay.set(false))
                        .onFailure(failed::accept);
            }
        });
        atStop.accept(() -> vertx.cancelTimer(timer));
    }

    /** A whole number from the settings, e.g. {@code auth.accessMinutes}. */
    public int number(String setting) {
        return settings.apply(setting).asInt();
    }

    public String text(String setting) {
        return settings.apply(setting).asText();
    }

    /** The keyed hash that binds a cursor to its list. */
    public byte[] cursorMac(byte[] bytes) {
        return vault.hmac("cursor", bytes);
    }
}
