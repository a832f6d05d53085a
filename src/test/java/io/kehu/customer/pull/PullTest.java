package io.kehu.customer.pull;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.Obstacle;
import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.customer.connector.TestConnector;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sources are servers of the test's own: each path is one. */
class PullTest {
    private static final String TOKEN = "Bearer a-token-of-the-source";
    private static final AtomicInteger NEXT = new AtomicInteger();

    @TempDir
    static Path folder;

    private static final Map<String, Consumer<HttpServerRequest>> SOURCES = new ConcurrentHashMap<>();
    private static final Map<String, List<HttpServerRequest>> ASKED = new ConcurrentHashMap<>();

    private static Vertx vertx;
    private static HttpServer server;
    private static TestKehu kehu;
    private static UUID north;
    private static Caller operator;

    @BeforeAll
    static void start() {
        vertx = Vertx.vertx();
        TestCertificate certificate = TestCertificate.make(folder);
        server = TestKehu.await(vertx.createHttpServer(
                        new HttpServerOptions().setSsl(true).setKeyCertOptions(certificate.forVertx()))
                .requestHandler(request -> {
                    ASKED.computeIfAbsent(request.path(), p -> new CopyOnWriteArrayList<>())
                            .add(request);
                    SOURCES.getOrDefault(
                                    request.path(),
                                    r -> r.response().setStatusCode(404).end())
                            .accept(request);
                })
                .listen(0, "127.0.0.1"));
        Map<String, String> settings = new TreeMap<>(Map.of(
                "KEHU_OUTGOING_NETWORKS", "127.0.0.1/32",
                "KEHU_OUTGOING_PORTS", Integer.toString(server.actualPort()),
                "KEHU_OUTGOING_TRUST", certificate.pem(),
                "KEHU_OUTGOING_TIMEOUT_MILLIS", "1500",
                "KEHU_OUTGOING_MAX_BYTES", "100000",
                "KEHU_CONNECTORS_HOSTS", "127.0.0.1",
                "KEHU_CONNECTORS_POLL_MILLIS", "50",
                "KEHU_CONNECTORS_ATTEMPTS", "3",
                "KEHU_CONNECTORS_RETRY_MILLIS", "20",
                "KEHU_CONNECTORS_ROWS_PER_ANSWER", "500"));
        kehu = TestKehu.start(settings);
        north = kehu.branch(kehu.headOffice(), "NORTH");
        operator = kehu.signIn(kehu.staff(north, "operator"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
        TestKehu.await(vertx.close());
    }

    private static String url(String path) {
        return "https://127.0.0.1:" + server.actualPort() + path;
    }

    private static TestConnector connector(String name) {
        return TestConnector.create(operator, name + NEXT.incrementAndGet(), name + NEXT.incrementAndGet());
    }

    private static String draft(String path, String more) {
        return "{\"url\": \"%s\", \"format\": \"json\", \"intervalMinutes\": 60%s}".formatted(url(path), more);
    }

    private static final String SINCE = ", \"watermark\": {\"parameter\": \"since\", \"field\": \"at\"}";

    private static Answer put(TestConnector connector, String body) {
        return operator.send("PUT", connector.path() + "/pull", body).is(200);
    }

    private static Answer pull(TestConnector connector) {
        return operator.get(connector.path() + "/pull").is(200);
    }

    /** When the newest run has ended so. */
    private static Answer awaited(TestConnector connector, String state) {
        await().atMost(Duration.ofSeconds(20))
                .pollInterval(Duration.ofMillis(20))
                .until(() -> {
                    List<JsonNode> runs = runs(connector);
                    String outcome = state.equals("waiting") ? "done" : "failed";
                    return !runs.isEmpty()
                            && runs.get(0).get("outcome").asText().equals(outcome)
                            && pull(connector).at("/state").asText().equals(state);
                });
        return pull(connector);
    }

    private static List<JsonNode> runs(TestConnector connector) {
        List<JsonNode> runs = new ArrayList<>();
        operator.get(connector.path() + "/pull/runs").is(200).at("/items").forEach(runs::add);
        return runs;
    }

    private static void again(TestConnector connector) {
        int before = runs(connector).size();
        operator.post(connector.path() + "/pull/runs", "").is(202);
        await().atMost(Duration.ofSeconds(20))
                .pollInterval(Duration.ofMillis(20))
                .until(() -> runs(connector).size() > before
                        && !runs(connector).get(0).get("outcome").asText().equals("running"));
    }

    private static String row(int id, String name, int at) {
        return "{\"id\": \"%d\", \"name\": \"%s\", \"at\": %d}".formatted(id, name, at);
    }

    private static void answers(String path, String body) {
        SOURCES.put(path, request -> request.response().end(body));
    }

    private static int found(String name) {
        return operator.post("/v1/customers/search", "{\"name\": \"%s\"}".formatted(name))
                .is(200)
                .at("/items")
                .size();
    }

    private static long slow(TestConnector connector) {
        return runs(connector).stream()
                .filter(run -> run.get("errorCode").asText().equals("server.slow"))
                .count();
    }

    @Test
    void whatOurDatabaseCannotDoDoesNotCountAgainstTheSource() throws SQLException {
        answers("/unlucky", "[" + row(1, "不幸", 1) + "]");
        TestConnector connector = connector("unlucky");
        try (Obstacle held = new Obstacle(kehu, "LOCK TABLE customer.customer IN SHARE MODE")) {
            put(connector, draft("/unlucky", ""));
            do {
                held.cancel("");
            } while (slow(connector) <= 3); // more than a source may fail
        }
        awaited(connector, "waiting");
        assertThat(found("不幸")).isEqualTo(1);
    }

    @Test
    void aSourceIsAskedFromTheWatermarkOnUntilItBringsNothingNew() {
        SOURCES.put("/paged", request -> {
            int since = Integer.parseInt(request.getParam("since", "0"));
            List<String> rows = new ArrayList<>();
            for (int at = Math.max(1, since); at <= 250 && rows.size() < 120; at++) {
                rows.add(row(at, "分页", at));
            }
            request.response().end("[" + String.join(",", rows) + "]");
        });
        TestConnector connector = connector("paged");
        put(connector, draft("/paged", SINCE + ", \"authorization\": \"" + TOKEN + "\""));
        Answer done = awaited(connector, "waiting");
        assertThat(done.at("/reached").asText()).isEqualTo("250");
        JsonNode run = runs(connector).get(0);
        assertThat(run.get("outcome").asText()).as(run.toString()).isEqualTo("done");
        assertThat(run.get("created").asInt()).isEqualTo(250);
        assertThat(ASKED.get("/paged")).allMatch(request -> TOKEN.equals(request.getHeader("Authorization")));
        // The same again is harmless, and asks for no more than what is new.
        int asked = ASKED.get("/paged").size();
        again(connector);
        JsonNode second = runs(connector).get(0);
        assertThat(second.get("created").asInt() + second.get("changed").asInt())
                .isZero();
        assertThat(ASKED.get("/paged").get(asked).getParam("since")).isEqualTo("250");
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM customer.blind b JOIN customer.customer c ON c.seq = b.seq"
                                + " WHERE b.kind = 'external' AND c.branch_id = ?",
                        north))
                .isGreaterThanOrEqualTo(250);
    }

    @Test
    void whatSomebodyCorrectedByHandStaysWhenTheSourceIsAskedAgain() {
        answers("/corrected", "[" + row(1, "源名", 1) + "]");
        TestConnector connector = connector("corrected");
        put(connector, draft("/corrected", SINCE));
        awaited(connector, "waiting");
        String path = "/v1/customers/"
                + operator.post("/v1/customers/search", "{\"name\": \"源名\"}")
                        .is(200)
                        .at("/items/0/id")
                        .asText();
        operator.patch(path, "\"1\"", "{\"name\": \"改名\"}").is(200);
        answers("/corrected", "[" + row(1, "源名", 2) + "]");
        again(connector);
        JsonNode run = runs(connector).get(0);
        assertThat(run.get("kept").asInt())
                .as(run.toString())
                .isPositive()
                .isEqualTo(run.get("rows").asInt());
        assertThat(operator.get(path).is(200).at("/name").asText()).isEqualTo("改名");
    }

    @Test
    void theSecretOfASourceIsSealedAndNeverGoesToAnotherServer() {
        answers("/secret", "[]");
        TestConnector connector = connector("secret");
        Answer made = put(connector, draft("/secret", ", \"authorization\": \"" + TOKEN + "\""));
        awaited(connector, "waiting");
        assertThat(made.text()).doesNotContain("a-token");
        assertThat(pull(connector).at("/hasAuthorization").asBoolean()).isTrue();
        byte[] sealed = kehu.value(
                "SELECT secret FROM customer.pull WHERE id = ?::uuid",
                connector.path().substring("/v1/connectors/".length()));
        assertThat(new String(sealed, StandardCharsets.ISO_8859_1)).doesNotContain("a-token");
        assertThat(put(connector, draft("/elsewhere", ""))
                        .at("/hasAuthorization")
                        .asBoolean())
                .isTrue();
        String other = draft("/secret", "").replace(":" + server.actualPort(), ":1");
        assertThat(put(connector, other).at("/hasAuthorization").asBoolean()).isFalse();
        for (String bad : List.of("https://example.com/", "https://127.0.0.1@example.com/", "https://127.1/")) {
            operator.send("PUT", connector.path() + "/pull", draft("/", "").replace(url("/"), bad))
                    .is(422, "pull.urlForbidden");
        }
        operator.send("DELETE", connector.path() + "/pull", (String) null).is(204);
        operator.get(connector.path() + "/pull").is(404, "pull.notFound");
    }

    @Test
    void aSourceThatFailsIsAskedAgainThenNoMoreUntilSomebodySaysSo() {
        AtomicInteger asked = new AtomicInteger();
        SOURCES.put("/broken", request -> {
            asked.incrementAndGet();
            request.response().setStatusCode(503).end("a secret of the source");
        });
        TestConnector connector = connector("broken");
        put(connector, draft("/broken", SINCE));
        Answer stopped = awaited(connector, "stopped");
        assertThat(stopped.at("/errorCode").asText()).isEqualTo("pull.sourceFailed");
        assertThat(stopped.at("/errorArgs/0").asText()).isEqualTo("503");
        assertThat(asked).hasValue(3);
        assertThat(runs(connector))
                .hasSize(3)
                .allMatch(run -> run.get("outcome").asText().equals("failed"));
        assertThat(operator.get(connector.path() + "/pull/runs").text()).doesNotContain("secret of");
        answers("/broken", "[" + row(1, "终于", 5) + "]");
        again(connector);
        assertThat(awaited(connector, "waiting").at("/reached").asText()).isEqualTo("5");
        assertThat(found("终于")).isEqualTo(1);
    }

    @Test
    void aSlowAHugeARedirectingAndAGarbledAnswerAreFailuresWithAReason() {
        SOURCES.put("/slow", request -> {}); // says nothing at all
        answers("/huge", "[\"" + "x".repeat(200_000) + "\"]");
        SOURCES.put(
                "/redirect",
                request -> request.response()
                        .setStatusCode(302)
                        .putHeader("Location", url("/huge"))
                        .end());
        answers("/garbled", "[{\"id\": ");
        answers("/unmarked", "[{\"id\": \"1\", \"name\": \"无水位\"}]");
        Map<String, String> codes = Map.of(
                "/slow", "pull.unreachable",
                "/huge", "pull.unreachable",
                "/redirect", "pull.unreachable",
                "/garbled", "pull.answerInvalid",
                "/unmarked", "pull.watermarkInvalid");
        Map<String, TestConnector> connectors = new TreeMap<>();
        codes.forEach((path, code) -> {
            TestConnector connector = connector(path.substring(1));
            put(connector, draft(path, SINCE));
            connectors.put(path, connector);
        });
        connectors.forEach((path, connector) -> {
            Answer stopped = awaited(connector, "stopped");
            assertThat(stopped.at("/errorCode").asText()).as(path).isEqualTo(codes.get(path));
            assertThat(stopped.at("/reached").isNull()).isTrue();
        });
        assertThat(found("无水位")).isZero();
    }

    @Test
    void theWatermarkMovesOnlyWithTheRows() {
        TestConnector connector = connector("atomic");
        answers("/atomic", "[" + row(1, "原子", 7) + "]");
        // Whoever may no more enter customers brings nothing further.
        UUID person = kehu.staff(north, "operator");
        kehu.signIn(person)
                .send("PUT", connector.path() + "/pull", draft("/atomic", SINCE + ", \"enabled\": false"))
                .is(200);
        kehu.sql("UPDATE iam.staff SET roles = '{analyst}' WHERE id = ?", person);
        kehu.sql("UPDATE customer.pull SET enabled = true WHERE url LIKE '%/atomic'");
        assertThat(awaited(connector, "stopped").at("/errorCode").asText()).isEqualTo("connector.refused");
        assertThat(pull(connector).at("/reached").isNull()).isTrue();
        assertThat(found("原子")).isZero();
        put(connector, draft("/atomic", SINCE));
        assertThat(awaited(connector, "waiting").at("/reached").asText()).isEqualTo("7");
        assertThat(found("原子")).isEqualTo(1);
    }

    @Test
    void whatADeadNodeHeldIsBegunAnewByAnotherAndTheDeadOneEntersNothing() {
        TestConnector connector = connector("dead");
        answers("/dead", "[" + row(1, "接管", 3) + "]");
        String id = connector.path().substring("/v1/connectors/".length());
        put(connector, draft("/dead", SINCE + ", \"enabled\": false"));
        kehu.sql(
                "UPDATE customer.pull_state SET state = 'running', attempts = 1, lease_until = kehu.now() + interval '1 hour'"
                        + " WHERE connector_id = ?::uuid",
                id);
        kehu.sql("INSERT INTO customer.pull_run (id, connector_id, attempt) VALUES (uuidv7(), ?::uuid, 1)", id);
        kehu.sql("UPDATE customer.pull SET enabled = true WHERE id = ?::uuid", id);
        String dead = runs(connector).get(0).get("id").asText();
        kehu.sql("UPDATE customer.pull_state SET lease_until = kehu.now() WHERE connector_id = ?::uuid", id);
        awaited(connector, "waiting");
        assertThat(found("接管")).isEqualTo(1);
        assertThat(runs(connector)).hasSize(2);
        assertThat(runs(connector).get(1).get("id").asText()).isEqualTo(dead);
        assertThat(runs(connector).get(1).get("errorCode").asText()).isEqualTo("pull.interrupted");
    }

    @Test
    void csvIsTakenTooAndItsRefusedRowsAreToldWithoutTheirValues() {
        answers("/csv", "id,name,phone\n1,文件甲,13800000009\n2,文件乙,12x\n");
        TestConnector connector = connector("csv");
        put(connector, draft("/csv", "").replace("\"json\"", "\"csv\""));
        awaited(connector, "waiting");
        JsonNode run = runs(connector).get(0);
        assertThat(run.get("created").asInt()).as(run.toString()).isEqualTo(1);
        assertThat(run.get("refused").asInt()).isEqualTo(1);
        Answer errors = operator.get(connector.path() + "/errors").is(200);
        assertThat(errors.at("/items/0/row").asInt()).isEqualTo(2);
        assertThat(errors.text()).doesNotContain("12x");
    }
}
