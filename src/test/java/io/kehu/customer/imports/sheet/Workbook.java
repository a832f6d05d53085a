package io.kehu.customer.imports.sheet;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** A workbook made part by part, so that each part can be made wrong. */
public final class Workbook {
    private static final String PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships";
    private static final String OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    private static final String MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

    private final Map<String, byte[]> parts = new LinkedHashMap<>();

    public Workbook() {
        part(
                "_rels/.rels",
                "<Relationships xmlns='" + PACKAGE + "'><Relationship Id='r1' Type='" + OFFICE
                        + "/officeDocument' Target='xl/workbook.xml'/></Relationships>");
        part(
                "xl/workbook.xml",
                "<workbook xmlns='" + MAIN + "' xmlns:r='" + OFFICE
                        + "'><sheets><sheet name='hidden' sheetId='1' state='hidden' r:id='r9'/><sheet name='a' sheetId='2' r:id='r1'/></sheets></workbook>");
        part(
                "xl/_rels/workbook.xml.rels",
                "<Relationships xmlns='" + PACKAGE + "'><Relationship Id='r1' Type='" + OFFICE
                        + "/worksheet' Target='worksheets/sheet1.xml'/><Relationship Id='r2' Type='" + OFFICE
                        + "/sharedStrings' Target='sharedStrings.xml'/><Relationship Id='r3' Type='" + OFFICE
                        + "/styles' Target='styles.xml'/></Relationships>");
        part(
                "xl/styles.xml",
                "<styleSheet xmlns='" + MAIN
                        + "'><numFmts><numFmt numFmtId='164' formatCode='yyyy&quot;年&quot;m&quot;月&quot;'/><numFmt numFmtId='165' formatCode='0.00&quot;dy&quot;'/></numFmts>"
                        + "<cellStyleXfs><xf numFmtId='14'/></cellStyleXfs>"
                        + "<cellXfs><xf numFmtId='0'/><xf numFmtId='14'/><xf numFmtId='164'/><xf numFmtId='165'/></cellXfs></styleSheet>");
        part("xl/sharedStrings.xml", "<sst xmlns='" + MAIN + "'/>");
        sheet("");
    }

    public Workbook part(String name, String content) {
        return part(name, content.getBytes(StandardCharsets.UTF_8));
    }

    public Workbook part(String name, byte[] content) {
        parts.put(name, content);
        return this;
    }

    public Workbook without(String name) {
        parts.remove(name);
        return this;
    }

    /** @param rows the content of sheetData */
    public Workbook sheet(String rows) {
        return part(
                "xl/worksheets/sheet1.xml",
                "<worksheet xmlns='" + MAIN + "'><sheetData>" + rows + "</sheetData></worksheet>");
    }

    public Workbook texts(String... items) {
        return part("xl/sharedStrings.xml", "<sst xmlns='" + MAIN + "'>" + String.join("", items) + "</sst>");
    }

    public byte[] bytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            for (Map.Entry<String, byte[]> part : parts.entrySet()) {
                zip.putNextEntry(new ZipEntry(part.getKey()));
                zip.write(part.getValue());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }
}
