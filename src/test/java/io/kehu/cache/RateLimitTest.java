package io.kehu.cache;

import static io.kehu.cache.TestRedis.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.awaitility.Awaitility.with;

import io.kehu.cache.RateLimit.Decision;
import io.kehu.cache.RateLimit.Limit;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.redis.client.Command;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class RateLimitTest {
    private static final byte[] SECRET = "sixteen bytes or".getBytes();

    /** So slow a refill that none happens within a test. */
    private static final Limit TEN = new Limit(10, 1, Duration.ofDays(1));

    private static final Limit HUNDRED = new Limit(100, 1, Duration.ofDays(1));

    private static RateLimit limits(Cache cache) {
        return new RateLimit(cache, Map.of("ten", TEN, "hundred", HUNDRED), SECRET, 10_000);
    }

    @Nested
    class Alone {
        private final Vertx vertx = Vertx.vertx();
        private final Cache without = await(Cache.open(vertx, Cache.Options.of(null)));
        private final AtomicLong micros = new AtomicLong();

        @AfterEach
        void stop() {
            await(vertx.close());
        }

        private RateLimit at(Limit limit, int maxKeys) {
            return new RateLimit(without, Map.of("b", limit), SECRET, maxKeys, micros::get);
        }

        @Test
        void aBurstIsAdmittedAndThenOnePermitPerInterval() {
            RateLimit limit = at(new Limit(3, 10, Duration.ofSeconds(1)), 100);
            assertThat(List.of(limit.tryTake("b", "k", 1), limit.tryTake("b", "k", 2), limit.tryTake("b", "k", 1)))
                    .containsExactly(true, true, false);
            assertThat(limit.retryAfterMillis("b", "k", 1)).isEqualTo(100);
            assertThat(limit.retryAfterMillis("b", "k", 3)).isEqualTo(300);
            micros.addAndGet(99_999);
            assertThat(limit.tryTake("b", "k", 1)).isFalse();
            micros.addAndGet(1);
            assertThat(limit.tryTake("b", "k", 1)).isTrue();
            assertThat(await(limit.take("b", "k", 1))).isEqualTo(new Decision(false, 100, 0));
            micros.addAndGet(1_000_000);
            assertThat(await(limit.take("b", "k", 1))).isEqualTo(new Decision(true, 0, 2));
        }

        @Test
        void keysAndBucketsDoNotShareTheirPermits() {
            RateLimit limit = limits(without);
            assertThat(limit.tryTake("ten", "a", 10)).isTrue();
            assertThat(limit.tryTake("ten", "a", 1)).isFalse();
            assertThat(limit.tryTake("ten", "b", 10)).isTrue();
            assertThat(limit.tryTake("hundred", "a", 10)).isTrue();
        }

        @Test
        void aFloodOfKeysNeitherGrowsTheMemoryNorFreesTheOneThatIsUsedUp() {
            RateLimit limit = at(new Limit(5, 1, Duration.ofDays(1)), 1000);
            assertThat(limit.tryTake("b", "greedy", 5)).isTrue();
            int admitted = 0;
            for (int i = 0; i < 200_000; i++) {
                admitted += limit.tryTake("b", "passer-by " + i, 1) ? 1 : 0;
            }
            assertThat(admitted).isEqualTo(200_000);
            assertThat(limit.tryTake("b", "greedy", 1)).isFalse();
            assertThat(limit.keysInMemory()).isLessThanOrEqualTo(2048);
        }

        @Test
        void anUnknownBucketAnImpossibleCostAndAShortSecretAreDefectsOfTheCaller() {
            RateLimit limit = at(new Limit(3, 1, Duration.ofSeconds(1)), 100);
            assertThatThrownBy(() -> limit.tryTake("other", "k", 1)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> limit.take("b", "k", 4)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> limit.take("b", "k", 0)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> new RateLimit(without, Map.of(), new byte[15], 1))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Nested
    class OverSeveralNodes {
        private final Vertx vertx = Vertx.vertx();
        private final TestRedis redis = new TestRedis(vertx);
        private final List<Cache> caches = new ArrayList<>();

        /** A node that waits long enough for a busy machine: these tests are not about the time-out. */
        private Cache node() {
            return node(5000);
        }

        private Cache node(int timeoutMillis) {
            Cache cache = await(
                    Cache.open(vertx, new Cache.Options(redis.uri(), 8, 1024, timeoutMillis, 5000, 200, 1000, 0, 0)));
            caches.add(cache);
            return cache;
        }

        @AfterEach
        void stop() {
            caches.forEach(cache -> await(cache.close()));
            redis.close();
            await(vertx.close());
        }

        private long admitted(List<Future<Decision>> decisions) {
            return decisions.stream().filter(d -> await(d).allowed()).count();
        }

        @Test
        void takeIsExactOverAllNodesAlsoWhenAllAskAtOnce() {
            RateLimit one = limits(node());
            RateLimit two = limits(node());
            List<Future<Decision>> decisions = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                decisions.add(one.take("ten", "k", 1));
                decisions.add(two.take("ten", "k", 1));
            }
            assertThat(admitted(decisions)).isEqualTo(10);
            Decision next = await(two.take("ten", "k", 1));
            assertThat(next.allowed()).isFalse();
            assertThat(next.remaining()).isZero();
            assertThat(next.retryAfterMillis())
                    .isBetween(
                            Duration.ofHours(23).toMillis(), Duration.ofDays(1).toMillis());
        }

        @Test
        void tryTakeLearnsWhatOtherNodesAdmittedAndOvershootsByLessThanABatchPerNode() {
            RateLimit one = limits(node());
            RateLimit two = limits(node());
            int admitted = 0;
            for (int i = 0; i < 150; i++) {
                admitted += one.tryTake("hundred", "k", 1) ? 1 : 0;
                admitted += two.tryTake("hundred", "k", 1) ? 1 : 0;
                with().pollDelay(Duration.ZERO)
                        .pollInterval(Duration.ofMillis(1))
                        .await()
                        .until(() -> one.told("hundred", "k") && two.told("hundred", "k"));
            }
            assertThat(admitted).isBetween(100, 119);
            assertThat(one.tryTake("hundred", "k", 1)).isFalse();
            assertThat(two.tryTake("hundred", "k", 1)).isFalse();
        }

        @Test
        void redisForgettingItsScriptsOrItsCountsLiftsNothingOnTheNodeThatCounted() {
            RateLimit limit = limits(node());
            assertThat(await(limit.take("ten", "k", 4))).isEqualTo(new Decision(true, 0, 6));
            redis.ask(Command.SCRIPT, "FLUSH");
            assertThat(await(limit.take("ten", "k", 4))).isEqualTo(new Decision(true, 0, 2));
            redis.ask(Command.FLUSHALL);
            assertThat(await(limit.take("ten", "k", 2)).remaining()).isZero();
            assertThat(await(limit.take("ten", "k", 1)).allowed()).isFalse();
        }

        @Test
        void redisSeesNoKeyOnlyADigestThatExpires() {
            RateLimit limit = limits(node());
            await(limit.take("ten", "203.0.113.7", 1));
            String keys = redis.ask(Command.KEYS, "*").toString();
            assertThat(keys).contains("kehu:rate:ten:").doesNotContain("203.0.113.7");
            String key = redis.ask(Command.KEYS, "*").get(0).toString();
            assertThat(redis.ask(Command.PTTL, key).toLong()).isPositive();
        }

        @Test
        void whenRedisDiesNoCallFailsTheLimitHoldsAndItIsUsedAgainWhenItIsBack() {
            Cache cache = node();
            RateLimit limit = limits(cache);
            assertThat(await(limit.take("ten", "k", 4)).allowed()).isTrue();
            redis.kill();
            assertThat(await(limit.take("ten", "k", 4)).allowed()).isTrue();
            assertThat(await(limit.take("ten", "k", 4)).allowed()).isFalse();
            assertThat(limit.tryTake("ten", "k", 3)).isFalse();
            await().until(() -> await(limit.take("hundred", "other", 1)).allowed() && !cache.up());
            redis.start();
            await().until(() -> {
                limit.tryTake("hundred", "any", 1);
                return cache.up();
            });
            assertThat(await(limit.take("ten", "fresh", 1)).allowed()).isTrue();
            await().until(() ->
                    redis.keys() > 0 || !await(limit.take("ten", "fresh", 1)).allowed());
            assertThat(await(limit.take("ten", "k", 4)).allowed()).isFalse();
        }

        @Test
        void whenRedisStallsNoCallFailsTheLimitHoldsAndItIsUsedAgainWhenItAnswers() {
            Cache cache = node(50);
            RateLimit limit = limits(cache);
            assertThat(await(limit.take("ten", "k", 4)).allowed()).isTrue();
            redis.stall();
            List<Future<Decision>> decisions = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                decisions.add(limit.take("ten", "k", 1));
            }
            assertThat(admitted(decisions)).isEqualTo(6);
            decisions.clear();
            for (int i = 0; i < 100; i++) {
                decisions.add(limit.take("hundred", "k", 1));
                limit.tryTake("hundred", "hot", 1);
            }
            assertThat(admitted(decisions)).isEqualTo(100);
            assertThat(limit.tryTake("hundred", "hot", 1)).isFalse();
            assertThat(cache.up()).isFalse();
            redis.resume();
            await().until(() -> {
                limit.tryTake("hundred", "any", 1);
                return cache.up();
            });
            assertThat(await(limit.take("ten", "k", 1)).allowed()).isFalse();
        }
    }

    @Property(tries = 200)
    void inEveryWindowAtMostTheBurstAndTheRefillAreAdmitted(
            @ForAll @IntRange(min = 1, max = 20) int burst,
            @ForAll @IntRange(min = 1, max = 5000) int permitsPerSecond,
            @ForAll @Size(min = 1, max = 200) List<@IntRange(min = 0, max = 200_000) Integer> pausesMicros,
            @ForAll @IntRange(min = 1, max = 20) int maxCost) {
        Vertx vertx = Vertx.vertx();
        try {
            AtomicLong now = new AtomicLong(1);
            Limit limit = new Limit(burst, permitsPerSecond, Duration.ofSeconds(1));
            RateLimit limits = new RateLimit(
                    await(Cache.open(vertx, Cache.Options.of(null))), Map.of("b", limit), SECRET, 1, now::get);
            List<long[]> taken = new ArrayList<>();
            int cost = 0;
            for (int pause : pausesMicros) {
                now.addAndGet(pause);
                cost = cost % Math.min(maxCost, burst) + 1;
                if (limits.tryTake("b", "k", cost)) {
                    taken.add(new long[] {now.get(), cost});
                }
            }
            for (int from = 0; from < taken.size(); from++) {
                long sum = 0;
                for (int to = from; to < taken.size(); to++) {
                    sum += taken.get(to)[1];
                    double seconds = (taken.get(to)[0] - taken.get(from)[0]) / 1e6;
                    assertThat((double) sum).isLessThanOrEqualTo(burst + permitsPerSecond * seconds + 1e-6);
                }
            }
        } finally {
            await(vertx.close());
        }
    }
}
