package io.kehu.blob;

import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Objects in a bucket of anything that speaks the S3 API (Amazon S3, MinIO, Ceph), addressed by path:
 * {@code <endpoint>/<bucket>/ab/<id>}. A unit is a part of a multipart upload; an object of one unit or less is put in one
 * request. The draft, with the bytes that are too few for a part, is an object of its own, {@code <id>.draft}, and not a
 * local file: so an upload may resume on any node, and nodes need no disk.
 *
 * <p>A creation whose answer is lost leaves an empty multipart upload behind; give the bucket a lifecycle rule
 * {@code AbortIncompleteMultipartUpload} of a few days.
 *
 * <p>Requests carry AWS Signature Version 4 over all headers we set and the hash of the body (Amazon S3 API Reference,
 * "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk").
 */
public final class S3Shelf implements BlobStore.Shelf {
    private static final Logger LOG = LoggerFactory.getLogger(S3Shelf.class);
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final Pattern UPLOAD_ID = Pattern.compile("<UploadId>([^<]{1,1024})</UploadId>");
    /** A draft is one open unit and up to 10,000 tags of about 40 bytes. */
    private static final int DRAFT_LIMIT = BlobStore.UNIT + 1_048_576;
    /** Answers that are no content: small XML documents. */
    private static final int XML_LIMIT = 65_536;
    /** First pause before another attempt, doubled for each further one. */
    private static final long BACKOFF_MILLIS = 100;

    /**
     * Which bucket, as whom, and how patiently.
     *
     * @param endpoint scheme, host and port, e.g. {@code https://s3.cn-north-1.amazonaws.com.cn}
     * @param bucket exists already
     * @param timeoutMillis for one attempt, connection included
     * @param connections at the same time; twice as many requests may wait for one
     * @param attempts per request, at least 1; only failures that may pass are tried again
     */
    public record Options(
            URI endpoint,
            String region,
            String bucket,
            String accessKey,
            String secretKey,
            long connectTimeoutMillis,
            long timeoutMillis,
            int connections,
            int attempts) {
        public Options {
            if (!bucket.matches("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")) {
                throw new IllegalArgumentException("not a bucket name");
            }
            if (!"https".equals(endpoint.getScheme()) && !"http".equals(endpoint.getScheme())) {
                throw new IllegalArgumentException("the endpoint is not http or https");
            }
        }

        @Override
        public String toString() {
            return "S3 " + endpoint + " " + bucket; // never the keys
        }
    }

    private record Ask(
            HttpMethod method,
            String path,
            SortedMap<String, String> query,
            Map<String, String> headers,
            Buffer body,
            int limit,
            Set<Integer> accepted) {}

    private record Answer(int status, String etag, long length, Buffer body) {}

    private final Vertx vertx;
    private final WorkerExecutor workers;
    private final Options options;
    private final InstantSource time;
    private final HttpClient client;
    private final String authority;
    private final boolean tls;
    private final int port;

    S3Shelf(Vertx vertx, WorkerExecutor workers, Options options, InstantSource time) {
        this.vertx = vertx;
        this.workers = workers;
        this.options = options;
        this.time = time;
        URI endpoint = options.endpoint;
        this.tls = "https".equals(endpoint.getScheme());
        int usual = tls ? 443 : 80;
        this.port = endpoint.getPort() < 0 ? usual : endpoint.getPort();
        this.authority = port == usual ? endpoint.getHost() : endpoint.getHost() + ":" + port;
        this.client = vertx.httpClientBuilder()
                .with(new HttpClientOptions().setConnectTimeout((int) options.connectTimeoutMillis))
                .with(new PoolOptions()
                        .setHttp1MaxSize(options.connections)
                        .setMaxWaitQueueSize(2 * options.connections))
                .build();
    }

    @Override
    public Future<byte[]> draft(UUID id) {
        return send(HttpMethod.GET, path(id) + ".draft", Map.of(), Map.of(), BlobStore.NOTHING, DRAFT_LIMIT, 200, 404)
                .map(answer -> answer.status == 404 ? BlobStore.NOTHING : answer.body.getBytes());
    }

    @Override
    public Future<Void> saveDraft(UUID id, byte[] draft) {
        return send(HttpMethod.PUT, path(id) + ".draft", Map.of(), Map.of(), draft, XML_LIMIT, 200)
                .mapEmpty();
    }

    @Override
    public Future<Void> dropDraft(UUID id) {
        return remove(path(id) + ".draft", Map.of());
    }

    @Override
    public Future<String> begin(UUID id) {
        return send(HttpMethod.POST, path(id), Map.of("uploads", ""), Map.of(), BlobStore.NOTHING, XML_LIMIT, 200)
                .map(answer -> {
                    Matcher found = UPLOAD_ID.matcher(answer.body.toString());
                    if (!found.find()) {
                        throw unavailable("no upload id in the answer");
                    }
                    return found.group(1).replace("&amp;", "&");
                });
    }

    @Override
    public int unitsPerDraft() {
        return 1;
    }

    @Override
    public Future<String> put(UUID id, String handle, int unit, byte[] bytes) {
        Map<String, String> query = Map.of("partNumber", Integer.toString(unit + 1), "uploadId", handle);
        return send(HttpMethod.PUT, path(id), query, Map.of(), bytes, XML_LIMIT, 200)
                .map(Answer::etag);
    }

    @Override
    public Future<Void> complete(UUID id, String handle, List<String> tags, byte[] last) {
        if (tags.isEmpty()) {
            return send(HttpMethod.PUT, path(id), Map.of(), Map.of(), last, XML_LIMIT, 200)
                    .mapEmpty();
        }
        return length(id)
                .compose(length -> length != BlobStore.ABSENT // an earlier attempt came through
                        ? Future.succeededFuture()
                        : put(id, handle, tags.size(), last).compose(tag -> assemble(id, handle, tags, tag)));
    }

    private Future<Void> assemble(UUID id, String handle, List<String> tags, String lastTag) {
        StringBuilder xml = new StringBuilder("<CompleteMultipartUpload>");
        for (int i = 0; i <= tags.size(); i++) {
            String tag = i < tags.size() ? tags.get(i) : lastTag;
            xml.append("<Part><PartNumber>").append(i + 1).append("</PartNumber><ETag>");
            xml.append(tag.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;"));
            xml.append("</ETag></Part>");
        }
        byte[] body = xml.append("</CompleteMultipartUpload>").toString().getBytes(StandardCharsets.UTF_8);
        return send(HttpMethod.POST, path(id), Map.of("uploadId", handle), Map.of(), body, XML_LIMIT, 200, 404)
                .compose(answer -> {
                    // S3 may begin to answer 200 before it knows and then send an error document. 404: a repeated
                    // request whose first went through has no upload any more. Only the object tells, both times.
                    if (answer.status == 200 && !answer.body.toString().contains("<Error>")) {
                        return Future.succeededFuture();
                    }
                    return length(id)
                            .compose(length -> length != BlobStore.ABSENT
                                    ? Future.succeededFuture()
                                    : Future.failedFuture(unavailable("the parts were not put together")));
                });
    }

    @Override
    public Future<Long> length(UUID id) {
        return send(HttpMethod.HEAD, path(id), Map.of(), Map.of(), BlobStore.NOTHING, 0, 200, 404)
                .map(answer -> answer.status == 404 ? BlobStore.ABSENT : answer.length);
    }

    @Override
    public Future<byte[]> get(UUID id, long from, int length) {
        Map<String, String> range = Map.of("range", "bytes=" + from + "-" + (from + length - 1));
        return send(HttpMethod.GET, path(id), Map.of(), range, BlobStore.NOTHING, length, 206, 404, 416)
                .map(answer -> {
                    if (answer.status == 404) {
                        throw Problem.of("blob.missing");
                    }
                    if (answer.status == 416 || answer.body.length() != length) {
                        throw Problem.of("blob.damaged"); // shorter than a moment ago
                    }
                    return answer.body.getBytes();
                });
    }

    @Override
    public Future<Void> delete(UUID id, String handle) {
        Future<Void> parts = handle.isEmpty() ? Future.succeededFuture() : remove(path(id), Map.of("uploadId", handle));
        // The draft last: it alone knows the handle, should one of the others fail.
        return parts.compose(v -> remove(path(id), Map.of())).compose(v -> dropDraft(id));
    }

    @Override
    public Future<Void> close() {
        return client.close();
    }

    private Future<Void> remove(String path, Map<String, String> query) {
        return send(HttpMethod.DELETE, path, query, Map.of(), BlobStore.NOTHING, XML_LIMIT, 200, 204, 404)
                .mapEmpty();
    }

    private String path(UUID id) {
        String name = id.toString();
        return "/" + options.bucket + "/" + name.substring(name.length() - 2) + "/" + name;
    }

    private Future<Answer> send(
            HttpMethod method,
            String path,
            Map<String, String> query,
            Map<String, String> headers,
            byte[] body,
            int limit,
            Integer... accepted) {
        Ask ask = new Ask(method, path, new TreeMap<>(query), headers, Buffer.buffer(body), limit, Set.of(accepted));
        // Hashing 5 MB takes milliseconds: not on an event loop.
        Future<String> hash = body.length == 0
                ? Future.succeededFuture(hex(BlobStore.NOTHING))
                : workers.executeBlocking(() -> hex(body), false);
        return hash.compose(sha256 -> attempt(ask, sha256, 1));
    }

    private Future<Answer> attempt(Ask ask, String sha256, int number) {
        return once(ask, sha256).transform((answer, failure) -> {
            if (answer != null && ask.accepted.contains(answer.status)) {
                return Future.succeededFuture(answer);
            }
            boolean mayPass = answer == null || answer.status >= 500 || answer.status == 429;
            if (mayPass && number < options.attempts) {
                long pause = BACKOFF_MILLIS << Math.min(number - 1, 6);
                return vertx.timer(pause + ThreadLocalRandom.current().nextLong(pause), TimeUnit.MILLISECONDS)
                        .compose(v -> attempt(ask, sha256, number + 1));
            }
            return Future.failedFuture(
                    unavailable(answer != null ? ask.method + " answered " + answer.status : String.valueOf(failure)));
        });
    }

    private Future<Answer> once(Ask ask, String sha256) {
        SortedMap<String, String> headers = new TreeMap<>(ask.headers);
        headers.put("host", authority);
        headers.put("x-amz-date", TIME.format(time.instant()));
        headers.put("x-amz-content-sha256", sha256);
        String uri = ask.query.isEmpty() ? ask.path : ask.path + "?" + joined(ask.query);
        RequestOptions to = new RequestOptions()
                .setMethod(ask.method)
                .setHost(options.endpoint.getHost())
                .setPort(port)
                .setSsl(tls)
                .setURI(uri)
                .setConnectTimeout(options.connectTimeoutMillis)
                .setIdleTimeout(options.timeoutMillis);
        headers.forEach(to::putHeader);
        to.putHeader("authorization", authorization(options, ask.method.name(), ask.path, ask.query, headers));
        return client.request(to)
                .compose(request -> request.send(ask.body)
                        .compose(response -> collect(request, response, ask))
                        .timeout(options.timeoutMillis, TimeUnit.MILLISECONDS)
                        .onFailure(failure -> request.reset()));
    }

    /** The answer with its body, which is never longer than what was asked for. */
    private static Future<Answer> collect(HttpClientRequest request, HttpClientResponse response, Ask ask) {
        Promise<Answer> done = Promise.promise();
        Buffer body = Buffer.buffer();
        // The answer to a refusal is a small document, whatever was asked for.
        int limit = Math.max(ask.limit, XML_LIMIT);
        response.exceptionHandler(done::tryFail)
                .endHandler(v -> {
                    String length = response.getHeader("content-length");
                    String etag = response.getHeader("etag");
                    done.tryComplete(new Answer(
                            response.statusCode(),
                            etag == null ? "" : etag,
                            length == null ? BlobStore.ABSENT : Long.parseLong(length),
                            body));
                })
                .handler(bytes -> {
                    if (body.length() + bytes.length() > limit) {
                        done.tryFail("the answer is longer than asked for");
                        request.reset();
                    } else {
                        body.appendBuffer(bytes);
                    }
                });
        return done.future();
    }

    private static Problem unavailable(String why) {
        LOG.error("the S3 storage does not work: {}", why);
        return Problem.of("blob.unavailable");
    }

    /**
     * The Authorization header of a request.
     *
     * @param path percent-encoded already
     * @param headers all that are signed, names in lower case, among them host, x-amz-date and x-amz-content-sha256
     */
    static String authorization(
            Options options,
            String method,
            String path,
            SortedMap<String, String> query,
            SortedMap<String, String> headers) {
        String signed = String.join(";", headers.keySet());
        String listed = headers.entrySet().stream()
                .map(header -> header.getKey() + ":" + header.getValue().strip() + "\n")
                .collect(Collectors.joining());
        String time = headers.getOrDefault("x-amz-date", "");
        String day = time.substring(0, 8);
        String scope = day + "/" + options.region + "/s3/aws4_request";
        String canonical = String.join(
                "\n", method, path, joined(query), listed, signed, headers.getOrDefault("x-amz-content-sha256", ""));
        String toSign =
                String.join("\n", "AWS4-HMAC-SHA256", time, scope, hex(canonical.getBytes(StandardCharsets.UTF_8)));
        byte[] key = ("AWS4" + options.secretKey).getBytes(StandardCharsets.UTF_8);
        for (String step : List.of(day, options.region, "s3", "aws4_request")) {
            key = hmac(key, step);
        }
        return "AWS4-HMAC-SHA256 Credential=" + options.accessKey + "/" + scope + ",SignedHeaders=" + signed
                + ",Signature=" + HexFormat.of().formatHex(hmac(key, toSign));
    }

    /** The query in canonical form, which is also the form that is sent: sorted, each name with a value. */
    private static String joined(SortedMap<String, String> query) {
        return query.entrySet().stream()
                .map(part -> encoded(part.getKey()) + "=" + encoded(part.getValue()))
                .collect(Collectors.joining("&"));
    }

    /** RFC 3986: all but unreserved characters as %XX; Java's own encoding is that of forms. */
    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8)
                .replace("+", "%20")
                .replace("*", "%2A")
                .replace("%7E", "~");
    }

    static String hex(byte[] body) {
        return HexFormat.of().formatHex(Sha256.start().digest(body));
    }

    private static byte[] hmac(byte[] key, String text) {
        return Sha256.mac(key).doFinal(text.getBytes(StandardCharsets.UTF_8));
    }
}
