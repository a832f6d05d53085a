package io.kehu.customer.imports.sheet;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.LocalDate;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import javax.xml.stream.XMLStreamConstants;
import org.jspecify.annotations.Nullable;

/** What makes a number a date: in a workbook only the format in which the cell is shown (ISO/IEC 29500-1, 18.8.30). */
final class Styles {
    /** Beyond it, a file is not made by people. */
    private static final int MAX_STYLES = 70_000;
    /** Texts in quotes, single characters after a backslash, colours and conditions in brackets say nothing. */
    private static final Pattern NOISE = Pattern.compile("\"[^\"]*\"|\\\\.|\\[[^\\]]*]|[_*].");

    private static final Pattern LETTERS = Pattern.compile("[yd]|m", Pattern.CASE_INSENSITIVE);
    private static final LocalDate EPOCH_1900 = LocalDate.of(1899, 12, 30);
    private static final LocalDate EPOCH_1904 = LocalDate.of(1904, 1, 1);
    /** 31 December 9999. */
    private static final int LAST_DAY = 2_958_465;

    private final BitSet dates = new BitSet();
    private final boolean since1904;

    Styles(boolean since1904) {
        this.since1904 = since1904;
    }

    /** Reads xl/styles.xml. */
    void read(Xml xml) {
        Set<Integer> own = new HashSet<>();
        int style = 0;
        boolean ofCells = false;
        for (int event = xml.next(); event != -1; event = xml.next()) {
            if (event == XMLStreamConstants.END_ELEMENT && xml.name().equals("cellXfs")) {
                return;
            }
            if (event != XMLStreamConstants.START_ELEMENT) {
                continue;
            }
            if (xml.name().equals("numFmt") && isDate(xml.attribute("formatCode"))) {
                own.add(number(xml.attribute("numFmtId")));
            } else if (xml.name().equals("cellXfs")) {
                ofCells = true;
            } else if (ofCells && xml.name().equals("xf")) {
                int format = number(xml.attribute("numFmtId"));
                dates.set(style++, own.contains(format) || isBuiltInDate(format));
                if (style > MAX_STYLES) {
                    throw Zip.unsafe("directory");
                }
            }
        }
    }

    private static boolean isBuiltInDate(int format) {
        return (format >= 14 && format <= 17)
                || format == 22
                // Of the East Asian versions.
                || (format >= 27 && format <= 36)
                || (format >= 50 && format <= 58);
    }

    private static boolean isDate(@Nullable String format) {
        if (format == null) {
            return false;
        }
        String shown = NOISE.matcher(format.toLowerCase(Locale.ROOT)).replaceAll("");
        // An m alone is a minute or a month; hours with minutes are no date.
        return LETTERS.matcher(shown).find() && !(shown.contains("h") && !shown.contains("y") && !shown.contains("d"));
    }

    boolean isDate(int style) {
        return style >= 0 && dates.get(style);
    }

    /** The day of a serial number as the contract writes dates; the number itself where it is none. */
    String date(BigDecimal serial) {
        BigDecimal whole = serial.setScale(0, RoundingMode.FLOOR);
        if (whole.signum() < 0 || whole.compareTo(BigDecimal.valueOf(LAST_DAY)) > 0) {
            return plain(serial);
        }
        int days = whole.intValue();
        if (since1904) {
            return EPOCH_1904.plusDays(days).toString();
        }
        // The spreadsheet's year 1900 has a 29 February, number 60; days before it are one further from the epoch.
        return EPOCH_1900.plusDays(days < 60 ? days + 1 : days).toString();
    }

    /** As it would be typed: no exponent, no zeros behind the point. */
    static String plain(BigDecimal number) {
        BigDecimal bare = number.stripTrailingZeros();
        return bare.scale() < 0 ? bare.setScale(0).toPlainString() : bare.toPlainString();
    }

    static int number(@Nullable String digits) {
        try {
            return digits == null ? -1 : Integer.parseInt(digits);
        } catch (NumberFormatException e) {
            return -1;
        }
    }
}
