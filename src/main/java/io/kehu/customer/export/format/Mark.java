package io.kehu.customer.export.format;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * The hidden mark of a file: the id of its export, also where the line that says it was cut off.
 *
 * <ul>
 *   <li>csv: quotes that no reader needs. Each cell that is neither empty nor has to be quoted carries one bit of the id, set where
 *       it is quoted, first bit first, over and over. It is lost when a spreadsheet saves the file anew.
 *   <li>lines of json: a blank behind a colon, in the same way.
 *   <li>xlsx, docx: the document property {@code KehuExport}; in xlsx also the hidden name {@code _kehu_export}. By hand: {@code
 *       unzip -p file.xlsx docProps/custom.xml}.
 *   <li>pdf: the file identifier ({@code /ID}, ISO 32000-1, 14.4), in hexadecimal.
 * </ul>
 */
public final class Mark {
    static final String PROPERTY = "KehuExport";
    private static final int BITS = 128;
    private static final Pattern UUID_TEXT =
            Pattern.compile(PROPERTY + "\"><vt:lpwstr>([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})<");
    private static final Pattern PDF_ID = Pattern.compile("/ID \\[<([0-9a-f]{32})>");

    private final UUID id;
    private int next;

    Mark(UUID id) {
        this.id = id;
    }

    /** The next bit of the id. */
    boolean bit() {
        int place = next++ % BITS;
        long half = place < 64 ? id.getMostSignificantBits() : id.getLeastSignificantBits();
        return (half >>> (63 - place % 64) & 1) == 1;
    }

    /** The export that a file came from, by its hidden mark; empty where there is none whole. */
    public static Optional<UUID> find(byte[] file) throws IOException {
        String head = new String(file, 0, Math.min(5, file.length), StandardCharsets.ISO_8859_1);
        if (head.startsWith("%PDF")) {
            Matcher found = PDF_ID.matcher(new String(file, StandardCharsets.ISO_8859_1));
            return found.find() ? Optional.of(ofHex(found.group(1))) : Optional.empty();
        }
        if (head.startsWith("PK")) {
            return inArchive(file);
        }
        String text = new String(file, isUtf8(file) ? StandardCharsets.UTF_8 : Charset.forName("GB18030"));
        return text.startsWith("{") ? inLines(text) : inCells(text.startsWith("\ufeff") ? text.substring(1) : text);
    }

    /** Also where the file was cut off within a character. */
    private static boolean isUtf8(byte[] file) {
        return !StandardCharsets.UTF_8
                .newDecoder()
                .decode(ByteBuffer.wrap(file), CharBuffer.allocate(file.length), false)
                .isError();
    }

    private static Optional<UUID> inArchive(byte[] file) throws IOException {
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(file))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                if (entry.getName().equals("docProps/custom.xml")) {
                    Matcher found = UUID_TEXT.matcher(new String(zip.readAllBytes(), StandardCharsets.UTF_8));
                    return found.find() ? Optional.of(UUID.fromString(found.group(1))) : Optional.empty();
                }
            }
            return Optional.empty();
        }
    }

    private static UUID ofHex(String hex) {
        return new UUID(
                Long.parseUnsignedLong(hex.substring(0, 16), 16), Long.parseUnsignedLong(hex.substring(16), 16));
    }

    private static Optional<UUID> inCells(String text) {
        Votes votes = new Votes();
        int at = 0;
        while (at < text.length()) {
            boolean quoted = text.charAt(at) == '"';
            int end = quoted ? closing(text, at + 1) + 1 : at;
            while (end < text.length() && ",\r\n".indexOf(text.charAt(end)) < 0) {
                end++;
            }
            boolean needed = quoted
                    && text.substring(at + 1, Math.max(at + 1, end - 1))
                            .chars()
                            .anyMatch(c -> CsvWriter.mustQuote((char) c));
            // A cell in which the file ends may have been cut off.
            if (!needed && end < text.length() && end - at > (quoted ? 2 : 0)) {
                votes.add(quoted);
            }
            at = end + (text.startsWith("\r\n", end) ? 2 : 1);
        }
        return votes.id();
    }

    /** The quote that ends a cell which begins at this place. */
    private static int closing(String text, int from) {
        int at = text.indexOf('"', from);
        while (at >= 0 && at + 1 < text.length() && text.charAt(at + 1) == '"') {
            at = text.indexOf('"', at + 2);
        }
        return at < 0 ? text.length() : at;
    }

    private static Optional<UUID> inLines(String text) {
        Votes votes = new Votes();
        boolean within = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                within = !within;
            } else if (c == ':' && !within && i + 1 < text.length()) {
                votes.add(text.charAt(i + 1) == ' ');
            }
        }
        return votes.id();
    }

    /** Bits as they come, each as often as the file repeats them. */
    private static final class Votes {
        private final int[] balance = new int[BITS];
        private int count;

        void add(boolean bit) {
            balance[count++ % BITS] += bit ? 1 : -1;
        }

        Optional<UUID> id() {
            if (count < BITS) {
                return Optional.empty();
            }
            long[] halves = new long[2];
            for (int i = 0; i < BITS; i++) {
                if (balance[i] > 0) {
                    halves[i / 64] |= 1L << (63 - i % 64);
                }
            }
            return Optional.of(new UUID(halves[0], halves[1]));
        }
    }
}
