package io.kehu.beside;

import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.event.EventLog;
import io.kehu.event.EventLog.Entry;
import io.kehu.event.EventLog.Position;
import io.kehu.event.EventLog.Stretch;
import io.kehu.event.Ticker;
import io.kehu.http.ApiVerticle;
import io.kehu.http.Authenticator;
import io.kehu.http.Exchange;
import io.vertx.core.Context;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerResponse;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Server-sent events. The node reads the log once, for all its streams; a stream is a filter, a principal and a position, and
 * what it shows is decided on facts stored in each event. A stream that starts in the past reads the log itself until it has
 * caught up with the node. It ends with its token, within a second of a revocation, and when its reader is too slow; the
 * caller goes on with {@code Last-Event-ID}.
 */
public final class EventStream implements ApiVerticle.SideDoor {
    private static final Logger LOG = LoggerFactory.getLogger(EventStream.class);
    private static final int STRETCH = 1_000;
    private static final long CHECK_MILLIS = 500;
    /** Proxies close what is silent for a minute. */
    private static final int CHECKS_PER_HEARTBEAT = 30;

    private final Vertx vertx;
    private final EventLog log;
    private final Authenticator authenticator;
    private final Options options;
    private final Set<Stream> streams = ConcurrentHashMap.newKeySet();
    private final long timer;
    /** Where the node stands; moved by one read at a time. */
    private volatile @Nullable Position tail;

    private boolean reading;
    private boolean again;

    /**
     * Bounds.
     *
     * @param pollMillis between two looks when no hint comes
     * @param maxWaiting events that may wait for one slow reader
     */
    public record Options(int pollMillis, int maxPerNode, int maxPerSubject, int maxWaiting) {}

    public EventStream(Vertx vertx, EventLog log, Authenticator authenticator, Options options) {
        this.vertx = vertx;
        this.log = log;
        this.authenticator = authenticator;
        this.options = options;
        Context context = vertx.getOrCreateContext();
        this.timer = vertx.setPeriodic(options.pollMillis(), id -> context.runOnContext(v -> look()));
        vertx.eventBus().consumer(Ticker.HINT, hint -> context.runOnContext(v -> look()));
    }

    /** Reads what is new, unless nobody listens; one read at a time, and one more if asked meanwhile. */
    private void look() {
        if (streams.isEmpty()) {
            tail = null;
            return;
        }
        if (reading) {
            again = true;
            return;
        }
        reading = true;
        Position from = tail;
        (from == null ? log.end().map(end -> new Stretch(List.of(), end, true)) : log.read(from, STRETCH))
                .onComplete(read -> {
                    reading = false;
                    if (read.failed()) {
                        LOG.warn(
                                "the event log could not be read: {}",
                                read.cause().getMessage());
                        return;
                    }
                    Stretch stretch = read.result();
                    tail = stretch.end();
                    streams.forEach(stream -> stream.context.runOnContext(v -> stream.live(from, stretch)));
                    if (again || !stretch.atEnd()) {
                        again = false;
                        look();
                    }
                });
    }

    @Override
    public void take(Exchange exchange, Call call) {
        long mine = streams.stream()
                .filter(s -> s.principal.subject().equals(call.principal().subject()))
                .count();
        if (streams.size() >= options.maxPerNode() || mine >= options.maxPerSubject()) {
            throw Problem.of("event.tooManyStreams", "5");
        }
        String after = call.text("Last-Event-ID");
        Stream stream = new Stream(exchange, call, Set.copyOf(call.list("types")));
        if (after == null) {
            log.end().onSuccess(stream::begin).onFailure(exchange::fail);
        } else {
            stream.begin(Position.of(after));
        }
    }

    /** Ends every stream: the node stops. */
    public Future<Void> close() {
        vertx.cancelTimer(timer);
        streams.forEach(stream -> stream.context.runOnContext(v -> stream.end()));
        return Future.succeededFuture();
    }

    private final class Stream {
        final Context context = vertx.getOrCreateContext();
        final Principal principal;
        private final Exchange exchange;
        private final HttpServerResponse response;
        private final Set<String> types;
        private final Deque<Entry> waiting = new ArrayDeque<>();
        private Position position = Position.START;
        private boolean caughtUp;
        private boolean over;
        private int checks;
        private long checker;

        Stream(Exchange exchange, Call call, Set<String> types) {
            this.exchange = exchange;
            this.response = exchange.request().response();
            this.principal = call.principal();
            this.types = types;
        }

        void begin(Position from) {
            position = from;
            exchange.head();
            response.setChunked(true).putHeader(HttpHeaders.CONTENT_TYPE, "text/event-stream");
            response.putHeader(HttpHeaders.CONTENT_ENCODING, HttpHeaders.IDENTITY);
            response.closeHandler(v -> forget());
            response.drainHandler(v -> drain());
            streams.add(this);
            response.write("retry: 1000\n\n");
            checker = vertx.setPeriodic(CHECK_MILLIS, id -> check());
            catchUp();
        }

        /** Reads the log by itself from its own position until there is nothing more. */
        private void catchUp() {
            log.read(position, STRETCH).onComplete(read -> {
                if (over) {
                    return;
                }
                if (read.failed()) {
                    end();
                    return;
                }
                show(read.result());
                if (!read.result().atEnd()) {
                    catchUp();
                } else {
                    caughtUp = true;
                    look();
                }
            });
        }

        /** What the node has read; a stream that is not exactly there yet reads on by itself. */
        void live(@Nullable Position from, Stretch stretch) {
            if (over || !caughtUp || stretch.end().compareTo(position) <= 0) {
                return;
            }
            if (from == null || position.compareTo(from) < 0) {
                caughtUp = false;
                catchUp();
            } else {
                show(stretch);
            }
        }

        private void show(Stretch stretch) {
            for (Entry entry : stretch.entries()) {
                if (entry.position().compareTo(position) > 0
                        && (types.isEmpty() || types.contains(entry.type()))
                        && entry.isVisibleTo(principal)) {
                    waiting.add(entry);
                }
            }
            position = stretch.end();
            drain();
            if (waiting.size() > options.maxWaiting()) {
                end();
            }
        }

        private void drain() {
            while (!over && !waiting.isEmpty() && !response.writeQueueFull()) {
                Entry entry = waiting.remove();
                response.write("id: " + entry.position() + "\nevent: " + entry.type() + "\ndata: "
                        + Json.write(entry::toJson) + "\n\n");
            }
        }

        private void check() {
            if (!authenticator.isGood(principal, exchange.tokenEndsMillis(), exchange.heard())) {
                end();
            } else if (++checks % CHECKS_PER_HEARTBEAT == 0 && !response.writeQueueFull()) {
                response.write(": here\n\n");
            }
        }

        void end() {
            if (!over) {
                forget();
                response.end();
            }
        }

        private void forget() {
            if (!over) {
                over = true;
                streams.remove(this);
                vertx.cancelTimer(checker);
                waiting.clear();
                exchange.ended(200, null);
            }
        }
    }
}
