package io.kehu.load;

import java.io.BufferedOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * An xlsx workbook of made-up people, written row by row; and the rows of one counted (ECMA-376 part 1, SpreadsheetML). No two
 * people share a name, a phone, an address or a number, so with {@code shared} the table of texts has four for each: the hardest
 * case of what spreadsheets write.
 */
final class Workbook {
    /** A sheet has no more, its line of names among them. */
    static final int MAX_ROWS = 1_048_576;

    static final List<String> COLUMNS =
            List.of("number", "name", "born", "gender", "phone", "email", "address", "tier", "channel");

    private static final String HEAD = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    private static final String MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    private static final String OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    private static final String TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.";
    private static final String SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗";
    private static final String[] GENDERS = {"female", "male"};
    private static final String[] TIERS = {"mass", "affluent", "private"};
    private static final String[] CHANNELS = {"app", "wechat", "branch"};
    /** 1 January 1950 as spreadsheets count days. */
    private static final int BORN_FROM = 18_264;

    private static final int BORN_DAYS = 20_000;
    /** Texts that stand in the shared table once: the names of columns and the words of closed lists. */
    private static final int WORDS = COLUMNS.size() + GENDERS.length + TIERS.length + CHANNELS.length;

    private static final int TEXTS_PER_ROW = 4;

    private final boolean shared;
    private final StringBuilder xml = new StringBuilder();

    private Workbook(boolean shared) {
        this.shared = shared;
    }

    /**
     * Writes a workbook.
     *
     * @param rows of the sheet, 2 to {@link #MAX_ROWS}; the first holds the names of the columns
     * @param shared whether cells name texts of a table, as those that spreadsheets write do, or hold them
     */
    static void write(Path file, int rows, boolean shared) throws IOException {
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
                ZipOutputStream zip = new ZipOutputStream(out, StandardCharsets.UTF_8)) {
            new Workbook(shared).write(zip, rows);
        }
    }

    private void write(ZipOutputStream zip, int rows) throws IOException {
        part(
                zip,
                "[Content_Types].xml",
                HEAD + "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
                        + "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
                        + type("/xl/workbook.xml", "sheet.main") + type("/xl/worksheets/sheet1.xml", "worksheet")
                        + type("/xl/styles.xml", "styles")
                        + (shared ? type("/xl/sharedStrings.xml", "sharedStrings") : "") + "</Types>");
        part(zip, "_rels/.rels", relations(relation(1, "officeDocument", "xl/workbook.xml")));
        part(
                zip,
                "xl/workbook.xml",
                HEAD + "<workbook xmlns=\"" + MAIN + "\" xmlns:r=\"" + OFFICE
                        + "\"><sheets><sheet name=\"people\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>");
        part(
                zip,
                "xl/_rels/workbook.xml.rels",
                relations(relation(1, "worksheet", "worksheets/sheet1.xml")
                        + relation(2, "styles", "styles.xml")
                        + (shared ? relation(3, "sharedStrings", "sharedStrings.xml") : "")));
        part(
                zip,
                "xl/styles.xml",
                HEAD + "<styleSheet xmlns=\"" + MAIN
                        + "\"><cellXfs count=\"2\"><xf/><xf numFmtId=\"14\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>");
        zip.putNextEntry(new ZipEntry("xl/worksheets/sheet1.xml"));
        xml.append(HEAD).append("<worksheet xmlns=\"").append(MAIN).append("\"><sheetData><row r=\"1\">");
        for (int column = 0; column < COLUMNS.size(); column++) {
            text(column, 1, COLUMNS.get(column), column);
        }
        xml.append("</row>");
        for (int row = 2; row <= rows; row++) {
            row(row);
            flush(zip);
        }
        xml.append("</sheetData></worksheet>");
        flush(zip);
        zip.closeEntry();
        if (shared) {
            table(zip, rows);
        }
    }

    /** The same texts in the order in which {@link #row} names them. */
    private void table(ZipOutputStream zip, int rows) throws IOException {
        zip.putNextEntry(new ZipEntry("xl/sharedStrings.xml"));
        xml.append(HEAD).append("<sst xmlns=\"").append(MAIN).append("\">");
        COLUMNS.forEach(this::item);
        List.of(GENDERS).forEach(this::item);
        List.of(TIERS).forEach(this::item);
        List.of(CHANNELS).forEach(this::item);
        for (int row = 2; row <= rows; row++) {
            item(name(row));
            item(phone(row));
            item(email(row));
            item(address(row));
            flush(zip);
        }
        xml.append("</sst>");
        flush(zip);
        zip.closeEntry();
    }

    private void item(String text) {
        xml.append("<si><t>").append(text).append("</t></si>");
    }

    private void row(int row) {
        int texts = WORDS + TEXTS_PER_ROW * (row - 2);
        xml.append("<row r=\"").append(row).append("\">");
        number(0, row, row - 1, 0);
        text(1, row, name(row), texts);
        number(2, row, BORN_FROM + (row * 37L) % BORN_DAYS, 1);
        text(3, row, GENDERS[row % 2], COLUMNS.size() + row % 2);
        text(4, row, phone(row), texts + 1);
        text(5, row, email(row), texts + 2);
        text(6, row, address(row), texts + 3);
        text(7, row, TIERS[row % 3], COLUMNS.size() + GENDERS.length + row % 3);
        text(8, row, CHANNELS[row % 3], COLUMNS.size() + GENDERS.length + TIERS.length + row % 3);
        xml.append("</row>");
    }

    private void text(int column, int row, String text, int inTable) {
        cell(column, row);
        if (shared) {
            xml.append("\" t=\"s\"><v>").append(inTable).append("</v></c>");
        } else {
            xml.append("\" t=\"inlineStr\"><is><t>").append(text).append("</t></is></c>");
        }
    }

    private void number(int column, int row, long value, int style) {
        cell(column, row)
                .append("\" s=\"")
                .append(style)
                .append("\"><v>")
                .append(value)
                .append("</v></c>");
    }

    private StringBuilder cell(int column, int row) {
        return xml.append("<c r=\"").append((char) ('A' + column)).append(row);
    }

    private void flush(ZipOutputStream zip) throws IOException {
        zip.write(xml.toString().getBytes(StandardCharsets.UTF_8));
        xml.setLength(0);
    }

    /** A surname and two of 512 characters: no two rows of a sheet have the same. */
    static String name(int row) {
        return "" + SURNAMES.charAt(row / (512 * 512)) + given(row / 512 % 512) + given(row % 512);
    }

    private static char given(int number) {
        return (char) ('\u4e00' + 37 * number);
    }

    private static String phone(int row) {
        return String.format(Locale.ROOT, "138%08d", row);
    }

    private static String email(int row) {
        return "person" + row + "@example.com";
    }

    private static String address(int row) {
        return "人民路" + row / 100 + "号" + row % 100 + "室";
    }

    private static void part(ZipOutputStream zip, String name, String content) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(content.getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
    }

    private static String type(String part, String type) {
        return "<Override PartName=\"" + part + "\" ContentType=\"" + TYPE + type + "+xml\"/>";
    }

    private static String relations(String all) {
        return HEAD + "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">" + all
                + "</Relationships>";
    }

    private static String relation(int number, String type, String target) {
        return "<Relationship Id=\"r" + number + "\" Type=\"" + OFFICE + "/" + type + "\" Target=\"" + target + "\"/>";
    }

    /** Counts the rows of the first sheet; a file that is cut, or not well formed, is an error. */
    static long count(Path file) throws IOException {
        try (ZipInputStream zip = new ZipInputStream(Files.newInputStream(file))) {
            long rows = -1;
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                if (entry.getName().equals("xl/worksheets/sheet1.xml")) {
                    rows = rows(zip);
                }
            }
            if (rows < 0) {
                throw new IOException("the workbook has no sheet");
            }
            return rows;
        }
    }

    private static long rows(InputStream sheet) throws IOException {
        XMLInputFactory factory = XMLInputFactory.newInstance();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        // The reader must leave the archive open.
        InputStream open = new FilterInputStream(sheet) {
            @Override
            public void close() {}
        };
        try {
            XMLStreamReader xml = factory.createXMLStreamReader(open, "UTF-8");
            long rows = 0;
            while (xml.hasNext()) {
                if (xml.next() == XMLStreamConstants.START_ELEMENT
                        && xml.getLocalName().equals("row")) {
                    rows++;
                }
            }
            return rows;
        } catch (XMLStreamException e) {
            throw new IOException(e);
        }
    }
}
