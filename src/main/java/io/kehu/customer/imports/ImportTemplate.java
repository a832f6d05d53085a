package io.kehu.customer.imports;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.contract.Contract;
import io.kehu.customer.quality.Dictionary;
import io.vertx.core.buffer.Buffer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * The workbook that people fill in to import it: a column for each field, lists to choose from (ECMA-376, part 1,
 * 18.3.1.33) on a hidden sheet, and an example. Lists are the words of the contract, and the codes of dictionaries with their
 * names, beside which the code alone may be typed. All cells are texts, so that a phone keeps its zeros and
 * a date is what was typed.
 */
final class ImportTemplate {
    /** The name of the first column, and what a remark in it begins with. */
    static final String REMARKS = "#";

    static final List<String> DOCUMENTS = List.of("resident_id", "passport", "credit_code");
    static final List<String> FINANCE = List.of("annualIncome", "assets", "liabilities");

    private static final String MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    private static final String OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    private static final String HEAD = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    private static final int LAST_ROW = 1_048_576;

    private static final List<String> PERSON = List.of(
            "name",
            "resident_id",
            "passport",
            "phone",
            "phone2",
            "email",
            "address",
            "postCode",
            "addressRegionCode",
            "birthDate",
            "gender",
            "maritalStatus",
            "occupation",
            "regionCode",
            "lifecycle",
            "tier",
            "risk",
            "channel",
            "customerSince");
    private static final List<String> ORGANISATION = List.of(
            "name",
            "credit_code",
            "phone",
            "phone2",
            "email",
            "address",
            "postCode",
            "addressRegionCode",
            "foundedOn",
            "industry",
            "regionCode",
            "lifecycle",
            "tier",
            "risk",
            "channel",
            "customerSince");
    /** Which list of the contract a column chooses from. */
    private static final Map<String, String> LISTS = Map.of(
            "gender", "CustomerGender",
            "maritalStatus", "CustomerMaritalStatus",
            "lifecycle", "CustomerLifecycle",
            "tier", "CustomerTier",
            "risk", "CustomerRisk",
            "channel", "CustomerChannel");

    /** Which dictionary a column chooses from. */
    static final Map<String, Dictionary> CODED = Map.of(
            "regionCode", Dictionary.REGIONS,
            "addressRegionCode", Dictionary.REGIONS,
            "industry", Dictionary.INDUSTRIES,
            "occupation", Dictionary.OCCUPATIONS);

    private static final Map<String, String> EXAMPLE = Map.ofEntries(
            Map.entry(REMARKS, "#example"),
            Map.entry("name", "张三"),
            Map.entry("phone", "13800138000"),
            Map.entry("email", "zhangsan@example.com"),
            Map.entry("address", "世纪大道1号"),
            Map.entry("birthDate", "1990-01-31"),
            Map.entry("foundedOn", "2010-05-20"),
            Map.entry("gender", "male"),
            Map.entry("regionCode", "310115 上海市浦东新区"),
            Map.entry("lifecycle", "prospect"),
            Map.entry("tier", "mass"),
            Map.entry("customerSince", "2020-06-01"),
            Map.entry("assets", "1200000.50"));

    private final Map<String, List<String>> lists = new HashMap<>();
    private final Map<String, Buffer> made = new ConcurrentHashMap<>();

    ImportTemplate(Contract contract) {
        JsonNode schemas = contract.document().at("/components/schemas");
        LISTS.forEach((column, schema) -> {
            List<String> words = new ArrayList<>();
            schemas.path(schema).path("enum").forEach(word -> words.add(word.asText()));
            if (words.isEmpty()) {
                throw new IllegalStateException("the contract has no list " + schema);
            }
            lists.put(column, words);
        });
        CODED.values().forEach(dictionary -> lists.put(dictionary.code(), dictionary.labels()));
    }

    /** Whether a column of this name is a field of an import. */
    static boolean isField(String name) {
        return PERSON.contains(name) || ORGANISATION.contains(name) || FINANCE.contains(name);
    }

    /**
     * Blocks the first time, while it compresses some thousand names.
     *
     * @param finance whether it has the columns that need customer:finance
     */
    Buffer workbook(String kind, boolean finance) {
        return made.computeIfAbsent(kind + finance, key -> make(kind, finance));
    }

    private Buffer make(String kind, boolean finance) {
        List<String> columns = new ArrayList<>(List.of(REMARKS));
        columns.addAll(kind.equals("person") ? PERSON : ORGANISATION);
        if (finance) {
            columns.addAll(FINANCE);
        }
        Map<String, List<String>> choices = new LinkedHashMap<>();
        columns.stream().map(ImportTemplate::list).forEach(list -> {
            List<String> words = lists.get(list);
            if (words != null) {
                choices.put(list, words);
            }
        });
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes, StandardCharsets.UTF_8)) {
            part(zip, "[Content_Types].xml", types());
            part(zip, "_rels/.rels", relations("officeDocument", "xl/workbook.xml"));
            part(
                    zip,
                    "xl/workbook.xml",
                    HEAD + "<workbook xmlns=\"" + MAIN + "\" xmlns:r=\"" + OFFICE
                            + "\"><sheets><sheet name=\"customers\" sheetId=\"1\" r:id=\"r1\"/>"
                            + "<sheet name=\"lists\" sheetId=\"2\" state=\"hidden\" r:id=\"r2\"/></sheets></workbook>");
            part(
                    zip,
                    "xl/_rels/workbook.xml.rels",
                    relations(
                            "worksheet",
                            "worksheets/sheet1.xml",
                            "worksheet",
                            "worksheets/sheet2.xml",
                            "styles",
                            "styles.xml"));
            part(zip, "xl/styles.xml", styles());
            part(zip, "xl/worksheets/sheet1.xml", customers(columns, choices));
            part(zip, "xl/worksheets/sheet2.xml", words(choices));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Buffer.buffer(bytes.toByteArray());
    }

    private static void part(ZipOutputStream zip, String name, String content) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(content.getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
    }

    private static String types() {
        String type = "ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.";
        return HEAD + "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
                + "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
                + "<Override PartName=\"/xl/workbook.xml\" " + type + "sheet.main+xml\"/>"
                + "<Override PartName=\"/xl/styles.xml\" " + type + "styles+xml\"/>"
                + "<Override PartName=\"/xl/worksheets/sheet1.xml\" " + type + "worksheet+xml\"/>"
                + "<Override PartName=\"/xl/worksheets/sheet2.xml\" " + type + "worksheet+xml\"/></Types>";
    }

    private static String relations(String... typesAndTargets) {
        StringBuilder xml = new StringBuilder(
                HEAD + "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">");
        for (int i = 0; i < typesAndTargets.length; i += 2) {
            xml.append("<Relationship Id=\"r")
                    .append(i / 2 + 1)
                    .append("\" Type=\"")
                    .append(OFFICE)
                    .append('/');
            xml.append(typesAndTargets[i])
                    .append("\" Target=\"")
                    .append(typesAndTargets[i + 1])
                    .append("\"/>");
        }
        return xml.append("</Relationships>").toString();
    }

    /** Style 1 is text. */
    private static String styles() {
        return HEAD + "<styleSheet xmlns=\"" + MAIN + "\"><fonts count=\"1\"><font><sz val=\"11\"/></font></fonts>"
                + "<fills count=\"1\"><fill><patternFill patternType=\"none\"/></fill></fills>"
                + "<borders count=\"1\"><border/></borders><cellStyleXfs count=\"1\"><xf/></cellStyleXfs>"
                + "<cellXfs count=\"2\"><xf/><xf numFmtId=\"49\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>";
    }

    /** Columns of one dictionary share a list. */
    private static String list(String column) {
        Dictionary dictionary = CODED.get(column);
        return dictionary == null ? column : dictionary.code();
    }

    private static String customers(List<String> columns, Map<String, List<String>> choices) {
        StringBuilder xml = new StringBuilder(HEAD)
                .append("<worksheet xmlns=\"")
                .append(MAIN)
                .append("\"><sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"1\" topLeftCell=\"A2\"")
                .append(
                        " activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews><cols><col min=\"1\" max=\"")
                .append(columns.size())
                .append("\" width=\"16\" style=\"1\" customWidth=\"1\"/></cols><sheetData>");
        row(xml, 1, columns);
        List<@Nullable String> example = new ArrayList<>();
        columns.forEach(column -> example.add(EXAMPLE.get(column)));
        row(xml, 2, example);
        xml.append("</sheetData><dataValidations count=\"");
        List<String> chosen = columns.stream()
                .filter(column -> choices.containsKey(list(column)))
                .toList();
        xml.append(chosen.size()).append("\">");
        List<String> order = List.copyOf(choices.keySet());
        for (String column : chosen) {
            String letter = letter(columns.indexOf(column));
            String from = letter(order.indexOf(list(column)));
            int words = choices.getOrDefault(list(column), List.of()).size();
            xml.append("<dataValidation type=\"list\" allowBlank=\"1\" showErrorMessage=\"")
                    .append(CODED.containsKey(column) ? '0' : '1')
                    .append("\" sqref=\"")
                    .append(letter)
                    .append("2:")
                    .append(letter)
                    .append(LAST_ROW)
                    .append("\"><formula1>lists!$")
                    .append(from)
                    .append("$1:$")
                    .append(from)
                    .append('$')
                    .append(words)
                    .append("</formula1></dataValidation>");
        }
        return xml.append("</dataValidations></worksheet>").toString();
    }

    private static String words(Map<String, List<String>> choices) {
        StringBuilder xml = new StringBuilder(HEAD)
                .append("<worksheet xmlns=\"")
                .append(MAIN)
                .append("\"><sheetData>");
        int longest = choices.values().stream().mapToInt(List::size).max().orElse(0);
        for (int i = 0; i < longest; i++) {
            List<@Nullable String> row = new ArrayList<>();
            for (List<String> words : choices.values()) {
                row.add(i < words.size() ? words.get(i) : null);
            }
            row(xml, i + 1, row);
        }
        return xml.append("</sheetData></worksheet>").toString();
    }

    private static void row(StringBuilder xml, int number, List<? extends @Nullable String> cells) {
        xml.append("<row r=\"").append(number).append("\">");
        for (int i = 0; i < cells.size(); i++) {
            String cell = cells.get(i);
            if (cell != null) {
                xml.append("<c r=\"").append(letter(i)).append(number);
                xml.append("\" s=\"1\" t=\"inlineStr\"><is><t>").append(cell).append("</t></is></c>");
            }
        }
        xml.append("</row>");
    }

    private static String letter(int column) {
        return String.valueOf((char) ('A' + column));
    }
}
