package io.kehu.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.kehu.TestKehu;
import io.kehu.TestKehu.Answer;
import io.kehu.TestKehu.Caller;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * Clients who enter customers as they should: each under a key of its own, which is repeated, at another node where there is
 * one, until the answer says how it ended.
 */
final class Clients implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration BACKOFF = Duration.ofMillis(20);

    private final TestKehu kehu;
    private final Caller caller;
    private final Supplier<List<Integer>> ports;
    private final long customersBefore;
    private final AtomicBoolean going = new AtomicBoolean(true);
    private final AtomicInteger turn = new AtomicInteger();
    private final Set<String> entered = ConcurrentHashMap.newKeySet();
    private final Queue<String> wrong = new ConcurrentLinkedQueue<>();
    private final Map<String, AtomicInteger> troubles = new ConcurrentSkipListMap<>();
    private final AtomicLong longestMillis = new AtomicLong();
    private final List<Thread> threads = new ArrayList<>();

    /**
     * Begins at once.
     *
     * @param ports where nodes listen at the moment
     */
    Clients(TestKehu kehu, Caller caller, int number, Supplier<List<Integer>> ports) {
        this.kehu = kehu;
        this.caller = caller;
        this.ports = ports;
        this.customersBefore = customers();
        for (int i = 0; i < number; i++) {
            Thread thread = new Thread(this::enterMany, "client-" + i);
            thread.setDaemon(true);
            threads.add(thread);
            thread.start();
        }
    }

    private void enterMany() {
        try {
            while (going.get()) {
                String key = UUID.randomUUID().toString();
                await().atMost(PATIENCE)
                        .pollDelay(Duration.ZERO)
                        .pollInterval(BACKOFF)
                        .until(() -> resolved(key));
            }
        } catch (RuntimeException | Error e) {
            wrong.add(e.toString());
        }
    }

    /** One attempt; true when it is known how the command ended. */
    private boolean resolved(String key) {
        List<Integer> nodes = ports.get();
        int port = nodes.get(turn.getAndIncrement() % nodes.size());
        long began = System.nanoTime();
        Answer answer;
        try {
            answer = caller.at(port)
                    .post("/v1/customers", "{\"kind\": \"person\", \"name\": \"张三\"}", "Idempotency-Key", key);
        } catch (IllegalStateException e) {
            if (e.getCause() instanceof IOException) {
                count("no answer");
                return false;
            }
            throw e;
        } finally {
            longestMillis.accumulateAndGet((System.nanoTime() - began) / 1_000_000, Math::max);
        }
        switch (answer.status()) {
            case 201 -> {
                if (!entered.add(answer.at("/id").asText())) {
                    wrong.add("two keys made one customer");
                }
                return true;
            }
            case 429, 503 -> count(answer.status() + " " + answer.code());
            case 409 -> {
                answer.is(409, "request.inFlight");
                count("409 request.inFlight");
            }
            default -> {
                wrong.add(answer.status() + " " + answer.text());
                return true;
            }
        }
        return false;
    }

    private void count(String trouble) {
        troubles.computeIfAbsent(trouble, t -> new AtomicInteger()).incrementAndGet();
    }

    /** How many customers the clients know of. */
    int entered() {
        return entered.size();
    }

    /** Waits until so many more have been entered. */
    void awaitMore(int customers, Duration atMost) {
        int enough = entered() + customers;
        await().atMost(atMost)
                .pollInterval(BACKOFF)
                .failFast(() -> assertThat(wrong).isEmpty())
                .until(() -> entered() >= enough);
    }

    /** What clients were told instead of a result, and how often. */
    Map<String, Integer> troubles() {
        Map<String, Integer> counted = new TreeMap<>();
        troubles.forEach((trouble, times) -> counted.put(trouble, times.get()));
        return counted;
    }

    int refusals() {
        return troubles.values().stream().mapToInt(AtomicInteger::get).sum();
    }

    /** The longest wait for any answer. */
    long longestMillis() {
        return longestMillis.get();
    }

    /** Lets each client resolve its last key. */
    Clients finish() throws InterruptedException {
        going.set(false);
        for (Thread thread : threads) {
            thread.join(PATIENCE.toMillis() + 30_000);
            assertThat(thread.isAlive()).as("%s still waits", thread.getName()).isFalse();
        }
        assertThat(wrong).isEmpty();
        return this;
    }

    private long customers() {
        return kehu.value("SELECT count(*) FROM customer.customer");
    }

    /** Each acknowledged customer is there once and nobody else; each has one audit row, one event, one finished key. */
    void everythingIsThereOnce() {
        assertThat(customers() - customersBefore).isEqualTo(entered.size());
        String ids = "{" + String.join(",", entered) + "}";
        long number = entered.size();
        assertThat(kehu.sql("""
                        WITH mine AS (SELECT unnest(?::uuid[]) AS id)
                        SELECT (SELECT count(*) FROM mine JOIN customer.customer USING (id)) AS customers,
                            (SELECT count(*) FROM mine JOIN kehu.data_key ON subject_id = mine.id) AS keys,
                            (SELECT count(*) FROM mine JOIN kehu.audit ON object_id = mine.id) AS audited,
                            (SELECT count(*) FROM mine JOIN kehu.event ON aggregate_id = mine.id) AS events,
                            (SELECT count(*) FROM mine JOIN kehu.idempotency ON location = '/v1/customers/' || mine.id
                             WHERE status = 201 AND answer IS NOT NULL) AS answers""", ids))
                .containsExactly(Map.of(
                        "customers", number, "keys", number, "audited", number, "events", number, "answers", number));
        assertThat(kehu.<Long>value(
                        "SELECT count(*) FROM kehu.idempotency WHERE operation = 'createCustomer' AND status IS NULL"))
                .isZero();
    }

    @Override
    public String toString() {
        return entered() + " customers, longest wait " + longestMillis() + " ms, " + troubles();
    }

    @Override
    public void close() {
        going.set(false);
    }
}
