package io.kehu.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The program as a process of its own, as people start it. */
class KehuTest {
    @TempDir
    Path folder;

    private final Map<String, String> environment = new TreeMap<>();
    private final List<Process> started = new ArrayList<>();

    @AfterEach
    void nothingIsLeftRunning() throws Exception {
        for (Process process : started) {
            process.destroy();
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        }
    }

    @Test
    void dataSurvivesAKillOfTheProcessAndTheLeftoverServersAreTakenOver() throws Exception {
        embeddedServersOfItsOwn();
        Process first = serve();
        awaitReady(first);
        assertThat(stdout())
                .contains("/docs", "/metrics")
                .satisfies(text -> assertThat(text.lines()).hasSizeLessThan(10));
        try (Connection connection = owner();
                Statement sql = connection.createStatement()) {
            sql.execute("CREATE TABLE kept AS SELECT 42 AS answer");
        }
        Process second = start("serve");
        assertThat(second.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(second.exitValue()).isEqualTo(1);
        assertThat(stderr())
                .containsPattern("kehu: http\\.port: port \\d+ of 127\\.0\\.0\\.1 cannot be used")
                .hasLineCount(1);

        first.destroyForcibly().waitFor();
        Process third = serve();
        awaitReady(third);
        try (Connection connection = owner();
                Statement sql = connection.createStatement();
                var rows = sql.executeQuery("SELECT answer, current_setting('fsync') FROM kept")) {
            assertThat(rows.next()).isTrue();
            assertThat(rows.getInt(1)).isEqualTo(42);
            assertThat(rows.getString(2)).isEqualTo("on");
        }
        third.destroy();
        assertThat(third.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(folder.resolve("var/postgresql/postmaster.pid")).doesNotExist();
        assertThat(folder.resolve("var/redis/redis.pid")).doesNotExist();
    }

    @Test
    void aBadSettingIsOneLineAndExitCodeOne() throws Exception {
        environment.put("KEHU_HTTP_PORT", "eighty");
        fails("serve", "kehu: http.port: must be a whole number (port number) from 0 to 65535");
    }

    @Test
    void anUnreachableDatabaseIsOneLineAndExitCodeOne() throws Exception {
        environment.put("KEHU_PG_URI", "postgresql://kehu:s3cr@127.0.0.1:" + TestServers.freePort() + "/kehu");
        environment.put("KEHU_REDIS_URI", "redis://127.0.0.1:1");
        fails("migrate", "kehu: postgresql.uri: the database postgresql://kehu:***@127.0.0.1:");
    }

    @Test
    void aTakenEmbeddedPortIsOneLineAndExitCodeOne() throws Exception {
        embeddedServersOfItsOwn();
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            environment.put("KEHU_POSTGRESQL_EMBEDDED_PORT", Integer.toString(taken.getLocalPort()));
            fails("serve", "kehu: postgresql.embeddedPort: port " + taken.getLocalPort());
        }
    }

    @Test
    void outsideDemoModeAKeyThatOthersCanReadIsRefused() throws Exception {
        Path key = Files.writeString(
                Files.createDirectories(folder.resolve("keys")).resolve("master"), "key");
        key.toFile().setReadable(true, false);
        environment.put("KEHU_MODE", "production");
        environment.put("KEHU_KEYS_FOLDER", key.getParent().toString());
        environment.put("KEHU_PG_URI", "postgresql://kehu@127.0.0.1:1/kehu");
        environment.put("KEHU_REDIS_URI", "redis://127.0.0.1:1");
        environment.put("KEHU_HTTP_PORT", "0");
        environment.put("KEHU_HTTP_MANAGEMENT_PORT", "0");
        fails("serve", "kehu: keys.folder: others can read " + key + "; run chmod 400");
    }

    @Test
    void aWrongCommandIsExitCodeTwo() throws Exception {
        Process process = start("dance");
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(2);
        assertThat(stderr()).contains("dance", "Usage: kehu");
    }

    @Test
    void theDoctorFindsAMigratedDatabaseWell() throws Exception {
        Settings settings = TestServers.settings();
        environment.put("KEHU_PG_URI", settings.postgresql().uri());
        environment.put("KEHU_POSTGRESQL_OWNER_URI", settings.postgresql().ownerUri());
        environment.put("KEHU_REDIS_URI", settings.redis().uri());
        Process process = start("doctor");
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(stdout()).contains("ok    database", "ok    roles", "ok    extensions", "ok    redis");
        assertThat(process.exitValue()).isZero();
    }

    private void embeddedServersOfItsOwn() {
        for (String port :
                List.of("HTTP_PORT", "HTTP_MANAGEMENT_PORT", "POSTGRESQL_EMBEDDED_PORT", "REDIS_EMBEDDED_PORT")) {
            environment.put("KEHU_" + port, Integer.toString(TestServers.freePort()));
        }
    }

    private Connection owner() {
        String port = environment.get("KEHU_POSTGRESQL_EMBEDDED_PORT");
        return Migrations.connect("postgresql://postgres@127.0.0.1:" + port + "/kehu", 5_000);
    }

    private void fails(String command, String line) throws Exception {
        Process process = start(command);
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(1);
        assertThat(stderr()).startsWith(line).hasLineCount(1).doesNotContain("s3cr");
    }

    private Process serve() throws IOException {
        return start("serve");
    }

    private Process start(String command) throws IOException {
        ProcessBuilder builder = TestServers.kehu("256m", command);
        builder.environment().putAll(environment);
        builder.directory(folder.toFile());
        builder.redirectOutput(folder.resolve("stdout").toFile());
        builder.redirectError(folder.resolve("stderr").toFile());
        Process process = builder.start();
        started.add(process);
        return process;
    }

    private String stdout() throws IOException {
        return Files.readString(folder.resolve("stdout"));
    }

    private String stderr() throws IOException {
        return Files.readString(folder.resolve("stderr"));
    }

    private void awaitReady(Process process) {
        URI ready = URI.create("http://127.0.0.1:" + environment.get("KEHU_HTTP_MANAGEMENT_PORT") + "/health/ready");
        HttpClient client = HttpClient.newHttpClient();
        await().atMost(Duration.ofSeconds(90))
                .ignoreExceptions()
                .failFast(() -> !process.isAlive())
                .until(() -> {
                    var answer = client.send(HttpRequest.newBuilder(ready).build(), BodyHandlers.discarding());
                    return answer.statusCode() == 200 && stdout().contains("/health/ready");
                });
    }
}
