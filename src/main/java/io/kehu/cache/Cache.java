package io.kehu.cache;

import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.net.NetClientOptions;
import io.vertx.redis.client.Command;
import io.vertx.redis.client.Redis;
import io.vertx.redis.client.RedisOptions;
import io.vertx.redis.client.Request;
import io.vertx.redis.client.Response;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Get-or-load for public, idempotent reads (catalogue, dictionaries): never personal data, never the only copy.
 *
 * <p>A key is {@code space:rest}. What is kept carries the token its space had <em>before</em> the load began, and is
 * served only while the space still has that token. So dropping a space is one small write, and a load that was
 * overtaken by a drop cannot put its old answer back. Losing Redis, or any part of its content, costs loads, never
 * an answer.
 *
 * <p>Staleness: after {@link #drop} completed, this node serves nothing older; other nodes may for
 * {@code nearMillis}, and, where Redis could not be told, until it could or the entry's time to live is over.
 *
 * <p>This class also owns the connection to Redis, which {@link RateLimit} shares: every request has a time-out,
 * their number is bounded, and after {@value #FAILURES_TO_PAUSE} failures in a row Redis is left alone for a while,
 * so that a sick Redis delays next to nobody.
 */
public final class Cache {
    /** One lost packet is no outage; three in a row at 50 ms each is as long as a caller should have to wait. */
    private static final int FAILURES_TO_PAUSE = 3;

    /** Longer than any time to live; a token that expires only means that its space is loaded again. */
    private static final long TOKEN_MILLIS = Duration.ofDays(1).toMillis();

    private static final int TOKEN_LENGTH = 16;

    private static final Logger log = LoggerFactory.getLogger(Cache.class);

    private final Vertx vertx;
    private final Options options;
    private final ConcurrentHashMap<String, Flight> flights = new ConcurrentHashMap<>();
    /** Spaces whose drop Redis does not know yet; their entries there are not trusted. Spaces are few: words in code. */
    private final ConcurrentHashMap<String, Object> untold = new ConcurrentHashMap<>();

    private final Map<String, Near> near;

    private final AtomicInteger asking = new AtomicInteger();
    private final AtomicInteger failures = new AtomicInteger();
    private volatile @Nullable Redis redis;
    private long retryAtNanos;
    private boolean probing;
    private boolean closed;

    private Cache(Vertx vertx, Options options) {
        this.vertx = vertx;
        this.options = options;
        this.near = new LinkedHashMap<>(16, 0.75f, true) {
            @Override
            protected boolean removeEldestEntry(Map.Entry<String, Near> eldest) {
                return size() > options.nearEntries();
            }
        };
    }

    /**
     * Every bound of this class.
     *
     * @param uri {@code redis://[:password@]host:port[/database]}; null to work without Redis
     * @param connections size of the pool; a connection carries one request at a time
     * @param waiting how many requests may wait for a connection; more fail at once, as if Redis were away
     * @param timeoutMillis how long one request may take, waiting included
     * @param connectTimeoutMillis how long a connection attempt may take; nobody waits for it
     * @param pauseMillis how long Redis is left alone before the next attempt
     * @param valueBytes larger values are answered but not kept
     * @param nearEntries how many values this node keeps in its own memory; 0 for none
     * @param nearMillis how long it keeps them: the bound of their staleness after a drop on another node
     */
    public record Options(
            @Nullable String uri,
            int connections,
            int waiting,
            int timeoutMillis,
            int connectTimeoutMillis,
            int pauseMillis,
            int valueBytes,
            int nearEntries,
            int nearMillis) {

        public static Options of(@Nullable String uri) {
            return new Options(uri, 8, 1024, 50, 1000, 1000, 256 * 1024, 1000, 1000);
        }
    }

    /** Completes when the first attempt to reach Redis has ended; it never fails, for Kehu also starts without Redis. */
    public static Future<Cache> open(Vertx vertx, Options options) {
        Cache cache = new Cache(vertx, options);
        return cache.probe().transform(tried -> {
            if (tried.failed()) {
                log.warn(
                        "Redis cannot be reached, Kehu goes on without: {}",
                        tried.cause().getMessage());
            }
            return Future.succeededFuture(cache);
        });
    }

    /**
     * The value of a key, from memory, Redis, or {@code load}; one load per key and node at a time. A failed load is
     * everybody's failure who waited for it, and is not kept. The buffer is shared: callers must not write to it.
     *
     * @param key {@code space:rest}, made of public words and ids only
     */
    public Future<Buffer> get(String key, Duration ttl, Supplier<Future<Buffer>> load) {
        String space = space(key);
        Buffer known = near(key);
        if (known != null) {
            return Future.succeededFuture(known);
        }
        Flight mine = new Flight(Promise.promise());
        Flight other = flights.putIfAbsent(key, mine);
        if (other != null) {
            return onCallersContext(other.promise.future());
        }
        find(key, space, ttl, load).onComplete((value, failure) -> {
            land(key, mine, value, ttl);
            mine.promise.complete(value, failure);
        });
        return mine.promise.future();
    }

    /**
     * Forgets every key of a space ({@code product}, or any key in it) on all nodes; call it after the change is
     * committed. Never fails: if Redis cannot be told now, this node goes past it until Redis has been told.
     */
    public Future<Void> drop(String spaceOrKey) {
        String space = space(spaceOrKey);
        untold.put(space, new Object());
        synchronized (near) {
            near.keySet().removeIf(key -> space(key).equals(space));
            // Those who ask from now on must not join a load that began before the change.
            flights.keySet().removeIf(key -> space(key).equals(space));
        }
        return tell(space).otherwiseEmpty();
    }

    /** Whether Redis answered lately; false is a state to show, not a reason to refuse anything. */
    public boolean up() {
        return redis != null;
    }

    public Future<Void> close() {
        Redis last;
        synchronized (this) {
            closed = true;
            last = redis;
            redis = null;
        }
        return last == null ? Future.succeededFuture() : last.close();
    }

    /** One request to Redis; fails fast while it is away. Callers have a way to go on without. */
    Future<Response> ask(Request request) {
        Redis client = redis;
        if (client == null) {
            probe();
            return Future.failedFuture(new Away());
        }
        if (asking.incrementAndGet() > options.connections() + options.waiting()) {
            asking.decrementAndGet();
            return Future.failedFuture(new Away());
        }
        return send(client, request, options.timeoutMillis()).onComplete((response, failure) -> {
            asking.decrementAndGet();
            if (failure == null || isMissingScript(failure)) {
                failures.set(0);
            } else if (redis == client && failures.incrementAndGet() >= FAILURES_TO_PAUSE) {
                pause(client, failure);
            }
        });
    }

    /** Runs a script on one key: by its digest, and with its text where Redis does not know it (any more). */
    Future<Response> run(Script script, String key, long... args) {
        return ask(script.request(Command.EVALSHA, script.sha1, key, args))
                .recover(failure -> isMissingScript(failure)
                        ? ask(script.request(Command.EVAL, script.text, key, args))
                        : Future.failedFuture(failure));
    }

    private Future<Buffer> find(String key, String space, Duration ttl, Supplier<Future<Buffer>> load) {
        if (untold.containsKey(space)) {
            tell(space);
            return invoke(load);
        }
        Request both = Request.cmd(Command.MGET, tokenKey(space), entryKey(space, key));
        return ask(both)
                .map(Found::of)
                .otherwise(Found.NOWHERE)
                .compose(found -> found.value != null
                        ? Future.succeededFuture(found.value)
                        : invoke(load).onSuccess(value -> keep(key, space, ttl, found, value)));
    }

    /** Nobody waits for this, and nothing depends on its success. */
    private void keep(String key, String space, Duration ttl, Found found, Buffer value) {
        if (!found.asked || value.length() > options.valueBytes()) {
            return;
        }
        String token = found.token;
        if (token == null) {
            token = newToken();
            // NX: whoever is first names the space; what the others keep is then simply never found.
            ask(Request.cmd(Command.SET, tokenKey(space), token, "NX", "PX", TOKEN_MILLIS));
        }
        Buffer entry =
                Buffer.buffer(TOKEN_LENGTH + value.length()).appendString(token).appendBuffer(value);
        ask(Request.cmd(Command.SET)
                .arg(entryKey(space, key))
                .arg(entry)
                .arg("PX")
                .arg(Math.max(1, ttl.toMillis())));
    }

    private Future<Void> tell(String space) {
        Object debt = untold.get(space);
        return ask(Request.cmd(Command.SET, tokenKey(space), newToken(), "PX", TOKEN_MILLIS))
                .onSuccess(told -> {
                    // A later drop of the same space has its own telling to wait for.
                    if (debt != null) {
                        untold.remove(space, debt);
                    }
                })
                .mapEmpty();
    }

    private @Nullable Buffer near(String key) {
        if (options.nearEntries() == 0) {
            return null;
        }
        synchronized (near) {
            Near entry = near.get(key);
            return entry != null && System.nanoTime() - entry.untilNanos < 0 ? entry.value : null;
        }
    }

    private void land(String key, Flight flight, @Nullable Buffer value, Duration ttl) {
        synchronized (near) {
            boolean overtakenByDrop = !flights.remove(key, flight);
            if (value == null || overtakenByDrop || value.length() > options.valueBytes()) {
                return;
            }
            long millis = Math.min(options.nearMillis(), ttl.toMillis());
            near.put(key, new Near(value, System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis)));
        }
    }

    /** Looks whether Redis is there, at most one look at a time and one per pause; takes it into use if so. */
    private Future<Void> probe() {
        String uri = options.uri();
        Redis candidate;
        synchronized (this) {
            boolean tooEarly = retryAtNanos != 0 && System.nanoTime() - retryAtNanos < 0;
            if (uri == null || closed || probing || redis != null || tooEarly) {
                return Future.succeededFuture();
            }
            probing = true;
        }
        try {
            candidate = Redis.createClient(vertx, redisOptions(uri));
        } catch (RuntimeException e) {
            settle(null, e);
            return Future.failedFuture(e);
        }
        return send(candidate, Request.cmd(Command.PING), options.connectTimeoutMillis())
                .<Void>mapEmpty()
                .onComplete((pong, failure) -> settle(candidate, failure));
    }

    private void settle(@Nullable Redis candidate, @Nullable Throwable failure) {
        boolean use;
        synchronized (this) {
            probing = false;
            use = failure == null && !closed;
            if (use) {
                failures.set(0);
                redis = candidate;
            } else {
                retryLater();
            }
        }
        if (use) {
            log.info("Redis is in use");
        } else if (candidate != null) {
            candidate.close();
        }
    }

    private void pause(Redis client, Throwable failure) {
        synchronized (this) {
            if (redis != client) {
                return;
            }
            redis = null;
            retryLater();
        }
        log.warn("Redis is left alone for {} ms: {}", options.pauseMillis(), failure.getMessage());
        // A connection that never answers would keep its place in the pool for ever: the next attempt gets a new pool.
        client.close();
    }

    private void retryLater() {
        // 0 stands for "never tried".
        retryAtNanos = (System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(options.pauseMillis())) | 1;
    }

    private RedisOptions redisOptions(String uri) {
        return new RedisOptions()
                .setConnectionString(uri)
                .setMaxPoolSize(options.connections())
                .setMaxPoolWaiting(options.waiting())
                .setMaxWaitingHandlers(options.waiting())
                .setNetClientOptions(new NetClientOptions()
                        .setConnectTimeout(options.connectTimeoutMillis())
                        .setTcpNoDelay(true)
                        .setTcpKeepAlive(true)
                        .setReconnectAttempts(0));
    }

    private static Future<Response> send(Redis client, Request request, int timeoutMillis) {
        try {
            return client.send(request).timeout(timeoutMillis, TimeUnit.MILLISECONDS);
        } catch (RuntimeException e) {
            return Future.failedFuture(e);
        }
    }

    private static boolean isMissingScript(Throwable failure) {
        String message = failure.getMessage();
        return message != null && message.startsWith("NOSCRIPT");
    }

    private static Future<Buffer> invoke(Supplier<Future<Buffer>> load) {
        try {
            return load.get();
        } catch (RuntimeException e) {
            return Future.failedFuture(e);
        }
    }

    /** Who joined another's flight gets the answer on its own context, as if it had asked by itself. */
    private static Future<Buffer> onCallersContext(Future<Buffer> flight) {
        Context context = Vertx.currentContext();
        if (context == null) {
            return flight;
        }
        Promise<Buffer> promise = Promise.promise();
        flight.onComplete((value, failure) -> context.runOnContext(ignored -> promise.complete(value, failure)));
        return promise.future();
    }

    private static String space(String spaceOrKey) {
        int colon = spaceOrKey.indexOf(':');
        return colon < 0 ? spaceOrKey : spaceOrKey.substring(0, colon);
    }

    /** The braces keep a space's keys on one shard of a Redis cluster, which MGET needs. */
    private static String tokenKey(String space) {
        return "kehu:cache:{" + space + "}";
    }

    private static String entryKey(String space, String key) {
        return tokenKey(space) + key.substring(Math.min(key.length(), space.length()));
    }

    private static String newToken() {
        return HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextLong());
    }

    /** Without stack trace, for while Redis is away it is met in every request. */
    private static final class Away extends RuntimeException {
        Away() {
            super("Redis is away", null, false, false);
        }
    }

    /** A Lua script and its digest. */
    record Script(String text, String sha1) {
        Request request(Command command, String script, String key, long... args) {
            Request request = Request.cmd(command).arg(script).arg(1).arg(key);
            Arrays.stream(args).forEach(request::arg);
            return request;
        }
    }

    private record Near(Buffer value, long untilNanos) {}

    /** A class, for its identity says whether a flight is still the current one. */
    private static final class Flight {
        final Promise<Buffer> promise;

        Flight(Promise<Buffer> promise) {
            this.promise = promise;
        }
    }

    /** What Redis knew, if it could be asked: the space's token, and the value if it was kept under this very token. */
    private record Found(
            boolean asked, @Nullable String token, @Nullable Buffer value) {
        static final Found NOWHERE = new Found(false, null, null);

        static Found of(Response response) {
            Response token = response.get(0);
            Response entry = response.get(1);
            if (token == null) {
                return new Found(true, null, null);
            }
            String now = token.toString(StandardCharsets.US_ASCII);
            if (entry == null) {
                return new Found(true, now, null);
            }
            Buffer bytes = entry.toBuffer();
            boolean current = bytes.length() >= TOKEN_LENGTH
                    && bytes.getString(0, TOKEN_LENGTH).equals(now);
            return new Found(true, now, current ? bytes.getBuffer(TOKEN_LENGTH, bytes.length()) : null);
        }
    }
}
