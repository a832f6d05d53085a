package io.kehu.iam.federation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestCertificate;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.app.Migrations;
import io.kehu.bus.Json;
import io.kehu.iam.factor.TestFactors;
import io.kehu.iam.staff.DemoStaff;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.jdbc.PgConnection;

class LdapTest {
    private static final String PASSWORD = "directory-password";
    private static final String OPERATORS = "cn=Operators,ou=groups,dc=bank,dc=example";
    private static final String SHANGHAI = "cn=Shanghai,ou=groups,dc=bank,dc=example";
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    @TempDir
    static Path folder;

    private static TestDirectory directory;
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        directory = TestDirectory.start(TestCertificate.make(folder));
        Map<String, String> settings = directory.settings();
        settings.put("KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32");
        kehu = TestKehu.start(settings);
        Caller administrator = kehu.caller("administrator");
        administrator
                .send(
                        "PUT",
                        "/v1/group-mappings",
                        """
                        {"items": [{"source": "ldap", "group": "%s", "roles": ["operator"]},
                                   {"source": "ldap", "group": "%s", "roles": [], "branchId": "%s"}]}""".formatted(OPERATORS, SHANGHAI, DemoStaff.id("SH")),
                        "If-Match",
                        administrator.get("/v1/group-mappings").etag())
                .is(200);
    }

    @AfterAll
    static void stop() {
        kehu.close();
        directory.close();
    }

    private static String[] fromElsewhere() {
        int n = NUMBERS.incrementAndGet();
        return new String[] {"X-Forwarded-For", "10.88." + n / 250 + "." + (1 + n % 250)};
    }

    private static Answer login(String username, String password, String... headers) {
        return kehu.anonymous()
                .post(
                        "/v1/auth/ldap/login",
                        Json.object()
                                .put("username", username)
                                .put("password", password)
                                .toString(),
                        headers);
    }

    private static Answer login(String username, String password) {
        return login(username, password, fromElsewhere());
    }

    /** Sign-ins by password lock a member of staff first and the counter of all last; the other way round both would wait. */
    @Test
    void aSignInThatWaitsForAMemberOfStaffHoldsNoCounter() throws Exception {
        directory.add("wait.er", PASSWORD, OPERATORS, SHANGHAI);
        UUID staff = UUID.fromString(
                login("wait.er", PASSWORD).is(200).at("/staff/id").asText());
        try (Connection other = Migrations.connect(kehu.settings().postgresql().ownerUri(), 5_000)) {
            other.setAutoCommit(false);
            try (Statement run = other.createStatement()) {
                run.execute("SET LOCAL lock_timeout = '1s'");
                run.execute("SELECT FROM iam.staff WHERE id = '" + staff + "' FOR UPDATE");
                int holder = other.unwrap(PgConnection.class).getBackendPID();
                CompletableFuture<Answer> waiting = CompletableFuture.supplyAsync(() -> login("wait.er", PASSWORD));
                await().until(() -> kehu.<Boolean>value(
                        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE ? = ANY (pg_blocking_pids(pid)))", holder));
                run.execute("UPDATE iam.attempt SET pending = pending WHERE kind = 'all'");
                assertThat(run.getUpdateCount()).isEqualTo(1);
                other.commit();
                waiting.join().is(200);
            }
        }
    }

    @Test
    void somebodyOfTheDirectoryComesInWithItsPasswordAndHisGroups() {
        directory.add("wang.wu", PASSWORD, OPERATORS, SHANGHAI.toLowerCase(java.util.Locale.ROOT));
        Answer tokens = login("Wang.Wu", PASSWORD).is(200);
        Caller caller = kehu.with(tokens.at("/accessToken").asText());
        Answer me = caller.get("/v1/auth/me").is(200);
        assertThat(me.at("/username").asText()).isEqualTo("wang.wu");
        assertThat(me.at("/name").asText()).isEqualTo("目录用户");
        assertThat(me.at("/branchCode").asText()).isEqualTo("SH");
        assertThat(login("wang.wu", PASSWORD).is(200).at("/staff/id")).isEqualTo(tokens.at("/staff/id"));
        directory.groups("wang.wu", SHANGHAI);
        login("wang.wu", PASSWORD).is(403, "auth.groupsUnmapped");
        await().atMost(Duration.ofSeconds(5))
                .until(() -> caller.get("/v1/auth/me").status() == 401);
    }

    @Test
    void unknownLockedAndWrongAreOneAnswer() {
        directory.add("li.si", PASSWORD, OPERATORS, SHANGHAI);
        String[] address = fromElsewhere();
        List<Answer> answers = new ArrayList<>();
        answers.add(login("nobody.there", "wrong", address));
        for (int i = 0; i < 5; i++) {
            answers.add(login("li.si", "wrong", address));
        }
        answers.add(login("li.si", PASSWORD, address));
        assertThat(answers).allSatisfy(answer -> {
            answer.is(401, "auth.failed");
            assertThat(headers(answer)).isEqualTo(headers(answers.get(0)));
        });
    }

    private static Map<String, List<String>> headers(Answer answer) {
        Map<String, List<String>> headers =
                new TreeMap<>(answer.response().headers().map());
        headers.remove("kehu-request-id");
        return headers;
    }

    @Test
    void aFilterIsAskedForExactlyTheNameThatWasTyped() {
        directory.add("zhao.liu", PASSWORD, OPERATORS, SHANGHAI);
        for (String name :
                List.of("zhao*", "*", "zhao.liu)(uid=*", "zhao.liu)(|(uid=*", "\\7ahao.liu", "zhao.liu,ou=x")) {
            login(name, PASSWORD).is(401, "auth.failed");
        }
        login("zhao.liu", PASSWORD).is(200);
    }

    @Test
    void anEmptyPasswordIsNoPassword() {
        directory.add("sun.qi", PASSWORD, OPERATORS, SHANGHAI);
        login("sun.qi", "").is(400, "request.invalid");
        login("sun.qi", " ").is(401, "auth.failed");
    }

    @Test
    void aNameThatIsTakenHereIsNotTakenOver() {
        directory.add("admin", PASSWORD, OPERATORS, SHANGHAI);
        login("admin", PASSWORD).is(409, "staff.usernameTaken");
        // And the directory's password opens nothing that is ours.
        kehu.anonymous().login("admin", PASSWORD, fromElsewhere()).is(401, "auth.failed");
    }

    @Test
    void failuresAtTheDirectoryDoNotLockAccountsOfOurOwn() {
        for (int i = 0; i < 6; i++) {
            login("operator.cd", "wrong").is(401);
        }
        kehu.anonymous()
                .login("operator.cd", DemoStaff.PASSWORD, fromElsewhere())
                .is(200);
    }

    @Test
    void aDirectoryThatIsAwayIsSaidSoAndCountsAgainstNobody(@TempDir Path other) {
        TestDirectory gone = TestDirectory.start(TestCertificate.make(other));
        Map<String, String> settings = gone.settings();
        settings.put("KEHU_LDAP_TIMEOUT_MILLIS", "1000");
        gone.stop();
        try (TestKehu alone = TestKehu.start(settings)) {
            for (int i = 0; i < 7; i++) {
                alone.anonymous()
                        .post("/v1/auth/ldap/login", "{\"username\": \"a\", \"password\": \"b\"}")
                        .is(503, "auth.providerUnavailable");
            }
            assertThat(alone.<Long>value("SELECT sum(failures) + sum(pending) FROM iam.attempt"))
                    .isZero();
        }
    }

    @Test
    void nothingIsSaidToADirectoryWhoseCertificateNobodyTrusts(@TempDir Path other) {
        Map<String, String> settings = directory.settings();
        settings.put("KEHU_OUTGOING_TRUST", TestCertificate.make(other).pem());
        try (TestKehu strict = TestKehu.start(settings)) {
            strict.anonymous()
                    .post("/v1/auth/ldap/login", "{\"username\": \"wang.wu\", \"password\": \"" + PASSWORD + "\"}")
                    .is(503, "auth.providerUnavailable");
        }
    }

    @Test
    void whoHasASecondFactorIsAskedForItAndWrongCodesAreNotForgottenByARightPassword() {
        directory.add("two.steps", PASSWORD, OPERATORS, SHANGHAI);
        UUID id = UUID.fromString(
                login("two.steps", PASSWORD).is(200).at("/staff/id").asText());
        TestFactors.sms(kehu, id);
        String code = TestFactors.recoveryCode(kehu, id);
        for (int i = 0; i < 5; i++) {
            second(login("two.steps", PASSWORD), "00000-0000" + i).is(401, "auth.factorFailed");
        }
        second(login("two.steps", PASSWORD), code).is(401, "auth.factorFailed");
        kehu.sql("DELETE FROM iam.attempt WHERE kind = 'account'");
        Answer tokens = second(login("two.steps", PASSWORD), code).is(200);
        assertThat(tokens.at("/staff/id").asText()).isEqualTo(id.toString());
    }

    private static Answer second(Answer asked, String code) {
        String challenge = asked.is(401, "auth.factorRequired").at("/challenge").asText();
        return kehu.anonymous()
                .post("/v1/auth/factor", TestFactors.secondStep(challenge, "recovery", code), fromElsewhere());
    }
}
