package io.kehu.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.postgresql.PostgreSQLContainer;

/**
 * One PostgreSQL and one Redis for all tests of a JVM, started by the first who asks. Each call of {@link #settings()}
 * gives a database (a copy of a migrated one) and a Redis database of its own, so tests share nothing.
 */
public final class TestServers {
    private static final int REDIS_DATABASES = 1_024;
    private static final AtomicInteger NUMBER = new AtomicInteger();

    /** Most of what is awaited is there at once or soon: looked for at once, then ever more rarely. */
    static {
        Awaitility.setDefaultPollDelay(Duration.ZERO);
        Awaitility.setDefaultPollInterval((count, former) -> Duration.ofMillis(Math.min(10L * count, 100)));
    }

    private TestServers() {}

    /** Where the servers of this JVM keep their data and logs. */
    public static Path folder() {
        return Path.of(System.getProperty("kehu.test.servers", "target/servers"));
    }

    /** Settings in test mode with random HTTP ports, empty folders and a fresh, migrated database. */
    public static Settings settings() {
        return settings(Map.of());
    }

    /** The same with some settings of its own, named like environment variables: {@code KEHU_AUTH_ACCESS_MINUTES}. */
    public static Settings settings(Map<String, String> overrides) {
        Settings shared = Servers.SETTINGS;
        int number = NUMBER.incrementAndGet();
        String database = "test_" + number;
        String template = shared.postgresql().ownerUri();
        String postgres = template.replaceFirst("/kehu$", "/postgres");
        try (Connection connection = Migrations.connect(superuser(postgres), 10_000);
                Statement sql = connection.createStatement()) {
            // Copied as files, by the kernel where it can: half the work of copying its pages through the log.
            sql.execute("SELECT set_config('file_copy_method', 'clone', false) FROM pg_settings"
                    + " WHERE name = 'file_copy_method' AND 'clone' = ANY (enumvals)");
            sql.execute("CREATE DATABASE " + database + " TEMPLATE kehu OWNER kehu_owner STRATEGY file_copy");
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
        Map<String, String> environment = environment();
        try {
            Path folder = Files.createTempDirectory("kehu-test-");
            folder.toFile().deleteOnExit();
            environment.put("KEHU_KEYS_FOLDER", folder.resolve("keys").toString());
            environment.put("KEHU_BLOB_FOLDER", folder.resolve("blobs").toString());
            environment.put(
                    "KEHU_AUDIT_CHECKPOINT_FOLDER", folder.resolve("audit").toString());
            environment.put(
                    "KEHU_AUDIT_ARCHIVE_FOLDER", folder.resolve("archive").toString());
            environment.put("KEHU_LOG_FOLDER", folder.resolve("log").toString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        environment.put("KEHU_PG_URI", shared.postgresql().uri().replaceFirst("/kehu$", "/" + database));
        environment.put("KEHU_POSTGRESQL_OWNER_URI", template.replaceFirst("/kehu$", "/" + database));
        environment.put("KEHU_REDIS_URI", shared.redis().uri() + "/" + number % REDIS_DATABASES);
        environment.putAll(overrides);
        return Settings.load(null, environment);
    }

    private static Map<String, String> environment() {
        return new HashMap<>(Map.of(
                "KEHU_MODE", "test",
                "KEHU_HTTP_PORT", "0",
                "KEHU_HTTP_MANAGEMENT_PORT", "0",
                "KEHU_SEED_CUSTOMERS", "0",
                // Small on purpose: what is tested is the rule, not the cost of a guess.
                "KEHU_AUTH_ARGON2_MEMORY_KIB", "1024",
                "KEHU_AUTH_HASHES_PER_SECOND", "1000"));
    }

    /** Only the embedded server lets anybody in as superuser; a container's owner is one already. */
    public static String superuser(String uri) {
        return uri.replace("//kehu_owner@", "//postgres@");
    }

    /** A Kehu in a JVM of its own, with these classes and none of this process's settings. */
    public static ProcessBuilder kehu(String heap, String... command) {
        List<String> line = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx" + heap,
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "io.kehu.app.Kehu"));
        line.addAll(List.of(command));
        ProcessBuilder builder = new ProcessBuilder(line);
        builder.environment().keySet().removeIf(variable -> variable.startsWith("KEHU_"));
        return builder;
    }

    public static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static final class Servers {
        static final Settings SETTINGS = Boolean.getBoolean("kehu.test.containers") ? containers() : embedded();

        private static Settings embedded() {
            Path folder = folder().toAbsolutePath();
            Map<String, String> environment = environment();
            environment.put(
                    "KEHU_POSTGRESQL_DATA_FOLDER", folder.resolve("postgresql").toString());
            environment.put("KEHU_POSTGRESQL_EMBEDDED_PORT", Integer.toString(freePort()));
            environment.put("KEHU_REDIS_DATA_FOLDER", folder.resolve("redis").toString());
            environment.put("KEHU_REDIS_EMBEDDED_PORT", Integer.toString(freePort()));
            try {
                Files.createDirectories(folder);
                // Says that the data of an earlier run may go, once its server (if it was killed) has been stopped.
                Files.writeString(folder.resolve("postgresql.unfinished"), "");
                unpackOnce(folder);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            Embedded embedded = Embedded.start(Settings.load(null, environment));
            Runtime.getRuntime().addShutdownHook(new Thread(embedded::close));
            return migrated(embedded.settings());
        }

        /** Unpacking PostgreSQL takes five seconds: the first JVM does it for all, the library lets the others wait for it. */
        private static void unpackOnce(Path folder) throws IOException {
            Path unpacked = folder.resolve("embedded-postgresql");
            if (!Files.exists(unpacked, LinkOption.NOFOLLOW_LINKS)) {
                Path once = Files.createDirectories(folder.resolveSibling("embedded-postgresql"));
                Files.createSymbolicLink(unpacked, once);
            }
        }

        // They live as long as the JVM; Testcontainers takes them away after it.
        @SuppressWarnings("resource")
        private static Settings containers() {
            PostgreSQLContainer postgresql = new PostgreSQLContainer("postgres:18")
                    .withDatabaseName("kehu")
                    .withUsername("postgres");
            GenericContainer<?> redis = new GenericContainer<>("redis:7.2")
                    .withCommand("redis-server", "--databases", Integer.toString(REDIS_DATABASES))
                    .withExposedPorts(6379);
            postgresql.start();
            redis.start();
            Map<String, String> environment = environment();
            environment.put(
                    "KEHU_PG_URI",
                    "postgresql://postgres:" + postgresql.getPassword() + "@" + postgresql.getHost() + ":"
                            + postgresql.getMappedPort(5432) + "/kehu");
            environment.put("KEHU_REDIS_URI", "redis://" + redis.getHost() + ":" + redis.getMappedPort(6379));
            return migrated(Settings.load(null, environment));
        }

        private static Settings migrated(Settings settings) {
            Migrations.run(settings.postgresql());
            return settings;
        }
    }
}
