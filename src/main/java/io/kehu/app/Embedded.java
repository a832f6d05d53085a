package io.kehu.app;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import redis.embedded.RedisExecProvider;

/**
 * PostgreSQL and Redis for people who have neither: started where the settings name no server, stopped last.
 *
 * <p>Both are processes of their own session, so Ctrl-C reaches Kehu only and a kill -9 of Kehu leaves them running.
 * The next start finds such a process by the pid file in our folder, makes sure that it is ours by program and folder,
 * and stops that very process before it starts a fresh one. A file lock tells a leftover from a Kehu that is alive.
 * PostgreSQL keeps its data; Redis starts empty, because it never holds the only copy of anything.
 */
public final class Embedded implements AutoCloseable {
    private static final int STOP_SECONDS = 10;
    /** Recovery after a kill replays the log since the last checkpoint, which max_wal_size bounds. */
    private static final Duration START_WAIT = Duration.ofSeconds(60);

    private static final Map<String, String> DURABLE = Map.of(
            "fsync", "on",
            "synchronous_commit", "on",
            "shared_buffers", "512MB",
            "max_wal_size", "2GB",
            "checkpoint_timeout", "10min",
            "wal_compression", "on");
    /** For tests only: a lost test database is no loss. */
    private static final Map<String, String> FLEETING = Map.of(
            "fsync", "off",
            "synchronous_commit", "off",
            "full_page_writes", "off",
            "shared_buffers", "128MB",
            "max_wal_size", "1GB");

    private final Deque<AutoCloseable> running = new ArrayDeque<>();
    private Settings settings;

    private Embedded(Settings settings) {
        this.settings = settings;
    }

    /**
     * Starts what the settings leave out. Blocking, 1 to 5 seconds.
     *
     * @throws StartFailure when a port or the folder is taken, or a server does not start
     */
    public static Embedded start(Settings settings) {
        Embedded embedded = new Embedded(settings);
        try {
            embedded.startMissing();
            return embedded;
        } catch (RuntimeException | Error e) {
            embedded.close();
            throw e;
        }
    }

    /** The settings with the addresses of the running servers. */
    public Settings settings() {
        return settings;
    }

    @Override
    public void close() {
        while (!running.isEmpty()) {
            try {
                running.pop().close();
            } catch (Exception e) {
                // Whatever could not be stopped now is stopped by the next start.
                System.err.println("kehu: an embedded server could not be stopped: " + e.getMessage());
            }
        }
    }

    private void startMissing() {
        Settings.Postgresql postgresql = settings.postgresql();
        String uri = postgresql.uri();
        String ownerUri = postgresql.ownerUri();
        if (postgresql.embedded()) {
            String at = "@127.0.0.1:" + startPostgresql(postgresql) + "/kehu";
            uri = "postgresql://kehu_app" + at;
            ownerUri = "postgresql://kehu_owner" + at;
        }
        Settings.Redis redis = settings.redis();
        String redisUri = redis.embedded() ? "redis://127.0.0.1:" + startRedis(redis) : redis.uri();
        settings = settings.withServers(uri, ownerUri, redisUri);
    }

    // PostgreSQL

    private int startPostgresql(Settings.Postgresql postgresql) {
        Path data = postgresql.dataFolder().toAbsolutePath().normalize();
        int port = postgresql.embeddedPort();
        try {
            Files.createDirectories(data.resolveSibling("log"));
            running.push(lock(data, "postgresql.dataFolder"));
            stopLeftoverPostgresql(data);
            requireFree("postgresql.embeddedPort", "127.0.0.1", port);
            Path unfinished = data.resolveSibling(data.getFileName() + ".unfinished");
            if (Files.exists(unfinished)) {
                // This file stands from before initdb until the first start has succeeded: there is nothing to lose.
                deleteTree(data);
            } else if (!Files.exists(data.resolve("PG_VERSION"))) {
                requireEmpty(data);
                Files.createFile(unfinished);
            }
            EmbeddedPostgres server = postgresql(data, port, settings.mode() == Settings.Mode.TEST);
            running.push(server);
            prepare(port);
            Files.deleteIfExists(unfinished);
            return port;
        } catch (IOException | IllegalStateException e) {
            throw new StartFailure("postgresql.dataFolder: the embedded PostgreSQL in " + data + " does not start: "
                    + lastFatal(startLog(data)).orElse(String.valueOf(e.getMessage())));
        } catch (SQLException e) {
            throw new StartFailure("postgresql.dataFolder: the embedded PostgreSQL in " + data + " cannot be prepared: "
                    + e.getMessage());
        }
    }

    private static EmbeddedPostgres postgresql(Path data, int port, boolean test) throws IOException {
        EmbeddedPostgres.Builder builder = EmbeddedPostgres.builder()
                .setDataDirectory(data)
                .setCleanDataDirectory(false)
                .setRegisterShutdownHook(false)
                .setOverrideWorkingDirectory(
                        data.resolveSibling("embedded-postgresql").toFile())
                .setPort(port)
                .setPGStartupWait(START_WAIT)
                .setLocaleConfig("encoding", "UTF8")
                // With C, the trigrams of Chinese text are empty.
                .setLocaleConfig("locale", "C.UTF-8")
                .setOutputRedirector(ProcessBuilder.Redirect.to(startLog(data)));
        Map<String, String> common = Map.ofEntries(
                Map.entry("listen_addresses", "127.0.0.1"),
                Map.entry("unix_socket_directories", ""),
                Map.entry("max_connections", "120"),
                Map.entry("timezone", "UTC"),
                Map.entry("log_timezone", "UTC"),
                Map.entry("shared_preload_libraries", "pg_stat_statements"),
                // No bound value and no statement text may reach a log: both may hold personal data.
                Map.entry("log_parameter_max_length", "0"),
                Map.entry("log_parameter_max_length_on_error", "0"),
                Map.entry("log_error_verbosity", "terse"),
                Map.entry("log_min_error_statement", "panic"),
                Map.entry("logging_collector", "on"),
                Map.entry("log_directory", data.resolveSibling("log").toString()),
                Map.entry("log_filename", "postgresql-%a.log"),
                Map.entry("log_truncate_on_rotation", "on"),
                Map.entry("log_rotation_size", "0"),
                Map.entry("random_page_cost", "1.1"));
        common.forEach((name, value) -> builder.setServerConfig(name, "'" + value + "'"));
        (test ? FLEETING : DURABLE).forEach(builder::setServerConfig);
        return builder.start();
    }

    private static File startLog(Path data) {
        return data.resolveSibling("log").resolve("postgresql-start.log").toFile();
    }

    private static Optional<String> lastFatal(File log) {
        try (Stream<String> lines = Files.lines(log.toPath())) {
            return lines.filter(line -> line.contains("FATAL:")).reduce((first, second) -> second);
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** Roles and database, made by the superuser; everything else is the work of the migrations. */
    private static void prepare(int port) throws SQLException {
        String at = "postgresql://postgres@127.0.0.1:" + port;
        try (Connection connection = Migrations.connect(at + "/postgres", 10_000);
                Statement sql = connection.createStatement()) {
            for (String role : Migrations.ROLES) {
                sql.execute("DO $$ BEGIN CREATE ROLE " + role
                        + " LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
            }
            try (var rows = sql.executeQuery("SELECT 1 FROM pg_database WHERE datname = 'kehu'")) {
                if (rows.next()) {
                    return;
                }
            }
            sql.execute("CREATE DATABASE kehu OWNER kehu_owner");
        }
        try (Connection connection = Migrations.connect(at + "/kehu", 10_000);
                Statement sql = connection.createStatement()) {
            sql.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
        }
    }

    private static void stopLeftoverPostgresql(Path data) throws IOException {
        Path pidFile = data.resolve("postmaster.pid");
        if (!Files.exists(pidFile)) {
            return;
        }
        long pid = pidIn(pidFile);
        boolean stopped = stop(
                pid,
                info -> info.command().filter(c -> c.endsWith("postgres")).isPresent()
                        && info.arguments()
                                .filter(a -> Arrays.asList(a).contains(data.toString()))
                                .isPresent(),
                // SIGINT is PostgreSQL's fast stop: it does not wait for clients.
                "INT");
        if (!stopped) {
            // The number belongs to nobody or to a stranger now; PostgreSQL itself would refuse to start in the
            // second case. It guards its data against a twin by shared memory besides.
            Files.deleteIfExists(pidFile);
        }
    }

    // Redis

    private int startRedis(Settings.Redis redis) {
        Path folder = redis.dataFolder().toAbsolutePath().normalize();
        int port = redis.embeddedPort();
        try {
            Files.createDirectories(folder);
            running.push(lock(folder, "redis.dataFolder"));
            Path program = folder.resolve("redis-server");
            Path pidFile = folder.resolve("redis.pid");
            stopRedis(program, pidFile);
            requireFree("redis.embeddedPort", "127.0.0.1", port);
            Path packed = RedisExecProvider.defaultProvider().get().toPath();
            Files.copy(packed, program, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.COPY_ATTRIBUTES);
            Files.deleteIfExists(packed);
            running.push(() -> stopRedis(program, pidFile));
            Process launcher = new ProcessBuilder(redisCommand(program, pidFile, folder, port))
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("start.log").toFile())
                    .start();
            if (!launcher.waitFor(STOP_SECONDS, TimeUnit.SECONDS) || launcher.exitValue() != 0) {
                throw new IOException("see " + folder.resolve("start.log"));
            }
            awaitRedis(port);
            return port;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StartFailure("redis.dataFolder: the start was interrupted");
        } catch (IOException | RuntimeException e) {
            if (e instanceof StartFailure failure) {
                throw failure;
            }
            throw new StartFailure("redis.dataFolder: the embedded Redis in " + folder + " does not start: "
                    + e.getMessage() + "; set KEHU_REDIS_URI to use another one");
        }
    }

    private static List<String> redisCommand(Path program, Path pidFile, Path folder, int port) {
        return List.of(
                program.toString(),
                "--bind",
                "127.0.0.1",
                "--port",
                Integer.toString(port),
                "--daemonize",
                "yes",
                "--pidfile",
                pidFile.toString(),
                "--logfile",
                folder.resolve("redis.log").toString(),
                "--loglevel",
                "warning",
                "--dir",
                folder.toString(),
                "--save",
                "",
                "--appendonly",
                "no",
                "--databases",
                "1024",
                "--maxmemory",
                "256mb",
                "--maxmemory-policy",
                "allkeys-lru");
    }

    private static void awaitRedis(int port) throws IOException, InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(STOP_SECONDS);
        while (true) {
            try (Socket socket = new Socket()) {
                socket.setSoTimeout(1_000);
                socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1_000);
                socket.getOutputStream().write("PING\r\n".getBytes(StandardCharsets.US_ASCII));
                if (socket.getInputStream().read() == '+') {
                    return;
                }
            } catch (IOException e) {
                if (System.nanoTime() > end) {
                    throw e;
                }
            }
            TimeUnit.MILLISECONDS.sleep(20);
        }
    }

    private static void stopRedis(Path program, Path pidFile) throws IOException {
        if (Files.exists(pidFile)) {
            stop(
                    pidIn(pidFile),
                    info -> info.command().filter(program.toString()::equals).isPresent(),
                    "TERM");
            Files.deleteIfExists(pidFile);
        }
    }

    // Processes, ports, folders

    /** Stops the process if it is ours; false where there is none, or a stranger has that number now. */
    private static boolean stop(long pid, Predicate<ProcessHandle.Info> ours, String signal) throws IOException {
        @Nullable
        ProcessHandle process = pid <= 1
                ? null
                : ProcessHandle.of(pid).filter(ProcessHandle::isAlive).orElse(null);
        if (process == null || !ours.test(process.info())) {
            return false;
        }
        new ProcessBuilder("kill", "-" + signal, Long.toString(pid))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        if (!gone(process)) {
            process.destroyForcibly();
            if (!gone(process)) {
                throw new IOException("process " + pid + " of an earlier start does not stop; stop it and start again");
            }
        }
        return true;
    }

    private static boolean gone(ProcessHandle process) {
        try {
            process.onExit().get(STOP_SECONDS, TimeUnit.SECONDS);
            return true;
        } catch (TimeoutException | ExecutionException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static long pidIn(Path pidFile) throws IOException {
        List<String> lines = Files.readAllLines(pidFile);
        String first = lines.isEmpty() ? "" : lines.get(0).strip();
        return first.matches("[0-9]{1,10}") ? Long.parseLong(first) : 0;
    }

    private static AutoCloseable lock(Path folder, String setting) throws IOException {
        Path file = folder.resolveSibling(folder.getFileName() + ".lock");
        Files.createDirectories(file.toAbsolutePath().getParent());
        FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return channel;
            }
        } catch (OverlappingFileLockException e) {
            // The same process has it; the answer is the same.
        }
        channel.close();
        throw new StartFailure(setting + ": another running Kehu uses " + folder
                + "; stop it, or give this one a folder and a port of its own, or KEHU_PG_URI and KEHU_REDIS_URI");
    }

    /** Fails the start when the port cannot be listened on. */
    static void requireFree(String setting, String host, int port) {
        try (ServerSocket socket = new ServerSocket()) {
            socket.setReuseAddress(true);
            socket.bind(new InetSocketAddress(host, port));
        } catch (IOException | IllegalArgumentException e) {
            throw new StartFailure(setting + ": port " + port + " of " + host + " cannot be used ("
                    + e.getMessage() + "); stop the program that has it, or set " + SettingsTree.variable(setting)
                    + " to another one");
        }
    }

    /** Only a folder that was empty when we began may ever be cleared by us. */
    private static void requireEmpty(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> inside = Files.list(folder)) {
                if (inside.findAny().isPresent()) {
                    throw new StartFailure("postgresql.dataFolder: " + folder
                            + " holds something else than a PostgreSQL database; name an empty folder");
                }
            }
        }
    }

    static void deleteTree(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return;
        }
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }
}
