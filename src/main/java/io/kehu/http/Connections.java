package io.kehu.http;

import io.vertx.core.Vertx;
import io.vertx.core.http.HttpConnection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Bounds on connections that a request handler never sees: how many one address may hold, and how long one may take to send
 * a request's head. (A server's idle timeout does not end a connection that drips a byte every few seconds.)
 */
public final class Connections {
    private static final long SWEEP_MILLIS = 1_000;

    private final int maxPerAddress;
    private final long headerTimeoutMillis;
    private final long idleTimeoutMillis;
    private final Map<String, Integer> perAddress = new ConcurrentHashMap<>();
    private final Map<HttpConnection, State> open = new ConcurrentHashMap<>();

    private static final class State {
        volatile long sinceMillis = System.currentTimeMillis();
        volatile boolean served;
        final AtomicInteger active = new AtomicInteger();
    }

    public Connections(Vertx vertx, int maxPerAddress, long headerTimeoutMillis, long idleTimeoutMillis) {
        this.maxPerAddress = maxPerAddress;
        this.headerTimeoutMillis = headerTimeoutMillis;
        this.idleTimeoutMillis = idleTimeoutMillis;
        vertx.setPeriodic(SWEEP_MILLIS, id -> sweep());
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
        if (count > maxPerAddress) {
            connection.close();
        }
    }

    void requestBegan(HttpConnection connection) {
        State state = open.get(connection);
        if (state != null) {
            state.served = true;
            state.active.incrementAndGet();
        }
    }

    void requestEnded(HttpConnection connection) {
        State state = open.get(connection);
        if (state != null) {
            state.active.decrementAndGet();
            state.sinceMillis = System.currentTimeMillis();
        }
    }

    int size() {
        return open.size();
    }

    private void sweep() {
        long now = System.currentTimeMillis();
        open.forEach((connection, state) -> {
            long limit = state.served ? idleTimeoutMillis : headerTimeoutMillis;
            if (state.active.get() == 0 && now - state.sinceMillis > limit) {
                connection.close();
            }
        });
    }
}
