package io.kehu.app;

import io.vertx.core.Vertx;
import io.vertx.redis.client.Command;
import io.vertx.redis.client.Redis;
import io.vertx.redis.client.Request;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** Examines what Kehu stands on: one line each, with ok, warn or fail and, where something is wrong, the remedy. */
final class Doctor {
    private static final long SKEW_WARN_MILLIS = 1_000;
    private static final long DISK_FAIL_BYTES = 256L << 20;
    private static final long DISK_WARN_BYTES = 5L << 30;
    private static final Set<PosixFilePermission> FOREIGN = EnumSet.of(
            PosixFilePermission.GROUP_READ,
            PosixFilePermission.GROUP_WRITE,
            PosixFilePermission.OTHERS_READ,
            PosixFilePermission.OTHERS_WRITE);

    private enum Finding {
        OK,
        WARN,
        FAIL
    }

    private final Settings settings;
    private final PrintStream out;
    private boolean healthy = true;

    Doctor(Settings settings, PrintStream out) {
        this.settings = settings;
        this.out = out;
    }

    /** @throws StartFailure outside demo and test mode, when somebody else can read the keys */
    static void requireSafe(Settings settings) {
        if (settings.production()) {
            exposedKey(settings.keys().folder()).ifPresent(file -> {
                throw new StartFailure("keys.folder: others can read " + file + "; run chmod 400 " + file);
            });
        }
    }

    /** Writes the lines and says whether nothing failed; warnings do not count. */
    boolean examine() {
        say(
                Finding.OK,
                "java",
                Runtime.version() + ", " + Runtime.getRuntime().availableProcessors() + " processors, heap "
                        + (Runtime.getRuntime().maxMemory() >> 20) + " MB");
        say(Finding.OK, "settings", settings.mode().name().toLowerCase(Locale.ROOT) + " mode, zone " + settings.zone());
        database();
        redis();
        keys();
        disk();
        port("http.port", settings.http().host(), settings.http().port());
        port(
                "http.managementPort",
                settings.http().managementHost(),
                settings.http().managementPort());
        return healthy;
    }

    private void say(Finding finding, String about, String text) {
        healthy &= finding != Finding.FAIL;
        out.printf("%-5s %-20s %s%n", finding.name().toLowerCase(Locale.ROOT), about, text);
    }

    private void database() {
        Settings.Postgresql postgresql = settings.postgresql();
        String uri = postgresql.ownerUri();
        if (postgresql.embedded()) {
            uri = "postgresql://kehu_owner@127.0.0.1:" + postgresql.embeddedPort() + "/kehu";
            if (!answers(postgresql.embeddedPort())) {
                say(Finding.OK, "database", "embedded in " + postgresql.dataFolder() + ", starts and stops with Kehu");
                return;
            }
        }
        try (Connection connection = Migrations.connect(uri, postgresql.connectMillis());
                Statement sql = connection.createStatement()) {
            version(sql, Settings.withoutPassword(uri));
            missing(sql, "roles", "SELECT rolname FROM pg_roles", Migrations.ROLES);
            missing(sql, "extensions", "SELECT extname FROM pg_extension", Migrations.EXTENSIONS);
            clock(sql);
        } catch (StartFailure | SQLException e) {
            say(Finding.FAIL, "database", StartFailure.oneLine(e.getMessage()));
        }
    }

    private void version(Statement sql, String uri) throws SQLException {
        int version = Integer.parseInt(rows(sql, "SHOW server_version_num").get(0));
        if (version < 180_000) {
            say(Finding.FAIL, "database", uri + " is version " + version / 10_000 + "; Kehu needs PostgreSQL 18");
        } else {
            say(Finding.OK, "database", uri + ", version " + version / 10_000 + "." + version % 10_000);
        }
    }

    private void missing(Statement sql, String about, String query, List<String> wanted) throws SQLException {
        List<String> missing = new ArrayList<>(wanted);
        missing.removeAll(rows(sql, query));
        if (missing.isEmpty()) {
            say(Finding.OK, about, "all " + wanted.size() + " are there");
        } else {
            say(Finding.WARN, about, "missing: " + String.join(", ", missing) + "; run kehu migrate");
        }
    }

    private void clock(Statement sql) throws SQLException {
        long before = System.currentTimeMillis();
        String now = rows(sql, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
                .get(0);
        long middle = (before + System.currentTimeMillis()) / 2;
        long skew = Math.abs(Long.parseLong(now) - middle);
        if (skew > SKEW_WARN_MILLIS) {
            say(
                    Finding.WARN,
                    "clock",
                    "differs from the database's by " + Duration.ofMillis(skew) + " (here "
                            + Instant.ofEpochMilli(middle) + "); the database's is used; run a time service");
        } else {
            say(Finding.OK, "clock", "differs from the database's by " + skew + " ms");
        }
    }

    private static List<String> rows(Statement sql, String query) throws SQLException {
        List<String> values = new ArrayList<>();
        try (ResultSet rows = sql.executeQuery(query)) {
            while (rows.next()) {
                values.add(rows.getString(1));
            }
        }
        return values;
    }

    private void redis() {
        Settings.Redis redis = settings.redis();
        String uri = redis.uri();
        if (redis.embedded()) {
            uri = "redis://127.0.0.1:" + redis.embeddedPort();
            if (!answers(redis.embeddedPort())) {
                say(Finding.OK, "redis", "embedded, starts and stops with Kehu");
                return;
            }
        }
        Vertx vertx = Vertx.vertx();
        Redis client = Redis.createClient(vertx, uri);
        try {
            client.send(Request.cmd(Command.PING))
                    .toCompletionStage()
                    .toCompletableFuture()
                    .get(Math.max(1_000, redis.timeoutMillis()), TimeUnit.MILLISECONDS);
            say(Finding.OK, "redis", Settings.withoutPassword(uri));
        } catch (ExecutionException | TimeoutException e) {
            say(
                    Finding.WARN,
                    "redis",
                    Settings.withoutPassword(uri) + " does not answer; Kehu works without it, with"
                            + " limits per node; start it or mend redis.uri");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            client.close();
            vertx.close();
        }
    }

    private void keys() {
        Path folder = settings.keys().folder();
        Optional<Path> exposed = exposedKey(folder);
        if (exposed.isPresent()) {
            Finding finding = settings.production() ? Finding.FAIL : Finding.WARN;
            say(finding, "keys", "others can read " + exposed.get() + "; run chmod 400 " + exposed.get());
        } else if (!Files.isDirectory(folder)) {
            if (settings.production()) {
                say(Finding.FAIL, "keys", "there is no folder " + folder + "; put the keys there or set keys.folder");
            } else {
                say(Finding.OK, "keys", "will be made in " + folder);
            }
        } else {
            say(Finding.OK, "keys", folder + " is closed to others");
        }
    }

    private static Optional<Path> exposedKey(Path folder) {
        if (!Files.isDirectory(folder)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile).filter(Doctor::exposed).findFirst();
        } catch (IOException e) {
            throw new StartFailure("keys.folder: " + folder + " cannot be read");
        }
    }

    private static boolean exposed(Path file) {
        try {
            Set<PosixFilePermission> permissions = EnumSet.noneOf(PosixFilePermission.class);
            permissions.addAll(Files.getPosixFilePermissions(file));
            return permissions.stream().anyMatch(FOREIGN::contains);
        } catch (UnsupportedOperationException e) {
            return false;
        } catch (IOException e) {
            return true;
        }
    }

    private void disk() {
        Path folder = settings.postgresql().dataFolder().toAbsolutePath();
        while (!Files.exists(folder) && folder.getParent() != null) {
            folder = folder.getParent();
        }
        try {
            long free = Files.getFileStore(folder).getUsableSpace();
            Finding finding =
                    free < DISK_FAIL_BYTES ? Finding.FAIL : free < DISK_WARN_BYTES ? Finding.WARN : Finding.OK;
            say(
                    finding,
                    "disk",
                    (free >> 20) + " MB free under " + folder
                            + (finding == Finding.OK
                                    ? ""
                                    : "; at least " + (DISK_WARN_BYTES >> 20) + " MB are advised"));
        } catch (IOException e) {
            say(Finding.WARN, "disk", "free space under " + folder + " is not known");
        }
    }

    private void port(String setting, String host, int port) {
        try {
            Embedded.requireFree(setting, host, port);
            say(Finding.OK, setting, host + ":" + port + " is free");
        } catch (StartFailure e) {
            say(
                    Finding.WARN,
                    setting,
                    host + ":" + port + " is taken, perhaps by a running Kehu; else set "
                            + SettingsTree.variable(setting));
        }
    }

    private static boolean answers(int port) {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 500);
            return true;
        } catch (IOException e) {
            return false;
        }
    }
}
