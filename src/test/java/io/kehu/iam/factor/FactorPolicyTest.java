package io.kehu.iam.factor;

import static io.kehu.iam.factor.TestFactors.aPerson;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.factor.TestFactors.Person;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Roles that ask for a second factor, where the policy is in force. */
class FactorPolicyTest {
    private static final Duration SOON = Duration.ofSeconds(5);
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of(
                "KEHU_AUTH_SECOND_FACTOR", "required",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000"));
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.at("/accessToken").asText());
    }

    private static void patch(String role, String patch) {
        Caller administrator = kehu.caller("administrator");
        administrator
                .patch(
                        "/v1/roles/" + role,
                        administrator.get("/v1/roles/" + role).etag(),
                        patch)
                .is(200);
    }

    @Test
    void whoNeedsAFactorMayOnlyEnrolIt() {
        Person person = aPerson(kehu, "risk");
        Answer tokens = TestFactors.login(kehu, person).is(200);
        assertThat(tokens.at("/mustEnrolFactor").asBoolean()).isTrue();
        Caller held = caller(tokens);
        held.get("/v1/customers").is(403, "auth.forbidden");
        held.get("/v1/branches").is(403, "auth.forbidden");
        assertThat(held.get("/v1/auth/me").is(200).at("/permissions")).isEmpty();
        assertThat(held.get("/v1/auth/factors").is(200).at("/roleNeedsOne").asBoolean())
                .isTrue();
        byte[] secret = TestFactors.enrol(kehu, held);
        await().atMost(SOON).until(() -> held.get("/v1/customers").status() == 200);
        String challenge = TestFactors.login(kehu, person)
                .is(401, "auth.factorRequired")
                .at("/challenge")
                .asText();
        Answer second = kehu.anonymous()
                .post("/v1/auth/factor", TestFactors.secondStep(challenge, "totp", TestFactors.code(kehu, secret, 1)))
                .is(200);
        assertThat(second.at("/mustEnrolFactor").asBoolean()).isFalse();
        caller(second).get("/v1/customers").is(200);
        // Without its last factor a running session is held again.
        String path = "/v1/auth/factors/"
                + held.get("/v1/auth/factors").at("/items/0/id").asText();
        held.send("DELETE", path, (byte[]) null).is(204);
        for (Caller each : new Caller[] {held, caller(second)}) {
            await().atMost(SOON).until(() -> each.get("/v1/customers").status() == 403);
        }
    }

    @Test
    void rolesThatShowNothingInFullAndDecideNothingAskForNone() {
        Answer tokens = TestFactors.login(kehu, aPerson(kehu, "analyst")).is(200);
        assertThat(tokens.at("/mustEnrolFactor").asBoolean()).isFalse();
        caller(tokens).get("/v1/customers").is(200);
        Map<String, Boolean> roles = new java.util.TreeMap<>();
        kehu.caller("administrator")
                .get("/v1/roles")
                .at("/items")
                .forEach(role -> roles.put(
                        role.get("code").asText(),
                        role.get("secondFactor").asText().equals("required")));
        assertThat(roles)
                .containsEntry("administrator", true)
                .containsEntry("branch-head", true)
                .containsEntry("customer-manager", true)
                .containsEntry("risk", true)
                .containsEntry("desk-agent", true)
                .containsEntry("operator", true) // decides which records are one person's
                .containsEntry("analyst", false)
                .containsEntry("auditor", false)
                .containsEntry("finance", false);
    }

    @Test
    void aRoleThatComesToAskForOneHoldsTheSessionsThatRun() {
        Caller administrator = kehu.caller("administrator");
        administrator.post("/v1/roles", """
                {"code": "viewer", "nameEn": "Viewer", "nameZh": "查看", "scope": "all", "permissions": ["branch:read"]}""").is(201);
        Caller viewer = caller(TestFactors.login(kehu, aPerson(kehu, "viewer")).is(200));
        viewer.get("/v1/branches").is(200);
        patch("viewer", "{\"secondFactor\": \"required\"}");
        await().atMost(SOON).until(() -> viewer.get("/v1/branches").status() == 403);
        patch("viewer", "{\"secondFactor\": \"optional\"}");
        await().atMost(SOON).until(() -> viewer.get("/v1/branches").status() == 200);
        assertThat(kehu.<Long>value("SELECT count(*) FROM iam.role_past WHERE code = 'viewer' AND second_factor"))
                .isOne();
    }

    @Test
    void aNewRoleAsksForOneByWhatItMayDoUnlessItSaysOtherwise() {
        Caller administrator = kehu.caller("administrator");
        String role = """
                {"code": "%s", "nameEn": "R", "nameZh": "角色", "scope": "none", "permissions": ["%s"]%s}""";
        assertThat(administrator
                        .post("/v1/roles", role.formatted("decider", "approval:decide", ""))
                        .is(201)
                        .at("/secondFactor")
                        .asText())
                .isEqualTo("required");
        assertThat(administrator
                        .post(
                                "/v1/roles",
                                role.formatted("lax-decider", "approval:decide", ", \"secondFactor\": \"optional\""))
                        .is(201)
                        .at("/secondFactor")
                        .asText())
                .isEqualTo("optional");
        assertThat(administrator
                        .post("/v1/roles", role.formatted("reader", "branch:read", ""))
                        .is(201)
                        .at("/secondFactor")
                        .asText())
                .isEqualTo("optional");
        patch("lax-decider", "{\"permissions\": [\"approval:decide\", \"branch:read\"]}");
        patch("reader", "{\"permissions\": [\"branch:read\", \"customer:unmask\"]}");
        assertThat(administrator
                        .get("/v1/roles/lax-decider")
                        .at("/secondFactor")
                        .asText())
                .isEqualTo("optional");
        assertThat(administrator.get("/v1/roles/reader").at("/secondFactor").asText())
                .isEqualTo("required");
    }

    @Test
    void aRoleForAWhileAsksForOneAsLongAsItLasts() {
        Person person = aPerson(kehu, "analyst");
        Caller caller = caller(TestFactors.login(kehu, person).is(200));
        String end = kehu.value(
                "SELECT to_char((kehu.now() + interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
        String grant = kehu.caller("administrator")
                .post("/v1/grants", """
                {"staffId": "%s", "roles": ["risk"], "endsAt": "%s", "reason": "代班"}""".formatted(person.id(), end))
                .is(201)
                .header("Location");
        await().atMost(SOON).until(() -> caller.get("/v1/customers").status() == 403);
        kehu.caller("administrator").send("POST", grant + "/end", (byte[]) null).is(200);
        await().atMost(SOON).until(() -> caller.get("/v1/customers").status() == 200);
    }
}
