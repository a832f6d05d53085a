package io.kehu.ops.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class AuditTest {
    private static TestKehu kehu;
    private static Caller auditor;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        auditor = kehu.caller("auditor");
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Answer open(String code) {
        return administrator.post("/v1/branches", """
                {"parentId": "%s", "code": "%s", "name": "支行"}""".formatted(kehu.headOffice(), code));
    }

    private static Answer list(String query) {
        return auditor.get("/v1/audit?" + query).is(200);
    }

    private static List<String> ids(Answer page) {
        return page.at("/items").findValuesAsText("requestId");
    }

    @Test
    void anEntrySaysWhoDidWhatToWhichObjectAndWhatChanged() {
        Answer made = open("ENTRY").is(201);
        String branch = made.at("/id").asText();
        administrator
                .patch("/v1/branches/" + branch, "\"1\"", "{\"name\": \"新名\"}")
                .is(200);
        Answer entries = list("objectType=branch&objectId=" + branch);
        assertThat(entries.at("/items")).hasSize(2);
        JsonNode changed = entries.at("/items/0");
        assertThat(changed.at("/operation").asText()).isEqualTo("changeBranch");
        assertThat(changed.at("/kind").asText()).isEqualTo("write");
        assertThat(changed.at("/actor/id").asText()).isEqualTo(administrator.id.toString());
        assertThat(changed.at("/objectVersion").asLong()).isEqualTo(2);
        assertThat(changed.at("/changes/0/before/name").asText()).isEqualTo("支行");
        assertThat(changed.at("/changes/0/after/name").asText()).isEqualTo("新名");
        String created = entries.at("/items/1/id").asText();
        assertThat(made.header("Kehu-Receipt"))
                .isEqualTo(created + ":" + entries.at("/items/1/leaf").asText());
        assertThat(auditor.get("/v1/audit/" + created).is(200).json()).isEqualTo(entries.at("/items/1"));
    }

    @Test
    void theFiltersNarrowTheEntries() {
        Caller other = kehu.caller("administrator");
        Answer mine = open("FILTER").is(201);
        Answer refused = other.post("/v1/branches", """
                {"parentId": "%s", "code": "FILTER", "name": "支行"}""".formatted(kehu.headOffice()));
        String request = refused.is(409).at("/requestId").asText();
        assertThat(ids(list("actor=" + other.id))).containsExactly(request);
        assertThat(ids(list("actor=" + other.id + "&kind=refusal"))).containsExactly(request);
        assertThat(ids(list("actor=" + other.id + "&kind=write"))).isEmpty();
        assertThat(ids(list("actor=" + other.id + "&operation=changeBranch"))).isEmpty();
        String at = auditor.get("/v1/audit/" + mine.header("Kehu-Receipt").substring(0, 36))
                .at("/at")
                .asText();
        assertThat(ids(list("from=" + at + "&objectId=" + mine.at("/id").asText())))
                .hasSize(1);
        assertThat(ids(list("to=" + at + "&objectId=" + mine.at("/id").asText())))
                .isEmpty();
        auditor.get("/v1/audit?kind=nonsense").is(400, "request.invalid");
        auditor.get("/v1/audit?from=yesterday").is(400, "request.invalid");
        auditor.get("/v1/audit/" + UUID.randomUUID()).is(404, "audit.notFound");
        auditor.get("/v1/audit/" + UUID.randomUUID() + "/proof").is(404, "audit.notFound");
    }

    @Test
    void thePagesHoldEachEntryOnceNewestFirst() {
        Caller busy = kehu.caller("administrator");
        for (int i = 0; i < 7; i++) {
            busy.post("/v1/branches", """
                    {"parentId": "%s", "code": "PAGE-%d", "name": "支行"}""".formatted(kehu.headOffice(), i)).is(201);
        }
        List<String> times = new ArrayList<>();
        List<String> seen = new ArrayList<>();
        String cursor = "";
        do {
            Answer page = list("actor=" + busy.id + "&limit=3" + cursor);
            page.at("/items").forEach(item -> {
                times.add(item.get("at").asText());
                seen.add(item.get("id").asText());
            });
            cursor = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!cursor.isEmpty());
        assertThat(seen).hasSize(7).doesNotHaveDuplicates();
        assertThat(times)
                .isSortedAccordingTo((a, b) -> java.time.Instant.parse(b).compareTo(java.time.Instant.parse(a)));
        Answer first = list("actor=" + busy.id + "&limit=3");
        auditor.get("/v1/audit?limit=3&cursor=" + first.at("/next").asText()).is(400, "request.cursorInvalid");
    }

    @Test
    void readingTheAuditIsAnEntryThatSaysWhatWasAskedFor() {
        Caller reader = kehu.caller("auditor");
        Answer page = reader.get("/v1/audit?limit=1&operation=createBranch").is(200);
        assertThat(page.header("Kehu-Receipt")).isNotEmpty();
        JsonNode entry = list("actor=" + reader.id).at("/items/0");
        assertThat(entry.at("/kind").asText()).isEqualTo("audit-read");
        assertThat(entry.at("/operation").asText()).isEqualTo("listAuditEntries");
        assertThat(entry.at("/changes/0/change").asText()).isEqualTo("read");
        assertThat(entry.at("/changes/0/after/operation").asText()).isEqualTo("createBranch");
        String id = entry.at("/id").asText();
        reader.get("/v1/audit/" + id).is(200);
        assertThat(list("actor=" + reader.id + "&objectId=" + id)
                        .at("/items/0/operation")
                        .asText())
                .isEqualTo("getAuditEntry");
    }

    @Test
    void personalDataIsSealedAndFactsAreShownOnlyToWhoMaySeeThem() {
        Caller marketing = kehu.caller("marketing");
        Answer made = marketing.post("/v1/customers", """
                {"kind": "person", "name": "王审计", "phones": [{"number": "13800138000"}], "risk": "C3"}""").is(201);
        Answer entries = list("objectId=" + made.at("/id").asText());
        assertThat(entries.text()).contains("\"personal\":\"sealed\"").doesNotContain("王审计", "13800138000", "\\\\x");
        Answer staff = administrator
                .post("/v1/staff", """
                {"username": "sealed.one", "name": "李封存", "branchId": "%s", "roles": ["analyst"]}""".formatted(kehu.headOffice()))
                .is(201);
        Answer hired = list("objectId=" + staff.at("/id").asText());
        assertThat(hired.text()).contains("\"sealed\":\"sealed\"", "sealed.one").doesNotContain("李封存", "\\\\x");
        assertThat(entries.at("/items/0/changes").toString()).contains("\"C3\"");
        kehu.sql(
                "INSERT INTO iam.role (code, name_en, name_zh, permissions, scope) VALUES"
                        + " ('audit-only', 'x', 'x', '{audit:read}', 'ALL'), ('audit-branch', 'x', 'x', '{audit:read}', 'BRANCH')");
        Answer narrow = kehu.caller("audit-only")
                .get("/v1/audit?objectId=" + made.at("/id").asText())
                .is(200);
        assertThat(narrow.at("/items").findValuesAsText("operation")).contains("createCustomer");
        assertThat(narrow.text()).doesNotContain("\"C3\"");
        kehu.caller("audit-branch").get("/v1/audit").is(403, "auth.forbidden");
        kehu.caller("audit-branch").get("/v1/audit/seals").is(403, "auth.forbidden");
        kehu.sql("DELETE FROM iam.staff WHERE roles && '{audit-only,audit-branch}'");
        kehu.sql("DELETE FROM iam.role WHERE code LIKE 'audit-%'");
    }

    @Test
    void anEntryIsProvenWithinAMomentAndUntilThenTheAnswerSaysWhen() {
        String id = open("PROOF").is(201).header("Kehu-Receipt").substring(0, 36);
        Answer early = auditor.get("/v1/audit/" + id + "/proof");
        if (early.status() != 200) {
            assertThat(early.is(409, "audit.notSealed").header("Retry-After")).isEqualTo("1");
        }
        await().until(() -> auditor.get("/v1/audit/" + id + "/proof").status() == 200);
        Answer seals = auditor.get("/v1/audit/seals?limit=1").is(200);
        assertThat(seals.at("/items")).hasSize(1);
        long newest = seals.at("/items/0/number").asLong();
        assertThat(auditor.get("/v1/audit/" + id + "/proof").at("/seal/number").asLong())
                .isLessThanOrEqualTo(newest);
        if (newest > 1) {
            assertThat(auditor.get("/v1/audit/seals?limit=1&cursor="
                                    + seals.at("/next").asText())
                            .is(200)
                            .at("/items/0/hash"))
                    .isEqualTo(seals.at("/items/0/previous"));
        }
    }

    @Test
    void whatIsNotSealedIsNotProven() throws Exception {
        // A transaction that is still running holds the range open.
        try (var connection = io.kehu.app.Migrations.connect(
                        kehu.settings().postgresql().ownerUri(), 5_000);
                var sql = connection.createStatement()) {
            connection.setAutoCommit(false);
            sql.execute("SELECT pg_current_xact_id()");
            String id = open("OPEN").is(201).header("Kehu-Receipt").substring(0, 36);
            Answer early = auditor.get("/v1/audit/" + id + "/proof").is(409, "audit.notSealed");
            assertThat(early.header("Retry-After")).isEqualTo("1");
            connection.rollback();
            await().until(() -> auditor.get("/v1/audit/" + id + "/proof").status() == 200);
        }
    }

    @Test
    void signInsFailuresAndSettingsAreThere() {
        kehu.anonymous().login("no.such.person", "Wrong-Password-4711").is(401);
        assertThat(list("kind=sign-in").at("/items").findValuesAsText("code")).contains("auth.failed");
        Answer parameter = administrator.get("/v1/parameters/alert.cpu").is(200);
        administrator
                .patch("/v1/parameters/alert.cpu", parameter.etag(), "{\"value\": \"84\"}")
                .is(200);
        JsonNode setting = list("kind=setting&operation=changeParameter").at("/items/0/changes/0");
        assertThat(setting.at("/before/value").asText()).isNotEmpty().isNotEqualTo("84");
        assertThat(setting.at("/after/value").asText()).isEqualTo("84");
    }
}
