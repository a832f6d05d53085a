package io.kehu.customer;

import java.io.ByteArrayOutputStream;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Looks for many values at once: one pass over the bytes, whatever the number of values. Each value is looked for as UTF-8
 * and in the forms in which others print it: hexadecimal (bytea), {@code \\u} escapes (JSON), octal escapes (bytea and old
 * logs), percent signs (URLs) and Base64 (tokens, cursors), the backslashes single and doubled.
 *
 * <p>The first eight bytes of a needle are its window; a bit per window says quickly that a place holds none.
 */
final class Needles {
    private static final int WINDOW = Long.BYTES;
    private static final int FILTER_BITS = 22;

    private final Map<Long, List<Needle>> byWindow = new HashMap<>();
    private final long[] filter = new long[1 << (FILTER_BITS - 6)];

    private record Needle(String name, byte[] bytes) {}

    /**
     * Looks for a value from now on.
     *
     * @param name what a finding is called: a report of a leak must not be one
     */
    Needles add(String name, String value) {
        for (byte[] form : forms(value)) {
            if (form.length < WINDOW) {
                throw new IllegalArgumentException(name + " is too short to be unmistakable");
            }
            long window = 0;
            for (int i = 0; i < WINDOW; i++) {
                window = window << 8 | form[i] & 255;
            }
            byWindow.computeIfAbsent(window, w -> new ArrayList<>()).add(new Needle(name, form));
            int bit = bit(window);
            filter[bit >>> 6] |= 1L << bit;
        }
        return this;
    }

    /** How many forms of values are looked for. */
    int size() {
        return byWindow.values().stream().mapToInt(List::size).sum();
    }

    /** The names of all values that these bytes hold. */
    Set<String> in(byte[] haystack) {
        Set<String> found = new TreeSet<>();
        long window = 0;
        for (int i = 0; i < haystack.length; i++) {
            window = window << 8 | haystack[i] & 255;
            int bit = bit(window);
            if ((filter[bit >>> 6] & 1L << bit) != 0 && i >= WINDOW - 1) {
                for (Needle needle : byWindow.getOrDefault(window, List.of())) {
                    if (isAt(haystack, i - WINDOW + 1, needle.bytes)) {
                        found.add(needle.name);
                    }
                }
            }
        }
        return found;
    }

    Set<String> in(String text) {
        return in(text.getBytes(StandardCharsets.UTF_8));
    }

    private static boolean isAt(byte[] haystack, int from, byte[] needle) {
        return from + needle.length <= haystack.length
                && java.util.Arrays.equals(haystack, from, from + needle.length, needle, 0, needle.length);
    }

    private static int bit(long window) {
        return (int) (window * 0x9E3779B97F4A7C15L >>> Long.SIZE - FILTER_BITS);
    }

    private static List<byte[]> forms(String value) {
        byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
        Set<String> printed = new LinkedHashSet<>();
        printed.add(HexFormat.of().formatHex(utf8));
        printed.add(HexFormat.of().withUpperCase().formatHex(utf8));
        printed.add(URLEncoder.encode(value, StandardCharsets.UTF_8));
        for (String backslash : List.of("\\", "\\\\")) {
            printed.add(escaped(value, backslash, "u%04x"));
            printed.add(escaped(value, backslash, "u%04X"));
            printed.add(octal(utf8, backslash));
        }
        printed.addAll(base64(utf8));
        printed.remove(value);
        List<byte[]> forms = new ArrayList<>(List.of(utf8));
        printed.forEach(form -> forms.add(form.getBytes(StandardCharsets.US_ASCII)));
        return forms;
    }

    private static String escaped(String value, String backslash, String format) {
        StringBuilder text = new StringBuilder();
        for (char c : value.toCharArray()) {
            text.append(c < 128 ? String.valueOf(c) : backslash + format.formatted((int) c));
        }
        return text.toString();
    }

    private static String octal(byte[] utf8, String backslash) {
        StringBuilder text = new StringBuilder();
        for (byte b : utf8) {
            text.append(b >= 0 ? String.valueOf((char) b) : backslash + "%03o".formatted(b & 255));
        }
        return text.toString();
    }

    /** What is the same whatever stands before and behind, for each of the three places in a group. */
    private static List<String> base64(byte[] utf8) {
        List<String> cores = new ArrayList<>();
        for (int before = 0; before < 3; before++) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            bytes.writeBytes(new byte[before]);
            bytes.writeBytes(utf8);
            String text = Base64.getEncoder().withoutPadding().encodeToString(bytes.toByteArray());
            int whole = (before + utf8.length) / 3 * 4;
            String core = text.substring(before == 0 ? 0 : 4, whole);
            if (core.length() >= WINDOW) {
                cores.add(core);
                cores.add(core.replace('+', '-').replace('/', '_'));
            }
        }
        return cores;
    }
}
