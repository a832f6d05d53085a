package io.kehu.job;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.KeyStore.Succession;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Tuple;

/**
 * Rotates the pairs that sign, while everybody works. Of tokens:
 *
 * <pre>
 * announced   an audit row says that a pair will follow
 * published   the key file has the new pair and from when it signs: nodes know it, others read it in jwks.json
 * signing     by the bank's clock, so from the same second on every node; the private half of the older pair is dropped
 * retired     when the last token of the older pair has expired, again by the clock: its tokens are refused, it leaves jwks.json
 * </pre>
 *
 * <p>All that has to be written for the last two is written with the second, at once. So whoever dies in between leaves a
 * succession that goes on by itself, and whoever asks again ends it before another one may begin. Refresh tokens are not
 * signed: nobody has to sign in again.
 */
public final class SigningRotation {
    private static final int CALL_MILLIS = 30_000;
    /** Looks of a node at the key folder that the slowest one is given before the new pair signs. */
    private static final int LOOKS = 5;

    private static final String NOW = "SELECT ceil(extract(epoch FROM kehu.now()))::bigint";

    private final Vertx vertx;
    private final Database database;
    private final KeyStore keys;
    private final Options options;

    /**
     * The times.
     *
     * @param reloadMillis between two looks at the key folder
     * @param jwksSeconds how long others may keep the public keys
     * @param lifetimeSeconds of an access token
     */
    public record Options(int reloadMillis, int jwksSeconds, int lifetimeSeconds) {
        long leadSeconds() {
            return jwksSeconds + ((long) LOOKS * reloadMillis + 999) / 1000;
        }
    }

    public SigningRotation(Vertx vertx, Database database, KeyStore keys, Options options) {
        this.vertx = vertx;
        this.database = database;
        this.keys = keys;
        this.options = options;
    }

    /** Publishes a new pair for tokens, or finds the succession under way. */
    public Future<Succession> begin() {
        return now().compose(now -> {
            Succession underWay = keys.succession(now);
            return underWay != null
                    ? Future.succeededFuture(underWay)
                    : said("rotateSigningKey", event("signing", "key.announced", ""))
                            .compose(v -> now())
                            .compose(this::publish);
        });
    }

    private Future<Succession> publish(long now) {
        return vertx.executeBlocking(
                () -> keys.rotateSigning(now, now + options.leadSeconds(), options.lifetimeSeconds), false);
    }

    /** Waits until the new pair signs, then drops the private half of the older one. */
    public Future<Void> end(Succession succession) {
        return now().compose(now -> now <= succession.from()
                ? vertx.timer((succession.from() - now) * 1000 + 1000).compose(v -> end(succession))
                : vertx.executeBlocking(() -> endAt(now, succession), false)
                        .compose(kid -> said("rotateSigningKey", event("signing", "key.rotated", kid))));
    }

    private String endAt(long now, Succession succession) {
        keys.endSigning(now);
        return succession.kid();
    }

    /**
     * A new pair for what is kept, such as seals of the audit: it signs at once, because those who check ask for public keys when
     * they check, and old seals stay as good as their pairs, whose public halves are kept for ever.
     *
     * @return its id
     */
    public Future<String> sealing() {
        return said("rotateSealingKey", event("sealing", "key.announced", ""))
                .compose(v -> vertx.executeBlocking(keys::rotateSealing, false))
                .compose(kid -> said("rotateSealingKey", event("sealing", "key.rotated", kid))
                        .map(v -> kid));
    }

    private Future<Long> now() {
        return database.query(Call.Lane.POINT, NOW, Tuple.tuple())
                .map(rows -> rows.iterator().next().getLong(0));
    }

    private Future<Void> said(String operation, Event event) {
        return database.write(Call.internal(operation, Call.Lane.POINT, CALL_MILLIS), tx -> KeyRotation.said(tx, event))
                .mapEmpty();
    }

    private static Event event(String key, String type, String kid) {
        Event event = KeyRotation.event(type, key, 1).with("key", key);
        return kid.isEmpty() ? event : event.with("kid", kid);
    }
}
