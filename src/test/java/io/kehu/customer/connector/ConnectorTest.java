package io.kehu.customer.connector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Ids;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ConnectorTest {
    private static final AtomicInteger NEXT = new AtomicInteger();

    private static TestKehu kehu;
    private static UUID north;
    private static Caller operator;
    private static Caller auditor;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_CONNECTORS_PRECEDENCE", "*=core-banking>crm,occupation=crm>core-banking"));
        north = kehu.branch(kehu.headOffice(), "NORTH");
        operator = kehu.signIn(kehu.staff(north, "operator"));
        auditor = kehu.caller("auditor");
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

    private static List<String> errors(TestConnector connector) {
        List<String> errors = new ArrayList<>();
        auditor.get(connector.path() + "/errors")
                .is(200)
                .at("/items")
                .forEach(error -> errors.add(error.get("row") + " "
                        + error.get("field").asText() + " " + error.get("code").asText()));
        return errors;
    }

    @Test
    void whatIsDeliveredIsEnteredAndLaterBroughtUpToDate() {
        TestConnector connector = of("mall-" + NEXT.incrementAndGet());
        Answer first = connector
                .deliver(
                        kehu,
                        "[{\"id\": \"1\", \"name\": \"钱连接\", \"phone\": \"13800000001\"}, {\"id\": \"2\", \"name\": \"钱\", \"phone\": \"12x\"}, {\"id\": \"\", \"name\": \"孙\"}]")
                .is(201);
        assertThat(first.at("/created").asInt()).isEqualTo(1);
        assertThat(first.at("/refused").asInt()).isEqualTo(2);
        assertThat(errors(connector))
                .hasSize(2)
                .anyMatch(error -> error.startsWith("2 phone field."))
                .contains("3 id field.required");
        assertThat(auditor.get(connector.path() + "/errors").text()).doesNotContain("12x");
        assertThat(connector
                        .deliver(kehu, row("1", "钱新名", ""))
                        .is(201)
                        .at("/changed")
                        .asInt())
                .isEqualTo(1);
        assertThat(connector
                        .deliver(kehu, row("1", "钱新名", ""))
                        .is(201)
                        .at("/unchanged")
                        .asInt())
                .isEqualTo(1);
        Answer found =
                operator.post("/v1/customers/search", "{\"name\": \"钱新名\"}").is(200);
        assertThat(found.at("/items")).hasSize(1);
        assertThat(found.at("/items/0/branchId").asText()).isEqualTo(north.toString());
        List<Integer> rows = new ArrayList<>();
        auditor.get(connector.path() + "/deliveries?limit=2")
                .is(200)
                .at("/items")
                .forEach(item -> rows.add(item.get("rows").asInt()));
        assertThat(rows).containsExactly(1, 1);
    }

    @Test
    void whatIsNotSignedWithTheSecretOverTheseVeryBytesIsRefused() {
        TestConnector connector = of("forged");
        String payload = row("1", "李伪造", "");
        long now = TestConnector.now(kehu);
        String delivery = Ids.next().toString();
        TestConnector.Signed good = connector.signed(now, delivery, payload);
        Map<String, TestConnector.Signed> forged = new HashMap<>();
        forged.put("another payload", new TestConnector.Signed(good.body().replace("李", "王"), good.headers()));
        for (Map.Entry<String, String> header : Map.of(
                        "Kehu-Time", Long.toString(now + 1),
                        "Kehu-Delivery", Ids.next().toString(),
                        "Kehu-Signature", "0".repeat(64))
                .entrySet()) {
            Map<String, String> headers = new HashMap<>(good.headers());
            headers.put(header.getKey(), header.getValue());
            forged.put(header.getKey(), new TestConnector.Signed(good.body(), headers));
        }
        forged.put(
                "another secret", new TestConnector(connector.path(), "x".repeat(43)).signed(now, delivery, payload));
        forged.forEach((what, signed) ->
                assertThat(connector.send(kehu, signed).code()).as(what).isEqualTo("connector.refused"));
        new TestConnector("/v1/connectors/" + Ids.next(), connector.secret())
                .deliver(kehu, payload)
                .is(401, "connector.refused");
        connector.send(kehu, connector.signed(now - 400, delivery, payload)).is(401, "connector.late");
        connector.send(kehu, connector.signed(now + 400, delivery, payload)).is(401, "connector.late");
        for (String bad : List.of("{}", "[1]", "[x", "[" + String.join(",", Collections.nCopies(101, "{}")) + "]")) {
            connector.deliver(kehu, bad).is(422, "connector.payloadInvalid");
        }
        assertThat(auditor.get(connector.path() + "/deliveries").is(200).at("/items"))
                .isEmpty();
        connector.send(kehu, good).is(201);
    }

    @Test
    void aDeliveryIsTakenOnceHoweverManyArriveAtOnce() {
        TestConnector connector = of("replayed");
        TestConnector.Signed signed = connector.signed(kehu, row("1", "周重放", ""));
        List<CompletableFuture<Answer>> sent = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            sent.add(CompletableFuture.supplyAsync(() -> connector.send(kehu, signed)));
        }
        List<Integer> answers =
                sent.stream().map(one -> one.join().status()).sorted().toList();
        assertThat(answers).containsExactly(201, 409, 409, 409, 409);
        connector.send(kehu, signed).is(409, "connector.replayed");
        assertThat(operator.post("/v1/customers/search", "{\"name\": \"周重放\"}")
                        .is(200)
                        .at("/items"))
                .hasSize(1);
    }

    @Test
    void aRenewedSecretLeavesTheFormerForADayAndNoOther() {
        TestConnector first = of("renewed");
        TestConnector second = renewed(first);
        first.deliver(kehu, row("1", "吴轮换", "")).is(201);
        second.deliver(kehu, row("1", "吴轮换", "")).is(201);
        TestConnector third = renewed(first);
        first.deliver(kehu, row("1", "吴轮换", "")).is(401, "connector.refused");
        second.deliver(kehu, row("1", "吴轮换", "")).is(201);
        third.deliver(kehu, row("1", "吴轮换", "")).is(201);
        Answer shown = operator.get(first.path()).is(200);
        assertThat(shown.text()).doesNotContain(third.secret()).doesNotContain("secret\"");
        byte[] sealed = kehu.value(
                "SELECT secret FROM customer.connector WHERE id = ?::uuid",
                first.path().substring("/v1/connectors/".length()));
        assertThat(new String(sealed, java.nio.charset.StandardCharsets.ISO_8859_1))
                .doesNotContain(third.secret());
    }

    private static TestConnector renewed(TestConnector connector) {
        return new TestConnector(
                connector.path(),
                operator.post(connector.path() + "/secret", "")
                        .is(200)
                        .at("/secret")
                        .asText());
    }

    @Test
    void aConnectorThatIsOffOrWhoseOwnerMayNoMoreDeliversNothing() {
        TestConnector connector = of("off");
        operator.patch(connector.path(), "\"1\"", "{\"enabled\": false}").is(200);
        connector.deliver(kehu, row("1", "郑停", "")).is(401, "connector.refused");
        UUID person = kehu.staff(north, "operator");
        TestConnector left = TestConnector.create(kehu.signIn(person), "left", "left");
        left.deliver(kehu, row("1", "郑走", "")).is(201);
        kehu.sql("UPDATE iam.staff SET roles = '{analyst}' WHERE id = ?", person);
        left.deliver(kehu, row("2", "郑走", "")).is(401, "connector.refused");
    }

    @Test
    void aMappingThatCannotBringUpToDateIsRefused() {
        String draft = TestConnector.draft("none", "none");
        operator.post("/v1/connectors", draft.replace("\"id\"", "\"#row\"")).is(422, "connector.mappingInvalid");
        operator.post("/v1/connectors", draft.replace("\"column\": \"phone\"", "\"default\": \"x\""))
                .is(400, "request.invalid");
        auditor.post("/v1/connectors", draft).is(403);
        operator.post("/v1/connectors", draft).is(201);
        operator.post("/v1/connectors", draft).is(409, "connector.nameTaken");
    }

    @Test
    void ofTwoSourcesTheOneThatTheSettingsPreferIsBelieved() {
        TestConnector core = of("core-banking");
        TestConnector crm = of("crm");
        core.deliver(kehu, row("77", "冯核心", ", \"job\": \"20000\"")).is(201);
        // The same person is known to both.
        String customer = operator.post("/v1/customers/search", "{\"name\": \"冯核心\"}")
                .is(200)
                .at("/items/0/id")
                .asText();
        Answer now = operator.get("/v1/customers/" + customer).is(200);
        operator.patch("/v1/customers/" + customer, now.etag(), """
                {"externalIds": [{"source": "core-banking", "id": "77"}, {"source": "crm", "id": "5"}]}""").is(200);
        Answer lower =
                crm.deliver(kehu, row("5", "冯错名", ", \"job\": \"40000\"")).is(201);
        assertThat(lower.at("/kept").asInt()).isEqualTo(1);
        assertThat(errors(crm)).containsExactly("1 name field.kept");
        Answer after = operator.get("/v1/customers/" + customer).is(200);
        assertThat(after.at("/name").asText()).isEqualTo("冯核心");
        assertThat(after.at("/occupation").asText()).isEqualTo("40000");
        Answer higher =
                core.deliver(kehu, row("77", "冯真名", ", \"job\": \"20000\"")).is(201);
        assertThat(higher.at("/kept").asInt()).isEqualTo(1);
        assertThat(operator.get("/v1/customers/" + customer).at("/name").asText())
                .isEqualTo("冯真名");
    }

    @Test
    void whoChangesAConnectorAnswersForWhatItSendsAndLendsNobodysRights() {
        UUID south = kehu.branch(kehu.headOffice(), "SOUTH");
        TestConnector connector = of("taken");
        Caller other = kehu.signIn(kehu.staff(south, "operator"));
        Answer changed = other.patch(connector.path(), "\"1\"", "{\"name\": \"taken over\"}")
                .is(200);
        assertThat(changed.at("/ownerId").asText()).isEqualTo(other.id.toString());
        connector.deliver(kehu, row("1", "陈南方", "")).is(201);
        String search = "{\"name\": \"陈南方\"}";
        assertThat(other.post("/v1/customers/search", search)
                        .is(200)
                        .at("/items/0/branchId")
                        .asText())
                .isEqualTo(south.toString());
        assertThat(operator.post("/v1/customers/search", search).is(200).at("/items"))
                .isEmpty();
        // The one from the north has it again by renewing: what is of the south he does not reach.
        TestConnector back = renewed(connector);
        Answer answer = back.deliver(kehu, row("1", "陈北方", "")).is(201);
        assertThat(answer.at("/refused").asInt()).isEqualTo(1);
        assertThat(errors(back)).containsExactly("1 id customer.externalIdTaken");
    }

    @Test
    void whatOnlyHoldsForWhoHasNoneIsNotSaidOfWhoHas() {
        String draft = TestConnector.draft("lines", "lines")
                .replace("\"column\": \"job\"", "\"column\": \"job\", \"default\": \"30000\"");
        Answer made = operator.post("/v1/connectors", draft).is(201);
        TestConnector lines =
                new TestConnector(made.header("Location"), made.at("/secret").asText());
        lines.deliver(kehu, row("1", "褚默认", ", \"job\": \"20000\"")).is(201);
        assertThat(lines.deliver(kehu, row("1", "褚默认", ""))
                        .is(201)
                        .at("/unchanged")
                        .asInt())
                .isEqualTo(1);
        lines.deliver(kehu, row("2", "褚默认", "")).is(201);
        assertThat(operator.post("/v1/customers/search", "{\"name\": \"褚默认\"}")
                        .is(200)
                        .at("/items"))
                .hasSize(2);
    }

    @Test
    void incomeIsMappedByWhoMayEnterIt() {
        String draft = TestConnector.draft("income", "income")
                .replace("\"field\": \"occupation\"", "\"field\": \"annualIncome\"");
        kehu.sql("INSERT INTO iam.role (code, name_en, name_zh, scope, permissions) VALUES"
                + " ('poor', 'p', 'p', 'BRANCH', '{connector:manage,connector:read,customer:import}')");
        Caller poor = kehu.signIn(kehu.staff(north, "poor"));
        poor.post("/v1/connectors", draft).is(403, "customer.fieldForbidden");
        String path = operator.post("/v1/connectors", draft).is(201).header("Location");
        poor.post(path + "/secret", "").is(403, "customer.fieldForbidden");
        poor.patch(path, "\"1\"", "{\"enabled\": false}").is(403, "customer.fieldForbidden");
    }

    @Test
    void aRowLikeSomebodyIsEnteredAndThePairWaitsForReviewSoonAfter() {
        Caller head = kehu.signIn(kehu.staff(north, "branch-head"));
        String known = operator.post("/v1/customers", """
                        {"kind": "person", "name": "蒋相似", "phones": [{"number": "13800000018"}]}""").is(201).at("/id").asText();
        TestConnector connector = of("likes-" + NEXT.incrementAndGet());
        assertThat(connector
                        .deliver(kehu, row("1", "蒋相似", ", \"phone\": \"13800000018\""))
                        .is(201)
                        .at("/created")
                        .asInt())
                .isEqualTo(1);
        await().atMost(Duration.ofSeconds(20))
                .pollInterval(Duration.ofMillis(50))
                .until(() -> head.get("/v1/duplicates?state=open&customerId=" + known)
                                .is(200)
                                .at("/items")
                                .size()
                        == 1);
    }

    @Test
    void aConnectorSaysWhetherRowsLikeSomebodyAreLeftOutOrReported() {
        operator.post("/v1/customers", """
                        {"kind": "person", "name": "沈相似", "phones": [{"number": "13800000019"}]}""").is(201);
        String draft =
                TestConnector.draft("skips", "skips").replace("\"mapping\"", "\"duplicates\": \"skip\", \"mapping\"");
        Answer made = operator.post("/v1/connectors", draft).is(201);
        TestConnector skips =
                new TestConnector(made.header("Location"), made.at("/secret").asText());
        String like = row("1", "沈相似", ", \"phone\": \"13800000019\"");
        // The second is more about the first, the third is like nobody but the fourth.
        String rows = "["
                + String.join(
                        ",",
                        inner(like),
                        inner(like),
                        inner(row("2", "沈独一", ", \"phone\": \"13800000020\"")),
                        inner(row("3", "沈独一", ", \"phone\": \"13800000020\"")))
                + "]";
        Answer skipped = skips.deliver(kehu, rows).is(201);
        assertThat(skipped.at("/refused").asInt()).as(skipped.text()).isEqualTo(3);
        assertThat(skipped.at("/created").asInt()).isEqualTo(1);
        assertThat(errors(skips))
                .containsExactlyInAnyOrder(
                        "1  customer.possibleDuplicate",
                        "2  customer.possibleDuplicate",
                        "4  customer.possibleDuplicate");
        assertThat(operator.patch(skips.path(), "\"1\"", "{\"duplicates\": \"report\"}")
                        .is(200)
                        .at("/duplicates")
                        .asText())
                .isEqualTo("report");
        Answer reported = skips.deliver(kehu, like).is(201);
        assertThat(reported.at("/created").asInt()).as(reported.text()).isEqualTo(1);
        assertThat(errors(skips)).contains("1  import.alike");
        // Whom it knows by now it brings up to date.
        assertThat(skips.deliver(kehu, like).is(201).at("/unchanged").asInt()).isEqualTo(1);
        operator.patch(skips.path(), "\"2\"", "{\"duplicates\": \"merge\"}").is(400, "request.invalid");
    }

    private static String inner(String row) {
        return row.substring(1, row.length() - 1);
    }

    @Test
    void whichSystemSaidWhatIsToldToWhomItIsAboutAndForgottenWithHim() {
        TestConnector connector = of("told");
        connector.deliver(kehu, row("1", "卫来源", ", \"phone\": \"13800000017\"")).is(201);
        String customer = operator.post("/v1/customers/search", "{\"name\": \"卫来源\"}")
                .is(200)
                .at("/items/0/id")
                .asText();
        Answer file = kehu.signIn(kehu.staff(north, "branch-head"))
                .get("/v1/customers/" + customer + "/personal-data", "Kehu-Purpose", "customer-request")
                .is(200);
        assertThat(file.at("/sections/sources").findValuesAsText("field")).containsExactlyInAnyOrder("name", "phones");
        assertThat(file.at("/sections/sources").findValuesAsText("source")).containsOnly("told");
        UUID id = UUID.fromString(customer);
        kehu.sql("SELECT customer.erase_field_sources(ARRAY[?::uuid])", id);
        assertThat(kehu.<Long>value("SELECT count(*) FROM customer.field_sources_all WHERE id = ?", id))
                .isZero();
    }
}
