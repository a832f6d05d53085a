package io.kehu.iam.federation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.node.ObjectNode;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.factor.TestFactors;
import io.kehu.iam.federation.TestProvider.Person;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.text.ParseException;
import java.time.Duration;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OidcTest {
    private static final String START = "/v1/auth/oidc/" + TestProvider.NAME + "/start";
    private static final String FINISH = "/v1/auth/oidc/" + TestProvider.NAME + "/finish";
    private static final AtomicInteger NUMBERS = new AtomicInteger();

    @TempDir
    static Path folder;

    private static TestProvider provider;
    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        provider = TestProvider.start(folder);
        Map<String, String> settings = provider.settings();
        settings.put("KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000");
        kehu = TestKehu.start(settings);
        map("""
                [{"source": "bank-sso", "group": "Managers", "roles": ["customer-manager"]},
                 {"source": "bank-sso", "group": "analysts", "roles": ["analyst"]},
                 {"source": "bank-sso", "group": "pudong", "roles": [], "branchId": "%s"},
                 {"source": "bank-sso", "group": "chaoyang", "roles": [], "branchId": "%s"},
                 {"source": "ldap", "group": "auditors", "roles": ["auditor"]}]""".formatted(DemoStaff.id("SH-PD"), DemoStaff.id("BJ-CY")));
    }

    @AfterAll
    static void stop() {
        kehu.close();
        provider.close();
    }

    @AfterEach
    void reset() {
        provider.reset();
    }

    private static Answer map(String items) {
        Caller administrator = kehu.caller("administrator");
        return administrator.send(
                "PUT",
                "/v1/group-mappings",
                "{\"items\": " + items + "}",
                "If-Match",
                administrator.get("/v1/group-mappings").is(200).etag());
    }

    private static Person aPerson(String... groups) {
        int n = NUMBERS.incrementAndGet();
        return new Person("subject-" + n, "sso.user" + n + "@bank.example", "单点用户", List.of(groups));
    }

    private static Person with(Person person, String... groups) {
        return new Person(person.subject(), person.username(), person.name(), List.of(groups));
    }

    private static Answer begin() {
        return kehu.anonymous().send("POST", START, (byte[]) null);
    }

    private static ObjectNode proof(Answer begun, Person person) {
        String url = begun.is(200).at("/authorizationUrl").asText();
        return Json.object()
                .put("code", provider.authorize(url, person))
                .put("state", TestProvider.query(url).get("state"))
                .put("flow", begun.at("/flow").asText());
    }

    private static Answer finish(ObjectNode proof) {
        return kehu.anonymous().post(FINISH, proof.toString());
    }

    private static Answer signIn(Person person) {
        return finish(proof(begin(), person));
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.is(200).at("/accessToken").asText());
    }

    @Test
    void somebodyUnknownWithMappedGroupsBecomesStaffAndIsKnownTheNextTime() {
        Person person = aPerson("managers", "PUDONG", "others");
        Answer first = signIn(person).is(200);
        Answer me = caller(first).get("/v1/auth/me").is(200);
        assertThat(me.at("/username").asText()).isEqualTo(person.username().replace("@bank.example", ""));
        assertThat(me.at("/name").asText()).isEqualTo("单点用户");
        assertThat(me.at("/branchCode").asText()).isEqualTo("SH-PD");
        assertThat(me.at("/roles/0").asText()).isEqualTo("customer-manager");
        Answer second = signIn(person).is(200);
        assertThat(second.at("/staff/id")).isEqualTo(first.at("/staff/id"));
        // No password opens this account here.
        kehu.anonymous()
                .login(me.at("/username").asText(), "anything-at-all-4711")
                .is(401, "auth.failed");
    }

    @Test
    void rolesAndBranchFollowTheGroupsAtEachSignInAndOldTokensEnd() {
        Person person = aPerson("managers", "pudong");
        Answer first = signIn(person).is(200);
        Caller before = caller(first);
        before.get("/v1/auth/me").is(200);
        signIn(person).is(200);
        before.get("/v1/auth/me").is(200);
        Answer moved = signIn(with(person, "analysts", "managers", "chaoyang")).is(200);
        assertThat(moved.at("/staff/roles").toString()).isEqualTo("[\"analyst\",\"customer-manager\"]");
        assertThat(moved.at("/staff/branchId").asText())
                .isEqualTo(DemoStaff.id("BJ-CY").toString());
        await().atMost(Duration.ofSeconds(5))
                .until(() -> before.get("/v1/auth/me").status() == 401);
        caller(moved).get("/v1/auth/me").is(200);
    }

    @Test
    void whoHasNoPlaceAnyMoreIsShutOutWithEverySession() {
        Person person = aPerson("managers", "pudong");
        Caller before = caller(signIn(person));
        before.get("/v1/auth/me").is(200);
        signIn(with(person, "others")).is(403, "auth.groupsUnmapped");
        await().atMost(Duration.ofSeconds(5))
                .until(() -> before.get("/v1/auth/me").status() == 401);
        signIn(aPerson("managers")).is(403, "auth.groupsUnmapped");
        signIn(aPerson("pudong")).is(403, "auth.groupsUnmapped");
        // Not exactly one branch: nobody guesses which was meant.
        signIn(aPerson("managers", "pudong", "chaoyang")).is(403, "auth.groupsUnmapped");
        // Groups of another source are other groups.
        signIn(aPerson("auditors", "pudong")).is(403, "auth.groupsUnmapped");
    }

    @Test
    void aNameThatIsTakenHereIsNotTakenOver() {
        signIn(new Person("impostor", "admin", "冒名者", List.of("managers", "pudong")))
                .is(409, "staff.usernameTaken");
        signIn(new Person("no-name", "---", "无名", List.of("managers", "pudong")))
                .is(403, "auth.accountMissing");
    }

    @Test
    void aSuspendedMemberOfStaffStaysOutWhateverTheProviderSays() {
        Person person = aPerson("managers", "pudong");
        UUID id = UUID.fromString(signIn(person).at("/staff/id").asText());
        Caller administrator = kehu.caller("administrator");
        administrator
                .patch("/v1/staff/" + id, administrator.get("/v1/staff/" + id).etag(), "{\"state\": \"suspended\"}")
                .is(200);
        signIn(with(person, "analysts", "pudong")).is(401, "auth.failed");
        assertThat(kehu.<String>value("SELECT roles::text FROM iam.staff WHERE id = ?", id))
                .isEqualTo("{customer-manager}");
    }

    @Test
    void aSignInIsFinishedOnceByWhoeverBeganItAndInTime() {
        ObjectNode good = proof(begin(), aPerson("managers", "pudong"));
        ObjectNode other = proof(begin(), aPerson("managers", "pudong"));
        // The state of one and the flow of another: a code that somebody slips in.
        finish(good.deepCopy().put("flow", other.get("flow").textValue())).is(401, "auth.flowInvalid");
        // That was its one use.
        finish(good).is(401, "auth.flowInvalid");
        finish(other).is(200);
        finish(other).is(401, "auth.flowInvalid");
        finish(other.deepCopy().put("state", "A".repeat(43))).is(401, "auth.flowInvalid");
        ObjectNode late = proof(begin(), aPerson("managers", "pudong"));
        kehu.sql("UPDATE iam.oidc_flow SET expires_at = kehu.now()");
        finish(late).is(401, "auth.flowInvalid");
    }

    @Test
    void aCodeThatTheProviderDoesNotTakeProvesNothing() {
        ObjectNode proof = proof(begin(), aPerson("managers", "pudong"));
        finish(proof.put("code", "made-up")).is(401, "auth.failed");
        // The code of one sign-in with the verifier of another: PKCE.
        ObjectNode first = proof(begin(), aPerson("managers", "pudong"));
        ObjectNode second = proof(begin(), aPerson("managers", "pudong"));
        finish(second.put("code", first.get("code").textValue())).is(401, "auth.failed");
    }

    @Test
    void keysOfAllThreeKindsSignAndAFreshKeyIsFetched() {
        JWK before = provider.signing;
        for (JWK key : List.of(TestProvider.ec("e1"), TestProvider.ed("o1"), TestProvider.rsa("r2"))) {
            provider.shown.add(key);
            provider.signing = key;
            signIn(aPerson("managers", "pudong")).is(200);
        }
        provider.signing = before;
    }

    @Test
    void noWrongTokenOpensASession() {
        Map<String, UnaryOperator<JWTClaimsSet.Builder>> claims = new LinkedHashMap<>();
        claims.put("another issuer", set -> set.issuer("https://evil.example"));
        claims.put("another audience", set -> set.audience("somebody-else"));
        claims.put("no audience", set -> set.audience((String) null));
        claims.put("two audiences", set -> set.audience(List.of("kehu-test", "somebody-else")));
        claims.put("another azp", set -> set.claim("azp", "somebody-else"));
        claims.put("another nonce", set -> set.claim("nonce", "x"));
        claims.put("no nonce", set -> set.claim("nonce", null));
        claims.put("expired", set -> set.claim("exp", 1_000_000_000L));
        claims.put("no expiry", set -> set.claim("exp", null));
        claims.put("expiry as text", set -> set.claim("exp", "9999999999"));
        claims.put("from the future", set -> set.claim("iat", 9_999_999_999L));
        claims.put("not yet valid", set -> set.claim("nbf", 9_999_999_999L));
        claims.put("no subject", set -> set.subject(null));
        claims.put("long subject", set -> set.subject("s".repeat(300)));
        claims.forEach((what, change) -> {
            provider.claims = change;
            assertThat(signIn(aPerson("managers", "pudong")).status()).as(what).isEqualTo(401);
        });
        provider.reset();
        Map<String, UnaryOperator<String>> tokens = new LinkedHashMap<>();
        tokens.put("no token", token -> "");
        tokens.put("not a token", token -> "a.b.c");
        tokens.put("alg none", OidcTest::unsigned);
        tokens.put("no signature", token -> token.substring(0, token.lastIndexOf('.') + 1));
        tokens.put("changed claim", OidcTest::changed);
        tokens.put("foreign key of the same id", token -> resigned(token, TestProvider.rsa("r1")));
        tokens.put("unknown key", token -> resigned(token, TestProvider.ec("nobody")));
        tokens.put("public key as HMAC secret", OidcTest::confused);
        tokens.forEach((what, change) -> {
            provider.token = change;
            assertThat(signIn(aPerson("managers", "pudong")).status()).as(what).isEqualTo(401);
        });
        provider.reset();
        signIn(aPerson("managers", "pudong")).is(200);
    }

    private static JWTClaimsSet claimsOf(String token) {
        try {
            return SignedJWT.parse(token).getJWTClaimsSet();
        } catch (ParseException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String resigned(String token, JWK key) {
        return TestProvider.signed(key, claimsOf(token));
    }

    private static String base64(String text) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String unsigned(String token) {
        return base64("{\"alg\":\"none\"}") + "." + token.split("\\.")[1] + ".";
    }

    private static String changed(String token) {
        String[] parts = token.split("\\.");
        ObjectNode claims = Json.read(new String(Base64.getUrlDecoder().decode(parts[1]), StandardCharsets.UTF_8));
        return parts[0] + "." + base64(claims.put("sub", "admin").toString()) + "." + parts[2];
    }

    private static String confused(String token) {
        try {
            SignedJWT jwt = new SignedJWT(
                    new JWSHeader.Builder(JWSAlgorithm.HS256).keyID("r1").build(), claimsOf(token));
            jwt.sign(new MACSigner(
                    ((RSAKey) provider.shown.get(0)).toRSAPublicKey().getEncoded()));
            return jwt.serialize();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void aProviderInTroubleIsSaidToBeOutOfReachAndUnknownOnesAreNone() {
        ObjectNode proof = proof(begin(), aPerson("managers", "pudong"));
        provider.broken = true;
        finish(proof).is(503, "auth.providerUnavailable");
        kehu.anonymous()
                .send("POST", "/v1/auth/oidc/other/start", (byte[]) null)
                .is(404, "auth.providerUnknown");
        kehu.anonymous()
                .post("/v1/auth/ldap/login", "{\"username\": \"a\", \"password\": \"b\"}")
                .is(404, "auth.providerUnknown");
    }

    @Test
    void whatASignInRemembersIsUnreadableAndEveryStepIsInTheAudit() {
        Answer begun = begin();
        ObjectNode proof = proof(begun, aPerson("managers", "pudong"));
        String rows = kehu.sql("SELECT f::text AS row FROM iam.oidc_flow f").toString();
        Map<String, String> query =
                TestProvider.query(begun.at("/authorizationUrl").asText());
        assertThat(rows)
                .doesNotContain(
                        query.get("state"),
                        query.get("nonce"),
                        begun.at("/flow").asText());
        UUID staff = UUID.fromString(finish(proof).is(200).at("/staff/id").asText());
        assertThat(kehu.<String>value("SELECT kind || ' ' || operation FROM kehu.audit WHERE actor = ?", staff))
                .isEqualTo("sign-in finishOidc");
        finish(proof).is(401);
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE operation = 'finishOidc' AND code = 'auth.flowInvalid'"))
                .isPositive();
    }

    @Test
    void mappingsAreReplacedAsAWholeByWhoHasSeenThem() {
        Caller administrator = kehu.caller("administrator");
        Answer now = administrator.get("/v1/group-mappings").is(200);
        assertThat(now.at("/items")).hasSize(5);
        String same = Json.object().<ObjectNode>set("items", now.at("/items")).toString();
        administrator
                .send("PUT", "/v1/group-mappings", same, "If-Match", "\"9999\"")
                .is(412, "request.stale");
        map("""
                [{"source": "x", "group": "G", "roles": ["analyst"]}, {"source": "x", "group": "g", "roles": []}]""").is(409, "mapping.groupTaken");
        map("""
                [{"source": "x", "group": "G", "roles": ["no-such"]}]""").is(422, "staff.roleUnknown");
        map("""
                [{"source": "x", "group": "G", "roles": [], "branchId": "%s"}]""".formatted(UUID.randomUUID())).is(422, "mapping.branchUnknown");
        Answer again = administrator
                .send("PUT", "/v1/group-mappings", same, "If-Match", now.etag())
                .is(200);
        assertThat(again.at("/items")).isEqualTo(now.at("/items"));
        assertThat(again.etag()).isNotEqualTo(now.etag());
    }

    @Test
    void whoHasASecondFactorHereIsAskedForItUnlessTheProviderSawOne() {
        Person person = aPerson("managers", "pudong");
        UUID id = UUID.fromString(signIn(person).is(200).at("/staff/id").asText());
        TestFactors.sms(kehu, id);
        Answer asked = signIn(person).is(401, "auth.factorRequired");
        assertThat(asked.at("/methods/0").asText()).isEqualTo("sms");
        provider.claims = set -> set.claim("amr", List.of("pwd"));
        signIn(person).is(401, "auth.factorRequired");
        provider.claims = set -> set.claim("amr", List.of("pwd", "otp"));
        caller(signIn(person)).get("/v1/auth/me").is(200);
        Answer second = kehu.anonymous()
                .post(
                        "/v1/auth/factor",
                        TestFactors.secondStep(
                                asked.at("/challenge").asText(), "recovery", TestFactors.recoveryCode(kehu, id)))
                .is(200);
        assertThat(second.at("/staff/id").asText()).isEqualTo(id.toString());
        caller(second).get("/v1/auth/me").is(200);
    }
}
