package io.kehu.audit;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.bus.Json;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.copy.PGCopyInputStream;

/**
 * Writes the audit, or a part of it, in the form of {@link DumpLine}: rows in the order of their transactions, each seal behind
 * the rows of its range. Two COPY streams are merged, so memory does not grow with the audit. Blocks; the order comes from the
 * primary key, so the server sorts nothing.
 */
public final class Dump {
    private static final int BUFFER_BYTES = 1 << 16;
    /** Quote and delimiter that no JSON text holds, so that lines come as they are. */
    private static final String AS_LINES = ") TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')";

    private static final String ROWS =
            "COPY (SELECT to_json(kehu.audit_texts(a) || encode(a.leaf, 'hex')) FROM kehu.audit a WHERE true%s"
                    + " ORDER BY a.incarnation, a.xid, a.ord" + AS_LINES;
    private static final String SEALS = """
            COPY (SELECT json_build_array(number, incarnation, from_xid::text, to_xid::text, row_count, encode(root, 'hex'),
                         encode(previous, 'hex'), (extract(epoch FROM sealed_at) * 1000000)::bigint, encode(hash, 'hex'), kid,
                         encode(signature, 'hex'))
                  FROM kehu.audit_seal WHERE number BETWEEN %d AND %d ORDER BY number""" + AS_LINES;

    /** What lies in archives is left out, and so are the seals that it takes along. */
    private static final String BOUNDS = """
            SELECT (SELECT coalesce(max(last_seal), 0) + 1 FROM kehu.audit_archive) AS live,
                   (SELECT coalesce(min(number) FILTER (WHERE sealed_at >= ?::timestamptz), max(number) + 1, 1)
                    FROM kehu.audit_seal) AS first,
                   (SELECT max(number) FROM kehu.audit_seal WHERE sealed_at < ?::timestamptz) AS last""";

    private static final String END = "SELECT incarnation, to_xid::text FROM kehu.audit_seal WHERE number = ?";

    private final Source source;

    /** Connections as {@code kehu_seal}, which may read the audit; each is closed by who opened it. */
    @FunctionalInterface
    public interface Source {
        Connection open() throws SQLException;
    }

    /**
     * What to write.
     *
     * @param first the first seal
     * @param last the last seal; null for all, and the rows that are not sealed yet
     */
    record Part(long first, @Nullable Long last) {}

    public Dump(Source source) {
        this.source = source;
    }

    /**
     * Writes what is live, or the seals made in a time.
     *
     * @param from null for the beginning
     * @param to the first instant not included; null for all, and the rows that are not sealed yet
     * @return how many rows were written
     */
    public long write(OutputStream out, @Nullable OffsetDateTime from, @Nullable OffsetDateTime to)
            throws SQLException, IOException {
        Part part;
        try (Connection connection = source.open();
                PreparedStatement bounds = connection.prepareStatement(BOUNDS)) {
            bounds.setString(1, from == null ? "-infinity" : from.toString());
            bounds.setString(2, to == null ? "infinity" : to.toString());
            try (ResultSet row = bounds.executeQuery()) {
                row.next();
                long first = Math.max(row.getLong("live"), from == null ? 1 : row.getLong("first"));
                long last = row.getLong("last"); // 0 where there is none
                part = new Part(first, to == null ? null : Long.valueOf(last));
            }
        }
        return write(out, part);
    }

    long write(OutputStream out, Part part) throws SQLException, IOException {
        long last = part.last == null ? Long.MAX_VALUE : part.last;
        out.write(DumpLine.HEADER);
        out.write('\n');
        // The seals are read first: what they cover was committed before, so the rows that are read after hold all of
        // it.
        try (Connection forSeals = source.open();
                Connection forRows = source.open();
                Verifier.Lines seals = copy(forSeals, SEALS.formatted(part.first, last))) {
            String where =
                    bound(forRows, ">=", part.first == 1 ? null : part.first - 1) + bound(forRows, "<", part.last);
            try (Verifier.Lines rows = copy(forRows, ROWS.formatted(where))) {
                return merge(seals, rows, out);
            }
        }
    }

    private static Verifier.Lines copy(Connection connection, String sql) throws SQLException {
        return new Verifier.Lines(new PGCopyInputStream(connection.unwrap(PGConnection.class), sql));
    }

    /** Rows before or behind the end of a seal's range; nothing is before the end of seal 0. */
    private static String bound(Connection connection, String sign, @Nullable Long number) throws SQLException {
        if (number == null) {
            return "";
        }
        try (PreparedStatement find = connection.prepareStatement(END)) {
            find.setLong(1, number);
            try (ResultSet row = find.executeQuery()) {
                return row.next()
                        ? " AND (a.incarnation, a.xid) %s (%d, '%s'::xid8)"
                                .formatted(sign, row.getInt(1), row.getString(2))
                        : number == 0 ? " AND false" : "";
            }
        }
    }

    private static long merge(Verifier.Lines seals, Verifier.Lines rows, OutputStream out) throws IOException {
        long written = 0;
        byte[] row = rows.next();
        for (byte[] line = seals.next(); line != null; line = seals.next()) {
            Seal seal = seal(line);
            while (row != null && isBefore(row, seal)) {
                out.write(row);
                out.write('\n');
                written++;
                row = rows.next();
            }
            out.write(seal.line().getBytes(StandardCharsets.UTF_8));
            out.write('\n');
        }
        for (; row != null; row = rows.next()) {
            out.write(row);
            out.write('\n');
            written++;
        }
        return written;
    }

    private static boolean isBefore(byte[] row, Seal seal) throws IOException {
        try (JsonParser json = Json.own(row)) {
            json.nextToken();
            json.nextToken();
            int incarnation = Integer.parseInt(json.nextTextValue());
            long xid = Long.parseUnsignedLong(json.nextTextValue());
            return incarnation < seal.incarnation()
                    || (incarnation == seal.incarnation() && Long.compareUnsigned(xid, seal.to()) < 0);
        }
    }

    private static Seal seal(byte[] line) throws IOException {
        JsonNode node = Json.MAPPER.readTree(line);
        HexFormat hex = HexFormat.of();
        return new Seal(
                node.get(0).longValue(),
                node.get(1).intValue(),
                Long.parseUnsignedLong(node.get(2).textValue()),
                Long.parseUnsignedLong(node.get(3).textValue()),
                node.get(4).longValue(),
                hex.parseHex(node.get(5).textValue()),
                hex.parseHex(node.get(6).textValue()),
                node.get(7).longValue(),
                hex.parseHex(node.get(8).textValue()),
                node.get(9).textValue(),
                hex.parseHex(node.get(10).textValue()));
    }

    /** A stream of the right size for {@link #write}. */
    public static OutputStream buffered(OutputStream out) {
        return new java.io.BufferedOutputStream(out, BUFFER_BYTES);
    }
}
