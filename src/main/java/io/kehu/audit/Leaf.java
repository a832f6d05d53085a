package io.kehu.audit;

import io.kehu.crypto.Sha256;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The hash of one audit row, as {@code kehu.audit_leaf()} computes it: SHA-256 over 0x00 (RFC 6962, section 2.1) and the row's
 * texts ({@code kehu.audit_texts()}) in the form in which PostgreSQL writes an array. That form is one to one: two rows that
 * differ in any column differ in it.
 */
final class Leaf {
    /** The columns in the order of their texts; {@code at} is in microseconds since 1970, {@code rows_hash} hexadecimal. */
    static final List<String> COLUMNS = List.of(
            "at",
            "incarnation",
            "xid",
            "ord",
            "id",
            "kind",
            "operation",
            "actor",
            "audience",
            "actor_name",
            "session",
            "address",
            "request_id",
            "purpose",
            "approval_id",
            "object_type",
            "object_id",
            "object_version",
            "code",
            "args",
            "row_count",
            "rows_hash",
            "first_id",
            "last_id",
            "changes");

    private Leaf() {}

    /** 32 bytes over the texts in the order of {@link #COLUMNS}; null is no text at all. */
    static byte[] of(@Nullable String[] texts) {
        MessageDigest digest = Sha256.start();
        digest.update((byte) 0);
        return digest.digest(array(texts).getBytes(StandardCharsets.UTF_8));
    }

    /** A text array as PostgreSQL writes it (documentation, section 8.15.6): the rules of its function array_out. */
    static String array(@Nullable String[] texts) {
        StringBuilder out = new StringBuilder(512).append('{');
        for (int i = 0; i < texts.length; i++) {
            if (i > 0) {
                out.append(',');
            }
            String text = texts[i];
            if (text == null) {
                out.append("NULL");
            } else if (isPlain(text)) {
                out.append(text);
            } else {
                quoted(out, text);
            }
        }
        return out.append('}').toString();
    }

    private static boolean isPlain(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || c == ' ' || (c >= '\t' && c <= '\r')) {
                return false;
            }
        }
        return !text.isEmpty() && !text.equalsIgnoreCase("NULL");
    }

    private static void quoted(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\');
            }
            out.append(c);
        }
        out.append('"');
    }
}
