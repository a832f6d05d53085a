package io.kehu.iam.password;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.factor.TestFactors;
import io.kehu.iam.factor.TestFactors.Person;
import io.kehu.iam.staff.DemoStaff;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** People who have lost their password, administrators who help them, and some who help themselves. */
class ResetTest {
    private static final String WANTED = "tram violet outwit";
    private static final Duration A_LITTLE = Duration.ofSeconds(5);
    private static final AtomicInteger ADDRESSES = new AtomicInteger();

    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "40",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000",
                "KEHU_AUTH_HASH_QUEUE", "100"));
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @AfterEach
    void letEverybodyActAlone() {
        kehu.sql("UPDATE iam.approval_policy SET enabled = false");
    }

    private static String address() {
        int n = ADDRESSES.incrementAndGet();
        return "10.5." + n / 250 + "." + (1 + n % 250);
    }

    /** Somebody whose password is the one of all demo users. */
    private static UUID somebody(String... roles) {
        UUID id = kehu.staff(kehu.headOffice(), roles);
        kehu.sql(
                "UPDATE iam.staff SET password_hash = (SELECT password_hash FROM iam.staff WHERE username = 'admin') WHERE id = ?",
                id);
        return id;
    }

    private static Answer login(UUID staff, String password) {
        return kehu.anonymous()
                .login(
                        kehu.value("SELECT username FROM iam.staff WHERE id = ?", staff),
                        password,
                        "X-Forwarded-For",
                        address());
    }

    private static String path(UUID staff) {
        return "/v1/staff/" + staff + "/password-reset";
    }

    private static Answer reset(Caller by, UUID staff, String... headers) {
        return by.post(path(staff), null, headers);
    }

    private static String token(Answer reset) {
        return reset.is(200).at("/token").asText();
    }

    private static Answer redeem(String token, String password, String... headers) {
        List<String> all = new ArrayList<>(List.of(headers));
        if (!all.contains("X-Forwarded-For")) {
            all.addAll(List.of("X-Forwarded-For", address()));
        }
        return kehu.anonymous()
                .post(
                        "/v1/auth/password-reset",
                        Json.object()
                                .put("token", token)
                                .put("newPassword", password)
                                .toString(),
                        all.toArray(String[]::new));
    }

    private static <T> List<T> together(List<Callable<T>> calls) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(calls.size());
        CyclicBarrier barrier = new CyclicBarrier(calls.size());
        try {
            List<Future<T>> running = new ArrayList<>();
            for (Callable<T> call : calls) {
                running.add(threads.submit(() -> {
                    barrier.await();
                    return call.call();
                }));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> result : running) {
                results.add(result.get());
            }
            return results;
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void theOwnerOpensHisAccountAgainAndNobodyElse() {
        UUID person = somebody("auditor");
        Answer before = login(person, DemoStaff.PASSWORD).is(200);
        Caller session = kehu.with(before.at("/accessToken").asText());
        session.get("/v1/auth/me").is(200);

        String token = token(reset(administrator, person));
        await().atMost(A_LITTLE).until(() -> session.get("/v1/auth/me").status() == 401);
        kehu.anonymous()
                .post(
                        "/v1/auth/refresh",
                        Json.object()
                                .put("refreshToken", before.at("/refreshToken").asText())
                                .toString())
                .is(401, "auth.refreshInvalid");
        login(person, DemoStaff.PASSWORD).is(401, "auth.failed");

        redeem(token, WANTED).is(204);
        Answer after = login(person, WANTED).is(200);
        assertThat(after.at("/mustChangePassword").asBoolean()).isFalse();
        kehu.with(after.at("/accessToken").asText()).get("/v1/roles").is(200);
        assertThat(kehu.sql(
                        "SELECT operation, kind, actor = ? AS owner FROM kehu.audit WHERE object_id = ?"
                                + " AND operation IN ('resetStaffPassword', 'redeemPasswordReset') ORDER BY at",
                        person,
                        person))
                .containsExactly(
                        Map.of("operation", "resetStaffPassword", "kind", "key", "owner", false),
                        Map.of("operation", "redeemPasswordReset", "kind", "key", "owner", true));
    }

    @Test
    void unknownUsedExpiredAndReplacedTokensAreOneAnswer() {
        String used = token(reset(administrator, somebody("auditor")));
        redeem(used, WANTED).is(204);
        UUID late = somebody("auditor");
        String expired = token(reset(administrator, late));
        kehu.sql("UPDATE iam.password_reset SET expires_at = kehu.now() WHERE staff_id = ?", late);
        UUID twice = somebody("auditor");
        String replaced = token(reset(administrator, twice));
        String good = token(reset(administrator, twice));
        UUID gone = somebody("auditor");
        String ofOneWhoLeft = token(reset(administrator, gone));
        kehu.sql("UPDATE iam.staff SET state = 'left' WHERE id = ?", gone);

        List<ObjectNode> answers = new ArrayList<>();
        for (String token : List.of("A".repeat(43), used, expired, replaced, ofOneWhoLeft)) {
            // Also what is wrong with the password is told to nobody without a good token.
            for (String password : List.of(WANTED, "short")) {
                ObjectNode answer =
                        redeem(token, password).is(401, "auth.resetInvalid").json();
                answer.remove("requestId");
                answers.add(answer);
            }
        }
        assertThat(answers).allMatch(answers.get(0)::equals);
        redeem(good, WANTED).is(204);
    }

    @Test
    void theTokenLivesAsLongAsTheSettingSays() {
        UUID person = somebody("auditor");
        reset(administrator, person).is(200);
        assertThat(kehu.<Double>value(
                        "SELECT extract(epoch FROM expires_at - kehu.now())::float8 / 60 FROM iam.password_reset WHERE staff_id = ?",
                        person))
                .isBetween(29.0, 30.0);
    }

    @Test
    void aPasswordThatWillNotDoLeavesTheTokenGood() {
        String token = token(reset(administrator, somebody("auditor")));
        for (String[] wrong : new String[][] {
            {"short", "field.passwordShort"},
            {"passwordpassword", "field.passwordCommon"},
            {DemoStaff.PASSWORD, "field.passwordUsed"}
        }) {
            Answer refused = redeem(token, wrong[0]).is(400, "request.invalid");
            assertThat(refused.at("/errors/0/pointer").asText()).isEqualTo("/newPassword");
            assertThat(refused.at("/errors/0/code").asText()).isEqualTo(wrong[1]);
        }
        redeem(token, WANTED).is(204);
    }

    @Test
    void whoHasLockedHisAccountByGuessingComesInWithHisNewPassword() {
        UUID person = somebody("auditor");
        for (int i = 0; i < 6; i++) {
            login(person, "guess " + i).is(401, "auth.failed");
        }
        login(person, DemoStaff.PASSWORD).is(401, "auth.failed");
        redeem(token(reset(administrator, person)), WANTED).is(204);
        login(person, WANTED).is(200);
    }

    @Test
    void ofThirtyTwoWhoUseATokenAtOnceOneSetsThePassword() throws Exception {
        UUID person = somebody("auditor");
        String token = token(reset(administrator, person));
        List<Callable<Answer>> calls = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            String password = WANTED + " " + i;
            calls.add(() -> redeem(token, password));
        }
        List<Answer> answers = together(calls);
        assertThat(answers).allMatch(answer -> answer.status() == 204 || answer.status() == 401);
        List<Integer> winners = new ArrayList<>();
        for (int i = 0; i < answers.size(); i++) {
            if (answers.get(i).status() == 204) {
                winners.add(i);
            } else {
                answers.get(i).is(401, "auth.resetInvalid");
            }
        }
        assertThat(winners).hasSize(1);
        login(person, WANTED + " " + winners.get(0)).is(200);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM iam.staff_past p JOIN kehu.audit a ON a.id = p.audit_id"
                                + " WHERE p.id = ? AND a.operation = 'redeemPasswordReset'",
                        person))
                .isEqualTo(1);
    }

    @Test
    void oneAddressMayNotTryForEverAndOthersAreNotHeldUp() {
        String address = address();
        String good = token(reset(administrator, somebody("auditor")));
        int looked = 0;
        while (redeem("B".repeat(43), WANTED, "X-Forwarded-For", address).status() == 401) {
            looked++;
            assertThat(looked).isLessThanOrEqualTo(60);
        }
        assertThat(looked).isGreaterThanOrEqualTo(40);
        redeem(good, WANTED, "X-Forwarded-For", address).is(429, "request.tooManyRequests");
        redeem(good, WANTED).is(204);
    }

    @Test
    void itIsNothingToTryOut() {
        redeem("C".repeat(43), WANTED, "Dry-Run", "true").is(400, "request.noDryRun");
        UUID person = somebody("auditor");
        reset(administrator, person, "Dry-Run", "true").is(200);
        login(person, DemoStaff.PASSWORD).is(200);
    }

    @Test
    void nobodyResetsHimselfNorWhoHasNoPasswordHere() {
        reset(administrator, administrator.id).is(409, "staff.ownReset");
        reset(administrator, UUID.randomUUID()).is(404, "staff.notFound");
        reset(kehu.caller("auditor"), somebody("auditor")).is(403, "auth.forbidden");
        kehu.anonymous().post(path(administrator.id), null).is(401, "auth.required");
        UUID suspended = somebody("auditor");
        kehu.sql("UPDATE iam.staff SET state = 'suspended' WHERE id = ?", suspended);
        reset(administrator, suspended).is(409, "staff.notActive");
        UUID federated = somebody("auditor");
        kehu.sql(
                "INSERT INTO iam.federated_identity (id, staff_id, issuer, subject) VALUES (uuidv7(), ?, 'https://sso', ?)",
                federated,
                federated.toString());
        reset(administrator, federated).is(409, "staff.passwordElsewhere");
    }

    @Test
    void whatIsStoredShowsTheTokenToNobodyButItsMaker() {
        UUID person = somebody("auditor");
        Answer first = reset(administrator, person, "Idempotency-Key", "reset-1");
        String token = token(first);
        Answer again = reset(administrator, person, "Idempotency-Key", "reset-1");
        assertThat(again.header("Idempotency-Replayed")).isEqualTo("true");
        assertThat(token(again)).isEqualTo(token);
        assertThat(first.header("Kehu-Receipt")).isNotEmpty().doesNotContain(token);

        // The key of somebody else gives him nothing of it.
        Answer other = reset(kehu.caller("administrator"), somebody("auditor"), "Idempotency-Key", "reset-1");
        assertThat(other.header("Idempotency-Replayed")).isEmpty();
        assertThat(token(other)).isNotEqualTo(token);

        for (String table :
                List.of("kehu.idempotency", "kehu.audit", "kehu.event", "iam.password_reset", "iam.staff_all")) {
            assertThat(kehu.<Long>value(
                            "SELECT count(*) FROM " + table + " t WHERE t::text LIKE '%' || ? || '%'", token))
                    .as(table)
                    .isZero();
        }
        redeem(token, WANTED).is(204);
    }

    @Test
    void underFourEyesASecondPersonAgreesAndDoesNotSeeTheToken() {
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'staff-rights'");
        Caller maker = kehu.caller("administrator");
        Caller second = kehu.caller("administrator");
        UUID person = somebody("auditor");
        String waits = reset(maker, person).is(202).header("Location");
        login(person, DemoStaff.PASSWORD).is(200);
        maker.post(waits + "/approve", "{}").is(409, "approval.ownChange");
        Answer agreed = second.post(waits + "/approve", "{}").is(200);
        assertThat(agreed.at("/state").asText()).isEqualTo("executed");
        assertThat(agreed.text()).doesNotContain("token");
        assertThat(second.get(waits).is(200).text()).doesNotContain("token");
        String token = maker.get(waits).is(200).at("/answer/token").asText();
        login(person, DemoStaff.PASSWORD).is(401);
        redeem(token, WANTED).is(204);
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.held_account WHERE id = ?", person))
                .isZero();
    }

    private static Caller asIfHe(UUID person, String token) {
        redeem(token, WANTED).is(204);
        return kehu.with(login(person, WANTED).is(200).at("/accessToken").asText());
    }

    private static String changeParameter(Caller by) {
        String parameter = "/v1/parameters/admission.users";
        int value = 1 + Integer.parseInt(by.get(parameter).is(200).at("/value").asText()) % 50;
        return by.patch(parameter, by.get(parameter).etag(), "{\"value\": \"" + value + "\"}")
                .is(202)
                .header("Location");
    }

    @Test
    void whoResetAnAccountIsOneHandWithItUntilAnotherHasApprovedIt() {
        Caller maker = kehu.caller("administrator");
        UUID colleague = somebody("administrator");
        Caller captured = asIfHe(colleague, token(reset(maker, colleague)));
        Caller third = kehu.caller("administrator");
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'parameter'");

        String waits = changeParameter(maker);
        captured.post(waits + "/approve", "{}").is(409, "approval.sameHand");
        maker.post(changeParameter(captured) + "/approve", "{}").is(409, "approval.sameHand");
        // Nor by way of a second colleague: resetting waits for another person now.
        UUID further = somebody("administrator");
        String reset = reset(maker, further).is(202).header("Location");
        captured.post(reset + "/approve", "{}").is(409, "approval.sameHand");

        String path = "/v1/staff/" + colleague;
        String rights = maker.patch(path, maker.get(path).etag(), "{\"roles\": [\"administrator\"]}")
                .is(202)
                .header("Location");
        captured.post(rights + "/approve", "{}").is(409, "approval.sameHand");
        third.post(rights + "/approve", "{}").is(200);
        captured.post(waits + "/approve", "{}").is(200);
    }

    @Test
    void anAccountCountsAsTheHandOfAllWhoEverHadAWayIn() {
        Caller maker = kehu.caller("administrator");
        Caller helper = kehu.caller("administrator");
        UUID colleague = UUID.fromString(maker.post("/v1/staff", """
                        {"username": "twice.held", "name": "两手", "branchId": "%s", "roles": ["administrator"]}""".formatted(kehu.headOffice()))
                .is(201)
                .at("/id")
                .asText());
        Caller captured = asIfHe(colleague, token(reset(helper, colleague)));
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'parameter'");
        captured.post(changeParameter(maker) + "/approve", "{}").is(409, "approval.sameHand");
        captured.post(changeParameter(helper) + "/approve", "{}").is(409, "approval.sameHand");
        // The two are two all the same.
        helper.post(changeParameter(maker) + "/approve", "{}").is(200);
    }

    @Test
    void twoWhoResetEachOtherAreOneHandAndCountAsOne() {
        UUID one = somebody("administrator");
        UUID other = somebody("administrator");
        Caller first = asIfHe(one, token(reset(kehu.signIn(other), one)));
        asIfHe(other, token(reset(first, other)));
        assertThat(kehu.<Boolean>value("SELECT iam.same_hand(?::uuid, ?::uuid)", one, other))
                .isTrue();
        assertThat(kehu.<UUID>value("SELECT iam.hand(?::uuid)", one))
                .isNotNull()
                .isEqualTo(kehu.<UUID>value("SELECT iam.hand(?::uuid)", other));
        assertThat(kehu.<UUID>value("SELECT iam.hand(?::uuid)", administrator.id))
                .isEqualTo(administrator.id);
    }

    @Test
    void whoHasLostEveryFactorIsHelpedByAnotherPersonAndComesInByPasswordAgain() {
        Person person = TestFactors.aPerson(kehu, "analyst");
        Caller caller = kehu.with(
                TestFactors.login(kehu, person).is(200).at("/accessToken").asText());
        TestFactors.enrol(kehu, caller);
        TestFactors.login(kehu, person).is(401, "auth.factorRequired");

        String path = "/v1/staff/" + person.id() + "/factor-reset";
        administrator
                .post("/v1/staff/" + administrator.id + "/factor-reset", null)
                .is(409, "staff.ownReset");
        administrator
                .post("/v1/staff/" + UUID.randomUUID() + "/factor-reset", null)
                .is(404, "staff.notFound");
        administrator.post(path, null, "Dry-Run", "true").is(204);
        TestFactors.login(kehu, person).is(401, "auth.factorRequired");
        administrator.post(path, null).is(204);

        await().atMost(A_LITTLE)
                .untilAsserted(() -> caller.get("/v1/auth/factors").is(401, "auth.revoked"));
        TestFactors.login(kehu, person).is(200);
        assertThat(kehu.<Long>value(
                        "SELECT (SELECT count(*) FROM iam.factor WHERE staff_id = ?) + (SELECT count(*) FROM iam.recovery_code WHERE staff_id = ?)",
                        person.id(),
                        person.id()))
                .isZero();
        assertThat(kehu.<String>value(
                        "SELECT kind FROM kehu.audit WHERE operation = 'resetStaffFactors' AND object_id = ?",
                        person.id()))
                .isEqualTo("key");
    }

    @Test
    void whereFourEyesAreAskedForFactorsAreOnlyTakenByTwo() {
        Person person = TestFactors.aPerson(kehu, "analyst");
        TestFactors.enrol(
                kehu,
                kehu.with(TestFactors.login(kehu, person)
                        .is(200)
                        .at("/accessToken")
                        .asText()));
        kehu.sql("UPDATE iam.approval_policy SET enabled = true WHERE code = 'staff-rights'");
        administrator.post("/v1/staff/" + person.id() + "/factor-reset", null).is(202);
        TestFactors.login(kehu, person).is(401, "auth.factorRequired");
    }
}
