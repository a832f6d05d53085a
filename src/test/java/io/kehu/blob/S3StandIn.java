package io.kehu.blob;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The part of S3 that Kehu uses, in memory: put, ranged get, head, delete, and multipart uploads with their rules (parts
 * of at least 5 MiB but for the last, tags that must be right). It refuses a request whose signature, body hash or host is
 * wrong, and can fail on demand.
 */
final class S3StandIn {
    private static final int LEAST_PART = 5 * 1024 * 1024;
    private static final Pattern PART = Pattern.compile("<PartNumber>(\\d+)</PartNumber><ETag>([^<]+)</ETag>");

    final Map<String, Buffer> objects = new ConcurrentHashMap<>();
    final Map<String, TreeMap<Integer, Buffer>> uploads = new ConcurrentHashMap<>();
    /** So many of the next requests answer 503. */
    final AtomicInteger failing = new AtomicInteger();
    /** So many of the next completions are done, and the answer is an error all the same. */
    final AtomicInteger swallowed = new AtomicInteger();

    final AtomicInteger refused = new AtomicInteger();

    private final S3Shelf.Options options;
    private final HttpServer server;
    private final AtomicInteger numbers = new AtomicInteger();

    private S3StandIn(HttpServer server, S3Shelf.Options options) {
        this.server = server;
        this.options = options;
    }

    static S3StandIn start(Vertx vertx) throws Exception {
        HttpServer server = vertx.createHttpServer();
        // The port is known only after the start, and a request cannot come before.
        S3StandIn[] self = new S3StandIn[1];
        server.requestHandler(request -> request.body().onSuccess(body -> self[0].handle(request, body)));
        server.listen(0, "127.0.0.1").await();
        URI endpoint = URI.create("http://127.0.0.1:" + server.actualPort());
        self[0] = new S3StandIn(
                server,
                new S3Shelf.Options(endpoint, "cn-test-1", "kehu-test", "aKey", "aSecret", 2_000, 20_000, 8, 3));
        return self[0];
    }

    S3Shelf.Options options() {
        return options;
    }

    Future<Void> close() {
        return server.close();
    }

    private void handle(HttpServerRequest request, Buffer body) {
        if (!isSigned(request, body)) {
            refused.incrementAndGet();
            answer(request, 403, "<Error><Code>SignatureDoesNotMatch</Code></Error>");
        } else if (failing.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
            answer(request, 503, "<Error><Code>SlowDown</Code></Error>");
        } else {
            String key = request.path().substring("/kehu-test/".length());
            String upload = request.getParam("uploadId");
            switch (request.method().name()) {
                case "HEAD" -> head(request, key);
                case "GET" -> get(request, key);
                case "PUT" -> {
                    if (upload == null) {
                        objects.put(key, body);
                        tagged(request, body);
                    } else {
                        part(request, upload, Integer.parseInt(request.getParam("partNumber")), body);
                    }
                }
                case "POST" -> {
                    if (upload == null) {
                        String id = "an/id+with=odd~characters&" + numbers.incrementAndGet();
                        uploads.put(id, new TreeMap<>());
                        answer(request, 200, "<R><UploadId>" + id.replace("&", "&amp;") + "</UploadId></R>");
                    } else {
                        complete(request, key, upload, body);
                    }
                }
                case "DELETE" -> {
                    if (upload == null) {
                        objects.remove(key);
                        answer(request, 204, "");
                    } else {
                        answer(request, uploads.remove(upload) == null ? 404 : 204, "");
                    }
                }
                default -> answer(request, 405, "");
            }
        }
    }

    private void head(HttpServerRequest request, String key) {
        Buffer object = objects.get(key);
        if (object == null) {
            request.response().setStatusCode(404).end();
        } else {
            request.response()
                    .putHeader("content-length", Integer.toString(object.length()))
                    .end();
        }
    }

    private void get(HttpServerRequest request, String key) {
        Buffer object = objects.get(key);
        String range = request.getHeader("range");
        if (object == null) {
            answer(request, 404, "<Error><Code>NoSuchKey</Code></Error>");
        } else if (range == null) {
            request.response().end(object);
        } else {
            String[] ends = range.substring("bytes=".length()).split("-");
            int from = Integer.parseInt(ends[0]);
            int to = Math.min(object.length(), Integer.parseInt(ends[1]) + 1);
            if (from >= object.length()) {
                answer(request, 416, "");
            } else {
                request.response().setStatusCode(206).end(object.getBuffer(from, to));
            }
        }
    }

    private void part(HttpServerRequest request, String upload, int number, Buffer body) {
        TreeMap<Integer, Buffer> parts = uploads.get(upload);
        if (parts == null) {
            answer(request, 404, "<Error><Code>NoSuchUpload</Code></Error>");
        } else {
            parts.put(number, body);
            tagged(request, body);
        }
    }

    private void complete(HttpServerRequest request, String key, String upload, Buffer body) {
        TreeMap<Integer, Buffer> parts = uploads.get(upload);
        if (parts == null) {
            answer(request, 404, "<Error><Code>NoSuchUpload</Code></Error>");
            return;
        }
        Buffer whole = Buffer.buffer();
        Matcher named = PART.matcher(body.toString());
        int count = 0;
        while (named.find()) {
            count++;
            Buffer part = parts.get(Integer.parseInt(named.group(1)));
            boolean right = part != null
                    && tag(part).equals(named.group(2).replace("&quot;", "\""))
                    && (part.length() >= LEAST_PART || count == parts.size());
            if (!right) {
                answer(request, 400, "<Error><Code>InvalidPart</Code></Error>");
                return;
            }
            whole.appendBuffer(part);
        }
        objects.put(key, whole);
        uploads.remove(upload);
        if (swallowed.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
            answer(request, 500, "<Error><Code>InternalError</Code></Error>");
        } else {
            answer(request, 200, "<CompleteMultipartUploadResult/>");
        }
    }

    private boolean isSigned(HttpServerRequest request, Buffer body) {
        String given = request.getHeader("authorization");
        String host = request.getHeader("host");
        if (given == null || !("127.0.0.1:" + server.actualPort()).equals(host)) {
            return false;
        }
        Matcher signed = Pattern.compile("SignedHeaders=([^,]+),").matcher(given);
        TreeMap<String, String> headers = new TreeMap<>();
        if (signed.find()) {
            for (String name : signed.group(1).split(";")) {
                headers.put(name, String.valueOf(request.getHeader(name)));
            }
        }
        TreeMap<String, String> query = new TreeMap<>();
        request.params().forEach(query::put);
        return S3Shelf.hex(body.getBytes()).equals(request.getHeader("x-amz-content-sha256"))
                && given.equals(
                        S3Shelf.authorization(options, request.method().name(), request.path(), query, headers));
    }

    private static void tagged(HttpServerRequest request, Buffer body) {
        request.response().putHeader("etag", tag(body)).end();
    }

    private static String tag(Buffer body) {
        return '"' + S3Shelf.hex(body.getBytes()).substring(0, 32) + '"';
    }

    private static void answer(HttpServerRequest request, int status, String text) {
        request.response().setStatusCode(status).end(Buffer.buffer(text.getBytes(StandardCharsets.UTF_8)));
    }
}
