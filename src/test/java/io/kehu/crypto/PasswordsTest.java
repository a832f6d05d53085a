package io.kehu.crypto;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kehu.bus.Problem;
import io.kehu.crypto.Passwords.Profile;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.util.List;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PasswordsTest {
    private static Vertx vertx;
    private static Passwords passwords;

    @BeforeAll
    static void startAPool() {
        vertx = Vertx.vertx();
        passwords = new Passwords(vertx, new Passwords.Options(Passwords.MEMORY_KIB_MIN, 2, 1_000, 3));
    }

    @AfterAll
    static void stopThePool() {
        await(passwords.close());
        await(vertx.close());
    }

    @Test
    void aPasswordIsVerifiedAgainstItsHashAndNoOther() {
        String phc = await(passwords.hash("正确的马 电池 钉书钉"));

        assertThat(phc).startsWith("$argon2id$v=19$m=47104,t=1,p=1$");
        assertThat(await(passwords.verify("正确的马 电池 钉书钉", phc))).isTrue();
        assertThat(await(passwords.verify("正确的马 电池 钉书钊", phc))).isFalse();
        assertThat(await(passwords.verify("x".repeat(1_000_000), phc))).isFalse();
        assertThat(await(passwords.verify("", passwords.absent()))).isFalse();
        assertThat(passwords.rehashDue(phc)).isFalse();
        assertThat(await(passwords.hash("正确的马 电池 钉书钉"))).isNotEqualTo(phc);
    }

    @Test
    void fullWidthAndComposedSpellingsAreOnePassword() {
        String phc = await(passwords.hash("Ｃafé-unterwegs-17"));
        assertThat(await(passwords.verify("Cafe\u0301-unterwegs-17", phc))).isTrue();
    }

    @Test
    void aHashOfOtherParametersIsVerifiedAndShouldBeMadeAnew() {
        // A vector of the Argon2 reference implementation (test.c): "password", "somesalt", t=2, 64 MiB.
        String phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assertThat(await(passwords.verify("password", phc))).isTrue();
        assertThat(await(passwords.verify("Password", phc))).isFalse();
        assertThat(passwords.rehashDue(phc)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "password",
                "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "$argon2id$v=19$m=65536,t=99,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "$argon2id$v=19$m=65536,t=1,p=9$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            })
    void aStoredHashThatIsNoneOrAsksTooMuchFailsWithoutWork(String phc) {
        assertThat(passwords.verify("password", phc).cause()).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void moreThanTheQueueHoldsIsRefusedAtOnceAndTheRestIsDone() {
        Passwords narrow = new Passwords(vertx, new Passwords.Options(Passwords.MEMORY_KIB_MIN, 2, 1_000, 3));
        List<Future<Boolean>> attempts = IntStream.range(0, 50)
                .mapToObj(i -> narrow.verify("guess " + i, narrow.absent()))
                .toList();

        Awaitility.await().until(() -> attempts.stream().allMatch(Future::isComplete));
        assertThat(attempts.stream().filter(Future::succeeded).count()).isBetween(5L, 50L);
        assertThat(attempts.stream().filter(Future::failed))
                .isNotEmpty()
                .allSatisfy(refused -> assertThat(refused.cause())
                        .isInstanceOfSatisfying(
                                Problem.class, p -> assertThat(p.code()).isEqualTo("request.tooManyRequests")));
        Awaitility.await().until(() -> narrow.waiting() == 0);
        assertThat(await(narrow.verify("after", narrow.absent()))).isFalse();
    }

    @Test
    void manyAtOnceDoNotDisturbEachOther() {
        Passwords wide = new Passwords(vertx, new Passwords.Options(1_024, 4, 1_000, 200));
        List<Future<String>> hashes = IntStream.range(0, 50)
                .mapToObj(i -> wide.hash("password of " + i))
                .toList();
        List<Future<Boolean>> looks = IntStream.range(0, 100)
                .mapToObj(i ->
                        hashes.get(i % 50).compose(phc -> wide.verify("password of " + (i < 50 ? i : i - 49), phc)))
                .toList();
        for (int i = 0; i < 100; i++) {
            assertThat(await(looks.get(i))).isEqualTo(i < 50);
        }
    }

    @Test
    void hashesBeginAtEvenIntervalsHoweverManyWorkersAreFree() {
        Passwords paced = new Passwords(vertx, new Passwords.Options(1_024, 4, 50, 20));
        long begin = System.nanoTime();
        List<Future<Boolean>> looks = IntStream.range(0, 11)
                .mapToObj(i -> paced.verify("guess " + i, paced.absent()))
                .toList();
        looks.forEach(look -> assertThat(await(look)).isFalse());
        // Ten intervals of 20 ms, each begun at most 1 ms early: slower is possible, faster is not.
        assertThat(System.nanoTime() - begin).isGreaterThanOrEqualTo(MILLISECONDS.toNanos(190));
    }

    @Test
    void hashingGivesWayToAllOtherWork() {
        await(passwords.hash("wait for me"));
        assertThat(Thread.getAllStackTraces().keySet())
                .filteredOn(thread -> thread.getName().startsWith("kehu-passwords-"))
                .anySatisfy(thread -> assertThat(thread.getPriority()).isEqualTo(Thread.MIN_PRIORITY));
    }

    @Test
    void aFullQueueSaysSoBeforeAnythingIsAskedOfIt() {
        Passwords narrow = new Passwords(vertx, new Passwords.Options(1_024, 1, 1, 1));
        // Has the first turn: the next is a second away, and neither of the two below ends before it is looked at.
        await(narrow.hash("first"));
        Awaitility.await().until(() -> narrow.waiting() == 0);
        assertThat(narrow.full()).isFalse();
        Future<String> one = narrow.hash("second");
        assertThat(narrow.full()).isFalse();
        Future<String> other = narrow.hash("third");
        assertThat(narrow.full()).isTrue();
        assertThat(await(one)).isNotEqualTo(await(other));
        Awaitility.await().until(() -> !narrow.full());
    }

    @Test
    void weakMemoryIsNotAccepted() {
        assertThatThrownBy(() -> new Passwords.Options(1_023, 1, 1, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "123456789012345",
                "aaaaaaaaaaaaaaaa",
                "passwordpassword",
                "qwertyuiopasdfgh",
                "woaini1314520520",
                "abcabcabcabcabcabc",
                "5201314520131452",
                "Administrator123",
                "WOAINI5201314!!!",
                "P@ssw0rd-4dm1n-l0ve",
                "drowssapdrowssap",
                "1qaz2wsx3edc4rfv",
                "poiuytrewqlkjhgf",
                "1990010120240229",
                "summer2024winter1999",
                "xWelcome2024Beijingx"
            })
    void commonHabitsAreRefusedHoweverLong(String password) {
        assertThat(codes(Profile.NIST, password, true)).contains("field.passwordCommon");
    }

    @Test
    void nistAsksForLengthOnly() {
        assertThat(codes(Profile.NIST, "tram violet outwit", false)).isEmpty();
        assertThat(codes(Profile.NIST, "春眠不觉晓处处闻啼鸟夜来风雨声", false)).isEmpty();
        assertThat(codes(Profile.NIST, "tramviolet", false)).containsExactly("field.passwordShort");
        assertThat(codes(Profile.NIST, "tramviolet", true)).isEmpty();
        assertThat(codes(Profile.NIST, "𠮷".repeat(129), true)).containsExactly("field.passwordLong");
        assertThat(codes(Profile.NIST, "tram\u0000violet outwit", false)).containsExactly("field.passwordCharacters");
        assertThat(Profile.NIST.rotationDue(0, Long.MAX_VALUE)).isFalse();
    }

    @Test
    void mlps3AsksForThreeClassesAndRotation() {
        assertThat(codes(Profile.MLPS3, "tramviolet7", false)).containsExactly("field.passwordClasses");
        assertThat(codes(Profile.MLPS3, "Tram7violet", false)).isEmpty();
        assertThat(codes(Profile.MLPS3, "Tr7v", false)).containsExactly("field.passwordShort");
        assertThat(Profile.MLPS3.rotationDue(0, 90L * 86_400_000)).isTrue();
        assertThat(Profile.MLPS3.rotationDue(0, 90L * 86_400_000 - 1)).isFalse();
    }

    @Test
    void theOwnNameIsNoPassword() {
        assertThat(Passwords.faults(Profile.NIST, "/password", "Lin.Xiaoyu-2031", true, List.of("lin.xiaoyu")))
                .extracting(Problem.FieldError::code)
                .containsExactly("field.passwordOwn");
    }

    private static List<String> codes(Profile profile, String password, boolean secondFactor) {
        return Passwords.faults(profile, "/password", password, secondFactor, List.of("lin.xiaoyu")).stream()
                .map(Problem.FieldError::code)
                .toList();
    }

    private static <T> T await(Future<T> future) {
        try {
            return future.toCompletionStage().toCompletableFuture().get(30, SECONDS);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }
}
