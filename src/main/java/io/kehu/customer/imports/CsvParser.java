package io.kehu.customer.imports;

import io.kehu.bus.Problem;
import io.kehu.customer.imports.CsvRows.Row;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Bytes in, records out: the grammar of {@link CsvRows}. Works on bytes, because in UTF-8 and in GB18030 separators, quotes and
 * line ends are never part of another character, and plain ASCII fields need no decoding. A record that is cut by the end of the bytes
 * is read again with the next ones; it is at most a megabyte, so that costs little.
 */
final class CsvParser {
    private static final byte[] NOTHING = new byte[0];
    private static final byte[] SEPARATORS = {',', ';', '\t'};
    private static final int CUT = -1;

    private final CharsetDecoder decoder;
    private String[] cells = new String[32];
    private byte[] rest = NOTHING;
    private long position;
    private long line;
    private byte separator;
    private boolean over;
    private @Nullable Problem fault;

    /**
     * Begins at a record boundary.
     *
     * @param separator NUL to find it out
     */
    CsvParser(long position, long line, char separator, Charset charset) {
        this.decoder = charset.newDecoder();
        this.position = position;
        this.line = line;
        this.separator = (byte) separator;
    }

    char separator() {
        return (char) separator;
    }

    /** The byte behind the last record given. */
    long position() {
        return position;
    }

    long line() {
        return line;
    }

    /** Nothing more will come: the end, or a fault. */
    boolean isOver() {
        return over;
    }

    @Nullable
    Problem fault() {
        return fault;
    }

    /** The records that these bytes complete. After {@code last}, or a fault, it is over. */
    List<Row> parse(byte[] more, boolean last) {
        byte[] bytes = more;
        if (rest.length > 0) {
            bytes = Arrays.copyOf(rest, rest.length + more.length);
            System.arraycopy(more, 0, bytes, rest.length, more.length);
        }
        List<Row> rows = new ArrayList<>();
        int from = 0;
        try {
            if (position > 0 || bytes.length > 2 || last) {
                from = position == 0 ? byteOrderMark(bytes) : 0;
                position += from;
                if (separator == 0) {
                    separator = findSeparator(bytes, from, last);
                }
                int next = separator == 0 ? CUT : from;
                while (next != CUT && next < bytes.length) {
                    position += next - from;
                    from = next;
                    next = record(bytes, from, last, rows);
                }
                if (next != CUT) {
                    position += next - from;
                    from = next;
                }
            }
            over = last;
        } catch (Problem problem) {
            fault = problem;
            over = true;
        }
        rest = over ? NOTHING : Arrays.copyOfRange(bytes, from, bytes.length);
        return rows;
    }

    private static int byteOrderMark(byte[] bytes) {
        return bytes.length > 2 && bytes[0] == (byte) 0xEF && bytes[1] == (byte) 0xBB && bytes[2] == (byte) 0xBF
                ? 3
                : 0;
    }

    /** The one that the first record has most of outside quotes; NUL where that record is not whole yet. */
    private static byte findSeparator(byte[] bytes, int from, boolean last) {
        int[] counts = new int[SEPARATORS.length];
        boolean quoted = false;
        boolean whole = last || bytes.length - from > CsvRows.MAX_RECORD_BYTES;
        for (int i = from; i < bytes.length; i++) {
            byte b = bytes[i];
            if (b == '"') {
                quoted = !quoted;
            } else if (!quoted) {
                for (int s = 0; s < counts.length; s++) {
                    counts[s] += b == SEPARATORS[s] ? 1 : 0;
                }
                if ((b == '\n' || b == '\r') && i > from) {
                    whole = true;
                    break;
                }
            }
        }
        int most = 0;
        for (int s = 1; s < counts.length; s++) {
            most = counts[s] > counts[most] ? s : most;
        }
        return whole ? SEPARATORS[most] : 0;
    }

    /** Reads one record and gives the byte behind it, or {@link #CUT}. */
    private int record(byte[] bytes, int from, boolean last, List<Row> rows) {
        int end = bytes.length;
        long lines = line;
        int count = 0;
        boolean blank = bytes[from] != '"';
        int i = from;
        while (true) {
            int start = i;
            boolean ascii = true;
            String cell;
            if (i < end && bytes[i] == '"') {
                long opened = lines;
                boolean doubled = false;
                start = ++i;
                while (true) {
                    if (i >= end || (i + 1 == end && !last)) {
                        return cut(end - from, last, "csv.quoteOpen", opened);
                    }
                    byte b = bytes[i];
                    if (b == '"') {
                        if (i + 1 == end || bytes[i + 1] != '"') {
                            break;
                        }
                        doubled = true;
                        i++;
                    } else if (b == '\n' || (b == '\r' && i + 1 < end && bytes[i + 1] != '\n')) {
                        lines++;
                    } else if (b < 0) {
                        ascii = false;
                    }
                    i++;
                }
                cell = text(bytes, start, i, ascii, opened);
                cell = doubled ? cell.replace("\"\"", "\"") : cell;
                i++;
            } else {
                while (i < end) {
                    byte b = bytes[i];
                    if (b == separator || b == '\n' || b == '\r') {
                        break;
                    }
                    ascii &= b >= 0;
                    i++;
                }
                if (i == end && !last) {
                    return cut(end - from, false, "csv.recordTooLong", line);
                }
                cell = text(bytes, start, i, ascii, lines);
            }
            if (count == CsvRows.MAX_FIELDS) {
                throw at("csv.tooManyFields", line);
            }
            if (count == cells.length) {
                cells = Arrays.copyOf(cells, 2 * count);
            }
            cells[count++] = cell;
            if (i < end && bytes[i] == separator) {
                i++;
            } else {
                break;
            }
        }
        int next = i;
        if (i < end) {
            if (bytes[i] != '\n' && bytes[i] != '\r') {
                throw at("csv.quoteMisplaced", lines);
            }
            if (bytes[i] == '\r' && i + 1 == end && !last) {
                return cut(end - from, false, "csv.recordTooLong", line);
            }
            next = i + (bytes[i] == '\r' && i + 1 < end && bytes[i + 1] == '\n' ? 2 : 1);
            lines++;
        } else if (!last) {
            return cut(end - from, false, "csv.recordTooLong", line);
        }
        if (next - from > CsvRows.MAX_RECORD_BYTES) {
            throw at("csv.recordTooLong", line);
        }
        if (!blank || count > 1 || !cells[0].isEmpty()) {
            rows.add(new Row(line, Arrays.copyOf(cells, count), position + (next - from), lines, -1));
        }
        line = lines;
        return next;
    }

    /** The rest of the record is missing: for now, or for good. */
    private static int cut(int length, boolean last, String code, long where) {
        if (last || length > CsvRows.MAX_RECORD_BYTES) {
            throw at(code, where);
        }
        return CUT;
    }

    private String text(byte[] bytes, int from, int to, boolean ascii, long where) {
        if (ascii) {
            return new String(bytes, from, to - from, StandardCharsets.ISO_8859_1);
        }
        try {
            return decoder.decode(ByteBuffer.wrap(bytes, from, to - from)).toString();
        } catch (CharacterCodingException e) {
            throw at("csv.encoding", where);
        }
    }

    private static Problem at(String code, long line) {
        return Problem.of(code, Long.toString(line));
    }
}
