package io.kehu.beside;

import io.kehu.blob.Blobs;
import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.http.ApiVerticle;
import io.kehu.http.Exchange;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Files in and out, beside the bus: from the socket to the store and back, at the pace of the slower one. */
public final class Transfers implements ApiVerticle.SideDoor, ApiVerticle.Sender {
    private static final Logger LOG = LoggerFactory.getLogger(Transfers.class);
    private static final CharSequence UPLOAD_OFFSET = HttpHeaders.createOptimized("Upload-Offset");
    private static final CharSequence CONTENT_DISPOSITION = HttpHeaders.createOptimized("Content-Disposition");
    private static final Pattern RANGE = Pattern.compile("bytes=([0-9]{0,18})-([0-9]{0,18})");
    /** Seconds of the asked speed that an upload may be behind: connections begin slowly and mobile ones pause. */
    private static final int GRACE_SECONDS = 5;

    private static final long TICK_MILLIS = 500;

    private final Vertx vertx;
    private final Blobs blobs;
    private final int minBytesPerSecond;

    /**
     * Moves files.
     *
     * @param minBytesPerSecond a caller who sends more slowly is cut off
     */
    public Transfers(Vertx vertx, Blobs blobs, int minBytesPerSecond) {
        this.vertx = vertx;
        this.blobs = blobs;
        this.minBytesPerSecond = minBytesPerSecond;
    }

    // ---- in

    /** {@code PUT /v1/uploads/{uploadId}}: raw bytes from {@code Upload-Offset} on. Answers how many are there now. */
    @Override
    public void take(Exchange exchange, Call call) {
        HttpServerRequest request = exchange.request();
        if (request.response().closed()) {
            exchange.fail(Problem.of("request.malformed"));
            return;
        }
        boolean hasBody = exchange.hasBody();
        String announced = request.getHeader(HttpHeaders.CONTENT_LENGTH);
        if (announced != null && !announced.matches("[0-9]{1,18}")) {
            throw Problem.of("request.malformed");
        }
        long length = !hasBody ? 0 : announced == null ? -1 : Long.parseLong(announced);
        // Deaf requests lose their end: the handlers are there before anything asynchronous.
        Inflow source = new Inflow(hasBody ? request : null);
        blobs.receive(
                        call.id("uploadId"),
                        call.principal(),
                        call.params().path("Upload-Offset").asLong(0),
                        length,
                        source,
                        () -> {
                            if (request.getHeader(HttpHeaders.EXPECT) != null) {
                                request.response().writeContinue();
                            }
                        })
                .onComplete(done -> {
                    source.end();
                    if (done.succeeded()) {
                        long stored = done.result();
                        request.response().putHeader(UPLOAD_OFFSET, Long.toString(stored));
                        exchange.answer(Reply.ok(json -> {
                            json.writeStartObject();
                            json.writeStringField("id", call.id("uploadId").toString());
                            json.writeNumberField("received", stored);
                            json.writeEndObject();
                        }));
                    } else {
                        refuse(exchange, done.cause());
                    }
                });
    }

    private static void refuse(Exchange exchange, Throwable failure) {
        Problem problem = Problem.in(failure);
        if (problem != null && problem.code().equals("upload.offset") && !exchange.isOver()) {
            exchange.request()
                    .response()
                    .putHeader(UPLOAD_OFFSET, problem.args().get(0));
        }
        // A connection that went away is nobody's fault and hears no answer.
        exchange.fail(
                problem == null && exchange.request().response().closed() ? Problem.of("request.malformed") : failure);
    }

    /** A request's bytes that can be watched and broken off. Bytes that come too slowly while they are wanted break it off. */
    private final class Inflow implements Blobs.Source {
        private final @Nullable HttpServerRequest request;
        private @Nullable Handler<Buffer> handler;
        private @Nullable Handler<Void> endHandler;
        private @Nullable Handler<Throwable> exceptionHandler;
        private @Nullable Throwable failure;
        private boolean over;
        private boolean wanted;
        private long credit = (long) minBytesPerSecond * GRACE_SECONDS;
        private final long timer;

        Inflow(@Nullable HttpServerRequest request) {
            this.request = request;
            if (request != null) {
                request.pause()
                        .exceptionHandler(this::breakOff)
                        .endHandler(v -> {
                            over = true;
                            if (endHandler != null) {
                                endHandler.handle(null);
                            }
                        })
                        .handler(this::bytes);
            }
            timer = vertx.setPeriodic(TICK_MILLIS, t -> tick());
        }

        private void bytes(Buffer bytes) {
            credit = Math.min(credit + bytes.length(), (long) minBytesPerSecond * GRACE_SECONDS);
            if (handler != null) {
                handler.handle(bytes);
            }
        }

        private void tick() {
            if (wanted && !over) {
                credit -= minBytesPerSecond * TICK_MILLIS / 1000;
                if (credit < 0) {
                    breakOff(Problem.of("request.bodyTooSlow"));
                }
            }
        }

        void end() {
            vertx.cancelTimer(timer);
        }

        @Override
        public void breakOff(Throwable cause) {
            if (over) {
                return;
            }
            over = true;
            failure = cause;
            if (exceptionHandler != null) {
                exceptionHandler.handle(cause);
            }
        }

        @Override
        public Inflow exceptionHandler(@Nullable Handler<Throwable> to) {
            exceptionHandler = to;
            if (to != null && failure != null) {
                to.handle(failure);
            }
            return this;
        }

        @Override
        public Inflow handler(@Nullable Handler<Buffer> to) {
            handler = to;
            return this;
        }

        @Override
        public Inflow endHandler(@Nullable Handler<Void> to) {
            endHandler = to;
            return this;
        }

        @Override
        public Inflow pause() {
            wanted = false;
            if (request != null) {
                request.pause();
            }
            return this;
        }

        @Override
        public Inflow resume() {
            return fetch(Long.MAX_VALUE);
        }

        @Override
        public Inflow fetch(long amount) {
            wanted = true;
            if (request != null) {
                request.fetch(amount);
            }
            return this;
        }
    }

    // ---- out

    /** The part of a file that is asked for. */
    private record Part(long from, long length, boolean isWhole) {}

    @Override
    public void send(Exchange exchange, Reply.Download file) {
        blobs.open(Call.Lane.POINT, file.blobId())
                .compose(readable -> stream(exchange, file, readable))
                .onFailure(failure -> {
                    if (exchange.isOver() || exchange.request().response().headWritten()) {
                        // The head said 200: only a broken connection says that the rest is missing.
                        LOG.warn("a download broke off: {}", failure.getMessage());
                        exchange.request().connection().close();
                    } else {
                        exchange.fail(failure);
                    }
                });
    }

    private static Future<Void> stream(Exchange exchange, Reply.Download file, Blobs.Content readable) {
        if (exchange.isOver()) {
            return Future.succeededFuture();
        }
        HttpServerRequest request = exchange.request();
        Blobs.Facts facts = readable.facts();
        String etag = "\"" + String.valueOf(facts.sha256()).substring(0, 32) + '"';
        HttpServerResponse response = exchange.head();
        response.headers()
                .set(HttpHeaders.ETAG, etag)
                .set(HttpHeaders.ACCEPT_RANGES, "bytes")
                // Ranges are of the bytes as they are, and files rarely shrink further.
                .set(HttpHeaders.CONTENT_ENCODING, HttpHeaders.IDENTITY);
        String known = request.getHeader(HttpHeaders.IF_NONE_MATCH);
        if (known != null && Exchange.isAmong(known, etag)) {
            response.setStatusCode(304);
            exchange.ended(304, null);
            return response.end();
        }
        Part part = part(request, etag, facts.size());
        if (part == null) {
            response.putHeader(HttpHeaders.CONTENT_RANGE, "bytes */" + facts.size());
            response.headers().remove(HttpHeaders.CONTENT_ENCODING).remove(HttpHeaders.ETAG);
            return Future.failedFuture(Problem.of("blob.range", Long.toString(facts.size())));
        }
        response.headers()
                .set(HttpHeaders.CONTENT_TYPE, file.contentType())
                .set(HttpHeaders.CONTENT_LENGTH, Long.toString(part.length))
                .set(CONTENT_DISPOSITION, disposition(file.name()));
        int status = part.isWhole ? 200 : 206;
        if (!part.isWhole) {
            response.putHeader(
                    HttpHeaders.CONTENT_RANGE,
                    "bytes " + part.from + '-' + (part.from + part.length - 1) + '/' + facts.size());
        }
        response.setStatusCode(status);
        return readable.read(part.from, part.length).pipeTo(response).onSuccess(v -> exchange.ended(status, null));
    }

    /**
     * One range (RFC 9110, section 14); null where it lies behind the end. Several ranges, other units and a range of another
     * version of the file ({@code If-Range}) are answered with the whole, as the standard allows.
     */
    private static @Nullable Part part(HttpServerRequest request, String etag, long size) {
        Part whole = new Part(0, size, true);
        String header = request.getHeader("Range");
        String version = request.getHeader("If-Range");
        if (header == null || (version != null && !version.equals(etag))) {
            return whole;
        }
        Matcher range = RANGE.matcher(header);
        if (!range.matches() || header.length() == "bytes=-".length()) {
            return whole;
        }
        if (range.group(1).isEmpty()) {
            long tail = Math.min(size, Long.parseLong(range.group(2)));
            return tail == 0 ? null : new Part(size - tail, tail, false);
        }
        long from = Long.parseLong(range.group(1));
        long to = range.group(2).isEmpty() ? size - 1 : Math.min(size - 1, Long.parseLong(range.group(2)));
        if (from >= size) {
            return null;
        }
        return to < from ? whole : new Part(from, to - from + 1, false);
    }

    /** RFC 6266: a plain name for old clients, and the true one as RFC 8187 writes it. */
    static String disposition(String name) {
        StringBuilder plain = new StringBuilder();
        StringBuilder coded = new StringBuilder();
        name.codePoints()
                .forEach(c ->
                        plain.appendCodePoint(c > 0x1f && c < 0x7f && c != '"' && c != '\\' && c != '%' ? c : '_'));
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            boolean bare = (b >= '0' && b <= '9')
                    || (b >= 'a' && b <= 'z')
                    || (b >= 'A' && b <= 'Z')
                    || ".-_~".indexOf(b) >= 0;
            if (bare) {
                coded.append((char) b);
            } else {
                coded.append('%')
                        .append(Character.toUpperCase(Character.forDigit(b >> 4 & 15, 16)))
                        .append(Character.toUpperCase(Character.forDigit(b & 15, 16)));
            }
        }
        return "attachment; filename=\"" + plain + "\"; filename*=UTF-8''" + coded;
    }
}
