package io.kehu.cache;

import io.kehu.bus.Problem;
import io.kehu.crypto.Sha256;
import io.vertx.core.Future;
import io.vertx.redis.client.Response;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * How often somebody may do something: a token bucket per key, kept as one moment (generic cell rate algorithm, ITU-T
 * I.371, virtual scheduling): the moment at which the bucket will be full again. A bucket of {@code burst} permits
 * refills at {@code permits} per {@code per}.
 *
 * <p>Two levels. Every node counts what it admits in its own memory and never admits more than the whole limit by
 * itself: that answers in well under a microsecond and needs nobody. Redis holds the sum over the nodes:
 * <ul>
 *   <li>{@link #take} asks Redis before it answers: exact over all nodes, for sign-ins and other rare, dear things;
 *   <li>{@link #tryTake} answers at once and tells Redis afterwards, in batches of a tenth of the burst; Redis answers
 *       with the sum, which the node takes over. For the hot path.
 * </ul>
 *
 * <p>Bounds, over any time t and n nodes, with r permits per second: {@code take} admits at most
 * {@code burst + r*t}; {@code tryTake} at most that and, for each node, one batch and what the node admits during one
 * round trip to Redis. What is admitted too much is a debt that is paid by waiting (at most the time of a whole burst),
 * so the rate r holds in the long run. While Redis is away, each node admits at most {@code burst + r*t}, the cluster
 * n times that. Emptying Redis lifts nothing on the nodes that counted. In the other direction: permits are told as of
 * the moment of telling, so a bucket may seem emptier than it is by up to one batch per node.
 *
 * <p>Losing Redis fails no call and removes no limit. Redis sees a keyed digest of the key, never the key.
 */
public final class RateLimit {
    /** Buckets of sign-ins: of one source, and of all together. */
    public static final String LOGIN_PER_ADDRESS = "login.address";

    public static final String LOGIN = "login";

    /** How many keys share a row of the table; among them the one with the fullest bucket makes room for a new one. */
    private static final int WAYS = 8;

    private static final int LOCKS = 256;

    /** A debt from several nodes is forgiven beyond this many bursts: no key is shut out for longer than that. */
    private static final int DEBT_BURSTS = 2;

    /**
     * All in microseconds. KEYS[1]: the moment the bucket is full. ARGV: what a whole bucket is worth; what has been
     * admitted already; what is asked for. Answers whether that is admitted, and how far the bucket is from full.
     * Lua's own number format would round the moment, hence the %.0f.
     */
    private static final Cache.Script SCRIPT = script("""
            local time = redis.call('TIME')
            local now = time[1] * 1000000 + time[2]
            local room, told, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
            local level = math.max((tonumber(redis.call('GET', KEYS[1])) or now) - now, 0)
            level = math.min(level + told, %d * room)
            local allowed = level + cost <= room
            if allowed then level = level + cost end
            redis.call('SET', KEYS[1], string.format('%%.0f', now + level), 'PX', math.ceil(level / 1000) + 1)
            return {allowed and 1 or 0, level}
            """.formatted(DEBT_BURSTS));

    private final Cache redis;
    private final Map<String, Rule> rules = new HashMap<>();
    private final byte[] secret;
    private final LongSupplier microClock;
    private final @Nullable Cell[] table;
    private final Object[] locks = new Object[LOCKS];
    /** So that nobody outside can choose keys that meet in one row. */
    private final int seed = ThreadLocalRandom.current().nextInt();

    /**
     * Counts against the given limits.
     *
     * @param limits the buckets by name
     * @param secret makes the digests of keys; the same on all nodes, at least 16 bytes, else a digest of an IPv4
     *     address is found by trying all of them
     * @param maxKeys how many keys are counted in memory (about 150 bytes each); beyond it the key with the fullest
     *     bucket in its row is forgotten, which loses the least
     */
    public RateLimit(Cache redis, Map<String, Limit> limits, byte[] secret, int maxKeys) {
        this(redis, limits, secret, maxKeys, () -> System.nanoTime() / 1000);
    }

    RateLimit(Cache redis, Map<String, Limit> limits, byte[] secret, int maxKeys, LongSupplier microClock) {
        if (secret.length < 16) {
            throw new IllegalArgumentException("the secret for rate limits needs at least 16 bytes");
        }
        this.redis = redis;
        this.secret = secret.clone();
        this.microClock = microClock;
        limits.forEach((name, limit) -> rules.put(name, Rule.of(name, limit)));
        int rows = Integer.highestOneBit(Math.max(LOCKS, maxKeys / WAYS));
        this.table = new Cell[rows * WAYS];
        for (int i = 0; i < LOCKS; i++) {
            locks[i] = new Object();
        }
    }

    /**
     * One bucket's size and refill.
     *
     * @param burst how many at once, 1 to 1,000,000
     * @param permits how many per {@code per}; the time between two is rounded up to whole microseconds
     */
    public record Limit(int burst, int permits, Duration per) {
        public Limit {
            if (burst < 1 || burst > 1_000_000 || permits < 1 || per.toMillis() < 1 || per.toDays() > 1) {
                throw new IllegalArgumentException(
                        "a limit needs 1 <= burst <= 1,000,000, permits >= 1, 1 ms to 1 day");
            }
        }
    }

    /**
     * The answer to {@link #take}.
     *
     * @param retryAfterMillis how long until the same question can succeed; 0 if allowed
     * @param remaining how many permits are left at this moment
     */
    public record Decision(boolean allowed, long retryAfterMillis, long remaining) {}

    /** One permit by {@link #take}, or a refusal that says how long to wait. Problems: request.tooManyRequests. */
    public Future<Void> admit(String bucket, String key) {
        return take(bucket, key, 1)
                .compose(decision -> decision.allowed()
                        ? Future.succeededFuture()
                        : Future.failedFuture(Problem.of(
                                "request.tooManyRequests",
                                Long.toString(Math.max(1, (decision.retryAfterMillis() + 999) / 1000)))));
    }

    /** Exact over all nodes while Redis answers, by this node's own count otherwise. Never fails. */
    public Future<Decision> take(String bucket, String key, int cost) {
        Rule rule = rule(bucket, cost);
        int row = row(rule, key);
        long price = cost * rule.interval;
        Cell cell;
        long told;
        synchronized (lock(row)) {
            long now = microClock.getAsLong();
            cell = cell(rule, key, row, now);
            if (!cell.admit(now, price, rule)) {
                return Future.succeededFuture(rule.decide(false, cell.level(now), price));
            }
            // What tryTake admitted so far travels along, or this answer would not know of it.
            told = cell.untold;
            cell.untold = 0;
            cell.met = true;
        }
        return redis.run(SCRIPT, digest(cell), rule.room, told * rule.interval, price)
                .map(answer -> {
                    boolean allowed = answer.get(0).toLong() == 1;
                    long level = answer.get(1).toLong();
                    synchronized (lock(row)) {
                        long now = microClock.getAsLong();
                        if (!allowed) {
                            cell.fullAt -= price;
                        }
                        cell.learn(now, level, rule);
                        return rule.decide(allowed, cell.level(now), price);
                    }
                })
                .otherwise(failure -> {
                    synchronized (lock(row)) {
                        return rule.decide(true, cell.level(microClock.getAsLong()), price);
                    }
                });
    }

    /** Answers by what this node knows, at once; tells Redis afterwards. */
    public boolean tryTake(String bucket, String key, int cost) {
        Rule rule = rule(bucket, cost);
        int row = row(rule, key);
        Cell cell;
        long told;
        synchronized (lock(row)) {
            long now = microClock.getAsLong();
            cell = cell(rule, key, row, now);
            if (!cell.admit(now, cost * rule.interval, rule)) {
                return false;
            }
            cell.untold += cost;
            // The first contact is told at once, for then the node learns what the others have seen of this key.
            if (cell.telling || (cell.met && cell.untold < rule.batch)) {
                return true;
            }
            cell.telling = true;
            cell.met = true;
            told = cell.untold;
            cell.untold = 0;
        }
        tell(rule, row, cell, told);
        return true;
    }

    /** How long until {@code cost} permits will be there, by what this node knows: for the header of a refusal. */
    public long retryAfterMillis(String bucket, String key, int cost) {
        Rule rule = rule(bucket, cost);
        int row = row(rule, key);
        synchronized (lock(row)) {
            long now = microClock.getAsLong();
            return rule.waitMillis(cell(rule, key, row, now).level(now), cost * rule.interval);
        }
    }

    /** How many keys are counted in memory. */
    public int keysInMemory() {
        int count = 0;
        for (Cell cell : table) {
            count += cell == null ? 0 : 1;
        }
        return count;
    }

    /** Whether nothing about the key is on its way to Redis. */
    boolean told(String bucket, String key) {
        Rule rule = rule(bucket, 1);
        int row = row(rule, key);
        synchronized (lock(row)) {
            return !cell(rule, key, row, microClock.getAsLong()).telling;
        }
    }

    /**
     * On failure the batch is not told again: Redis may have counted it before the time-out, and after a long outage
     * old permits would be charged that have long been refilled.
     */
    private void tell(Rule rule, int row, Cell cell, long told) {
        redis.run(SCRIPT, digest(cell), rule.room, told * rule.interval, 0).onComplete((answer, failure) -> {
            synchronized (lock(row)) {
                cell.telling = false;
                if (answer != null) {
                    cell.learn(microClock.getAsLong(), level(answer), rule);
                }
            }
        });
    }

    private static long level(Response answer) {
        return answer.get(1).toLong();
    }

    private Rule rule(String bucket, int cost) {
        Rule rule = rules.get(bucket);
        if (rule == null || cost < 1 || cost > rule.burst) {
            throw new IllegalArgumentException("no such limit, or never enough permits: " + bucket + ", cost " + cost);
        }
        return rule;
    }

    private int row(Rule rule, String key) {
        int hash = (key.hashCode() ^ seed) * 0x9E3779B9 + rule.hash;
        return (hash ^ (hash >>> 15)) & (table.length / WAYS - 1);
    }

    private Object lock(int row) {
        return locks[row & (LOCKS - 1)];
    }

    /** The key's cell; a new one takes the place of the cell that loses least by being forgotten. */
    private Cell cell(Rule rule, String key, int row, long now) {
        int victim = row * WAYS;
        long victimLevel = Long.MAX_VALUE;
        for (int i = row * WAYS; i < (row + 1) * WAYS; i++) {
            Cell cell = table[i];
            if (cell == null) {
                if (victimLevel > -1) {
                    victim = i;
                    victimLevel = -1;
                }
            } else if (cell.rule.name.equals(rule.name) && cell.key.equals(key)) {
                return cell;
            } else if (cell.level(now) < victimLevel) {
                victim = i;
                victimLevel = cell.level(now);
            }
        }
        Cell fresh = new Cell(rule, key, now);
        table[victim] = fresh;
        return fresh;
    }

    private String digest(Cell cell) {
        String known = cell.redisKey;
        if (known == null) {
            byte[] digest = Sha256.mac(secret).doFinal(cell.key.getBytes(StandardCharsets.UTF_8));
            String text = Base64.getUrlEncoder().withoutPadding().encodeToString(digest);
            // 22 characters are 132 bits: no two keys will meet.
            known = "kehu:rate:" + cell.rule.name + ":" + text.substring(0, 22);
            cell.redisKey = known;
        }
        return known;
    }

    private static Cache.Script script(String text) {
        try {
            // SHA-1 is Redis' name for a script, nothing secret.
            byte[] digest = MessageDigest.getInstance("SHA-1").digest(text.getBytes(StandardCharsets.UTF_8));
            return new Cache.Script(text, HexFormat.of().formatHex(digest));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java has SHA-1", e);
        }
    }

    /**
     * A limit in microseconds.
     *
     * @param interval from one permit to the next
     * @param room what a whole bucket is worth
     * @param batch how many permits tryTake admits before it tells Redis
     */
    private record Rule(String name, int hash, int burst, long interval, long room, int batch) {
        static Rule of(String name, Limit limit) {
            long perMicros = limit.per().toNanos() / 1000;
            long interval = Math.max(1, (perMicros + limit.permits() - 1) / limit.permits());
            return new Rule(
                    name,
                    name.hashCode(),
                    limit.burst(),
                    interval,
                    interval * limit.burst(),
                    Math.max(1, limit.burst() / 10));
        }

        Decision decide(boolean allowed, long level, long price) {
            return new Decision(
                    allowed,
                    allowed ? 0 : Math.max(1, waitMillis(level, price)),
                    Math.max(0, (room - level) / interval));
        }

        long waitMillis(long level, long price) {
            return Math.max(0, (level + price - room + 999) / 1000);
        }
    }

    /** One key's bucket on this node; guarded by the lock of its row. */
    private static final class Cell {
        final Rule rule;
        final String key;
        long fullAt;
        long untold;
        boolean telling;
        boolean met;
        /** Two threads may make it at once: they make the same. */
        volatile @Nullable String redisKey;

        Cell(Rule rule, String key, long now) {
            this.rule = rule;
            this.key = key;
            this.fullAt = now;
        }

        /** How far the bucket is from full. */
        long level(long now) {
            return Math.max(0, fullAt - now);
        }

        boolean admit(long now, long price, Rule limit) {
            long level = level(now) + price;
            if (level > limit.room) {
                return false;
            }
            fullAt = now + level;
            return true;
        }

        /** Takes over the sum of all nodes, but never forgets what this node counted itself. */
        void learn(long now, long sum, Rule limit) {
            fullAt = Math.max(fullAt, now + sum + untold * limit.interval);
        }
    }
}
