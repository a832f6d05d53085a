package io.kehu.customer.imports;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Deployment;
import io.kehu.bus.Ids;
import io.kehu.customer.imports.sheet.Workbook;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImportTest {
    private static final Duration SOON = Duration.ofSeconds(60);
    private static final Set<String> ENDS = Set.of("done", "failed", "cancelled");
    private static final AtomicInteger NEXT = new AtomicInteger();
    private static TestKehu kehu;
    private static Caller operator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_JOBS_CHUNK_ROWS", "100", "KEHU_JOBS_POLL_MILLIS", "100"));
        operator = kehu.caller("operator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    // ---- how

    static Answer begin(Caller caller, byte[] file, String mapping) {
        return caller.post("/v1/imports", """
                {"uploadId": "%s", "mapping": %s}""".formatted(caller.upload(file), mapping));
    }

    private static Answer begin(String file, String mapping) {
        return begin(operator, file.getBytes(StandardCharsets.UTF_8), mapping);
    }

    static Answer ended(Caller caller, Answer begun) {
        String path = begun.is(202).header("Location");
        await().atMost(SOON)
                .until(() -> ENDS.contains(caller.get(path).is(200).at("/state").asText()));
        return caller.get(path);
    }

    private static Answer done(String file, String mapping) {
        Answer end = ended(operator, begin(file, mapping));
        assertThat(end.at("/state").asText()).as(end.text()).isEqualTo("done");
        return end;
    }

    private static void failsWith(Answer end, String code, String... args) {
        assertThat(end.at("/state").asText()).as(end.text()).isEqualTo("failed");
        assertThat(end.at("/errorCode").asText()).isEqualTo(code);
        assertThat(end.at("/errorArgs"))
                .extracting(arg -> arg.asText())
                .as(end.text())
                .containsExactly(args);
    }

    static void counts(Answer end, String counters) {
        assertThat(String.join(
                        " ",
                        List.of("read", "created", "changed", "unchanged", "rejected").stream()
                                .map(counter ->
                                        counter + " " + end.at("/" + counter).asLong())
                                .toList()))
                .as(end.text())
                .isEqualTo(counters);
    }

    static String path(Answer begun) {
        return "/v1/imports/" + begun.at("/id").asText();
    }

    private static List<String> errors(Answer begun, String language) {
        Answer file = operator.get(path(begun) + "/errors", "Accept-Language", language)
                .is(200);
        assertThat(file.header("Content-Type")).isEqualTo("text/csv; charset=utf-8");
        assertThat(file.text()).startsWith("\ufeffline,column,code,text\r\n");
        return file.text().lines().skip(1).toList();
    }

    private static String source() {
        return "source-" + NEXT.incrementAndGet();
    }

    private static String mapping(String source) {
        return """
                {"kind": "person", "externalId": {"source": "%s", "column": "id"},
                 "documents": [{"type": "other", "column": "document"}],
                 "fields": [{"field": "name", "columns": ["given", "family"], "joiner": "·"},
                            {"field": "birthDate", "column": "born", "dateFormat": "dd.MM.yyyy"},
                            {"field": "phone", "column": "phone"},
                            {"field": "maritalStatus", "column": "marital",
                             "values": [{"from": "M", "to": "married"}, {"from": "?", "to": ""}]},
                            {"field": "lifecycle", "constant": "active"},
                            {"field": "channel", "column": "channel", "default": "branch"}]}""".formatted(source);
    }

    private static final String HEADER = "id,given,family,born,phone,marital,document,channel\n";

    private static ObjectNode customer(String source, String id) {
        Answer found =
                operator.post("/v1/customers/search", """
                        {"externalId": {"source": "%s", "id": "%s"}}""".formatted(source, id)).is(200);
        assertThat(found.at("/items")).hasSize(1);
        return operator.get("/v1/customers/" + found.at("/items/0/id").asText())
                .is(200)
                .json();
    }

    private static long customers(String source) {
        // Blind indexes say nothing of their source: this counts by hand what the class made.
        return operator.post("/v1/customers/search", """
                        {"externalId": {"source": "%s", "id": "1"}}""".formatted(source))
                .is(200)
                .at("/items")
                .size();
    }

    // ---- what

    @Test
    void aCodeMayStandWithItsNameButNotWithThatOfAnother() {
        String source = source();
        Answer end = done("""
                id,name,industry,region
                1,制品一厂,J6621 商业银行服务,330106 浙江省杭州市西湖区
                2,制品二厂,C39,330106　西湖区
                3,制品三厂,J6621 政策性银行服务,330106
                4,制品四厂,J6621,330106 北京市
                """, """
                {"kind": "organisation", "externalId": {"source": "%s", "column": "id"},
                 "fields": [{"field": "name", "column": "name"}, {"field": "industry", "column": "industry"},
                            {"field": "regionCode", "column": "region"}]}""".formatted(source));
        counts(end, "read 4 created 2 changed 0 unchanged 0 rejected 2");
        assertThat(customer(source, "1").path("industry").asText()).isEqualTo("J6621");
        assertThat(customer(source, "1").path("regionCode").asText()).isEqualTo("330106");
        assertThat(customer(source, "2").path("industry").asText()).isEqualTo("C39");
        assertThat(customer(source, "2").path("regionCode").asText()).isEqualTo("330106");
        assertThat(errors(end, "en").toString()).contains("4,\"industry\"", "5,\"region\"");
    }

    @Test
    void rowsBecomeCustomersAsTheMappingSays() {
        String source = source();
        Answer end = done(
                HEADER + "1,阿依古丽,买买提,31.01.1980,138 0013 8000,M,AU-1-" + source + ",app\r\n2,𠮷,,,,?,,\r\n",
                mapping(source));
        counts(end, "read 2 created 2 changed 0 unchanged 0 rejected 0");
        assertThat(end.at("/percent").asInt()).isEqualTo(100);
        assertThat(end.at("/rowsPerSecond").asLong()).isPositive();
        ObjectNode first = customer(source, "1");
        assertThat(first.get("name").asText()).isEqualTo("阿依古丽·买买提");
        assertThat(first.get("birthDate").asText()).isEqualTo("1980-01-31");
        assertThat(first.get("maritalStatus").asText()).isEqualTo("married");
        assertThat(first.get("channel").asText()).isEqualTo("app");
        assertThat(first.at("/phones/0/number").asText()).endsWith("8000");
        assertThat(first.at("/documents/0/type").asText()).isEqualTo("other");
        ObjectNode second = customer(source, "2");
        assertThat(second.get("name").asText()).isEqualTo("𠮷");
        assertThat(second.get("channel").asText()).isEqualTo("branch");
        assertThat(second.has("maritalStatus")).isFalse();
        assertThat(second.get("branchId").asText()).isEqualTo(kehu.headOffice().toString());
    }

    @Test
    void eachRefusedRowIsNamedWithItsColumnAndTheOthersGoOn() {
        String source = source();
        Answer end = done(
                HEADER
                        + "1,a,b,,,,D1-" + source + ",\n"
                        + "2,a,b,30.02.1980,,,,\n"
                        + "3,a,b,1980-02-03,,,,\n"
                        + "4,\"a\nb\",c,,,,,\n"
                        + "5,a,b,,12,,,\n"
                        + "6,a,b,,,D,,\n"
                        + "7,a,b,,,,D1-" + source + ",\n"
                        + "8,,,,,,,\n"
                        + "9,a,b\n"
                        + ",a,b,,,,,\n"
                        + "11,a,b,,,,,sms\n",
                mapping(source));
        counts(end, "read 11 created 2 changed 0 unchanged 0 rejected 9");
        List<String> english = errors(end, "en");
        assertThat(english)
                .extracting(line -> line.substring(0, line.indexOf(",\"", line.indexOf("\",") + 1)))
                .containsExactly(
                        "3,\"born\",field.date",
                        "4,\"born\",field.format",
                        "5,\"given+family\",field.characters",
                        "7,\"phone\",field.format",
                        "8,\"marital\",field.notInList",
                        "9,\"document\",customer.idTaken",
                        "10,\"given+family\",field.required",
                        "11,\"\",import.rowWidth",
                        "12,\"id\",field.required");
        assertThat(english.get(1)).contains("dd.MM.yyyy");
        assertThat(english.get(7)).contains("8 columns", "3 fields");
        assertThat(errors(end, "zh-CN").get(0)).contains("日期");
    }

    @Test
    void theSameFileTwiceChangesNothingAndAnotherOneWhatItSays() {
        String source = source();
        String file = HEADER + "1,a,b,01.02.1980,138 0013 8000,M,X-" + source + ",app\n2,c,d,,,,,\n";
        counts(done(file, mapping(source)), "read 2 created 2 changed 0 unchanged 0 rejected 0");
        counts(done(file, mapping(source)), "read 2 created 0 changed 0 unchanged 2 rejected 0");
        assertThat(customer(source, "1").get("version").asInt()).isEqualTo(1);
        counts(
                done(HEADER + "1,a,z,,,,,\n1,a,z,,,M,,sms\n2,c,d,,,,,\n3,n,n,,,,,\n3,n,m,,,,,\n", mapping(source)),
                "read 5 created 1 changed 3 unchanged 1 rejected 0");
        ObjectNode changed = customer(source, "1");
        assertThat(changed.get("version").asInt()).isEqualTo(2);
        assertThat(changed.get("name").asText()).isEqualTo("a·z");
        assertThat(changed.get("birthDate").asText()).isEqualTo("1980-02-01");
        assertThat(changed.get("channel").asText()).isEqualTo("sms");
        assertThat(changed.at("/phones")).hasSize(1);
        assertThat(changed.at("/documents")).hasSize(1);
        assertThat(customer(source, "3").get("name").asText()).isEqualTo("n·m");
        assertThat(operator.post("/v1/customers/search", "{\"name\": \"a·z\", \"exact\": true}")
                        .is(200)
                        .at("/items"))
                .isNotEmpty();
    }

    @Test
    void aCustomerOutOfScopeIsNotChanged() {
        String source = source();
        done(HEADER + "1,a,b,,,,,\n", mapping(source));
        Caller head = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "FAR"), "operator"));
        Answer end =
                ended(head, begin(head, (HEADER + "1,x,y,,,,,\n").getBytes(StandardCharsets.UTF_8), mapping(source)));
        counts(end, "read 1 created 0 changed 0 unchanged 0 rejected 1");
        assertThat(head.get(path(end) + "/errors").text()).contains("2,\"id\",customer.externalIdTaken");
        assertThat(customer(source, "1").get("name").asText()).isEqualTo("a·b");
    }

    @Test
    void aDryRunJudgesAndEntersNothing() {
        String source = source();
        String upload = operator.upload((HEADER + "1,a,b,,,,,\n2,,,,,,,\n").getBytes(StandardCharsets.UTF_8));
        Answer end = ended(operator, operator.post("/v1/imports", """
                {"uploadId": "%s", "dryRun": true, "mapping": %s}""".formatted(upload, mapping(source))));
        counts(end, "read 2 created 1 changed 0 unchanged 0 rejected 1");
        assertThat(end.at("/dryRun").asBoolean()).isTrue();
        assertThat(errors(end, "en")).hasSize(1);
        assertThat(customers(source)).isZero();
    }

    @Test
    void formulasStayText() {
        String source = source();
        counts(
                done(HEADER + "1,=cmd|' /C calc'!A0,+1,,,,,\n2,'=SUM(A1),@x,,,,,\n3,-2,\t+3,,,,,\n", mapping(source)),
                "read 3 created 3 changed 0 unchanged 0 rejected 0");
        assertThat(customer(source, "1").get("name").asText()).isEqualTo("=cmd|' /C calc'!A0·+1");
        assertThat(customer(source, "2").get("name").asText()).isEqualTo("=SUM(A1)·@x");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ownerId", "version", "id", "deletedAt", "branchId", "number", "createdAt", "tokens"})
    void onlyTheFieldsOfTheContractCanBeReached(String field) {
        begin(HEADER + "1,a,b,,,,,\n", """
                {"kind": "person", "fields": [{"field": "%s", "column": "id"}]}""".formatted(field)).is(400, "request.invalid");
        begin(HEADER + "1,a,b,,,,,\n", """
                {"kind": "person", "%s": "1", "fields": []}""".formatted(field.equals("branchId") ? "x" : field))
                .is(400, "request.invalid");
    }

    @Test
    void aFieldHasOneSource() {
        Answer refused = begin(HEADER, """
                {"kind": "person", "fields": [{"field": "name"}, {"field": "name", "column": "a", "constant": "b"},
                    {"field": "channel", "column": "c", "dateFormat": "yyyyMMdd"}]}""").is(400, "request.invalid");
        assertThat(refused.at("/errors"))
                .extracting(e -> e.get("pointer").asText())
                .containsExactly(
                        "/mapping/fields/0",
                        "/mapping/fields/1",
                        "/mapping/fields/1/field",
                        "/mapping/fields/2/dateFormat");
    }

    // ---- whose

    @Test
    void anImportIsSeenAndStoppedByNobodyElse() {
        Answer end = done(HEADER + "1,a,b,,,,,\n", mapping(source()));
        for (Caller other : List.of(kehu.caller("operator"), kehu.caller("marketing"))) {
            other.get(path(end)).is(404, "import.notFound");
            other.get(path(end) + "/errors").is(404, "import.notFound");
            other.send("POST", path(end) + "/cancel", (byte[]) null).is(404, "import.notFound");
        }
        kehu.caller("administrator").get(path(end)).is(403, "auth.forbidden");
        operator.send("POST", path(end) + "/cancel", (byte[]) null).is(409, "job.ended");
    }

    @Test
    void anUploadOfSomebodyElseOrUsedBeforeIsNotTaken() {
        String upload = kehu.caller("operator").upload(HEADER.getBytes(StandardCharsets.UTF_8));
        for (String id : List.of(upload, Ids.next().toString())) {
            operator.post("/v1/imports", """
                    {"uploadId": "%s", "mapping": {"kind": "person"}}""".formatted(id)).is(409, "blob.notClaimable");
        }
    }

    @Test
    void amountsNeedTheRightToSeeThemAndAPlaceTheScope() {
        String assets = """
                {"kind": "person", "fields": [{"field": "assets", "column": "id"}]}""";
        Caller marketing = kehu.caller("marketing");
        begin(marketing, HEADER.getBytes(StandardCharsets.UTF_8), assets).is(403, "customer.fieldForbidden");
        Caller head = kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "NEAR"), "operator"));
        begin(head, HEADER.getBytes(StandardCharsets.UTF_8), """
                {"kind": "person", "branchId": "%s"}""".formatted(kehu.headOffice()))
                .is(422, "customer.branchUnknown");
    }

    @Test
    void aWorkbookIsReadAsACsvFileIs() {
        String source = source();
        String text = "<c t='inlineStr'><is><t>%s</t></is></c>";
        StringBuilder rows = new StringBuilder("<row r='1'>");
        for (String name : HEADER.strip().split(",")) {
            rows.append(text.formatted(name));
        }
        rows.append("</row>");
        // 1 February 1980 as a date of the spreadsheet; more rows than one chunk has.
        for (int i = 1; i <= 250; i++) {
            rows.append("<row r='%d'><c><v>%d</v></c>%s%s<c s='1'><v>29252</v></c><c><v>13800138000</v></c></row>"
                    .formatted(i + 1, i, text.formatted("张"), text.formatted("三" + i)));
        }
        rows.append("<row r='252'><c><v>251</v></c><c><f>1/0</f></c></row>");
        Answer end = ended(
                operator, begin(operator, new Workbook().sheet(rows.toString()).bytes(), mapping(source)));
        counts(end, "read 251 created 250 changed 0 unchanged 0 rejected 1");
        assertThat(errors(end, "en")).singleElement().asString().startsWith("252,\"\",import.cellWithoutValue,");
        ObjectNode customer = customer(source, "250");
        assertThat(customer.at("/name").asText()).isEqualTo("张·三250");
        assertThat(customer.at("/birthDate").asText()).isEqualTo("1980-02-01");
    }

    @Test
    void gbkIsFoundOutAndMixedEncodingsAreNamedByTheirLine() {
        String source = source();
        byte[] gbk = (HEADER + "1,张,三,,,,,\n2,李,四,,,,,\n").getBytes(Charset.forName("GBK"));
        counts(
                ended(operator, begin(operator, gbk, mapping(source))),
                "read 2 created 2 changed 0 unchanged 0 rejected 0");
        assertThat(customer(source, "1").at("/name").asText()).isEqualTo("张·三");
        byte[] utf8 = "3,王小二,五大,,,,,\n".getBytes(StandardCharsets.UTF_8);
        byte[] mixed = Arrays.copyOf(gbk, gbk.length + utf8.length);
        System.arraycopy(utf8, 0, mixed, gbk.length, utf8.length);
        failsWith(ended(operator, begin(operator, mixed, mapping(source()))), "csv.encoding", "2");
    }

    @Test
    void aHostileWorkbookEndsWithWhatIsWrong() {
        byte[] laughs = new Workbook()
                .part(
                        "xl/sharedStrings.xml",
                        "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><sst><si><t>&b;</t></si></sst>")
                .bytes();
        failsWith(ended(operator, begin(operator, laughs, mapping(source()))), "xlsx.unsafe", "entity");
        byte[] old = {(byte) 0xD0, (byte) 0xCF, 0x11, (byte) 0xE0, (byte) 0xA1, (byte) 0xB1, 0x1A, (byte) 0xE1, 0};
        failsWith(ended(operator, begin(operator, old, mapping(source()))), "xlsx.old");
        failsWith(ended(operator, begin(operator, new Workbook().bytes(), mapping(source()))), "csv.empty");
    }

    // ---- hostile files

    @Test
    void aFileThatIsNoTableEndsWithWhatIsWrongAndWhere() {
        failsWith(ended(operator, begin(HEADER + "1,a,\"b,,,,,\n2,c\n", mapping(source()))), "csv.quoteOpen", "2");
        failsWith(ended(operator, begin("id;given\n1;a\n", mapping(source()))), "import.columnUnknown", "family");
        failsWith(ended(operator, begin("id,id\n1,2\n", """
                {"kind": "person", "externalId": {"source": "x", "column": "id"}}""")), "import.columnRepeated", "id");
        byte[] gbk = (HEADER + "1,张,三,,,,,\n").getBytes(Charset.forName("GBK"));
        String asUtf8 = mapping(source()).replaceFirst("\\{", "{\"encoding\": \"UTF-8\", ");
        failsWith(ended(operator, begin(operator, gbk, asUtf8)), "csv.encoding", "2");
        failsWith(ended(operator, begin("\n\n", mapping(source()))), "csv.empty");
        failsWith(
                ended(operator, begin(HEADER + "1," + "x".repeat(3 << 20), mapping(source()))),
                "csv.recordTooLong",
                "2");
    }

    @Test
    void rowsBeforeAFaultAreThereAndTheFileIsNot() {
        String source = source();
        Answer end = ended(operator, begin(HEADER + "1,a,b,,,,,\n2,a,\"b,,,,,\n", mapping(source)));
        failsWith(end, "csv.quoteOpen", "3");
        counts(end, "read 1 created 1 changed 0 unchanged 0 rejected 0");
        assertThat(customers(source)).isEqualTo(1);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.blob b JOIN kehu.job j ON j.params ->> 'uploadId' = b.id::text"
                                + " WHERE j.id = ?::uuid AND b.state <> 'deleted'",
                        end.at("/id").asText()))
                .isZero();
    }

    // ---- long ones

    private static byte[] many(int rows) {
        StringBuilder file = new StringBuilder(HEADER);
        for (int i = 1; i <= rows; i++) {
            file.append(i).append(",张,三").append(i).append(",01.02.1980,,M,,\n");
        }
        return file.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static void awaitSome(Caller caller, Answer begun) {
        await().atMost(SOON).until(() -> caller.get(path(begun)).at("/created").asLong() > 0);
    }

    @Test
    void aCancelledImportKeepsWhatItHasEntered() {
        Answer begun = begin(operator, many(30_000), mapping(source()));
        awaitSome(operator, begun);
        operator.send("POST", path(begun) + "/cancel", (byte[]) null).is(200);
        Answer end = ended(operator, begun);
        assertThat(end.at("/state").asText()).isEqualTo("cancelled");
        assertThat(end.at("/created").asLong()).isPositive().isLessThan(30_000);
    }

    @Test
    void anImportGoesOnAtAnotherNodeWithEveryRowOnce() {
        // No external id: nothing but the position keeps a row from being entered twice.
        try (TestKehu two = TestKehu.prepare(Map.of(
                "KEHU_JOBS_CHUNK_ROWS", "100",
                "KEHU_JOBS_POLL_MILLIS", "100",
                "KEHU_JOBS_LEASE_MILLIS", "2000",
                "KEHU_JOBS_HEARTBEAT_MILLIS", "500"))) {
            two.addNode(two.settings());
            Caller caller = two.caller("operator");
            int rows = 10_000;
            Answer begun = begin(caller, many(rows), """
                    {"kind": "person", "fields": [{"field": "name", "columns": ["given", "family"]}]}""");
            awaitSome(caller, begun);
            Deployment second = TestKehu.await(Deployment.start(two.settings()));
            for (int round = 0; round < 5; round++) {
                long before = caller.get(path(begun)).at("/read").asLong();
                // Whoever holds it is thought dead, and works on: the next one takes it over.
                two.sql("UPDATE kehu.job SET lease_until = kehu.now() - interval '1 second' WHERE state = 'running'");
                await().atMost(SOON).until(() -> {
                    Answer now = caller.get(path(begun));
                    return now.at("/read").asLong() > before
                            || ENDS.contains(now.at("/state").asText());
                });
            }
            TestKehu.await(second.stop());
            Answer end = ended(caller, begun);
            counts(end, "read " + rows + " created " + rows + " changed 0 unchanged 0 rejected 0");
            assertThat(two.<Long>value("SELECT count(*) FROM customer.customer"))
                    .isEqualTo(rows);
        }
    }

    @Test
    void faultsAreKeptWithoutTheValuesThatCausedThem() {
        String secret = "Kanarienvogel";
        Answer end = done(HEADER + "1,a,b," + secret + ",,,,\n", mapping(source()));
        assertThat(errors(end, "en").toString()).doesNotContain(secret);
        assertThat(kehu.sql("SELECT * FROM customer.import_error").toString()).doesNotContain(secret);
    }
}
