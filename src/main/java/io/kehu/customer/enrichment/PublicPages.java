package io.kehu.customer.enrichment;

import io.kehu.bus.Problem;
import io.kehu.job.JobRun;
import io.kehu.outgoing.Outgoing;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fetches single pages of the servers that the bank allows, one after the other per server and as its robots.txt lets. Where
 * that cannot be read nothing is fetched; one that is not there allows all (RFC 9309, 2.3.1). Addresses, redirects, time and
 * length are {@link Outgoing}'s.
 */
final class PublicPages {
    private static final Logger LOG = LoggerFactory.getLogger(PublicPages.class);
    private static final int MINUTE_MILLIS = 60_000;
    /** A server in trouble is asked again soon. */
    private static final int TROUBLE_SECONDS = 300;

    private final Vertx vertx;
    private final Outgoing outgoing;
    private final HostStore hosts;
    private final Options options;

    /**
     * What is allowed.
     *
     * @param hosts servers, with a port where it is not 443
     * @param userAgent its first word is the product token
     */
    record Options(Set<String> hosts, String userAgent, int perHostPerMinute, int waitMillis, int robotsMinutes) {
        String token() {
            return userAgent.split("[^A-Za-z_-]", 2)[0];
        }
    }

    PublicPages(Vertx vertx, Outgoing outgoing, HostStore hosts, Options options) {
        this.vertx = vertx;
        this.outgoing = outgoing;
        this.hosts = hosts;
        this.options = options;
    }

    /** Fails with {@code enrichment.hostNotAllowed}. */
    void mustBeAllowed(String host) {
        if (!options.hosts.contains(host)) {
            throw Problem.of("enrichment.hostNotAllowed");
        }
    }

    /**
     * The body of a page. Fails with {@code enrichment.hostNotAllowed}, {@code enrichment.robotsDisallow}, {@code
     * enrichment.fetchFailed}, and {@code server.busy} where others wait for the same server.
     */
    Future<Buffer> get(JobRun run, String host, String target) {
        mustBeAllowed(host);
        URI uri;
        try {
            uri = URI.create("https://" + host + target);
        } catch (IllegalArgumentException e) {
            return Future.failedFuture(Problem.of("enrichment.fetchFailed", "the address"));
        }
        return turn(run, host)
                .compose(v -> robots(run, host))
                .compose(rules -> run.compute(() -> rules.allows(target)))
                .compose(allowed -> allowed
                        ? send(uri, "application/json")
                        : Future.failedFuture(Problem.of("enrichment.robotsDisallow")))
                .compose(answer -> answer.status() == 200
                        ? Future.succeededFuture(answer.body())
                        : Future.failedFuture(Problem.of("enrichment.fetchFailed", Integer.toString(answer.status()))));
    }

    private Future<?> turn(JobRun run, String host) {
        return hosts.turn(run.call(), host, MINUTE_MILLIS / options.perHostPerMinute, options.waitMillis)
                .compose(wait -> {
                    if (wait.isEmpty()) {
                        return Future.failedFuture(Problem.of("server.busy"));
                    }
                    return wait.get() == 0 ? Future.succeededFuture() : vertx.timer(wait.get());
                });
    }

    private Future<RobotsRules> robots(JobRun run, String host) {
        return hosts.robots(run.call(), host)
                .compose(known -> known.isPresent() ? Future.succeededFuture(known.get()) : asked(run, host));
    }

    private Future<RobotsRules> asked(JobRun run, String host) {
        return send(URI.create("https://" + host + "/robots.txt"), "text/plain")
                .map(Optional::of)
                .recover(unreachable -> {
                    LOG.info("the robots.txt of {} could not be read: {}", host, unreachable.getMessage());
                    return Future.succeededFuture(Optional.empty());
                })
                .compose(answer -> run.compute(() -> answer.map(this::read).orElse(RobotsRules.CLOSED)))
                .compose(rules -> hosts.keep(
                                run.call(),
                                host,
                                rules,
                                rules.equals(RobotsRules.CLOSED) ? TROUBLE_SECONDS : options.robotsMinutes * 60)
                        .map(rules));
    }

    private RobotsRules read(Outgoing.Answer answer) {
        return switch (answer.status() / 100) {
            case 2 -> RobotsRules.parse(answer.body().toString(StandardCharsets.UTF_8), options.token());
            case 4 -> RobotsRules.OPEN;
            default -> RobotsRules.CLOSED;
        };
    }

    private Future<Outgoing.Answer> send(URI uri, String accept) {
        return outgoing.send(HttpMethod.GET, uri, Map.of("User-Agent", options.userAgent, "Accept", accept), null)
                .recover(failure -> Future.failedFuture(Problem.of(
                        "enrichment.fetchFailed",
                        failure instanceof Outgoing.Refused ? String.valueOf(failure.getMessage()) : "no connection")));
    }
}
