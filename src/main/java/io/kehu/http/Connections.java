package io.kehu.http;

import io.kehu.sql.Clock;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Bounds on connections that a request handler never sees: how many the node and one address may hold, and how long one may
 * take to send a request's head. (A server's idle timeout does not end a connection that drips a byte every few seconds.)
 * And the way out: a node that stops lets what runs end, and tells its callers to go elsewhere.
 */
public final class Connections {
    private static final long SWEEP_MILLIS = 1_000;
    /** While draining: so long nothing may have run, then nobody is on the way any more. */
    private static final long QUIET_MILLIS = 200;

    private final Vertx vertx;
    private final int max;
    private final int maxPerAddress;
    private final long headerTimeoutMillis;
    private final long idleTimeoutMillis;
    private final long sweeper;
    private final Map<String, Integer> perAddress = new ConcurrentHashMap<>();
    private final Map<HttpConnection, State> open = new ConcurrentHashMap<>();
    private volatile boolean draining;
    private volatile long lastRequestMillis;

    private static final class State {
        volatile long sinceMillis = Clock.monotonicMillis();
        volatile boolean served;
        volatile boolean streaming;
        /** By several requests at once: HTTP/2. */
        volatile boolean shared;

        final AtomicInteger active = new AtomicInteger();
    }

    public Connections(Vertx vertx, int max, int maxPerAddress, long headerTimeoutMillis, long idleTimeoutMillis) {
        this.vertx = vertx;
        this.max = max;
        this.maxPerAddress = maxPerAddress;
        this.headerTimeoutMillis = headerTimeoutMillis;
        this.idleTimeoutMillis = idleTimeoutMillis;
        this.sweeper = vertx.setPeriodic(SWEEP_MILLIS, id -> sweep());
    }

    void opened(HttpConnection connection) {
        String address = String.valueOf(connection.remoteAddress().hostAddress());
        // Under the map's lock, so that nobody counts up an entry that is being removed.
        int count = perAddress.merge(address, 1, Integer::sum);
        open.put(connection, new State());
        connection.closeHandler(v -> {
            open.remove(connection);
            perAddress.computeIfPresent(address, (a, c) -> c <= 1 ? null : c - 1);
        });
        if (count > maxPerAddress || open.size() > max) {
            connection.close();
        }
    }

    void requestBegan(HttpServerRequest request) {
        State state = open.get(request.connection());
        if (state != null) {
            state.served = true;
            state.shared = request.version() == HttpVersion.HTTP_2;
            state.active.incrementAndGet();
        }
        if (draining) {
            lastRequestMillis = Clock.monotonicMillis();
        }
    }

    /** The answer has no end of its own: nobody waits for it when the node stops. */
    void streams(HttpConnection connection) {
        State state = open.get(connection);
        if (state != null) {
            state.streaming = true;
        }
    }

    void requestEnded(HttpConnection connection) {
        State state = open.get(connection);
        if (state != null) {
            state.active.decrementAndGet();
            state.streaming = false;
            state.sinceMillis = Clock.monotonicMillis();
        }
    }

    int size() {
        return open.size();
    }

    /** Whether each answer is to be the last on its connection. */
    boolean draining() {
        return draining;
    }

    /**
     * From now on each answer ends its connection. Completes when nothing has run for a moment, or after {@code maxMillis};
     * streams are cut then.
     */
    public Future<Void> drain(long maxMillis) {
        draining = true;
        long startedMillis = Clock.monotonicMillis();
        lastRequestMillis = startedMillis;
        open.forEach((connection, state) -> {
            if (state.shared) {
                connection.shutdown(Math.max(1, maxMillis), TimeUnit.MILLISECONDS);
            }
        });
        Promise<Void> done = Promise.promise();
        vertx.setPeriodic(QUIET_MILLIS / 10, id -> {
            long now = Clock.monotonicMillis();
            boolean running = open.values().stream().anyMatch(s -> s.active.get() > 0 && !s.streaming);
            if (running) {
                lastRequestMillis = now;
            }
            if (now - lastRequestMillis >= Math.min(QUIET_MILLIS, maxMillis) || now - startedMillis >= maxMillis) {
                vertx.cancelTimer(id);
                vertx.cancelTimer(sweeper);
                open.forEach((connection, state) -> {
                    if (state.streaming) {
                        connection.close();
                    }
                });
                done.complete();
            }
        });
        return done.future();
    }

    private void sweep() {
        long now = Clock.monotonicMillis();
        open.forEach((connection, state) -> {
            long limit = state.served ? idleTimeoutMillis : headerTimeoutMillis;
            if (state.active.get() == 0 && now - state.sinceMillis > limit) {
                connection.close();
            }
        });
    }
}
