package io.kehu.app;

import io.kehu.audit.Archive;
import io.kehu.contract.Contract;
import io.vertx.core.Future;
import java.io.IOException;
import java.io.PrintStream;
import java.net.BindException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.logging.LogManager;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/**
 * The command line. Results go to stdout, one line for a fault to stderr; exit code 0 = done, 1 = it could not be done,
 * 2 = the command line is wrong.
 */
@Command(
        name = "kehu",
        description = "The API server for banks. Without a command it serves.",
        mixinStandardHelpOptions = true,
        versionProvider = Kehu.Version.class,
        footer = {"", "Settings: conf/kehu.yaml has all of them; KEHU_... variables override them."})
public final class Kehu implements Runnable {
    /** Beside drainMillis: what closing pools, cluster and timers may take before the servers are stopped anyway. */
    private static final int CLOSE_SECONDS = 10;

    /** A million customers take minutes; this only bounds a run that hangs. */
    private static final int SEED_SECONDS = 12 * 3_600;

    private static final int START_SECONDS = 60;

    @Option(
            names = {"-c", "--config"},
            scope = ScopeType.INHERIT,
            paramLabel = "FILE",
            description = "YAML file that overrides single settings (environment: KEHU_CONFIG)")
    private @Nullable Path config;

    private final PrintStream out;
    private volatile @Nullable Embedded embedded;
    private volatile @Nullable Deployment deployment;

    Kehu(PrintStream out) {
        this.out = out;
    }

    public static void main(String[] args) {
        System.exit(run(args, System.out, System.err));
    }

    /** The same without the end of the process. */
    static int run(String[] args, PrintStream out, PrintStream err) {
        Kehu kehu = new Kehu(out);
        CommandLine line = new CommandLine(kehu)
                .addSubcommand(new AdminCommand(() -> kehu.migratedServers("admin"), System.getenv(), out))
                .addSubcommand(new KeysCommand(() -> kehu.migratedServers("keys"), out))
                .addSubcommand(new AuditCommand(() -> kehu.migratedServers("audit"), () -> kehu.settings("audit"), out))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setExecutionExceptionHandler((failure, failed, parsed) -> {
                    err.println("kehu: " + inOneLine(failure));
                    return 1;
                });
        try {
            return line.execute(args);
        } finally {
            kehu.closeServers();
        }
    }

    /** Serves; comes back only when the process is being stopped. */
    @Command(name = "serve", description = "Run the server (the default).", mixinStandardHelpOptions = true)
    void serve() {
        long began = System.nanoTime();
        Settings given = settings("serve");
        requirePorts(given.http());
        Doctor.requireSafe(given);
        // Registered before anything runs, so that Ctrl-C during the start also leaves nothing behind.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(given), "kehu-stop"));
        Settings settings = withServers(given);
        Migrations.run(settings.postgresql());
        Deployment running = await(Deployment.start(settings), START_SECONDS);
        deployment = running;
        greet(running, settings, (System.nanoTime() - began) / 1_000_000);
        waitForTheEnd();
    }

    @Override
    public void run() {
        serve();
    }

    @Command(
            name = "migrate",
            description = "Bring the database to the version of this program.",
            mixinStandardHelpOptions = true)
    void migrate() {
        Settings settings = settings("migrate");
        try (Embedded servers = Embedded.start(settings)) {
            int applied = Migrations.run(servers.settings().postgresql());
            out.println(applied == 0 ? "The database is up to date." : applied + " migrations were applied.");
        }
    }

    @Command(
            name = "seed",
            description =
                    "Fill the bank with invented customers, always the same ones; goes on where an earlier run stopped.",
            mixinStandardHelpOptions = true)
    void seed(
            @Option(names = "--customers", required = true, description = "how many customers the bank shall have")
                    long customers) {
        Settings settings = settings("seed");
        if (settings.production()) {
            throw new StartFailure("mode: invented customers do not belong into production");
        }
        try (Embedded servers = Embedded.start(settings)) {
            Migrations.run(servers.settings().postgresql());
            await(Deployment.seed(servers.settings(), customers, out::println), SEED_SECONDS);
        }
    }

    @Command(
            name = "config",
            description = "Print the settings in force, secrets masked.",
            mixinStandardHelpOptions = true)
    void config() {
        out.print(Settings.masked(file(), System.getenv()));
    }

    @Command(
            name = "openapi",
            description = "Print the contract as one OpenAPI document (JSON).",
            mixinStandardHelpOptions = true)
    void openapi(@Option(names = "--output", description = "Write to this file instead.") @Nullable Path output)
            throws IOException {
        String document = Contract.load(
                        Settings.load(file(), System.getenv()).calls().defaultTimeoutMillis())
                .document()
                .toPrettyString();
        if (output == null) {
            out.println(document);
        } else {
            Files.writeString(output, document + "\n");
        }
    }

    @Command(
            name = "doctor",
            description = "Look for what would keep the server from running well.",
            mixinStandardHelpOptions = true)
    int doctor() {
        return new Doctor(settings("doctor"), out).examine() ? 0 : 1;
    }

    private @Nullable Path file() {
        if (config != null) {
            return config;
        }
        String named = System.getenv("KEHU_CONFIG");
        return named == null || named.isBlank() ? null : Path.of(named);
    }

    private Settings settings(String command) {
        Settings settings = Settings.load(file(), System.getenv());
        configureLogging(settings, command);
        return settings;
    }

    /** Before the first logger exists: logback reads these once. */
    private static void configureLogging(Settings settings, String command) {
        // The PostgreSQL driver speaks java.util.logging; its warnings come back as exceptions anyway.
        LogManager.getLogManager().reset();
        if (System.getProperty("logback.configurationFile") == null) {
            System.setProperty("logback.configurationFile", "conf/logback.xml");
        }
        boolean serves = command.equals("serve");
        System.setProperty("kehu.log.to", !serves ? "stderr" : settings.production() ? "stdout" : "file");
        System.setProperty("kehu.log.level", serves ? settings.log().level().name() : "WARN");
        System.setProperty("kehu.log.folder", settings.log().folder().toString());
    }

    private static void requirePorts(Settings.Http http) {
        Embedded.requireFree("http.port", http.host(), http.port());
        Embedded.requireFree("http.managementPort", http.managementHost(), http.managementPort());
    }

    /** For a command that only works on the database; {@link #run(String[], PrintStream, PrintStream)} closes them. */
    private Settings migratedServers(String command) {
        Settings settings = withServers(settings(command));
        Migrations.run(settings.postgresql());
        return settings;
    }

    private Settings withServers(Settings settings) {
        Embedded started = Embedded.start(settings);
        embedded = started;
        return started.settings();
    }

    static <T> T await(Future<T> future, long seconds) {
        try {
            return future.toCompletionStage().toCompletableFuture().get(seconds, TimeUnit.SECONDS);
        } catch (ExecutionException | CompletionException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            if (cause instanceof BindException) {
                throw new StartFailure("http.port: " + cause.getMessage());
            }
            throw cause instanceof RuntimeException failure ? failure : new IllegalStateException(cause);
        } catch (TimeoutException e) {
            throw new StartFailure("it was not done within " + seconds + " seconds");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StartFailure("the start was interrupted");
        }
    }

    private void greet(Deployment running, Settings settings, long millis) {
        String api = (settings.http().tls().enabled() ? "https://" : "http://")
                + settings.http().host() + ":" + running.httpPort();
        String management = "http://" + settings.http().managementHost() + ":" + running.managementPort();
        out.println(
                "Kehu " + Version.text() + " runs in " + settings.mode().name().toLowerCase(java.util.Locale.ROOT)
                        + " mode (started in " + millis + " ms). Ctrl-C stops it.");
        out.println("API      " + api + "/v1   its page " + api + "/docs");
        out.println("Metrics  " + management + "/metrics   health " + management + "/health/ready");
        if (!settings.production()) {
            out.println("Data     "
                    + (settings.postgresql().uri().contains("kehu_app@127.0.0.1")
                            ? settings.postgresql().dataFolder()
                            : Settings.withoutPassword(settings.postgresql().uri()))
                    + "   log " + settings.log().folder().resolve("kehu.log"));
        }
        running.greeting().forEach(out::println);
        out.flush();
    }

    private static void waitForTheEnd() {
        try {
            new CountDownLatch(1).await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Runs in the shutdown hook: the node first, the servers it needs last. */
    private void stop(Settings settings) {
        Deployment running = deployment;
        if (running != null) {
            try {
                running.stop()
                        .toCompletionStage()
                        .toCompletableFuture()
                        .get(settings.http().drainMillis() + CLOSE_SECONDS * 1_000L, TimeUnit.MILLISECONDS);
            } catch (ExecutionException | TimeoutException e) {
                System.err.println("kehu: not everything stopped in time: " + inOneLine(e));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        closeServers();
    }

    /** One at a time: the hook and a start that fails because of it both come here. */
    private synchronized void closeServers() {
        Embedded servers = embedded;
        if (servers != null) {
            servers.close();
        }
    }

    /** A fault nobody foresaw still gets one line; its name helps to find it. */
    private static String inOneLine(Throwable failure) {
        if (failure instanceof StartFailure || failure instanceof Archive.Refused) {
            return StartFailure.oneLine(failure.getMessage());
        }
        Throwable root = failure;
        while (root.getCause() != null && root.getCause() != root) {
            root = root.getCause();
        }
        return StartFailure.oneLine(root.getClass().getSimpleName() + ": " + root.getMessage());
    }

    static final class Version implements IVersionProvider {
        static String text() {
            String version = Kehu.class.getPackage().getImplementationVersion();
            return version == null ? "development" : version;
        }

        @Override
        public String[] getVersion() {
            return List.of("kehu " + text() + " (Java " + Runtime.version().feature() + ")")
                    .toArray(new String[0]);
        }
    }
}
