package io.kehu.customer.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Customers out as classes, and customers in by a template. */
class AnalysisTest {
    private static final int CUSTOMERS = 400;
    private static final long SEED = System.nanoTime();

    private static TestKehu kehu;
    private static Caller operator;
    private static Caller analyst;

    @BeforeAll
    static void manyWhoAreMoreOrLessAlike() {
        System.out.println("seed " + SEED);
        kehu = TestKehu.start(Map.of("KEHU_EXPORTS_ROWS_PER_DAY", "1000000"));
        operator = kehu.caller("operator");
        analyst = kehu.caller("analyst");
        Random random = new Random(SEED);
        StringBuilder csv = new StringBuilder("name,gender,tier,birthDate,regionCode,assets,phone\n");
        for (int i = 0; i < CUSTOMERS; i++) {
            csv.append("秘密").append((char) ('一' + random.nextInt(800)));
            csv.append(random.nextBoolean() ? ",male," : random.nextInt(9) == 0 ? ",," : ",female,");
            csv.append(random.nextInt(5) == 0 ? "private" : "mass").append(',').append(1935 + random.nextInt(70));
            csv.append("-03-02,")
                    .append(random.nextInt(3) == 0 ? "310115" : "110101")
                    .append(',');
            csv.append(random.nextInt(2_000_000))
                    .append(",139")
                    .append(10_000_000 + i)
                    .append('\n');
        }
        List<String> fields = List.of("name", "gender", "tier", "birthDate", "regionCode", "assets", "phone");
        String mapping = fields.stream()
                .map(field -> "{\"field\": \"" + field + "\", \"column\": \"" + field + "\"}")
                .collect(Collectors.joining(","));
        imported(csv.toString().getBytes(StandardCharsets.UTF_8), "\"fields\": [" + mapping + "]", CUSTOMERS);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static void imported(byte[] file, String mapping, int created) {
        String path = operator.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", %s}}""".formatted(operator.upload(file), mapping))
                .is(202)
                .header("Location");
        await().until(() -> !operator.get(path).at("/endedAt").isNull());
        Answer told = operator.get(path);
        assertThat(told.at("/created").asInt())
                .as(() -> told.text() + operator.get(path + "/errors").text())
                .isEqualTo(created);
    }

    private static String file(String path) {
        await().until(() -> analyst.get(path).at("/fileState").asText().equals("ready"));
        return analyst.get(analyst.post(path + "/links", "").is(201).at("/url").asText())
                .is(200)
                .text();
    }

    @Test
    void everyGroupInTheFileHasTenAtLeastAndNoneIsNamed() {
        Random random = new Random(SEED);
        List<String> all = new ArrayList<>(List.of(
                "kind", "ageBand", "gender", "tier", "province", "city", "assetsBand", "tenureBand", "branchId"));
        String before = "";
        for (int round = 0; round < 6; round++) {
            Collections.shuffle(all, random);
            List<String> columns = all.subList(0, 1 + random.nextInt(6));
            String path = analyst.post("/v1/exports/analysis", """
                            {"columns": ["%s"], "format": "csv", "purpose": "analysis"}""".formatted(String.join("\", \"", columns)))
                    .is(202)
                    .header("Location");
            List<String> lines =
                    file(path).lines().map(line -> line.replace("\"", "")).toList();
            assertThat(lines.get(0)).isEqualTo("pseudonym," + String.join(",", columns));
            List<String> rows = lines.subList(1, lines.size() - 1);
            Map<String, Long> groups = rows.stream()
                    .map(line -> line.substring(line.indexOf(',')))
                    .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
            assertThat(groups.values()).as(columns + " " + groups).allMatch(n -> n >= 10);
            Answer told = analyst.get(path);
            assertThat(told.at("/rows").asLong()).isEqualTo(rows.size());
            assertThat(told.at("/rows").asLong() + told.at("/suppressed").asLong())
                    .isEqualTo(told.at("/counted").asLong())
                    .isGreaterThanOrEqualTo(CUSTOMERS);
            List<String> pseudonyms = rows.stream()
                    .map(line -> line.substring(0, line.indexOf(',')))
                    .toList();
            assertThat(pseudonyms).doesNotHaveDuplicates().allMatch(p -> p.matches("[0-9a-f]{24}"));
            assertThat(groups.keySet()).noneMatch(values -> values.matches("(?s).*(秘密|1390|-03-02).*"));
            if (!rows.isEmpty()) {
                assertThat(pseudonyms.get(0)).as("another key each time").isNotEqualTo(before);
                before = pseudonyms.get(0);
            }
        }
    }

    @Test
    void whatIsTooRareIsLeftOutAndCounted() {
        String path = analyst.post("/v1/exports/analysis", """
                        {"columns": ["gender"], "format": "jsonl", "purpose": "analysis", "filter": {"field": "birthDate", "from": "1950-01-01", "to": "1950-12-31"}}""").is(202).header("Location");
        String text = file(path);
        Answer told = analyst.get(path);
        long groups = text.lines().filter(line -> line.contains("pseudonym")).count();
        assertThat(groups).isEqualTo(told.at("/rows").asLong());
        assertThat(told.at("/rows").asLong() + told.at("/suppressed").asLong())
                .isEqualTo(told.at("/counted").asLong());
        kehu.caller("customer-manager").post("/v1/exports/analysis", """
                {"columns": ["gender"], "format": "jsonl", "purpose": "analysis"}""").is(403, "auth.forbidden");
        analyst.post("/v1/exports/analysis", """
                {"columns": ["name"], "format": "jsonl", "purpose": "analysis"}""").is(400, "request.invalid");
    }

    @Test
    void aTemplateThatIsFilledInIsImportedAsItIs() throws IOException {
        Answer template = operator.get("/v1/imports/template?kind=person").is(200);
        assertThat(template.header("Content-Type")).contains("spreadsheetml");
        String again = "/v1/imports/template?kind=person";
        assertThat(operator.get(again, "Range", "bytes=0-1").is(206).text()).isEqualTo("PK");
        operator.get(again, "If-None-Match", "*").is(304);
        ByteArrayOutputStream filled = new ByteArrayOutputStream();
        try (ZipInputStream in = new ZipInputStream(
                        new ByteArrayInputStream(template.response().body()));
                ZipOutputStream out = new ZipOutputStream(filled)) {
            for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                String part = new String(in.readAllBytes(), StandardCharsets.UTF_8);
                if (entry.getName().endsWith("sheet1.xml")) {
                    assertThat(part)
                            .contains(
                                    "<t>tier</t>", "<t>resident_id</t>", "<t>assets</t>", "type=\"list\"", "#example");
                    String row = "<row r=\"3\"><c r=\"B3\" t=\"inlineStr\"><is><t>模板客户</t></is></c>"
                            + "<c r=\"E3\" t=\"inlineStr\"><is><t>13655556666</t></is></c>"
                            + "<c r=\"F3\" t=\"inlineStr\"><is><t>13677778888</t></is></c>"
                            + "<c r=\"H3\" t=\"inlineStr\"><is><t>文三路1号</t></is></c>"
                            + "<c r=\"J3\" t=\"inlineStr\"><is><t>330106</t></is></c>"
                            + "<c r=\"K3\" t=\"inlineStr\"><is><t>1988-08-08</t></is></c>"
                            + "<c r=\"N3\" t=\"inlineStr\"><is><t>20500 卫生专业技术人员</t></is></c>"
                            + "<c r=\"O3\" t=\"inlineStr\"><is><t>330106 浙江省杭州市西湖区</t></is></c></row>";
                    part = part.replace("</sheetData>", row + "</sheetData>");
                } else if (entry.getName().endsWith("sheet2.xml")) {
                    assertThat(part)
                            .contains("<t>affluent</t>", "<t>widowed</t>", "<t>C5</t>")
                            .contains("<t>330106 浙江省杭州市西湖区</t>", "<t>110105 北京市朝阳区</t>", "<t>20500 卫生专业技术人员</t>")
                            .doesNotContain("J6621");
                } else if (entry.getName().equals("xl/workbook.xml")) {
                    assertThat(part).contains("state=\"hidden\"");
                }
                out.putNextEntry(new ZipEntry(entry.getName()));
                out.write(part.getBytes(StandardCharsets.UTF_8));
            }
        }
        imported(filled.toByteArray(), "\"template\": true", 1);
        Answer found =
                operator.post("/v1/customers/search", "{\"name\": \"模板客户\"}").is(200);
        assertThat(found.at("/items/0/birthDate").asText()).isEqualTo("1988-08-08");
        Answer whole = operator.get("/v1/customers/" + found.at("/items/0/id").asText());
        assertThat(whole.at("/phones")).hasSize(2);
        assertThat(whole.at("/regionCode").asText()).isEqualTo("330106");
        assertThat(whole.at("/addresses/0/regionCode").asText()).isEqualTo("330106");
        assertThat(whole.at("/occupation").asText()).isEqualTo("20500");
        assertThat(template.response().body().length).isLessThan(1 << 20);
        String marketing = kehu.caller("marketing")
                .get("/v1/imports/template?kind=organisation")
                .is(200)
                .response()
                .headers()
                .toString();
        assertThat(marketing).contains("customers-organisation.xlsx");
    }
}
