package io.kehu.iam.session;

import io.kehu.bus.Operations;
import io.kehu.cache.RateLimit;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Signer;
import io.kehu.crypto.Vault;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import java.time.Duration;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The operations of the tag iam.session, and the forgetting of what has long ended. */
public final class SessionVerticle extends VerticleBase {
    private static final Logger LOG = LoggerFactory.getLogger(SessionVerticle.class);
    private static final long HOUSE_MILLIS = 60_000;

    private final SessionStore store;
    private final SessionService service;

    /**
     * How long things live.
     *
     * @param access an access token
     * @param idle a session without a refresh
     * @param absolute a session in any case
     */
    public record Lives(Duration access, Duration idle, Duration absolute) {}

    /** Serves sessions; the rate limit has the buckets of {@link #limits}. */
    public SessionVerticle(
            Database database,
            Vault vault,
            Signer signer,
            Passwords passwords,
            Passwords.Profile profile,
            RateLimit rates,
            Lives lives) {
        this.store = new SessionStore(database, vault);
        Tokens tokens = new Tokens(signer, lives);
        this.service = new SessionService(database, store, vault, tokens, passwords, profile, rates);
    }

    /** The buckets that sign-ins are counted in, each as large as a minute's refill. */
    public static Map<String, RateLimit.Limit> limits(int perAddressPerMinute, int perMinute) {
        return Map.of(
                SessionService.PER_ADDRESS,
                new RateLimit.Limit(perAddressPerMinute, perAddressPerMinute, Duration.ofMinutes(1)),
                SessionService.ALL,
                new RateLimit.Limit(perMinute, perMinute, Duration.ofMinutes(1)));
    }

    @Override
    public Future<?> start() {
        vertx.setPeriodic(
                HOUSE_MILLIS,
                id -> store.forgetOld()
                        .onFailure(e -> LOG.warn("old sessions could not be forgotten yet: {}", e.getMessage())));
        return Operations.at("iam.session")
                .on("login", service::login)
                .on("refreshSession", service::refresh)
                .on("logout", service::logout)
                .on("getMe", service::me)
                .on("changePassword", service::changePassword)
                .serve(vertx);
    }
}
