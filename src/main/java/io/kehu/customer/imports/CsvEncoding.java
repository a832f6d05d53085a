package io.kehu.customer.imports;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;

/**
 * Finds out how a csv file is encoded: UTF-8 where all of it is valid UTF-8 (RFC 3629), else GB18030 (GB 18030-2022, of which GBK
 * is a part) where all of it is valid as that and no line is Chinese in UTF-8. Otherwise UTF-8, whose reader then names the
 * line. Takes the whole file piece by piece, in constant memory.
 *
 * <p>Both are looked at byte by byte, because neither has the bytes of separators, quotes and line ends within a character.
 */
final class CsvEncoding {
    static final Charset GB18030 = Charset.forName("GB18030");
    /** Characters of three bytes that a line of another encoding hardly has by chance. */
    private static final int SURELY = 2;

    private boolean utf8 = true;
    private boolean gb = true;
    private boolean mixed;

    /** Of the current line. */
    private boolean lineIsUtf8 = true;

    private int han;
    private int shorter;

    /** Bytes of the character that are still to come, and what the next of them may be. */
    private int following;

    private int wide;
    private int least;
    private int most;
    private int gbState;

    void add(byte[] bytes) {
        for (byte b : bytes) {
            int c = b & 0xFF;
            if (c == '\n') {
                endLine();
            } else if (c >= 0x80 || following > 0 || gbState > 0) {
                utf8(c);
                gb(c);
            }
        }
    }

    private void utf8(int c) {
        if (!lineIsUtf8) {
            return;
        }
        if (following > 0) {
            if (c < least || c > most) {
                lineIsUtf8 = false;
                following = 0;
                return;
            }
            least = 0x80;
            most = 0xBF;
            if (--following == 0) {
                if (wide == 2) {
                    han++;
                } else {
                    shorter++;
                }
            }
            return;
        }
        if (c < 0x80) {
            return;
        }
        wide = c >= 0xC2 && c <= 0xDF ? 1 : c >= 0xE0 && c <= 0xEF ? 2 : c >= 0xF0 && c <= 0xF4 ? 3 : 0;
        lineIsUtf8 = wide > 0;
        following = wide;
        least = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        most = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    }

    private void gb(int c) {
        boolean digit = c >= 0x30 && c <= 0x39;
        boolean high = c >= 0x81 && c <= 0xFE;
        switch (gbState) {
            case 0 -> {
                gb &= c < 0x80 || high;
                gbState = high ? 1 : 0;
            }
            case 1 -> {
                gb &= digit || (c >= 0x40 && c <= 0xFE && c != 0x7F);
                gbState = digit ? 2 : 0;
            }
            case 2 -> {
                gb &= high;
                gbState = high ? 3 : 0;
            }
            default -> {
                gb &= digit;
                gbState = 0;
            }
        }
    }

    private void endLine() {
        utf8 &= lineIsUtf8 && following == 0;
        gb &= gbState == 0;
        mixed |= lineIsUtf8 && following == 0 && han >= SURELY && shorter == 0;
        lineIsUtf8 = true;
        following = 0;
        gbState = 0;
        han = 0;
        shorter = 0;
    }

    /** After the last piece. */
    Charset found() {
        endLine();
        return utf8 || !gb || mixed ? StandardCharsets.UTF_8 : GB18030;
    }
}
