package io.kehu.outgoing;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Network;
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
import io.vertx.core.net.PemTrustOptions;
import io.vertx.core.net.SocketAddress;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Calls servers of others so that nobody can make it call ours (safety.md 8): only https to allowed ports; a name is resolved
 * once, every address it has must lie in public space or in a network that the settings name, and the connection goes to the
 * very address that was checked; no redirect is followed; time and length of the answer are bounded.
 */
public final class Outgoing {
    /** Special-purpose ranges (RFC 6890 and the IANA registries), where no public server is. */
    private static final List<Network> CLOSED = networks(
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20");
    /** Of IPv6 only this is given out as global unicast; all else is local, mapped, translated or reserved. */
    private static final Network GLOBAL = Network.of("2000::/3");
    /**
     * A DNS name whose last label begins with a letter. What ends in a number is an address to some resolvers ({@code 127.1},
     * {@code 0x7f.1}, {@code 2130706433}), and so it is none to us.
     */
    private static final Pattern NAME = Pattern.compile(
            "(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", Pattern.CASE_INSENSITIVE);

    private static final int NAME_MAX = 253;
    private static final int HTTPS = 443;
    private static final int RESOLVERS = 2;
    private static final int CONNECTIONS = 16;
    private static final int MAX_WAITING = 100;

    private final Vertx vertx;
    private final Options options;
    private final HttpClient client;
    private final WorkerExecutor resolvers;

    /**
     * What may be called, and how much of an answer is taken.
     *
     * @param networks private ones that may be called all the same
     * @param ports that may be called
     * @param trust PEM file with the authorities whose certificates count, or empty for those of Java
     * @param timeoutMillis for the whole call, from the look-up of the name to the last byte
     * @param maxBytes of the body of an answer
     */
    public record Options(List<Network> networks, Set<Integer> ports, String trust, int timeoutMillis, int maxBytes) {
        /** From the group {@code outgoing} of the settings. */
        public static Options of(Function<String, JsonNode> settings) {
            Set<Integer> ports = new HashSet<>();
            settings.apply("outgoing.ports").forEach(port -> ports.add(port.asInt()));
            List<Network> networks = new ArrayList<>();
            settings.apply("outgoing.networks").forEach(network -> networks.add(Network.of(network.asText())));
            return new Options(
                    networks,
                    ports,
                    settings.apply("outgoing.trust").asText(),
                    settings.apply("outgoing.timeoutMillis").asInt(),
                    settings.apply("outgoing.maxBytes").asInt());
        }
    }

    /** What came back; never a redirect. */
    public record Answer(int status, Buffer body) {}

    /** The call was not made, or its answer not taken. The message says why, without the address or anything of the answer. */
    public static final class Refused extends RuntimeException {
        Refused(String why) {
            super(why, null, false, false);
        }
    }

    /** A checked target. */
    private record Target(URI uri, String host, int port) {}

    public Outgoing(Vertx vertx, Options options) {
        this.vertx = vertx;
        this.options = options;
        // No connection is kept: the next call may be to another address, and there are not many.
        HttpClientOptions client = new HttpClientOptions()
                .setKeepAlive(false)
                .setConnectTimeout(options.timeoutMillis)
                .setDecompressionSupported(false);
        if (!options.trust.isEmpty()) {
            client.setTrustOptions(new PemTrustOptions().addCertPath(options.trust));
        }
        this.client = vertx.createHttpClient(
                client, new PoolOptions().setHttp1MaxSize(CONNECTIONS).setMaxWaitQueueSize(MAX_WAITING));
        this.resolvers = vertx.createSharedWorkerExecutor("kehu-resolve", RESOLVERS);
    }

    private static List<Network> networks(String... ranges) {
        return Stream.of(ranges).map(Network::of).toList();
    }

    public Future<Answer> get(URI uri) {
        return send(HttpMethod.GET, uri, Map.of(), null);
    }

    /**
     * Sends one request. Fails with {@link Refused} where it may not be made, where the answer is a redirect, too long or too
     * late, and with what the connection failed with.
     */
    public Future<Answer> send(HttpMethod method, URI uri, Map<String, String> headers, @Nullable Buffer body) {
        Promise<Answer> end = Promise.promise();
        long timer = vertx.setTimer(options.timeoutMillis, id -> end.tryFail(new Refused("no answer in time")));
        target(uri)
                .compose(target -> resolve(target.host)
                        .compose(address -> client.request(request(method, target, address)))
                        .compose(request -> {
                            // Whoever is out of time takes the connection with him.
                            end.future().onFailure(late -> request.reset());
                            headers.forEach(request::putHeader);
                            return exchange(request, body);
                        }))
                .onSuccess(end::tryComplete)
                .onFailure(end::tryFail);
        return end.future().onComplete(done -> vertx.cancelTimer(timer));
    }

    private Future<Target> target(URI uri) {
        String host = uri.getHost();
        int port = uri.getPort() < 0 ? HTTPS : uri.getPort();
        if (!"https".equalsIgnoreCase(uri.getScheme())) {
            return Future.failedFuture(new Refused("not https"));
        }
        if (host == null || uri.getRawUserInfo() != null || uri.getRawFragment() != null) {
            return Future.failedFuture(new Refused("not a plain address of a server"));
        }
        if (!options.ports.contains(port)) {
            return Future.failedFuture(new Refused("a port that is not allowed"));
        }
        boolean bracketed = host.startsWith("[") && host.endsWith("]");
        return Future.succeededFuture(new Target(uri, bracketed ? host.substring(1, host.length() - 1) : host, port));
    }

    private Future<InetAddress> resolve(String host) {
        InetAddress written = Network.address(host);
        if (written != null) {
            return checked(List.of(written));
        }
        if (host.length() > NAME_MAX || !NAME.matcher(host).matches()) {
            return Future.failedFuture(new Refused("not a name of a server"));
        }
        return resolvers
                .executeBlocking(() -> List.of(InetAddress.getAllByName(host.toLowerCase(Locale.ROOT))), false)
                .recover(unknown -> Future.failedFuture(new Refused("the name is not known")))
                .compose(this::checked);
    }

    private Future<InetAddress> checked(List<InetAddress> addresses) {
        return addresses.stream().allMatch(this::isOpen)
                ? Future.succeededFuture(addresses.get(0))
                : Future.failedFuture(new Refused("an address that is not public"));
    }

    private boolean isOpen(InetAddress address) {
        boolean six = address.getAddress().length > 4;
        return options.networks.stream().anyMatch(network -> network.holds(address))
                || ((!six || GLOBAL.holds(address)) && CLOSED.stream().noneMatch(network -> network.holds(address)));
    }

    private static RequestOptions request(HttpMethod method, Target target, InetAddress address) {
        String path = target.uri.getRawPath();
        String query = target.uri.getRawQuery();
        return new RequestOptions()
                .setMethod(method)
                .setServer(SocketAddress.inetSocketAddress(new InetSocketAddress(address, target.port)))
                .setHost(target.host)
                .setPort(target.port)
                .setSsl(true)
                .setFollowRedirects(false)
                .setURI((path == null || path.isEmpty() ? "/" : path) + (query == null ? "" : "?" + query));
    }

    private Future<Answer> exchange(HttpClientRequest request, @Nullable Buffer body) {
        return (body == null ? request.send() : request.send(body)).compose(response -> {
            if (response.statusCode() / 100 == 3) {
                response.exceptionHandler(reset -> {});
                request.reset();
                return Future.failedFuture(new Refused("a redirect"));
            }
            return collect(request, response).map(bytes -> new Answer(response.statusCode(), bytes));
        });
    }

    private Future<Buffer> collect(HttpClientRequest request, HttpClientResponse response) {
        Promise<Buffer> whole = Promise.promise();
        Buffer bytes = Buffer.buffer();
        response.exceptionHandler(whole::tryFail)
                .endHandler(v -> whole.tryComplete(bytes))
                .handler(chunk -> {
                    if (bytes.length() + chunk.length() > options.maxBytes) {
                        whole.tryFail(new Refused("too long an answer"));
                        request.reset();
                    } else {
                        bytes.appendBuffer(chunk);
                    }
                });
        return whole.future();
    }
}
