package io.kehu.iam.partner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.staff.DemoStaff;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.bouncycastle.crypto.signers.Ed25519Signer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PartnerTest {
    private static final AtomicInteger NUMBERS = new AtomicInteger();
    private static TestKehu kehu;
    private static Caller administrator;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(Map.of("KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32"));
        administrator = kehu.caller("administrator");
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    @AfterEach
    void setTheClockRight() {
        kehu.moveClock(0);
    }

    private static String draft(String more) {
        return """
                {"name": "system-%d", "purpose": "订单系统", "permissions": ["event:read", "branch:read"]%s}""".formatted(NUMBERS.incrementAndGet(), more);
    }

    private static UUID aPartner() {
        return aPartner("");
    }

    private static UUID aPartner(String more) {
        return UUID.fromString(administrator
                .post("/v1/partners", draft(more))
                .is(201)
                .at("/id")
                .asText());
    }

    private static Answer aKey(UUID partner) {
        // The clock moves, and tokens with it.
        return kehu.signIn(administrator.id)
                .post("/v1/partners/" + partner + "/keys", "{\"days\": 30}")
                .is(201);
    }

    private static ObjectNode request(UUID partner, String secret) {
        return Json.object()
                .put("grant_type", "client_credentials")
                .put("client_id", partner.toString())
                .put("client_secret", secret);
    }

    private static Answer token(ObjectNode request, String... headers) {
        return kehu.anonymous().post("/v1/auth/token", request.toString(), headers);
    }

    private static Answer token(Answer key) {
        return token(request(
                UUID.fromString(key.at("/clientId").asText()),
                key.at("/clientSecret").asText()));
    }

    private static Caller caller(Answer key) {
        return kehu.with(token(key).is(200).at("/access_token").asText());
    }

    private static Answer change(UUID partner, String patch) {
        String path = "/v1/partners/" + partner;
        return administrator.patch(path, administrator.get(path).etag(), patch);
    }

    /** A second is what safety.md 4 allows; a little more for a machine that is busy. */
    private static void becomes401(Caller caller) {
        await().atMost(Duration.ofSeconds(5))
                .until(() -> caller.get("/v1/partners/me").status() == 401);
    }

    @Test
    void aSystemIsLetInGetsAKeyAndCallsAsItself() {
        Answer made = administrator.post("/v1/partners", draft("")).is(201);
        UUID partner = UUID.fromString(made.at("/id").asText());
        Answer key = aKey(partner);
        Answer token = token(key).is(200);
        assertThat(token.at("/expires_in").asInt()).isEqualTo(300);
        assertThat(token.at("/scope").asText()).isEqualTo("branch:read event:read");
        assertThat(token.json().has("refresh_token")).isFalse();
        Answer me = kehu.with(token.at("/access_token").asText())
                .get("/v1/partners/me")
                .is(200);
        assertThat(me.at("/id").asText()).isEqualTo(partner.toString());
        assertThat(me.at("/name")).isEqualTo(made.at("/name"));
        Answer shown = administrator.get("/v1/partners/" + partner).is(200);
        assertThat(shown.at("/keys/0/id")).isEqualTo(key.at("/id"));
        assertThat(shown.text()).doesNotContain(key.at("/clientSecret").asText());
        assertThat(shown.etag()).isEqualTo("\"2\"");
    }

    private static String[] signed(String token, Ed25519PrivateKeyParameters secret, String method, String path) {
        String input = "(\"@method\" \"@path\" \"@query\" \"authorization\");created="
                + Instant.now().getEpochSecond();
        byte[] base = ("\"@method\": " + method + "\n\"@path\": " + path + "\n\"@query\": ?\n\"authorization\": Bearer "
                        + token + "\n\"@signature-params\": " + input)
                .getBytes(StandardCharsets.US_ASCII);
        Ed25519Signer signer = new Ed25519Signer();
        signer.init(true, secret);
        signer.update(base, 0, base.length);
        return new String[] {
            "Signature-Input",
            "k=" + input,
            "Signature",
            "k=:" + Base64.getEncoder().encodeToString(signer.generateSignature()) + ":"
        };
    }

    @Test
    void aPartnerWithAKeyForRequestsSignsEachOfThem() {
        Ed25519PrivateKeyParameters secret = new Ed25519PrivateKeyParameters(new SecureRandom());
        String half = Base64.getUrlEncoder()
                .withoutPadding()
                .encodeToString(secret.generatePublicKey().getEncoded());
        UUID partner = aPartner();
        Answer key = aKey(partner);
        Caller before = caller(key);
        before.get("/v1/partners/me").is(200);
        assertThat(change(partner, "{\"requestKey\": \"" + half + "\"}")
                        .is(200)
                        .at("/requestKey")
                        .asText())
                .isEqualTo(half);
        becomes401(before);

        String token = token(key).is(200).at("/access_token").asText();
        Caller caller = kehu.with(token);
        caller.get("/v1/partners/me").is(401, "auth.signatureInvalid");
        caller.get("/v1/partners/me", signed(token, secret, "GET", "/v1/partners/me"))
                .is(200);
        caller.get("/v1/partners/me", signed(token, secret, "POST", "/v1/partners/me"))
                .is(401, "auth.signatureInvalid");
        caller.get("/v1/partners/me", signed(token, secret, "GET", "/v1/branches"))
                .is(401, "auth.signatureInvalid");
        caller.get(
                        "/v1/partners/me",
                        signed(token, new Ed25519PrivateKeyParameters(new SecureRandom()), "GET", "/v1/partners/me"))
                .is(401, "auth.signatureInvalid");
        caller.get("/v1/partners/me?x=1", signed(token, secret, "GET", "/v1/partners/me"))
                .is(400);
        caller.get("/v1/events", signed(token, secret, "GET", "/v1/events")).is(200);
        caller.get("/v1/events?limit=1", signed(token, secret, "GET", "/v1/events"))
                .is(401, "auth.signatureInvalid");

        change(partner, "{\"requestKey\": \"" + "A".repeat(43) + "\"}").is(400, "request.invalid");
        change(partner, "{\"requestKey\": null}").is(200);
        caller(key).get("/v1/partners/me").is(200);
    }

    @Test
    void basicAuthenticationIsTheSameAsTheBody() {
        Answer key = aKey(aPartner());
        String pair =
                key.at("/clientId").asText() + ":" + key.at("/clientSecret").asText();
        String header = "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8));
        ObjectNode bare = Json.object().put("grant_type", "client_credentials");
        token(bare, "Authorization", header).is(200);
        token(bare, "Authorization", "Bearer " + administrator.token).is(400, "request.invalid");
        assertThat(token(bare)
                        .is(400, "request.invalid")
                        .at("/errors/0/pointer")
                        .asText())
                .isEqualTo("/client_id");
        // RFC 6749, section 2.3: not more than one way in a request.
        token(request(UUID.randomUUID(), "x"), "Authorization", header).is(400, "request.invalid");
        for (String wrong : List.of("Basic !!", "Basic QUJD", "basic QUJDREVG")) {
            assertThat(token(bare, "Authorization", wrong)
                            .is(400, "request.invalid")
                            .at("/errors/0/pointer")
                            .asText())
                    .isEqualTo("Authorization");
        }
    }

    @Test
    void unknownSuspendedExpiredAndWrongAreOneAnswer() {
        Answer good = aKey(aPartner());
        UUID suspended = aPartner();
        Answer itsKey = aKey(suspended);
        change(suspended, "{\"state\": \"suspended\"}").is(200);
        List<Answer> answers = new ArrayList<>();
        answers.add(token(request(UUID.randomUUID(), good.at("/clientSecret").asText())));
        answers.add(token(request(UUID.fromString(good.at("/clientId").asText()), "A".repeat(43))));
        answers.add(token(itsKey));
        answers.add(token(request(suspended, good.at("/clientSecret").asText())));
        kehu.moveClock(Duration.ofDays(31).toSeconds());
        answers.add(token(good));
        assertThat(answers).allSatisfy(answer -> {
            answer.is(401, "auth.failed");
            assertThat(withoutRequestId(answer)).isEqualTo(withoutRequestId(answers.get(0)));
        });
    }

    private static ObjectNode withoutRequestId(Answer answer) {
        ObjectNode body = answer.json();
        body.remove("requestId");
        return body;
    }

    @Test
    void twoKeysLiveWhileOneReplacesTheOtherAndAThirdIsRefused() {
        UUID partner = aPartner();
        Answer old = aKey(partner);
        Answer fresh = aKey(partner);
        token(old).is(200);
        token(fresh).is(200);
        administrator
                .post("/v1/partners/" + partner + "/keys", "{\"days\": 30}")
                .is(409, "partner.keysTaken");
        String path = "/v1/partners/" + partner + "/keys/";
        administrator
                .send("DELETE", path + old.at("/id").asText(), (byte[]) null)
                .is(204);
        administrator
                .send("DELETE", path + old.at("/id").asText(), (byte[]) null)
                .is(404, "partner.keyNotFound");
        token(old).is(401, "auth.failed");
        token(fresh).is(200);
        aKey(partner);
        // What has expired takes no place.
        kehu.moveClock(Duration.ofDays(31).toSeconds());
        aKey(partner);
        assertThat(kehu.signIn(administrator.id).get("/v1/partners/" + partner).at("/keys"))
                .hasSize(1);
    }

    @Test
    void takingAKeyBackChangingAndSuspendingMakeEveryTokenWorthless() {
        UUID partner = aPartner();
        Answer key = aKey(partner);
        Answer other = aKey(partner);
        Caller first = caller(key);
        first.get("/v1/partners/me").is(200);
        administrator
                .send(
                        "DELETE",
                        "/v1/partners/" + partner + "/keys/" + key.at("/id").asText(),
                        (byte[]) null)
                .is(204);
        becomes401(first);
        Caller second = caller(other);
        change(partner, "{\"permissions\": [\"event:read\"]}").is(200);
        becomes401(second);
        Caller third = caller(other);
        assertThat(third.get("/v1/partners/me").at("/permissions")).hasSize(1);
        change(partner, "{\"state\": \"suspended\"}").is(200);
        becomes401(third);
        Caller unharmed = caller(aKey(aPartner()));
        unharmed.get("/v1/partners/me").is(200);
    }

    @Test
    void aChangeOfThePurposeAloneHarmsNoToken() {
        UUID partner = aPartner();
        Caller caller = caller(aKey(partner));
        change(partner, "{\"purpose\": \"新的用途\"}").is(200);
        assertThat(kehu.<Long>value("SELECT rights FROM iam.partner WHERE id = ?", partner))
                .isEqualTo(1);
        caller.get("/v1/partners/me").is(200);
    }

    @Test
    void aTokenMayBeLimitedToSomeScopesAndNeverToMoreThanThePartnerHas() {
        Answer key = aKey(aPartner());
        ObjectNode request = request(
                UUID.fromString(key.at("/clientId").asText()),
                key.at("/clientSecret").asText());
        Answer narrow = token(request.deepCopy().put("scope", "branch:read")).is(200);
        assertThat(narrow.at("/scope").asText()).isEqualTo("branch:read");
        Caller caller = kehu.with(narrow.at("/access_token").asText());
        assertThat(caller.get("/v1/partners/me").at("/permissions")).hasSize(1);
        caller.get("/v1/events").is(403, "auth.forbidden");
        token(request.deepCopy().put("scope", "branch:read staff:read")).is(400, "partner.scopeInvalid");
        token(request.deepCopy().put("scope", "branch:read  event:read")).is(400, "request.invalid");
    }

    @Test
    void onlyWhatOpensSomethingForPartnersMayBeGranted() {
        for (String permission : List.of("staff:manage", "customer:unmask", "no:such")) {
            administrator
                    .post("/v1/partners", draft("").replace("branch:read", permission))
                    .is(422, "partner.permissionUnknown");
        }
        UUID partner = aPartner();
        change(partner, "{\"permissions\": [\"partner:manage\"]}").is(422, "partner.permissionUnknown");
    }

    @Test
    void aPartnerCallsFromItsNetworksOnlyAlsoForAToken() {
        UUID partner = aPartner(", \"networks\": [\"10.20.0.0/16\", \"2001:db8::/32\"]");
        Answer key = aKey(partner);
        ObjectNode request = request(partner, key.at("/clientSecret").asText());
        token(request, "X-Forwarded-For", "10.21.0.1").is(403, "auth.network");
        token(request, "X-Forwarded-For", "2001:db9::1").is(403, "auth.network");
        Answer token = token(request, "X-Forwarded-For", "10.20.3.4").is(200);
        Caller caller = kehu.with(token.at("/access_token").asText());
        caller.get("/v1/partners/me", "X-Forwarded-For", "2001:db8::7").is(200);
        caller.get("/v1/partners/me", "X-Forwarded-For", "10.21.0.1").is(403, "auth.network");
        caller.get("/v1/partners/me").is(403, "auth.network");
        // A wrong secret from elsewhere does not learn that the network was the fault.
        token(request(partner, "B".repeat(43)), "X-Forwarded-For", "10.21.0.1").is(401, "auth.failed");
        change(partner, "{\"networks\": [\"10.21.0.0/16\"]}").is(200);
        becomes401(caller);
        for (String wrong : List.of("10.20.0.0/33", "1.2.3/8", "999.1.1.1/8", "::1/129")) {
            assertThat(administrator
                            .post("/v1/partners", draft(", \"networks\": [\"" + wrong + "\"]"))
                            .is(400, "request.invalid")
                            .at("/errors/0/pointer")
                            .asText())
                    .isEqualTo("/networks/0");
        }
    }

    @Test
    void aPartnerReadsTheEventsOfItsBranchesAndNoOthers() {
        String here = DemoStaff.id("SH").toString();
        UUID partner = UUID.fromString(administrator
                .post("/v1/partners", """
                        {"name": "events-%d", "purpose": "事件", "permissions": ["event:read", "customer:read"], "branchId": "%s"}""".formatted(NUMBERS.incrementAndGet(), here))
                .is(201)
                .at("/id")
                .asText());
        Caller caller = caller(aKey(partner));
        String inside = aCustomerAt("SH-PD");
        String outside = aCustomerAt("BJ-CY");
        await().atMost(Duration.ofSeconds(10)).untilAsserted(() -> {
            String events = caller.get("/v1/events?types=customer.created&limit=1000")
                    .is(200)
                    .text();
            assertThat(events).contains(inside).doesNotContain(outside);
            assertThat(kehu.caller("analyst")
                            .get("/v1/events?types=customer.created&limit=1000")
                            .text())
                    .contains(outside);
        });
        Caller withoutBranch = caller(aKey(UUID.fromString(administrator
                .post("/v1/partners", draft("").replace("branch:read", "customer:read"))
                .is(201)
                .at("/id")
                .asText())));
        assertThat(withoutBranch.get("/v1/events?types=customer.created").at("/items"))
                .isEmpty();
    }

    private static String aCustomerAt(String branch) {
        return kehu.signIn(DemoStaff.id("marketing"))
                .post("/v1/customers", """
                        {"kind": "person", "name": "事件客户", "branchId": "%s"}""".formatted(DemoStaff.id(branch)))
                .is(201)
                .at("/id")
                .asText();
    }

    @Test
    void namesAreTakenOnceBranchesMustExistAndStaleChangesAreRefused() {
        String draft = draft("");
        Answer made = administrator.post("/v1/partners", draft).is(201);
        administrator.post("/v1/partners", draft).is(409, "partner.nameTaken");
        administrator
                .post("/v1/partners", draft(", \"branchId\": \"" + UUID.randomUUID() + "\""))
                .is(422, "partner.branchUnknown");
        String path = made.header("Location");
        administrator.patch(path, "\"7\"", "{\"state\": \"suspended\"}").is(412, "request.stale");
        administrator.get("/v1/partners/" + UUID.randomUUID()).is(404, "partner.notFound");
        String body = administrator.get("/v1/partners?limit=1").is(200).text();
        assertThat(body).contains("\"next\":\"");
        assertThat(administrator.get("/v1/partners?limit=200").is(200).text())
                .contains(made.at("/id").asText());
    }

    @Test
    void secretsAreKnownOnlyByTheirHashAndEveryStepIsInTheAudit() {
        UUID partner = aPartner();
        Answer key = aKey(partner);
        token(key).is(200);
        token(request(partner, "C".repeat(43))).is(401);
        String secret = key.at("/clientSecret").asText();
        String rows = kehu.sql("SELECT a::text AS row FROM kehu.audit a").toString()
                + kehu.sql("SELECT k::text AS row FROM iam.partner_key k")
                + kehu.sql("SELECT e::text AS row FROM kehu.event e");
        assertThat(rows).doesNotContain(secret);
        List<Map<String, Object>> seen = kehu.sql(
                "SELECT code FROM kehu.audit WHERE operation = 'issueToken' AND actor = ? ORDER BY at", partner);
        assertThat(seen).extracting(row -> String.valueOf(row.get("code"))).containsExactly("null", "auth.failed");
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE object_id = ? AND kind IN ('grant', 'key')", partner))
                .isEqualTo(2);
    }

    @Test
    void aTokenIsNotIssuedOnTrialAndEndsWithItsSession() {
        Answer key = aKey(aPartner());
        ObjectNode request = request(
                UUID.fromString(key.at("/clientId").asText()),
                key.at("/clientSecret").asText());
        token(request, "Dry-Run", "true").is(400, "request.noDryRun");
        Caller caller = caller(key);
        caller.get("/v1/partners/me").is(200);
        kehu.moveClock(301);
        await().atMost(Duration.ofSeconds(5))
                .until(() -> caller.get("/v1/partners/me").status() == 401);
        JsonNode left = kehu.anonymous()
                .post("/v1/auth/refresh", "{\"refreshToken\": \"" + "D".repeat(43) + "\"}")
                .is(401)
                .json();
        assertThat(left.path("code").asText()).isEqualTo("auth.refreshInvalid");
    }
}
