package io.kehu.iam.password;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Json;
import io.kehu.iam.staff.DemoStaff;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** People who change their passwords, at a bank of either profile. */
class PasswordTest {
    private static final AtomicInteger NUMBERS = new AtomicInteger();
    private static TestKehu nist;
    private static TestKehu mlps3;

    @BeforeAll
    static void start() {
        nist = start("nist");
        mlps3 = start("mlps3");
    }

    private static TestKehu start(String profile) {
        Map<String, String> settings = new HashMap<>(Map.of(
                "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000",
                "KEHU_RATE_LOGIN_PER_MINUTE", "100000",
                "KEHU_AUTH_HASH_QUEUE", "100",
                "KEHU_AUTH_PASSWORD_WORDS", "kehu, Harbour Bank",
                "KEHU_AUTH_PASSWORD_FORMER", "2"));
        settings.put("KEHU_AUTH_PASSWORD_PROFILE", profile);
        return TestKehu.start(settings);
    }

    @AfterAll
    static void stop() {
        nist.close();
        mlps3.close();
    }

    /** Somebody of his own address, whose password is known. */
    private record Person(TestKehu kehu, UUID id, String username, String address) {
        static Person at(TestKehu kehu) {
            UUID id = kehu.staff(kehu.headOffice(), "auditor");
            kehu.sql(
                    "UPDATE iam.staff SET password_hash = (SELECT password_hash FROM iam.staff WHERE username = 'admin') WHERE id = ?",
                    id);
            String username = kehu.value("SELECT username FROM iam.staff WHERE id = ?", id);
            return new Person(kehu, id, username, "10.4.0." + NUMBERS.incrementAndGet());
        }

        Answer login(String password) {
            return kehu.anonymous().login(username, password, "X-Forwarded-For", address);
        }

        Caller in(String password) {
            return kehu.with(login(password).is(200).at("/accessToken").asText());
        }

        Answer change(String current, String wanted) {
            return change(kehu.signIn(id), current, wanted);
        }

        Answer change(Caller self, String current, String wanted) {
            String body = Json.object()
                    .put("currentPassword", current)
                    .put("newPassword", wanted)
                    .toString();
            return self.post("/v1/auth/password", body, "X-Forwarded-For", address);
        }

        /** What is wrong with a new password. */
        List<String> faults(String wanted) {
            Answer refused = change(DemoStaff.PASSWORD, wanted).is(400, "request.invalid");
            List<String> codes = new ArrayList<>();
            refused.at("/errors").forEach(error -> {
                assertThat(error.get("pointer").asText()).isEqualTo("/newPassword");
                codes.add(error.get("code").asText());
            });
            return codes;
        }
    }

    @Test
    void aNewPasswordOpensTheAccountAndTheOldOneDoesNot() {
        Person person = Person.at(nist);
        Caller self = person.in(DemoStaff.PASSWORD);
        person.change(self, DemoStaff.PASSWORD, "tram violet outwit").is(204);
        person.login(DemoStaff.PASSWORD).is(401, "auth.failed");
        assertThat(person.login("tram violet outwit")
                        .is(200)
                        .at("/mustChangePassword")
                        .asBoolean())
                .isFalse();
        assertThat(nist.<Long>value(
                        "SELECT count(*) FROM kehu.audit WHERE operation = 'changePassword' AND kind = 'key' AND object_id = ?",
                        person.id))
                .isEqualTo(1);
    }

    @Test
    void guessesAtTheOldPasswordAreCountedTogetherWithSignIns() {
        Person person = Person.at(nist);
        for (int i = 0; i < 3; i++) {
            person.change("guess " + i, "tram violet outwit").is(422, "auth.passwordWrong");
        }
        person.login("guess 3").is(401, "auth.failed");
        person.login("guess 4").is(401, "auth.failed");
        // Locked: neither is the right one looked at any more.
        person.change(DemoStaff.PASSWORD, "tram violet outwit").is(422, "auth.passwordWrong");
        person.login(DemoStaff.PASSWORD).is(401, "auth.failed");
    }

    @Test
    void ofTwoChangesAtOnceOneWins() {
        Person person = Person.at(nist);
        Caller self = nist.signIn(person.id);
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<CompletableFuture<Answer>> changes = IntStream.range(0, 4)
                    .mapToObj(i -> CompletableFuture.supplyAsync(
                            () -> person.change(self, DemoStaff.PASSWORD, "tram violet outwit " + i), threads))
                    .toList();
            List<Integer> statuses =
                    changes.stream().map(change -> change.join().status()).toList();
            // Whoever comes later has the wrong old one, a worthless token, or is put off.
            assertThat(statuses)
                    .containsOnlyOnce(204)
                    .allMatch(status -> List.of(204, 401, 422, 429).contains(status));
            long opening = IntStream.range(0, 4)
                    .filter(i -> statuses.get(i) == 204)
                    .filter(i -> person.login("tram violet outwit " + i).status() == 200)
                    .count();
            assertThat(opening).isEqualTo(1);
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void nistAsksForFifteenCharactersAloneAndEightWithASecondFactor() {
        Person alone = Person.at(nist);
        assertThat(alone.faults("tramviolet")).containsExactly("field.passwordShort");
        Person equipped = Person.at(nist);
        nist.sql("CREATE OR REPLACE FUNCTION iam.staff_has_factor(who uuid) RETURNS boolean LANGUAGE sql STABLE AS"
                + " $$ SELECT who = '" + equipped.id + "' $$");
        assertThat(equipped.faults("tram-vi")).containsExactly("field.passwordShort");
        equipped.change(DemoStaff.PASSWORD, "tramviolet").is(204);
        assertThat(alone.faults("tramviolet")).containsExactly("field.passwordShort");
    }

    @Test
    void nistAsksForNoComposition() {
        Person person = Person.at(nist);
        person.change(DemoStaff.PASSWORD, "春眠不觉晓处处闻啼鸟夜来风雨声").is(204);
        person.change("春眠不觉晓处处闻啼鸟夜来风雨声", "tramvioletoutwit").is(204);
    }

    @Test
    void whatIsEasyToGuessIsRefusedByBothProfiles() {
        for (TestKehu kehu : List.of(nist, mlps3)) {
            Person person = Person.at(kehu);
            for (String common : List.of(
                    "Passw0rdPassw0rd!",
                    "P@ssw0rd-2024-Admin",
                    "1qaz2WSX3edc4RFV",
                    "Woaini5201314!1990",
                    "20240101-19990909Aa")) {
                assertThat(person.faults(common)).as(common).contains("field.passwordCommon");
            }
        }
    }

    @Test
    void wordsOfTheAccountAndTheBankMakeNoPassword() {
        for (TestKehu kehu : List.of(nist, mlps3)) {
            Person person = Person.at(kehu);
            String name = person.username;
            String backwards = new StringBuilder(name).reverse().toString();
            for (String own :
                    List.of(name.toUpperCase(java.util.Locale.ROOT) + "-a1B", backwards + "!7Aa", "HarbourBank-19aB")) {
                assertThat(person.faults(own)).as(own).contains("field.passwordOwn");
            }
            assertThat(person.faults("Kehu-HarbourBank-2024")).contains("field.passwordOwn");
        }
    }

    @Test
    void anAdministratorCannotGiveAWeakFirstPasswordEither() {
        Answer refused = nist.caller("administrator")
                .post("/v1/staff", """
                        {"username": "weak.one", "name": "弱口令", "branchId": "%s", "roles": ["auditor"], "password": "Harbour Bank 12"}""".formatted(nist.headOffice()))
                .is(400, "request.invalid");
        assertThat(refused.at("/errors/0/pointer").asText()).isEqualTo("/password");
        assertThat(refused.at("/errors/0/code").asText()).isEqualTo("field.passwordOwn");
    }

    @Test
    void mlps3AsksForThreeKindsOfCharacters() {
        Person person = Person.at(mlps3);
        assertThat(person.faults("tramviolet7")).containsExactly("field.passwordClasses");
        assertThat(person.faults("Tr7-v")).containsExactly("field.passwordShort");
        person.change(DemoStaff.PASSWORD, "Tram7violet").is(204);
    }

    @Test
    void mlps3RefusesTheLastPasswordsAndForgetsOlderOnes() {
        Person person = Person.at(mlps3);
        String first = DemoStaff.PASSWORD;
        person.change(first, "Tram7violet-a").is(204);
        person.change("Tram7violet-a", "Tram7violet-b").is(204);
        for (String used : List.of(first, "Tram7violet-a")) {
            Answer refused = person.change("Tram7violet-b", used).is(400, "request.invalid");
            assertThat(refused.at("/errors/0/code").asText()).isEqualTo("field.passwordUsed");
        }
        assertThat(person.change("Tram7violet-b", "Tram7violet-b")
                        .is(400)
                        .at("/errors/0/code")
                        .asText())
                .isEqualTo("field.passwordSame");
        // Whoever does not know the current one does not learn the others.
        person.change("wrong", first).is(422, "auth.passwordWrong");
        person.change("Tram7violet-b", "Tram7violet-c").is(204);
        person.change("Tram7violet-c", first).is(204);
        person.login(first).is(200);
    }

    @Test
    void nistAsksForNoOtherPasswordsThanTheCurrentOne() {
        Person person = Person.at(nist);
        person.change(DemoStaff.PASSWORD, "tram violet outwit").is(204);
        person.change("tram violet outwit", DemoStaff.PASSWORD).is(204);
        person.login(DemoStaff.PASSWORD).is(200);
    }

    @Test
    void afterNinetyDaysAPasswordIsChangedFirstUnderMlps3AndNeverUnderNist() {
        for (TestKehu kehu : List.of(nist, mlps3)) {
            Person person = Person.at(kehu);
            kehu.sql("UPDATE iam.staff SET password_at = kehu.now() - interval '91 days' WHERE id = ?", person.id);
            Answer tokens = person.login(DemoStaff.PASSWORD).is(200);
            boolean due = kehu == mlps3;
            assertThat(tokens.at("/mustChangePassword").asBoolean()).isEqualTo(due);
            Caller self = kehu.with(tokens.at("/accessToken").asText());
            self.get("/v1/roles").is(due ? 403 : 200);
            person.change(self, DemoStaff.PASSWORD, "Tram7violet-outwit").is(204);
            Answer again = person.login("Tram7violet-outwit").is(200);
            assertThat(again.at("/mustChangePassword").asBoolean()).isFalse();
            kehu.with(again.at("/accessToken").asText()).get("/v1/roles").is(200);
        }
    }
}
