package io.kehu.blob;

import io.kehu.crypto.Sha256;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.Charset;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a finished object turned out to be.
 *
 * @param size plaintext bytes
 * @param sha256 of the plaintext, 64 lower-case hexadecimal digits
 * @param contentType by its first 4,096 bytes, never by name: pdf, png, jpeg, tiff, gif, webp, xlsx, docx, other zip, gzip, OLE2
 *     (old Office files), {@code text/csv} or {@code text/plain} with charset utf-8 or gbk; else
 *     {@code application/octet-stream}. It says what a file claims to be; whoever parses it must still expect anything.
 */
public record Stored(long size, String sha256, String contentType) {
    private static final int HEAD = 4_096;
    private static final String ZIP = "application/zip";
    private static final String OOXML = "application/vnd.openxmlformats-officedocument.";
    private static final Charset GBK = Charset.forName("GBK");

    /** First bytes in hexadecimal, a dot for any digit; from the formats' own specifications. */
    private record Magic(String pattern, String type) {
        boolean matches(String head) {
            if (head.length() < pattern.length()) {
                return false;
            }
            for (int i = 0; i < pattern.length(); i++) {
                if (pattern.charAt(i) != '.' && pattern.charAt(i) != head.charAt(i)) {
                    return false;
                }
            }
            return true;
        }
    }

    private static final List<Magic> MAGIC = List.of(
            new Magic("255044462d", "application/pdf"), // %PDF-
            new Magic("89504e470d0a1a0a", "image/png"),
            new Magic("ffd8ff", "image/jpeg"),
            new Magic("49492a00", "image/tiff"), // II, 42
            new Magic("4d4d002a", "image/tiff"), // MM, 42
            new Magic("474946383761", "image/gif"), // GIF87a
            new Magic("474946383961", "image/gif"), // GIF89a
            new Magic("52494646........57454250", "image/webp"), // RIFF, size, WEBP
            new Magic("504b0304", ZIP), // PK, a first entry
            new Magic("504b0506", ZIP), // PK, no entry at all
            new Magic("1f8b08", "application/gzip"),
            new Magic("d0cf11e0a1b11ae1", "application/x-ole-storage"));

    static String contentType(byte[] head) {
        String hex = HexFormat.of().formatHex(head, 0, Math.min(16, head.length));
        for (Magic magic : MAGIC) {
            if (magic.matches(hex)) {
                return magic.type.equals(ZIP) ? zipType(head) : magic.type;
            }
        }
        String text = decoded(head, StandardCharsets.UTF_8);
        String charset = "utf-8";
        if (text == null) {
            text = decoded(head, GBK);
            charset = "gbk";
        }
        if (text == null || text.isEmpty()) {
            return "application/octet-stream";
        }
        return (isTable(text) ? "text/csv" : "text/plain") + "; charset=" + charset;
    }

    /** Office files are zips whose entries' names tell; the names stand readable in front of each entry. */
    private static String zipType(byte[] head) {
        String readable = new String(head, StandardCharsets.ISO_8859_1);
        if (!readable.contains("[Content_Types].xml") && !readable.contains("_rels/.rels")) {
            return ZIP;
        }
        return readable.contains("xl/")
                ? OOXML + "spreadsheetml.sheet"
                : readable.contains("word/") ? OOXML + "wordprocessingml.document" : ZIP;
    }

    /** The text, or null where it is none in this charset; the last character may be cut in a full head. */
    private static @Nullable String decoded(byte[] head, Charset charset) {
        CharsetDecoder decoder = charset.newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        CharBuffer chars = CharBuffer.allocate(head.length + 1);
        CoderResult result = decoder.decode(ByteBuffer.wrap(head), chars, head.length < HEAD);
        String text = chars.flip().toString();
        boolean control = text.chars().anyMatch(c -> (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F);
        return result.isError() || control ? null : text;
    }

    /** A first line with a separator, and the second, where it is there whole, with as many or more (quoted ones). */
    private static boolean isTable(String text) {
        String[] lines = text.split("\r?\n", 3);
        for (char separator : new char[] {',', ';', '\t'}) {
            long first = lines[0].chars().filter(c -> c == separator).count();
            if (first > 0
                    && (lines.length < 3
                            || lines[1].chars().filter(c -> c == separator).count() >= first)) {
                return true;
            }
        }
        return false;
    }

    /** Learns what there is to know while the bytes pass by. */
    static final class Hash {
        private final MessageDigest digest = Sha256.start();
        private byte[] head = BlobStore.NOTHING;
        private long size;

        void add(byte[] bytes) {
            if (head.length < HEAD) {
                int from = head.length;
                int more = Math.min(HEAD - from, bytes.length);
                head = Arrays.copyOf(head, from + more);
                System.arraycopy(bytes, 0, head, from, more);
            }
            digest.update(bytes);
            size += bytes.length;
        }

        long size() {
            return size;
        }

        Stored end(byte[] tail) {
            add(tail);
            return new Stored(size, HexFormat.of().formatHex(digest.digest()), contentType(head));
        }
    }
}
