package io.kehu.customer.imports.sheet;

import io.kehu.bus.Problem;
import java.io.Closeable;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.xml.stream.XMLStreamConstants;
import org.jspecify.annotations.Nullable;

/**
 * The first visible sheet of a workbook, row by row, every cell as the text that its owner would type: dates as ISO 8601 days,
 * numbers without exponent, of formulas the value that was kept with them. Memory is bounded by {@link #MAX_COLUMNS} texts of
 * {@link #MAX_TEXT} characters and the blocks of {@link SharedTexts}.
 *
 * <p>Nothing outside the file is looked at; macros, links and all but the five parts needed are not even unpacked.
 *
 * <p>Fails with {@code xlsx.damaged}, {@code xlsx.tooLarge} (argument: the bound in bytes), {@code xlsx.unsafe} (argument:
 * directory, path, encryption, size, text, entity, relation), {@code csv.tooManyFields} (argument: the row).
 */
public final class Book implements Closeable {
    /** What a sheet may unpack to. A million rows of twenty columns are about 1.5 GB. */
    private static final long MAX_SHEET_BYTES = 4L << 30;

    static final long MAX_TEXTS_BYTES = 2L << 30;
    private static final long MAX_SMALL_BYTES = 16 << 20;
    /** As spreadsheets have it. */
    static final int MAX_TEXT = 32_767;

    public static final int MAX_COLUMNS = 500;

    private static final String RELATIONS = "_rels/";

    private final SharedTexts texts;
    private final Styles styles;
    private final Xml sheet;
    private String[] cells = new String[32];
    private int width;
    private int faulty;
    private int row;

    /**
     * One row that is not empty.
     *
     * @param number as the sheet counts, from 1
     * @param cells without empty ones at the end
     * @param faulty the first column whose value is not there: a formula without one, or an error; -1 for none
     */
    public record SheetRow(int number, String[] cells, int faulty) {}

    private Book(SharedTexts texts, Styles styles, Xml sheet) {
        this.texts = texts;
        this.styles = styles;
        this.sheet = sheet;
    }

    /** Whether a file begins as workbooks do. */
    public static boolean isBook(byte[] head) {
        return Zip.isArchive(head);
    }

    /** Reads all but the sheet. */
    public static Book open(Bytes bytes) throws IOException {
        Zip zip = Zip.open(bytes);
        String workbook = relation(zip, "", "/officeDocument");
        if (workbook == null) {
            throw Zip.damaged();
        }
        String id = null;
        boolean since1904 = false;
        try (Xml xml = new Xml(zip.open(workbook, MAX_SMALL_BYTES))) {
            for (int event = xml.next(); event != -1; event = xml.next()) {
                if (event != XMLStreamConstants.START_ELEMENT) {
                    continue;
                }
                if (xml.name().equals("workbookPr")) {
                    String flag = xml.attribute("date1904");
                    since1904 = "1".equals(flag) || "true".equals(flag);
                } else if (xml.name().equals("sheet") && id == null && xml.attribute("state") == null) {
                    id = xml.attribute("id");
                }
            }
        }
        if (id == null) {
            throw Zip.damaged();
        }
        Styles styles = new Styles(since1904);
        String stylePart = relation(zip, workbook, "/styles");
        if (stylePart != null && zip.has(stylePart)) {
            try (Xml xml = new Xml(zip.open(stylePart, MAX_SMALL_BYTES))) {
                styles.read(xml);
            }
        }
        String sheetPart = relation(zip, workbook, "#" + id);
        String textPart = relation(zip, workbook, "/sharedStrings");
        if (sheetPart == null) {
            throw Zip.damaged();
        }
        SharedTexts texts = new SharedTexts();
        try {
            if (textPart != null && zip.has(textPart)) {
                try (Xml xml = new Xml(zip.open(textPart, MAX_TEXTS_BYTES))) {
                    while (xml.seek("si")) {
                        texts.add(text(xml, "si"));
                    }
                }
            }
            texts.seal();
            return new Book(texts, styles, new Xml(zip.open(sheetPart, MAX_SHEET_BYTES)));
        } catch (IOException | RuntimeException e) {
            texts.close();
            throw e;
        }
    }

    /**
     * Where a relation of a part leads to.
     *
     * @param wanted how its type ends, or its id behind a #
     */
    private static @Nullable String relation(Zip zip, String part, String wanted) throws IOException {
        int slash = part.lastIndexOf('/') + 1;
        String folder = part.substring(0, slash);
        String relations = folder + RELATIONS + part.substring(slash) + ".rels";
        Map<String, String> found = new LinkedHashMap<>();
        try (Xml xml = new Xml(zip.open(relations, MAX_SMALL_BYTES))) {
            while (xml.seek("Relationship")) {
                Map<String, String> one = xml.attributes();
                boolean meant = wanted.startsWith("#")
                        ? wanted.substring(1).equals(one.get("Id"))
                        : one.getOrDefault("Type", "").endsWith(wanted);
                if (meant) {
                    found.putAll(one);
                    break;
                }
            }
        }
        String target = found.get("Target");
        if (target == null) {
            return null;
        }
        if ("External".equals(found.get("TargetMode")) || ("/" + target + "/").contains("/../")) {
            throw Zip.unsafe("relation");
        }
        return target.startsWith("/") ? target.substring(1) : folder + target;
    }

    /** The text of an item up to its end: its runs together, without the readings of East Asian characters. */
    private static String text(Xml xml, String element) {
        StringBuilder text = new StringBuilder();
        boolean inText = false;
        int readings = 0;
        while (true) {
            int event = xml.next();
            if (event == -1) {
                throw Zip.damaged();
            }
            if (event == XMLStreamConstants.START_ELEMENT) {
                inText = xml.name().equals("t");
                readings += xml.name().equals("rPh") ? 1 : 0;
            } else if (event == XMLStreamConstants.END_ELEMENT) {
                if (xml.name().equals(element)) {
                    return text.toString();
                }
                inText = false;
                readings -= xml.name().equals("rPh") ? 1 : 0;
            } else if (inText && readings == 0 && isText(event)) {
                append(text, xml);
            }
        }
    }

    private static boolean isText(int event) {
        return event == XMLStreamConstants.CHARACTERS
                || event == XMLStreamConstants.CDATA
                || event == XMLStreamConstants.SPACE;
    }

    private static void append(StringBuilder text, Xml xml) {
        text.append(xml.text());
        if (text.length() > MAX_TEXT) {
            throw Zip.unsafe("text");
        }
    }

    /** The next row that is not empty, null at the end. */
    public @Nullable SheetRow next() throws IOException {
        while (sheet.seek("row")) {
            String given = sheet.attribute("r");
            int number = given == null ? row + 1 : Styles.number(given);
            if (number <= row) {
                throw Zip.damaged();
            }
            row = number;
            width = 0;
            faulty = -1;
            cells();
            if (width > 0 || faulty >= 0) {
                return new SheetRow(row, Arrays.copyOf(cells, width), faulty);
            }
        }
        return null;
    }

    /** How far the sheet is read, from 0 to the size of the file. */
    public long at() {
        return sheet.at();
    }

    private void cells() throws IOException {
        int column = -1;
        while (true) {
            int event = sheet.next();
            if (event == -1) {
                throw Zip.damaged();
            }
            if (event == XMLStreamConstants.END_ELEMENT && sheet.name().equals("row")) {
                return;
            }
            if (event == XMLStreamConstants.START_ELEMENT && sheet.name().equals("c")) {
                String place = sheet.attribute("r");
                int here = place == null ? column + 1 : column(place);
                if (here <= column) {
                    throw Zip.damaged();
                }
                column = here;
                String text = cell(sheet.attribute("t"), Styles.number(sheet.attribute("s")), column);
                if (!text.isEmpty()) {
                    put(column, text);
                }
            }
        }
    }

    private void put(int column, String text) {
        if (column >= MAX_COLUMNS) {
            throw Problem.of("csv.tooManyFields", Integer.toString(row));
        }
        if (column >= cells.length) {
            cells = Arrays.copyOf(cells, Math.max(2 * cells.length, column + 1));
        }
        Arrays.fill(cells, width, column, "");
        cells[column] = text;
        width = column + 1;
    }

    /** From behind the beginning of a cell to its end. */
    private String cell(@Nullable String type, int style, int column) throws IOException {
        StringBuilder value = new StringBuilder();
        boolean formula = false;
        boolean inValue = false;
        while (true) {
            int event = sheet.next();
            if (event == -1) {
                throw Zip.damaged();
            }
            if (event == XMLStreamConstants.START_ELEMENT) {
                String name = sheet.name();
                inValue = name.equals("v");
                formula |= name.equals("f");
                if (name.equals("is")) {
                    value.append(text(sheet, "is"));
                }
            } else if (event == XMLStreamConstants.END_ELEMENT) {
                if (sheet.name().equals("c")) {
                    break;
                }
                inValue = false;
            } else if (inValue && isText(event)) {
                append(value, sheet);
            }
        }
        boolean missing = formula && value.isEmpty() && !"str".equals(type);
        if ((missing || "e".equals(type)) && faulty < 0) {
            faulty = column;
        }
        return "e".equals(type) ? "" : meaning(type == null ? "n" : type, style, value.toString());
    }

    private String meaning(String type, int style, String value) throws IOException {
        return switch (type) {
            case "s" -> value.isEmpty() ? "" : texts.get(Styles.number(value));
            case "str", "inlineStr" -> value;
            case "b" -> value.isEmpty() ? "" : value.equals("0") ? "false" : "true";
            // ISO 8601, of which the day is meant.
            case "d" -> value.length() > 10 ? value.substring(0, 10) : value;
            case "n" -> number(style, value);
            default -> throw Zip.damaged();
        };
    }

    private String number(int style, String value) {
        if (value.isEmpty()) {
            return value;
        }
        try {
            BigDecimal number = value.length() > 40 ? null : new BigDecimal(value);
            if (number == null || Math.abs(number.precision() - (long) number.scale()) > 330) {
                throw Zip.damaged();
            }
            return styles.isDate(style) ? styles.date(number) : Styles.plain(number);
        } catch (NumberFormatException e) {
            throw Zip.damaged();
        }
    }

    /** The column of a place such as AB12, from 0. */
    private static int column(String place) {
        int column = 0;
        int i = 0;
        for (; i < place.length() && i < 3 && place.charAt(i) >= 'A' && place.charAt(i) <= 'Z'; i++) {
            column = 26 * column + place.charAt(i) - 'A' + 1;
        }
        if (i == 0) {
            throw Zip.damaged();
        }
        return column - 1;
    }

    @Override
    public void close() throws IOException {
        sheet.close();
        texts.close();
    }
}
