package io.kehu.customer.grading;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class GradingTest {
    private static final AtomicInteger NEXT = new AtomicInteger();
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final Duration OFTEN = Duration.ofMillis(20);

    private static TestKehu kehu;
    private static UUID branch;
    private static Caller manager;
    private static Caller risk;
    private static Caller marketing;
    private static String category;

    @BeforeAll
    static void start() {
        // The night of the test clock's day has begun whenever it is.
        kehu = TestKehu.start(
                Map.of("KEHU_GRADING_HOUR", "0", "KEHU_GRADING_CHECK_SECONDS", "1", "KEHU_EVENTS_POLL_MILLIS", "50"));
        branch = kehu.branch(kehu.headOffice(), "NORTH");
        manager = kehu.signIn(kehu.staff(branch, "customer-manager"));
        risk = kehu.caller("risk");
        marketing = kehu.caller("marketing");
        category = marketing
                .post("/v1/tag-categories", "{\"code\": \"rules\", \"nameEn\": \"Rules\", \"nameZh\": \"规则\"}")
                .is(201)
                .at("/id")
                .asText();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    /** Rules are everybody's: those of one test are off in the next. */
    @AfterEach
    void switchOff() {
        kehu.sql("UPDATE customer.grading_rule SET enabled = false WHERE enabled");
    }

    private static String is(String field, String value) {
        return "{\"field\": \"%s\", \"is\": \"%s\"}".formatted(field, value);
    }

    private static String assetsFrom(int amount) {
        return "{\"field\": \"assets\", \"from\": \"%d\"}".formatted(amount);
    }

    private static Answer rule(Caller who, String kind, String condition, String more) {
        return who.post("/v1/grading-rules", """
                {"kind": "%s", "name": "规则", "condition": %s, %s}""".formatted(
                        kind, condition, more.contains("enabled") ? more : "\"enabled\": true, " + more));
    }

    private static String aRule(String kind, String condition, String more) {
        return rule(risk, kind, condition, more).is(201).at("/id").asText();
    }

    private static String aTag(String more) {
        return marketing
                .post("/v1/tags", """
                {"code": "g%d", "categoryId": "%s", "nameEn": "Tag", "nameZh": "标签", "madeBy": "rule"%s}""".formatted(NEXT.incrementAndGet(), category, more))
                .is(201)
                .at("/id")
                .asText();
    }

    private static String aCustomer(String more) {
        return "/v1/customers/"
                + manager.post("/v1/customers", "{\"kind\": \"person\", \"name\": \"李规则\"" + more + "}")
                        .is(201)
                        .at("/id")
                        .asText();
    }

    private static List<String> tagsOf(String customer) {
        List<String> ids = new ArrayList<>();
        manager.get(customer + "/tags")
                .is(200)
                .at("/items")
                .forEach(item -> ids.add(item.get("tagId").asText()));
        return ids;
    }

    private static String tierOf(String customer) {
        return manager.get(customer).is(200).at("/tier").asText();
    }

    private static void change(String customer, String patch) {
        // A rule may be faster than we are.
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .until(() -> manager.patch(customer, manager.get(customer).etag(), patch)
                                .status()
                        == 200);
    }

    private static JsonNode grade(String customer, String kind) {
        for (JsonNode item : manager.get(customer + "/grades").is(200).at("/items")) {
            if (item.path("kind").asText().equals(kind)) {
                return item;
            }
        }
        return null;
    }

    /** Waits until everything that happened to a customer so far has had its effect. */
    private static void followed(String customer) {
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat((Boolean) kehu.value("""
                        SELECT bool_and(EXISTS (
                            SELECT FROM kehu.event_range r JOIN kehu.event_cursor k ON k.range_id >= r.id
                            WHERE k.consumer = 'customer.grading' AND e.xid >= r.from_xid AND e.xid < r.to_xid))
                        FROM kehu.event e WHERE e.aggregate_id = ?""", UUID.fromString(customer.substring(14))))
                        .isTrue());
    }

    private static void gradeAll() {
        String job = risk.post("/v1/gradings", null).is(202).header("Location");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() ->
                        assertThat(risk.get(job).is(200).at("/state").asText()).isEqualTo("done"));
    }

    @Test
    void aTagOfARuleComesAndGoesWithTheFacts() {
        String tag = aTag("");
        String rule = aRule("tag", is("channel", "wechat"), "\"tagId\": \"" + tag + '"');
        String customer = aCustomer(", \"channel\": \"wechat\"");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat(tagsOf(customer)).containsExactly(tag));
        JsonNode given = manager.get(customer + "/tags").at("/items/0");
        assertThat(given.at("/madeBy").asText()).isEqualTo("rule");
        assertThat(given.at("/rule/id").asText()).isEqualTo(rule);
        assertThat(given.at("/rule/name").asText()).isEqualTo("规则");
        manager.send("DELETE", customer + "/tags/" + tag, (String) null).is(409, "tag.byRule");
        change(customer, "{\"channel\": \"app\"}");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat(tagsOf(customer)).isEmpty());
    }

    @Test
    void aTierFollowsItsRuleAndWhatSomebodySaysStaysForItsDays() {
        String rule = aRule("tier", assetsFrom(600_000), "\"result\": \"affluent\", \"handDays\": 30");
        String customer = aCustomer(", \"assets\": \"700000\"");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat(tierOf(customer)).isEqualTo("affluent"));
        JsonNode tier = grade(customer, "tier");
        assertThat(tier.at("/by").asText()).isEqualTo("rule");
        assertThat(tier.at("/rule/id").asText()).isEqualTo(rule);
        assertThat(grade(customer, "lifecycle").at("/by").asText()).isEqualTo("entry");
        JsonNode version = manager.get(customer + "/versions").is(200).at("/items/0");
        assertThat(version.at("/by/name").asText()).isEqualTo("kehu");

        change(customer, "{\"tier\": \"private\"}");
        gradeAll();
        assertThat(tierOf(customer)).isEqualTo("private");
        tier = grade(customer, "tier");
        assertThat(tier.at("/by").asText()).isEqualTo("hand");
        assertThat(tier.at("/person/id").asText()).isEqualTo(manager.id.toString());
        // Thirty days later.
        kehu.sql(
                "UPDATE customer.grade SET valid_from = valid_from - interval '31 days' WHERE customer_id = ?",
                UUID.fromString(customer.substring(14)));
        gradeAll();
        assertThat(tierOf(customer)).isEqualTo("affluent");
    }

    @Test
    void whatARuleSaysOfAUnitedRecordStaysWithItWhenTheMergeIsUndone() {
        String rule = aRule("tier", assetsFrom(9_000_000), "\"result\": \"private\", \"handDays\": 0");
        String survivor = aCustomer(", \"tier\": \"mass\"");
        String duplicate = aCustomer(", \"tier\": \"affluent\"");
        Answer merge = manager.post("/v1/merges", """
                {"survivorId": "%s", "duplicateId": "%s", "choice": {"tier": "duplicate"}}""".formatted(survivor.substring(14), duplicate.substring(14)))
                .is(201);
        assertThat(tierOf(survivor)).isEqualTo("affluent");
        change(survivor, "{\"assets\": \"9000000\"}");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat(tierOf(survivor)).isEqualTo("private"));
        assertThat(grade(survivor, "tier").at("/rule/id").asText()).isEqualTo(rule);
        switchOff();
        manager.send("POST", "/v1/merges/" + merge.at("/id").asText() + "/undo", (String) null)
                .is(200);
        assertThat(tierOf(survivor)).isEqualTo("private");
        assertThat(tierOf(duplicate)).isEqualTo("affluent");
    }

    @Test
    void aTierOfPersonsIsNoTierOfOrganisations() {
        aRule("tier", assetsFrom(600_000), "\"result\": \"affluent\"");
        String organisation = "/v1/customers/"
                + manager.post("/v1/customers", """
                {"kind": "organisation", "name": "规则有限公司", "assets": "900000"}""").is(201).at("/id").asText();
        String person = aCustomer(", \"assets\": \"700000\"");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat(tierOf(person)).isEqualTo("affluent"));
        gradeAll();
        assertThat(tierOf(organisation)).isEqualTo("small");
    }

    @Test
    void theFirstRuleThatFitsDecidesAndOfAGroupOneTagHolds() {
        String first = aTag(", \"group\": \"band\"");
        String second = aTag(", \"group\": \"band\"");
        aRule("tag", is("channel", "sms"), "\"priority\": 2, \"tagId\": \"" + second + '"');
        aRule("tag", is("gender", "female"), "\"priority\": 1, \"tagId\": \"" + first + '"');
        aRule("class", is("channel", "sms"), "\"priority\": 2, \"result\": \"B\"");
        String better = aRule("class", is("gender", "female"), "\"priority\": 1, \"result\": \"A+\"");
        String both = aCustomer(", \"channel\": \"sms\", \"gender\": \"female\"");
        String one = aCustomer(", \"channel\": \"sms\"");
        await().atMost(SOON).pollInterval(OFTEN).untilAsserted(() -> {
            assertThat(tagsOf(both)).containsExactly(first);
            assertThat(tagsOf(one)).containsExactly(second);
        });
        assertThat(grade(both, "class").at("/value").asText()).isEqualTo("A+");
        assertThat(grade(both, "class").at("/rule/id").asText()).isEqualTo(better);
        assertThat(grade(one, "class").at("/value").asText()).isEqualTo("B");
        assertThat((String) kehu.value(
                        "SELECT string_agg(item::text, ' ') FROM customer.overview_grades WHERE customer_id = ?",
                        UUID.fromString(both.substring(14))))
                .contains("A+", "rule");
        Answer said = manager.send("PUT", one + "/class", "{\"value\": \"C\"}").is(200);
        assertThat(said.text()).contains("\"C\"");
        gradeAll();
        assertThat(grade(one, "class").at("/by").asText()).isEqualTo("hand");
        // Without the rule the other one decides, and without any the tags go and the class stays.
        risk.patch("/v1/grading-rules/" + better, "\"1\"", "{\"enabled\": false}")
                .is(200);
        gradeAll();
        assertThat(grade(both, "class").at("/value").asText()).isEqualTo("B");
        switchOff();
        gradeAll();
        assertThat(tagsOf(both)).isEmpty();
        assertThat(grade(both, "class").at("/value").asText()).isEqualTo("B");
    }

    @Test
    void whatDependsOnTheDayMovesWithoutAnEventAndASecondLookChangesNothing() {
        String customer = aCustomer(", \"lifecycle\": \"new\", \"customerSince\": \"2020-01-01\"");
        followed(customer);
        aRule("lifecycle", "{\"field\": \"customerSince\", \"to\": {\"daysAgo\": 365}}", "\"result\": \"mature\"");
        gradeAll();
        Answer moved = manager.get(customer).is(200);
        assertThat(moved.at("/lifecycle").asText()).isEqualTo("mature");
        gradeAll();
        assertThat(manager.get(customer).is(200).json()).isEqualTo(moved.json());
        assertThat(manager.get(customer + "/versions").at("/items/0/operation").asText())
                .isEqualTo("startGrading");
    }

    @Test
    void aRuleMayLookAtWhatAnotherOneGivesAndContradictionsComeToAnEnd() {
        String tag = aTag("");
        aRule("tag", is("tier", "affluent"), "\"tagId\": \"" + tag + '"');
        String first = aRule("tier", assetsFrom(600_000), "\"result\": \"affluent\"");
        String customer = aCustomer(", \"assets\": \"700000\"");
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat(tagsOf(customer)).containsExactly(tag));
        risk.patch("/v1/grading-rules/" + first, "\"1\"", "{\"enabled\": false}")
                .is(200);

        aRule("tier", is("tier", "mass"), "\"priority\": 1, \"result\": \"affluent\"");
        aRule("tier", is("tier", "affluent"), "\"priority\": 2, \"result\": \"mass\"");
        String torn = aCustomer("");
        followed(torn);
        assertThat(manager.get(torn).is(200).at("/version").asInt()).isEqualTo(4);
        followed(torn);
        assertThat(manager.get(torn).is(200).at("/version").asInt()).isEqualTo(4);
    }

    @Test
    void manyWhoComeAtOnceAreLookedAtByAJob() {
        aRule("class", is("occupation", "4711"), "\"result\": \"M\"");
        StringBuilder file = new StringBuilder("name,job\n");
        for (int i = 0; i < 300; i++) {
            file.append("吴众").append(i).append(",4711\n");
        }
        Caller operator = kehu.signIn(kehu.staff(branch, "operator"));
        String upload = operator.upload(file.toString().getBytes(StandardCharsets.UTF_8));
        operator.post("/v1/imports", """
                {"uploadId": "%s", "mapping": {"kind": "person", "fields": [{"field": "name", "column": "name"},
                    {"field": "occupation", "column": "job"}]}}""".formatted(upload)).is(202);
        String graded = "SELECT count(*) FROM customer.class_current WHERE class = 'M'";
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat((Long) kehu.value(graded)).isEqualTo(300));
        assertThat(kehu.sql("SELECT 1 FROM kehu.job WHERE kind = 'customer.grading' AND jsonb_exists(params, 'since')"))
                .isNotEmpty();
    }

    @Test
    void aTrialSaysHowManyWouldMoveAndChangesNothing() {
        String fits = aCustomer(", \"channel\": \"branch\", \"maritalStatus\": \"widowed\"");
        aCustomer(", \"channel\": \"branch\", \"maritalStatus\": \"widowed\", \"tier\": \"private\"");
        Answer made = rule(
                        risk,
                        "tier",
                        "{\"all\": [" + is("channel", "branch") + ", " + is("maritalStatus", "widowed") + "]}",
                        "\"result\": \"private\", \"enabled\": false")
                .is(201);
        gradeAll();
        long before =
                kehu.value("SELECT version FROM customer.customer WHERE id = ?", UUID.fromString(fits.substring(14)));
        Answer trial = risk.get("/v1/grading-rules/" + made.at("/id").asText() + "/trial")
                .is(200);
        assertThat(trial.at("/matches/count").asInt()).isEqualTo(2);
        assertThat(trial.at("/matches/more").asBoolean()).isFalse();
        assertThat(trial.at("/moves/count").asInt()).isEqualTo(1);
        assertThat((Long) kehu.value(
                        "SELECT version FROM customer.customer WHERE id = ?", UUID.fromString(fits.substring(14))))
                .isEqualTo(before);
    }

    @Test
    void rulesAreForThoseWhoSeeTheWholeBankAndMaySeeWhatTheyAskFor() {
        rule(marketing, "tier", assetsFrom(1), "\"result\": \"private\"").is(403, "customer.fieldForbidden");
        rule(risk, "tier", is("kind", "person"), "\"result\": \"mature\"").is(422, "grading.resultInvalid");
        rule(risk, "tag", is("kind", "person"), "\"result\": \"mass\"").is(422, "grading.resultInvalid");
        rule(risk, "tag", is("kind", "person"), "\"tagId\": \"" + UUID.randomUUID() + '"')
                .is(422, "grading.tagUnknown");
        UUID role = kehu.staff(kehu.branch(kehu.headOffice(), "R" + NEXT.incrementAndGet()), "customer-manager");
        kehu.sql(
                "INSERT INTO iam.role (code, name_en, name_zh, scope, permissions) VALUES ('narrow', 'n', 'n', 'BRANCH', '{grading-rule:manage,grading-rule:read}')");
        kehu.sql("UPDATE iam.staff SET roles = '{narrow}' WHERE id = ?", role);
        Caller narrow = kehu.signIn(role);
        rule(narrow, "tier", is("kind", "person"), "\"result\": \"mass\"").is(403, "grading.wholeBank");
        narrow.post("/v1/gradings", null).is(403, "grading.wholeBank");
    }

    @Test
    void theRulesToBeginWithAreOffAndCanBeTried() {
        List<String> results = new ArrayList<>();
        kehu.sql("""
                SELECT id, result FROM customer.grading_rule WHERE name LIKE '%资产%' OR name LIKE '成为客户%' OR name LIKE '%年无%'
                ORDER BY kind, priority""").forEach(row -> {
            Answer rule = risk.get("/v1/grading-rules/" + row.get("id")).is(200);
            assertThat(rule.at("/enabled").asBoolean()).isFalse();
            risk.get("/v1/grading-rules/" + row.get("id") + "/trial").is(200);
            results.add(row.get("result").toString());
        });
        assertThat(results)
                .containsExactly(
                        "new",
                        "active",
                        "lost",
                        "dormant",
                        "mature",
                        "private",
                        "affluent",
                        "mass",
                        "large",
                        "medium",
                        "small");
    }

    @Test
    void whatTheBankTookSomebodyForIsForgottenWithHim() {
        String customer = aCustomer("");
        UUID id = UUID.fromString(customer.substring(14));
        manager.send("PUT", customer + "/class", "{\"value\": \"A\"}").is(200);
        manager.send("PUT", customer + "/class", "{\"value\": \"B\"}").is(200);
        Answer changed =
                manager.patch(customer, "\"1\"", "{\"channel\": \"app\"}").is(200);
        manager.post(
                        customer + "/versions/1/restore",
                        "{\"fields\": [\"channel\"], \"reason\": \"误改\"}",
                        "If-Match",
                        changed.etag())
                .is(200);
        String left = """
                SELECT (SELECT count(*) FROM customer.grade_all WHERE customer_id = ?)
                    + (SELECT count(*) FROM customer.change_reason WHERE customer_id = ?)""";
        assertThat((Long) kehu.value(left, id, id)).isEqualTo(3);
        kehu.sql("SELECT customer.erase_grades(ARRAY[?::uuid]), customer.erase_reasons(ARRAY[?::uuid])", id, id);
        assertThat((Long) kehu.value(left, id, id)).isZero();
    }

    @Test
    void eachNightAllCustomersAreLookedAtOnce() {
        aRule("class", is("kind", "person"), "\"result\": \"Z\"");
        String night =
                "SELECT count(*) FROM customer.grading_night n JOIN kehu.job j ON j.id = n.job_id WHERE j.state = 'done'";
        await().atMost(SOON)
                .pollInterval(OFTEN)
                .untilAsserted(() -> assertThat((Long) kehu.value(night)).isEqualTo(1));
        assertThat((Long) kehu.value("SELECT count(*) FROM kehu.job WHERE operation = 'startGradingNight'"))
                .isEqualTo(1);
    }
}
