package io.kehu.iam.passkey;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.factor.TestFactors;
import io.kehu.iam.factor.TestFactors.Person;
import io.kehu.iam.passkey.TestAuthenticator.Ceremony;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Passkeys as a second factor: the second step of a sign-in, and fresh proof in a session. */
class PasskeyFactorTest {
    private static final String FACTOR = "/v1/auth/factor";
    private static final String STEP_UP = "/v1/auth/step-up";
    private static final Consumer<Ceremony> HONEST = made -> {};

    private static TestKehu kehu;

    private static TestKehu start(String... more) {
        Map<String, String> settings = new HashMap<>(TestAuthenticator.settings());
        settings.put("KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000");
        for (int i = 0; i < more.length; i += 2) {
            settings.put(more[i], more[i + 1]);
        }
        return TestKehu.start(settings);
    }

    @BeforeAll
    static void start() {
        kehu = start(new String[0]);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static String body(@Nullable String challenge, @Nullable ObjectNode credential) {
        ObjectNode body = Json.object().put("method", "passkey");
        if (challenge != null) {
            body.put("challenge", challenge);
        }
        if (credential != null) {
            body.set("credential", credential);
        }
        return body.toString();
    }

    private static String challenge(Person person) {
        return TestFactors.login(kehu, person)
                .is(401, "auth.factorRequired")
                .at("/challenge")
                .asText();
    }

    private static JsonNode begin(String challenge) {
        return TestAuthenticator.options(kehu.anonymous()
                .post(
                        FACTOR + "/passkey",
                        Json.object().put("challenge", challenge).toString()));
    }

    private static Answer finish(String challenge, ObjectNode credential) {
        return kehu.anonymous().post(FACTOR, body(challenge, credential));
    }

    private static JsonNode beginStepUp(Caller caller) {
        return TestAuthenticator.options(caller.send("POST", STEP_UP + "/passkey", (byte[]) null));
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(text -> texts.add(text.asText()));
        return texts;
    }

    @Test
    void aPasskeyIsTheSecondStepOfASignIn() {
        Person person = TestFactors.aPerson(kehu, "analyst");
        TestAuthenticator device = TestAuthenticator.of(kehu.signIn(person.id()), 1);
        Answer asked = TestFactors.login(kehu, person).is(401, "auth.factorRequired");
        assertThat(texts(asked.at("/methods"))).containsExactly("passkey");
        String challenge = asked.at("/challenge").asText();
        JsonNode options = begin(challenge);
        assertThat(options.at("/allowCredentials/0/id").asText()).isEqualTo(TestAuthenticator.text(device.id));
        Answer tokens = finish(challenge, device.get(options, HONEST)).is(200);
        kehu.with(tokens.at("/accessToken").asText()).get("/v1/auth/me").is(200);
        // Alone it is both steps.
        kehu.anonymous()
                .post("/v1/auth/passkeys/sign-in", device.freshProof(kehu))
                .is(200);
    }

    @Test
    void noForgeryTakesTheSecondStepAndEachCountsLikeAWrongCode() {
        TestAuthenticator others = TestAuthenticator.of(kehu.caller("analyst"), 1);
        Map<String, Consumer<Ceremony>> forgeries = new LinkedHashMap<>();
        forgeries.put("nobody verified", made -> made.flags = TestAuthenticator.PRESENT);
        forgeries.put("a page elsewhere", made -> made.page = "https://evil.test");
        forgeries.put("signed by another device", made -> made.signer = others.keys.getPrivate());
        forgeries.put("another person's credential", made -> made.id = others.id);
        forgeries.put("a challenge of its own", made -> made.challenge = TestAuthenticator.random(32));
        forgeries.put(
                "a challenge of a sign-in",
                made -> made.challenge =
                        TestAuthenticator.bytes(TestAuthenticator.signIn(kehu).get("challenge")));
        forgeries.forEach((what, forger) -> {
            Person person = TestFactors.aPerson(kehu, "analyst");
            TestAuthenticator device = TestAuthenticator.of(kehu.signIn(person.id()), 1);
            String challenge = challenge(person);
            long failures = failures();
            Answer answer = finish(challenge, device.get(begin(challenge), forger));
            assertThat(answer.status()).as(what).isEqualTo(401);
            assertThat(answer.code()).as(what).isEqualTo("auth.factorFailed");
            assertThat(failures()).as(what).isEqualTo(failures + 1);
            finish(challenge, device.get(begin(challenge), HONEST)).is(200);
        });
        Person person = TestFactors.aPerson(kehu, "analyst");
        TestAuthenticator.of(kehu.signIn(person.id()), 1);
        kehu.anonymous().post(FACTOR, body(challenge(person), null)).is(400, "request.invalid");
        kehu.anonymous()
                .post(FACTOR + "/passkey", "{\"challenge\": \"" + "A".repeat(43) + "\"}")
                .is(401, "auth.factorFailed");
    }

    private static long failures() {
        return kehu.<Long>value("SELECT coalesce(sum(failures), 0) FROM iam.attempt WHERE kind = 'account'");
    }

    @Test
    void aPasskeyIsFreshProofInASessionOnce() {
        Person person = TestFactors.aPerson(kehu, "analyst");
        TestAuthenticator device = TestAuthenticator.of(kehu.signIn(person.id()), 0);
        Caller caller = kehu.signIn(person.id());
        TestFactors.age(kehu, person.id(), 6);
        Answer refused = caller.send("POST", "/v1/auth/passkeys/registration", (byte[]) null)
                .is(401, "auth.stepUp");
        assertThat(texts(refused.at("/methods"))).containsExactly("passkey");
        caller.post(STEP_UP, body(null, null)).is(400, "request.invalid");
        caller.post(STEP_UP, body(null, device.get(beginStepUp(caller), made -> made.flags = 0)))
                .is(422, "factor.proofWrong");
        TestAuthenticator others = TestAuthenticator.of(kehu.caller("analyst"), 0);
        caller.post(STEP_UP, body(null, others.get(beginStepUp(caller), HONEST)))
                .is(422, "factor.proofWrong");
        ObjectNode proof = device.get(beginStepUp(caller), HONEST);
        caller.post(STEP_UP, body(null, proof)).is(204);
        caller.send("POST", "/v1/auth/passkeys/registration", (byte[]) null).is(200);
        caller.post(STEP_UP, body(null, proof)).is(422, "factor.proofWrong");
    }

    @Test
    void itIsListedAndRemovedLikeEveryFactorAndFromBothSides() {
        for (String path : List.of("/v1/auth/factors/", "/v1/auth/passkeys/")) {
            Person person = TestFactors.aPerson(kehu, "analyst");
            Caller caller = kehu.signIn(person.id());
            TestAuthenticator device = TestAuthenticator.of(caller, 0);
            JsonNode factors = caller.get("/v1/auth/factors").is(200).json();
            assertThat(factors.at("/items/0/kind").asText()).isEqualTo("passkey");
            assertThat(factors.at("/items/0/label").asText()).isEqualTo("办公电脑");
            caller.send("POST", "/v1/auth/factors/recovery-codes", (byte[]) null)
                    .is(200);
            String id = factors.at("/items/0/id").asText();
            assertThat(caller.get("/v1/auth/passkeys").at("/items/0/id").asText())
                    .isEqualTo(id);

            caller.send("DELETE", path + id, (byte[]) null).is(204);
            assertThat(caller.get("/v1/auth/passkeys").is(200).at("/items")).isEmpty();
            JsonNode left = caller.get("/v1/auth/factors").is(200).json();
            assertThat(left.at("/items")).isEmpty();
            assertThat(left.at("/recoveryCodes").asInt()).isZero();
            TestFactors.login(kehu, person).is(200);
            kehu.anonymous()
                    .post("/v1/auth/passkeys/sign-in", device.freshProof(kehu))
                    .is(401, "auth.passkeyInvalid");
        }
    }

    @Test
    void aCounterThatGoesBackInTheSecondStepLocksThePasskeyWhichIsNoMethodAnyMore() {
        Person person = TestFactors.aPerson(kehu, "analyst");
        Caller caller = kehu.signIn(person.id());
        TestAuthenticator device = TestAuthenticator.of(caller, 5);
        String challenge = challenge(person);
        finish(challenge, device.get(begin(challenge), made -> made.count = 5)).is(401, "auth.factorFailed");
        assertThat(caller.get("/v1/auth/passkeys").at("/items/0/locked").asBoolean())
                .isTrue();
        assertThat(caller.get("/v1/auth/factors").at("/items/0/state").asText()).isEqualTo("pending");
        kehu.anonymous()
                .post(FACTOR + "/passkey", "{\"challenge\": \"" + challenge + "\"}")
                .is(404, "passkey.notFound");
    }

    @Test
    void whoNeedsAFactorMayWorkOnceHeHasAPasskey() {
        try (TestKehu strict = start("KEHU_AUTH_SECOND_FACTOR", "required")) {
            Person person = TestFactors.aPerson(strict, "branch-head");
            Answer tokens = TestFactors.login(strict, person).is(200);
            assertThat(tokens.at("/mustEnrolFactor").asBoolean()).isTrue();
            Caller held = strict.with(tokens.at("/accessToken").asText());
            held.get("/v1/branches").is(403);
            TestAuthenticator device = TestAuthenticator.of(held, 0);
            await().until(() -> held.get("/v1/branches").status() == 200);
            Answer alone = strict.anonymous()
                    .post("/v1/auth/passkeys/sign-in", device.freshProof(strict))
                    .is(200);
            assertThat(alone.at("/mustEnrolFactor").asBoolean()).isFalse();
            strict.with(alone.at("/accessToken").asText()).get("/v1/branches").is(200);
            assertThat(strict.<UUID>value("SELECT id FROM iam.factor WHERE staff_id = ?", person.id()))
                    .isEqualTo(strict.<UUID>value("SELECT id FROM iam.passkey WHERE staff_id = ?", person.id()));
        }
    }
}
