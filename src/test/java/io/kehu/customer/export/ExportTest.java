package io.kehu.customer.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.customer.export.format.Mark;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import net.lingala.zip4j.model.LocalFileHeader;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** From the question to the file in hand, and everything that must not be in it. */
class ExportTest {
    private static final String PHONE = "13712340001";
    private static final String RARE = "𠮷野家客户";
    private static final String FORMULA = "=HYPERLINK(\\\"http://evil.example\\\",1)";

    private static TestKehu kehu;
    private static UUID branch;
    private static UUID managerId;
    private static UUID colleagueId;
    private static UUID headId;

    /** Each test has sessions of its own: some end those of others. */
    private final Caller manager = kehu.signIn(managerId);

    private final Caller colleague = kehu.signIn(colleagueId);
    private final Caller head = kehu.signIn(headId);

    @BeforeAll
    static void twoManagersWithCustomers() {
        kehu = TestKehu.start(Map.of(
                "KEHU_EXPORTS_PAGE_ROWS", "2", "KEHU_EXPORTS_ROWS_PER_DAY", "200", "KEHU_EXPORTS_POLL_MILLIS", "100"));
        branch = kehu.branch(kehu.headOffice(), "EXP");
        managerId = kehu.staff(branch, "customer-manager");
        colleagueId = kehu.staff(branch, "customer-manager");
        headId = kehu.staff(branch, "branch-head");
        Caller manager = kehu.signIn(managerId);
        customer(
                manager,
                "\"name\": \"" + RARE + "\", \"assets\": \"1200000.50\", \"phones\": [{\"number\": \"" + PHONE
                        + "\"}], \"addresses\": [{\"line\": \"" + FORMULA + "\"}]");
        customer(manager, "\"name\": \"阿依古丽·买买提\", \"tier\": \"private\"");
        customer(manager, "\"name\": \"赵四\", \"emails\": [\"zhao@example.com\"]");
        customer(kehu.signIn(colleagueId), "\"name\": \"别人的客户\"");
        UUID gone = customer(manager, "\"name\": \"已删除客户\"");
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", gone);
        UUID side = customer(manager, "\"name\": \"已合并客户\"");
        kehu.sql(
                "INSERT INTO customer.merged (id, survivor_id) SELECT ?, id FROM customer.customer WHERE manager_id = ? AND tier = 'private'",
                side,
                manager.id);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", side);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static UUID customer(Caller who, String fields) {
        String path = who.post("/v1/customers", "{\"kind\": \"person\", " + fields + "}")
                .is(201)
                .header("Location");
        return UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
    }

    private static String draft(String format, String columns, String more) {
        return "{\"format\": \"%s\", \"columns\": [%s], \"purpose\": \"service\"%s}"
                .formatted(format, columns.replaceAll("[a-zA-Z0-9]+", "\"$0\""), more);
    }

    /** The path of an export that was asked for and is done. */
    private static String done(Caller who, String draft) {
        return ended(who, who.post("/v1/exports", draft).is(202).header("Location"), "done");
    }

    private static String ended(Caller who, String path, String state) {
        await().untilAsserted(
                        () -> assertThat(who.get(path).is(200).at("/state").asText())
                                .as(() -> who.get(path).text())
                                .isEqualTo(state));
        return path;
    }

    private static String link(Caller who, String path) {
        return who.post(path + "/links", "").is(201).at("/url").asText();
    }

    private static Answer file(Caller who, String draft) {
        return who.get(link(who, done(who, draft))).is(200);
    }

    private static Map<String, String> parts(byte[] zip) {
        Map<String, String> parts = new java.util.HashMap<>();
        try (ZipInputStream in = new ZipInputStream(new ByteArrayInputStream(zip))) {
            for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
                parts.put(entry.getName(), new String(in.readAllBytes(), StandardCharsets.UTF_8));
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return parts;
    }

    @Test
    void aFileHoldsWhomItsMakerSeesAsHeSeesThemAndNobodyElse() {
        Answer file = file(manager, draft("csv", "number, name, phone, assets", ""));
        assertThat(file.header("Content-Type")).contains("text/csv");
        assertThat(file.header("Content-Disposition")).contains("customers-", ".csv");
        assertThat(file.text())
                .contains(RARE, "阿依古丽·买买提", "赵四", "1200000.50", "+86137****0001")
                .doesNotContain("别人的客户", "已删除客户", "已合并客户", PHONE);
        assertThat(file(head, draft("jsonl", "name", "")).text()).contains("别人的客户", RARE);
    }

    @Test
    void theLastLineAndAHiddenMarkNameTheExport() throws IOException {
        Caller many = kehu.signIn(kehu.staff(branch, "customer-manager"));
        for (int i = 0; i < 20; i++) {
            customer(many, "\"name\": \"" + RARE + "\"");
        }
        String maker = kehu.value("SELECT username FROM iam.staff WHERE id = ?", many.id);
        for (String format : List.of("csv", "jsonl", "xlsx", "docx", "pdf")) {
            String path = done(
                    many,
                    draft(
                            format,
                            "id, number, name, kind, phone, lifecycle, tier, branchId, managerId, createdAt, since",
                            ", \"encoding\": \"gb18030\""));
            UUID id = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
            byte[] bytes = many.get(link(many, path)).is(200).response().body();
            assertThat(Mark.find(bytes)).as(format).contains(id);
            String text = switch (format) {
                case "xlsx" -> parts(bytes).get("xl/worksheets/sheet1.xml");
                case "docx" -> parts(bytes).get("word/document.xml");
                case "csv" -> new String(bytes, Charset.forName("GB18030"));
                default -> new String(bytes, StandardCharsets.UTF_8);
            };
            if (!format.equals("pdf")) {
                assertThat(text).as(format).contains("Kehu-Export " + id, maker + " ", " service", RARE);
            }
        }
    }

    @Test
    void partsInFullNeedTheRightAndAnotherPerson() {
        String full = draft(
                "csv",
                "name, phone",
                ", \"unmask\": [\"phone\"], \"filter\": {\"field\": \"managerId\", \"is\": \"" + manager.id + "\"}");
        kehu.sql(
                "UPDATE iam.role SET permissions = array_remove(permissions, 'customer:unmask') WHERE code = 'customer-manager'");
        try {
            kehu.signIn(kehu.staff(branch, "customer-manager"))
                    .post("/v1/exports", full)
                    .is(403, "customer.unmaskForbidden");
        } finally {
            kehu.sql(
                    "UPDATE iam.role SET permissions = permissions || '{customer:unmask}' WHERE code = 'customer-manager'");
        }
        Caller maker = kehu.signIn(manager.id);
        Answer waits = maker.post("/v1/exports", full).is(202);
        assertThat(waits.at("/policy").asText()).isEqualTo("customer-export");
        String made = head.post("/v1/approvals/" + waits.at("/approvalId").asText() + "/approve", "{}")
                .is(200)
                .at("/location")
                .asText();
        assertThat(maker.get(link(maker, ended(maker, made, "done"))).is(200).text())
                .contains("+86" + PHONE);
        kehu.caller("operator").post("/v1/exports", full).is(403, "auth.forbidden");
    }

    @Test
    void fromANumberOfRowsOnAnotherPersonHasToAgree() {
        Caller maker = kehu.signIn(kehu.staff(branch, "customer-manager"));
        for (int i = 0; i < 6; i++) {
            customer(maker, "\"name\": \"多人\", \"lifecycle\": \"dormant\"");
        }
        Caller admin = kehu.caller("administrator");
        String policy = "/v1/approval-policies/customer-export";
        admin.patch(policy, admin.get(policy).etag(), """
                {"levels": [{"approvers": 1, "permission": "customer:approve", "fromCount": 6}]}""").is(200);
        String draft = draft("csv", "name", ", \"filter\": {\"field\": \"lifecycle\", \"is\": \"dormant\"}");
        Answer waits = maker.post("/v1/exports", draft).is(202);
        assertThat(waits.at("/approvalId").asText()).isNotEmpty();
        assertThat(maker.get("/v1/exports").at("/items")).isEmpty();
        maker.post("/v1/approvals/" + waits.at("/approvalId").asText() + "/approve", "{}")
                .is(403);
        String made = head.post("/v1/approvals/" + waits.at("/approvalId").asText() + "/approve", "{}")
                .is(200)
                .at("/location")
                .asText();
        assertThat(maker.get(ended(maker, made, "done")).at("/rows").asInt()).isEqualTo(6);
        admin.patch(policy, admin.get(policy).etag(), """
                {"levels": [{"approvers": 1, "permission": "customer:approve", "fromCount": 10000}]}""").is(200);
    }

    @Test
    void theQuotaOfADayHoldsForTwoWhoAskAtOnce() {
        Caller maker = kehu.signIn(kehu.staff(branch, "customer-manager"));
        for (int i = 0; i < 3; i++) {
            customer(maker, "\"name\": \"限额\"");
        }
        kehu.sql(
                "INSERT INTO customer.export_quota (maker_id, day, rows) VALUES (?, (kehu.now() AT TIME ZONE 'Asia/Shanghai')::date, 194)",
                maker.id);
        List<CompletableFuture<Integer>> asked = Stream.generate(() -> CompletableFuture.supplyAsync(() ->
                        maker.post("/v1/exports", draft("jsonl", "name", "")).status()))
                .limit(4)
                .toList();
        List<Integer> answers =
                asked.stream().map(CompletableFuture::join).sorted().toList();
        assertThat(answers).containsExactly(202, 202, 429, 429);
        assertThat(kehu.<Long>value("SELECT rows FROM customer.export_quota WHERE maker_id = ?", maker.id))
                .isEqualTo(200);
        maker.post("/v1/exports", draft("csv", "name", "")).is(429, "export.quota");
    }

    @Test
    void aLinkIsGoodOnceForItsMakerAndForAWhile() {
        String path = done(manager, draft("csv", "name", ""));
        String first = link(manager, path);
        colleague.get(first).is(404, "export.linkUnknown");
        head.get(first).is(404, "export.linkUnknown");
        kehu.anonymous().get(first).is(401);
        String second = link(manager, path);
        manager.get(first).is(404, "export.linkUnknown");
        List<Integer> both =
                Stream.of(1, 2)
                        .map(i -> CompletableFuture.supplyAsync(
                                () -> manager.get(second).status()))
                        .toList()
                        .stream()
                        .map(CompletableFuture::join)
                        .sorted()
                        .toList();
        assertThat(both).containsExactly(200, 410);
        manager.get(second).is(410, "export.linkOver");
        String third = link(manager, path);
        kehu.sql("UPDATE customer.export_link SET expires_at = kehu.now() WHERE used_at IS NULL");
        manager.get(third).is(410, "export.linkOver");
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM customer.export_link WHERE encode(hash, 'escape') LIKE '%' || ? || '%'",
                        third.substring(21)))
                .as("no token is kept")
                .isZero();
        UUID id = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE operation = 'downloadExport' AND kind = 'export' AND object_id = ? AND code IS NULL",
                        id))
                .isEqualTo(1);
        assertThat(kehu.<String>value(
                        "SELECT purpose FROM kehu.audit WHERE operation = 'createExport' AND kind = 'export' AND object_id = ?",
                        id))
                .isEqualTo("service");
    }

    @Test
    void whoHasLostTheRightGetsNoFileThatWasMadeBefore() {
        Caller leaver = kehu.signIn(kehu.staff(branch, "customer-manager"));
        customer(leaver, "\"name\": \"离职前\"");
        String path = done(leaver, draft("csv", "name", ""));
        kehu.sql("UPDATE iam.staff SET roles = '{analyst}' WHERE id = ?", leaver.id);
        Caller now = kehu.signIn(leaver.id);
        now.post(path + "/links", "").is(409, "export.rightsChanged");
    }

    @Test
    void aFileGoesAfterItsTimeAndItsHistoryStays() {
        String path = done(manager, draft("jsonl", "number", ""));
        UUID id = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
        UUID blob = kehu.value("SELECT blob_id FROM customer.export_file WHERE export_id = ?", id);
        kehu.sql("UPDATE customer.export_file SET expires_at = kehu.now() WHERE export_id = ?", id);
        await().until(() -> manager.get(path).at("/fileState").asText().equals("deleted"));
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.data_key WHERE subject_id = ?", blob))
                .isZero();
        manager.post(path + "/links", "").is(410, "export.fileGone");
        assertThat(manager.get("/v1/exports?limit=200").is(200).text()).contains(id.toString());
        assertThat(head.get("/v1/exports?limit=200").text()).contains(id.toString());
        assertThat(colleague.get("/v1/exports?limit=200").text()).doesNotContain(id.toString());
        assertThat(kehu.caller("auditor").get(path).is(200).at("/rows").asInt()).isEqualTo(3);
    }

    @Test
    void anExportCanBeStopped() {
        String path =
                manager.post("/v1/exports", draft("csv", "name", "")).is(202).header("Location");
        UUID id = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
        ended(manager, path, "done");
        manager.post(path + "/cancel", "").is(409, "job.ended");
        // One that waits: as if every node were busy.
        kehu.sql(
                "UPDATE kehu.job SET state = 'waiting', not_before = kehu.now() + interval '1 day', ended_at = NULL, position = '{}' WHERE id = (SELECT job_id FROM customer.export WHERE id = ?)",
                id);
        colleague.post(path + "/cancel", "").is(404, "export.notFound");
        assertThat(manager.post(path + "/cancel", "").is(200).at("/state").asText())
                .isEqualTo("cancelled");
        kehu.sql("INSERT INTO customer.export_secret (export_id, password) VALUES (?, 'x')", id);
        await().until(() ->
                kehu.<Long>value("SELECT count(*) FROM customer.export_secret WHERE export_id = ?", id) == 0);
    }

    @Test
    void aRunAfterACrashBeginsAnew() {
        String path = done(manager, draft("jsonl", "number, name", ""));
        UUID id = UUID.fromString(path.substring(path.lastIndexOf('/') + 1));
        kehu.sql("DELETE FROM customer.exported WHERE export_id = ?", id);
        kehu.sql("DELETE FROM customer.export_file WHERE export_id = ?", id);
        kehu.sql("""
                UPDATE kehu.job SET state = 'running', lease_owner = 'a node that died', lease_until = kehu.now(), ended_at = NULL,
                    position = '{}', units_done = 2 WHERE id = (SELECT job_id FROM customer.export WHERE id = ?)""", id);
        ended(manager, path, "done");
        assertThat(manager.get(path).at("/rows").asInt()).isEqualTo(3);
        assertThat(manager.get(link(manager, path)).is(200).text().lines()).hasSize(4);
    }

    @Test
    void formulasAreNeutralInTheFileAndWhatTheyWereAfterAnImport() {
        for (String format : List.of("csv", "xlsx")) {
            Answer waits = manager.post("/v1/exports", draft(format, "name, address", ", \"unmask\": [\"address\"]"))
                    .is(202);
            String made = head.post("/v1/approvals/" + waits.at("/approvalId").asText() + "/approve", "{}")
                    .is(200)
                    .at("/location")
                    .asText();
            byte[] file = manager.get(link(manager, ended(manager, made, "done")))
                    .is(200)
                    .response()
                    .body();
            String text = format.equals("csv")
                    ? new String(file, StandardCharsets.UTF_8)
                    : parts(file).get("xl/worksheets/sheet1.xml");
            assertThat(text).contains("'=HYPERLINK(").doesNotContain(",=", ">=", "\"=");
            Caller operator = kehu.caller("operator");
            String upload = operator.upload(file);
            String imported =
                    operator.post("/v1/imports", """
                    {"uploadId": "%s", "mapping": {"kind": "person", "fields": [{"field": "name", "column": "name"},
                      {"field": "address", "column": "address"}]}}""".formatted(upload)).is(202).header("Location");
            await().until(() -> operator.get(imported).at("/state").asText().equals("done"));
            Answer told = operator.get(imported);
            assertThat(told.at("/rejected").asInt())
                    .as(operator.get(imported + "/errors").text())
                    .isZero();
            assertThat(told.at("/created").asInt()).as(told.text()).isEqualTo(3);
            UUID copy = kehu.value("""
                    SELECT id FROM customer.customer WHERE branch_id = ? ORDER BY seq DESC OFFSET 2 LIMIT 1""", kehu.headOffice());
            Answer read = kehu.caller("branch-head")
                    .get("/v1/customers/" + copy + "?unmask=address", "Kehu-Purpose", "identity-check")
                    .is(200);
            assertThat(read.at("/name").asText()).isEqualTo(RARE);
            assertThat(read.at("/addresses/0/line").asText()).isEqualTo(FORMULA.replace("\\", ""));
        }
    }

    @Test
    void anEncryptedArchiveOpensWithThePasswordThatWasToldOnce() throws IOException {
        Answer asked = manager.post("/v1/exports", draft("csv", "name", ", \"archive\": \"zip\""))
                .is(202);
        String password = asked.at("/archivePassword").asText();
        assertThat(password).hasSizeGreaterThan(20);
        String path = ended(manager, asked.header("Location"), "done");
        assertThat(manager.get(path).text()).doesNotContain(password);
        assertThat(kehu.<Long>value("SELECT count(*) FROM customer.export_secret"))
                .isZero();
        byte[] zip = manager.get(link(manager, path)).is(200).response().body();
        assertThat(new String(zip, StandardCharsets.UTF_8)).doesNotContain("赵四");
        ByteArrayOutputStream opened = new ByteArrayOutputStream();
        try (var in = new net.lingala.zip4j.io.inputstream.ZipInputStream(
                new ByteArrayInputStream(zip), password.toCharArray())) {
            LocalFileHeader entry = in.getNextEntry();
            assertThat(entry.getFileName()).endsWith(".csv");
            assertThat(entry.getAesExtraDataRecord().getAesKeyStrength().name()).isEqualTo("KEY_STRENGTH_256");
            in.transferTo(opened);
        }
        assertThat(opened.toString(StandardCharsets.UTF_8)).contains(RARE, "赵四");
    }

    @Test
    void whatNoFileCanBeIsRefusedBeforeAnythingIsDone() {
        Caller agent = kehu.caller("desk-agent");
        agent.post("/v1/exports", draft("csv", "name", "")).is(403, "auth.forbidden");
        manager.post("/v1/exports", draft("csv", "name, password", "")).is(400, "request.invalid");
        manager.post("/v1/exports", draft("exe", "name", "")).is(400, "request.invalid");
        manager.post("/v1/exports", draft("csv", "name", ", \"filter\": {\"field\": \"nothing\", \"is\": \"x\"}"))
                .is(400);
        List<String> many = new ArrayList<>(List.of(
                "id", "number", "kind", "name", "tier", "risk", "phone", "email", "address", "assets", "since",
                "gender", "channel"));
        manager.post("/v1/exports", draft("pdf", String.join(", ", many), "")).is(422, "export.tooManyColumns");
        manager.get("/v1/exports/" + UUID.randomUUID()).is(404, "export.notFound");
        Caller stale = kehu.signIn(colleagueId);
        kehu.sql("UPDATE iam.session SET factor_at = kehu.now() - interval '20 min' WHERE subject_id = ?", colleagueId);
        stale.post("/v1/exports", draft("csv", "name", "")).is(401, "auth.stepUp");
    }
}
