package io.kehu.http;

/** What no text of a caller may hold, and the shapes that are checked on every request. */
final class Text {
    private Text() {}

    /**
     * Refuses what hides or disguises: control characters (line feed, tabulator and carriage return excepted), directional
     * overrides and isolates, zero-width space, word joiner and byte order mark, and halves of surrogate pairs. Joiners
     * stay: emoji and several scripts need them.
     */
    static boolean isClean(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < 0x20 ? c != '\n' && c != '\t' && c != '\r' : c >= 0x7f && isRefused(text, i, c)) {
                return false;
            }
            if (Character.isHighSurrogate(c)) {
                i++;
            }
        }
        return true;
    }

    private static boolean isRefused(String text, int i, char c) {
        if (Character.isHighSurrogate(c)) {
            return i + 1 >= text.length() || !Character.isLowSurrogate(text.charAt(i + 1));
        }
        return c <= 0x9f
                || Character.isLowSurrogate(c)
                || c == 0x200b
                || c == 0x2060
                || c == 0xfeff
                || (c >= 0x202a && c <= 0x202e)
                || (c >= 0x2066 && c <= 0x2069)
                || c == 0xfffe
                || c == 0xffff;
    }

    /** Exactly 8-4-4-4-12 hexadecimal digits; {@code UUID.fromString} would take shorter groups. */
    static boolean isUuid(String text) {
        if (text.length() != 36) {
            return false;
        }
        for (int i = 0; i < 36; i++) {
            char c = text.charAt(i);
            boolean dash = i == 8 || i == 13 || i == 18 || i == 23;
            if (dash ? c != '-' : Character.digit(c, 16) < 0 || c > 'f') {
                return false;
            }
        }
        return true;
    }
}
