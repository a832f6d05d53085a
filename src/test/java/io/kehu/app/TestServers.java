package io.kehu.app;

import io.kehu.sql.Migrations;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** The PostgreSQL and the Redis of all tests of one JVM, started by the first that asks; each asker gets a database of its own. */
public final class TestServers {
    private static final AtomicInteger COUNTER = new AtomicInteger();

    private TestServers() {}

    private static final class Holder {
        static final Path FOLDER;
        static final Embedded SERVERS;
        static final String TEMPLATE = "kehu_template";

        static {
            try {
                FOLDER = Files.createTempDirectory("kehu-test");
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
            SERVERS = Embedded.start(Settings.load(null, environment(Map.of())));
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                SERVERS.close();
                try {
                    Embedded.deleteTree(FOLDER);
                } catch (IOException e) {
                    System.err.println("left behind: " + FOLDER);
                }
            }));
            Migrations.run(SERVERS.settings().postgresql());
            sql("ALTER DATABASE kehu RENAME TO " + TEMPLATE);
        }

        static Map<String, String> environment(Map<String, String> more) {
            Map<String, String> environment = new HashMap<>(Map.of(
                    "KEHU_MODE", "test",
                    "KEHU_HTTP_PORT", "0",
                    "KEHU_HTTP_MANAGEMENT_PORT", "0",
                    "KEHU_AUTH_ARGON2_MEMORY_KIB", "1024",
                    "KEHU_POSTGRESQL_DATA_FOLDER", FOLDER.resolve("postgresql").toString(),
                    "KEHU_POSTGRESQL_EMBEDDED_PORT", Integer.toString(freePort()),
                    "KEHU_REDIS_DATA_FOLDER", FOLDER.resolve("redis").toString(),
                    "KEHU_REDIS_EMBEDDED_PORT", Integer.toString(freePort()),
                    "KEHU_BLOB_FOLDER", FOLDER.resolve("blobs").toString(),
                    "KEHU_KEYS_FOLDER", FOLDER.resolve("keys").toString()));
            environment.putAll(more);
            return environment;
        }

        static void sql(String statement) {
            String admin = SERVERS.settings()
                    .postgresql()
                    .ownerUri()
                    .replace("kehu_owner@", "postgres@")
                    .replaceAll("/kehu$", "/postgres");
            try (Connection connection = Migrations.connect(admin, 5_000);
                    Statement run = connection.createStatement()) {
                run.execute(statement);
            } catch (SQLException e) {
                throw new IllegalStateException(statement, e);
            }
        }
    }

    /** Test-mode settings with a fresh, migrated database. */
    public static Settings settings() {
        return settings(Map.of());
    }

    /** The same with more settings, named as in the environment ({@code KEHU_...}). */
    public static Settings settings(Map<String, String> more) {
        String database = "kehu_" + COUNTER.incrementAndGet();
        Settings servers = Holder.SERVERS.settings();
        Holder.sql("CREATE DATABASE " + database + " TEMPLATE " + Holder.TEMPLATE);
        Settings.Postgresql postgresql = servers.postgresql();
        return Settings.load(null, Holder.environment(more))
                .withServers(
                        postgresql.at(
                                postgresql.uri().replaceAll("/kehu$", "/" + database),
                                postgresql.ownerUri().replaceAll("/kehu$", "/" + database)),
                        servers.redis());
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
