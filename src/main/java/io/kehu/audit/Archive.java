package io.kehu.audit;

import io.kehu.audit.Verifier.Report;
import io.kehu.crypto.Sha256;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * Moves months past their time from the database into files, oldest first: written with every seal that touches the month and
 * all rows of those seals, read back and verified, and only then dropped, by a function of the database that checks again. A
 * crash at any step leaves the month where it was. Months of the access log past their time are dropped. Blocks.
 */
public final class Archive {
    private static final DateTimeFormatter DIGITS = DateTimeFormatter.ofPattern("uuuuMM");
    private static final int RESTORE_LINES = 1_000;
    private static final int BUFFER_BYTES = 1 << 16;

    /** Held by the connection that archives: one node at a time, and free again when it dies. */
    private static final String LOCK = "SELECT pg_try_advisory_lock(hashtext('kehu.archive'))";

    private static final String DUE = """
            SELECT right(c.relname, 6) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'kehu.audit'::regclass AND c.relname ~ '^audit_[0-9]{6}$'
              AND (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC'
                  <= kehu.now() - make_interval(days => ?)
            ORDER BY 1""";
    /** The seal over the first row of a month in the chain's order, and over the last. */
    private static final String SEAL_OF = """
            SELECT s.number FROM (
                SELECT incarnation, xid FROM kehu.audit
                WHERE at >= date '%1$s' AT TIME ZONE 'UTC' AND at < date '%2$s' AT TIME ZONE 'UTC'
                ORDER BY incarnation %3$s, xid %3$s LIMIT 1) r
            JOIN kehu.audit_seal s ON s.incarnation = r.incarnation AND s.from_xid <= r.xid AND s.to_xid > r.xid""";

    private static final String EMPTY = """
            SELECT NOT EXISTS (SELECT FROM kehu.audit
                               WHERE at >= date '%s' AT TIME ZONE 'UTC' AND at < date '%s' AT TIME ZONE 'UTC')""";
    private static final String GIVE_UP = "SELECT kehu.archive_audit_month(?, ?, ?, ?, ?, ?, ?, ?)";
    private static final String DROP_ACCESS = "SELECT kehu.drop_access_months(?)";
    private static final String MONTH_OF = "SELECT month FROM kehu.audit_archive WHERE sha256 = ?";
    private static final String REMOVE = """
            DELETE FROM kehu.audit_restored
            WHERE at >= ?::date AT TIME ZONE 'UTC' AND at < (?::date + interval '1 month') AT TIME ZONE 'UTC'""";
    private static final String RESTORE = """
            INSERT INTO kehu.audit_restored (at, incarnation, xid, ord, id, kind, operation, actor, audience, actor_name, session,
                address, request_id, purpose, approval_id, object_type, object_id, object_version, code, args, row_count, rows_hash,
                first_id, last_id, changes, leaf)
            SELECT at, (t->>1)::int, (t->>2)::xid8, (t->>3)::int, (t->>4)::uuid, t->>5, t->>6, (t->>7)::uuid, t->>8, t->>9,
                (t->>10)::uuid, t->>11, t->>12, t->>13, (t->>14)::uuid, t->>15, (t->>16)::uuid, (t->>17)::bigint, t->>18,
                (t->>19)::text[], (t->>20)::bigint, decode(t->>21, 'hex'), t->>22, t->>23, (t->>24)::jsonb, decode(t->>25, 'hex')
            FROM unnest(?::text[]) AS line, LATERAL (SELECT line::jsonb AS t) j,
                LATERAL (SELECT timestamptz 'epoch' + (t->>0)::bigint * interval '1 microsecond' AS at) k
            WHERE at >= ?::date AT TIME ZONE 'UTC' AND at < (?::date + interval '1 month') AT TIME ZONE 'UTC'
            ON CONFLICT (id) DO NOTHING""";

    private final Dump.Source source;
    private final Supplier<Map<String, byte[]>> publicKeys;
    private final Options options;

    /**
     * Where to, and when.
     *
     * @param folder of the files
     * @param hotDays days that a month stays in the database after its end, at least 30
     * @param accessLogDays the same for the access log
     */
    public record Options(Path folder, int hotDays, int accessLogDays) {}

    /** What cannot be done, in one line for people. */
    public static final class Refused extends RuntimeException {
        Refused(String line) {
            super(line, null, false, false);
        }
    }

    /**
     * Archives into a folder.
     *
     * @param publicKeys 32 bytes each, by their ids, as they are when asked for
     */
    public Archive(Dump.Source source, Supplier<Map<String, byte[]>> publicKeys, Options options) {
        this.source = source;
        this.publicKeys = publicKeys;
        this.options = options;
    }

    /**
     * Archives every month that is due, unless another node is at it.
     *
     * @return a line for each thing done. Throws {@link Refused} where a month cannot be given up
     */
    public List<String> run() throws SQLException, IOException {
        List<String> done = new ArrayList<>();
        try (Connection connection = source.open();
                Statement sql = connection.createStatement()) {
            sql.execute("SET lock_timeout = '2s'"); // writers wait for as long, at the most
            if (!flag(sql, LOCK)) {
                return done;
            }
            for (YearMonth month : due(connection)) {
                done.add(archive(connection, month));
            }
            try (PreparedStatement drop = connection.prepareStatement(DROP_ACCESS)) {
                drop.setInt(1, options.accessLogDays);
                int gone = Math.toIntExact(number(drop));
                if (gone > 0) {
                    done.add(gone + " months of the access log were dropped.");
                }
            }
        }
        return done;
    }

    private List<YearMonth> due(Connection connection) throws SQLException {
        List<YearMonth> months = new ArrayList<>();
        try (PreparedStatement find = connection.prepareStatement(DUE)) {
            find.setInt(1, options.hotDays);
            try (ResultSet rows = find.executeQuery()) {
                while (rows.next()) {
                    months.add(YearMonth.parse(rows.getString(1), DIGITS));
                }
            }
        }
        return months;
    }

    private String archive(Connection connection, YearMonth month) throws SQLException, IOException {
        String digits = month.format(DIGITS);
        Long first = null;
        Long last = null;
        try (Statement sql = connection.createStatement()) {
            LocalDate from = month.atDay(1);
            LocalDate to = from.plusMonths(1);
            if (!flag(sql, EMPTY.formatted(from, to))) {
                first = seal(sql, SEAL_OF.formatted(from, to, "ASC"), month);
                last = seal(sql, SEAL_OF.formatted(from, to, "DESC"), month);
            }
        }
        Files.createDirectories(options.folder);
        String name = "audit-" + digits + ".jsonl.gz";
        Path file = options.folder.resolve(name);
        Path unfinished = options.folder.resolve(name + ".unfinished");
        write(unfinished, first, last);
        long rows = verified(unfinished, month);
        byte[] hash = sha256(unfinished);
        long bytes = Files.size(unfinished);
        Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        try (FileChannel folder = FileChannel.open(options.folder, StandardOpenOption.READ)) {
            folder.force(true);
        }
        try (PreparedStatement give = connection.prepareStatement(GIVE_UP)) {
            give.setObject(1, month.atDay(1));
            give.setString(2, name);
            give.setBytes(3, hash);
            give.setLong(4, bytes);
            give.setLong(5, rows);
            give.setObject(6, first, java.sql.Types.BIGINT);
            give.setObject(7, last, java.sql.Types.BIGINT);
            give.setInt(8, options.hotDays);
            give.execute();
        }
        return month + " was archived: " + rows + " rows, " + bytes + " bytes, " + file + ", SHA-256 "
                + HexFormat.of().formatHex(hash);
    }

    private static Long seal(Statement sql, String query, YearMonth month) throws SQLException {
        try (ResultSet row = sql.executeQuery(query)) {
            if (!row.next()) {
                throw new Refused(month + " cannot be archived: a row of it is not sealed");
            }
            return row.getLong(1);
        }
    }

    private void write(Path file, @Nullable Long first, @Nullable Long last) throws SQLException, IOException {
        try (FileOutputStream disk = new FileOutputStream(file.toFile());
                GZIPOutputStream zipped = new GZIPOutputStream(disk, BUFFER_BYTES);
                OutputStream out = Dump.buffered(zipped)) {
            new Dump(source).write(out, first == null ? new Dump.Part(0, 0L) : new Dump.Part(first, last));
            out.flush();
            zipped.finish();
            disk.getFD().sync();
        }
    }

    /** Reads the file back; how many rows of the month it holds. */
    private long verified(Path file, YearMonth month) throws IOException {
        long from = micros(month);
        long to = micros(month.plusMonths(1));
        Report report =
                new Verifier(publicKeys.get(), true).verify(List.of(file), List.of(), at -> at >= from && at < to);
        if (!report.intact()) {
            throw new Refused(month + " cannot be archived, the audit is not intact: "
                    + report.findings().get(0));
        }
        return report.counted();
    }

    private static long micros(YearMonth month) {
        return month.atDay(1).atStartOfDay(ZoneOffset.UTC).toEpochSecond() * 1_000_000L;
    }

    private static byte[] sha256(Path file) throws IOException {
        MessageDigest digest = Sha256.start();
        try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
            in.transferTo(OutputStream.nullOutputStream());
        }
        return digest.digest();
    }

    /**
     * Brings the rows of an archived month back for reading, having verified the file.
     *
     * @return what was done, in one line. Throws {@link Refused} for a file that is not an archive of this database
     */
    public String restore(Path file) throws SQLException, IOException {
        Report report = new Verifier(publicKeys.get(), true).verify(List.of(file), List.of());
        if (!report.intact()) {
            throw new Refused(file + " is not intact: " + report.findings().get(0));
        }
        try (Connection connection = source.open()) {
            LocalDate month = month(connection, file);
            connection.setAutoCommit(false);
            long rows = 0;
            try (Verifier.Lines lines = new Verifier.Lines(Verifier.open(file));
                    PreparedStatement insert = connection.prepareStatement(RESTORE)) {
                List<String> waiting = new ArrayList<>();
                for (byte[] line = lines.next(); line != null; line = lines.next()) {
                    if (line[0] == '[') {
                        waiting.add(new String(line, StandardCharsets.UTF_8));
                    }
                    if (waiting.size() == RESTORE_LINES) {
                        rows += insert(connection, insert, month, waiting);
                    }
                }
                rows += insert(connection, insert, month, waiting);
            }
            connection.commit();
            return YearMonth.from(month) + " is readable again: " + rows + " rows.";
        }
    }

    /** Takes the rows of an archived month out again. */
    public String remove(Path file) throws SQLException, IOException {
        try (Connection connection = source.open()) {
            LocalDate month = month(connection, file);
            try (PreparedStatement remove = connection.prepareStatement(REMOVE)) {
                remove.setObject(1, month);
                remove.setObject(2, month);
                return YearMonth.from(month) + " is no longer readable: " + remove.executeUpdate() + " rows.";
            }
        }
    }

    private static LocalDate month(Connection connection, Path file) throws SQLException, IOException {
        try (PreparedStatement find = connection.prepareStatement(MONTH_OF)) {
            find.setBytes(1, sha256(file));
            try (ResultSet row = find.executeQuery()) {
                if (!row.next()) {
                    throw new Refused(file + " is not an archive of this database");
                }
                return row.getObject(1, LocalDate.class);
            }
        }
    }

    private static int insert(Connection connection, PreparedStatement insert, LocalDate month, List<String> waiting)
            throws SQLException {
        insert.setArray(1, connection.createArrayOf("text", waiting.toArray()));
        insert.setObject(2, month);
        insert.setObject(3, month);
        waiting.clear();
        return insert.executeUpdate();
    }

    private static boolean flag(Statement sql, String query) throws SQLException {
        try (ResultSet row = sql.executeQuery(query)) {
            row.next();
            return row.getBoolean(1);
        }
    }

    private static long number(PreparedStatement query) throws SQLException {
        try (ResultSet row = query.executeQuery()) {
            row.next();
            return row.getLong(1);
        }
    }
}
