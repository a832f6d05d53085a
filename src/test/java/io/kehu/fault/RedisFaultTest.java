package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import io.kehu.cache.TestRedis;
import io.kehu.iam.staff.DemoStaff;
import io.vertx.core.Vertx;
import io.vertx.redis.client.Command;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Redis forgets, hangs and dies while a node that needs it for nothing works on. */
class RedisFaultTest {
    private static final int CLIENTS = 4;
    private static final int ENOUGH = 50;
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final int FAILURES_THAT_LOCK = 5;

    private final Vertx vertx = Vertx.vertx();
    private final TestRedis redis = new TestRedis(vertx);
    private TestKehu kehu;

    @BeforeEach
    void start() {
        kehu = TestKehu.start(Map.of("KEHU_REDIS_URI", redis.uri()));
    }

    @AfterEach
    void stop() {
        try {
            kehu.close();
        } finally {
            redis.close();
            vertx.close();
        }
    }

    @Test
    void noCallFailsAndWhoWasThrownOutOrLockedStaysOut() {
        Caller operator = kehu.caller("operator");
        Caller administrator = kehu.caller("administrator");
        String leaving = token(login("operator.bj", DemoStaff.PASSWORD).is(200));
        String staying = token(login("operator.cd", DemoStaff.PASSWORD).is(200));
        for (int i = 0; i < FAILURES_THAT_LOCK; i++) {
            login("manager2.cd-wh", "wrong-but-long-enough").is(401, "auth.failed");
        }
        kehu.with(leaving).send("POST", "/v1/auth/logout", (byte[]) null).is(204);
        try (Clients clients = new Clients(kehu, operator, CLIENTS, () -> List.of(kehu.port()))) {
            serves(clients);
            for (Runnable fault : List.<Runnable>of(
                    () -> redis.ask(Command.FLUSHALL), redis::stall, redis::resume, redis::kill, redis::start)) {
                fault.run();
                serves(clients);
                kehu.with(staying).get("/v1/auth/me").is(200);
                administrator.get("/v1/roles").is(200);
                await().atMost(SOON)
                        .until(() -> kehu.with(leaving).get("/v1/auth/me").status() == 401);
                login("manager2.cd-wh", DemoStaff.PASSWORD).is(401, "auth.failed");
            }
            clients.finish().everythingIsThereOnce();
            System.out.println("Redis flushed, stalled, killed: " + clients);
            assertThat(clients.troubles()).isEmpty();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void serves(Clients clients) {
        clients.awaitMore(ENOUGH, SOON);
    }

    private Answer login(String username, String password) {
        return kehu.anonymous().login(username, password);
    }

    private static String token(Answer tokens) {
        return tokens.at("/accessToken").asText();
    }
}
