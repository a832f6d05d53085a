package io.kehu.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Network;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.cache.RateLimit;
import io.kehu.contract.Operation;
import io.kehu.contract.Parameter;
import io.kehu.crypto.RequestSignature;
import io.vertx.core.MultiMap;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Steps 1 and 3 of a request: where it comes from, whether its head is sound, how often, and whether the caller may. */
public final class Gate {
    /** Buckets of the rate limit. */
    public static final String PER_ADDRESS = "address";

    public static final String PER_SUBJECT = "subject";

    private static final Pattern KEY = Pattern.compile("[\\x21-\\x7e]{1,200}");
    private static final Pattern ETAG = Pattern.compile("\"([0-9]{1,18})(\\.[a-z]+)?\"");

    /** The node of {@code for=} in one element of Forwarded (RFC 7239, section 6), without its port. */
    private static final Pattern FOR = Pattern.compile(
            "(?:^|;)\\s*for=(?:\"?([0-9.]+)(?::[0-9]+)?\"?|\"\\[([0-9a-f:.]+)](?::[0-9]+)?\")\\s*(?:;|$)",
            Pattern.CASE_INSENSITIVE);

    private final List<Network> trustedProxies;
    private final boolean forwarded;
    private final RateLimit rates;

    /**
     * Trusts what the named proxies say of the caller's address.
     *
     * @param trustedProxies networks in CIDR notation; only what they say of the caller's address is believed
     * @param forwarded whether they say it in Forwarded (RFC 7239) and not in X-Forwarded-For; of the two only one is
     *     read, because the other would come from the caller
     */
    public Gate(List<String> trustedProxies, boolean forwarded, RateLimit rates) {
        this.forwarded = forwarded;
        this.trustedProxies = trustedProxies.stream().map(Network::of).toList();
        this.rates = rates;
    }

    private boolean trusts(@Nullable InetAddress address) {
        return address != null && trustedProxies.stream().anyMatch(r -> r.holds(address));
    }

    /** The peer, or behind trusted proxies the last address in their header that is not one of them. */
    String address(HttpServerRequest request) {
        String peer = String.valueOf(request.remoteAddress().hostAddress());
        if (trustedProxies.isEmpty() || !trusts(Network.address(peer))) {
            return peer;
        }
        List<String> hops = new ArrayList<>();
        for (String header : request.headers().getAll(forwarded ? "Forwarded" : "X-Forwarded-For")) {
            hops.addAll(List.of(header.split(",", 32)));
        }
        if (forwarded) {
            hops.replaceAll(Gate::forwardedFor);
        }
        for (int i = hops.size() - 1; i >= 0; i--) {
            InetAddress hop = Network.address(hops.get(i).trim());
            if (hop == null) {
                return peer;
            }
            if (!trusts(hop)) {
                return hop.getHostAddress();
            }
        }
        return peer;
    }

    /** Empty where the element hides or does not name the address: then only the peer is known. */
    private static String forwardedFor(String element) {
        Matcher matcher = FOR.matcher(element);
        if (!matcher.find()) {
            return "";
        }
        return matcher.group(1) == null ? matcher.group(2) : matcher.group(1);
    }

    /** Ambiguities that proxies and servers read differently (RFC 9112, section 6.3), and attempts to change the method. */
    boolean refusesShape(HttpServerRequest request) {
        MultiMap headers = request.headers();
        return (headers.contains(HttpHeaders.TRANSFER_ENCODING)
                        && (headers.contains(HttpHeaders.CONTENT_LENGTH)
                                || !"chunked".equalsIgnoreCase(headers.get(HttpHeaders.TRANSFER_ENCODING))))
                || headers.getAll(HttpHeaders.HOST).size() > 1
                || headers.getAll(HttpHeaders.AUTHORIZATION).size() > 1;
    }

    /** Sets the headers for an allowed web origin; true for a preflight request, which is then answered. */
    boolean cors(HttpServerRequest request, List<String> origins) {
        String origin = request.getHeader(HttpHeaders.ORIGIN);
        if (origin == null || !origins.contains(origin)) {
            return false;
        }
        MultiMap headers = request.response().headers();
        headers.set(HttpHeaders.ACCESS_CONTROL_ALLOW_ORIGIN, origin)
                .set(HttpHeaders.VARY, "Origin")
                .set(HttpHeaders.ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")
                .set(
                        HttpHeaders.ACCESS_CONTROL_EXPOSE_HEADERS,
                        "ETag, Location, Kehu-Request-Id, Idempotency-Replayed, Dry-Run, Kehu-Approval, Kehu-Receipt,"
                                + " Retry-After");
        if (!request.method().equals(HttpMethod.OPTIONS)) {
            return false;
        }
        headers.set(HttpHeaders.ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE")
                .set(
                        HttpHeaders.ACCESS_CONTROL_ALLOW_HEADERS,
                        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Dry-Run, Kehu-Purpose,"
                                + " Kehu-Request-Id, Upload-Offset, Last-Event-ID")
                .set(HttpHeaders.ACCESS_CONTROL_MAX_AGE, "600");
        return true;
    }

    /** Throws {@code request.tooManyRequests} when the address asks too often. */
    void limitAddress(Exchange exchange) {
        limit(PER_ADDRESS, exchange.address);
    }

    private void limit(String bucket, String key) {
        if (!rates.tryTake(bucket, key, 1)) {
            long millis = rates.retryAfterMillis(bucket, key, 1);
            throw Problem.of("request.tooManyRequests", Long.toString(Math.max(1, (millis + 999) / 1000)));
        }
    }

    /** The bearer token; {@code auth.required} where there is none. */
    static String token(HttpServerRequest request) {
        String header = request.getHeader(HttpHeaders.AUTHORIZATION);
        if (header == null) {
            throw Problem.of("auth.required");
        }
        if (header.length() < 8 || !header.regionMatches(true, 0, "Bearer ", 0, 7)) {
            throw Problem.of("auth.tokenInvalid");
        }
        return header.substring(7);
    }

    /** What stands in for the token where no header can be sent; null where the header is there or the ticket is not. */
    static @Nullable String ticket(HttpServerRequest request) {
        return request.headers().contains(HttpHeaders.AUTHORIZATION) ? null : request.getParam("ticket");
    }

    /** Audience, address, permission, and how often one subject may ask; the freshness of the last factor comes after it. */
    void authorize(Exchange exchange, Operation operation, Principal principal) {
        if (operation.isPublic()) {
            return;
        }
        if (!operation.audience().contains(principal.audience())) {
            throw Problem.of("auth.audience");
        }
        if (!principal.mayCallFrom(exchange.address)) {
            throw Problem.of("auth.network");
        }
        if (operation.permission() != null && !principal.may(operation.permission())) {
            throw Problem.of("auth.forbidden", operation.permission());
        }
        limit(PER_SUBJECT, principal.subject().toString());
    }

    /** What of a request its sender may have to sign. */
    static RequestSignature.Request signed(HttpServerRequest request, Buffer body) {
        MultiMap headers = request.headers();
        return new RequestSignature.Request(
                request.method().name(),
                String.valueOf(request.path()),
                "?" + (request.query() == null ? "" : request.query()),
                name -> headers.getAll(name).size() == 1 ? headers.get(name) : null,
                body.getBytes());
    }

    static Call.Mode mode(HttpServerRequest request, Operation operation) {
        String value = request.getHeader("Dry-Run");
        if (value == null || value.equals("false")) {
            return Call.Mode.EXECUTE;
        }
        if (!value.equals("true")) {
            throw Problem.at("Dry-Run", "field.type", "boolean");
        }
        return operation.kind() == Operation.Kind.COMMAND ? Call.Mode.DRY_RUN : Call.Mode.EXECUTE;
    }

    static @Nullable String idempotencyKey(HttpServerRequest request, Operation operation) {
        String key = request.getHeader("Idempotency-Key");
        if (key == null) {
            if (operation.idempotency() == Operation.Idempotency.REQUIRED) {
                throw Problem.of("request.keyMissing");
            }
            return null;
        }
        if (!KEY.matcher(key).matches()) {
            throw Problem.at("Idempotency-Key", "field.pattern");
        }
        return operation.idempotency() == Operation.Idempotency.NONE ? null : key;
    }

    /** The version inside {@code If-Match}; weak tags and lists name no single version. */
    static @Nullable String ifMatch(ObjectNode params) {
        String header = params.path("If-Match").textValue();
        if (header == null) {
            return null;
        }
        var matcher = ETAG.matcher(header);
        if (!matcher.matches()) {
            throw Problem.at("If-Match", "field.pattern");
        }
        return matcher.group(1);
    }

    /** Personal data in full needs a reason that the audit can show. */
    static @Nullable String purpose(HttpServerRequest request, ObjectNode params) {
        String declared = params.path("Kehu-Purpose").textValue();
        if (params.has("unmask") && declared == null) {
            throw Problem.of("request.purposeMissing");
        }
        return declared;
    }

    /** The first id of the path: what the access log says was looked at. */
    static @Nullable UUID objectId(Operation operation, ObjectNode params) {
        for (Parameter parameter : operation.parameters()) {
            if (parameter.place() == Parameter.Place.PATH && "uuid".equals(parameter.format())) {
                return UUID.fromString(params.get(parameter.name()).textValue());
            }
        }
        return null;
    }
}
