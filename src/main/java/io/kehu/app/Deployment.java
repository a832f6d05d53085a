package io.kehu.app;

import io.kehu.beside.EventStream;
import io.kehu.beside.Pages;
import io.kehu.beside.Transfers;
import io.kehu.blob.Blobs;
import io.kehu.bus.Operations;
import io.kehu.cache.Cache;
import io.kehu.contract.Contract;
import io.kehu.contract.Operation;
import io.kehu.contract.Routes;
import io.kehu.crypto.KeySet;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Passwords;
import io.kehu.crypto.Signer;
import io.kehu.crypto.Vault;
import io.kehu.event.EventLog;
import io.kehu.event.Ticker;
import io.kehu.http.AccessLog;
import io.kehu.http.ApiVerticle;
import io.kehu.http.Authenticator;
import io.kehu.http.BusBridge;
import io.kehu.http.Connections;
import io.kehu.http.Gate;
import io.kehu.http.Revocations;
import io.kehu.job.Jobs;
import io.kehu.job.KeyRotation;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.kehu.outgoing.CodeChannel;
import io.kehu.sql.Clock;
import io.kehu.sql.Database;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerOptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** One running node: which parts it is made of, and the order in which they start and stop. */
public final class Deployment {
    static final int LOOPS = Math.max(2, Runtime.getRuntime().availableProcessors());

    private final Vertx vertx;
    private final Settings settings;
    private final PrometheusMeterRegistry metrics;
    private final List<Supplier<Future<?>>> closers = new ArrayList<>();
    private final List<Operations> served = new CopyOnWriteArrayList<>();
    private final List<String> greeting = new CopyOnWriteArrayList<>();
    private volatile boolean accepting;
    private volatile long drainUntilMillis;
    private @Nullable Future<Void> stopped;
    private @Nullable Management management;
    private @Nullable ApiVerticle firstApi;
    private @Nullable Sealing sealing;

    private Deployment(Vertx vertx, Settings settings, PrometheusMeterRegistry metrics) {
        this.vertx = vertx;
        this.settings = settings;
        this.metrics = metrics;
    }

    /** Starts everything this node runs; the servers named by the settings are there and migrated. */
    public static Future<Deployment> start(Settings settings) {
        PrometheusMeterRegistry metrics = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        return Options.vertx(settings, metrics).compose(vertx -> {
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

    /** The operations that this node serves itself. */
    public Set<String> operations() {
        return Operations.served(vertx);
    }

    /** Lines for the console that only demo mode has. */
    public List<String> greeting() {
        return List.copyOf(greeting);
    }

    /**
     * Says "not ready" to balancers and to the other nodes first, lets requests and calls of other nodes end, then closes
     * everything, last started first. Asked again, it answers with the same end.
     */
    public synchronized Future<Void> stop() {
        if (stopped == null) {
            stopped = close();
        }
        return stopped;
    }

    private Future<Void> close() {
        accepting = false;
        drainUntilMillis = Clock.monotonicMillis() + settings.http().drainMillis();
        // A cluster that cannot be told any more is no reason to stay.
        Future<?> closing = Future.join(
                        served.stream().map(one -> one.leave(vertx)).toList())
                .otherwiseEmpty();
        for (int i = closers.size() - 1; i >= 0; i--) {
            Supplier<Future<?>> closer = closers.get(i);
            closing = closing.transform(before -> closer.get());
        }
        return closing.transform(closed -> vertx.close()).onComplete(closed -> {
            // Vert.x outlives them, as long as a pool of threads of theirs is known; what is measured and served need
            // not.
            Operations.forget(vertx);
            metrics.clear();
        });
    }

    /**
     * Fills the bank with invented customers, without serving anybody.
     *
     * @param progress takes a line now and then
     */
    public static Future<Void> seed(Settings settings, long customers, Consumer<String> progress) {
        PrometheusMeterRegistry metrics = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        return Options.vertx(settings, metrics)
                .compose(vertx -> new Deployment(vertx, settings, metrics).once(kernel -> {
                    Future<?> done = Future.succeededFuture();
                    for (Domain domain : ServiceLoader.load(Domain.class)) {
                        done = done.compose(v -> domain.prepare(kernel))
                                .compose(v -> domain.seed(kernel, customers, progress));
                    }
                    return done.mapEmpty();
                }));
    }

    /**
     * Makes an administrator, without serving anybody and without joining the cluster of those who do.
     *
     * @param password null for a random one
     * @return the password
     */
    static Future<String> administrator(Settings settings, String username, @Nullable String password) {
        return alone(settings, kernel -> {
            Future<@Nullable String> made = Future.succeededFuture(null);
            for (Domain domain : ServiceLoader.load(Domain.class)) {
                made = made.compose(known -> known == null
                        ? domain.administrator(kernel, username, password)
                        : Future.succeededFuture(known));
            }
            return made.map(known -> Objects.requireNonNull(known, "a domain that owns staff"));
        });
    }

    /** Does one piece of work without serving anybody and without joining the cluster of those who do. */
    static <T> Future<T> alone(Settings settings, Function<Kernel, Future<T>> work) {
        return new Deployment(Vertx.vertx(), settings, new PrometheusMeterRegistry(PrometheusConfig.DEFAULT))
                .once(work);
    }

    /** Does one piece of work with the parts of a node and stops; the answer comes when everything is closed. */
    private <T> Future<T> once(Function<Kernel, Future<T>> work) {
        Promise<T> end = Promise.promise();
        kernel().compose(work).onComplete(done -> stop().onComplete(stopped -> end.handle(done)));
        return end.future();
    }

    private Future<Void> run() {
        return kernel().compose(kernel -> seal(kernel)
                        .compose(v -> domains(kernel))
                        .compose(v -> {
                            startTicker(kernel.database());
                            watchKeys(kernel);
                            kernel.jobs()
                                    .start(room -> room.equals(KeyRotation.ROOM)
                                            ? !served.isEmpty()
                                            : settings.node().runs(room));
                            return settings.node().http() ? http(kernel) : manage(kernel);
                        }))
                .onSuccess(v -> accepting = true);
    }

    /** The parts that domains use, each closed again when the node stops. */
    private Future<Kernel> kernel() {
        Contract contract = Contract.load(settings.calls().defaultTimeoutMillis());
        KeyStore keys = KeyStore.openOrCreate(settings.keys().folder(), !settings.production());
        Vault vault = new Vault(keys, settings.vault().rememberedKeys());
        Database database = new Database(
                vertx,
                Options.database(settings.postgresql()),
                new Database.Answers(b -> vault.sealSystem("answer", b), b -> vault.openSystem("answer", b)));
        closers.add(database::close);
        Blobs blobs = new Blobs(
                vertx,
                database,
                Options.files(vertx, settings.blob()),
                vault,
                new Blobs.Options(
                        settings.blob().unclaimedMinutes(), settings.jobs().leaseMillis()));
        closers.add(blobs::close);
        blobs.start();
        Jobs jobs = new Jobs(vertx, database, blobs, Options.jobs(settings));
        closers.add(jobs::close);
        Passwords passwords = new Passwords(vertx, Options.passwords(settings.auth()));
        closers.add(passwords::close);
        return Cache.open(vertx, Options.cache(settings)).map(cache -> {
            closers.add(cache::close);
            Clock clock = new Clock();
            return new Kernel(
                    vertx,
                    contract,
                    database,
                    clock,
                    keys,
                    vault,
                    passwords,
                    Options.rates(settings.rate(), cache, vault),
                    cache,
                    new EventLog(database),
                    blobs,
                    jobs,
                    CodeChannel.of(settings.production(), vertx, clock, settings::at),
                    settings::at,
                    this::atStop);
        });
    }

    private void watchKeys(Kernel kernel) {
        KeyRotation rotation = Options.rotation(kernel, settings);
        rotation.watch();
        closers.add(rotation::close);
        Gauge.builder("kehu.keys.epoch", () -> kernel.keys().current(KeyStore.Kind.EPOCHS))
                .description("The epoch key that wraps new data keys")
                .register(metrics);
        FunctionCounter.builder("kehu.keys.rewrapped", rotation, KeyRotation::rewrapped)
                .description("Data keys that this node has wrapped anew")
                .register(metrics);
    }

    private Future<Void> seal(Kernel kernel) {
        Sealing started = new Sealing(vertx, settings, kernel.keys(), kernel.clock(), metrics);
        sealing = started;
        closers.add(started::close);
        return started.start();
    }

    private void atStop(Runnable work) {
        closers.add(() -> {
            work.run();
            return Future.succeededFuture();
        });
    }

    private void startTicker(Database database) {
        Ticker ticker = new Ticker(
                vertx,
                database,
                settings.events().tickMillis(),
                settings.calls().idempotencyHours());
        atStop(ticker::stop);
    }

    /** Serves the domains that this node is to run. */
    private Future<Void> domains(Kernel kernel) {
        Future<Void> ready = Future.succeededFuture();
        for (Domain domain : ServiceLoader.load(Domain.class)) {
            Operations operations = domain.operations(kernel);
            if (settings.node().runs(operations.address().split("\\.", 2)[0])) {
                ready = ready.compose(v -> domain.prepare(kernel))
                        .recover(Deployment::inOneLine)
                        .compose(lines -> {
                            greeting.addAll(lines);
                            served.add(operations);
                            return vertx.deployVerticle(context -> operations.serve(vertx));
                        })
                        .mapEmpty();
            }
        }
        return ready.onSuccess(v -> closers.add(this::drainDomains));
    }

    /** What other nodes have asked of this one is answered before anything is closed that the answers need. */
    private Future<?> drainDomains() {
        long leftMillis = drainUntilMillis - Clock.monotonicMillis();
        return settings.cluster().enabled()
                ? Future.join(
                        served.stream().map(one -> one.drain(vertx, leftMillis)).toList())
                : Future.succeededFuture();
    }

    private static Future<List<String>> inOneLine(Throwable failure) {
        return Future.failedFuture(
                failure instanceof Domain.Unfit ? new StartFailure(String.valueOf(failure.getMessage())) : failure);
    }

    private Future<Void> http(Kernel kernel) {
        Contract contract = kernel.contract();
        Database database = kernel.database();
        Clock clock = kernel.clock();
        Settings.Auth auth = settings.auth();
        Revocations revocations = new Revocations(
                vertx,
                database,
                clock,
                Duration.ofMinutes(auth.accessMinutes()).toMillis(),
                auth.revocationStaleMillis());
        atStop(revocations::stop);
        Signer signer = new Signer(kernel.keys(), "kehu");
        Authenticator authenticator = new Authenticator(
                vertx,
                database,
                clock,
                signer,
                revocations,
                new Authenticator.Options(
                        auth.verifiedTokens(), auth.principals(), auth.signatureWorkers(), auth.signatureQueue()));
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
                new BusBridge(
                        vertx, settings.calls().maxInFlight(), settings.calls().maxReplyBytes()),
                authenticator,
                new Gate(http.trustedProxies(), http.proxyHeader() == Settings.ProxyHeader.FORWARDED, kernel.rates()),
                new Pages(
                        contract,
                        () -> KeySet.write(signer.tokenKeys(clock.millis() / 1000)),
                        settings.keys().jwksSeconds())::serve,
                accessLog,
                connections,
                clock,
                new ApiVerticle.Meters(metrics),
                Map.of(Operation.Kind.STREAM, streams, Operation.Kind.UPLOAD, transfers),
                transfers);
        ApiVerticle.Options options = new ApiVerticle.Options(
                Options.api(http),
                http.bodyTimeoutMillis(),
                http.drainMillis() / 2,
                Duration.ofMinutes(auth.accessMinutes()).toMillis(),
                http.corsOrigins());
        return revocations
                .start(auth.revocationPollMillis())
                .compose(v -> manage(kernel))
                .compose(v -> http.tls().enabled() ? listenWithTls(options, parts) : listen(options, parts));
    }

    private Future<Void> listenWithTls(ApiVerticle.Options options, ApiVerticle.Parts parts) {
        Settings.Tls tls = settings.http().tls();
        Certificate certificate = new Certificate(vertx, tls.certificate(), tls.key());
        return certificate
                .renewed()
                .recover(failure -> Future.failedFuture(new StartFailure("http.tls: " + failure.getMessage())))
                .compose(pair -> {
                    options.server().setKeyCertOptions(pair);
                    return listen(options, parts);
                })
                .onSuccess(v -> {
                    Runnable end = certificate.watch(
                            tls.reloadMillis(),
                            pair -> Objects.requireNonNull(firstApi).serve(pair));
                    atStop(end);
                });
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

    private Future<Void> manage(Kernel kernel) {
        Settings.Http http = settings.http();
        Management server = new Management(
                new HttpServerOptions().setHost(http.managementHost()).setPort(http.managementPort()),
                kernel.database(),
                metrics,
                () -> accepting,
                Map.of(
                        "redis",
                        kernel.cache()::up,
                        "audit",
                        () -> Objects.requireNonNull(sealing).healthy()));
        management = server;
        return vertx.deployVerticle(server).mapEmpty();
    }
}
