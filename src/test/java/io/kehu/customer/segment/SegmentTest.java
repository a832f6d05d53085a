package io.kehu.customer.segment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.bus.Json;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SegmentTest {
    private static final AtomicInteger NUMBERS = new AtomicInteger();
    /** Two seconds is what is promised; a machine that runs tests is busy. */
    private static final Duration SOON = Duration.ofSeconds(10);

    private static TestKehu kehu;
    private static UUID branch;
    private static Caller marketing;
    private static Caller manager;
    private static Caller stranger;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_SEGMENTS_POLL_MILLIS", "20", "KEHU_SEGMENTS_REBUILD_ABOVE", "40"));
        branch = kehu.branch(kehu.headOffice(), "SEGM");
        marketing = kehu.caller("marketing");
        manager = kehu.signIn(kehu.staff(branch, "customer-manager"));
        stranger = kehu.signIn(kehu.staff(branch, "customer-manager"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String segment(Caller caller, String kind, String rest) {
        return caller.post(
                        "/v1/segments",
                        "{\"name\": \"客群 " + NUMBERS.incrementAndGet() + "\", \"kind\": \"" + kind + "\", " + rest
                                + "}")
                .is(201)
                .header("Location");
    }

    /** Only customers of this branch, and what else is asked. */
    private static String filter(String condition) {
        return "\"filter\": {\"all\": [{\"field\": \"branchId\", \"is\": \"" + branch + "\"}, " + condition + "]}";
    }

    private static String customer(String facts) {
        return manager.post(
                        "/v1/customers",
                        "{\"kind\": \"person\", \"name\": \"群客" + NUMBERS.incrementAndGet() + "\", " + facts + "}")
                .is(201)
                .at("/id")
                .asText();
    }

    private static void change(String customer, String patch) {
        String path = "/v1/customers/" + customer;
        manager.patch(path, manager.get(path).etag(), patch).is(200);
    }

    private static List<String> members(Caller caller, String segment) {
        List<String> ids = new ArrayList<>();
        String cursor = "";
        do {
            Answer page = caller.get(segment + "/members?limit=2" + cursor).is(200);
            page.at("/items").forEach(item -> ids.add(item.get("customerId").asText()));
            cursor = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!cursor.isEmpty());
        return ids;
    }

    private static void has(String segment, String... customers) {
        await().atMost(SOON)
                .untilAsserted(() -> assertThat(members(marketing, segment)).containsExactlyInAnyOrder(customers));
    }

    private static void isReady(String segment) {
        await().atMost(SOON)
                .until(() -> !marketing.get(segment).at("/catchingUp").asBoolean());
    }

    private static List<JsonNode> events(Caller caller, String type, String segment) {
        List<JsonNode> found = new ArrayList<>();
        String cursor = "";
        Answer page;
        do {
            page = caller.get("/v1/events?limit=200&types=" + type + cursor).is(200);
            page.at("/items").forEach(event -> {
                if (segment.endsWith(event.at("/aggregateId").asText())) {
                    found.add(event);
                }
            });
            cursor = "&cursor=" + page.at("/next").asText();
        } while (page.at("/items").size() == 200);
        return found;
    }

    @Test
    void aLiveSegmentFollowsItsCustomers() {
        String before = customer("\"tier\": \"private\", \"occupation\": \"1010101\"");
        String segment = segment(
                marketing,
                "live",
                filter("{\"field\": \"tier\", \"is\": \"private\"}, {\"field\": \"occupation\", \"is\": \"1010101\"}"));
        has(segment, before);
        String late = customer("\"tier\": \"mass\", \"occupation\": \"1010101\"");
        String other = customer("\"tier\": \"private\", \"occupation\": \"1010102\"");
        change(late, "{\"tier\": \"private\"}");
        has(segment, before, late);
        change(before, "{\"tier\": \"affluent\"}");
        has(segment, late);
        change(other, "{\"occupation\": \"1010101\"}");
        has(segment, late, other);
        assertThat(marketing.get(segment + "/count").is(200).at("/count").asInt())
                .isEqualTo(2);
        await().atMost(SOON).untilAsserted(() -> {
            assertThat(events(marketing, "segment.entered", segment))
                    .extracting(event -> event.at("/payload/customerId").asText())
                    .containsExactly(late, other);
            assertThat(events(marketing, "segment.left", segment))
                    .extracting(event -> event.at("/payload/customerId").asText())
                    .containsExactly(before);
        });
    }

    @Test
    void nobodySeesMembersOutOfHisScopeNorCountsThem() {
        String mine = customer("\"occupation\": \"2020201\"");
        String segment = segment(marketing, "live", filter("{\"field\": \"occupation\", \"is\": \"2020201\"}"));
        has(segment, mine);
        assertThat(members(manager, segment)).containsExactly(mine);
        assertThat(members(stranger, segment)).isEmpty();
        assertThat(stranger.get(segment + "/count").is(200).at("/count").asInt())
                .isZero();
        stranger.get(segment + "/explain?customerId=" + mine).is(404, "customer.notFound");
        change(mine, "{\"occupation\": \"2020202\"}");
        has(segment);
        await().atMost(SOON)
                .untilAsserted(() ->
                        assertThat(events(manager, "segment.left", segment)).hasSize(1));
        assertThat(events(stranger, "segment.left", segment)).isEmpty();
    }

    @Test
    void whomAFilterFitsIsToldToNobodyWhoMayNotSeeWhatItAsks() {
        String rich = customer("\"assets\": \"8000000\", \"occupation\": \"3030301\"");
        Caller analyst = kehu.caller("analyst");
        String filter = filter("{\"field\": \"assets\", \"from\": \"5000000\"}");
        marketing
                .post("/v1/segments", "{\"name\": \"富\", \"kind\": \"live\", " + filter + "}")
                .is(403, "customer.fieldForbidden");
        String segment = segment(analyst, "live", filter);
        await().atMost(SOON).until(() -> members(analyst, segment).contains(rich));
        for (String what : List.of("/members", "/count", "/explain?customerId=" + rich)) {
            marketing.get(segment + what).is(403, "customer.fieldForbidden");
        }
        String poor = customer("\"assets\": \"1\"");
        change(poor, "{\"assets\": \"9000000\"}");
        await().atMost(SOON)
                .until(() -> events(analyst, "segment.entered", segment).size() == 1);
        assertThat(events(marketing, "segment.entered", segment)).isEmpty();
    }

    @Test
    void itSaysWhySomebodyIsInOrOut() {
        String somebody = customer("\"tier\": \"private\", \"birthDate\": \"1990-05-01\", \"occupation\": \"4040401\"");
        String segment = segment(
                marketing,
                "live",
                filter("{\"any\": [{\"field\": \"tier\", \"is\": \"mass\"}, {\"field\": \"age\", \"from\": 18}]},"
                        + "{\"not\": {\"field\": \"occupation\", \"is\": \"4040401\"}}"));
        isReady(segment);
        Answer why = marketing.get(segment + "/explain?customerId=" + somebody).is(200);
        assertThat(why.at("/member").asBoolean()).isFalse();
        assertThat(why.at("/fits").asBoolean()).isFalse();
        assertThat(why.at("/because/holds").asBoolean()).isFalse();
        assertThat(why.at("/because/all/0/holds").asBoolean()).isTrue();
        assertThat(why.at("/because/all/1/holds").asBoolean()).isTrue();
        assertThat(why.at("/because/all/1/any/0/holds").asBoolean()).isFalse();
        assertThat(why.at("/because/all/1/any/1/field").asText()).isEqualTo("age");
        assertThat(why.at("/because/all/2/holds").asBoolean()).isFalse();
        assertThat(why.at("/because/all/2/not/holds").asBoolean()).isTrue();
    }

    @Test
    void itSaysWhyAlsoWhereAllThatIsAskedIsWhetherSomethingIsKnown() {
        String somebody = customer("\"occupation\": \"4040402\"");
        String segment =
                segment(marketing, "static", "\"filter\": {\"not\": {\"field\": \"occupation\", \"known\": false}}");
        Answer why = marketing.get(segment + "/explain?customerId=" + somebody).is(200);
        assertThat(why.at("/fits").asBoolean()).isTrue();
        assertThat(why.at("/because/not/values/0").asText()).isEqualTo("4040402");
    }

    @Test
    void itSaysWhatSomebodyHasWhereAConditionAsksToWhoMayReadHim() {
        String somebody = customer("\"tier\": \"private\", \"birthDate\": \"1987-02-03\", \"occupation\": \"4040402\"");
        String segment = segment(
                marketing,
                "live",
                filter(String.join(
                        ",",
                        List.of("tier", "birthDate", "industry", "tags", "age", "createdAt", "branchId").stream()
                                .map(SegmentTest::somehow)
                                .toList())));
        isReady(segment);
        String path = segment + "/explain?customerId=" + somebody;
        JsonNode why = marketing.get(path).is(200).at("/because/all");
        List<String> values = new ArrayList<>();
        why.forEach(part -> values.add(part.at("/field").asText() + part.at("/values")));
        assertThat(values)
                .contains("tier[\"private\"]", "birthDate[\"1987-02-03\"]", "industry[]", "tags[]")
                .contains("branchId[\"" + branch + "\"]")
                .anyMatch(value -> value.matches("age\\[\"[0-9]{2}\"]"))
                .anyMatch(value -> value.matches("createdAt\\[\"20[-0-9]{8}T[0-9:.]+Z\"]"));
        kehu.sql("INSERT INTO iam.role (code, name_en, name_zh, scope, permissions) VALUES"
                + " ('counts-only', 'c', 'c', 'BRANCH', '{segment:read,tag:read}')");
        Answer without =
                kehu.signIn(kehu.staff(branch, "counts-only")).get(path).is(200);
        assertThat(without.at("/because/all/0/holds").isBoolean()).isTrue();
        assertThat(without.text()).doesNotContain("values", "1987-02-03");
    }

    private static String somehow(String field) {
        return "{\"field\": \"%s\", %s}"
                .formatted(
                        field,
                        switch (field) {
                            case "age" -> "\"from\": 1";
                            case "createdAt" -> "\"from\": {\"daysAgo\": 1}";
                            case "branchId" -> "\"is\": \"" + branch + "\"";
                            default -> "\"known\": true";
                        });
    }

    @Test
    void aStaticSegmentStaysWhatItWas() {
        String one = customer("\"occupation\": \"5050501\"");
        String other = customer("\"occupation\": \"5050502\"");
        String once = segment(marketing, "static", filter("{\"field\": \"occupation\", \"is\": \"5050501\"}"));
        has(once, one);
        isReady(once);
        String listed = segment(marketing, "static", "\"customerIds\": [\"" + one + "\", \"" + other + "\"]");
        has(listed, one, other);
        change(one, "{\"occupation\": \"5050503\"}");
        change(other, "{\"occupation\": \"5050501\"}");
        String live = segment(marketing, "live", filter("{\"field\": \"occupation\", \"is\": \"5050501\"}"));
        has(live, other);
        has(once, one);
        has(listed, one, other);
    }

    @Test
    void timeAloneMovesCustomersIn() {
        String today = kehu.value("SELECT (kehu.now() AT TIME ZONE 'Asia/Shanghai')::date::text");
        String eve =
                java.time.LocalDate.parse(today).minusYears(60).plusDays(20).toString();
        String somebody = customer("\"birthDate\": \"" + eve + "\", \"occupation\": \"6060601\"");
        String segment = segment(
                marketing,
                "live",
                filter("{\"field\": \"age\", \"from\": 60}, {\"field\": \"occupation\", \"is\": \"6060601\"}"));
        isReady(segment);
        has(segment);
        try {
            clock(21 * 86_400);
            await().atMost(SOON)
                    .until(() -> kehu.<Long>value(
                                    "SELECT count(*) FROM customer.segment_member WHERE segment_id = ?::uuid AND customer_id = ?::uuid",
                                    segment.substring(segment.lastIndexOf('/') + 1),
                                    somebody)
                            == 1);
        } finally {
            clock(0);
        }
        has(segment);
        signInAgain();
    }

    private static void clock(long seconds) {
        kehu.moveClock(seconds);
        signInAgain();
    }

    /** The clock moves, and tokens with it. */
    private static void signInAgain() {
        marketing = kehu.signIn(marketing.id);
        manager = kehu.signIn(manager.id);
        stranger = kehu.signIn(stranger.id);
    }

    @Test
    void manyChangesAtOnceAreCaughtUpWith() {
        String segment = segment(marketing, "live", filter("{\"field\": \"occupation\", \"is\": \"7070701\"}"));
        isReady(segment);
        String first = customer("\"occupation\": \"7070701\"");
        has(segment, first);
        String rebuilt = marketing.get(segment).at("/rebuiltAt").asText();
        // More than may wait, in one transaction, past the doors.
        kehu.sql("""
                INSERT INTO customer.segment_due (customer_id, changed)
                SELECT ?::uuid, '{tier}' FROM generate_series(1, 60)""", first);
        await().atMost(SOON)
                .until(() -> !marketing.get(segment).at("/rebuiltAt").asText().equals(rebuilt)
                        && !marketing.get(segment).at("/catchingUp").asBoolean());
        has(segment, first);
    }

    @Test
    void aChangedFilterIsAskedAnewAndADeletedSegmentIsGone() {
        String one = customer("\"occupation\": \"1110101\"");
        String other = customer("\"occupation\": \"1110102\"");
        String segment = segment(marketing, "live", filter("{\"field\": \"occupation\", \"is\": \"1110101\"}"));
        has(segment, one);
        Answer seen = marketing.get(segment);
        marketing
                .patch(segment, seen.etag(), "{" + filter("{\"field\": \"occupation\", \"is\": \"1110102\"}") + "}")
                .is(200);
        has(segment, other);
        marketing.patch(segment, seen.etag(), "{\"name\": \"spät\"}").is(412, "request.stale");
        marketing
                .send(
                        "DELETE",
                        segment,
                        (byte[]) null,
                        "If-Match",
                        marketing.get(segment).etag())
                .is(204);
        marketing.get(segment).is(404, "segment.notFound");
        marketing.get(segment + "/members").is(404, "segment.notFound");
        assertThat(marketing.get("/v1/customers/" + other).status()).isEqualTo(200);
    }

    private static String tag(String code, String more) {
        String category = marketing
                .post("/v1/tag-categories", "{\"code\": \"" + code + "\", \"nameEn\": \"C\", \"nameZh\": \"类\"}")
                .is(201)
                .at("/id")
                .asText();
        return marketing
                .post("/v1/tags", """
                        {"code": "%s", "categoryId": "%s", "nameEn": "T", "nameZh": "签"%s}""".formatted(code, category, more))
                .is(201)
                .at("/id")
                .asText();
    }

    private static void give(Caller who, String customer, String tag) {
        who.send("PUT", "/v1/customers/" + customer + "/tags/" + tag, "{\"reason\": \"因为\"}")
                .is(200);
    }

    @Test
    void aTagThatEndsForAllOrWhoseCustomerMovesMovesMembersToo() {
        Caller head = kehu.signIn(kehu.staff(kehu.headOffice(), "branch-head"));
        UUID elsewhere = kehu.branch(kehu.headOffice(), "SEGE");
        String ofTheBranch = tag("segm-branch", ", \"branchId\": \"" + branch + "\"");
        String ofTheBank = tag("segm-bank", "");
        String one = customer("\"tier\": \"mass\"");
        String other = customer("\"tier\": \"mass\"");
        for (String customer : List.of(one, other)) {
            give(head, customer, ofTheBranch);
            give(head, customer, ofTheBank);
        }
        String here = segment(marketing, "live", "\"filter\": {\"field\": \"tags\", \"is\": \"segm-branch\"}");
        String both = segment(marketing, "live", "\"filter\": {\"field\": \"tags\", \"is\": \"segm-bank\"}");
        has(here, one, other);
        has(both, one, other);
        String path = "/v1/customers/" + one;
        head.patch(path, head.get(path).etag(), "{\"branchId\": \"" + elsewhere + "\", \"managerId\": null}")
                .is(200);
        has(here, other);
        String until = kehu.value("SELECT to_char(kehu.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
        marketing
                .patch("/v1/tags/" + ofTheBank, "\"1\"", "{\"validUntil\": \"" + until + "\"}")
                .is(200);
        has(both);
    }

    @Test
    void aMergeBringsTheSurvivorWhatItsOtherSideHasAndItsUndoTakesItAway() {
        Caller head = kehu.signIn(kehu.staff(branch, "branch-head"));
        String tag = tag("segm-merged", "");
        String survivor = customer("\"tier\": \"mass\"");
        String duplicate = customer("\"tier\": \"mass\"");
        give(head, duplicate, tag);
        String segment = segment(marketing, "live", "\"filter\": {\"field\": \"tags\", \"is\": \"segm-merged\"}");
        has(segment, duplicate);
        Answer merge =
                head.post("/v1/merges", """
                {"survivorId": "%s", "duplicateId": "%s"}""".formatted(survivor, duplicate)).is(201);
        has(segment, survivor);
        head.send("POST", "/v1/merges/" + merge.at("/id").asText() + "/undo", (String) null)
                .is(200);
        has(segment, duplicate);
    }

    @Test
    void movesAreToldOnlyToWhoMaySeeSegmentsAndAllThatTheFilterAsks() {
        String code = "segm-rich";
        String tag = tag(code, "");
        kehu.caller("administrator").post("/v1/roles", """
                {"code": "segm-taxman", "nameEn": "Taxman", "nameZh": "税务", "scope": "all",
                 "permissions": ["event:read", "customer:read", "customer:finance", "tag:read"]}""").is(201);
        kehu.caller("administrator").post("/v1/roles", """
                {"code": "segm-tagless", "nameEn": "Tagless", "nameZh": "无签", "scope": "all",
                 "permissions": ["event:read", "customer:read", "customer:finance", "segment:read"]}""").is(201);
        Caller analyst = kehu.caller("analyst");
        String segment = segment(
                analyst,
                "live",
                filter("{\"field\": \"assets\", \"from\": \"70\"}, {\"field\": \"tags\", \"is\": \"" + code + "\"}"));
        isReady(segment);
        String somebody = customer("\"assets\": \"100\"");
        give(kehu.signIn(kehu.staff(branch, "branch-head")), somebody, tag);
        await().atMost(SOON)
                .until(() -> events(analyst, "segment.entered", segment).size() == 1);
        for (String role : List.of("segm-taxman", "segm-tagless")) {
            Caller half = kehu.signIn(kehu.staff(branch, role));
            assertThat(events(half, "segment.entered", segment)).as(role).isEmpty();
            assertThat(half.get("/v1/events?limit=1&types=customer.created")
                            .is(200)
                            .at("/items")
                            .size())
                    .isEqualTo(1);
        }
    }

    @Test
    void aNewSegmentIsAskedAboutEverybodyOnlyWhenNoOlderWriteIsUnderWay() throws SQLException {
        String somebody = customer("\"occupation\": \"8080801\"");
        String other = customer("\"occupation\": \"8080803\"");
        String ready = segment(marketing, "live", filter("{\"field\": \"occupation\", \"is\": \"8080803\"}"));
        has(ready, other);
        isReady(ready);
        // Where no segment had been, this would have noted nothing.
        try (Connection writer = Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000);
                Statement sql = writer.createStatement()) {
            writer.setAutoCommit(false);
            sql.execute("UPDATE customer.customer SET occupation = '8080802' WHERE id = '" + somebody + "'");
            String segment = segment(marketing, "live", filter("{\"field\": \"occupation\", \"is\": \"8080802\"}"));
            // Looks go on meanwhile.
            change(other, "{\"occupation\": \"8080804\"}");
            has(ready);
            change(other, "{\"occupation\": \"8080803\"}");
            has(ready, other);
            assertThat(marketing.get(segment).at("/catchingUp").asBoolean()).isTrue();
            writer.commit();
            has(segment, somebody);
            isReady(segment);
        }
    }

    @Test
    void whatIsNoSegmentIsRefused() {
        String name = "客群 x" + NUMBERS.incrementAndGet();
        String tier = "\"filter\": {\"field\": \"tier\", \"is\": \"mass\"}";
        marketing
                .post("/v1/segments", "{\"name\": \"" + name + "\", \"kind\": \"live\"}")
                .is(422, "segment.shape");
        marketing
                .post(
                        "/v1/segments",
                        "{\"name\": \"" + name + "\", \"kind\": \"live\", \"customerIds\": [\"" + UUID.randomUUID()
                                + "\"]}")
                .is(422, "segment.shape");
        marketing
                .post(
                        "/v1/segments",
                        "{\"name\": \"" + name + "\", \"kind\": \"static\", \"customerIds\": [\"" + UUID.randomUUID()
                                + "\"]}")
                .is(404, "customer.notFound");
        marketing
                .post("/v1/segments", "{\"name\": \"" + name + "\", \"kind\": \"static\", " + tier + "}")
                .is(201);
        marketing
                .post("/v1/segments", "{\"name\": \"" + name + "\", \"kind\": \"static\", " + tier + "}")
                .is(409, "segment.nameTaken");
        manager.post(
                        "/v1/segments",
                        Json.object().put("name", "x").put("kind", "live").toString())
                .is(403);
    }
}
