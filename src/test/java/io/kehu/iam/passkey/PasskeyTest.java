package io.kehu.iam.passkey;

import static io.kehu.iam.passkey.TestAuthenticator.draft;
import static io.kehu.iam.passkey.TestAuthenticator.proof;
import static io.kehu.iam.passkey.TestAuthenticator.random;
import static io.kehu.iam.passkey.TestAuthenticator.registration;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.iam.passkey.TestAuthenticator.Ceremony;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PasskeyTest {
    private static final String PASSKEYS = "/v1/auth/passkeys";
    private static final String SIGN_IN = "/v1/auth/passkeys/sign-in";
    private static final Consumer<Ceremony> HONEST = made -> {};

    private static TestKehu kehu;

    @BeforeAll
    static void start() {
        Map<String, String> settings = new HashMap<>(TestAuthenticator.settings());
        settings.put("KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000");
        kehu = TestKehu.start(settings);
    }

    @AfterAll
    static void stop() {
        kehu.close();
    }

    private static Caller aPerson() {
        return kehu.caller("analyst");
    }

    private static JsonNode begin() {
        return TestAuthenticator.signIn(kehu);
    }

    private static Answer finish(ObjectNode credential) {
        return kehu.anonymous().post(SIGN_IN, proof(credential));
    }

    private static Answer signIn(TestAuthenticator device) {
        return finish(device.get(begin(), HONEST));
    }

    private static Answer create(Caller caller, ObjectNode credential) {
        return caller.post(PASSKEYS, draft(credential));
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.is(200).at("/accessToken").asText());
    }

    private static UUID passkeyOf(Caller caller) {
        return UUID.fromString(caller.get(PASSKEYS).is(200).at("/items/0/id").asText());
    }

    /** Everything that signing in could have changed. */
    private static String state() {
        return kehu.sql("SELECT p::text FROM iam.passkey p ORDER BY id").toString()
                + kehu.sql("SELECT count(*) FROM iam.session")
                + kehu.sql("SELECT count(*) FROM iam.passkey_past");
    }

    // The ceremony as it should be

    @Test
    void aPersonMakesAPasskeyAndSignsInWithItAlone() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.create();
        device.count = 7;
        Answer made =
                create(person, device.create(registration(person), HONEST)).is(201);
        assertThat(made.header("Location"))
                .isEqualTo(PASSKEYS + "/" + made.at("/id").asText());
        assertThat(made.at("/lastUsedAt").isNull()).isTrue();

        Answer tokens = signIn(device).is(200);
        assertThat(tokens.at("/staff/id").asText()).isEqualTo(person.id.toString());
        assertThat(tokens.at("/mustChangePassword").asBoolean()).isFalse();
        assertThat(caller(tokens).get("/v1/auth/me").is(200).at("/id").asText()).isEqualTo(person.id.toString());

        JsonNode listed = person.get(PASSKEYS).is(200).at("/items/0");
        assertThat(listed.get("id")).isEqualTo(made.at("/id"));
        assertThat(listed.get("name").asText()).isEqualTo("办公电脑");
        assertThat(listed.get("lastUsedAt").isTextual()).isTrue();
        assertThat(listed.get("locked").asBoolean()).isFalse();
        assertThat(kehu.<Long>value("SELECT sign_count FROM iam.passkey WHERE staff_id = ?", person.id))
                .isEqualTo(8);
        signIn(device).is(200);
    }

    @Test
    void theProofIsFreshEnoughForWhatAsksForAFreshOne() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        Caller again = caller(signIn(device));
        again.send("DELETE", PASSKEYS + "/" + passkeyOf(again), (byte[]) null).is(204);
        assertThat(again.get(PASSKEYS).is(200).at("/items")).isEmpty();
    }

    @Test
    void aWebPageGetsTheRefreshTokenAsACookieAndADeviceElsewhereOnTheDomainSignsToo() {
        TestAuthenticator device = TestAuthenticator.of(aPerson(), 0);
        ObjectNode credential = device.get(begin(), made -> made.page = "https://bank.example:8443");
        String body = proof(credential).replaceFirst("\\{", "{\"cookie\": true, ");
        Answer tokens = kehu.anonymous().post(SIGN_IN, body).is(200);
        assertThat(tokens.at("/refreshToken").isMissingNode()).isTrue();
        assertThat(tokens.header("Set-Cookie")).contains("HttpOnly", "SameSite=Strict");
    }

    @Test
    void devicesAreAskedForWhatFindsItselfAndVerifiesItsOwnerAndAreToldNothingOfHim() {
        Caller person = aPerson();
        JsonNode first = registration(person);
        assertThat(first.at("/rp/id").asText()).isEqualTo(TestAuthenticator.DOMAIN);
        assertThat(first.at("/authenticatorSelection/residentKey").asText()).isEqualTo("required");
        assertThat(first.at("/authenticatorSelection/userVerification").asText())
                .isEqualTo("required");
        assertThat(first.at("/attestation").asText()).isEqualTo("none");
        assertThat(first.at("/pubKeyCredParams/0/alg").asInt()).isEqualTo(-7);
        assertThat(first.at("/excludeCredentials")).isEmpty();
        assertThat(TestAuthenticator.bytes(first.at("/user/id"))).hasSize(32);
        assertThat(first.toString()).doesNotContain("测试员", person.id.toString());

        TestAuthenticator device = TestAuthenticator.of(person, 0);
        JsonNode second = registration(person);
        assertThat(second.at("/user/id")).isEqualTo(first.at("/user/id"));
        assertThat(second.at("/challenge")).isNotEqualTo(first.at("/challenge"));
        assertThat(second.at("/excludeCredentials/0/id").asText()).isEqualTo(TestAuthenticator.text(device.id));
        assertThat(second.at("/excludeCredentials/0/transports").toString()).isEqualTo("[\"internal\",\"hybrid\"]");
        assertThat(registration(aPerson()).at("/user/id")).isNotEqualTo(first.at("/user/id"));

        // Of whoever signs in nothing is known yet, and so nothing told.
        JsonNode asked = begin();
        assertThat(asked.at("/allowCredentials")).isEmpty();
        assertThat(asked.at("/userVerification").asText()).isEqualTo("required");
    }

    // Forgeries

    /** Each makes one thing wrong of an answer that would be good otherwise. */
    private static Map<String, Consumer<Ceremony>> forgeries() {
        Map<String, Consumer<Ceremony>> forgeries = new LinkedHashMap<>();
        forgeries.put("a page elsewhere", made -> made.page = "https://bank.example.evil.test");
        forgeries.put("another page of the domain", made -> made.page = "https://bank.example");
        forgeries.put("a page without TLS", made -> made.page = "http://staff.bank.example");
        forgeries.put("no page", made -> made.page = "");
        forgeries.put("another domain", made -> made.domain = "evil.test");
        forgeries.put("the domain of the page only", made -> made.domain = "staff.bank.example");
        forgeries.put("a challenge of its own", made -> made.challenge = random(32));
        forgeries.put("no challenge", made -> made.challenge = new byte[0]);
        forgeries.put("a cut challenge", made -> made.challenge = Arrays.copyOf(made.challenge, 31));
        forgeries.put("nobody present", made -> made.flags &= ~TestAuthenticator.PRESENT);
        forgeries.put("nobody verified", made -> made.flags &= ~TestAuthenticator.VERIFIED);
        forgeries.put("backed up, which it cannot be", made -> made.flags |= TestAuthenticator.BACKED_UP);
        forgeries.put("a frame of another page", made -> made.crossOrigin = true);
        forgeries.put("a frame of another page, named", made -> {
            made.crossOrigin = true;
            made.topOrigin = "https://evil.test";
        });
        forgeries.put("a page around it", made -> made.topOrigin = TestAuthenticator.PAGE);
        forgeries.put("data cut short", made -> made.signed = bytes -> Arrays.copyOf(bytes, 36));
        forgeries.put("data with more behind", made -> made.signed = bytes -> Arrays.copyOf(bytes, bytes.length + 1));
        return forgeries;
    }

    @Test
    void nothingForgedSignsAnybodyInAndAllGetOneAnswer() {
        Caller other = aPerson();
        TestAuthenticator others = TestAuthenticator.of(other, 3);
        TestAuthenticator device = TestAuthenticator.of(aPerson(), 3);
        Map<String, Consumer<Ceremony>> forgeries = forgeries();
        forgeries.put("made, not asked", made -> made.type = "webauthn.create");
        forgeries.put("a payment", made -> made.type = "payment.get");
        forgeries.put(
                "an altered signature",
                made -> made.signature = bytes -> {
                    bytes[bytes.length - 1] ^= 1;
                    return bytes;
                });
        forgeries.put("no signature to speak of", made -> made.signature = bytes -> new byte[] {0});
        forgeries.put("signed by another device", made -> made.signer = others.keys.getPrivate());
        forgeries.put("another person's credential", made -> made.id = others.id);
        forgeries.put("another person's credential and handle", made -> {
            made.id = others.id;
            made.handle = others.handle;
        });
        forgeries.put("another person's handle", made -> made.handle = others.handle);
        forgeries.put("no handle", made -> made.handle = null);
        forgeries.put("a made-up handle", made -> made.handle = new byte[32]);
        forgeries.put("an unknown credential", made -> made.id = random(32));
        forgeries.put(
                "data altered after signing",
                made -> made.signed = bytes -> {
                    bytes[36]++;
                    return bytes;
                });
        forgeries.put(
                "client data altered after signing",
                made -> made.client = bytes -> {
                    String text = new String(bytes, StandardCharsets.UTF_8);
                    return text.replace("{", "{ ").getBytes(StandardCharsets.UTF_8);
                });
        forgeries.put("client data that is none", made -> made.client = bytes -> new byte[] {'[', ']'});
        forgeries.put("a device that can be copied by now", made -> made.flags |= TestAuthenticator.BACKUP_ELIGIBLE);
        String before = state();
        List<String> answers = new ArrayList<>();
        forgeries.forEach((what, forger) -> {
            Answer answer = finish(device.get(begin(), forger));
            answers.add(answer.text().replaceAll("\"requestId\":\"[^\"]*\"", ""));
            assertThat(answer.status()).as(what).isEqualTo(401);
            assertThat(answer.code()).as(what).isEqualTo("auth.passkeyInvalid");
        });
        assertThat(answers).hasSize(forgeries.size()).containsOnly(answers.get(0));
        assertThat(state()).isEqualTo(before);
        signIn(device).is(200);
        signIn(others).is(200);
    }

    @Test
    void nothingForgedIsKeptAsAPasskey() {
        Caller person = aPerson();
        Map<String, Consumer<Ceremony>> forgeries = forgeries();
        forgeries.remove("data cut short");
        forgeries.put("asked, not made", made -> made.type = "webauthn.get");
        forgeries.put("no key", made -> made.publicKey = new byte[0]);
        forgeries.put("a key that is none", made -> made.publicKey = random(77));
        forgeries.put("no id", made -> made.id = new byte[0]);
        forgeries.put("an id too long", made -> made.id = random(1024));
        String before = state();
        forgeries.forEach((what, forger) -> {
            ObjectNode credential = TestAuthenticator.create().create(registration(person), forger);
            // What the browser says beside is bounded by the contract; what counts is what the device says.
            credential.put("id", "AAAA").put("rawId", "AAAA");
            Answer answer = create(person, credential);
            assertThat(answer.status()).as(what).isEqualTo(422);
            assertThat(answer.code()).as(what).isEqualTo("passkey.invalid");
        });
        assertThat(state()).isEqualTo(before);
    }

    @Test
    void aChallengeServesOneCeremonyOfOnePersonOnceAndInTime() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        ObjectNode good = device.get(begin(), HONEST);
        finish(good).is(200);
        finish(good).is(401, "auth.passkeyInvalid");

        // Wrong once is gone, too.
        JsonNode asked = begin();
        finish(device.get(asked, made -> made.flags = TestAuthenticator.PRESENT))
                .is(401);
        finish(device.get(asked, HONEST)).is(401, "auth.passkeyInvalid");

        ObjectNode late = device.get(begin(), HONEST);
        kehu.sql("UPDATE iam.passkey_challenge SET expires_at = kehu.now()");
        finish(late).is(401, "auth.passkeyInvalid");

        // Of a registration, for a sign-in; of a sign-in, for a registration; of another person.
        finish(device.get(registration(person), HONEST)).is(401, "auth.passkeyInvalid");
        JsonNode mine = registration(person);
        ((ObjectNode) mine).put("challenge", begin().get("challenge").asText());
        create(person, TestAuthenticator.create().create(mine, HONEST)).is(422, "passkey.invalid");
        ObjectNode anothers = TestAuthenticator.create().create(registration(aPerson()), HONEST);
        create(person, anothers).is(422, "passkey.invalid");

        TestAuthenticator another = TestAuthenticator.create();
        ObjectNode made = another.create(registration(person), HONEST);
        create(person, made).is(201);
        create(person, made).is(422, "passkey.invalid");
        ObjectNode lateToo = TestAuthenticator.create().create(registration(person), HONEST);
        kehu.sql("UPDATE iam.passkey_challenge SET expires_at = kehu.now()");
        create(person, lateToo).is(422, "passkey.invalid");
    }

    // Races and counters

    private static List<Answer> atOnce(List<Supplier<Answer>> calls) {
        ExecutorService people = Executors.newFixedThreadPool(calls.size());
        try {
            List<CompletableFuture<Answer>> answers = calls.stream()
                    .map(call -> CompletableFuture.supplyAsync(call, people))
                    .toList();
            return answers.stream().map(CompletableFuture::join).toList();
        } finally {
            people.shutdown();
        }
    }

    private static List<Integer> statuses(List<Answer> answers) {
        return answers.stream().map(Answer::status).sorted().toList();
    }

    private static List<Integer> oneOf(int count, int good, int bad) {
        return IntStream.range(0, count).mapToObj(i -> i == 0 ? good : bad).toList();
    }

    @Test
    void ofSixteenWhoSendTheSameAnswerAtOnceOneComesInAndNothingIsLocked() {
        TestAuthenticator device = TestAuthenticator.of(aPerson(), 1);
        ObjectNode answer = device.get(begin(), HONEST);
        List<Answer> answers = atOnce(IntStream.range(0, 16)
                .<Supplier<Answer>>mapToObj(i -> () -> finish(answer))
                .toList());
        assertThat(statuses(answers)).isEqualTo(oneOf(16, 200, 401));
        signIn(device).is(200);
    }

    @Test
    void ofSixteenCopiesThatCountTheSameAtOnceOneComesInAndThePasskeyIsLocked() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 1);
        List<Supplier<Answer>> calls = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            ObjectNode answer = device.get(begin(), made -> made.count = 9);
            calls.add(() -> finish(answer));
        }
        assertThat(statuses(atOnce(calls))).isEqualTo(oneOf(16, 200, 401));
        assertThat(person.get(PASSKEYS).at("/items/0/locked").asBoolean()).isTrue();
        assertThat(kehu.<Long>value("SELECT sign_count FROM iam.passkey WHERE staff_id = ?", person.id))
                .isEqualTo(9);
    }

    @Test
    void aCounterThatDoesNotGrowLocksThePasskeyAndTheAuditSaysSo() {
        for (long back : new long[] {5, 4, 0}) {
            Caller person = aPerson();
            TestAuthenticator device = TestAuthenticator.of(person, 4);
            signIn(device).is(200);
            finish(device.get(begin(), made -> made.count = back)).is(401, "auth.passkeyInvalid");
            assertThat(person.get(PASSKEYS).at("/items/0/locked").asBoolean()).isTrue();
            // From then on the right counter does not help either.
            finish(device.get(begin(), made -> made.count = 100)).is(401, "auth.passkeyInvalid");
            assertThat(kehu.<Long>value("SELECT sign_count FROM iam.passkey WHERE staff_id = ?", person.id))
                    .isEqualTo(5);
            assertThat(kehu.sql("""
                            SELECT kind, code, object_type, changes::text AS changes FROM kehu.audit
                            WHERE actor = ? AND operation = 'finishPasskeySignIn' ORDER BY at, ord""", person.id))
                    .satisfiesExactly(
                            in -> assertThat(in).containsEntry("object_type", "session"),
                            locked -> {
                                assertThat(locked)
                                        .containsEntry("kind", "sign-in")
                                        .containsEntry("code", "auth.passkeyInvalid")
                                        .containsEntry("object_type", "passkey");
                                assertThat(locked.get("changes").toString()).contains("locked_at");
                            },
                            out -> assertThat(out).containsEntry("object_type", "staff"));
            assertThat(kehu.<Long>value(
                            "SELECT count(*) FROM kehu.event WHERE type = 'passkey.locked' AND aggregate_id = ?",
                            passkeyOf(person)))
                    .isEqualTo(1);
        }
    }

    @Test
    void aDeviceThatDoesNotCountIsNeverLocked() {
        TestAuthenticator device = TestAuthenticator.of(aPerson(), 0);
        for (int i = 0; i < 3; i++) {
            signIn(device).is(200);
        }
    }

    // People

    @Test
    void whoMayNotComeInByPasswordMayNotByPasskeyEither() {
        for (String state : List.of("suspended", "left")) {
            Caller person = aPerson();
            TestAuthenticator device = TestAuthenticator.of(person, 1);
            kehu.sql("UPDATE iam.staff SET state = ? WHERE id = ?", state, person.id);
            String before = state();
            signIn(device).is(401, "auth.passkeyInvalid");
            assertThat(state()).isEqualTo(before);
        }
    }

    @Test
    void whoHasAPlaceFromADirectoryComesInThroughTheDirectory() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 1);
        kehu.sql(
                "INSERT INTO iam.federated_identity (id, staff_id, issuer, subject) VALUES (uuidv7(), ?, 'ldap', ?)",
                person.id,
                person.id.toString());
        String before = state();
        signIn(device).is(401, "auth.passkeyInvalid");
        assertThat(state()).isEqualTo(before);
    }

    @Test
    void aPasskeyThatWasTakenBackProvesNobody() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        ObjectNode begun = device.get(begin(), HONEST);
        person.send("DELETE", PASSKEYS + "/" + passkeyOf(person), (byte[]) null).is(204);
        finish(begun).is(401, "auth.passkeyInvalid");
        signIn(device).is(401, "auth.passkeyInvalid");
    }

    @Test
    void nobodyTakesBackThePasskeyOfAnother() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        kehu.caller("administrator")
                .send("DELETE", PASSKEYS + "/" + passkeyOf(person), (byte[]) null)
                .is(404, "passkey.notFound");
        signIn(device).is(200);
    }

    @Test
    void whoseThisPasskeyIsAlreadyKeepsIt() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        Caller thief = aPerson();
        byte[] handle = device.handle;
        create(thief, device.create(registration(thief), HONEST)).is(409, "passkey.taken");
        device.handle = handle;
        assertThat(signIn(device).is(200).at("/staff/id").asText()).isEqualTo(person.id.toString());
    }

    @Test
    void aPasswordThatOthersKnowIsChangedBeforeAPasskeyIsMadeAndAfterOneIsUsed() {
        Caller person = aPerson();
        TestAuthenticator device = TestAuthenticator.of(person, 0);
        ObjectNode begun = TestAuthenticator.create().create(registration(person), HONEST);
        kehu.sql("UPDATE iam.staff SET must_change = true WHERE id = ?", person.id);
        create(person, begun).is(409, "passkey.passwordFirst");
        person.send("POST", PASSKEYS + "/registration", (byte[]) null).is(409, "passkey.passwordFirst");
        Answer tokens = signIn(device).is(200);
        assertThat(tokens.at("/mustChangePassword").asBoolean()).isTrue();
        caller(tokens).get("/v1/branches").is(403, "auth.forbidden");
    }

    @Test
    void nobodyHasMoreThanTenAlsoWhenTheyAreMadeAtOnce() {
        Caller person = aPerson();
        List<Supplier<Answer>> calls = new ArrayList<>();
        for (int i = 0; i < 13; i++) {
            ObjectNode made = TestAuthenticator.create().create(registration(person), HONEST);
            calls.add(() -> create(person, made));
        }
        List<Answer> answers = atOnce(calls);
        assertThat(answers.stream().filter(answer -> answer.status() == 201)).hasSize(10);
        assertThat(answers.stream().filter(answer -> answer.status() == 409).map(Answer::code))
                .hasSize(3)
                .containsOnly("passkey.tooMany");
        person.send("POST", PASSKEYS + "/registration", (byte[]) null).is(409, "passkey.tooMany");
        assertThat(person.get(PASSKEYS).is(200).at("/items")).hasSize(10);
    }

    @Test
    void makingOneAndTakingOneBackAskForAFreshProof() {
        Caller person = aPerson();
        UUID passkey = TestAuthenticator.row(kehu, person.id);
        Caller old = kehu.signIn(person.id);
        kehu.sql(
                "UPDATE iam.session SET factor_at = kehu.now() - interval '6 minutes' WHERE subject_id = ?", person.id);
        old.send("POST", PASSKEYS + "/registration", (byte[]) null).is(401, "auth.stepUp");
        old.send("DELETE", PASSKEYS + "/" + passkey, (byte[]) null).is(401, "auth.stepUp");
        old.get(PASSKEYS).is(200);
    }

    // What is kept

    @Test
    void challengesAreUnreadableAndEveryStepIsInTheAuditWithItsReceipt() {
        Caller person = aPerson();
        JsonNode asked = registration(person);
        JsonNode askedToo = begin();
        String rows =
                kehu.sql("SELECT c::text AS row FROM iam.passkey_challenge c").toString();
        for (JsonNode options : List.of(asked, askedToo)) {
            byte[] challenge = TestAuthenticator.bytes(options.get("challenge"));
            assertThat(challenge).hasSize(32);
            assertThat(rows).doesNotContain(HexFormat.of().formatHex(challenge));
        }
        TestAuthenticator device = TestAuthenticator.create();
        create(person, device.create(asked, HONEST)).is(201);
        signIn(device).is(200);
        UUID passkey = passkeyOf(person);
        person.send("DELETE", PASSKEYS + "/" + passkey, (byte[]) null).is(204);
        assertThat(kehu.sql(
                        "SELECT kind || ' ' || operation AS step FROM kehu.audit WHERE actor = ? ORDER BY at, ord",
                        person.id))
                .extracting(row -> row.get("step"))
                .containsExactly(
                        "write startPasskeyRegistration",
                        "write createPasskey",
                        "sign-in finishPasskeySignIn",
                        "write deletePasskey");
        assertThat(kehu.sql("SELECT type FROM kehu.event WHERE aggregate_id = ? ORDER BY at, ord", passkey))
                .extracting(row -> row.get("type"))
                .containsExactly("passkey.created", "passkey.deleted");
    }

    @Test
    void whatIsOverIsForgotten() {
        begin();
        kehu.sql("UPDATE iam.passkey_challenge SET expires_at = kehu.now() - interval '1 second'");
        await().atMost(Duration.ofSeconds(10)).until(() -> {
            begin();
            return kehu.<Long>value("SELECT count(*) FROM iam.passkey_challenge WHERE expires_at < kehu.now()") == 0;
        });
    }

    // Where there are none, and where there is no room

    @Test
    void aBankWithoutPasskeysSaysSo() {
        try (TestKehu without = TestKehu.start()) {
            Caller person = without.caller("analyst");
            person.get(PASSKEYS).is(200);
            person.send("POST", PASSKEYS + "/registration", (byte[]) null).is(404, "passkey.off");
            without.anonymous().send("POST", SIGN_IN + "/begin", (byte[]) null).is(404, "passkey.off");
            TestAuthenticator device = TestAuthenticator.of(aPerson(), 0);
            without.anonymous().post(SIGN_IN, device.freshProof(kehu)).is(404, "passkey.off");
        }
    }

    @Test
    void oneAddressMayTryOnlySoOftenAndNothingIsTriedOutAsADryRun() {
        kehu.anonymous()
                .send("POST", SIGN_IN + "/begin", (byte[]) null, "Dry-Run", "true")
                .is(400, "request.noDryRun");
        Map<String, String> settings = new HashMap<>(TestAuthenticator.settings());
        settings.put("KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "5");
        try (TestKehu strict = TestKehu.start(settings)) {
            List<Integer> statuses = IntStream.range(0, 30)
                    .mapToObj(i -> strict.anonymous()
                            .send("POST", SIGN_IN + "/begin", (byte[]) null)
                            .status())
                    .toList();
            assertThat(statuses).startsWith(200).contains(429).containsOnly(200, 429);
        }
    }
}
