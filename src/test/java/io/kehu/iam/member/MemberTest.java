package io.kehu.iam.member;

import static io.kehu.iam.member.TestMembers.PASSWORD;
import static io.kehu.iam.member.TestMembers.confirmation;
import static io.kehu.iam.member.TestMembers.registration;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.member.TestMembers.Person;
import io.kehu.iam.staff.DemoStaff;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class MemberTest {
    private static final AtomicInteger ADDRESSES = new AtomicInteger();
    /** What demo mode shows in the log: codes by their registration. */
    private static final Map<String, String> CODES = new ConcurrentHashMap<>();

    private static final AppenderBase<ILoggingEvent> READER = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            Map<String, String> pairs = new TreeMap<>();
            event.getKeyValuePairs().forEach(pair -> pairs.put(pair.key, String.valueOf(pair.value)));
            CODES.put(pairs.get("id"), pairs.get("code"));
        }
    };

    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32"));
        READER.start();
        logger().setLevel(Level.INFO);
        logger().setAdditive(false);
        logger().addAppender(READER);
    }

    @AfterAll
    static void stop() {
        logger().detachAppender(READER);
        kehu.close();
    }

    @AfterEach
    void setTheClockRight() {
        kehu.moveClock(0);
    }

    private static Logger logger() {
        return (Logger) LoggerFactory.getLogger("io.kehu.outgoing.CodeChannel");
    }

    /** Each step comes from an address of its own, so that no counter of one test is seen by another. */
    private static String[] fromElsewhere() {
        int n = ADDRESSES.incrementAndGet();
        return new String[] {"X-Forwarded-For", "10.77." + n / 250 + "." + (1 + n % 250)};
    }

    private static Answer register(String claim) {
        return kehu.anonymous().post("/v1/members/register", claim, fromElsewhere());
    }

    private static Answer confirm(String confirmation) {
        return kehu.anonymous().post("/v1/members/confirm", confirmation, fromElsewhere());
    }

    private static Answer login(String username, String password) {
        return TestMembers.login(kehu, username, password, fromElsewhere());
    }

    private static Answer refresh(Answer tokens) {
        return kehu.anonymous()
                .post(
                        "/v1/members/refresh",
                        Json.object()
                                .put("refreshToken", tokens.at("/refreshToken").asText())
                                .toString(),
                        fromElsewhere());
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.is(200).at("/accessToken").asText());
    }

    /** A second is what safety.md 4 allows; a little more for a machine that is busy. */
    private static void becomes401(Caller caller) {
        await().atMost(Duration.ofSeconds(5))
                .until(() -> caller.get("/v1/members/me").status() == 401);
    }

    @Test
    void aCustomerProvesWhoHeIsChoosesAPasswordAndSeesHisOwnRecordMasked() {
        Person person = TestMembers.aPerson(kehu);
        String id = register(person.claim()).is(202).at("/registrationId").asText();
        await().atMost(Duration.ofSeconds(5)).until(() -> CODES.containsKey(id));
        confirm(confirmation(UUID.fromString(id), CODES.get(id), "Zhang.San")).is(204);
        Answer tokens = login("zhang.san", PASSWORD).is(200);
        Answer me = caller(tokens).get("/v1/members/me").is(200);
        assertThat(me.at("/id").asText()).isEqualTo(person.customer().toString());
        assertThat(me.at("/name").asText()).isEqualTo(person.name());
        assertThat(me.text())
                .doesNotContain(person.idNumber(), person.phone(), "lifecycle", "tier", "branchId", "managerId");
        assertThat(me.at("/documents/0/number").asText())
                .startsWith("110")
                .endsWith(person.idNumber().substring(14));
    }

    @Test
    void whoIsNotACustomerGetsTheSameAnswerAndNoCode() {
        Person person = TestMembers.aPerson(kehu);
        Person other = TestMembers.aPerson(kehu);
        List<String> wrong = List.of(
                Person.claim("别的名字", person.idNumber(), person.phone()),
                Person.claim(person.name(), TestMembers.anIdNumber(), person.phone()),
                Person.claim(person.name(), person.idNumber(), "13900000000"),
                Person.claim(person.name(), person.idNumber(), other.phone()));
        Answer right = register(person.claim()).is(202);
        for (String claim : wrong) {
            Answer answer = register(claim).is(202);
            assertThat(answer.json().fieldNames())
                    .toIterable()
                    .containsExactlyElementsOf(() -> right.json().fieldNames());
            assertThat(headers(answer)).isEqualTo(headers(right));
            String id = answer.at("/registrationId").asText();
            assertThat(kehu.<Object>value("SELECT customer_id FROM iam.registration WHERE id = ?", UUID.fromString(id)))
                    .isNull();
            assertThat(CODES).doesNotContainKey(id);
            confirm(confirmation(UUID.fromString(id), "000000", "nobody.at.all"))
                    .is(422, "member.codeInvalid");
        }
        await().atMost(Duration.ofSeconds(5))
                .until(() -> CODES.containsKey(right.at("/registrationId").asText()));
    }

    private static Map<String, List<String>> headers(Answer answer) {
        Map<String, List<String>> headers =
                new TreeMap<>(answer.response().headers().map());
        headers.remove("kehu-request-id");
        headers.remove("kehu-receipt");
        return headers;
    }

    @Test
    void whatCannotBeANumberIsRefusedWithItsPlace() {
        assertThat(register(Person.claim("某人", "110101199003070000", "12"))
                        .is(400, "request.invalid")
                        .at("/errors")
                        .findValuesAsText("pointer"))
                .containsExactlyInAnyOrder("/idNumber", "/phone");
    }

    @Test
    void nobodyIsFloodedWithCodes() {
        Person person = TestMembers.aPerson(kehu);
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            ids.add(register(person.claim()).is(202).at("/registrationId").asText());
        }
        await().atMost(Duration.ofSeconds(5)).until(() -> CODES.containsKey(ids.get(2)));
        assertThat(ids.stream().filter(CODES::containsKey)).containsExactlyElementsOf(ids.subList(0, 3));
        kehu.moveClock(3_601);
        String later = register(person.claim()).is(202).at("/registrationId").asText();
        await().atMost(Duration.ofSeconds(5)).until(() -> CODES.containsKey(later));
    }

    @Test
    void fiveWrongCodesEndARegistrationAndACodeWorksOnceAndNotForEver() {
        UUID customer = TestMembers.aPerson(kehu).customer();
        UUID guessed = registration(kehu, customer, "111111");
        for (int i = 0; i < 5; i++) {
            confirm(confirmation(guessed, "22222" + i, "guesser.one")).is(422, "member.codeInvalid");
        }
        confirm(confirmation(guessed, "111111", "guesser.one")).is(422, "member.codeInvalid");
        UUID late = registration(kehu, customer, "333333");
        kehu.moveClock(601);
        confirm(confirmation(late, "333333", "guesser.two")).is(422, "member.codeInvalid");
        kehu.moveClock(0);
        UUID good = registration(kehu, customer, "444444");
        confirm(confirmation(good, "444444", "guesser.two")).is(204);
        confirm(confirmation(good, "444444", "guesser.two")).is(422, "member.codeInvalid");
        assertThat(kehu.sql("SELECT id FROM iam.member WHERE id = ?", customer)).hasSize(1);
    }

    @Test
    void aTakenNameAndAWeakPasswordLeaveTheCodeWorthSomething() {
        String taken = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        UUID registration = registration(kehu, TestMembers.aPerson(kehu).customer(), "555555");
        confirm(confirmation(registration, "555555", taken.toUpperCase(java.util.Locale.ROOT)))
                .is(409, "member.usernameTaken");
        ObjectNode weak = Json.read(confirmation(registration, "555555", "free.name"));
        assertThat(confirm(weak.put("password", "12345678").toString())
                        .is(400, "request.invalid")
                        .at("/errors/0/pointer")
                        .asText())
                .isEqualTo("/password");
        confirm(confirmation(registration, "555555", "free.name")).is(204);
    }

    @Test
    void registeringAgainReplacesNameAndPasswordAndEndsEverySession() {
        UUID customer = TestMembers.aPerson(kehu).customer();
        String first = TestMembers.account(kehu, customer);
        Answer tokens = login(first, PASSWORD).is(200);
        Caller before = caller(tokens);
        before.get("/v1/members/me").is(200);
        String second = TestMembers.account(kehu, customer);
        becomes401(before);
        refresh(tokens).is(401, "auth.refreshInvalid");
        login(first, PASSWORD).is(401, "auth.failed");
        caller(login(second, PASSWORD)).get("/v1/members/me").is(200);
    }

    @Test
    void unknownLockedClosedAndWrongAreOneAnswer() {
        String wrong = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        UUID closedCustomer = TestMembers.aPerson(kehu).customer();
        String closed = TestMembers.account(kehu, closedCustomer);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", closedCustomer);
        String[] address = fromElsewhere();
        List<Answer> answers = new ArrayList<>();
        answers.add(TestMembers.login(kehu, "nobody.at.all", "wrong-but-long-enough", address));
        for (int i = 0; i < 5; i++) {
            answers.add(TestMembers.login(kehu, wrong, "wrong-but-long-enough", address));
        }
        answers.add(TestMembers.login(kehu, wrong, PASSWORD, address));
        answers.add(TestMembers.login(kehu, closed, PASSWORD, address));
        assertThat(answers).allSatisfy(answer -> {
            answer.is(401, "auth.failed");
            assertThat(headers(answer)).isEqualTo(headers(answers.get(0)));
        });
        kehu.moveClock(61);
        login(wrong, PASSWORD).is(200);
    }

    @Test
    void failuresOfCustomersDoNotLockStaffOfTheSameName() {
        for (int i = 0; i < 5; i++) {
            login("operator.gz", "wrong-but-long-enough").is(401);
        }
        kehu.anonymous()
                .login("operator.gz", DemoStaff.PASSWORD, fromElsewhere())
                .is(200);
    }

    @Test
    void aClosedCustomerIsOutWithinASecondAndInAgainWhenReopened() {
        UUID customer = TestMembers.aPerson(kehu).customer();
        String username = TestMembers.account(kehu, customer);
        Answer tokens = login(username, PASSWORD).is(200);
        Caller caller = caller(tokens);
        caller.get("/v1/members/me").is(200);
        kehu.sql("UPDATE customer.customer SET deleted_at = kehu.now() WHERE id = ?", customer);
        becomes401(caller);
        refresh(tokens).is(401, "auth.refreshInvalid");
        registerLeadsNowhere(customer);
        kehu.sql("UPDATE customer.customer SET deleted_at = NULL WHERE id = ?", customer);
        await().atMost(Duration.ofSeconds(5))
                .until(() -> caller.get("/v1/members/me").status() == 200);
    }

    private static void registerLeadsNowhere(UUID customer) {
        confirm(confirmation(registration(kehu, customer, "666666"), "666666", "closed.one"))
                .is(422, "member.codeInvalid");
    }

    @Test
    void aRefreshTokenWorksOnceForItsAudienceAndSigningOutEndsAll() {
        String username = TestMembers.account(kehu, TestMembers.aPerson(kehu).customer());
        Answer first = login(username, PASSWORD).is(200);
        kehu.anonymous()
                .post(
                        "/v1/auth/refresh",
                        Json.object()
                                .put("refreshToken", first.at("/refreshToken").asText())
                                .toString())
                .is(401, "auth.refreshInvalid");
        Answer second = refresh(first).is(200);
        caller(second).get("/v1/members/me").is(200);
        refresh(first).is(401, "auth.refreshInvalid");
        refresh(second).is(401, "auth.refreshInvalid");
        becomes401(caller(second));
        Answer staff = kehu.anonymous()
                .login("operator.bj", DemoStaff.PASSWORD, fromElsewhere())
                .is(200);
        refresh(staff).is(401, "auth.refreshInvalid");
        Caller leaving = caller(login(username, PASSWORD));
        leaving.send("POST", "/v1/members/logout", (byte[]) null).is(204);
        becomes401(leaving);
    }

    @Test
    void nothingOfAPersonIsKeptOrAuditedInPlainWords() {
        Person person = TestMembers.aPerson(kehu);
        register(person.claim()).is(202);
        String username = TestMembers.account(kehu, person.customer());
        login(username, PASSWORD).is(200);
        String rows = kehu.sql("SELECT a::text AS row FROM kehu.audit a").toString()
                + kehu.sql("SELECT m::text AS row FROM iam.member m")
                + kehu.sql("SELECT r::text AS row FROM iam.registration r")
                + kehu.sql("SELECT a::text AS row FROM iam.attempt a");
        assertThat(rows).doesNotContain(username, person.idNumber(), person.phone(), person.name(), PASSWORD);
        assertThat(kehu.<Long>value(
                        "SELECT count(DISTINCT operation) FROM kehu.audit WHERE actor = ?", person.customer()))
                .isEqualTo(3);
    }
}
