package io.kehu.cache;

import static io.kehu.cache.TestRedis.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CacheTest {
    private static final Duration HOUR = Duration.ofHours(1);

    private final Vertx vertx = Vertx.vertx();
    private final TestRedis redis = new TestRedis(vertx);
    private final List<Cache> caches = new ArrayList<>();
    private final AtomicInteger loads = new AtomicInteger();

    @AfterEach
    void stop() {
        caches.forEach(cache -> await(cache.close()));
        redis.close();
        await(vertx.close());
    }

    /** A node that keeps so many values in its own memory, for an hour. */
    private Cache node(int nearEntries) {
        return node(nearEntries, 5000);
    }

    private Cache node(int nearEntries, int timeoutMillis) {
        Cache cache = await(Cache.open(
                vertx, new Cache.Options(redis.uri(), 4, 100, timeoutMillis, 5000, 100, 1000, nearEntries, 3_600_000)));
        caches.add(cache);
        return cache;
    }

    private Supplier<Future<Buffer>> value(String text) {
        return () -> {
            loads.incrementAndGet();
            return Future.succeededFuture(Buffer.buffer(text));
        };
    }

    private String get(Cache cache, String key, String otherwise) {
        return await(cache.get(key, HOUR, value(otherwise))).toString();
    }

    private void untilKept(int keys) {
        await().until(() -> redis.keys() == keys);
    }

    @Test
    void whatOneNodeLoadedAnotherFindsUntilItIsDropped() {
        Cache one = node(0);
        Cache two = node(0);
        assertThat(get(one, "product:1", "old")).isEqualTo("old");
        untilKept(2);
        assertThat(get(two, "product:1", "new")).isEqualTo("old");
        await(two.drop("product"));
        assertThat(get(one, "product:1", "new")).isEqualTo("new");
        assertThat(loads).hasValue(2);
    }

    @Test
    void droppingAKeyLeavesOtherSpacesAlone() {
        Cache cache = node(10);
        get(cache, "product:1", "old");
        get(cache, "productive:1", "old");
        untilKept(4);
        await(cache.drop("product:1"));
        assertThat(get(cache, "product:1", "new")).isEqualTo("new");
        assertThat(get(cache, "productive:1", "new")).isEqualTo("old");
    }

    @Test
    void manyWhoAskAtOnceShareOneLoad() {
        Cache cache = node(0);
        Promise<Buffer> load = Promise.promise();
        List<Future<Buffer>> answers = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            answers.add(cache.get("product:1", HOUR, () -> {
                loads.incrementAndGet();
                return load.future();
            }));
        }
        load.complete(Buffer.buffer("one"));
        answers.forEach(answer -> assertThat(await(answer)).hasToString("one"));
        assertThat(loads).hasValue(1);
    }

    @Test
    void aFailureIsAnsweredToAllWhoWaitedAndNotKept() {
        Cache cache = node(10);
        Promise<Buffer> load = Promise.promise();
        Future<Buffer> first = cache.get("product:1", HOUR, load::future);
        Future<Buffer> second = cache.get("product:1", HOUR, load::future);
        load.fail("no database");
        assertThatThrownBy(() -> await(first)).hasStackTraceContaining("no database");
        assertThatThrownBy(() -> await(second)).hasStackTraceContaining("no database");
        Future<Buffer> thrown = cache.get("product:1", HOUR, () -> {
            throw new IllegalStateException("thrown");
        });
        assertThatThrownBy(() -> await(thrown)).hasStackTraceContaining("thrown");
        assertThat(get(cache, "product:1", "there")).isEqualTo("there");
    }

    @Test
    void aLoadOvertakenByADropIsNotKeptAnywhere() {
        Cache cache = node(10);
        Promise<Buffer> load = Promise.promise();
        Promise<Void> begun = Promise.promise();
        Future<Buffer> early = cache.get("product:1", HOUR, () -> {
            begun.complete();
            return load.future();
        });
        await(begun.future());
        await(cache.drop("product"));
        load.complete(Buffer.buffer("old"));
        assertThat(await(early)).hasToString("old");
        assertThat(get(cache, "product:1", "new")).isEqualTo("new");
        assertThat(get(node(0), "product:1", "newest")).isIn("new", "newest");
    }

    @Test
    void aLargeValueIsAnsweredButNotKept() {
        Cache cache = node(10);
        assertThat(get(cache, "product:1", "x".repeat(1001))).hasSize(1001);
        assertThat(get(cache, "product:1", "small")).isEqualTo("small");
    }

    @Test
    void theNearMemoryAnswersWithoutRedisAndIsBounded() {
        Cache cache = node(2);
        for (int i = 1; i <= 3; i++) {
            get(cache, "product:" + i, "value");
        }
        redis.kill();
        loads.set(0);
        get(cache, "product:3", "again");
        get(cache, "product:2", "again");
        assertThat(loads).hasValue(0);
        assertThat(get(cache, "product:1", "again")).isEqualTo("again");
    }

    @Test
    void withoutRedisEverythingIsLoadedAndNothingFails() {
        Cache never = await(Cache.open(vertx, Cache.Options.of(null)));
        assertThat(get(never, "product:1", "loaded")).isEqualTo("loaded");
        await(never.drop("product"));
        Cache cache = node(0);
        redis.kill();
        for (int i = 0; i < 20; i++) {
            assertThat(get(cache, "product:1", "loaded " + i)).isEqualTo("loaded " + i);
        }
        assertThat(cache.up()).isFalse();
        redis.start();
        await().until(() -> {
            get(cache, "product:1", "kept");
            return cache.up() && redis.keys() == 2;
        });
    }

    @Test
    void aDropThatRedisCouldNotBeToldIsNotForgotten() {
        Cache cache = node(0, 50);
        await().until(() -> {
            // The first requests of a cold process may take longer than this node waits.
            get(cache, "product:1", "old");
            return redis.keys() == 2;
        });
        redis.stall();
        await(cache.drop("product"));
        assertThat(get(cache, "product:1", "new")).isEqualTo("new");
        redis.resume();
        await().until(() -> {
            // Never the old value, neither while Redis is away nor when it is back with what it knew before.
            assertThat(get(cache, "product:1", "newer")).isNotEqualTo("old");
            return cache.up();
        });
        assertThat(get(cache, "product:1", "newer")).isEqualTo("newer");
        Cache other = node(0);
        await().until(() -> get(other, "product:1", "newer").equals("newer"));
    }
}
