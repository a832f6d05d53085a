package io.kehu.audit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Json;
import io.kehu.crypto.Sha256;
import io.kehu.crypto.Signer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;

/**
 * One link of the chain: what it says of one closed range of transaction ids.
 *
 * <pre>
 * covered:   "kehu.seal/1" number incarnation from to rows root previous sealedAt     joined by line feeds; hashes in hexadecimal
 * hash:      SHA-256 over covered
 * signature: Ed25519 over "\0kehu.data\0" and covered, by the pair `kid`
 * </pre>
 *
 * @param number counts from 1 without gaps
 * @param from the first transaction id of the range
 * @param to the first one after it
 * @param rows audit rows in the range, 1 or more
 * @param root Merkle root over their leaves in the order of (xid, ord)
 * @param previous the hash of the seal before; 32 zero bytes for the first
 * @param sealedAt microseconds since 1970, {@code kehu.now()}
 */
@SuppressWarnings("ArrayRecordComponent") // equals and hashCode go by what is covered
public record Seal(
        long number,
        int incarnation,
        long from,
        long to,
        long rows,
        byte[] root,
        byte[] previous,
        long sealedAt,
        byte[] hash,
        String kid,
        byte[] signature) {
    private static final HexFormat HEX = HexFormat.of();

    /** A seal as it is before it is signed. */
    record Draft(
            long number, int incarnation, long from, long to, long rows, byte[] root, byte[] previous, long sealedAt) {
        Seal sign(Signer signer) {
            byte[] covered = covered(number, incarnation, from, to, rows, root, previous, sealedAt);
            Signer.Signature signature = signer.sign(covered);
            byte[] hash = Sha256.start().digest(covered);
            return new Seal(
                    number,
                    incarnation,
                    from,
                    to,
                    rows,
                    root,
                    previous,
                    sealedAt,
                    hash,
                    signature.kid(),
                    signature.bytes());
        }
    }

    private static byte[] covered(
            long number, int incarnation, long from, long to, long rows, byte[] root, byte[] previous, long sealedAt) {
        return String.join(
                        "\n",
                        "kehu.seal/1",
                        Long.toString(number),
                        Integer.toString(incarnation),
                        Long.toUnsignedString(from),
                        Long.toUnsignedString(to),
                        Long.toString(rows),
                        HEX.formatHex(root),
                        HEX.formatHex(previous),
                        Long.toString(sealedAt))
                .getBytes(StandardCharsets.US_ASCII);
    }

    private byte[] covered() {
        return covered(number, incarnation, from, to, rows, root, previous, sealedAt);
    }

    /** Whether the hash is that of what it covers. */
    boolean isWhole() {
        return Arrays.equals(hash, Sha256.start().digest(covered()));
    }

    /** Whether one of these public keys made the signature: about 0.1 ms. */
    boolean isSigned(Map<String, byte[]> publicKeys) {
        byte[] key = publicKeys.get(kid);
        return key != null && Signer.verify(key, covered(), signature);
    }

    /** One line of a dump or of a checkpoint file. */
    String line() {
        ObjectNode node = Json.object()
                .put("number", number)
                .put("incarnation", incarnation)
                .put("from", Long.toUnsignedString(from))
                .put("to", Long.toUnsignedString(to))
                .put("rows", rows)
                .put("root", HEX.formatHex(root))
                .put("previous", HEX.formatHex(previous))
                .put("sealedAt", sealedAt)
                .put("hash", HEX.formatHex(hash))
                .put("kid", kid)
                .put("signature", HEX.formatHex(signature));
        return node.toString();
    }

    /**
     * Reads such a line.
     *
     * @throws IllegalArgumentException for anything that {@link #line} did not write, to the letter
     */
    static Seal read(String line) {
        Seal seal;
        try {
            seal = of(Json.MAPPER.readTree(line));
        } catch (IOException | ArithmeticException e) {
            throw new IllegalArgumentException("not a seal", e);
        }
        if (!seal.line().equals(line)) {
            throw new IllegalArgumentException("not a seal");
        }
        return seal;
    }

    private static Seal of(JsonNode node) {
        return new Seal(
                number(node, "number"),
                Math.toIntExact(number(node, "incarnation")),
                Long.parseUnsignedLong(text(node, "from")),
                Long.parseUnsignedLong(text(node, "to")),
                number(node, "rows"),
                bytes(node, "root", 32),
                bytes(node, "previous", 32),
                number(node, "sealedAt"),
                bytes(node, "hash", 32),
                text(node, "kid"),
                bytes(node, "signature", 64));
    }

    private static long number(JsonNode node, String name) {
        JsonNode value = node.get(name);
        if (value == null || !value.canConvertToLong() || !value.isIntegralNumber()) {
            throw new IllegalArgumentException(name);
        }
        return value.longValue();
    }

    private static String text(JsonNode node, String name) {
        JsonNode value = node.get(name);
        if (value == null || !value.isTextual()) {
            throw new IllegalArgumentException(name);
        }
        return value.textValue();
    }

    private static byte[] bytes(JsonNode node, String name, int length) {
        byte[] bytes = HEX.parseHex(text(node, name));
        if (bytes.length != length) {
            throw new IllegalArgumentException(name);
        }
        return bytes;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Seal seal && line().equals(seal.line());
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(hash);
    }

    @Override
    public String toString() {
        return "seal " + number;
    }
}
