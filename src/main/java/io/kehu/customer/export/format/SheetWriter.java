package io.kehu.customer.export.format;

import io.kehu.customer.bulk.CellText;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * A workbook of one sheet with its texts inline (ECMA-376, part 1, 18.3.1.53), so that no table of texts is kept: memory does not
 * grow with the rows. Numbers that a spreadsheet holds exactly, of up to 15 digits, are numbers.
 */
final class SheetWriter implements RowWriter {
    private static final String MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    private static final int EXACT_DIGITS = 15;

    private final UUID export;
    private final ZipOutputStream zip;
    private final StringBuilder xml = new StringBuilder(4096);
    private final List<String> letters = new ArrayList<>();
    private List<Column> columns = List.of();
    private int row;

    SheetWriter(UUID export, OutputStream out) {
        this.export = export;
        this.zip = new ZipOutputStream(out, StandardCharsets.UTF_8);
    }

    private void part(String name, String content) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(content.getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
    }

    @Override
    public void begin(List<Column> given) throws IOException {
        columns = given;
        for (int i = 0; i < columns.size(); i++) {
            letters.add(letters(i));
        }
        part(
                "[Content_Types].xml",
                Xml.types(
                        "/xl/workbook.xml", "spreadsheetml.sheet.main",
                        "/xl/worksheets/sheet1.xml", "spreadsheetml.worksheet",
                        "/xl/styles.xml", "spreadsheetml.styles"));
        part("_rels/.rels", Xml.relations("xl/workbook.xml"));
        part("docProps/custom.xml", Xml.properties(export));
        part(
                "xl/workbook.xml",
                Xml.HEAD + "<workbook xmlns=\"" + MAIN + "\" xmlns:r=\"" + Xml.OFFICE
                        + "\"><sheets><sheet name=\"customers\" sheetId=\"1\" r:id=\"r1\"/></sheets><definedNames>"
                        + "<definedName name=\"_kehu_export\" hidden=\"1\">\"" + export
                        + "\"</definedName></definedNames></workbook>");
        part(
                "xl/_rels/workbook.xml.rels",
                Xml.HEAD + Xml.RELATIONS + "<Relationship Id=\"r1\" Type=\"" + Xml.OFFICE
                        + "/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Type=\"" + Xml.OFFICE
                        + "/styles\" Target=\"styles.xml\"/></Relationships>");
        part("xl/styles.xml", styles());
        zip.putNextEntry(new ZipEntry("xl/worksheets/sheet1.xml"));
        xml.append(Xml.HEAD)
                .append("<worksheet xmlns=\"")
                .append(MAIN)
                .append("\"><sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"1\" topLeftCell=\"A2\"")
                .append(" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews><sheetData>");
        row(new ArrayList<>(columns.stream().map(Column::title).toList()));
    }

    /** As little as every reader accepts. */
    static String styles() {
        return Xml.HEAD + "<styleSheet xmlns=\"" + MAIN + "\"><fonts count=\"1\"><font><sz val=\"11\"/></font></fonts>"
                + "<fills count=\"1\"><fill><patternFill patternType=\"none\"/></fill></fills>"
                + "<borders count=\"1\"><border/></borders><cellStyleXfs count=\"1\"><xf/></cellStyleXfs>"
                + "<cellXfs count=\"2\"><xf/><xf numFmtId=\"49\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>";
    }

    /** A, B, ..., Z, AA, ... */
    static String letters(int column) {
        String before = column < 26 ? "" : letters(column / 26 - 1);
        return before + (char) ('A' + column % 26);
    }

    @Override
    public void row(List<@Nullable String> cells) throws IOException {
        row++;
        xml.append("<row r=\"").append(row).append("\">");
        for (int i = 0; i < cells.size(); i++) {
            String cell = cells.get(i);
            if (cell != null && !cell.isEmpty()) {
                cell(i, cell, row > 1 && columns.get(i).number());
            }
        }
        xml.append("</row>");
        flush();
    }

    private void cell(int column, String text, boolean number) {
        xml.append("<c r=\"").append(letters.get(column)).append(row);
        if (number && isExact(text)) {
            xml.append("\"><v>").append(text).append("</v></c>");
        } else {
            xml.append("\" t=\"inlineStr\"><is><t xml:space=\"preserve\">");
            Xml.text(CellText.neutral(text), xml);
            xml.append("</t></is></c>");
        }
    }

    private static boolean isExact(String text) {
        int digits = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c >= '0' && c <= '9') {
                digits++;
            } else if (c != '.') {
                return false;
            }
        }
        return digits <= EXACT_DIGITS;
    }

    private void flush() throws IOException {
        zip.write(xml.toString().getBytes(StandardCharsets.UTF_8));
        xml.setLength(0);
    }

    @Override
    public void end(String watermark) throws IOException {
        row++;
        xml.append("<row r=\"").append(row).append("\">");
        cell(0, watermark, false);
        xml.append("</row></sheetData><headerFooter><oddFooter>&amp;L");
        // An ampersand is a command of footers.
        Xml.text(watermark.replace("&", "&&"), xml);
        xml.append("</oddFooter></headerFooter></worksheet>");
        flush();
        zip.closeEntry();
        zip.finish();
    }
}
