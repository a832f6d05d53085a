package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.Obstacle;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.staff.DemoStaff;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SignInTest {
    private static final AtomicInteger ADDRESSES = new AtomicInteger();
    private static TestKehu kehu;
    private static Caller anonymous;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "60",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000"));
        anonymous = kehu.anonymous();
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @AfterEach
    void setTheClockRight() {
        kehu.moveClock(0);
    }

    /** Each test comes from an address of its own, so that no counter of one is seen by another. */
    private static String address() {
        int n = ADDRESSES.incrementAndGet();
        long run = ProcessHandle.current().pid() % 200;
        return "10." + run + "." + n / 250 + "." + (1 + n % 250);
    }

    private static Answer login(String username, String password, String address) {
        return anonymous.login(username, password, "X-Forwarded-For", address);
    }

    private static Answer login(String username) {
        return login(username, DemoStaff.PASSWORD, address()).is(200);
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.at("/accessToken").asText());
    }

    private static Answer refresh(Answer tokens) {
        return anonymous.post(
                "/v1/auth/refresh",
                Json.object()
                        .put("refreshToken", tokens.at("/refreshToken").asText())
                        .toString());
    }

    private static Answer change(UUID staff, String patch) {
        Caller administrator = kehu.caller("administrator");
        return administrator.patch(
                "/v1/staff/" + staff, administrator.get("/v1/staff/" + staff).etag(), patch);
    }

    /** A second is what safety.md 4 allows; a little more for a machine that is busy. */
    private static void becomes401(Caller caller, String path) {
        await().atMost(Duration.ofSeconds(5)).until(() -> caller.get(path).status() == 401);
    }

    // Signing in and out

    @Test
    void aMemberOfStaffSignsInAndIsToldWhoHeIs() {
        Answer tokens = login("manager1.sh-pd");
        assertThat(tokens.at("/expiresIn").asInt()).isEqualTo(300);
        assertThat(tokens.at("/mustChangePassword").asBoolean()).isFalse();
        Answer me = caller(tokens).get("/v1/auth/me").is(200);
        assertThat(me.at("/username").asText()).isEqualTo("manager1.sh-pd");
        assertThat(me.at("/branchCode").asText()).isEqualTo("SH-PD");
        assertThat(me.at("/scope").asText()).isEqualTo("own");
        assertThat(me.at("/phone").asText()).startsWith("+86139").doesNotContain("*");
        assertThat(me.at("/name")).isEqualTo(tokens.at("/staff/name"));
    }

    @Test
    void aWebPageGetsItsRefreshTokenInACookieThatScriptsCannotRead() {
        Answer tokens = anonymous
                .post("/v1/auth/login", """
                {"username": "auditor", "password": "%s", "cookie": true}""".formatted(DemoStaff.PASSWORD), "X-Forwarded-For", address())
                .is(200);
        assertThat(tokens.json().has("refreshToken")).isFalse();
        String cookie = tokens.header("Set-Cookie");
        assertThat(cookie)
                .startsWith("kehu_refresh=")
                .contains("Path=/v1/auth;", "HttpOnly", "Secure", "SameSite=Strict");
        String pair = cookie.substring(0, cookie.indexOf(';'));
        Answer next = anonymous
                .send("POST", "/v1/auth/refresh", (byte[]) null, "Cookie", "other=1; " + pair)
                .is(200);
        assertThat(next.json().has("refreshToken")).isFalse();
        assertThat(next.header("Set-Cookie")).startsWith("kehu_refresh=").isNotEqualTo(cookie);
        Answer out = caller(next).send("POST", "/v1/auth/logout", (byte[]) null).is(204);
        assertThat(out.header("Set-Cookie")).contains("kehu_refresh=;", "Max-Age=0");
    }

    @Test
    void signingOutAndAChangeOfRightsReachEveryNodeOfTheDatabase() {
        Answer leaving = login("operator.bj");
        Answer changed = login("operator.cd");
        String otherNode = "http://127.0.0.1:" + kehu.addNode(kehu.settings()).httpPort();
        assertThat(List.of(status(otherNode, leaving), status(otherNode, changed)))
                .containsOnly(200);
        caller(leaving).send("POST", "/v1/auth/logout", (byte[]) null).is(204);
        change(DemoStaff.id("operator.cd"), "{\"roles\": [\"analyst\"]}").is(200);
        for (Answer tokens : List.of(leaving, changed)) {
            becomes401(caller(tokens), "/v1/auth/me");
            await().atMost(Duration.ofSeconds(5)).until(() -> status(otherNode, tokens) == 401);
        }
        refresh(leaving).is(401, "auth.refreshInvalid");
        assertThat(status(otherNode, refresh(changed).is(200))).isEqualTo(200);
    }

    private static int status(String node, Answer tokens) {
        try {
            return java.net.http.HttpClient.newHttpClient()
                    .send(
                            java.net.http.HttpRequest.newBuilder(java.net.URI.create(node + "/v1/auth/me"))
                                    .header(
                                            "Authorization",
                                            "Bearer "
                                                    + tokens.at("/accessToken").asText())
                                    .build(),
                            java.net.http.HttpResponse.BodyHandlers.discarding())
                    .statusCode();
        } catch (java.io.IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    // Guessing

    private static Map<String, List<String>> headers(Answer answer) {
        Map<String, List<String>> headers =
                new TreeMap<>(answer.response().headers().map());
        headers.remove("kehu-request-id");
        return headers;
    }

    private static ObjectNode body(Answer answer) {
        ObjectNode body = answer.json();
        body.remove("requestId");
        return body;
    }

    @Test
    void unknownLockedSuspendedAndWrongAreOneAnswer() {
        UUID suspended = DemoStaff.id("manager2.cd-gx");
        change(suspended, "{\"state\": \"suspended\"}").is(200);
        String address = address();
        List<Answer> answers = new ArrayList<>();
        answers.add(login("nobody.at.all", "wrong-but-long-enough", address));
        for (int i = 0; i < 5; i++) {
            answers.add(login("manager2.cd-wh", "wrong-but-long-enough", address));
        }
        answers.add(login("manager2.cd-wh", DemoStaff.PASSWORD, address));
        answers.add(login("manager2.cd-gx", DemoStaff.PASSWORD, address));
        assertThat(answers).allSatisfy(answer -> {
            answer.is(401, "auth.failed");
            assertThat(body(answer)).isEqualTo(body(answers.get(0)));
            assertThat(headers(answer)).isEqualTo(headers(answers.get(0)));
        });
    }

    @Test
    void aLockEndsAfterItsTimeAndDoublesWithTheNextFailure() {
        String name = "manager2.cd-jj";
        for (int i = 0; i < 5; i++) {
            login(name, "wrong", address()).is(401);
        }
        login(name, DemoStaff.PASSWORD, address()).is(401, "auth.failed");
        kehu.moveClock(61);
        login(name, "wrong", address()).is(401);
        kehu.moveClock(61 + 61);
        login(name, DemoStaff.PASSWORD, address()).is(401);
        kehu.moveClock(61 + 121);
        login(name, DemoStaff.PASSWORD, address()).is(200);
        login(name, "wrong", address()).is(401);
        login(name, DemoStaff.PASSWORD, address()).is(200);
    }

    @Test
    void ofTwoHundredGuessesAtOnceFiveAreLookedAt() {
        ExecutorService pool = Executors.newFixedThreadPool(50);
        try {
            List<CompletableFuture<Answer>> guesses = IntStream.range(0, 200)
                    .mapToObj(i ->
                            CompletableFuture.supplyAsync(() -> login("manager1.gz-th", "guess-" + i, address()), pool))
                    .toList();
            assertThat(guesses)
                    .allSatisfy(guess -> assertThat(guess.join().status()).isIn(401, 429));
        } finally {
            pool.shutdown();
        }
        Map<String, Object> row = kehu.sql(
                        "SELECT failures, pending FROM iam.attempt WHERE kind = 'account' AND failures >= 5 ORDER BY last_at DESC LIMIT 1")
                .get(0);
        assertThat(row).containsEntry("failures", 5).containsEntry("pending", 0);
        login("manager1.gz-th", DemoStaff.PASSWORD, address()).is(401);
    }

    @Test
    void aRightPasswordThatTheDatabaseFailedIsNoFailure() throws SQLException {
        try (Obstacle held =
                new Obstacle(kehu, "SELECT FROM iam.staff WHERE username = 'manager2.sh-pd' FOR NO KEY UPDATE")) {
            for (int i = 0; i < 5; i++) {
                held.cancelled("SELECT", () -> login("manager2.sh-pd", DemoStaff.PASSWORD, address()))
                        .is(503, "server.slow");
            }
        }
        login("manager2.sh-pd");
    }

    @Test
    void anAddressMaySignInOnlySoOften() {
        String address = address();
        List<Integer> statuses = new ArrayList<>();
        for (int i = 0; i < 70; i++) {
            statuses.add(login("somebody." + i, "wrong", address).status());
        }
        assertThat(statuses).contains(429);
        assertThat(statuses.stream().filter(s -> s == 401).count()).isBetween(50L, 66L);
        login("finance", DemoStaff.PASSWORD, address()).is(200);
    }

    @Test
    void fiftyFailuresFromOneAddressLockItForEveryAccount() {
        String address = address();
        for (int i = 0; i < 50; i++) {
            login("somebody.else." + i, "wrong", address).is(401);
        }
        login("risk", DemoStaff.PASSWORD, address).is(401, "auth.failed");
        login("risk", DemoStaff.PASSWORD, address()).is(200);
    }

    @Test
    void aDryRunIsNoWayAroundTheCounters() {
        anonymous
                .post("/v1/auth/login", "{\"username\": \"admin\", \"password\": \"x\"}", "Dry-Run", "true")
                .is(400, "request.noDryRun");
    }

    @Test
    void successesAndFailuresAreAuditedAndWhatWasTypedIsNot() {
        login("marketing");
        login("marketing", "wrong-again", address()).is(401);
        login("my-secret-in-the-wrong-field", "wrong", address()).is(401);
        List<Map<String, Object>> rows = kehu.sql(
                "SELECT actor_name, code FROM kehu.audit WHERE kind = 'sign-in' AND actor_name IN ('marketing', 'unknown')");
        assertThat(rows)
                .anySatisfy(row ->
                        assertThat(row).containsEntry("actor_name", "marketing").containsEntry("code", null))
                .anySatisfy(row ->
                        assertThat(row).containsEntry("actor_name", "marketing").containsEntry("code", "auth.failed"))
                .anySatisfy(row ->
                        assertThat(row).containsEntry("actor_name", "unknown").containsEntry("code", "auth.failed"));
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit a WHERE a::text LIKE '%my-secret%'"))
                .isZero();
    }

    // Tokens

    @Test
    void aRefreshTokenThatComesAgainEndsItsSession() {
        Answer first = login("desk");
        Answer second = refresh(first).is(200);
        caller(second).get("/v1/auth/me").is(200);
        refresh(first).is(401, "auth.refreshInvalid");
        refresh(second).is(401, "auth.refreshInvalid");
        becomes401(caller(second), "/v1/auth/me");
        assertThat(kehu.<String>value("SELECT why_revoked FROM iam.session WHERE why_revoked = 'reuse' LIMIT 1"))
                .isEqualTo("reuse");
    }

    @Test
    void aSessionEndsWhenItIsIdleAndInAnyCaseAfterTwelveHours() {
        Answer idle = login("head.bj-cy");
        Answer used = login("head.bj-hd");
        kehu.moveClock(14 * 60);
        becomes401(caller(idle), "/v1/auth/me");
        used = refresh(used).is(200);
        kehu.moveClock(16 * 60);
        refresh(idle).is(401, "auth.refreshInvalid");
        for (int minute = 28; minute < 12 * 60; minute += 14) {
            kehu.moveClock(minute * 60);
            used = refresh(used).is(200);
        }
        kehu.moveClock(12 * 3600 + 5);
        refresh(used).is(401, "auth.refreshInvalid");
    }

    @Test
    void aChangeOfRightsEndsTheAccessTokenAndARefreshGivesANewOne() {
        Answer tokens = login("operator.gz");
        caller(tokens).get("/v1/staff").is(403, "auth.forbidden");
        change(DemoStaff.id("operator.gz"), "{\"roles\": [\"auditor\"]}").is(200);
        becomes401(caller(tokens), "/v1/auth/me");
        Answer next = refresh(tokens).is(200);
        caller(next).get("/v1/staff").is(200);
        change(DemoStaff.id("operator.gz"), "{\"state\": \"left\"}").is(200);
        becomes401(caller(next), "/v1/auth/me");
        refresh(next).is(401, "auth.refreshInvalid");
    }

    @Test
    void whoeverMustChangeThePasswordMayDoNothingElseFirst() {
        Answer made = kehu.caller("administrator")
                .post("/v1/staff", """
                {"username": "new.comer", "name": "阿依古丽·买买提", "phone": "+8613800138000", "branchId": "%s", "roles": ["auditor"]}""".formatted(DemoStaff.id("SH-PD")))
                .is(201);
        String initial = made.at("/initialPassword").asText();
        assertThat(made.at("/phone").asText()).isEqualTo("+86138****8000");
        Answer tokens = login("new.comer", initial, address()).is(200);
        assertThat(tokens.at("/mustChangePassword").asBoolean()).isTrue();
        caller(tokens).get("/v1/staff").is(403);
        String change = """
                {"currentPassword": "%s", "newPassword": "%s"}""";
        caller(tokens)
                .post("/v1/auth/password", change.formatted(initial, "short"))
                .is(400, "request.invalid");
        caller(tokens)
                .post("/v1/auth/password", change.formatted("wrong", "Quiet-Harbour-4711"))
                .is(422, "auth.passwordWrong");
        caller(tokens)
                .post("/v1/auth/password", change.formatted(initial, "Quiet-Harbour-4711"))
                .is(204);
        becomes401(caller(tokens), "/v1/auth/me");
        caller(refresh(tokens).is(200)).get("/v1/staff").is(200);
        login("new.comer", initial, address()).is(401);
        login("new.comer", "Quiet-Harbour-4711", address()).is(200);
    }

    // Staff

    @Test
    void nobodyChangesHisOwnRightsAndOneAdministratorStays() {
        Answer tokens = login("admin");
        String own = "/v1/staff/" + DemoStaff.id("admin");
        Caller admin = caller(tokens);
        admin.patch(own, admin.get(own).etag(), "{\"roles\": [\"administrator\", \"risk\"]}")
                .is(409, "staff.ownRights");
        admin.patch(own, admin.get(own).etag(), "{\"state\": \"left\"}").is(409, "staff.ownRights");
        admin.patch(own, "\"99\"", "{\"name\": \"新名\"}").is(412, "request.stale");
        admin.patch(own, admin.get(own).etag(), "{\"version\": 3}").is(400, "request.invalid");
        admin.patch(own, admin.get(own).etag(), "{\"name\": \"欧阳娜娜\"}").is(200);
    }

    @Test
    void whatDoesNotFitIsRefusedWithItsOwnCode() {
        Caller administrator = kehu.caller("administrator");
        String draft = """
                {"username": "%s", "name": "某人", "branchId": "%s", "roles": ["%s"]}""";
        administrator
                .post("/v1/staff", draft.formatted("admin", DemoStaff.id("HQ"), "risk"))
                .is(409, "staff.usernameTaken");
        administrator
                .post("/v1/staff", draft.formatted("x.y", UUID.randomUUID(), "risk"))
                .is(422, "staff.branchUnknown");
        administrator
                .post("/v1/staff", draft.formatted("x.y", DemoStaff.id("HQ"), "king"))
                .is(422, "staff.roleUnknown");
        administrator
                .post(
                        "/v1/staff",
                        draft.formatted("x.y", DemoStaff.id("HQ"), "risk")
                                .replace("}", ", \"password\": \"password\"}"))
                .is(400, "request.invalid");
    }

    @Test
    void namesAndPhonesAreNowhereInPlaintext() {
        String name = "独一无二之名";
        Caller administrator = kehu.caller("administrator");
        Answer made = administrator
                .post("/v1/staff", """
                {"username": "canary", "name": "%s", "phone": "+8613912345678", "branchId": "%s", "roles": ["risk"]}""".formatted(name, DemoStaff.id("HQ")), "Idempotency-Key", "canary-1")
                .is(201);
        assertThat(administrator.get(made.header("Location")).at("/name").asText())
                .isEqualTo(name);
        for (String table : List.of("iam.staff", "kehu.audit", "kehu.event", "kehu.idempotency")) {
            assertThat(kehu.<Long>value("SELECT count(*) FROM " + table + " t WHERE t::text LIKE '%" + name
                            + "%' OR t::text LIKE '%13912345678%' OR t::text LIKE '%"
                            + made.at("/initialPassword").asText() + "%'"))
                    .as(table)
                    .isZero();
        }
    }
}
