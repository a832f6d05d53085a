package io.kehu.outgoing;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Problem;
import io.kehu.sql.Clock;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.OffsetDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The way by which a one-time code reaches a phone, for every domain that sends one. */
public interface CodeChannel {
    /** Whether codes can be sent at all. Fails with {@code code.channelMissing} where not, before anything is begun. */
    Future<Void> ready();

    /**
     * Sends a code.
     *
     * @param about what it is for, e.g. {@code registration}
     * @param id of that thing
     * @param phone in E.164
     */
    Future<Void> send(String about, UUID id, String phone, String code);

    /** What was sent last by this node, newest first, where codes are shown to whoever asks; empty elsewhere. */
    Optional<List<Sent>> inbox();

    /** A code that was sent. */
    record Sent(String about, UUID id, String phone, String code, OffsetDateTime at) {
        @Override
        public String toString() {
            return "Sent[" + about + " " + id + "]";
        }
    }

    /**
     * The gateway that the settings name. Without one, demo and test mode show codes instead of sending them, and production
     * has no channel.
     */
    static CodeChannel of(boolean production, Vertx vertx, Clock clock, Function<String, JsonNode> settings) {
        String uri = settings.apply("codes.gateway").asText();
        if (!uri.isEmpty()) {
            return new CodeGateway(
                    new Outgoing(vertx, Outgoing.Options.of(settings)),
                    URI.create(uri),
                    settings.apply("codes.gatewaySecret").asText(),
                    clock);
        }
        return of(production, clock);
    }

    /** The same where no gateway is named. */
    static CodeChannel of(boolean production, Clock clock) {
        return production ? new None() : new Shown(clock);
    }

    /** Writes codes into the log and an inbox, which only demo and test mode may. */
    final class Shown implements CodeChannel {
        private static final Logger LOG = LoggerFactory.getLogger(CodeChannel.class);
        private static final int KEPT = 100;

        private final Clock clock;
        private final Deque<Sent> newest = new ArrayDeque<>();

        Shown(Clock clock) {
            this.clock = clock;
        }

        @Override
        public Future<Void> ready() {
            return Future.succeededFuture();
        }

        @Override
        public Future<Void> send(String about, UUID id, String phone, String code) {
            synchronized (newest) {
                newest.addFirst(new Sent(about, id, phone, code, clock.now()));
                if (newest.size() > KEPT) {
                    newest.removeLast();
                }
            }
            LOG.atInfo()
                    .addKeyValue("about", about)
                    .addKeyValue("id", id)
                    .addKeyValue("code", code)
                    .log("a code that would be sent in production");
            return Future.succeededFuture();
        }

        @Override
        public Optional<List<Sent>> inbox() {
            synchronized (newest) {
                return Optional.of(new ArrayList<>(newest));
            }
        }
    }

    /** No way at all. */
    final class None implements CodeChannel {
        @Override
        public Future<Void> ready() {
            return Future.failedFuture(Problem.of("code.channelMissing"));
        }

        @Override
        public Future<Void> send(String about, UUID id, String phone, String code) {
            return ready();
        }

        @Override
        public Optional<List<Sent>> inbox() {
            return Optional.empty();
        }
    }
}
