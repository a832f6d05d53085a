package io.kehu.app;

import io.kehu.audit.Archive;
import io.kehu.audit.Dump;
import io.kehu.audit.Verifier;
import io.kehu.crypto.KeySet;
import io.kehu.crypto.KeyStore;
import io.kehu.crypto.Signer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What one does with the audit outside the server: dump it, check it anywhere, archive it and read archives again. */
@Command(name = "audit", description = "Dump, check and archive the audit.", mixinStandardHelpOptions = true)
final class AuditCommand {
    /** Whoever begins an incarnation stops all writing that has not ended, and then nobody may be there who would go on. */
    private static final String ALONE = """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kehu-%'""";

    private static final String BEGIN = """
            INSERT INTO kehu.incarnation (number, why) SELECT max(number) + 1, ? FROM kehu.incarnation RETURNING number""";
    private static final String SAY = """
            SELECT kehu.audit_own('beginIncarnation', 'incarnation', jsonb_build_object('args', jsonb_build_array(?::text, ?::text)))""";
    private static final int MAX_REASON = 200;

    private final Supplier<Settings> servers;
    private final Supplier<Settings> alone;
    private final PrintStream out;

    /**
     * A command over the audit.
     *
     * @param servers the settings with servers that run and are migrated
     * @param alone the settings without any server
     */
    AuditCommand(Supplier<Settings> servers, Supplier<Settings> alone, PrintStream out) {
        this.servers = servers;
        this.alone = alone;
        this.out = out;
    }

    @Command(
            name = "verify",
            description = "Check dumps and archives; needs no server and no settings. Exit code 0: intact, 1: not.",
            mixinStandardHelpOptions = true)
    int verify(
            @Option(
                            names = "--dump",
                            required = true,
                            description = "In the order of the chain, when there are several")
                    List<Path> dumps,
            @Option(names = "--key", required = true, description = "The file that `kehu audit key` wrote") Path key,
            @Option(names = "--checkpoints", description = "Files or folders; without them a cut tail is not found")
                    @Nullable
                    List<Path> checkpoints,
            @Option(names = "--part", description = "What comes before and after the dumps is elsewhere") boolean part)
            throws IOException {
        long began = System.nanoTime();
        Verifier.Report report =
                new Verifier(keys(key), part).verify(dumps, checkpoints == null ? List.of() : checkpoints);
        double seconds = Math.max(1, System.nanoTime() - began) / 1e9;
        out.printf(
                "%d rows under %d seals (%d to %d), %d rows not sealed yet; %.1f s, %.0f rows a second.%n",
                report.rows(),
                report.seals(),
                report.firstSeal(),
                report.lastSeal(),
                report.unsealed(),
                seconds,
                report.rows() / seconds);
        report.findings().forEach(out::println);
        if (checkpoints == null) {
            out.println("No checkpoints were given: whether the tail was cut is not known.");
        }
        out.println(report.intact() ? "Intact." : "NOT INTACT: " + report.found() + " findings.");
        return report.intact() ? 0 : 1;
    }

    private static Map<String, byte[]> keys(Path file) throws IOException {
        try {
            return KeySet.read(Files.readAllBytes(file));
        } catch (IllegalArgumentException e) {
            throw new StartFailure("--key: " + file + " " + e.getMessage());
        }
    }

    @Command(
            name = "dump",
            description = "Write the audit as JSON lines, gzipped where the name ends in .gz.",
            mixinStandardHelpOptions = true)
    void dump(
            @Option(names = "--out", required = true) Path file,
            @Option(names = "--from", description = "Only seals made from this instant on, e.g. 2026-11-01T00:00:00Z")
                    @Nullable
                    OffsetDateTime from,
            @Option(names = "--to", description = "Only seals made before this instant") @Nullable OffsetDateTime to)
            throws IOException, SQLException {
        Settings settings = servers.get();
        try (OutputStream disk = Files.newOutputStream(file);
                OutputStream bytes =
                        Dump.buffered(file.toString().endsWith(".gz") ? new GZIPOutputStream(disk) : disk)) {
            long rows = new Dump(Sealing.source(settings.postgresql())).write(bytes, from, to);
            out.println(rows + " rows were written to " + file + ".");
        }
    }

    @Command(
            name = "key",
            description = "Write the public keys that seals are checked with (JSON Web Key Set).",
            mixinStandardHelpOptions = true)
    void key(@Option(names = "--out", required = true) Path file) throws IOException {
        Files.writeString(file, KeySet.write(signer(alone.get(), false).publicKeys()) + "\n");
    }

    @Command(
            name = "archive",
            description = "Move months past audit.hotDays into verified files; running nodes do it at night.",
            mixinStandardHelpOptions = true)
    void archive() throws IOException, SQLException {
        List<String> done = archiveOf(servers.get()).run();
        done.forEach(out::println);
        if (done.isEmpty()) {
            out.println("No month is due.");
        }
    }

    @Command(
            name = "restore",
            description = "Make the rows of an archive readable again, after checking it.",
            mixinStandardHelpOptions = true)
    void restore(
            @Parameters(paramLabel = "FILE", description = "The archive") Path file,
            @Option(names = "--remove", description = "Take them out again instead") boolean remove)
            throws IOException, SQLException {
        Archive archive = archiveOf(servers.get());
        out.println(remove ? archive.remove(file) : archive.restore(file));
    }

    @Command(
            name = "incarnation",
            description =
                    "After a restore, with all nodes stopped: say that what the copy lost is known, and begin anew.",
            mixinStandardHelpOptions = true)
    void incarnation(
            @Option(
                            names = "--reason",
                            required = true,
                            description = "Which copy was restored and why; kept in the audit")
                    String reason)
            throws SQLException {
        if (reason.isBlank() || reason.length() > MAX_REASON) {
            throw new StartFailure("--reason: 1 to " + MAX_REASON + " characters");
        }
        Settings.Postgresql postgresql = servers.get().postgresql();
        try (Connection connection = Migrations.connect(postgresql.ownerUri(), postgresql.connectMillis());
                Statement sql = connection.createStatement()) {
            connection.setAutoCommit(false);
            sql.execute("SET LOCAL ROLE kehu_owner");
            sql.execute("SET LOCAL lock_timeout = " + postgresql.lockTimeoutMillis());
            sql.execute("LOCK TABLE kehu.incarnation IN ACCESS EXCLUSIVE MODE");
            if (number(connection, ALONE) > 0) {
                throw new StartFailure(
                        "nodes work on this database: stop them all first, or what they are writing would"
                                + " belong to the incarnation that ends");
            }
            long begun = number(connection, BEGIN, reason);
            number(connection, SAY, Long.toString(begun), reason);
            connection.commit();
            out.println("Incarnation " + begun
                    + " begins: nodes start on this copy, and the chain goes on from its last seal.");
        }
    }

    /** The first column of the first row; 0 where it is no number. */
    private static long number(Connection connection, String query, String... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            for (int i = 0; i < values.length; i++) {
                statement.setString(i + 1, values[i]);
            }
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() && rows.getObject(1) instanceof Number number ? number.longValue() : 0;
            }
        }
    }

    private static Archive archiveOf(Settings settings) {
        return Sealing.archive(settings, signer(settings, !settings.production()));
    }

    private static Signer signer(Settings settings, boolean mayCreate) {
        return new Signer(KeyStore.openOrCreate(settings.keys().folder(), mayCreate), "kehu");
    }
}
