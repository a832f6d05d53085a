package io.kehu.iam.factor;

import static io.kehu.iam.factor.TestFactors.aPerson;
import static io.kehu.iam.factor.TestFactors.code;
import static io.kehu.iam.factor.TestFactors.enrol;
import static io.kehu.iam.factor.TestFactors.secondStep;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.factor.TestFactors.Person;
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

class FactorTest {
    private static final AtomicInteger ADDRESSES = new AtomicInteger();
    private static final int AT_ONCE = 32;
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @AfterEach
    void setTheClockRight() {
        kehu.moveClock(0);
    }

    /** Each step comes from an address of its own, so that no counter of one test is seen by another. */
    private static String[] fromElsewhere() {
        int n = ADDRESSES.incrementAndGet();
        return new String[] {"X-Forwarded-For", "10.88." + n / 250 + "." + (1 + n % 250)};
    }

    private static Answer login(Person person) {
        return TestFactors.login(kehu, person, fromElsewhere());
    }

    private static String challenge(Person person) {
        return login(person).is(401, "auth.factorRequired").at("/challenge").asText();
    }

    private static Answer second(String challenge, String method, String code) {
        return kehu.anonymous().post("/v1/auth/factor", secondStep(challenge, method, code), fromElsewhere());
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.is(200).at("/accessToken").asText());
    }

    private static List<String> texts(Answer answer, String pointer) {
        List<String> texts = new ArrayList<>();
        answer.at(pointer).forEach(text -> texts.add(text.asText()));
        return texts;
    }

    /** A code that is certainly not the right one of this moment. */
    private static String wrong(byte[] secret) {
        return IntStream.range(0, 10)
                .mapToObj(i -> String.format("%06d", i))
                .filter(code -> IntStream.rangeClosed(-2, 2)
                        .noneMatch(i -> code(kehu, secret, i).equals(code)))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void whoHasAnAppSignsInInTwoSteps() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = caller(login(person));
        Answer begun =
                caller.send("POST", "/v1/auth/factors/totp", (byte[]) null).is(201);
        byte[] secret = TestFactors.decode(begun.at("/secret").asText());
        assertThat(secret).hasSize(20);
        assertThat(begun.at("/otpauthUrl").asText())
                .isEqualTo("otpauth://totp/Kehu:" + person.username() + "?secret="
                        + begun.at("/secret").asText() + "&issuer=Kehu&algorithm=SHA1&digits=6&period=30");
        // It does not count before its first code has been seen.
        login(person).is(200);
        String confirm = begun.header("Location") + "/confirm";
        caller.post(confirm, "{\"code\": \"" + wrong(secret) + "\"}").is(422, "factor.proofWrong");
        Answer confirmed = caller.post(confirm, "{\"code\": \"" + code(kehu, secret, 0) + "\"}")
                .is(200);
        assertThat(texts(confirmed, "/recoveryCodes")).hasSize(10).doesNotHaveDuplicates();
        caller.post(confirm, "{\"code\": \"" + code(kehu, secret, 1) + "\"}").is(404, "factor.notFound");

        Answer asked = login(person).is(401, "auth.factorRequired");
        assertThat(asked.json().has("accessToken")).isFalse();
        assertThat(texts(asked, "/methods")).containsExactly("totp", "recovery");
        assertThat(asked.at("/expiresAt").asText()).isNotEmpty();
        Answer tokens = second(asked.at("/challenge").asText(), "totp", code(kehu, secret, 1))
                .is(200);
        assertThat(tokens.at("/staff/username").asText()).isEqualTo(person.username());
        caller(tokens).get("/v1/auth/me").is(200);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE actor = ? AND kind = 'sign-in' AND code = 'auth.factorRequired'",
                        person.id()))
                .isOne();
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE actor = ? AND kind = 'key' AND object_type = 'factor'",
                        person.id()))
                .isEqualTo(3);
    }

    @Test
    void unknownUsedAndExpiredChallengesAndWrongCodesAreOneAnswer() {
        Person person = aPerson(kehu, "analyst");
        byte[] secret = enrol(kehu, kehu.signIn(person.id()));
        String used = challenge(person);
        String usedCode = code(kehu, secret, 1);
        second(used, "totp", usedCode).is(200);
        String spent = TestFactors.challenge(kehu, person.id());
        kehu.sql("UPDATE iam.factor_challenge SET tries = 5 WHERE challenge_hash = ?", io.kehu.crypto.Sha256.of(spent));
        String expired = TestFactors.challenge(kehu, person.id());
        kehu.sql(
                "UPDATE iam.factor_challenge SET expires_at = kehu.now() WHERE challenge_hash = ?",
                io.kehu.crypto.Sha256.of(expired));
        String stale = TestFactors.challenge(kehu, person.id());
        kehu.sql(
                "UPDATE iam.factor_challenge SET rights = rights - 1 WHERE challenge_hash = ?",
                io.kehu.crypto.Sha256.of(stale));
        String fresh = TestFactors.recoveryCode(kehu, person.id());
        List<Answer> answers = List.of(
                second("A".repeat(43), "totp", code(kehu, secret, 1)),
                second(used, "recovery", fresh),
                second(spent, "recovery", fresh),
                second(expired, "recovery", fresh),
                second(challenge(person), "totp", wrong(secret)),
                second(challenge(person), "totp", usedCode),
                second(challenge(person), "sms", "123456"),
                second(stale, "recovery", fresh));
        assertThat(answers).allSatisfy(answer -> {
            answer.is(401, "auth.factorFailed");
            assertThat(body(answer)).isEqualTo(body(answers.get(0)));
            assertThat(headers(answer)).isEqualTo(headers(answers.get(0)));
        });
    }

    private static ObjectNode body(Answer answer) {
        ObjectNode body = answer.json();
        body.remove("requestId");
        return body;
    }

    private static Map<String, List<String>> headers(Answer answer) {
        Map<String, List<String>> headers =
                new TreeMap<>(answer.response().headers().map());
        headers.remove("kehu-request-id");
        return headers;
    }

    @Test
    void ofThirtyTwoSignInsAtOnceWithOneCodeOneOpens() {
        Person person = aPerson(kehu, "analyst");
        byte[] secret = enrol(kehu, kehu.signIn(person.id()));
        String code = code(kehu, secret, 1);
        List<String> challenges = IntStream.range(0, AT_ONCE)
                .mapToObj(i -> TestFactors.challenge(kehu, person.id()))
                .toList();
        long before = sessions(person);
        List<Integer> statuses = atOnce(challenges, challenge -> second(challenge, "totp", code));
        assertThat(statuses)
                .containsOnlyOnce(200)
                .allSatisfy(status -> assertThat(status).isIn(200, 401, 429));
        assertThat(sessions(person)).isEqualTo(before + 1);
    }

    @Test
    void ofThirtyTwoSecondStepsOfOneChallengeOneOpens() {
        Person person = aPerson(kehu, "analyst");
        enrol(kehu, kehu.signIn(person.id()));
        String challenge = challenge(person);
        List<String> codes = IntStream.range(0, AT_ONCE)
                .mapToObj(i -> TestFactors.recoveryCode(kehu, person.id()))
                .toList();
        long before = sessions(person);
        List<Integer> statuses = atOnce(codes, code -> second(challenge, "recovery", code));
        assertThat(statuses)
                .containsOnlyOnce(200)
                .allSatisfy(status -> assertThat(status).isIn(200, 401, 429));
        assertThat(sessions(person)).isEqualTo(before + 1);
    }

    /** The guard by itself, without the ladder in front of it. */
    @Test
    void ofThirtyTwoTransactionsThatUseOneStepOneDoes() {
        Person person = aPerson(kehu, "analyst");
        enrol(kehu, kehu.signIn(person.id()));
        UUID factor = kehu.value("SELECT id FROM iam.factor WHERE staff_id = ?", person.id());
        List<Integer> used = atOnceCount(i -> kehu.sql("""
                        UPDATE iam.factor_secret SET last_step = 99999999999 WHERE factor_id = ? AND last_step < 99999999999
                        RETURNING factor_id""", factor).size());
        assertThat(used.stream().mapToInt(Integer::intValue).sum()).isOne();
    }

    private static long sessions(Person person) {
        return kehu.<Long>value("SELECT count(*) FROM iam.session WHERE subject_id = ?", person.id());
    }

    private static List<Integer> atOnce(List<String> things, java.util.function.Function<String, Answer> sending) {
        return atOnceCount(i -> sending.apply(things.get(i)).status());
    }

    private static List<Integer> atOnceCount(java.util.function.IntFunction<Integer> one) {
        ExecutorService people = Executors.newFixedThreadPool(AT_ONCE);
        try {
            List<CompletableFuture<Integer>> all = IntStream.range(0, AT_ONCE)
                    .mapToObj(i -> CompletableFuture.supplyAsync(() -> one.apply(i), people))
                    .toList();
            return all.stream().map(CompletableFuture::join).toList();
        } finally {
            people.shutdown();
        }
    }

    @Test
    void aCodeForRecoveryOpensOnceAndNewOnesReplaceTheOldOnes() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = kehu.signIn(person.id());
        byte[][] secret = new byte[1][];
        List<String> codes = texts(enrol(kehu, caller, secret), "/recoveryCodes");
        second(challenge(person), "recovery", codes.get(0)).is(200);
        second(challenge(person), "recovery", codes.get(0)).is(401, "auth.factorFailed");
        assertThat(caller.get("/v1/auth/factors").at("/recoveryCodes").asInt()).isEqualTo(9);
        List<String> anew = texts(
                caller.send("POST", "/v1/auth/factors/recovery-codes", (byte[]) null)
                        .is(200),
                "/recoveryCodes");
        assertThat(anew).hasSize(10).doesNotContainAnyElementsOf(codes);
        second(challenge(person), "recovery", codes.get(1)).is(401, "auth.factorFailed");
        second(
                        challenge(person),
                        "recovery",
                        anew.get(0).toLowerCase(java.util.Locale.ROOT).replace('-', ' '))
                .is(200);
    }

    @Test
    void wrongCodesLockAsWrongPasswordsDoAndARightPasswordDoesNotForgetThem() {
        Person person = aPerson(kehu, "analyst");
        byte[] secret = enrol(kehu, kehu.signIn(person.id()));
        for (int i = 0; i < 5; i++) {
            second(challenge(person), "totp", wrong(secret)).is(401, "auth.factorFailed");
        }
        String waiting = TestFactors.challenge(kehu, person.id());
        second(waiting, "totp", code(kehu, secret, 1)).is(401, "auth.factorFailed");
        login(person).is(401, "auth.failed");
        kehu.moveClock(61);
        second(challenge(person), "totp", code(kehu, secret, 0)).is(200);
    }

    @Test
    void codesComeToThePhoneOnRecord() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = kehu.signIn(person.id());
        caller.send("POST", "/v1/auth/factors/sms", (byte[]) null).is(422, "factor.phoneMissing");
        TestFactors.phone(kehu, person.id());
        Answer begun =
                caller.send("POST", "/v1/auth/factors/sms", (byte[]) null).is(201);
        assertThat(begun.at("/phone").asText()).isEqualTo("+86138****8000");
        caller.post(
                        begun.header("Location") + "/confirm",
                        Json.object().put("code", newest()).toString())
                .is(200);

        Answer asked = login(person).is(401, "auth.factorRequired");
        assertThat(texts(asked, "/methods")).containsExactly("sms", "recovery");
        String challenge = asked.at("/challenge").asText();
        String ask = Json.object().put("challenge", challenge).toString();
        kehu.anonymous().post("/v1/auth/factor/code", ask, fromElsewhere()).is(202);
        String first = newest();
        kehu.anonymous().post("/v1/auth/factor/code", ask, fromElsewhere()).is(202);
        String last = newest();
        if (!first.equals(last)) {
            second(challenge, "sms", first).is(401, "auth.factorFailed");
        }
        Answer tokens = second(challenge, "sms", last).is(200);
        second(challenge(person), "sms", last).is(401, "auth.factorFailed");
        kehu.anonymous().post("/v1/auth/factor/code", ask, fromElsewhere()).is(401, "auth.factorFailed");

        // Three were sent, so two are left of the five of an hour.
        Caller again = caller(tokens);
        again.send("POST", "/v1/auth/step-up/code", (byte[]) null).is(202);
        again.send("POST", "/v1/auth/step-up/code", (byte[]) null).is(202);
        Answer tooMany = again.send("POST", "/v1/auth/step-up/code", (byte[]) null);
        tooMany.is(429, "code.tooMany");
        assertThat(Integer.parseInt(tooMany.header("Retry-After"))).isBetween(3_000, 3_600);
        again.send("POST", "/v1/auth/factors/sms", (byte[]) null).is(429, "code.tooMany");
    }

    /** The code that was sent last, to whomever. */
    private static String newest() {
        return kehu.anonymous()
                .get("/v1/demo/inbox")
                .is(200)
                .at("/items/0/code")
                .asText();
    }

    @Test
    void aSentCodeLivesFiveMinutesAndBearsFiveTries() {
        Person person = aPerson(kehu, "analyst");
        TestFactors.sms(kehu, person.id());
        String ask = Json.object().put("challenge", challenge(person)).toString();
        kehu.anonymous().post("/v1/auth/factor/code", ask, fromElsewhere()).is(202);
        String code = newest();
        kehu.sql("UPDATE iam.factor_code SET tries = 5 WHERE staff_id = ?", person.id());
        second(challenge(person), "sms", code).is(401, "auth.factorFailed");
        kehu.sql("UPDATE iam.factor_code SET tries = 4 WHERE staff_id = ?", person.id());
        kehu.moveClock(301);
        second(challenge(person), "sms", code).is(401, "auth.factorFailed");
        kehu.moveClock(0);
        second(challenge(person), "sms", code).is(200);
    }

    @Test
    void removingAFactorNeedsFreshProofAndTakesTheCodesForRecoveryAlong() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = kehu.signIn(person.id());
        byte[] secret = enrol(kehu, caller);
        String path = "/v1/auth/factors/"
                + caller.get("/v1/auth/factors").is(200).at("/items/0/id").asText();
        kehu.signIn(aPerson(kehu, "analyst").id())
                .send("DELETE", path, (byte[]) null)
                .is(404, "factor.notFound");
        TestFactors.age(kehu, person.id(), 6);
        Caller aged = caller(login2(person, secret));
        TestFactors.age(kehu, person.id(), 6);
        aged.send("DELETE", path, (byte[]) null).is(401, "auth.stepUp");
        aged.post("/v1/auth/step-up", stepUp("recovery", TestFactors.recoveryCode(kehu, person.id())))
                .is(204);
        aged.send("DELETE", path, (byte[]) null).is(204);
        aged.send("DELETE", path, (byte[]) null).is(404, "factor.notFound");
        login(person).is(200);
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.recovery_code WHERE staff_id = ?", person.id()))
                .isZero();
        assertThat(kehu.<Long>value("""
                SELECT count(*) FROM iam.factor_secret s JOIN iam.factor f ON f.id = s.factor_id WHERE f.staff_id = ?""", person.id())).isZero();
    }

    private static Answer login2(Person person, byte[] secret) {
        return second(challenge(person), "totp", code(kehu, secret, 1));
    }

    private static String stepUp(String method, String code) {
        return Json.object().put("method", method).put("code", code).toString();
    }

    @Test
    void aNewPhoneTakesThePlaceOfTheOldOne() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = kehu.signIn(person.id());
        byte[] old = enrol(kehu, caller);
        byte[][] fresh = new byte[1][];
        assertThat(texts(enrol(kehu, caller, fresh), "/recoveryCodes")).isEmpty();
        second(challenge(person), "totp", code(kehu, old, 1)).is(401, "auth.factorFailed");
        second(challenge(person), "totp", code(kehu, fresh[0], 1)).is(200);
        assertThat(caller.get("/v1/auth/factors").at("/items")).hasSize(1);
    }

    @Test
    void nothingOfItIsTriedOutAndNothingOfItStandsInPlaintext() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = kehu.signIn(person.id());
        byte[][] secret = new byte[1][];
        List<String> codes = texts(enrol(kehu, caller, secret), "/recoveryCodes");
        String challenge = challenge(person);
        kehu.anonymous()
                .post("/v1/auth/factor", secondStep(challenge, "recovery", codes.get(0)), "Dry-Run", "true")
                .is(400, "request.noDryRun");
        caller.post("/v1/auth/step-up", stepUp("recovery", codes.get(0)), "Dry-Run", "true")
                .is(400, "request.noDryRun");
        caller.send("POST", "/v1/auth/factors/recovery-codes", (byte[]) null, "Dry-Run", "true")
                .is(400, "request.noDryRun");
        second(challenge, "recovery", codes.get(0)).is(200);
        List<String> secrets = List.of(
                Totp.base32(secret[0]), challenge, codes.get(0), codes.get(0).replace("-", ""));
        for (String table : List.of(
                "iam.factor",
                "iam.factor_past",
                "iam.factor_secret",
                "iam.factor_challenge",
                "iam.recovery_code",
                "kehu.audit",
                "kehu.event",
                "kehu.idempotency",
                "kehu.access_log")) {
            for (String one : secrets) {
                assertThat(kehu.<Long>value(
                                "SELECT count(*) FROM " + table + " t WHERE position(? IN t::text) > 0", one))
                        .as(table)
                        .isZero();
            }
        }
    }
}
