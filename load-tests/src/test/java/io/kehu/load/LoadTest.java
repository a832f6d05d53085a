package io.kehu.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.kehu.load.Engine.Part;
import io.kehu.load.Engine.Plan;
import io.kehu.load.Engine.Result;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a stand-in server that speaks the few paths of the API that the load tests use. */
class LoadTest {
    private static final String CUSTOMER = "0198c5a4-0000-7000-8000-000000000001";

    @TempDir
    Path folder;

    private final Vertx vertx = Vertx.vertx();
    private final Map<String, AtomicLong> seen = new ConcurrentHashMap<>();
    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private URI url;

    @BeforeEach
    void start() throws Exception {
        HttpServer server = vertx.createHttpServer(new HttpServerOptions().setHost("127.0.0.1"))
                .requestHandler(request -> request.body().onSuccess(body -> answer(request, body.toString())));
        int port = server.listen(0)
                .toCompletionStage()
                .toCompletableFuture()
                .get(10, TimeUnit.SECONDS)
                .actualPort();
        url = URI.create("http://127.0.0.1:" + port);
    }

    @AfterEach
    void stop() throws Exception {
        vertx.close().toCompletionStage().toCompletableFuture().get(10, TimeUnit.SECONDS);
    }

    private void answer(HttpServerRequest request, String body) {
        String call = request.method() + " " + request.path();
        seen.computeIfAbsent(call, ignored -> new AtomicLong()).incrementAndGet();
        boolean signedIn = "Bearer token".equals(request.getHeader("Authorization"));
        switch (call) {
            case "POST /v1/auth/login" -> {
                JsonObject login = new JsonObject(body);
                boolean right = login.getString("password").equals("right");
                boolean made = login.getString("username").startsWith("timing.");
                if (made) {
                    seen.computeIfAbsent("made", ignored -> new AtomicLong()).incrementAndGet();
                }
                boolean timed = made || login.getString("username").startsWith("nobody.");
                request.response()
                        .setStatusCode(right ? 200 : timed ? 401 : 429)
                        .end(new JsonObject()
                                .put("accessToken", "token")
                                .put("staff", new JsonObject().put("branchId", "HQ"))
                                .encode());
            }
            case "GET /v1/customers" -> {
                JsonArray items = new JsonArray().add(new JsonObject().put("id", CUSTOMER));
                request.response()
                        .setStatusCode(signedIn ? 200 : 401)
                        .end(new JsonObject().put("items", items).encode());
            }
            case "POST /v1/customers/search" -> {
                // In two chunks, to be read as such.
                request.response().setChunked(true).setStatusCode(signedIn ? 200 : 401);
                request.response()
                        .write("{\"items\":[")
                        .onSuccess(written -> request.response().end("]}"));
            }
            case "POST /v1/staff" ->
                request.response().setStatusCode(signedIn ? 201 : 401).end(body);
            case "POST /v1/customers" -> request.response().setStatusCode(201).end(body);
            case "GET /v1/customers/" + CUSTOMER ->
                request.response().setStatusCode(signedIn ? 200 : 401).end("{\"id\":\"" + CUSTOMER + "\"}");
            case "GET /v1/customers/" + CUSTOMER + "/overview" ->
                request.response().setStatusCode(signedIn ? 200 : 401).end("{\"sections\":{}}");
            case "GET /closing" ->
                request.response().putHeader("Connection", "close").end("bye");
            case "GET /dropping" -> request.connection().close();
            case "GET /empty" -> request.response().setStatusCode(204).end();
            default -> request.response().setStatusCode(404).end();
        }
    }

    private int load(String... args) {
        return Load.commandLine(new PrintStream(printed, true, StandardCharsets.UTF_8))
                .execute(args);
    }

    private String prepared() {
        return folder.resolve("prepared.json").toString();
    }

    private void prepare() {
        assertThat(load("prepare", "--url=" + url, "--user=demo:right", "--tokens=1", "--prepared=" + prepared()))
                .isZero();
    }

    private Result run(String path, int connections, double perSecond) throws Exception {
        byte[] request = ("GET " + path + " HTTP/1.1\r\nHost: " + url.getHost() + "\r\n\r\n").getBytes();
        Plan plan = new Plan(
                url, Load.HOME, connections, Duration.ZERO, perSecond, Duration.ofMillis(100), Duration.ofMillis(500));
        return new Engine(plan, List.of(new Part("only", 1, () -> request)), () -> {}).call();
    }

    @Test
    void prepareWritesAFileThatOnlyItsOwnerCanRead() throws Exception {
        prepare();
        Path file = Path.of(prepared());
        JsonObject content = new JsonObject(Files.readString(file));
        assertThat(content.getJsonArray("tokens")).containsExactly("token");
        assertThat(content.getJsonArray("customers")).containsExactly(CUSTOMER);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
    }

    @Test
    void theMixIsSentInItsSharesAndNothingFails() {
        prepare();
        long own = ProcessHandle.current().pid();
        int exit = load(
                "run-b",
                "--url=" + url,
                "--prepared=" + prepared(),
                "--connections=10",
                "--warm-up=1",
                "--seconds=1",
                "--server-pid=" + own);
        assertThat(exit).isZero();
        double reads = seen.get("GET /v1/customers/" + CUSTOMER).get();
        assertThat(seen.get("POST /v1/customers/search").get() / reads).isBetween(0.34, 0.38);
        assertThat(seen.get("POST /v1/customers").get() / reads).isBetween(0.06, 0.08);
        JsonObject line = jsonLines().get(0);
        assertThat(line.getLong("errors")).isZero();
        assertThat(line.getJsonObject("statuses").fieldNames()).containsExactly("200", "201");
        assertThat(line.getLong("serverCpuMicros")).isPositive();
    }

    private List<JsonObject> jsonLines() {
        return printed.toString(StandardCharsets.UTF_8)
                .lines()
                .filter(line -> line.startsWith("{"))
                .map(JsonObject::new)
                .toList();
    }

    @Test
    void usersWhoThinkSendNoMoreThanTheyCan() {
        prepare();
        assertThat(load(
                        "run-a",
                        "--url=" + url,
                        "--prepared=" + prepared(),
                        "--users=20",
                        "--think-millis=200",
                        "--warm-up=0",
                        "--seconds=2"))
                .isZero();
        assertThat(jsonLines().get(0).getLong("answers")).isBetween(20L, 200L);
    }

    @Test
    void signInsAreSentAtTheirRateAndTooManyIsNoError() {
        prepare();
        assertThat(load(
                        "run-c",
                        "--url=" + url,
                        "--prepared=" + prepared(),
                        "--users=5",
                        "--think-millis=100",
                        "--warm-up=0",
                        "--seconds=2",
                        "--sign-ins-per-second=20",
                        "--username=demo,other",
                        "--password=wrong"))
                .isZero();
        JsonObject signIns = jsonLines().get(2);
        assertThat(signIns.getJsonObject("statuses").fieldNames()).containsExactly("429");
        assertThat(signIns.getLong("answers")).isBetween(20L, 41L);
    }

    @Test
    void costComparesTheMediansOfAlternatingRuns() {
        prepare();
        long own = ProcessHandle.current().pid();
        assertThat(load(
                        "cost",
                        "--url=" + url,
                        "--bare-url=" + url,
                        "--prepared=" + prepared(),
                        "--server-pid=" + own,
                        "--bare-pid=" + own,
                        "--connections=4",
                        "--runs=3",
                        "--warm-up=0",
                        "--seconds=1"))
                .isZero();
        assertThat(jsonLines())
                .extracting(line -> line.getString("run"))
                .containsExactly("bare 1", "kehu 1", "bare 2", "kehu 2", "bare 3", "kehu 3");
        assertThat(printed.toString(StandardCharsets.UTF_8)).contains("medians: kehu ");
    }

    @Test
    void twoServersAreComparedInTurns() throws Exception {
        prepare();
        long own = ProcessHandle.current().pid();
        assertThat(load(
                        "compare",
                        "--url=" + url,
                        "--before-url=" + url,
                        "--prepared=" + prepared(),
                        "--before-prepared=" + prepared(),
                        "--server-pid=" + own,
                        "--before-pid=" + own,
                        "--connections=4",
                        "--runs=2",
                        "--warm-up=0",
                        "--seconds=1"))
                .isZero();
        assertThat(jsonLines())
                .extracting(line -> line.getString("run"))
                .containsExactly("before 1", "after 1", "before 2", "after 2");
        assertThat(printed.toString(StandardCharsets.UTF_8)).contains("medians: after ");
    }

    @Test
    void overviewsAreReadByUsersWhoThink() throws Exception {
        prepare();
        assertThat(load(
                        "overview",
                        "--url=" + url,
                        "--prepared=" + prepared(),
                        "--users=4",
                        "--think-millis=100",
                        "--warm-up=0",
                        "--seconds=1"))
                .isZero();
        assertThat(jsonLines()).extracting(line -> line.getString("run")).containsExactly("overview");
        assertThat(seen.get("GET /v1/customers/" + CUSTOMER + "/overview").get())
                .isBetween(4L, 60L);
    }

    @Test
    void aFloodOfForgedTokensIsSentBesideTheMixAndMustBeRefused() throws Exception {
        prepare();
        assertThat(load(
                        "flood",
                        "--url=" + url,
                        "--prepared=" + prepared(),
                        "--users=4",
                        "--think-millis=10",
                        "--forged-per-second=50",
                        "--warm-up=0",
                        "--seconds=1"))
                .isZero();
        assertThat(jsonLines())
                .extracting(line -> line.getString("run"))
                .containsExactly("without a flood", "beside a flood", "the flood");
        assertThat(jsonLines().get(2).getJsonObject("statuses").fieldNames()).containsExactly("401");
    }

    @Test
    void statusesLostRequestsAndClosedConnectionsAreCountedAsWhatTheyAre() throws Exception {
        Result missing = run("/nowhere", 2, 0);
        assertThat(missing.statuses()).containsOnlyKeys(404);
        assertThat(missing.answers()).isPositive();
        // Answers that come after the end are looked at for errors, but are no throughput.
        assertThat(missing.errors()).isBetween(missing.answers(), missing.answers() + 2);
        Result empty = run("/empty", 2, 0);
        assertThat(empty.statuses()).containsOnlyKeys(204);
        assertThat(empty.errors()).isZero();
        Result closing = run("/closing", 2, 0);
        assertThat(closing.statuses()).containsOnlyKeys(200);
        assertThat(closing.errors()).isZero();
        Result dropping = run("/dropping", 2, 0);
        assertThat(dropping.answers()).isZero();
        assertThat(dropping.lost().keySet()).isSubsetOf("closed", "reset").isNotEmpty();
    }

    @Test
    void timesOfRefusedSignInsAreComparedByRank() {
        assertThat(load("timing", "--url=" + url, "--user=demo:right", "--accounts=3", "--interval-millis=1"))
                .isZero();
        assertThat(seen.get("POST /v1/staff")).hasValue(3);
        assertThat(seen.get("made")).hasValue(30);
        assertThat(seen.get("POST /v1/auth/login")).hasValue(61);
        assertThat(printed.toString(StandardCharsets.UTF_8))
                .contains("3 accounts, 60 sign-ins", "3 of 3 accounts")
                .containsPattern("wrong \\| 15 \\|.*\\| [01]\\.\\d{3} \\|")
                .containsPattern("locked \\| 15 \\|.*\\| [01]\\.\\d{3} \\|");
    }

    @Test
    void timingEndsWhenItsTimeIsOverAndSaysSo() {
        assertThat(load("timing", "--url=" + url, "--user=demo:right", "--accounts=3", "--within-seconds=0"))
                .isEqualTo(1);
        assertThat(seen).doesNotContainKey("made");
        assertThat(printed.toString(StandardCharsets.UTF_8)).contains("The time is over after 0 of 3 accounts.");
    }

    /** The example of scipy.stats.mannwhitneyu, asymptotic. */
    @Test
    void theRankTestAgreesWithAPublishedExample() {
        MannWhitney test = MannWhitney.of(new long[] {19, 22, 16, 29, 24}, new long[] {20, 11, 17, 12});
        assertThat(test.larger()).isEqualTo(0.85);
        assertThat(test.p()).isCloseTo(0.11134688653314041, within(1e-6));
        MannWhitney alike = MannWhitney.of(new long[] {1, 2, 2, 3}, new long[] {2, 1, 3, 2});
        assertThat(alike.larger()).isEqualTo(0.5);
        assertThat(alike.p()).isCloseTo(1, within(1e-6));
    }

    @Test
    void onlyLoopbackIsLoaded() {
        Plan plan = new Plan(
                URI.create("http://192.0.2.1:80"), Load.HOME, 1, Duration.ZERO, 0, Duration.ZERO, Duration.ZERO);
        assertThatThrownBy(() -> new Engine(plan, List.of(new Part("p", 1, () -> new byte[0])), () -> {}))
                .hasMessageContaining("loopback only");
        assertThat(load("prepare", "--url=http://192.0.2.1", "--user=a:b")).isNotZero();
    }
}
