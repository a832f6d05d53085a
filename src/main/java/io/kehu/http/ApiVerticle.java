package io.kehu.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.contract.Contract;
import io.kehu.contract.Input;
import io.kehu.contract.Operation;
import io.kehu.contract.Routes;
import io.kehu.sql.Clock;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.VerticleBase;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.KeyCertOptions;
import io.vertx.core.net.ServerSSLOptions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The public HTTP server: reads from the contract what every request is, and takes it along the way of one request (route,
 * limits, authentication, authorization, contract check, bus). Holds no code of any single endpoint.
 */
public final class ApiVerticle extends VerticleBase {
    private final Options options;
    private final Parts parts;
    private @Nullable HttpServer server;

    /**
     * How requests may come in.
     *
     * @param maxBodyMillis how long the bytes of an ordinary body may take
     * @param lastMillis how long running requests may take when the server stops
     * @param ticketStreamMillis how long a stream that was opened by a ticket may last
     * @param corsOrigins web origins that may call; none by default
     */
    public record Options(
            HttpServerOptions server,
            int maxBodyMillis,
            long lastMillis,
            long ticketStreamMillis,
            List<String> corsOrigins) {}

    /** What all instances of a node share. */
    public record Parts(
            Contract contract,
            Routes routes,
            BusBridge bridge,
            Authenticator authenticator,
            Gate gate,
            Consumer<Exchange> pages,
            AccessLog accessLog,
            Connections connections,
            Clock clock,
            Meters meters,
            Map<Operation.Kind, SideDoor> sideDoors,
            Sender files) {

        public Parts {
            for (Operation operation : contract.operations()) {
                Operation.Kind kind = operation.kind();
                boolean beside = kind == Operation.Kind.UPLOAD || kind == Operation.Kind.STREAM;
                if (beside && !sideDoors.containsKey(kind)) {
                    throw new Contract.Defective(List.of(operation.id() + ": nothing here takes an " + kind));
                }
            }
        }
    }

    /** Takes a request that moves bytes beside the bus (upload, download, stream), after everything was checked. */
    @FunctionalInterface
    public interface SideDoor {
        void take(Exchange exchange, Call call);
    }

    /** Streams a stored file as the answer. */
    @FunctionalInterface
    public interface Sender {
        void send(Exchange exchange, Reply.Download file);
    }

    /** Time per operation and status class; created once each, so that the hot path only looks up. */
    public static final class Meters {
        private final MeterRegistry registry;
        private final Map<String, Timer> timers = new ConcurrentHashMap<>();

        public Meters(MeterRegistry registry) {
            this.registry = registry;
        }

        void record(@Nullable Operation operation, int status, long micros) {
            String key = (operation == null ? "none" : operation.id()) + ' ' + status / 100;
            timers.computeIfAbsent(
                            key,
                            k -> Timer.builder("kehu.requests")
                                    .description("Answered requests")
                                    .tag("operation", operation == null ? "none" : operation.id())
                                    .tag("status", status / 100 + "xx")
                                    .serviceLevelObjectives(
                                            java.time.Duration.ofMillis(5),
                                            java.time.Duration.ofMillis(25),
                                            java.time.Duration.ofMillis(100),
                                            java.time.Duration.ofMillis(250),
                                            java.time.Duration.ofSeconds(1),
                                            java.time.Duration.ofSeconds(3))
                                    .register(registry))
                    .record(micros, TimeUnit.MICROSECONDS);
        }
    }

    public ApiVerticle(Options options, Parts parts) {
        this.options = options;
        this.parts = parts;
    }

    @Override
    public Future<?> start() {
        server = vertx.createHttpServer(options.server())
                .connectionHandler(parts.connections()::opened)
                .invalidRequestHandler(this::invalid)
                .requestHandler(this::take);
        return server.listen();
    }

    /** Serves new connections, of all instances, with another pair. */
    public Future<?> serve(KeyCertOptions pair) {
        ServerSSLOptions ssl = options.server().getSslOptions().copy().setKeyCertOptions(pair);
        return server == null ? Future.succeededFuture() : server.updateSSLOptions(ssl, true);
    }

    public int port() {
        return server == null ? -1 : server.actualPort();
    }

    /** What Netty could not read: no route, no contract, but an answer of the same form. */
    private void invalid(HttpServerRequest request) {
        Throwable cause =
                request.decoderResult() == null ? null : request.decoderResult().cause();
        String name = cause == null ? "" : cause.getClass().getSimpleName();
        Problem problem = Problem.of(
                switch (name) {
                    case "TooLongHttpLineException" -> "request.urlTooLong";
                    case "TooLongHttpHeaderException" -> "request.headersTooLarge";
                    default -> "request.malformed";
                });
        parts.connections().requestBegan(request);
        Exchange exchange = new Exchange(request, "invalid", parts.connections(), this::ended);
        exchange.endConnection(0);
        exchange.fail(problem);
    }

    private void take(HttpServerRequest request) {
        parts.connections().requestBegan(request);
        Exchange exchange = new Exchange(request, parts.gate().address(request), parts.connections(), this::ended);
        try {
            if (parts.gate().refusesShape(request)) {
                // Where one request ends and the next begins is in doubt.
                exchange.endConnection(0);
                throw Problem.of("request.malformed");
            }
            String path = request.path();
            if (path == null || !path.startsWith("/v1/")) {
                parts.pages().accept(exchange);
                return;
            }
            route(exchange, path);
        } catch (Problem problem) {
            exchange.fail(problem);
        } catch (RuntimeException e) {
            exchange.fail(e);
        }
    }

    private void route(Exchange exchange, String path) {
        HttpServerRequest request = exchange.request;
        if (parts.gate().cors(request, options.corsOrigins())) {
            exchange.head();
            request.response().setStatusCode(204).end();
            exchange.ended(204, null);
            return;
        }
        Routes.Match match = parts.routes().find(request.method().name(), path);
        if (match == null) {
            throw Problem.of("request.unknownPath");
        }
        if (match.operation() == null) {
            throw Problem.of("request.methodNotAllowed", match.allowed());
        }
        Operation operation = match.operation();
        exchange.operation = operation;
        parts.gate().limitAddress(exchange);
        // Nothing of the body is read before it is known who sends it and whether he may.
        boolean hasBody = exchange.hasBody();
        if (hasBody) {
            request.pause();
        }
        authenticate(exchange, operation)
                .compose(principal -> {
                    exchange.principal = principal;
                    parts.gate().authorize(exchange, operation, principal);
                    return parts.authenticator().proven(principal, operation.stepUpMinutes());
                })
                .compose(principal -> {
                    exchange.principal = principal;
                    ObjectNode params = Input.params(operation, match.values(), request.query(), request.headers());
                    if (operation.kind() == Operation.Kind.UPLOAD) {
                        sideDoor(exchange, call(exchange, operation, params, null));
                        return Future.succeededFuture();
                    }
                    Future<Buffer> body = hasBody
                            ? body(exchange, operation.body() == null ? 0 : operation.bodyLimitBytes())
                            : Future.succeededFuture(Buffer.buffer());
                    return body.compose(
                            bytes -> vouched(exchange, principal, bytes).map(v -> {
                                dispatch(exchange, operation, params, bytes);
                                return null;
                            }));
                })
                .onFailure(exchange::fail);
    }

    /** A ticket was asked for by a signed request, and opens one stream once. */
    private Future<Void> vouched(Exchange exchange, Principal principal, Buffer body) {
        return exchange.byTicket
                ? Future.succeededFuture()
                : parts.authenticator().vouched(principal, exchange.request, body);
    }

    private Future<Principal> authenticate(Exchange exchange, Operation operation) {
        if (operation.isPublic()) {
            return Future.succeededFuture(Principal.ANONYMOUS);
        }
        boolean stream = operation.kind() == Operation.Kind.STREAM;
        exchange.heard = parts.authenticator().heard();
        String ticket = stream ? Gate.ticket(exchange.request) : null;
        if (ticket != null) {
            exchange.byTicket = true;
            exchange.tokenEndsMillis = parts.clock().millis() + options.ticketStreamMillis();
            return parts.authenticator().redeem(ticket);
        }
        String token = Gate.token(exchange.request);
        Future<Principal> principal = parts.authenticator().authenticate(token);
        return stream
                ? principal.onSuccess(
                        p -> exchange.tokenEndsMillis = parts.authenticator().endsMillis(token))
                : principal;
    }

    private void dispatch(Exchange exchange, Operation operation, ObjectNode params, Buffer bytes) {
        ObjectNode body = Input.body(operation, bytes, exchange.request.getHeader(HttpHeaders.CONTENT_TYPE));
        Call call = call(exchange, operation, params, body);
        if (operation.kind() == Operation.Kind.STREAM) {
            sideDoor(exchange, call);
            return;
        }
        parts.bridge().call(operation, call).onComplete(done -> {
            if (done.failed()) {
                exchange.fail(done.cause());
            } else if (done.result().blob() != null) {
                parts.files().send(exchange, done.result().blob());
            } else {
                exchange.answer(done.result());
            }
        });
    }

    private void sideDoor(Exchange exchange, Call call) {
        Operation operation = exchange.operation;
        SideDoor door = operation == null ? null : parts.sideDoors().get(operation.kind());
        if (operation == null || door == null) {
            throw Problem.of("request.unavailable");
        }
        if (operation.kind() == Operation.Kind.STREAM) {
            parts.connections().streams(exchange.request.connection());
        }
        door.take(exchange, call);
    }

    private Call call(Exchange exchange, Operation operation, ObjectNode params, @Nullable ObjectNode body) {
        HttpServerRequest request = exchange.request;
        Call.Mode mode = Gate.mode(request, operation);
        exchange.dryRun = mode == Call.Mode.DRY_RUN;
        exchange.objectId = Gate.objectId(operation, params);
        return new Call(
                operation.id(),
                params,
                body,
                exchange.principal,
                mode,
                operation.lane(),
                new Call.Meta(
                        exchange.requestId,
                        Gate.idempotencyKey(request, operation),
                        Gate.ifMatch(params),
                        Gate.purpose(request, params),
                        exchange.address),
                operation.approval() == null ? null : new Call.Approval(operation.approval(), null),
                Call.deadlineIn(operation.timeoutMillis()));
    }

    /** At most {@code limitBytes}, within the time that a body may take. */
    private Future<Buffer> body(Exchange exchange, int limitBytes) {
        HttpServerRequest request = exchange.request;
        if (limitBytes == 0) {
            return Future.failedFuture(Problem.of("request.bodyUnexpected"));
        }
        if (request.headers().contains(HttpHeaders.CONTENT_LENGTH) && exchange.declaredBytes() > limitBytes) {
            return Future.failedFuture(Problem.of("request.bodyTooLarge", Integer.toString(limitBytes)));
        }
        if (request.getHeader(HttpHeaders.EXPECT) != null) {
            request.response().writeContinue();
        }
        Promise<Buffer> whole = Promise.promise();
        Buffer bytes = Buffer.buffer();
        long timer = vertx.setTimer(options.maxBodyMillis(), id -> whole.tryFail(Problem.of("request.bodyTooSlow")));
        request.exceptionHandler(e -> whole.tryFail(Problem.of("request.malformed")))
                .endHandler(v -> whole.tryComplete(bytes))
                .handler(chunk -> {
                    if (bytes.length() + chunk.length() > limitBytes) {
                        whole.tryFail(Problem.of("request.bodyTooLarge", Integer.toString(limitBytes)));
                    } else {
                        bytes.appendBuffer(chunk);
                    }
                });
        request.resume();
        return whole.future().onComplete(done -> vertx.cancelTimer(timer));
    }

    private void ended(Exchange exchange, int status, @Nullable String code, long micros) {
        parts.connections().requestEnded(exchange.request.connection());
        parts.meters().record(exchange.operation, status, micros);
        boolean refusal = status == 401 || status == 403 || status == 404 || status == 429;
        boolean read = exchange.operation != null
                && exchange.operation.kind() != Operation.Kind.COMMAND
                && !exchange.operation.isPublic();
        if (refusal || read) {
            parts.accessLog()
                    .add(new AccessLog.Entry(
                            parts.clock().millis(),
                            exchange.requestId,
                            exchange.principal.subject(),
                            exchange.principal.session(),
                            exchange.address,
                            exchange.operation == null ? "none" : exchange.operation.id(),
                            exchange.objectId,
                            status,
                            code,
                            micros));
        }
    }

    /** Takes no new connection, lets running requests end, then closes the rest. */
    @Override
    public Future<?> stop() {
        return server == null ? Future.succeededFuture() : server.shutdown(options.lastMillis(), TimeUnit.MILLISECONDS);
    }
}
