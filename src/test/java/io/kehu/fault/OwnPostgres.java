package io.kehu.fault;

import static org.awaitility.Awaitility.await;

import io.kehu.app.Embedded;
import io.kehu.app.Migrations;
import io.kehu.app.Settings;
import io.kehu.app.TestServers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** An embedded PostgreSQL of a test's own, that it may stop, start again and stall. Redis is the one of all tests. */
final class OwnPostgres implements AutoCloseable {
    private static final Duration START = Duration.ofSeconds(30);

    /** How PostgreSQL is stopped: FAST ends its clients and writes a checkpoint, IMMEDIATE is like a crash. */
    enum Stop {
        FAST,
        IMMEDIATE
    }

    private final Path data;
    private final Embedded embedded;
    private final Path program;
    private List<ProcessHandle> stalled = List.of();

    private OwnPostgres(Path data, Map<String, String> more) throws IOException, SQLException {
        this.data = data;
        Map<String, String> own = new HashMap<>(more);
        own.put("KEHU_PG_URI", "");
        own.put("KEHU_POSTGRESQL_OWNER_URI", "");
        own.put("KEHU_POSTGRESQL_DATA_FOLDER", data.toString());
        own.put("KEHU_POSTGRESQL_EMBEDDED_PORT", Integer.toString(TestServers.freePort()));
        embedded = Embedded.start(TestServers.settings(own));
        try {
            program = Path.of(postmaster().info().command().orElseThrow());
            Migrations.run(settings().postgresql());
            // Test mode does without it for speed; here an acknowledged commit must outlive a crash of the server.
            superuser("ALTER DATABASE kehu SET synchronous_commit = on");
        } catch (RuntimeException | SQLException e) {
            embedded.close();
            throw e;
        }
    }

    static OwnPostgres start(Path folder, Map<String, String> more) throws IOException, SQLException {
        return new OwnPostgres(folder.resolve("postgresql"), more);
    }

    Settings settings() {
        return embedded.settings();
    }

    Connection superuser() throws SQLException {
        return Migrations.connect(TestServers.superuser(settings().postgresql().ownerUri()), 5_000);
    }

    void superuser(String statement) throws SQLException {
        try (Connection connection = superuser();
                Statement sql = connection.createStatement()) {
            sql.execute(statement);
        }
    }

    void stop(Stop how) {
        ProcessHandle postmaster = postmaster();
        List<ProcessHandle> all = processes();
        signal(how == Stop.FAST ? "INT" : "QUIT", List.of(postmaster));
        await().atMost(START)
                .pollInterval(Duration.ofMillis(10))
                .until(() -> all.stream().noneMatch(ProcessHandle::isAlive));
    }

    /** What an operator does with a server that has given up; nothing where it runs. */
    void startWhereItEnded() throws IOException, InterruptedException {
        if (running().isEmpty()) {
            start();
        }
    }

    /** Starts the stopped server with the options of its former start. */
    void start() throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        if ("root".equals(System.getProperty("user.name"))) {
            // PostgreSQL refuses to run as root; in a user namespace of its own it does not see that it would.
            command.addAll(List.of("unshare", "-U"));
        }
        command.addAll(List.of(
                program.resolveSibling("pg_ctl").toString(),
                "-D",
                data.toString(),
                "-w",
                "-t",
                Long.toString(START.toSeconds()),
                "-l",
                data.resolveSibling("restart.log").toString(),
                // Of a server that does not run this is a start that knows the former options.
                "restart"));
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(data.resolveSibling("pg_ctl.log").toFile())
                .start();
        if (!process.waitFor(START.toSeconds() + 5, TimeUnit.SECONDS) || process.exitValue() != 0) {
            process.destroyForcibly();
            throw new IllegalStateException(Files.readString(data.resolveSibling("pg_ctl.log")));
        }
    }

    /** Stops every process of the server in its tracks; connections stay open, and new ones are taken by the kernel. */
    void stall() {
        // The postmaster first, so that it makes no further process.
        signal("STOP", List.of(postmaster()));
        stalled = processes();
        signal("STOP", stalled);
    }

    void resume() {
        signal("CONT", stalled);
        stalled = List.of();
    }

    private ProcessHandle postmaster() {
        return running().orElseThrow();
    }

    private Optional<ProcessHandle> running() {
        try {
            long pid = Long.parseLong(
                    Files.readAllLines(data.resolve("postmaster.pid")).get(0).strip());
            return ProcessHandle.of(pid).filter(ProcessHandle::isAlive);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private List<ProcessHandle> processes() {
        ProcessHandle postmaster = postmaster();
        return Stream.concat(Stream.of(postmaster), postmaster.descendants()).toList();
    }

    static void signal(String name, List<ProcessHandle> processes) {
        List<String> command = new ArrayList<>(List.of("kill", "-" + name));
        processes.forEach(process -> command.add(Long.toString(process.pid())));
        if (processes.isEmpty()) {
            return;
        }
        try {
            // Its status does not matter: a process that has ended in the meantime needs no signal.
            new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        resume();
        embedded.close();
    }
}
