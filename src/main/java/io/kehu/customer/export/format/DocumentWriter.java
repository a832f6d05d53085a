package io.kehu.customer.export.format;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.Nullable;

/** A document of one table, across (ECMA-376, part 1, 17.4); its first row comes again on each page. */
final class DocumentWriter implements RowWriter {
    private static final String MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

    private final UUID export;
    private final ZipOutputStream zip;
    private final StringBuilder xml = new StringBuilder(4096);

    DocumentWriter(UUID export, OutputStream out) {
        this.export = export;
        this.zip = new ZipOutputStream(out, StandardCharsets.UTF_8);
    }

    private void part(String name, String content) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(content.getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
    }

    @Override
    public void begin(List<Column> columns) throws IOException {
        part("[Content_Types].xml", Xml.types("/word/document.xml", "wordprocessingml.document.main"));
        part("_rels/.rels", Xml.relations("word/document.xml"));
        part("docProps/custom.xml", Xml.properties(export));
        zip.putNextEntry(new ZipEntry("word/document.xml"));
        xml.append(Xml.HEAD)
                .append("<w:document xmlns:w=\"")
                .append(MAIN)
                .append("\"><w:body><w:tbl><w:tblPr><w:tblW w:w=\"5000\" w:type=\"pct\"/><w:tblBorders>");
        for (String side : List.of("top", "left", "bottom", "right", "insideH", "insideV")) {
            xml.append("<w:").append(side).append(" w:val=\"single\" w:sz=\"4\"/>");
        }
        xml.append("</w:tblBorders></w:tblPr><w:tblGrid>");
        columns.forEach(column -> xml.append("<w:gridCol/>"));
        xml.append("</w:tblGrid>");
        row(new ArrayList<>(columns.stream().map(Column::title).toList()), "<w:trPr><w:tblHeader/></w:trPr>");
    }

    @Override
    public void row(List<@Nullable String> cells) throws IOException {
        row(cells, "");
    }

    private void row(List<@Nullable String> cells, String properties) throws IOException {
        xml.append("<w:tr>").append(properties);
        for (String cell : cells) {
            xml.append("<w:tc>");
            paragraph(cell == null ? "" : cell);
            xml.append("</w:tc>");
        }
        xml.append("</w:tr>");
        flush();
    }

    private void paragraph(String text) {
        xml.append("<w:p><w:r><w:rPr><w:sz w:val=\"16\"/></w:rPr><w:t xml:space=\"preserve\">");
        Xml.text(text, xml);
        xml.append("</w:t></w:r></w:p>");
    }

    private void flush() throws IOException {
        zip.write(xml.toString().getBytes(StandardCharsets.UTF_8));
        xml.setLength(0);
    }

    @Override
    public void end(String watermark) throws IOException {
        xml.append("</w:tbl>");
        paragraph(watermark);
        xml.append("<w:sectPr><w:pgSz w:w=\"16838\" w:h=\"11906\" w:orient=\"landscape\"/>")
                .append("<w:pgMar w:top=\"720\" w:right=\"720\" w:bottom=\"720\" w:left=\"720\"/></w:sectPr>")
                .append("</w:body></w:document>");
        flush();
        zip.closeEntry();
        zip.finish();
    }
}
