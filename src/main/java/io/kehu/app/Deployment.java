package io.kehu.app;

import com.hazelcast.config.Config;
import com.hazelcast.config.JoinConfig;
import io.kehu.blob.BlobStore;
import io.kehu.blob.Blobs;
import io.kehu.blob.S3Shelf;
import io.kehu.bus.Call;
import io.kehu.bus.Domain;
import io.kehu.bus.Kernel;
import io.kehu.bus.Operations;
import io.kehu.cache.Cache;
import io.kehu.cache.RateLimit;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Signer;
import io.kehu.crypto.Vault;
import io.kehu.event.EventLog;
import io.kehu.event.Ticker;
import io.kehu.http.AccessLog;
import io.kehu.http.ApiVerticle;
import io.kehu.http.Authenticator;
import io.kehu.http.BusBridge;
import io.kehu.http.Connections;
import io.kehu.http.Contract;
import io.kehu.http.EventStream;
import io.kehu.http.Gate;
import io.kehu.http.Management;
import io.kehu.http.Operation;
import io.kehu.http.Pages;
import io.kehu.http.Revocations;
import io.kehu.http.Routes;
import io.kehu.http.Transfers;
import io.kehu.job.Jobs;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.net.PemKeyCertOptions;
import io.vertx.micrometer.MicrometerMetricsFactory;
import io.vertx.micrometer.MicrometerMetricsOptions;
import io.vertx.spi.cluster.hazelcast.ConfigUtil;
import io.vertx.spi.cluster.hazelcast.HazelcastClusterManager;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** One running node: which parts it is made of, and the order in which they start and stop. */
public final class Deployment {
    private static final int LOOPS = 2 * Runtime.getRuntime().availableProcessors();
    private static final int VERIFIED_ADDRESSES = 100_000;
    /** Threads that encrypt files: a core's worth and one to wait for the disk. */
    private static final int BLOB_WORKERS = 2;
    /** Each upload under way holds about 15 MB. */
    private static final int MAX_APPENDS = 8;
    /** A part of an upload is 5 MB; within these an S3 service in the same region has answered or is away. */
    private static final long S3_CONNECT_MILLIS = 2_000;

    private static final long S3_MILLIS = 30_000;
    private static final int S3_CONNECTIONS = 16;
    private static final int S3_ATTEMPTS = 4;

    private final Vertx vertx;
    private final Settings settings;
    private final PrometheusMeterRegistry metrics;
    private final List<Supplier<Future<?>>> closers = new ArrayList<>();
    private final List<String> greeting = new CopyOnWriteArrayList<>();
    private volatile boolean accepting;
    private @Nullable Management management;
    private @Nullable ApiVerticle firstApi;

    private Deployment(Vertx vertx, Settings settings, PrometheusMeterRegistry metrics) {
        this.vertx = vertx;
        this.settings = settings;
        this.metrics = metrics;
    }

    /** Starts everything this node runs; the servers named by the settings are there and migrated. */
    public static Future<Deployment> start(Settings settings) {
        PrometheusMeterRegistry metrics = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        return vertx(settings, metrics).compose(vertx -> {
            Deployment deployment = new Deployment(vertx, settings, metrics);
            // Not composed with what ran on the event loops: those are gone when a failed start has been cleaned up.
            Promise<Deployment> started = Promise.promise();
            deployment
                    .run()
                    .onSuccess(v -> started.complete(deployment))
                    .onFailure(failure -> deployment.stop().onComplete(stopped -> started.fail(failure)));
            return started.future();
        });
    }

    public int httpPort() {
        return firstApi == null ? -1 : firstApi.port();
    }

    public int managementPort() {
        return management == null ? -1 : management.port();
    }

    /** Lines for the console that only demo mode has. */
    public List<String> greeting() {
        return List.copyOf(greeting);
    }

    /** Says "not ready" first, lets running requests end, then closes everything, last started first. */
    public Future<Void> stop() {
        accepting = false;
        Future<?> closing = Future.succeededFuture();
        for (int i = closers.size() - 1; i >= 0; i--) {
            Supplier<Future<?>> closer = closers.get(i);
            closing = closing.transform(before -> closer.get());
        }
        return closing.transform(closed -> vertx.close());
    }

    private Future<Void> run() {
        Contract contract = Contract.load(settings.calls().defaultTimeoutMillis());
        KeyStore keys = KeyStore.openOrCreate(settings.keys().folder(), !settings.production());
        Vault vault = new Vault(keys, settings.vault().rememberedKeys());
        Database database = new Database(
                vertx,
                database(settings.postgresql()),
                new Database.Answers(b -> vault.sealSystem("answer", b), b -> vault.openSystem("answer", b)));
        closers.add(database::close);
        Clock clock = new Clock();
        EventLog events = new EventLog(database);
        Blobs blobs = new Blobs(
                vertx,
                database,
                files(vertx, settings.blob()),
                vault,
                new Blobs.Options(
                        settings.blob().unclaimedMinutes(), settings.jobs().leaseMillis()));
        closers.add(blobs::close);
        blobs.start();
        Jobs jobs = new Jobs(vertx, database, blobs, jobs(settings));
        closers.add(jobs::close);
        return Cache.open(vertx, cache(settings))
                .compose(cache -> {
                    closers.add(cache::close);
                    RateLimit rates = rates(settings.rate(), cache, vault);
                    Kernel kernel =
                            new Kernel(vertx, database, clock, keys, vault, rates, events, blobs, jobs, settings::at);
                    return domains(kernel).compose(v -> {
                        startTicker(database);
                        jobs.start(settings.node()::runs);
                        return settings.node().http()
                                ? http(contract, kernel, cache)
                                : manage(database, Map.of("redis", cache));
                    });
                })
                .onSuccess(v -> accepting = true);
    }

    private void startTicker(Database database) {
        Ticker ticker = new Ticker(
                vertx,
                database,
                settings.events().tickMillis(),
                settings.calls().idempotencyHours());
        closers.add(() -> {
            ticker.stop();
            return Future.succeededFuture();
        });
    }

    /** Serves the domains that this node is to run. */
    private Future<Void> domains(Kernel kernel) {
        Future<Void> served = Future.succeededFuture();
        for (Domain domain : ServiceLoader.load(Domain.class)) {
            Operations operations = domain.operations(kernel);
            if (settings.node().runs(operations.address().split("\\.", 2)[0])) {
                served = served.compose(v -> domain.prepare(kernel))
                        .recover(Deployment::inOneLine)
                        .compose(lines -> {
                            greeting.addAll(lines);
                            return vertx.deployVerticle(context -> operations.serve(vertx));
                        })
                        .mapEmpty();
            }
        }
        return served;
    }

    private static Future<List<String>> inOneLine(Throwable failure) {
        return Future.failedFuture(
                failure instanceof Domain.Unfit ? new StartFailure(String.valueOf(failure.getMessage())) : failure);
    }

    private Future<Void> http(Contract contract, Kernel kernel, Cache cache) {
        Database database = kernel.database();
        Clock clock = kernel.clock();
        Settings.Auth auth = settings.auth();
        Revocations revocations = new Revocations(
                vertx, database, clock, Duration.ofMinutes(auth.accessMinutes()).toMillis());
        closers.add(() -> {
            revocations.stop();
            return Future.succeededFuture();
        });
        Authenticator authenticator = new Authenticator(
                vertx,
                database,
                clock,
                new Signer(kernel.keys(), "kehu"),
                revocations,
                new Authenticator.Options(auth.verifiedTokens(), auth.signatureWorkers(), auth.signatureQueue()));
        closers.add(authenticator::close);
        AccessLog accessLog = new AccessLog(
                vertx,
                database,
                settings.audit().accessLogFlushMillis(),
                settings.audit().accessLogQueue());
        closers.add(accessLog::close);
        Settings.Events events = settings.events();
        EventStream streams = new EventStream(
                vertx,
                kernel.events(),
                authenticator,
                new EventStream.Options(
                        events.pollMillis(),
                        events.streamMaxPerNode(),
                        events.streamMaxPerSubject(),
                        events.streamQueue()));
        closers.add(streams::close);
        Settings.Http http = settings.http();
        Transfers transfers = new Transfers(vertx, kernel.blobs(), http.minUploadBytesPerSecond());
        Connections connections = new Connections(
                vertx,
                http.maxConnections(),
                http.maxConnectionsPerAddress(),
                http.headerTimeoutMillis(),
                http.idleTimeoutMillis());
        ApiVerticle.Parts parts = new ApiVerticle.Parts(
                contract,
                new Routes(contract.operations()),
                new BusBridge(vertx, settings.calls().maxInFlight()),
                authenticator,
                new Gate(http.trustedProxies(), kernel.rates()),
                new Pages(contract),
                accessLog,
                connections,
                clock,
                new ApiVerticle.Meters(metrics),
                Map.of(Operation.Kind.STREAM, streams, Operation.Kind.UPLOAD, transfers),
                transfers);
        ApiVerticle.Options options = new ApiVerticle.Options(
                api(http),
                http.bodyTimeoutMillis(),
                http.drainMillis() / 2,
                Duration.ofMinutes(auth.accessMinutes()).toMillis(),
                http.corsOrigins());
        return revocations
                .start(auth.revocationPollMillis())
                .compose(v -> manage(database, Map.of("redis", cache)))
                .compose(v -> listen(options, parts));
    }

    private Future<Void> listen(ApiVerticle.Options options, ApiVerticle.Parts parts) {
        List<ApiVerticle> instances = new CopyOnWriteArrayList<>();
        return vertx.deployVerticle(
                        () -> {
                            ApiVerticle instance = new ApiVerticle(options, parts);
                            instances.add(instance);
                            return instance;
                        },
                        new DeploymentOptions().setInstances(LOOPS))
                .map(id -> {
                    firstApi = instances.get(0);
                    // Half of the time for those who still come, half for those who are being served.
                    closers.add(() -> parts.connections()
                            .drain(settings.http().drainMillis() / 2)
                            .compose(v -> vertx.undeploy(id)));
                    return null;
                });
    }

    private Future<Void> manage(Database database, Map<String, Cache> helpers) {
        Settings.Http http = settings.http();
        Map<String, java.util.function.BooleanSupplier> shown = new LinkedHashMap<>();
        helpers.forEach((name, cache) -> shown.put(name, cache::up));
        Management server = new Management(
                new HttpServerOptions().setHost(http.managementHost()).setPort(http.managementPort()),
                database,
                metrics,
                () -> accepting,
                shown);
        management = server;
        return vertx.deployVerticle(server).mapEmpty();
    }

    private static BlobStore files(Vertx vertx, Settings.Blob from) {
        BlobStore.Options options = new BlobStore.Options(BLOB_WORKERS, MAX_APPENDS);
        if (from.kind() == Settings.BlobKind.LOCAL) {
            return BlobStore.inFolder(vertx, options, from.folder());
        }
        Settings.S3 s3 = from.s3();
        S3Shelf.Options bucket = new S3Shelf.Options(
                URI.create(s3.endpoint()),
                s3.region(),
                s3.bucket(),
                s3.accessKey(),
                s3.secretKey(),
                S3_CONNECT_MILLIS,
                S3_MILLIS,
                S3_CONNECTIONS,
                S3_ATTEMPTS);
        return BlobStore.inS3(vertx, options, bucket, InstantSource.system());
    }

    private static Jobs.Options jobs(Settings settings) {
        Settings.Jobs from = settings.jobs();
        return new Jobs.Options(
                settings.node().name(),
                from.workers(),
                from.leaseMillis(),
                from.heartbeatMillis(),
                from.pollMillis(),
                from.renderWorkers(),
                from.renderQueue());
    }

    private static Database.Options database(Settings.Postgresql from) {
        return new Database.Options(
                from.uri(),
                Map.of(
                        Call.Lane.POINT, lane(from, from.point()),
                        Call.Lane.SEARCH, lane(from, from.search()),
                        Call.Lane.HEAVY, lane(from, from.heavy()),
                        Call.Lane.JOB, lane(from, from.job())),
                from.lockTimeoutMillis(),
                from.idleInTransactionMillis());
    }

    private static Database.Lane lane(Settings.Postgresql from, Settings.Pool pool) {
        return new Database.Lane(pool.size(), pool.maxWaiting(), from.connectMillis(), pool.statementTimeoutMillis());
    }

    private static Cache.Options cache(Settings settings) {
        Cache.Options usual = Cache.Options.of(settings.redis().uri());
        return new Cache.Options(
                settings.redis().uri(),
                settings.redis().poolSize(),
                settings.redis().maxWaiting(),
                settings.redis().timeoutMillis(),
                usual.connectTimeoutMillis(),
                usual.pauseMillis(),
                settings.cache().maxEntryBytes(),
                usual.nearEntries(),
                usual.nearMillis());
    }

    private static RateLimit rates(Settings.Rate rate, Cache cache, Vault vault) {
        Map<String, RateLimit.Limit> limits = new LinkedHashMap<>();
        limits.put(RateLimit.LOGIN_PER_ADDRESS, perMinute(rate.loginPerAddressPerMinute()));
        limits.put(RateLimit.LOGIN, perMinute(rate.loginPerMinute()));
        limits.put(Gate.PER_ADDRESS, perSecond(rate.perAddressPerSecond(), rate.burstSeconds()));
        limits.put(Gate.PER_SUBJECT, perSecond(rate.perSubjectPerSecond(), rate.burstSeconds()));
        return new RateLimit(
                cache, limits, vault.hmac("rate", "keys".getBytes(StandardCharsets.US_ASCII)), VERIFIED_ADDRESSES);
    }

    private static RateLimit.Limit perMinute(int permits) {
        return new RateLimit.Limit(permits, permits, Duration.ofMinutes(1));
    }

    private static RateLimit.Limit perSecond(int permits, int burstSeconds) {
        return new RateLimit.Limit(Math.min(1_000_000, permits * burstSeconds), permits, Duration.ofSeconds(1));
    }

    private static HttpServerOptions api(Settings.Http http) {
        HttpServerOptions options = new HttpServerOptions()
                .setHost(http.host())
                // Vert.x shares one free port among the instances of a deployment when asked with a negative number.
                .setPort(http.port() == 0 ? -1 : http.port())
                .setHttp2ClearTextEnabled(false)
                .setMaxHeaderSize(http.maxHeaderBytes())
                .setMaxInitialLineLength(http.maxUrlBytes())
                .setDecompressionSupported(false)
                .setCompressionSupported(true)
                .setCompressionContentSizeThreshold(http.gzipAboveBytes())
                .setHandle100ContinueAutomatically(false)
                .setIdleTimeoutUnit(TimeUnit.MILLISECONDS)
                .setIdleTimeout(http.idleTimeoutMillis());
        if (http.tls().enabled()) {
            options.setSsl(true)
                    .setUseAlpn(true)
                    .setKeyCertOptions(new PemKeyCertOptions()
                            .setCertPath(http.tls().certificate())
                            .setKeyPath(http.tls().key()));
        }
        return options;
    }

    private static Future<Vertx> vertx(Settings settings, MeterRegistry metrics) {
        VertxOptions options = new VertxOptions()
                .setEventLoopPoolSize(LOOPS)
                .setMetricsOptions(new MicrometerMetricsOptions()
                        .setEnabled(true)
                        .addDisabledMetricsCategory(io.vertx.micrometer.MetricsDomain.HTTP_SERVER)
                        .addDisabledMetricsCategory(io.vertx.micrometer.MetricsDomain.NET_SERVER)
                        .addDisabledMetricsCategory(io.vertx.micrometer.MetricsDomain.EVENT_BUS)
                        .addDisabledMetricsCategory(io.vertx.micrometer.MetricsDomain.NET_CLIENT));
        options.getFileSystemOptions().setFileCachingEnabled(false).setClassPathResolvingEnabled(false);
        var builder = Vertx.builder().with(options).withMetrics(new MicrometerMetricsFactory(metrics));
        if (!settings.cluster().enabled()) {
            return Future.succeededFuture(builder.build());
        }
        options.getEventBusOptions().setHost(settings.cluster().host());
        return builder.withClusterManager(new HazelcastClusterManager(hazelcast(settings.cluster())))
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
}
