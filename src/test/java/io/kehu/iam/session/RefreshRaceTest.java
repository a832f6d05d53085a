package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu.Answer;
import io.kehu.bus.Json;
import io.kehu.iam.TwoNodes;
import io.kehu.iam.member.TestMembers;
import io.kehu.iam.staff.DemoStaff;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A refresh token that is sent to two nodes many times at once. Nobody can tell a thief from the owner, so whichever comes
 * first gets a pair, at most one does, and that pair dies with the whole family because the token came again.
 */
class RefreshRaceTest {
    private static final int AT_ONCE = 32;
    private static final int ROUNDS = 3;
    private static TwoNodes nodes;
    private static ExecutorService threads;

    /** Whose sessions there are, each refreshed by an operation of its own. */
    enum Door {
        STAFF("/v1/auth/refresh", "/v1/auth/me"),
        CUSTOMER("/v1/members/refresh", "/v1/members/me");

        final String refresh;
        final String me;

        Door(String refresh, String me) {
            this.refresh = refresh;
            this.me = me;
        }

        Answer login() {
            return this == STAFF
                    ? nodes.kehu.anonymous().login("desk", DemoStaff.PASSWORD).is(200)
                    : TestMembers.login(
                                    nodes.kehu,
                                    TestMembers.account(
                                            nodes.kehu,
                                            TestMembers.aPerson(nodes.kehu).customer()),
                                    TestMembers.PASSWORD)
                            .is(200);
        }
    }

    @BeforeAll
    static void start() {
        nodes = new TwoNodes();
        threads = Executors.newFixedThreadPool(AT_ONCE);
    }

    @AfterAll
    static void stop() {
        threads.shutdownNow();
        nodes.close();
    }

    private static Answer refresh(Door door, int number, Answer pair) {
        int port = number % 2 == 0 ? nodes.first : nodes.second;
        String token = pair.at("/refreshToken").asText();
        return nodes.kehu
                .anonymous()
                .at(port)
                .post(door.refresh, Json.object().put("refreshToken", token).toString());
    }

    /** Sends each of these pairs' refresh tokens in turn, all at once, to both nodes. */
    private static List<Answer> race(Door door, Answer... pairs) throws Exception {
        CyclicBarrier barrier = new CyclicBarrier(AT_ONCE);
        List<Callable<Answer>> calls = new ArrayList<>();
        for (int i = 0; i < AT_ONCE; i++) {
            int number = i;
            calls.add(() -> {
                barrier.await();
                return refresh(door, number / pairs.length, pairs[number % pairs.length]);
            });
        }
        List<Answer> answers = new ArrayList<>();
        for (Future<Answer> done : threads.invokeAll(calls)) {
            answers.add(done.get());
        }
        return answers;
    }

    private static List<Answer> winners(List<Answer> answers) {
        List<Answer> winners =
                answers.stream().filter(answer -> answer.status() == 200).toList();
        answers.stream()
                .filter(answer -> answer.status() != 200)
                .forEach(answer -> answer.is(401, "auth.refreshInvalid"));
        return winners;
    }

    private static void isDead(Door door, Answer pair) {
        for (int node = 0; node < 2; node++) {
            int port = node == 0 ? nodes.first : nodes.second;
            refresh(door, node, pair).is(401, "auth.refreshInvalid");
            await().atMost(Duration.ofSeconds(5))
                    .until(() -> nodes.kehu
                                    .with(pair.at("/accessToken").asText())
                                    .at(port)
                                    .get(door.me)
                                    .status()
                            == 401);
        }
    }

    /** The session that this refresh token belonged to. */
    private static Map<String, Object> family(Answer pair) {
        return nodes.kehu.sql("""
                SELECT e.why_revoked, (SELECT count(*) FROM iam.refresh o WHERE o.session_id = e.id) AS tokens,
                    (SELECT count(*) FROM kehu.revocation v WHERE v.session_id = e.id) AS revocations
                FROM iam.session e JOIN iam.refresh r ON r.session_id = e.id WHERE r.token_hash = sha256(?::bytea)""", pair.at("/refreshToken").asText()).get(0);
    }

    @ParameterizedTest
    @EnumSource(Door.class)
    void ofThirtyTwoWhoSendOneTokenOneGetsAPairAndItDiesWithTheFamily(Door door) throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            Answer first = door.login();
            List<Answer> winners = winners(race(door, first));
            assertThat(winners).hasSize(1);
            isDead(door, first);
            isDead(door, winners.get(0));
            assertThat(family(first)).isEqualTo(Map.of("why_revoked", "reuse", "tokens", 2L, "revocations", 1L));
        }
    }

    @ParameterizedTest
    @EnumSource(Door.class)
    void aTokenThatComesAgainWhileItsSuccessorIsUsedLeavesNobodyIn(Door door) throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            Answer first = door.login();
            Answer second = refresh(door, round, first).is(200);
            List<Answer> winners = winners(race(door, first, second));
            assertThat(winners).hasSizeLessThanOrEqualTo(1);
            isDead(door, first);
            isDead(door, second);
            winners.forEach(third -> isDead(door, third));
            assertThat(family(first))
                    .isEqualTo(Map.of("why_revoked", "reuse", "tokens", 2L + winners.size(), "revocations", 1L));
        }
    }
}
