package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.iam.staff.DemoStaff;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** People who try passwords: however they go about it, no more of their guesses are looked at than the limits say. */
class GuessingTest {
    private static final Map<String, String> BEHIND_A_PROXY = Map.of(
            "KEHU_HTTP_TRUSTED_PROXIES", "127.0.0.1/32",
            "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000",
            "KEHU_RATE_LOGIN_PER_MINUTE", "100000");

    private static TestKehu start(String... more) {
        Map<String, String> settings = new HashMap<>(BEHIND_A_PROXY);
        for (int i = 0; i < more.length; i += 2) {
            settings.put(more[i], more[i + 1]);
        }
        return TestKehu.start(settings);
    }

    private static Answer guess(TestKehu kehu, String username, String password, String forwardedFor) {
        return kehu.anonymous().login(username, password, "X-Forwarded-For", forwardedFor);
    }

    private static String address(int number) {
        return "10.7." + number / 250 + "." + (1 + number % 250);
    }

    private static long failures(TestKehu kehu, String kind) {
        return kehu.<Long>value("SELECT coalesce(sum(failures), 0) FROM iam.attempt WHERE kind = ?", kind);
    }

    private static void noneIsUnderWay(TestKehu kehu) {
        assertThat(kehu.<Long>value("SELECT sum(pending) FROM iam.attempt")).isZero();
    }

    @Test
    void ofManyGuessesAtOneAccountFromEverywhereFiveAreLookedAt() {
        try (TestKehu kehu = start()) {
            kehu.aMinuteBegins();
            for (int i = 0; i < 300; i++) {
                guess(kehu, "manager1.gz-th", "guess " + i, address(i)).is(401, "auth.failed");
            }
            assertThat(failures(kehu, "account")).isEqualTo(5);
            assertThat(failures(kehu, "all")).isEqualTo(5);
            guess(kehu, "manager1.gz-th", DemoStaff.PASSWORD, address(301)).is(401, "auth.failed");
        }
    }

    @Test
    void oneGuessAtEachOfManyAccountsFromEverywhereEndsAtTheLimitOfAll() {
        try (TestKehu kehu = start()) {
            int ahead = kehu.aMinuteBegins();
            // 995 guesses before it.
            kehu.sql("INSERT INTO iam.attempt (kind, key, failures, last_at) VALUES ('all', '', 995, kehu.now())");
            for (int i = 0; i < 20; i++) {
                Answer answer = guess(kehu, "somebody." + i, "wrong", address(i));
                answer.is(i < 5 ? 401 : 429, i < 5 ? "auth.failed" : "request.tooManyRequests");
            }
            assertThat(failures(kehu, "all")).isEqualTo(1_000);
            assertThat(failures(kehu, "account")).isEqualTo(5);
            kehu.moveClock(ahead + 60);
            guess(kehu, "finance", DemoStaff.PASSWORD, address(21)).is(200);
        }
    }

    @Test
    void aForgedAddressBehindTheProxyMakesNoNewGuesser() {
        try (TestKehu kehu = start()) {
            for (int i = 0; i < 60; i++) {
                guess(kehu, "somebody." + i, "wrong", address(i) + ", 10.8.0.1").is(401, "auth.failed");
            }
            onlyOneSourceWasLockedAfterFifty(kehu);
            guess(kehu, "finance", DemoStaff.PASSWORD, address(61) + ", 10.8.0.1")
                    .is(401, "auth.failed");
        }
    }

    @Test
    void aForgedAddressWithoutAProxyMakesNoNewGuesser() {
        try (TestKehu kehu = start("KEHU_HTTP_TRUSTED_PROXIES", "")) {
            for (int i = 0; i < 60; i++) {
                guess(kehu, "somebody." + i, "wrong", address(i)).is(401, "auth.failed");
            }
            onlyOneSourceWasLockedAfterFifty(kehu);
        }
    }

    private static void onlyOneSourceWasLockedAfterFifty(TestKehu kehu) {
        assertThat(kehu.sql("SELECT failures, pending, locked_until > kehu.now() AS locked FROM iam.attempt"
                        + " WHERE kind = 'source'"))
                .containsExactly(Map.of("failures", 50, "pending", 0, "locked", true));
        assertThat(failures(kehu, "account")).isEqualTo(50);
    }

    @Test
    void ofTwoHundredAccountsTriedAtOnceAFewAreLookedAtAndTheOthersPutOff() {
        int perSecond = 5;
        int queue = 4;
        try (TestKehu kehu = start("KEHU_AUTH_HASHES_PER_SECOND", "" + perSecond, "KEHU_AUTH_HASH_QUEUE", "" + queue)) {
            ExecutorService people = Executors.newFixedThreadPool(50);
            long begin = System.nanoTime();
            List<CompletableFuture<Answer>> guesses = IntStream.range(0, 200)
                    .mapToObj(i -> CompletableFuture.supplyAsync(
                            () -> guess(kehu, "somebody." + i, "wrong", address(i)), people))
                    .toList();
            List<Integer> statuses =
                    guesses.stream().map(guess -> guess.join().status()).toList();
            long seconds = Duration.ofNanos(System.nanoTime() - begin).toSeconds() + 1;
            people.shutdown();

            assertThat(statuses).containsOnly(401, 429);
            long looked = statuses.stream().filter(status -> status == 401).count();
            assertThat(looked).isBetween(1L + queue, 1 + queue + seconds * perSecond);
            assertThat(failures(kehu, "account")).isEqualTo(looked);
            noneIsUnderWay(kehu);
        }
    }
}
