package io.kehu.app;

import com.hazelcast.config.Config;
import com.hazelcast.config.JoinConfig;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.spi.cluster.hazelcast.ConfigUtil;
import io.vertx.spi.cluster.hazelcast.HazelcastClusterManager;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** One running node: its Vert.x, its servers, in the order in which they start and stop. */
public final class Deployment {
    private final Vertx vertx;
    private final Settings settings;
    private volatile boolean ready;
    private int httpPort;
    private int managementPort;

    private Deployment(Vertx vertx, Settings settings) {
        this.vertx = vertx;
        this.settings = settings;
    }

    /** Starts everything this node runs; the servers named by the settings are there and migrated. */
    public static Future<Deployment> start(Settings settings) {
        return vertx(settings).compose(vertx -> {
            Deployment deployment = new Deployment(vertx, settings);
            return deployment
                    .listen()
                    .map(deployment)
                    .recover(failure -> vertx.close().transform(closed -> Future.failedFuture(failure)));
        });
    }

    public int httpPort() {
        return httpPort;
    }

    public int managementPort() {
        return managementPort;
    }

    /** Lines for the console that only demo mode has. */
    public List<String> greeting() {
        return List.of();
    }

    /** Says "not ready" first, lets running requests end, then closes everything. */
    public Future<Void> stop() {
        ready = false;
        return vertx.close();
    }

    private static Future<Vertx> vertx(Settings settings) {
        VertxOptions options = new VertxOptions();
        options.getFileSystemOptions().setFileCachingEnabled(false).setClassPathResolvingEnabled(false);
        if (!settings.cluster().enabled()) {
            return Future.succeededFuture(Vertx.vertx(options));
        }
        options.getEventBusOptions().setHost(settings.cluster().host());
        return Vertx.builder()
                .with(options)
                .withClusterManager(new HazelcastClusterManager(hazelcast(settings.cluster())))
                .buildClustered();
    }

    /** Members are named, never searched for; nothing is reported to anybody; we stop it, not its own hook. */
    private static Config hazelcast(Settings.Cluster cluster) {
        Config config = ConfigUtil.loadConfig();
        config.setClusterName(cluster.name());
        config.setProperty("hazelcast.logging.type", "slf4j");
        config.setProperty("hazelcast.phone.home.enabled", "false");
        config.setProperty("hazelcast.shutdownhook.enabled", "false");
        config.setProperty("hazelcast.wait.seconds.before.join", "0");
        config.getNetworkConfig()
                .setPort(cluster.port())
                .setPortAutoIncrement(false)
                .setPublicAddress(cluster.host() + ":" + cluster.port());
        config.getNetworkConfig().getInterfaces().setEnabled(true).addInterface(cluster.host());
        JoinConfig join = config.getNetworkConfig().getJoin();
        join.getAutoDetectionConfig().setEnabled(false);
        join.getMulticastConfig().setEnabled(false);
        join.getTcpIpConfig().setEnabled(true).setMembers(cluster.members());
        return config;
    }

    private Future<Void> listen() {
        Settings.Http http = settings.http();
        HttpServer management = vertx.createHttpServer(options(http.managementHost(), http.managementPort()))
                .requestHandler(this::health);
        HttpServer api = vertx.createHttpServer(options(http.host(), http.port()))
                .requestHandler(request -> request.response().setStatusCode(404).end());
        return management
                .listen()
                .compose(listening -> {
                    managementPort = listening.actualPort();
                    return api.listen();
                })
                .map(listening -> {
                    httpPort = listening.actualPort();
                    ready = true;
                    return null;
                });
    }

    private HttpServerOptions options(String host, int port) {
        return new HttpServerOptions()
                .setHost(host)
                .setPort(port)
                .setHttp2ClearTextEnabled(false)
                .setIdleTimeoutUnit(TimeUnit.MILLISECONDS)
                .setIdleTimeout(settings.http().idleTimeoutMillis());
    }

    private void health(HttpServerRequest request) {
        int status = switch (request.path()) {
            case "/health/live" -> 200;
            case "/health/ready" -> ready ? 200 : 503;
            default -> 404;
        };
        request.response()
                .setStatusCode(status)
                .putHeader("content-type", "application/json")
                .putHeader("cache-control", "no-store")
                .end(status == 404 ? "{}" : "{\"status\":\"" + (status == 200 ? "UP" : "DOWN") + "\"}");
    }
}
