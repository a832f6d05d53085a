package io.kehu.http;

import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.contract.Operation;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import java.util.HexFormat;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One request and its answer: what is known of it so far, and the one way to answer it. */
public final class Exchange {
    private static final Logger LOG = LoggerFactory.getLogger(Exchange.class);
    private static final CharSequence REQUEST_ID = HttpHeaders.createOptimized("Kehu-Request-Id");
    private static final CharSequence REPLAYED = HttpHeaders.createOptimized("Idempotency-Replayed");
    private static final CharSequence RECEIPT = HttpHeaders.createOptimized("Kehu-Receipt");
    private static final CharSequence DRY_RUN = HttpHeaders.createOptimized("Dry-Run");
    private static final CharSequence APPROVAL = HttpHeaders.createOptimized("Kehu-Approval");
    private static final CharSequence NO_STORE = HttpHeaders.createOptimized("no-store");
    private static final CharSequence JSON = HttpHeaders.createOptimized("application/json");
    private static final CharSequence NOSNIFF_HEADER = HttpHeaders.createOptimized("X-Content-Type-Options");
    private static final CharSequence NOSNIFF = HttpHeaders.createOptimized("nosniff");
    private static final CharSequence POLICY_HEADER = HttpHeaders.createOptimized("Content-Security-Policy");
    private static final CharSequence POLICY =
            HttpHeaders.createOptimized("default-src 'none'; frame-ancestors 'none'");
    private static final CharSequence REFERRER_HEADER = HttpHeaders.createOptimized("Referrer-Policy");
    private static final CharSequence REFERRER = HttpHeaders.createOptimized("no-referrer");
    /** RFC 6797; a year, as browsers' preload lists ask. */
    private static final CharSequence HSTS = HttpHeaders.createOptimized("max-age=31536000");
    /** Up to here the rest of a refused body is read and forgotten; beyond, the connection ends with the answer. */
    private static final long MAX_DRAINED_BYTES = 64 * 1024;
    /** Closing while bytes still come would reset the connection and lose the answer (RFC 9112, section 9.6). */
    private static final long LINGER_MILLIS = 1_000;

    final HttpServerRequest request;
    final String requestId;
    final String address;
    final long startedNanos = System.nanoTime();
    private final Listener listener;
    private final Connections connections;

    @Nullable
    Operation operation;

    Principal principal = Principal.ANONYMOUS;

    @Nullable
    UUID objectId;

    boolean dryRun;
    /** For answers that outlive the request: when the right to them ends, in epoch milliseconds. */
    long tokenEndsMillis;
    /** Whether a ticket stood in for the token. */
    boolean byTicket;
    /** For the same: what had been heard of changed rights before the caller was let in. */
    long heard;

    private boolean answered;
    /** Hears how each exchange ended. */
    public interface Listener {
        void ended(Exchange exchange, int status, @Nullable String code, long micros);
    }

    public Exchange(HttpServerRequest request, String address, Connections connections, Listener listener) {
        this.connections = connections;
        this.request = request;
        this.address = address;
        this.listener = listener;
        String given = request.getHeader(REQUEST_ID);
        this.requestId = given != null && isRequestId(given) ? given : newRequestId();
    }

    public HttpServerRequest request() {
        return request;
    }

    public long tokenEndsMillis() {
        return tokenEndsMillis;
    }

    public long heard() {
        return heard;
    }

    private static boolean isRequestId(String text) {
        return text.length() >= 8
                && text.length() <= 64
                && text.chars()
                        .allMatch(c ->
                                (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-');
    }

    /** Names a request in logs; nothing rests on its being unguessable. Always 32 digits, so that equal answers are equally long. */
    private static String newRequestId() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        HexFormat hex = HexFormat.of();
        return hex.toHexDigits(random.nextLong()) + hex.toHexDigits(random.nextLong());
    }

    public void answer(Reply reply) {
        if (isOver()) {
            return;
        }
        HttpServerResponse response = head();
        if (reply.receipt() != null) {
            response.putHeader(RECEIPT, reply.receipt());
        }
        if (reply.etag() != null) {
            String etag = '"' + reply.etag() + '"';
            response.putHeader(HttpHeaders.ETAG, etag);
            String known = request.getHeader(HttpHeaders.IF_NONE_MATCH);
            if (known != null && reply.status() == 200 && isAmong(known, etag) && !isCommand()) {
                response.setStatusCode(304).end();
                ended(304, null);
                return;
            }
        }
        if (reply.location() != null) {
            response.putHeader(HttpHeaders.LOCATION, reply.location());
        }
        if (reply.cookie() != null) {
            response.putHeader(HttpHeaders.SET_COOKIE, reply.cookie());
        }
        if (reply.replayed()) {
            response.putHeader(REPLAYED, "true");
        }
        if (dryRun) {
            response.putHeader(DRY_RUN, "true");
        }
        if (reply.approval() != null) {
            response.putHeader(APPROVAL, reply.approval());
        }
        response.setStatusCode(reply.status());
        if (reply.body() == null) {
            response.end();
        } else {
            if (request.method().equals(HttpMethod.HEAD)) {
                response.putHeader(
                        HttpHeaders.CONTENT_LENGTH,
                        Integer.toString(reply.body().length()));
            }
            response.putHeader(HttpHeaders.CONTENT_TYPE, JSON).end(reply.body());
        }
        ended(reply.status(), null);
    }

    /** A problem is answered as such; anything else is logged once and answered blandly. */
    public void fail(Throwable failure) {
        Problem problem = Problem.in(failure);
        if (problem == null) {
            LOG.atError()
                    .setCause(failure)
                    .addKeyValue("requestId", requestId)
                    .addKeyValue("operation", operation == null ? "none" : operation.id())
                    .log("a request failed unexpectedly");
            problem = Problem.of("server.failure");
        }
        if (isOver()) {
            return;
        }
        HttpServerResponse response = head();
        ProblemWriter.head(response, problem);
        abandonBody();
        Buffer body = ProblemWriter.body(
                problem, requestId, ProblemWriter.chinese(request.getHeader(HttpHeaders.ACCEPT_LANGUAGE)));
        response.end(body);
        ended(response.getStatusCode(), problem.code());
    }

    /** Common headers, for answers that are written elsewhere (files, streams). */
    public HttpServerResponse head() {
        HttpServerResponse response = request.response();
        response.headers()
                .set(REQUEST_ID, requestId)
                .set(HttpHeaders.CACHE_CONTROL, NO_STORE)
                .set(NOSNIFF_HEADER, NOSNIFF)
                .set(POLICY_HEADER, POLICY)
                .set(REFERRER_HEADER, REFERRER);
        if (request.isSSL()) {
            response.headers().set("Strict-Transport-Security", HSTS);
        }
        if (connections.draining()) {
            endConnection(0);
        }
        return response;
    }

    /** This answer is the last on its connection, which is closed when the caller has sent all, or after a moment. */
    public void endConnection(long lingerMillis) {
        HttpServerResponse response = request.response();
        if (request.version() == HttpVersion.HTTP_2) {
            // Others share the connection: only this stream ends, and what still comes of it is skipped.
            return;
        }
        response.putHeader(HttpHeaders.CONNECTION, HttpHeaders.CLOSE);
        response.endHandler(v -> {
            if (lingerMillis == 0 || request.isEnded()) {
                request.connection().close();
            } else {
                Vertx owner = Vertx.currentContext().owner();
                long timer =
                        owner.setTimer(lingerMillis, id -> request.connection().close());
                request.exceptionHandler(e -> {}).endHandler(end -> {
                    owner.cancelTimer(timer);
                    request.connection().close();
                });
            }
        });
    }

    public void ended(int status, @Nullable String code) {
        answered = true;
        listener.ended(this, status, code, (System.nanoTime() - startedNanos) / 1000);
    }

    public boolean isOver() {
        return answered || request.response().ended() || request.response().closed();
    }

    public boolean hasBody() {
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        return (length != null && !length.equals("0")) || request.headers().contains(HttpHeaders.TRANSFER_ENCODING);
    }

    /** What Content-Length says; the most where it says nothing, or nonsense. */
    public long declaredBytes() {
        String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        return length != null && length.matches("[0-9]{1,18}") ? Long.parseLong(length) : Long.MAX_VALUE;
    }

    private boolean isCommand() {
        return operation != null && operation.kind() == Operation.Kind.COMMAND;
    }

    /** The body of a refused request is not wanted: a short rest is skipped, a long one ends the connection. */
    private void abandonBody() {
        if (request.isEnded() || !hasBody()) {
            return;
        }
        boolean isShort = declaredBytes() <= MAX_DRAINED_BYTES;
        boolean expects = request.getHeader(HttpHeaders.EXPECT) != null;
        if (!isShort || expects) {
            endConnection(LINGER_MILLIS);
        }
        request.handler(skipped -> {});
        request.resume();
    }

    public static boolean isAmong(String header, String etag) {
        for (String candidate : header.split(",")) {
            String trimmed = candidate.trim();
            if (trimmed.equals("*") || trimmed.equals(etag) || trimmed.equals("W/" + etag)) {
                return true;
            }
        }
        return false;
    }
}
