package io.kehu.audit;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.kehu.bus.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One line of a dump, looked at by itself: the part of the check that needs nothing else and so is done for many lines at once.
 *
 * <pre>
 * {"kehu":"audit","version":1,"columns":[...]}       first
 * ["1763...","1","812","0",...,"9f86..."]            a row: its texts in that order, null for none, and its leaf in hexadecimal
 * {"number":1,...}                                   a seal, after the rows of its range
 * </pre>
 */
sealed interface DumpLine {
    byte[] HEADER = header().getBytes(StandardCharsets.UTF_8);

    /**
     * A row.
     *
     * @param at microseconds since 1970
     * @param fits whether the leaf is that of the texts
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Row(long at, int incarnation, long xid, int ord, String id, byte[] leaf, boolean fits) implements DumpLine {
        @Override
        public String toString() {
            return "row " + id + " (transaction " + Long.toUnsignedString(xid) + ")";
        }
    }

    /**
     * A seal.
     *
     * @param isWhole whether its hash is that of what it says
     * @param isSigned whether a known key made its signature
     */
    record Sealed(Seal seal, boolean isWhole, boolean isSigned) implements DumpLine {}

    /** The first line. */
    record Header() implements DumpLine {}

    /** A line that no dump has. */
    record Unreadable() implements DumpLine {}

    private static String header() {
        var node = Json.object().put("kehu", "audit").put("version", 1);
        Leaf.COLUMNS.forEach(node.putArray("columns")::add);
        return node.toString();
    }

    static DumpLine of(byte[] line, Map<String, byte[]> publicKeys) {
        try {
            if (line.length > 0 && line[0] == '[') {
                return row(line);
            }
            if (Arrays.equals(line, HEADER)) {
                return new Header();
            }
            Seal seal = Seal.read(new String(line, StandardCharsets.UTF_8));
            return new Sealed(seal, seal.isWhole(), seal.isSigned(publicKeys));
        } catch (IOException | IllegalArgumentException e) {
            return new Unreadable();
        }
    }

    private static DumpLine row(byte[] line) throws IOException {
        @Nullable String[] texts = new String[Leaf.COLUMNS.size()];
        try (JsonParser json = Json.own(line)) {
            json.nextToken();
            for (int i = 0; i < texts.length; i++) {
                texts[i] = json.nextToken() == JsonToken.VALUE_NULL ? null : text(json);
            }
            json.nextToken();
            String digits = text(json);
            byte[] leaf = HexFormat.of().parseHex(digits);
            if (!HexFormat.of().formatHex(leaf).equals(digits)
                    || json.nextToken() != JsonToken.END_ARRAY
                    || json.nextToken() != null
                    || leaf.length != 32) {
                throw new IllegalArgumentException("not a row");
            }
            return new Row(
                    Long.parseLong(present(texts[0])),
                    Integer.parseInt(present(texts[1])),
                    Long.parseUnsignedLong(present(texts[2])),
                    Integer.parseInt(present(texts[3])),
                    present(texts[4]),
                    leaf,
                    Arrays.equals(leaf, Leaf.of(texts)));
        }
    }

    private static String text(JsonParser json) throws IOException {
        if (json.currentToken() != JsonToken.VALUE_STRING) {
            throw new IllegalArgumentException("not a row");
        }
        return json.getText();
    }

    private static String present(@Nullable String text) {
        if (text == null) {
            throw new IllegalArgumentException("not a row");
        }
        return text;
    }
}
