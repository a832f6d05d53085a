package io.kehu.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.Obstacle;
import io.kehu.TestKehu;
import io.kehu.TestKehu.Caller;
import io.kehu.bus.Call;
import io.kehu.bus.Problem;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.sqlclient.Tuple;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ConsumerTest {
    private static TestKehu kehu;
    private static Caller administrator;
    private static Vertx vertx;
    private static Database database;

    @BeforeAll
    static void start() {
        kehu = TestKehu.start();
        administrator = kehu.caller("administrator");
        kehu.sql(
                "CREATE TABLE kehu.effect (consumer text, branch uuid, version bigint, at timestamptz DEFAULT clock_timestamp())");
        kehu.sql("GRANT SELECT, INSERT ON kehu.effect TO kehu_app");
        vertx = Vertx.vertx();
        database = new Database(
                vertx,
                new Database.Options(
                        kehu.settings().postgresql().uri(),
                        Map.of(Call.Lane.JOB, new Database.Lane(4, 100, 5_000, 5_000)),
                        2_000,
                        5_000,
                        64),
                new Database.Answers(b -> b, b -> b));
    }

    @AfterAll
    static void stop() {
        TestKehu.await(vertx.close());
        kehu.close();
    }

    private static UUID openAndRename(int times) {
        String code = "C" + UUID.randomUUID().toString().substring(0, 8).toUpperCase();
        String path = administrator
                .post("/v1/branches", """
                {"parentId": "%s", "code": "%s", "name": "支行"}""".formatted(kehu.headOffice(), code))
                .is(201)
                .header("Location");
        for (int version = 1; version <= times; version++) {
            administrator
                    .patch(path, "\"" + version + "\"", "{\"name\": \"改名" + version + "\"}")
                    .is(200);
        }
        return UUID.fromString(path.substring("/v1/branches/".length()));
    }

    private static Consumer follow(String name, AtomicInteger failures) {
        return new Consumer(
                vertx, database, name, List.of("branch.created", "branch.changed"), true, 50, (tx, entries) -> {
                    Future<?> done = Future.succeededFuture();
                    for (EventLog.Entry entry : entries) {
                        done = done.compose(v -> tx.query(
                                "INSERT INTO kehu.effect (consumer, branch, version) VALUES ($1, $2, $3)",
                                Tuple.of(name, entry.aggregateId(), entry.version())));
                    }
                    return failures.getAndDecrement() > 0
                            ? done.compose(v -> Future.failedFuture(Problem.of("server.failure")))
                            : done.mapEmpty();
                });
    }

    private static List<String> effects(String name) {
        List<String> effects = new ArrayList<>();
        kehu.sql("SELECT branch, version FROM kehu.effect WHERE consumer = ? ORDER BY at, version", name)
                .forEach(r -> effects.add(r.get("branch") + ":" + r.get("version")));
        return effects;
    }

    @Test
    void oneWhoseBeginningFailsBeginsLater() throws SQLException {
        Consumer consumer;
        try (Obstacle held = new Obstacle(kehu, "LOCK TABLE kehu.event_cursor IN SHARE MODE")) {
            consumer = follow("late", new AtomicInteger());
            held.cancel("INSERT INTO kehu.event_cursor");
        }
        UUID branch = openAndRename(1);
        await().atMost(20, TimeUnit.SECONDS)
                .untilAsserted(() -> assertThat(effects("late")).contains(branch + ":1", branch + ":2"));
        consumer.stop();
    }

    @Test
    void manyNodesThatFollowTogetherHaveEachEffectOnceAndInOrder() {
        List<Consumer> nodes = List.of(
                follow("together", new AtomicInteger()),
                follow("together", new AtomicInteger()),
                follow("together", new AtomicInteger()));
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            UUID branch = openAndRename(3);
            for (int version = 1; version <= 4; version++) {
                expected.add(branch + ":" + version);
            }
        }
        await().atMost(20, TimeUnit.SECONDS)
                .untilAsserted(() -> assertThat(effects("together")).containsAll(expected));
        nodes.forEach(Consumer::stop);
        List<String> effects = effects("together");
        assertThat(effects).doesNotHaveDuplicates();
        for (int i = 0; i < expected.size(); i++) {
            if (i % 4 > 0) {
                assertThat(effects.indexOf(expected.get(i - 1))).isLessThan(effects.indexOf(expected.get(i)));
            }
        }
    }

    @Test
    void anEffectThatFailsLeavesNothingAndIsTriedAgain() {
        AtomicInteger failures = new AtomicInteger(3);
        Consumer consumer = follow("stumbling", failures);
        UUID branch = openAndRename(0);
        await().atMost(20, TimeUnit.SECONDS)
                .untilAsserted(() -> assertThat(effects("stumbling")).contains(branch + ":1"));
        consumer.stop();
        assertThat(failures.get()).isLessThan(0);
        assertThat(effects("stumbling")).doesNotHaveDuplicates();
    }

    @Test
    void whatAConsumerDoesIsAudited() {
        Consumer consumer = follow("audited", new AtomicInteger());
        UUID branch = openAndRename(0);
        await().atMost(20, TimeUnit.SECONDS)
                .untilAsserted(() -> assertThat(effects("audited")).contains(branch + ":1"));
        consumer.stop();
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'consume-audited'"))
                .isPositive();
    }

    @Test
    void oneThatIsFarBehindTakesManyRangesAtOnceButFewEventsOfThem() {
        UUID branch = openAndRename(0);
        for (int version = 1; version <= 60; version++) {
            administrator
                    .patch("/v1/branches/" + branch, "\"" + version + "\"", "{\"name\": \"改名" + version + "\"}")
                    .is(200);
            kehu.sql("SELECT kehu.close_range()");
        }
        Consumer consumer = follow("behind", new AtomicInteger());
        await().atMost(20, TimeUnit.SECONDS)
                .untilAsserted(() -> assertThat(effects("behind")).contains(branch + ":61"));
        consumer.stop();
        List<String> effects = effects("behind");
        assertThat(effects).doesNotHaveDuplicates();
        assertThat(effects.stream().filter(effect -> effect.startsWith(branch.toString())))
                .hasSize(61)
                .isSortedAccordingTo(
                        Comparator.comparing(effect -> Integer.parseInt(effect.substring(effect.indexOf(':') + 1))));
        long steps = kehu.<Long>value("SELECT count(*) FROM kehu.audit WHERE operation = 'consume-behind'");
        assertThat(steps).isLessThan(effects.size() / 4);
        assertThat(kehu.<Long>value("""
                SELECT max(n) FROM (SELECT count(*) AS n FROM kehu.effect WHERE consumer = 'behind' GROUP BY xmin::text) steps""")).isLessThanOrEqualTo(50);
    }

    /** More may be written between two looks than are forgotten at a time. */
    @Test
    void noKeyOfACommandIsKeptTooLongHoweverManyThereAre() {
        kehu.sql("""
                INSERT INTO kehu.idempotency (principal, operation, key, body_hash, created_at)
                SELECT uuidv7(), 'old', g::text, '\\x00', kehu.now() - interval '25 hours' FROM generate_series(1, 2500) g""");
        Ticker ticker = new Ticker(vertx, database, 1_000, 24);
        TestKehu.await(ticker.keepHouse());
        ticker.stop();
        assertThat(kehu.<Long>value("SELECT count(*) FROM kehu.idempotency WHERE operation = 'old'"))
                .isZero();
    }
}
