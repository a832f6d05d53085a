package io.kehu.customer.bulk;

import java.util.regex.Pattern;

/**
 * Texts in files that a spreadsheet may open. It would calculate what begins with one of = + - @ (also as wide characters), a tab
 * or a return, and so run what somebody wrote into a name: such a text gets an apostrophe in front, and so does one that has
 * apostrophes before such a beginning. So {@code plain(neutral(text))} is the text again. Source: OWASP, CSV Injection.
 */
public final class CellText {
    private static final String CALCULATES = "=+-@\t\r＝＋－＠";
    private static final Pattern WATERMARK =
            Pattern.compile("Kehu-Export [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} .*", Pattern.DOTALL);

    private CellText() {}

    /** A text that no spreadsheet calculates. */
    public static String neutral(String text) {
        return isCalculated(text) ? "'" + text : text;
    }

    /** The text that was meant. */
    public static String plain(String cell) {
        return cell.startsWith("'") && isCalculated(cell) ? cell.substring(1) : cell;
    }

    /** After any apostrophes in front. */
    private static boolean isCalculated(String text) {
        int at = 0;
        while (at < text.length() && text.charAt(at) == '\'') {
            at++;
        }
        return at < text.length() && CALCULATES.indexOf(text.charAt(at)) >= 0;
    }

    /** The line that says whose file it is; an import passes over it. */
    public static String watermark(String export, String rest) {
        return "Kehu-Export " + export + " " + rest;
    }

    public static boolean isWatermark(String cell) {
        return WATERMARK.matcher(cell).matches();
    }
}
