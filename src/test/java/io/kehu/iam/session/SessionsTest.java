package io.kehu.iam.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.cache.TestRedis;
import io.kehu.iam.staff.DemoStaff;
import io.vertx.core.Vertx;
import io.vertx.redis.client.Command;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Sessions as people see and end them, on two nodes and a Redis that forgets and dies. */
class SessionsTest {
    /** A second is what safety.md 4 allows; a little more for a machine that is busy. */
    private static final Duration SOON = Duration.ofSeconds(5);

    private static final Vertx VERTX = Vertx.vertx();
    private static final TestRedis REDIS = new TestRedis(VERTX);
    private static TestKehu kehu;
    private static int first;
    private static int second;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start(
                Map.of("KEHU_REDIS_URI", REDIS.uri(), "KEHU_RATE_LOGIN_PER_ADDRESS_PER_MINUTE", "100000"));
        first = kehu.port();
        second = kehu.addNode(kehu.settings()).httpPort();
    }

    @AfterAll
    static void stop() {
        try {
            kehu.close();
        } finally {
            REDIS.close();
            VERTX.close();
        }
    }

    /** The other node follows with its next poll. */
    @AfterEach
    void setTheClockRight() {
        kehu.moveClock(0);
        Caller caller = kehu.caller("administrator");
        await().atMost(SOON).until(() -> caller.at(second).get("/v1/auth/me").status() == 200);
    }

    private static Answer login(String username) {
        return kehu.anonymous().login(username, DemoStaff.PASSWORD).is(200);
    }

    private static Caller caller(Answer tokens) {
        return kehu.with(tokens.at("/accessToken").asText());
    }

    private static Answer refresh(Answer tokens) {
        return kehu.anonymous()
                .post(
                        "/v1/auth/refresh",
                        "{\"refreshToken\": \"" + tokens.at("/refreshToken").asText() + "\"}");
    }

    private static List<JsonNode> sessions(Answer answer) {
        List<JsonNode> sessions = new ArrayList<>();
        answer.is(200).at("/items").forEach(sessions::add);
        return sessions;
    }

    private static String current(Caller caller) {
        return sessions(caller.get("/v1/sessions")).stream()
                .filter(one -> one.get("current").asBoolean())
                .map(one -> one.get("id").asText())
                .findFirst()
                .orElseThrow();
    }

    private static void isOut(Caller caller) {
        for (int node : new int[] {first, second}) {
            await().atMost(SOON).until(() -> caller.at(node).get("/v1/auth/me").status() == 401);
        }
    }

    private static void isIn(Caller caller) {
        caller.at(first).get("/v1/auth/me").is(200);
        caller.at(second).get("/v1/auth/me").is(200);
    }

    @Test
    void thePagesHoldEachSessionOnce() {
        Caller one = kehu.caller("risk");
        kehu.signIn(one.id);
        kehu.signIn(one.id);
        List<String> seen = new ArrayList<>();
        String cursor = "";
        do {
            Answer page = one.get("/v1/sessions?limit=1" + cursor).is(200);
            sessions(page).forEach(session -> seen.add(session.get("id").asText()));
            cursor = page.at("/next").isNull()
                    ? ""
                    : "&cursor=" + page.at("/next").asText();
        } while (!cursor.isEmpty());
        assertThat(seen).hasSize(3).doesNotHaveDuplicates();
    }

    @Test
    void everybodySeesWhereHeIsSignedInAndNobodyElseDoes() {
        Caller one = caller(login("operator.sh"));
        Caller other = caller(login("operator.sh"));
        List<JsonNode> mine = sessions(one.get("/v1/sessions"));
        assertThat(mine).hasSize(2).allSatisfy(session -> {
            assertThat(session.get("audience").asText()).isEqualTo("staff");
            assertThat(session.get("address").asText()).isEqualTo("127.0.0.1");
            assertThat(session.get("startedAt").asText())
                    .isEqualTo(session.get("seenAt").asText());
        });
        assertThat(current(one)).isNotEqualTo(current(other));
        String query = "?staffId=" + DemoStaff.id("operator.sh");
        assertThat(sessions(kehu.caller("auditor").get("/v1/sessions" + query))).hasSize(2);
        assertThat(sessions(one.get("/v1/sessions" + query))).hasSize(2);
        Caller stranger = kehu.caller("branch-head");
        stranger.get("/v1/sessions" + query).is(404, "staff.notFound");
        stranger.send("DELETE", "/v1/sessions" + query, (byte[]) null).is(404, "staff.notFound");
        stranger.send("DELETE", "/v1/sessions/" + current(one), (byte[]) null).is(404, "session.notFound");
        stranger.send("DELETE", "/v1/sessions/" + UUID.randomUUID(), (byte[]) null)
                .is(404, "session.notFound");
        kehu.caller("auditor")
                .send("DELETE", "/v1/sessions/" + current(one), (byte[]) null)
                .is(404, "session.notFound");
        isIn(one);
    }

    @Test
    void oneSessionIsEndedAndTheOthersGoOn() {
        Answer lost = login("operator.gz");
        Caller here = caller(login("operator.gz"));
        isIn(caller(lost));
        here.send("DELETE", "/v1/sessions/" + current(caller(lost)), (byte[]) null)
                .is(204);
        isOut(caller(lost));
        refresh(lost).is(401, "auth.refreshInvalid");
        isIn(here);
        assertThat(sessions(here.get("/v1/sessions"))).hasSize(1);
    }

    @Test
    void allSessionsOfOnePersonEndOnEveryNodeAlsoWithoutRedis() {
        Answer ended = login("operator.bj");
        Answer also = login("operator.bj");
        isIn(caller(ended));
        isIn(caller(also));
        REDIS.ask(Command.FLUSHALL);
        kehu.caller("administrator")
                .send("DELETE", "/v1/sessions?staffId=" + DemoStaff.id("operator.bj"), (byte[]) null)
                .is(204);
        isOut(caller(ended));
        isOut(caller(also));
        Answer next = login("operator.bj");
        isIn(caller(next));
        REDIS.kill();
        try {
            isIn(caller(next));
            caller(next).send("DELETE", "/v1/sessions", (byte[]) null).is(204);
            isOut(caller(next));
            isOut(caller(ended));
            refresh(next).is(401, "auth.refreshInvalid");
        } finally {
            REDIS.start();
        }
        isOut(caller(next));
        isOut(caller(ended));
        caller(login("operator.bj")).get("/v1/auth/me").is(200);
    }

    @Test
    void whatIsIdleForFifteenMinutesOrOlderThanTwelveHoursIsOver() {
        Answer idle = login("operator.cd");
        Answer used = login("operator.cd");
        assertThat(sessions(caller(used).get("/v1/sessions"))).hasSize(2);
        kehu.moveClock(14 * 60);
        used = refresh(used).is(200);
        assertThat(sessions(caller(used).get("/v1/sessions"))).hasSize(2);
        kehu.moveClock(15 * 60 + 1);
        List<JsonNode> left = sessions(caller(used).get("/v1/sessions"));
        assertThat(left).hasSize(1);
        assertThat(left.get(0).get("current").asBoolean()).isTrue();
        assertThat(left.get(0).get("seenAt").asText())
                .isNotEqualTo(left.get(0).get("startedAt").asText());
        refresh(idle).is(401, "auth.refreshInvalid");
        for (int minute = 28; minute < 12 * 60; minute += 14) {
            kehu.moveClock(minute * 60L);
            used = refresh(used).is(200);
        }
        kehu.moveClock(12 * 3600 + 5);
        refresh(used).is(401, "auth.refreshInvalid");
        isOut(caller(used));
    }
}
