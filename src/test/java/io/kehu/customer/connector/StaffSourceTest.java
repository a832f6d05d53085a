package io.kehu.customer.connector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What somebody entered by hand, and what other systems send afterwards. Of occupations core banking is believed first. */
class StaffSourceTest {
    private static final AtomicInteger NEXT = new AtomicInteger();

    private static TestKehu kehu;
    private static Caller operator;
    private static Caller head;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_CONNECTORS_PRECEDENCE", "*=crm,occupation=core-banking>staff>crm"));
        UUID north = kehu.branch(kehu.headOffice(), "NORTH");
        operator = kehu.signIn(kehu.staff(north, "operator"));
        head = kehu.signIn(kehu.staff(north, "branch-head"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static TestConnector of(String source) {
        return TestConnector.create(operator, "c" + NEXT.incrementAndGet(), source);
    }

    private static String row(String id, String name, String more) {
        return "[{\"id\": \"%s\", \"name\": \"%s\"%s}]".formatted(id, name, more);
    }

    private static String path(String name) {
        return "/v1/customers/"
                + operator.post("/v1/customers/search", "{\"name\": \"%s\"}".formatted(name))
                        .is(200)
                        .at("/items/0/id")
                        .asText();
    }

    private static Answer patch(String path, String body) {
        return operator.patch(path, operator.get(path).is(200).etag(), body).is(200);
    }

    private static void delivers(TestConnector connector, String payload, int changed, int kept) {
        Answer answer = connector.deliver(kehu, payload).is(201);
        assertThat(answer.at("/changed").asInt()).as(answer.text()).isEqualTo(changed);
        assertThat(answer.at("/kept").asInt()).as(answer.text()).isEqualTo(kept);
    }

    private static String shown(String path, String field) {
        return operator.get(path).is(200).at("/" + field).asText();
    }

    private static Set<String> saidByStaff(String path) {
        return Set.of(kehu.<String>value(
                        "SELECT coalesce(string_agg(field, ' '), '') FROM customer.field_source"
                                + " WHERE source = 'staff' AND customer_id = ?::uuid",
                        path.substring("/v1/customers/".length()))
                .split(" "));
    }

    @Test
    void whatSomebodyCorrectedEmptiedOrRestoredStaysAndTheDeliverySaysSo() {
        TestConnector crm = of("crm");
        crm.deliver(kehu, row("10", "赵原名", ", \"phone\": \"13800000101\"")).is(201);
        String path = path("赵原名");
        patch(path, "{\"name\": \"赵改名\", \"phones\": []}");
        assertThat(saidByStaff(path)).containsExactlyInAnyOrder("name", "phones");
        delivers(crm, row("10", "赵原名", ", \"phone\": \"13800000101\""), 0, 2);
        List<String> errors = new ArrayList<>();
        operator.get(crm.path() + "/errors")
                .is(200)
                .at("/items")
                .forEach(error -> errors.add(error.get("code").asText() + " " + error.get("args")));
        assertThat(errors)
                .containsExactlyInAnyOrder("field.kept [\"name\",\"staff\"]", "field.kept [\"phones\",\"staff\"]");
        assertThat(shown(path, "name")).isEqualTo("赵改名");
        assertThat(operator.get(path).is(200).at("/phones").size()).isZero();
        // Who agrees is not told that he was not believed; of the rest he is.
        delivers(crm, row("10", "赵改名", ""), 0, 0);
        delivers(crm, row("10", "赵改名", ", \"job\": \"20000\""), 1, 0);
        Answer now = operator.get(path).is(200);
        operator.post(
                        path + "/versions/1/restore",
                        "{\"fields\": [\"name\"], \"reason\": \"was right\"}",
                        "If-Match",
                        now.etag())
                .is(200);
        delivers(crm, row("10", "赵又名", ""), 0, 1);
        assertThat(shown(path, "name")).isEqualTo("赵原名");
    }

    @Test
    void theSettingMayBelieveAnotherSystemMoreThanStaff() {
        TestConnector core = of("core-banking");
        TestConnector crm = of("crm");
        core.deliver(kehu, row("20", "孙核心", ", \"job\": \"20000\"")).is(201);
        String path = path("孙核心");
        patch(path, """
                {"occupation": "30000", "name": "孙改名",
                 "externalIds": [{"source": "core-banking", "id": "20"}, {"source": "crm", "id": "20"}]}""");
        delivers(crm, row("20", "孙改名", ", \"job\": \"40000\""), 0, 1);
        delivers(core, row("20", "孙核心", ", \"job\": \"20000\""), 1, 1);
        assertThat(shown(path, "occupation")).isEqualTo("20000");
        assertThat(shown(path, "name")).isEqualTo("孙改名");
        Answer sources = operator.get(path + "/sources").is(200);
        assertThat(sources.at("/items").findValuesAsText("field")).containsExactly("name", "occupation");
        assertThat(sources.at("/items").findValuesAsText("source")).containsExactly("staff", "core-banking");
        // What somebody lets go, the next to speak of it may change.
        operator.send("DELETE", path + "/sources/name", (String) null).is(204);
        operator.send("DELETE", path + "/sources/name", (String) null).is(204);
        operator.send("DELETE", path + "/sources/number", (String) null).is(400);
        delivers(core, row("20", "孙核心", ", \"job\": \"20000\""), 1, 0);
        assertThat(shown(path, "name")).isEqualTo("孙核心");
        kehu.signIn(kehu.staff(kehu.branch(kehu.headOffice(), "SOUTH"), "operator"))
                .send("DELETE", path + "/sources/name", (String) null)
                .is(404, "customer.notFound");
    }

    @Test
    void whatANewCustomerWasEnteredWithStaysAndTheRestIsFilledIn() {
        TestConnector crm = of("crm");
        String path = operator.post("/v1/customers", """
                        {"kind": "person", "name": "李手录", "externalIds": [{"source": "crm", "id": "30"}]}""").is(201).header("Location");
        assertThat(saidByStaff(path)).containsExactly("name");
        delivers(crm, row("30", "李别名", ", \"phone\": \"13800000103\""), 1, 1);
        assertThat(shown(path, "name")).isEqualTo("李手录");
        assertThat(operator.get(path).at("/phones").size()).isEqualTo(1);
    }

    @Test
    void anImportCorrectsNothingByHandAndFreesWhatItChanges() {
        TestConnector crm = of("crm");
        imports("id,name\n40,周导入\n");
        String path = path("周导入");
        delivers(crm, row("40", "周来电", ""), 1, 0);
        patch(path, "{\"name\": \"周改名\"}");
        delivers(crm, row("40", "周来电", ""), 0, 1);
        imports("id,name\n40,周导入\n");
        assertThat(shown(path, "name")).isEqualTo("周导入");
        delivers(crm, row("40", "周来电", ""), 1, 0);
    }

    private static void imports(String file) {
        String begun = operator.post(
                        "/v1/imports", """
                        {"uploadId": "%s", "mapping": {"kind": "person", "externalId": {"source": "crm", "column": "id"},
                         "fields": [{"field": "name", "column": "name"}]}}""".formatted(operator.upload(file.getBytes(StandardCharsets.UTF_8))))
                .is(202)
                .header("Location");
        awaitDone(begun);
    }

    private static void awaitDone(String job) {
        await().atMost(Duration.ofSeconds(20))
                .pollInterval(Duration.ofMillis(20))
                .until(() -> operator.get(job).is(200).at("/state").asText().equals("done"));
    }

    @Test
    void aCleaningIsACorrection() {
        TestConnector crm = of("crm");
        crm.deliver(kehu, row("50", "吴　净", "")).is(201);
        String path = path("吴　净");
        patch(path, "{\"channel\": \"sms\"}");
        awaitDone(operator.post("/v1/quality/cleanings", """
                        {"action": "tidy-text", "dryRun": false, "filter": {"field": "channel", "is": "sms"}}""").is(202).header("Location"));
        assertThat(shown(path, "name")).isEqualTo("吴净");
        delivers(crm, row("50", "吴　净", ""), 0, 1);
    }

    @Test
    void whatWasChosenInAMergeIsByHandWhatARuleLentIsNotAndAnUndoneMergeGivesBackWhoSaidIt() {
        TestConnector crm = of("crm");
        TestConnector shop = of("shop");
        crm.deliver(kehu, row("60", "郑一", "")).is(201);
        shop.deliver(kehu, row("61", "郑二", ", \"phone\": \"13800000106\"")).is(201);
        String survivor = path("郑一");
        String duplicate = path("郑二");
        String merge = head.post("/v1/merges", """
                        {"survivorId": "%s", "duplicateId": "%s", "choice": {"name": "duplicate"}}""".formatted(survivor.substring(14), duplicate.substring(14)))
                .is(201)
                .header("Location");
        assertThat(shown(survivor, "name")).isEqualTo("郑二");
        assertThat(saidByStaff(survivor)).containsExactly("name");
        delivers(crm, row("60", "郑三", ""), 0, 1);
        // Its own rows still change what the rule took of them.
        delivers(shop, row("61", "郑二", ", \"phone\": \"13800000107\""), 1, 0);
        head.send("POST", merge + "/undo", (String) null).is(200);
        assertThat(shown(survivor, "name")).isEqualTo("郑一");
        assertThat(saidByStaff(survivor)).containsExactly("");
        delivers(crm, row("60", "郑三", ""), 1, 0);
        assertThat(operator.get(duplicate).is(200).at("/phones/0/number").asText())
                .endsWith("0107");
    }

    @Test
    void whatTwoSystemsSayOfTheSameCustomersAtOnceStaysBoth() {
        TestConnector core = of("core-banking");
        TestConnector crm = of("crm");
        List<String> whole = new ArrayList<>();
        List<String> names = new ArrayList<>();
        List<String> jobs = new ArrayList<>();
        for (int i = 70; i < 80; i++) {
            whole.add("{\"id\": \"%d\", \"name\": \"钱%d\", \"job\": \"20000\"}".formatted(i, i));
            names.add("{\"id\": \"%d\", \"name\": \"钱%d\"}".formatted(i, i));
            jobs.add("{\"id\": \"%d\", \"job\": \"20000\"}".formatted(i));
        }
        core.deliver(kehu, whole.toString()).is(201);
        List<String> paths = new ArrayList<>();
        for (int i = 70; i < 80; i++) {
            String path = path("钱" + i);
            patch(path, """
                    {"externalIds": [{"source": "core-banking", "id": "%d"}, {"source": "crm", "id": "%d"}]}""".formatted(i, i));
            kehu.sql(
                    "DELETE FROM customer.field_sources WHERE id = ?::uuid", path.substring("/v1/customers/".length()));
            paths.add(path);
        }
        // Nothing of the customers is changed, so they do not wait for each other there.
        CompletableFuture<Void> both = CompletableFuture.allOf(
                CompletableFuture.runAsync(() -> delivers(crm, names.toString(), 0, 0)),
                CompletableFuture.runAsync(() -> delivers(core, jobs.toString(), 0, 0)));
        both.join();
        for (String path : paths) {
            Answer sources = operator.get(path + "/sources").is(200);
            assertThat(sources.at("/items").findValuesAsText("field")).containsExactly("name", "occupation");
            assertThat(sources.at("/items").findValuesAsText("source")).containsExactly("crm", "core-banking");
        }
    }

    @Test
    void noOtherSystemMayBeCalledStaff() {
        operator.post("/v1/connectors", TestConnector.draft("as staff", "staff"))
                .is(422, "customer.sourceReserved");
        TestConnector connector = of("not-staff");
        operator.patch(
                        connector.path(),
                        "\"1\"",
                        "{\"mapping\": {\"kind\": \"person\", \"externalId\": {\"source\": \"staff\", \"column\": \"id\"}}}")
                .is(422, "customer.sourceReserved");
        operator.post("/v1/imports", """
                        {"uploadId": "%s", "mapping": {"kind": "person", "externalId": {"source": "staff", "column": "id"}}}""".formatted(operator.upload("id,name\n".getBytes(StandardCharsets.UTF_8))))
                .is(422, "customer.sourceReserved");
    }
}
