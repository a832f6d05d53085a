package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.cache.TestRedis;
import io.kehu.iam.staff.DemoStaff;
import io.vertx.core.Vertx;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Guesses at three nodes at once that know nothing of each other but what stands in PostgreSQL: three nodes look at no more
 * of them than one does, whether Redis is there or has just died.
 */
class GuessingOnThreeNodesTest {
    private static final int NODES = 3;
    private static final int AT_ONCE = 48;

    private final Vertx vertx = Vertx.vertx();
    private final TestRedis redis = new TestRedis(vertx);
    private final List<Integer> ports = new ArrayList<>();
    private TestKehu kehu;

    private void start(boolean withRedis) {
        kehu = TestKehu.prepare(Map.of(
                "KEHU_REDIS_URI",
                redis.uri(),
                "KEHU_HTTP_TRUSTED_PROXIES",
                "127.0.0.1/32",
                "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE",
                "100000",
                "KEHU_RATE_LOGIN_PER_MINUTE",
                "100000"));
        for (int i = 0; i < NODES; i++) {
            ports.add(kehu.addNode(kehu.settings()).httpPort());
        }
        if (!withRedis) {
            redis.kill();
        }
    }

    @AfterEach
    void stop() {
        try {
            kehu.close();
        } finally {
            redis.close();
            vertx.close().toCompletionStage().toCompletableFuture().join();
        }
    }

    private static String address(int number) {
        return "10.9." + number / 250 + "." + (1 + number % 250);
    }

    private Answer login(int number, String username, String password, String forwardedFor) {
        return kehu.anonymous()
                .at(ports.get(number % NODES))
                .login(username, password, "X-Forwarded-For", forwardedFor);
    }

    /** So many guesses at once, then some one after the other, when none is under way any more. */
    private static void guess(int count, IntFunction<Answer> guess) {
        ExecutorService people = Executors.newFixedThreadPool(AT_ONCE);
        try {
            List<CompletableFuture<Answer>> guesses = IntStream.range(0, count)
                    .mapToObj(i -> CompletableFuture.supplyAsync(() -> guess.apply(i), people))
                    .toList();
            List<Integer> statuses = new ArrayList<>();
            guesses.forEach(made -> statuses.add(made.join().status()));
            for (int i = count; i < count + NODES; i++) {
                statuses.add(guess.apply(i).status());
            }
            assertThat(statuses).containsOnly(401, 429);
        } finally {
            people.shutdown();
        }
    }

    private List<Integer> failures(String kind) {
        return kehu.sql("SELECT failures FROM iam.attempt WHERE kind = ? AND failures > 0", kind).stream()
                .map(row -> (Integer) row.get("failures"))
                .toList();
    }

    @ParameterizedTest(name = "with Redis: {0}")
    @ValueSource(booleans = {true, false})
    void twoHundredAtOnceGetNoMoreLooksFromThreeNodesThanFromOne(boolean withRedis) {
        start(withRedis);
        oneAccountFromEverywhere();
        manyAccountsFromOneSourceUnderForgedNames();
        manyAccountsFromEverywhere();
        assertThat(kehu.<Long>value("SELECT sum(pending) FROM iam.attempt")).isZero();
    }

    private void oneAccountFromEverywhere() {
        guess(200, i -> login(i, "manager1.gz-th", "guess " + i, address(i)));
        assertThat(failures("account")).containsExactly(5);
        for (int node = 0; node < NODES; node++) {
            login(node, "manager1.gz-th", DemoStaff.PASSWORD, "10.10.0.1").is(401, "auth.failed");
            login(node, "manager2.gz-th", DemoStaff.PASSWORD, "10.10.0.1").is(200);
        }
        kehu.sql("DELETE FROM iam.attempt");
    }

    private void manyAccountsFromOneSourceUnderForgedNames() {
        guess(200, i -> login(i, "somebody." + i, "wrong", address(i) + ", 10.8.0.1"));
        assertThat(failures("source")).containsExactly(50);
        assertThat(failures("account")).hasSize(50).containsOnly(1);
        for (int node = 0; node < NODES; node++) {
            login(node, "finance", DemoStaff.PASSWORD, "10.10.0.1, 10.8.0.1").is(401, "auth.failed");
            login(node, "finance", DemoStaff.PASSWORD, "10.10.0.1").is(200);
        }
        kehu.sql("DELETE FROM iam.attempt");
    }

    private void manyAccountsFromEverywhere() {
        kehu.aMinuteBegins();
        // 960 guesses before it.
        kehu.sql("INSERT INTO iam.attempt (kind, key, failures, last_at) VALUES ('all', '', 960, kehu.now())");
        guess(200, i -> login(i, "somebody." + i, "wrong", address(i)));
        assertThat(failures("all")).containsExactly(1_000);
        assertThat(failures("account")).hasSize(40).containsOnly(1);
        login(0, "finance", DemoStaff.PASSWORD, "10.10.0.1").is(429, "request.tooManyRequests");
    }
}
