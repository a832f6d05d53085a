package io.kehu.app;

import com.hazelcast.config.Config;
import com.hazelcast.config.JoinConfig;
import io.kehu.blob.BlobStore;
import io.kehu.blob.S3Shelf;
import io.kehu.bus.Call;
import io.kehu.cache.Cache;
import io.kehu.cache.RateLimit;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Vault;
import io.kehu.http.Gate;
import io.kehu.job.Jobs;
import io.kehu.job.KeyRotation;
import io.kehu.job.SigningRotation;
import io.kehu.kernel.Kernel;
import io.kehu.sql.Database;
import io.micrometer.core.instrument.MeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.micrometer.MicrometerMetricsFactory;
import io.vertx.micrometer.MicrometerMetricsOptions;
import io.vertx.spi.cluster.hazelcast.ConfigUtil;
import io.vertx.spi.cluster.hazelcast.HazelcastClusterManager;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** From settings to the options of each part; the parts themselves know nothing of the settings file. */
final class Options {
    private static final int COUNTED_KEYS = 100_000;
    /** Threads that encrypt files: a core's worth and one to wait for the disk. */
    private static final int BLOB_WORKERS = 2;
    /** Each upload under way holds about 15 MB. */
    private static final int MAX_APPENDS = 8;
    /** A part of an upload is 5 MB; within these an S3 service in the same region has answered or is away. */
    private static final long S3_CONNECT_MILLIS = 2_000;

    private static final long S3_MILLIS = 30_000;
    private static final int S3_CONNECTIONS = 16;
    private static final int S3_ATTEMPTS = 4;

    /** After which a silent member is left out, so that no more calls are sent to it; a pause of its memory is shorter. */
    private static final String SILENT_SECONDS = "15";
    /** How often members that lost each other look whether they can be one cluster again; five minutes if left alone. */
    private static final String MERGE_SECONDS = "10";

    private Options() {}

    static BlobStore files(Vertx vertx, Settings.Blob from) {
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

    static Jobs.Options jobs(Settings settings) {
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

    static KeyRotation rotation(Kernel kernel, Settings settings) {
        return new KeyRotation(
                kernel.vertx(),
                kernel.database(),
                kernel.keys(),
                kernel.vault(),
                kernel.jobs(),
                new KeyRotation.Options(
                        settings.jobs().chunkRows(), settings.keys().reloadMillis()));
    }

    static SigningRotation signing(Kernel kernel, Settings settings) {
        return new SigningRotation(
                kernel.vertx(),
                kernel.database(),
                kernel.keys(),
                new SigningRotation.Options(
                        settings.keys().reloadMillis(),
                        settings.keys().jwksSeconds(),
                        settings.auth().accessMinutes() * 60));
    }

    static Database.Options database(Settings.Postgresql from) {
        return new Database.Options(
                from.uri(),
                Map.of(
                        Call.Lane.POINT, lane(from, from.point()),
                        Call.Lane.SEARCH, lane(from, from.search()),
                        Call.Lane.HEAVY, lane(from, from.heavy()),
                        Call.Lane.JOB, lane(from, from.job())),
                from.lockTimeoutMillis(),
                from.idleInTransactionMillis(),
                from.cachedStatements());
    }

    private static Database.Lane lane(Settings.Postgresql from, Settings.Pool pool) {
        return new Database.Lane(pool.size(), pool.maxWaiting(), from.connectMillis(), pool.statementTimeoutMillis());
    }

    static Cache.Options cache(Settings settings) {
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

    static Passwords.Options passwords(Settings.Auth from) {
        return new Passwords.Options(
                from.argon2MemoryKib(), from.hashWorkers(), from.hashesPerSecond(), from.hashQueue());
    }

    static RateLimit rates(Settings.Rate rate, Cache cache, Vault vault) {
        Map<String, RateLimit.Limit> limits = new LinkedHashMap<>();
        limits.put(RateLimit.LOGIN_PER_ADDRESS, perMinute(rate.loginPerAddressPerMinute()));
        limits.put(RateLimit.LOGIN, perMinute(rate.loginPerMinute()));
        limits.put(Gate.PER_ADDRESS, perSecond(rate.perAddressPerSecond(), rate.burstSeconds()));
        limits.put(Gate.PER_SUBJECT, perSecond(rate.perSubjectPerSecond(), rate.burstSeconds()));
        return new RateLimit(
                cache, limits, vault.hmac("rate", "keys".getBytes(StandardCharsets.US_ASCII)), COUNTED_KEYS);
    }

    private static RateLimit.Limit perMinute(int permits) {
        return new RateLimit.Limit(permits, permits, Duration.ofMinutes(1));
    }

    private static RateLimit.Limit perSecond(int permits, int burstSeconds) {
        return new RateLimit.Limit(Math.min(1_000_000, permits * burstSeconds), permits, Duration.ofSeconds(1));
    }

    static HttpServerOptions api(Settings.Http http) {
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
                // Two handlers less on the way of every request: there are no WebSockets here.
                .setPerFrameWebSocketCompressionSupported(false)
                .setPerMessageWebSocketCompressionSupported(false)
                .setIdleTimeoutUnit(TimeUnit.MILLISECONDS)
                .setIdleTimeout(http.idleTimeoutMillis());
        if (http.tls().enabled()) {
            options.setSsl(true).setUseAlpn(true); // with what http.Certificate reads
        }
        return options;
    }

    static Future<Vertx> vertx(Settings settings, MeterRegistry metrics) {
        VertxOptions options = new VertxOptions()
                .setEventLoopPoolSize(Deployment.LOOPS)
                .setMetricsOptions(new MicrometerMetricsOptions()
                        .setEnabled(true)
                        .setJvmMetricsEnabled(true)
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
        config.setProperty("hazelcast.max.no.heartbeat.seconds", SILENT_SECONDS);
        config.setProperty("hazelcast.merge.first.run.delay.seconds", MERGE_SECONDS);
        config.setProperty("hazelcast.merge.next.run.delay.seconds", MERGE_SECONDS);
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
