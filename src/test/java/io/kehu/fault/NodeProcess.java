package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.app.Settings;
import io.kehu.app.TestServers;
import io.kehu.bus.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A node as a process of its own, on the servers, keys and files of a house; a test may kill it, stop it or stall it. */
final class NodeProcess implements AutoCloseable {
    private static final Duration START = Duration.ofSeconds(90);
    private static final Pattern API = Pattern.compile("API +http://127\\.0\\.0\\.1:(-?\\d+)/v1");
    private static final Pattern MANAGEMENT = Pattern.compile("http://127\\.0\\.0\\.1:(\\d+)/health/ready");

    private final Process process;
    private final Path output;
    private final Path log;
    private int port;
    private int managementPort;

    private NodeProcess(Process process, Path output, Path log) {
        this.process = process;
        this.output = output;
        this.log = log;
    }

    /** Starts a node; {@link #awaitReady} waits for it. Other settings are named as in the environment. */
    static NodeProcess start(Settings house, Path folder, String name, Map<String, String> more) throws IOException {
        return start(house, folder, name, more, "serve");
    }

    /** Another command on the same servers; {@link #awaitEnd} waits for it. */
    static NodeProcess start(Settings house, Path folder, String name, Map<String, String> more, String... command)
            throws IOException {
        ProcessBuilder builder = TestServers.kehu("512m", command);
        Map<String, String> environment = builder.environment();
        environment.putAll(Map.of(
                "KEHU_MODE",
                "test",
                "KEHU_NODE_NAME",
                name,
                "KEHU_HTTP_PORT",
                "0",
                "KEHU_HTTP_MANAGEMENT_PORT",
                "0",
                "KEHU_SEED_CUSTOMERS",
                "0",
                "KEHU_PG_URI",
                house.postgresql().uri(),
                "KEHU_POSTGRESQL_OWNER_URI",
                house.postgresql().ownerUri(),
                "KEHU_REDIS_URI",
                house.redis().uri(),
                "KEHU_KEYS_FOLDER",
                house.keys().folder().toString(),
                "KEHU_BLOB_FOLDER",
                house.blob().folder().toString()));
        environment.put("KEHU_AUTH_ARGON2_MEMORY_KIB", "1024");
        environment.put(
                "KEHU_AUDIT_CHECKPOINT_FOLDER", house.audit().checkpointFolder().toString());
        Path log = folder.resolve(name + "-log");
        environment.put("KEHU_LOG_FOLDER", log.toString());
        environment.putAll(more);
        builder.directory(folder.toFile());
        Path output = Files.createTempFile(folder, name + "-", ".out");
        builder.redirectErrorStream(true).redirectOutput(output.toFile());
        return new NodeProcess(builder.start(), output, log.resolve("kehu.log"));
    }

    NodeProcess awaitReady() {
        await().atMost(START)
                .failFast(() -> assertThat(process.isAlive()).as(said()).isTrue())
                .until(() -> MANAGEMENT.matcher(said()).find());
        port = number(API);
        managementPort = number(MANAGEMENT);
        return this;
    }

    private int number(Pattern pattern) {
        Matcher matcher = pattern.matcher(said());
        if (!matcher.find()) {
            throw new IllegalStateException(said());
        }
        return Integer.parseInt(matcher.group(1));
    }

    /** How far the clock of its machine is ahead of ours, by the time of the first line in its log; to some seconds. */
    long clockAheadSeconds() throws IOException {
        try (Stream<String> lines = Files.lines(log)) {
            long millis = Json.MAPPER
                    .readTree(lines.findFirst().orElseThrow())
                    .required("timestamp")
                    .longValue();
            return (millis - process.info().startInstant().orElseThrow().toEpochMilli()) / 1_000;
        }
    }

    String said() {
        try {
            return Files.readString(output);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    int port() {
        return port;
    }

    int managementPort() {
        return managementPort;
    }

    /** Waits until a command has done its work, which it says with its status; the answer is what it printed. */
    String awaitEnd() {
        await().atMost(START).until(() -> !process.isAlive());
        assertThat(process.exitValue()).as(said()).isZero();
        return said();
    }

    boolean ended() {
        return !process.isAlive();
    }

    /** kill -9, and the end of it. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** SIGTERM; the answer is the exit status. */
    int terminate() {
        process.destroy();
        try {
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).as(said()).isTrue();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return process.exitValue();
    }

    void stall() {
        OwnPostgres.signal("STOP", List.of(process.toHandle()));
    }

    void resume() {
        OwnPostgres.signal("CONT", List.of(process.toHandle()));
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
